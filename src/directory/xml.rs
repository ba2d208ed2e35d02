//! XML for phones, in Latin-1.

/// A document that grows; every text in it is escaped.
pub(super) struct Document(String);

impl Document {
    pub(super) fn new() -> Self {
        Self("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n".to_owned())
    }

    /// `<name>`, what `inside` writes, `</name>`.
    pub(super) fn element(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.tag("<", name);
        self.0.push('\n');
        inside(self);
        self.tag("</", name);
        self.0.push('\n');
    }

    /// `<name>text</name>`.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.tag("<", name);
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&apos;"),
                // XML has no other control characters, and Latin-1 nothing above.
                '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => self.0.push(' '),
                '\u{100}'.. => self.0.push('?'),
                c => self.0.push(c),
            }
        }
        self.tag("</", name);
        self.0.push('\n');
    }

    fn tag(&mut self, bracket: &str, name: &str) {
        self.0.push_str(bracket);
        self.0.push_str(name);
        self.0.push('>');
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        self.0.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect()
    }
}
