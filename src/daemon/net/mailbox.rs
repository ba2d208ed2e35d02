//! How other threads reach a service's loop: letters, and a descriptor that wakes it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// Letters for a loop that waits in epoll(7).
#[derive(Debug)]
pub struct Mailbox<Letters> {
    wake: EventFd,
    letters: Mutex<Letters>,
}

impl<Letters: Default> Mailbox<Letters> {
    /// An empty one.
    pub fn new() -> io::Result<Arc<Self>> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        let wake = EventFd::from_value_and_flags(0, flags)?;
        Ok(Arc::new(Self { wake, letters: Mutex::default() }))
    }

    /// Readable while there are letters.
    pub fn wake(&self) -> &EventFd {
        &self.wake
    }

    /// Puts a letter in.
    pub fn put(&self, letter: impl FnOnce(&mut Letters)) {
        letter(&mut self.letters.lock().unwrap_or_else(PoisonError::into_inner));
        // It only fails when the counter is full, and then the loop is awake.
        let _ = self.wake.write(1);
    }

    /// Takes all letters out.
    pub fn empty(&self) -> Letters {
        let _ = self.wake.read();
        std::mem::take(&mut *self.letters.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
