//! Every recorded answer gives the same frames, wherever the bytes are cut.

use std::path::Path;

use handset::wire::ami::{Decoder, Item};

fn decode(pieces: &[&[u8]]) -> Vec<Item> {
    let mut decoder = Decoder::new();
    let mut items = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        while let Some(item) = decoder.next() {
            items.push(item.expect("nothing here is too large"));
        }
    }
    items
}

/// Bytes with a banner before them, unless they begin with one.
fn recorded() -> Vec<(String, Vec<u8>)> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ami");
    let files = |folder| std::fs::read_dir(tests.join(folder)).expect("the transcripts");
    // Of Asterisk 16 and 22.
    let files = ["transcripts", "transcripts22"].into_iter().flat_map(files);
    let paths = files.map(|file| file.expect("a file").path());
    let answers = paths.filter(|path| path.extension().is_some_and(|ext| ext == "rsp"));
    let read = |path: std::path::PathBuf| {
        let mut bytes = std::fs::read(&path).expect("a transcript");
        if !bytes.starts_with(b"Asterisk Call Manager/") {
            bytes = [b"Asterisk Call Manager/5.0.4\r\n", &bytes[..]].concat();
        }
        (path.display().to_string(), bytes)
    };
    answers.map(read).collect()
}

#[test]
fn every_transcript_reads_the_same_wherever_it_is_cut() {
    let all = recorded();
    assert!(all.len() > 50, "only {} transcripts", all.len());
    for (name, wire) in all {
        let whole = decode(&[&wire]);
        assert!(
            matches!(&whole[0], Item::Banner(line) if line.starts_with(b"Asterisk Call Manager/")),
            "{name}"
        );
        // Frames print nothing of themselves, on purpose: the name and the place must do.
        for cut in 0..wire.len() {
            assert_eq!(decode(&[&wire[..cut], &wire[cut..]]), whole, "{name} cut at {cut}");
        }
        let bytes: Vec<&[u8]> = wire.chunks(1).collect();
        assert_eq!(decode(&bytes), whole, "{name} byte by byte");
    }
}
