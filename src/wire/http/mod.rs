//! What HTTP requests mean, without I/O: names, queries, parts of files, conditions, dates
//! (RFC 9110). The messages themselves are hyper's.

mod condition;
mod date;
mod path;
mod query;
mod range;

#[cfg(test)]
mod tests;

pub use condition::{matches, modified};
pub use date::http_date;
pub use path::{MAX_PATH, name};
pub use query::{decode, encode, query};
pub use range::{Part, part};

/// What a file is, by its extension. Phones want `text/xml` for XML and nothing else behind it
/// (phones.md §2.15).
pub fn media_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase());
    match extension.as_deref() {
        Some("xml") => "text/xml",
        Some("cnf" | "cfg" | "txt" | "dat" | "loads") => "text/plain",
        Some("bmp") => "image/bmp",
        Some("png") => "image/png",
        Some("wav") => "audio/x-wav",
        _ => "application/octet-stream",
    }
}
