//! The messages about tags.

use crate::base::Code;

macro_rules! codes {
    ($($name:ident $id:literal $title:literal $explain:literal)*) => {
        $(pub(super) static $name: Code = Code { id: $id, title: $title, explain: $explain };)*
        /// Every kind of message about tags.
        pub static CODES: &[&Code] = &[$(&$name),*];
    };
}

codes! {
    BAD_MAC "H0201" "a tag with a bad MAC"
        "A MAC is twelve hexadecimal digits: bare, in pairs all joined by `:` or all by `-`, or in fours joined by `.`. The phone's label shows it."
    NO_PHONE "H0202" "a MAC that is no phone's"
        "All zeros, broadcast and multicast addresses belong to no phone."
    NOT_ATTRIBUTE "H0203" "text in a tag that is no attribute"
        "Behind the MAC only name=value follows, separated by blanks: model, line, label, profile, firmware, ip, guest. A value with blanks stands in double quotes. The tag runs to the end of the line; a tag with anything else in it is not used."
    TWICE "H0204" "an attribute twice in one tag"
        "It cannot be known which one is meant: the tag is not used."
    BAD_VALUE "H0205" "a bad value of an attribute"
        "line is a number from 1 to 99; a quoted value ends with a double quote, and inside it only `\\\"` and `\\\\` are escapes."
    UNKNOWN "H0206" "an unknown attribute"
        "Known are model, line, label, profile, firmware, ip and guest. The rest of the tag is used."
    UNUSED "H0207" "a tag that belongs to no peer"
        "A tag counts on the line of a [section], on the line of a key, or alone on the line directly before a key of its section. Elsewhere it could mean the section before or the one after, and moves when a tool rewrites the file."
    TWO "H0208" "two tags on one section"
        "A section is one account on one line of one phone. Neither tag is used until one is gone."
    NEAR_MISS "H0209" "a comment that looks like a tag"
        "A tag is written `;MAC=00:18:b9:12:34:56`, as the first thing in the comment. To switch a tag off, write `;;MAC=`."
    LOCAL "H0210" "a made-up MAC"
        "The address is marked as administered locally: made up, not assigned to a maker. Desk phones carry assigned ones."
    NO_EDIT "H0211" "a tag that handset does not write"
        "handset tag and handset untag change one line of one file, and only after reading the changed text: Asterisk must see the same sections as before, and no other section may gain or lose a tag. Templates, sections of a file that is included twice, sections with several tags, and lines whose comment cannot be kept are left to you."
}
