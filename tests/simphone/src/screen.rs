//! What XML services show (phones.md §2.15). As everywhere here: what no source allows is refused.

use roxmltree::{Document, Node};

use crate::config::latin1;

/// Bytes of a page; the phone's buffer.
const LONGEST: usize = 14_000;
/// Items of a menu.
const ITEMS: usize = 100;
/// Entries of a directory.
const ENTRIES: usize = 32;
/// Fields of a form.
const FIELDS: usize = 5;
/// Characters of a name.
const NAME: usize = 64;
/// Characters of a text.
const TEXT: usize = 4000;
/// Characters of a URL.
const URL: usize = 256;

/// One page on the display.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields have the names that they have in the XML")]
pub enum Screen {
    /// `CiscoIPPhoneMenu`: names and URLs.
    Menu { title: String, items: Vec<(String, String)>, keys: Vec<SoftKey> },
    /// `CiscoIPPhoneDirectory`: names and numbers.
    Directory { title: String, prompt: String, entries: Vec<(String, String)>, keys: Vec<SoftKey> },
    /// `CiscoIPPhoneInput`.
    Input { title: String, url: String, fields: Vec<Field>, keys: Vec<SoftKey> },
    /// `CiscoIPPhoneText`.
    Text { title: String, text: String, keys: Vec<SoftKey> },
}

/// One soft key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in the XML")]
pub struct SoftKey {
    pub name: String,
    pub url: String,
    pub position: u8,
}

/// One field of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in the XML")]
pub struct Field {
    pub name: String,
    pub parameter: String,
    pub flags: String,
}

impl Screen {
    /// Reads a page, with its media type.
    pub(crate) fn read(media: &str, bytes: &[u8]) -> Result<Self, String> {
        if media != "text/xml" {
            return Err(format!("the media type is {media:?}"));
        }
        if bytes.len() > LONGEST {
            return Err(format!("{} bytes", bytes.len()));
        }
        let text = latin1(bytes);
        if !text.starts_with("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>") {
            return Err("no declaration of ISO-8859-1".into());
        }
        let page = Document::parse(&text).map_err(|error| error.to_string())?;
        let root = page.root_element();
        let keys = keys(root)?;
        let title = short(root, "Title", NAME)?;
        match root.tag_name().name() {
            "CiscoIPPhoneMenu" => {
                let items = pairs(root, "MenuItem", "URL", (ITEMS, URL))?;
                Ok(Self::Menu { title, items, keys })
            }
            "CiscoIPPhoneDirectory" => {
                let entries = pairs(root, "DirectoryEntry", "Telephone", (ENTRIES, NAME))?;
                let prompt = short(root, "Prompt", NAME)?;
                Ok(Self::Directory { title, prompt, entries, keys })
            }
            "CiscoIPPhoneInput" => {
                let fields = children(root, "InputItem", FIELDS, field)?;
                Ok(Self::Input { title, url: short(root, "URL", URL)?, fields, keys })
            }
            "CiscoIPPhoneText" => Ok(Self::Text { title, text: short(root, "Text", TEXT)?, keys }),
            other => Err(format!("{other} is nothing that the phone shows")),
        }
    }

    /// The URL of a soft key.
    pub fn key(&self, name: &str) -> Option<&str> {
        let (Self::Menu { keys, .. }
        | Self::Directory { keys, .. }
        | Self::Input { keys, .. }
        | Self::Text { keys, .. }) = self;
        keys.iter().find(|key| key.name == name).map(|key| key.url.as_str())
    }

    /// What the phone asks for when a form is filled in: the parameters behind its URL, in Latin-1.
    ///
    /// # Errors
    /// It is no form, or has no such field.
    pub fn submit(&self, values: &[(&str, &str)]) -> Result<String, String> {
        let Self::Input { url, fields, .. } = self else { return Err("no form".into()) };
        let mut url = url.clone();
        for (parameter, value) in values {
            if !fields.iter().any(|field| field.parameter == *parameter) {
                return Err(format!("no field {parameter}"));
            }
            let mark = if url.contains('?') { '&' } else { '?' };
            url.push_str(&format!("{mark}{parameter}="));
            for c in value.chars() {
                let byte = u8::try_from(c).map_err(|_| format!("{c} cannot be typed"))?;
                match c {
                    c if c.is_ascii_alphanumeric() => url.push(c),
                    _ => url.push_str(&format!("%{byte:02x}")),
                }
            }
        }
        Ok(url)
    }
}

fn short(node: Node<'_, '_>, name: &str, most: usize) -> Result<String, String> {
    let child = node.children().find(|child| child.has_tag_name(name));
    let text = child.and_then(|child| child.text()).unwrap_or_default();
    match text.chars().count() <= most {
        true => Ok(text.to_owned()),
        false => Err(format!("{name} is longer than {most}: {text}")),
    }
}

