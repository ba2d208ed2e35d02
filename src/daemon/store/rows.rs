//! How parts are written down: the texts that many files share once, beside them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tracing::warn;

use super::super::journal::{Batch, BlobHash};
use crate::base::{Body, hex, latin1};
use crate::family::Artifact;
use crate::plan::generation::PhonePart;

/// Something with files, and the bytes of these in their order.
#[derive(Serialize, Deserialize)]
struct Row<T> {
    what: T,
    files: Vec<File>,
}

#[derive(Serialize, Deserialize)]
struct File {
    /// The text that `bytes` are a patch to; none where they are all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    like: Option<String>,
    #[serde(with = "latin1")]
    bytes: Bytes,
}

/// What can be written as a row.
pub(super) trait Files {
    fn files(&self) -> impl Iterator<Item = &Artifact>;
    fn files_mut(&mut self) -> impl Iterator<Item = &mut Artifact>;
}

impl Files for PhonePart {
    fn files(&self) -> impl Iterator<Item = &Artifact> {
        self.variants.iter().flat_map(|v| &v.artifacts)
    }

    fn files_mut(&mut self) -> impl Iterator<Item = &mut Artifact> {
        self.variants.iter_mut().flat_map(|v| &mut v.artifacts)
    }
}

impl Files for Vec<Artifact> {
    fn files(&self) -> impl Iterator<Item = &Artifact> {
        self.iter()
    }

    fn files_mut(&mut self) -> impl Iterator<Item = &mut Artifact> {
        self.iter_mut()
    }
}

/// The texts that rows refer to. A text is known by its address, so that it is hashed once.
#[derive(Debug, Default)]
pub(super) struct Texts(HashMap<usize, (Arc<[u8]>, BlobHash)>);

impl Texts {
    /// Takes in texts that are stored already.
    pub(super) fn stored(blobs: impl IntoIterator<Item = (BlobHash, Bytes)>) -> Self {
        let text = |(hash, bytes): (BlobHash, Bytes)| {
            let text: Arc<[u8]> = bytes.as_ref().into();
            (place(&text), (text, hash))
        };
        Self(blobs.into_iter().map(text).collect())
    }

    fn with_hash(&self, hash: &BlobHash) -> Option<Arc<[u8]>> {
        self.0.values().find(|(_, known)| known == hash).map(|(text, _)| text.clone())
    }

    /// The row of `what`; texts that are not stored yet go into the batch.
    pub(super) fn write<T: Files + Serialize>(&mut self, what: &T, batch: &mut Batch) -> Bytes {
        let files = what.files().map(|artifact| {
            let (text, patch) = artifact.body.parts();
            if patch.is_empty() {
                return File { like: None, bytes: artifact.bytes() };
            }
            let known = self.0.entry(place(text));
            let (_, hash) = known
                .or_insert_with(|| (text.clone(), batch.put_blob(Bytes::from_owner(text.clone()))));
            File { like: Some(hex::encode(hash)), bytes: Bytes::copy_from_slice(patch) }
        });
        let files = files.collect();
        super::json(&Row { what, files })
    }

    /// What was written as this row.
    pub(super) fn read<T: Files + DeserializeOwned>(&self, row: &[u8]) -> Option<T> {
        let Row { mut what, files } = super::read::<Row<T>>(row)?;
        let bodies: Option<Vec<Body>> = files.iter().map(|file| self.body(file)).collect();
        let bodies = bodies.filter(|bodies| bodies.len() == what.files().count());
        let Some(bodies) = bodies else {
            warn!("a stored file does not fit its text and is left out");
            return None;
        };
        what.files_mut().zip(bodies).for_each(|(artifact, body)| artifact.body = body);
        Some(what)
    }

    fn body(&self, file: &File) -> Option<Body> {
        match &file.like {
            None => Some(Body::from(file.bytes.to_vec())),
            Some(hash) => Body::from_parts(self.with_hash(&hex::decode(hash)?)?, &file.bytes),
        }
    }

    /// The texts that these refer to, among those that were written.
    pub(super) fn used<'a>(&self, all: impl Iterator<Item = &'a PhonePart>) -> BTreeSet<BlobHash> {
        let mut used = BTreeSet::new();
        let mut last = None;
        for (text, patch) in all.flat_map(Files::files).map(|artifact| artifact.body.parts()) {
            let place = place(text);
            if !patch.is_empty() && last != Some(place) {
                used.extend(self.0.get(&place).map(|(_, hash)| *hash));
                last = Some(place);
            }
        }
        used
    }

    /// Forgets the texts that are not among these; whether there were any.
    pub(super) fn retain(&mut self, keep: &BTreeSet<BlobHash>) -> bool {
        let before = self.0.len();
        self.0.retain(|_, (_, hash)| keep.contains(hash));
        self.0.len() < before
    }
}

fn place(text: &Arc<[u8]>) -> usize {
    text.as_ptr().addr()
}
