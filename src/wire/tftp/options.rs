//! What client and server agree on before the first block (RFC 2347, 2348, 2349, 7440).

use super::packet::{Mode, Request};

/// How far we go along with a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// The largest block in bytes, 8 to 65,464: what fits into the path's MTU.
    pub block: u16,
    /// The largest window in blocks, at least 1.
    pub window: u16,
}

/// Bytes that a window may have: a larger one is cut to so many blocks. More than a switch port
/// buffers is only lost.
const WINDOW_BYTES: u32 = 128 << 10;

/// What was agreed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Payload bytes in every DATA but the last.
    pub block: u16,
    /// Blocks that may be on their way without an ACK.
    pub window: u16,
    /// Seconds between repeats, when the client chose them.
    pub timeout: Option<u8>,
    /// The body of the OACK; empty when nothing was accepted, and then none is sent.
    pub oack: Vec<u8>,
}

/// Blocks as RFC 1350 has them.
const PLAIN_BLOCK: u16 = 512;

/// Accepts what we understand and can do, and passes over the rest: an unknown option, an
/// impossible value, a second option of the same name. `size` is the length of the body.
///
/// Netascii changes the length as it goes: it gets no `tsize`, and one block at a time.
pub fn settle(request: &Request<'_>, size: u64, bounds: Bounds) -> Terms {
    let mut terms = Terms { block: PLAIN_BLOCK, window: 1, timeout: None, oack: Vec::new() };
    let bounds = Bounds { window: bounds.window.min(windows_of(request, bounds)), ..bounds };
    let mut seen = [false; 4];
    for (name, value) in request.options {
        let names = ["blksize", "tsize", "timeout", "windowsize"];
        let Some(which) = names.iter().position(|n| name.eq_ignore_ascii_case(n.as_bytes())) else {
            continue;
        };
        if std::mem::replace(&mut seen[which], true) {
            continue;
        }
        let Some(value) = decimal(value) else { continue };
        let octet = request.mode == Mode::Octet;
        let accepted = match which {
            0 => block(value, bounds).inspect(|block| terms.block = *block).map(u64::from),
            // curl takes a size of 0 for a bad packet and gives up; nobody needs to hear it.
            1 => (octet && size > 0).then_some(size),
            2 => seconds(value).inspect(|seconds| terms.timeout = Some(*seconds)).map(u64::from),
            _ => octet
                .then(|| window(value, bounds))
                .flatten()
                .inspect(|window| terms.window = *window)
                .map(u64::from),
        };
        if let Some(accepted) = accepted {
            terms.oack.extend_from_slice(format!("{}\0{accepted}\0", names[which]).as_bytes());
        }
    }
    terms
}

/// The block size that a client asks for; none where it does not.
pub fn asked_block(request: &Request<'_>) -> Option<u64> {
    asked(request, b"blksize")
}

/// The window that a client asks for; none where it does not.
pub fn asked_window(request: &Request<'_>) -> Option<u64> {
    asked(request, b"windowsize")
}

fn asked(request: &Request<'_>, option: &[u8]) -> Option<u64> {
    let mut values = request.options.filter(|(name, _)| name.eq_ignore_ascii_case(option));
    values.next().and_then(|(_, value)| decimal(value))
}

/// Blocks in [`WINDOW_BYTES`], whichever of the two options comes first.
fn windows_of(request: &Request<'_>, bounds: Bounds) -> u16 {
    let size = asked_block(request).and_then(|asked| block(asked, bounds)).unwrap_or(PLAIN_BLOCK);
    u16::try_from(WINDOW_BYTES / u32::from(size)).unwrap_or(u16::MAX).max(1)
}

/// RFC 2348: 8 to 65,464. We may answer less than was asked, so more is simply cut.
fn block(asked: u64, bounds: Bounds) -> Option<u16> {
    (asked >= 8).then(|| u16::try_from(asked).map_or(bounds.block, |a| a.min(bounds.block)).max(8))
}

/// RFC 2349: 1 to 255; another value than the one asked for may not be answered.
fn seconds(asked: u64) -> Option<u8> {
    u8::try_from(asked).ok().filter(|seconds| *seconds > 0)
}

