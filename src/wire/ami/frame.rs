//! Bytes to frames.
//!
//! What Asterisk really sends: lines end in CR LF, and values may hold any other byte, a bare LF
//! too (every error text of chan_pjsip ends in one), so a frame can end early and an empty one
//! follow; some lines have no colon; keys repeat. Hence: split at LF, strip one CR, skip empty
//! frames, keep odd lines.

use std::fmt;

use bytes::{Bytes, BytesMut};

/// The longest line that is kept, in bytes (GetConfigJSON is one line, and the longest).
pub const LINE_LIMIT: usize = 1 << 20;

/// The most that one frame may hold, in bytes, each line counted with [`LINE_COST`] more.
pub const FRAME_LIMIT: usize = 16 << 20;

/// What keeping one line costs beside its bytes.
const LINE_COST: usize = 64;

/// One message of the server: its lines in order, repeats included.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// Lines with a colon: the key, and the value without the blanks before it.
    pub headers: Vec<(Bytes, Bytes)>,
    /// Lines without a colon.
    pub bare: Vec<Bytes>,
}

/// Frames can hold secrets: only counts are printed.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} headers, {} other lines)", self.headers.len(), self.bare.len())
    }
}

impl Frame {
    fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.bare.is_empty()
    }

    fn push(&mut self, line: &Bytes) {
        match line.iter().position(|&b| b == b':') {
            Some(colon) => {
                let value = line.slice(colon + 1..);
                let blanks = value.iter().take_while(|&&b| b == b' ').count();
                self.headers.push((line.slice(..colon), value.slice(blanks..)));
            }
            None => self.bare.push(line.clone()),
        }
    }
}

/// What the server sent next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The first line of a connection, which belongs to no frame: `Asterisk Call Manager/5.0.4`.
    Banner(Bytes),
    /// A message.
    Frame(Frame),
}

/// A line or a frame was larger than [`LINE_LIMIT`] or [`FRAME_LIMIT`] and is lost as a whole. The
/// decoder goes on with the next frame; what the lost one said must be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of Asterisk is too large")]
pub struct TooLarge;

/// Cuts a connection's bytes, in whatever pieces they come, into [`Item`]s. It holds one frame and
/// one line at most, so empty it with [`Decoder::next`] after every [`Decoder::push`].
#[derive(Default)]
pub struct Decoder {
    buffer: BytesMut,
    /// Bytes of `buffer` that are known to hold no LF.
    scanned: usize,
    frame: Frame,
    /// What `frame` costs.
    size: usize,
    greeted: bool,
    /// Dropping a frame that is too large, up to its end.
    skipping: Option<Skip>,
}

/// Where in a dropped frame we are.
struct Skip {
    /// Nothing but CR was seen in the line so far.
    blank: bool,
}

impl Decoder {
    /// A decoder for a new connection: the first item is the banner.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the connection.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next item, or none until more bytes come.
    ///
    /// # Errors
    /// [`TooLarge`], once for each message that was dropped.
    #[allow(clippy::should_implement_trait)] // none means "not yet", unlike an iterator's end
    pub fn next(&mut self) -> Option<Result<Item, TooLarge>> {
        loop {
            if self.skipping.is_some() && !self.skip() {
                return None;
            }
            let Some(line) = self.line() else {
                return (self.buffer.len() > LINE_LIMIT).then(|| self.drop_frame());
            };
            if !self.greeted {
                self.greeted = true;
                return Some(Ok(Item::Banner(line)));
            }
            match self.take(&line) {
                Some(item) => return Some(item),
                None => continue,
            }
        }
    }

    /// One line without its end.
    fn line(&mut self) -> Option<Bytes> {
        let Some(at) = self.buffer[self.scanned..].iter().position(|&b| b == b'\n') else {
            self.scanned = self.buffer.len();
            return None;
        };
        let mut line = self.buffer.split_to(self.scanned + at + 1).freeze();
        self.scanned = 0;
        line.truncate(line.len() - 1);
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        Some(line)
    }

    /// Adds a line to the frame; an empty one ends it.
    fn take(&mut self, line: &Bytes) -> Option<Result<Item, TooLarge>> {
        if line.is_empty() {
            self.size = 0;
            let frame = std::mem::take(&mut self.frame);
            return (!frame.is_empty()).then_some(Ok(Item::Frame(frame)));
        }
        self.size += line.len() + LINE_COST;
        if line.len() > LINE_LIMIT || self.size > FRAME_LIMIT {
            let error = self.drop_frame();
            // This line was complete, so the next byte begins another.
            self.skipping = Some(Skip { blank: true });
            return Some(error);
        }
        self.frame.push(line);
        None
    }

    /// Forgets the frame and skips to its end. A banner that is too long is taken as given.
    fn drop_frame(&mut self) -> Result<Item, TooLarge> {
        (self.frame, self.size, self.greeted) = (Frame::default(), 0, true);
        self.skipping = Some(Skip { blank: false });
        Err(TooLarge)
    }

    /// Drops bytes up to the end of the frame; whether it was reached.
    fn skip(&mut self) -> bool {
        let Some(skip) = &mut self.skipping else { return true };
        let end = self.buffer.iter().position(|&byte| {
            let ends = byte == b'\n' && skip.blank;
            skip.blank = byte == b'\n' || (skip.blank && byte == b'\r');
            ends
        });
        let _ = self.buffer.split_to(end.map_or(self.buffer.len(), |at| at + 1));
        self.scanned = 0;
        if end.is_some() {
            self.skipping = None;
        }
        end.is_some()
    }
}

#[cfg(test)]
mod tests;
