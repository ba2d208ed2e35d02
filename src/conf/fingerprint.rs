//! Whether two configurations mean the same.

use sha2::{Digest, Sha256};

use super::{Conf, Status};

/// SHA-256 over what Asterisk would have: white space, comments, the spelling of includes and what
/// is inherited from where do not change it. It stands for secrets: never show or store it unkeyed.
pub fn fingerprint(conf: &Conf) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update([match conf.status {
        Status::Ok => 0,
        Status::Invalid => 1,
        Status::Missing => 2,
    }]);
    for section in &conf.sections {
        part(&mut hash, section.name.as_bytes());
        hash.update([u8::from(section.template)]);
        hash.update((section.entries.len() as u64).to_be_bytes());
        for entry in &section.entries {
            part(&mut hash, entry.name.as_bytes());
            part(&mut hash, entry.value.as_bytes());
        }
    }
    hash.finalize().into()
}

/// Preceded by its length, so that no two lists collide.
fn part(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}
