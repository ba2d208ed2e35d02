//! What a firmware image is, as far as its first bytes tell. Nothing here can prove that a phone will
//! take it: the key that checks the signature is in the phone. What can be told is whether a file
//! carries a signature's header at all, which name it was signed under, what a `.loads` file lists, and
//! whether the size is one that such a file can have.
//!
//! The header is the maker's usual one for signed files, as public tools for `.sgn` files read it: tags
//! of one byte with lengths of two, the version and the length of the whole header first, the name
//! under tag 14, single bytes 13 as padding. It fits what is known of these phones' images: of two sets,
//! each `.sbn` is 404 bytes longer than the `.bin` beside it (phones.md §2.6).

use std::collections::BTreeMap;
use std::fmt;

use super::manifest::FirmwareFacts;

/// So many bytes of a file are looked at; a `.loads` file that is longer is none.
pub const HEAD: usize = 4096;

/// Images by the name of the file.
pub type Images = BTreeMap<String, Image>;

/// What is known about one file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Image {
    /// Its size, bytes.
    pub size: u64,
    /// The signature's header, where there is one.
    pub signed: Option<Signed>,
    /// What a `.loads` file lists.
    pub lists: Option<Lists>,
}

/// The header of a signed file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Signed {
    /// The length of the header, bytes.
    pub length: usize,
    /// The name that the file was signed under, where the header tells it.
    pub name: Option<String>,
}

/// The text of a `.loads` file: names of images and `LA_VERSION`, one a line, LF or CR LF.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lists {
    /// The images that the phone fetches next, unless it has them.
    pub images: Vec<String>,
    /// `LA_VERSION`.
    pub version: Option<String>,
}

/// What is wrong with a file as an image of its kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Odd {
    /// Nothing in it.
    Empty,
    /// No image of this kind is so small, or so large.
    Size(u64),
    /// Its kind is signed, and there is no signature's header.
    Unsigned,
    /// Its kind is not signed, and there is a signature's header.
    Signed,
    /// The header says that it is longer than the file.
    Cut,
    /// It was signed under another name.
    Name(String),
    /// A `.loads` file that lists no image.
    ListsNothing,
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::Size(size) => write!(f, "no such image has {size} bytes"),
            Self::Unsigned => f.write_str("it carries no signature"),
            Self::Signed => f.write_str("it carries a signature, and must not"),
            Self::Cut => f.write_str("it is cut short"),
            Self::Name(name) => write!(f, "it was signed as `{name}`"),
            Self::ListsNothing => f.write_str("it lists no image"),
        }
    }
}

impl Odd {
    /// Whether no phone may be sent to it. A name may have been changed on purpose.
    pub fn bars(&self) -> bool {
        !matches!(self, Self::Name(_))
    }
}

/// Looks at a file: its name, its size, and its first [`HEAD`] bytes.
pub fn read(name: &str, size: u64, head: &[u8]) -> Image {
    let head = &head[..head.len().min(HEAD)];
    let signed = header(head);
    let body = signed.as_ref().map_or(0, |signed| signed.length);
    let whole = usize::try_from(size).is_ok_and(|size| size <= head.len());
    let lists = (name.ends_with(".loads") && whole).then(|| lists(head.get(body..).unwrap_or(&[])));
    Image { size, signed, lists }
}

/// A number of two bytes.
fn short(bytes: &[u8]) -> Option<usize> {
    Some(usize::from(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?])))
}

const VERSION: u8 = 1;
const LENGTH: u8 = 2;
/// Tags that only hold others.
const GROUPS: [u8; 3] = [3, 7, 9];
const PADDING: u8 = 13;
const NAME: u8 = 14;
const LAST: u8 = 15;

fn header(head: &[u8]) -> Option<Signed> {
    let first = head.get(..3)? == [VERSION, 0, 2];
    let second = head.get(5..8)? == [LENGTH, 0, 2];
    let length = short(head.get(8..)?).filter(|length| first && second && *length >= 10)?;
    let mut signed = Signed { length, name: None };
    let mut rest = head.get(10..length.min(head.len()))?;
    while let [tag, behind @ ..] = rest {
        if *tag == PADDING {
            rest = behind;
            continue;
        }
        let Some(length) = short(behind).filter(|_| (1..=LAST).contains(tag)) else { break };
        let behind = &behind[2..];
        if GROUPS.contains(tag) {
            rest = behind;
            continue;
        }
        let Some((value, behind)) = behind.split_at_checked(length) else { break };
        if *tag == NAME {
            let text = value.strip_suffix(b"\0").unwrap_or(value);
            signed.name = std::str::from_utf8(text).ok().filter(|t| plain(t)).map(str::to_owned);
        }
        rest = behind;
    }
    Some(signed)
}

/// A name that can be one of a file beside this one.
fn plain(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_graphic() && b != b'/';
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}

fn lists(text: &[u8]) -> Lists {
    let mut lists = Lists::default();
    let lines = text.split(|b| matches!(b, b'\n' | b'\r' | 0));
    for line in lines.filter_map(|line| std::str::from_utf8(line.trim_ascii()).ok()) {
        if let Some(version) = line.strip_prefix("LA_VERSION=") {
            lists.version = Some(version.chars().filter(char::is_ascii_graphic).take(64).collect());
        } else if plain(line) && line.contains('.') && lists.images.len() < 16 {
            lists.images.push(line.to_owned());
        }
    }
    lists
}

