//! Serde form of raw bytes: one character a byte, lossless and readable.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes each byte as the Latin-1 character of its value.
pub fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&bytes.iter().map(|b| char::from(*b)).collect::<String>())
}

/// Reads it back; a character above U+00FF is an error.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(from)?;
    let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
    bytes.map(Bytes::from).map_err(|_| serde::de::Error::custom("a character that is no byte"))
}