/// RFC 7440: 1 to 65,535; less than asked for may be answered.
fn window(asked: u64, bounds: Bounds) -> Option<u16> {
    (asked >= 1)
        .then(|| u16::try_from(asked).map_or(bounds.window, |a| a.min(bounds.window)).max(1))
}

/// Digits only; too many of them stand for a very large number.
fn decimal(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits.then(|| {
        let step = |sum: u64, b: &u8| sum.saturating_mul(10).saturating_add(u64::from(b - b'0'));
        value.iter().fold(0, step)
    })
}

#[cfg(test)]
mod tests {
    use super::super::packet::Options;
    use super::*;

    const BOUNDS: Bounds = Bounds { block: 1428, window: 16 };
    const WIDE: Bounds = Bounds { block: 65_464, window: 64 };

    /// Options and the OACK as words; a file of 1000 bytes.
    fn check_mode(mode: Mode, asked: &str, oack: &str) -> Terms {
        let options = asked.split_whitespace().fold(String::new(), |all, word| all + word + "\0");
        let options = Options(options.as_bytes());
        let terms = settle(&Request { name: b"f", mode, options }, 1000, BOUNDS);
        let words: Vec<_> = Options(&terms.oack)
            .map(|(name, value)| format!("{} {}", name.escape_ascii(), value.escape_ascii()))
            .collect();
        assert_eq!(words.join(" "), oack, "{asked}");
        terms
    }

    fn check(asked: &str, oack: &str) -> Terms {
        check_mode(Mode::Octet, asked, oack)
    }

    #[test]
    fn accepts_block_sizes_up_to_the_bound() {
        assert_eq!(check("blksize 8", "blksize 8").block, 8);
        assert_eq!(check("blksize 1024", "blksize 1024").block, 1024);
        assert_eq!(check("BLKSIZE 65464", "blksize 1428").block, 1428);
        assert_eq!(check("blksize 99999999999999999999", "blksize 1428").block, 1428);
        assert_eq!(check("", "").block, 512);
    }

    #[test]
    fn leaves_out_what_it_refuses() {
        for asked in [
            "blksize 7",
            "blksize -8",
            "blksize x",
            "blksize 0",
            "timeout 0",
            "timeout 256",
            "tsize x",
            "windowsize 0",
            "multicast 1",
            "blksize",
            "rollover 0",
        ] {
            let terms = check(asked, "");
            assert_eq!((terms.block, terms.window, terms.timeout), (512, 1, None), "{asked}");
        }
        check("foo 1 tsize 0 blksize 3 TimeOut 5", "tsize 1000 timeout 5");
    }

    #[test]
    fn takes_the_first_of_two_equal_options() {
        assert_eq!(check("blksize 600 blksize 700", "blksize 600").block, 600);
    }

    #[test]
    fn netascii_has_neither_size_nor_window() {
        let terms = check_mode(Mode::Netascii, "tsize 0 windowsize 8 blksize 600", "blksize 600");
        assert_eq!(terms.window, 1);
    }

    #[test]
    fn an_empty_file_has_no_size_to_tell() {
        let request = Request { name: b"f", mode: Mode::Octet, options: Options(b"tsize\x000\0") };
        assert!(settle(&request, 0, BOUNDS).oack.is_empty());
    }

    #[test]
    fn windows_are_cut_to_the_bound() {
        assert_eq!(check("windowsize 64", "windowsize 16").window, 16);
        assert_eq!(check("windowsize 3", "windowsize 3").window, 3);
    }

    #[test]
    fn a_window_is_cut_to_the_bytes_that_it_may_have() {
        for (options, window) in [
            (&b"windowsize\x0064\0blksize\x008192\0"[..], 16),
            (b"blksize\x0065464\0windowsize\x0064\0", 2),
            (b"windowsize\x00100\0", 64),
            (b"windowsize\x0064\0blksize\x001428\0", 64),
        ] {
            let request = Request { name: b"f", mode: Mode::Octet, options: Options(options) };
            assert_eq!(settle(&request, 9, WIDE).window, window, "{}", options.escape_ascii());
        }
    }
}