impl Image {
    /// What is wrong with it under this name, by what the family says of its images.
    pub fn odd(&self, name: &str, facts: &FirmwareFacts) -> Vec<Odd> {
        if self.size == 0 {
            return vec![Odd::Empty];
        }
        let kind = name.rsplit_once('.').map_or("", |(_, kind)| kind);
        let mut odd = Vec::new();
        let range = facts.sizes.iter().find(|(of, _)| of == kind);
        if range.is_some_and(|(_, range)| !range.contains(&self.size)) {
            odd.push(Odd::Size(self.size));
        }
        let signs = facts.signed.iter().any(|of| of == kind);
        match &self.signed {
            None if signs => odd.push(Odd::Unsigned),
            Some(_) if !signs => odd.push(Odd::Signed),
            Some(signed) if signed.length as u64 > self.size => odd.push(Odd::Cut),
            Some(Signed { name: Some(own), .. }) if own != name => odd.push(Odd::Name(own.clone())),
            _ => {}
        }
        if self.lists.as_ref().is_some_and(|lists| lists.images.is_empty()) {
            odd.push(Odd::ListsNothing);
        }
        odd
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A header as the maker's tools lay it out, around `name`.
    fn signed(name: &str, body: &[u8]) -> Vec<u8> {
        let mut tags = Vec::new();
        let mut tag = |tag: u8, value: &[u8]| {
            tags.push(tag);
            tags.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
            tags.extend(value);
        };
        tag(4, b"CN=nobody\0");
        tag(5, &[1, 2, 3]);
        tag(12, &[0xaa; 128]);
        tag(14, format!("{name}\0").as_bytes());
        tag(15, &[0, 0, 0, 1]);
        let mut file = vec![1, 0, 2, 1, 0, 2, 0, 2, 0, 0, 3, 0, 90];
        file.extend(tags);
        file.extend([13, 13]);
        let length = u16::try_from(file.len()).unwrap().to_be_bytes();
        file[8..10].copy_from_slice(&length);
        file.extend(body);
        file
    }

    fn facts() -> FirmwareFacts {
        let sizes = vec![("loads".to_owned(), 32..=4096), ("sb2".to_owned(), 200..=1000)];
        let signed = ["loads", "sb2", "sbn"].map(str::to_owned).to_vec();
        FirmwareFacts { sizes, signed, ..FirmwareFacts::default() }
    }

    fn check(name: &str, bytes: &[u8], expected: &[&str]) {
        let image = read(name, bytes.len() as u64, bytes);
        let odd: Vec<String> = image.odd(name, &facts()).iter().map(Odd::to_string).collect();
        assert_eq!(odd, expected, "{name}");
    }

    #[test]
    fn a_signed_file_tells_its_name_and_a_plain_one_has_no_header() {
        check("A.sb2", &signed("A.sb2", &[0; 200]), &[]);
        check("A.sb2", &signed("B.sb2", &[0; 200]), &["it was signed as `B.sb2`"]);
        check("A.sb2", &[7; 300], &["it carries no signature"]);
        check("A.bin", &[7; 300], &[]);
        check("A.bin", &signed("A.sbn", b"x"), &["it carries a signature, and must not"]);
        check("A.sb2", b"", &["it is empty"]);
        let small = ["no such image has 9 bytes", "it carries no signature"];
        check("A.sb2", &[7; 9], &small);
        let mut cut = signed("A.sb2", b"");
        cut[8..10].copy_from_slice(&900_u16.to_be_bytes());
        cut.extend([13; 100]);
        check("A.sb2", &cut, &["it is cut short"]);
    }

    #[test]
    fn the_list_is_read_with_either_line_end() {
        let images = ["P003-8-11-00.sbn", "P0S3-8-11-00.sb2"].map(str::to_owned).to_vec();
        for end in ["\n", "\r\n"] {
            let text = ["P003-8-11-00.sbn", "P0S3-8-11-00.sb2", "LA_VERSION=8-11", ""].join(end);
            for bytes in [signed("A.loads", text.as_bytes()), text.into_bytes()] {
                let image = read("A.loads", bytes.len() as u64, &bytes);
                let version = Some("8-11".to_owned());
                assert_eq!(image.lists, Some(Lists { images: images.clone(), version }));
            }
        }
        check("A.loads", &signed("A.loads", b"\n\0"), &["it lists no image"]);
        assert_eq!(read("A.loads", 5000, &[0; 5000]).lists, None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at(
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
            start in 0_usize..40,
            size in any::<u64>(),
        ) {
            let mut file = signed("A.loads", b"A.sb2\nB.sbn\n");
            for (at, byte) in bytes.iter().enumerate() {
                if let Some(old) = file.get_mut(start + at) {
                    *old = *byte;
                }
            }
            for name in ["A.loads", "A.bin", ""] {
                for all in [&file, &bytes] {
                    let _ = read(name, size, all).odd(name, &facts());
                }
            }
        }
    }
}
