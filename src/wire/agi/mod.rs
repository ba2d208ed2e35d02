//! FastAGI: Asterisk's dial plan hands a call over a TCP connection (asterisk-ami-agi.md, part 2).
//!
//! First come lines `agi_name: value` and an empty one: the [`Prelude`]. Then each command line of ours is answered
//! once: [`command`] writes, [`Answer`] tells. When the caller hangs up, Asterisk says `HANGUP` in between, and
//! goes on answering. Everything is bytes: names of callers are whatever the caller sent.

mod answer;
mod command;
mod prelude;
mod reader;

#[cfg(test)]
mod tests;

pub use answer::Answer;
pub use command::{COMMAND_MAX, Unwritable, command};
pub use prelude::{Prelude, account};
pub use reader::{Broken, Item, Reader};
