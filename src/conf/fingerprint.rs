//! Whether two configurations mean the same.

use sha2::{Digest, Sha256};

use super::{Conf, Entry, Lineages, Status};

/// SHA-256 over what Asterisk would have: white space, comments, the spelling of includes and what
/// is inherited from where do not change it. It stands for secrets: never show or store it unkeyed.
pub fn fingerprint(conf: &Conf) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update([match conf.status {
        Status::Ok => 0,
        Status::Invalid => 1,
        Status::Missing => 2,
    }]);
    // What many sections inherit is hashed once, up to where their own values begin.
    let mut begun: Lineages<'_, Sha256> = Lineages::default();
    for section in &conf.sections {
        let shared = |entries| all(Sha256::new(), entries);
        let begun = begun.of(&section.entries, shared).clone();
        part(&mut hash, section.name.as_bytes());
        hash.update([u8::from(section.template)]);
        hash.update(all(begun, section.entries.own()).finalize());
    }
    hash.finalize().into()
}

fn all<'a>(mut hash: Sha256, entries: impl IntoIterator<Item = &'a Entry>) -> Sha256 {
    for entry in entries {
        part(&mut hash, entry.name.as_bytes());
        part(&mut hash, entry.value.as_bytes());
    }
    hash
}

/// Preceded by its length, so that no two lists collide.
fn part(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}
