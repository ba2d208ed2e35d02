//! What Asterisk says about a call before anything is asked.

use bytes::Bytes;

use crate::base::Tech;

/// Arguments of the dial plan that are kept.
const ARGUMENTS: usize = 16;

/// The lines that matter to us; all others are kept out. Of a repeated one the first counts: what a caller
/// chooses stands behind what Asterisk says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Prelude {
    /// `agi_network_script`: the path of the URL; empty where it has none.
    pub script: Bytes,
    /// `agi_channel`, as `SIP/201-0000002a`.
    pub channel: Bytes,
    /// `agi_type`, as `SIP`.
    pub kind: Bytes,
    /// `agi_extension`: what was dialled.
    pub extension: Bytes,
    /// `agi_arg_1` and so on.
    pub arguments: Vec<Bytes>,
}

impl Prelude {
    /// Takes in one line.
    pub(super) fn line(&mut self, line: &Bytes) {
        let Some(at) = line.iter().position(|b| *b == b':') else { return };
        let value = line.slice(at + 1..);
        let value = if value.starts_with(b" ") { value.slice(1..) } else { value };
        let slot = match &line[..at] {
            b"agi_network_script" => &mut self.script,
            b"agi_channel" => &mut self.channel,
            b"agi_type" => &mut self.kind,
            b"agi_extension" => &mut self.extension,
            name if name.starts_with(b"agi_arg_") => {
                if self.arguments.len() < ARGUMENTS {
                    self.arguments.push(value);
                }
                return;
            }
            _ => return,
        };
        if slot.is_empty() {
            *slot = value;
        }
    }

    /// The token and the name of `TOKEN/NAME?query`; what is missing is empty.
    pub fn path(&self) -> (&[u8], &[u8]) {
        let path = self.script.split(|b| *b == b'?').next().unwrap_or_default();
        match path.iter().position(|b| *b == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (path, b""),
        }
    }

    /// The channel driver that the call came in by; none for others, as `Local`.
    pub fn tech(&self) -> Option<Tech> {
        [Tech::Sip, Tech::Pjsip].into_iter().find(|tech| tech.name().as_bytes() == &self.kind[..])
    }
}

/// The account in the name of a channel: `201` of `SIP/201-0000002a`. Names may hold hyphens: the last one
/// counts, and 8 hexadecimal digits stand behind it.
pub fn account(channel: &[u8], tech: Tech) -> Option<&[u8]> {
    let rest = channel.strip_prefix(tech.name().as_bytes())?.strip_prefix(b"/")?;
    let cut = rest.iter().rposition(|b| *b == b'-')?;
    let number = &rest[cut + 1..];
    let whole = number.len() == 8 && number.iter().all(u8::is_ascii_hexdigit) && cut > 0;
    whole.then_some(&rest[..cut])
}
