//! Packets and state machines of the protocols, without I/O.

<<<<<<< HEAD
pub mod tftp;
=======
pub mod ami;
>>>>>>> h-ami
