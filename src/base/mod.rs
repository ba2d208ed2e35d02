//! The smallest words of the design: MAC addresses, names, secrets, places in files, diagnostics.

pub mod body;
pub mod cidr;
pub mod diagnostic;
pub mod hex;
pub mod latin1;
pub mod mac;
pub mod mask;
pub mod name;
pub mod nearest;
pub mod report;
pub mod secret;
pub mod span;
pub mod tech;
pub mod text;
pub mod time;

pub use body::Body;
pub use cidr::Cidr;
pub use diagnostic::{Code, Diagnostic, Level};
pub use mac::Mac;
pub use name::FileName;
pub use secret::{Digest, Key, Secret};
pub use span::{FileId, Place, Sources, Span, Spanned};
pub use tech::Tech;
pub use text::Text;
pub use time::Time;

/// A map for the path of packets: its keys come from the network, so that its hash is seeded anew for
/// each map, and is a fraction of the standard one's work.
pub type HashMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;
