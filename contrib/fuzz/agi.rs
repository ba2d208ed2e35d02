//! What must hold of FastAGI.

use handset::base::Tech;
use handset::wire::agi::{Answer, Broken, COMMAND_MAX, Item, Reader, account, command};

/// The first byte is the size of the pieces in which the rest arrives. They give what the whole gives; the prelude
/// comes once and first; a line gives one item at most; every command that can be written is one line that reads
/// as the arguments it was made of.
pub fn agi(data: &[u8]) {
    let Some((size, bytes)) = data.split_first() else { return };
    let whole = items(bytes, bytes.len().max(1));
    assert_eq!(whole, items(bytes, usize::from(*size).max(1)));
    let (items, _) = whole;
    assert!(items.len() <= bytes.iter().filter(|b| **b == b'\n').count());
    for (at, item) in items.iter().enumerate() {
        assert_eq!(matches!(item, Item::Begun(_)), at == 0);
        match item {
            Item::Begun(prelude) => {
                assert!(prelude.arguments.len() <= 16);
                let (token, name) = prelude.path();
                assert!(token.len() + name.len() <= prelude.script.len());
                let tech = prelude.tech().unwrap_or(Tech::Sip);
                assert!(account(&prelude.channel, tech).is_none_or(|name| !name.is_empty()));
            }
            Item::Answer(answer) => {
                assert!(
                    answer.digit().is_none_or(|d| d.is_ascii_alphanumeric() || "*#".contains(d))
                );
                if let Answer::Done { result, data } = answer {
                    assert!(
                        !result.contains(&b' ')
                            && result.len() + data.as_ref().map_or(0, bytes::Bytes::len) < 1 << 17
                    );
                }
            }
            Item::Hangup => {}
        }
    }
    let arguments: Vec<&[u8]> = bytes.split(|b| *b == 0x1e).collect();
    if let Ok(line) = command("VERBOSE", &arguments) {
        assert!(line.len() <= COMMAND_MAX && line.iter().filter(|b| **b == b'\n').count() == 1);
        let read = words(&line[..line.len() - 1]);
        assert_eq!(read[0], b"VERBOSE");
        assert_eq!(read[1..], arguments);
    }
}

fn items(bytes: &[u8], size: usize) -> (Vec<Item>, Option<Broken>) {
    let (mut reader, mut all) = (Reader::default(), Vec::new());
    for piece in bytes.chunks(size) {
        reader.push(piece);
        loop {
            match reader.next() {
                Ok(Some(item)) => all.push(item),
                Ok(None) => break,
                Err(broken) => return (all, Some(broken)),
            }
        }
    }
    (all, None)
}

/// A line as `parse_args` of res_agi reads it.
fn words(line: &[u8]) -> Vec<Vec<u8>> {
    let (mut words, mut quoted, mut escaped, mut blank) =
        (Vec::<Vec<u8>>::new(), false, false, true);
    for byte in line {
        let new = std::mem::take(&mut escaped);
        match byte {
            b'"' if !new => {
                quoted = !quoted;
                if quoted && blank {
                    words.push(Vec::new());
                    blank = false;
                }
            }
            b' ' | b'\t' if !quoted && !new => blank = true,
            b'\\' if !new => escaped = true,
            byte => {
                if blank {
                    words.push(Vec::new());
                    blank = false;
                }
                words.last_mut().expect("a word was begun").push(*byte);
            }
        }
    }
    words
}