fn pairs(
    root: Node<'_, '_>,
    name: &str,
    second: &str,
    (most, length): (usize, usize),
) -> Result<Vec<(String, String)>, String> {
    let pair = |node: Node<'_, '_>| Ok((short(node, "Name", NAME)?, short(node, second, length)?));
    let pairs: Vec<_> = children(root, name, most, pair)?;
    match pairs.iter().all(|(name, second)| !name.is_empty() && !second.is_empty()) {
        true => Ok(pairs),
        false => Err(format!("an empty {name}")),
    }
}

fn children<T>(
    root: Node<'_, '_>,
    name: &str,
    most: usize,
    read: impl Fn(Node<'_, '_>) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let found: Vec<_> = root.children().filter(|child| child.has_tag_name(name)).collect();
    match found.len() <= most {
        true => found.into_iter().map(read).collect(),
        false => Err(format!("{} of {name}", found.len())),
    }
}

fn field(node: Node<'_, '_>) -> Result<Field, String> {
    let flags = short(node, "InputFlags", 2)?;
    let known = ["A", "T", "N", "E", "U", "L", "AP", "TP", "NP", "EP", "UP", "LP"];
    if !known.contains(&flags.as_str()) {
        return Err(format!("input flags {flags:?}"));
    }
    let (name, parameter) = (short(node, "DisplayName", 32)?, short(node, "QueryStringParam", 32)?);
    Ok(Field { name, parameter, flags })
}

fn keys(root: Node<'_, '_>) -> Result<Vec<SoftKey>, String> {
    let key = |node: Node<'_, '_>| {
        let position = short(node, "Position", 1)?;
        let position = position.parse().ok().filter(|at| (1..=8).contains(at));
        let position: u8 = position.ok_or("a soft key's position is 1 to 8")?;
        let url = short(node, "URL", URL)?;
        let own = ["Exit", "Select", "Dial", "EditDial", "Update", "Next"];
        let known = match url.strip_prefix("SoftKey:") {
            Some(name) => own.contains(&name),
            None => url.starts_with("http://"),
        };
        let name = short(node, "Name", 32)?;
        if known { Ok(SoftKey { name, url, position }) } else { Err(format!("soft key {url}")) }
    };
    let keys: Vec<SoftKey> = children(root, "SoftKeyItem", 8, key)?;
    let mut places: Vec<u8> = keys.iter().map(|key| key.position).collect();
    places.sort_unstable();
    places.dedup();
    match places.len() == keys.len() {
        true => Ok(keys),
        false => Err("two soft keys at one place".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(inside: &str) -> Vec<u8> {
        let text = format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n{inside}");
        text.chars().map(|c| u8::try_from(c).unwrap()).collect()
    }

    fn directory(entries: &str) -> Result<Screen, String> {
        let text = format!("<CiscoIPPhoneDirectory>{entries}</CiscoIPPhoneDirectory>");
        Screen::read("text/xml", &page(&text))
    }

    #[test]
    fn a_directory_is_read_in_latin1() {
        let entry = "<DirectoryEntry><Name>M\u{fc} &amp; &quot;X&quot;</Name>\
                     <Telephone>1</Telephone></DirectoryEntry>";
        let Screen::Directory { entries, .. } = directory(entry).unwrap() else { panic!() };
        assert_eq!(entries, [("Mü & \"X\"".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn what_a_phone_would_not_show_is_refused() {
        let entry = "<DirectoryEntry><Name>a</Name><Telephone>1</Telephone></DirectoryEntry>";
        assert!(directory(&entry.repeat(32)).is_ok() && directory(&entry.repeat(33)).is_err());
        assert!(directory(&entry.replace('a', "")).is_err());
        assert!(directory(&entry.replace('a', &"a".repeat(65))).is_err());
        assert!(directory("<Title>a & b</Title>").is_err());
        assert!(Screen::read("text/html", &page("<CiscoIPPhoneMenu/>")).is_err());
        assert!(Screen::read("text/xml", b"<CiscoIPPhoneMenu/>").is_err());
        assert!(Screen::read("text/xml", &page("<CiscoIPPhoneMenu/>")).is_ok());
        assert!(Screen::read("text/xml", &page("<CiscoIPPhoneExecute/>")).is_err());
        let key = |url: &str, position: u8| {
            directory(&format!(
                "<SoftKeyItem><Name>k</Name><URL>{url}</URL><Position>{position}</Position></SoftKeyItem>"
            ))
        };
        assert!(key("SoftKey:Next", 8).is_ok() && key("SoftKey:Next", 9).is_err());
        assert!(key("SoftKey:Jump", 1).is_err() && key("javascript:1", 1).is_err());
    }

    #[test]
    fn a_form_is_sent_in_latin1() {
        let item = "<InputItem><DisplayName>Name</DisplayName><QueryStringParam>n</QueryStringParam>\
                    <InputFlags>A</InputFlags></InputItem>";
        let text = format!("<CiscoIPPhoneInput><URL>http://h/d</URL>{item}</CiscoIPPhoneInput>");
        let form = Screen::read("text/xml", &page(&text)).unwrap();
        assert_eq!(form.submit(&[("n", "Mü &")]).unwrap(), "http://h/d?n=M%fc%20%26");
        assert!(form.submit(&[("x", "1")]).is_err() && form.submit(&[("n", "Ł")]).is_err());
    }
}
