//! What can be wrong with an account of pjsip.conf that is tied to a phone.

use super::keys::Type;
use super::object::{Fault, Object};
use crate::base::{Code, Diagnostic, Span};

/// All codes of this module.
pub static CODES: &[&Code] = &[
    &NOT_LOADED,
    &NO_ENDPOINT,
    &TWICE,
    &MISSING,
    &NO_AUTH,
    &NO_PASSWORD,
    &NO_AOR,
    &NO_CONTACTS,
    &STUCK,
    &NOT_IDENTIFIED,
    &NO_CODEC,
    &BARE_MAILBOX,
];

static NOT_LOADED: Code = Code {
    id: "H0430",
    title: "Asterisk rejects an object of pjsip.conf",
    explain: "One key that the type does not know, one bad value or a missing one, and Asterisk does \
              not load the object; after a reload it keeps the one that it had. Keys that begin with \
              `@` are free for anybody. What is known is what Asterisk 22 knows; an older one knows \
              less.",
};

static NO_ENDPOINT: Code = Code {
    id: "H0431",
    title: "the tag is not on an endpoint",
    explain: "An account of chan_pjsip is its endpoint. The tag stands on the section with \
              type=endpoint (or type=wizard); on an aor or auth it counts when exactly one endpoint \
              uses that. The first `type` of a section decides, a template's comes first, and its \
              case counts: `type=Endpoint` is none.",
};

static TWICE: Code = Code {
    id: "H0432",
    title: "two objects of one type and name",
    explain: "With two sections of one name and one type Asterisk loads no object of that type at \
              all from pjsip.conf; after a reload it keeps those that it had. Sections of one name \
              and different types are normal.",
};

static MISSING: Code = Code {
    id: "H0433",
    title: "the endpoint names an object that is not there",
    explain: "auth=, aors= and transport= name sections of pjsip.conf; the case of a name counts.",
};

static NO_AUTH: Code = Code {
    id: "H0434",
    title: "the endpoint has no auth",
    explain: "Without `auth=` anybody may register as this endpoint, and a phone has no password to \
              give. Add a section with type=auth, username and password, and name it in auth=.",
};

static NO_PASSWORD: Code = Code {
    id: "H0435",
    title: "the auth has no password for the phone",
    explain: "The phone needs the password in clear text: `password`. From md5_cred or \
              password_digest none can be computed.",
};

static NO_AOR: Code = Code {
    id: "H0436",
    title: "no AOR has the endpoint's name",
    explain: "A phone registers with one user name. chan_pjsip looks for an endpoint of that name, \
              and then for an AOR of that name in its aors=. So the AOR must be called like the \
              endpoint.",
};

static NO_CONTACTS: Code = Code {
    id: "H0437",
    title: "the AOR accepts no registration",
    explain: "max_contacts is 0 unless set, and then nobody can register. A phone's AOR usually has \
              max_contacts=1 and remove_existing=yes.",
};

static STUCK: Code = Code {
    id: "H0438",
    title: "a phone that moved is refused",
    explain: "With max_contacts=1 and without remove_existing=yes, a phone that comes back with \
              another address or port is refused until its old registration has expired.",
};

static NOT_IDENTIFIED: Code = Code {
    id: "H0439",
    title: "the endpoint is not found by its name",
    explain: "A phone is recognised by the user name in its requests only when identify_by of the \
              endpoint and endpoint_identifier_order of type=global list `username` (both do unless \
              set).",
};

static NO_CODEC: Code = Code {
    id: "H0440",
    title: "no codec is allowed",
    explain: "chan_pjsip allows no codec unless allow= says so: the phone registers, and every call \
              fails.",
};

static BARE_MAILBOX: Code = Code {
    id: "H0441",
    title: "mailbox without a context",
    explain: "Voicemail announces `box@context`. A mailbox written without its context never matches, \
              so the lamp of the phone stays dark.",
};

/// What Asterisk trips over, in words.
pub(super) fn not_loaded(kind: Type, name: &str, fault: &Fault) -> Diagnostic {
    let word = kind.word();
    let error = |text: String| Diagnostic::error(&NOT_LOADED, text);
    let loses = format!("so Asterisk loads no {word} {name}");
    match fault {
        Fault::Key { key, span, near } => {
            let trouble = error(format!("type={word} has no key {key:?}, {loses}")).at(*span);
            match near {
                Some(near) => trouble.help(format!("did you mean {near}?")),
                None => trouble.help(format!("remove it, or write @{key}")),
            }
        }
        Fault::Value { key, span, near } => {
            let trouble = error(format!("{key} does not take this value, {loses}")).at(*span);
            match near {
                Some(near) => trouble.help(format!("did you mean {near}?")),
                None => trouble,
            }
        }
        Fault::Lacks { what, span } => {
            error(format!("{what} is missing, {loses}")).at(*span).help(format!("add {what}="))
        }
    }
}

pub(super) fn twice(kind: Type, places: (Span, Span)) -> Diagnostic {
    let word = kind.word();
    let text = format!("two sections are the same {word}, so Asterisk loads no {word} at all");
    Diagnostic::error(&TWICE, text)
        .at(places.1)
        .see(places.0, "the first one")
        .help("rename or remove one of them")
}

pub(super) fn no_endpoint(tag: Span, section: (&str, Span), what: &str) -> Diagnostic {
    let (name, span) = section;
    Diagnostic::error(&NO_ENDPOINT, format!("[{name}] is {what}, so no phone can be tied to it"))
        .at(tag)
        .see(span, "the section")
        .help("move the tag onto the section with type=endpoint")
}

pub(super) fn missing(endpoint: &Object<'_>, key: &str, name: &str) -> Diagnostic {
    let text = format!("the endpoint {} has {key}={name}, and there is none", endpoint.name);
    Diagnostic::error(&MISSING, text)
        .at(endpoint.place(key))
        .help(format!("add a section [{name}] of that type, or correct the name"))
}

pub(super) fn no_auth(endpoint: &Object<'_>) -> Diagnostic {
    let text = format!("the endpoint {} has no auth, so anybody may register as it", endpoint.name);
    Diagnostic::error(&NO_AUTH, text)
        .at(endpoint.place("auth"))
        .help("name a section with type=auth in auth=")
}

pub(super) fn no_password(auth: &Object<'_>) -> Diagnostic {
    let text = format!("the auth {} has no password that could be given to a phone", auth.name);
    Diagnostic::error(&NO_PASSWORD, text).at(auth.span).help("write password= into it")
}

pub(super) fn no_aor(endpoint: &Object<'_>) -> Diagnostic {
    let name = &endpoint.name;
    let text = format!("the endpoint {name} has no AOR called {name}");
    Diagnostic::error(&NO_AOR, text)
        .at(endpoint.place("aors"))
        .help(format!("add [{name}] with type=aor, and aors={name} to the endpoint"))
}

pub(super) fn no_contacts(aor: &Object<'_>) -> Diagnostic {
    let text = format!("nobody can register at the AOR {}: max_contacts is 0", aor.name);
    Diagnostic::error(&NO_CONTACTS, text)
        .at(aor.place("max_contacts"))
        .help("write max_contacts=1 and remove_existing=yes")
}

pub(super) fn stuck(aor: &Object<'_>) -> Diagnostic {
    let text = format!("a phone that moved is refused at the AOR {} for a while", aor.name);
    Diagnostic::warning(&STUCK, text).at(aor.place("max_contacts")).help("add remove_existing=yes")
}

pub(super) fn not_identified(endpoint: &Object<'_>, place: Span) -> Diagnostic {
    let text = format!("the endpoint {} is not found by the phone's user name", endpoint.name);
    Diagnostic::error(&NOT_IDENTIFIED, text).at(place).help("add username to the list")
}

pub(super) fn no_codec(endpoint: &Object<'_>) -> Diagnostic {
    let place = endpoint.last("allow").or_else(|| endpoint.last("disallow"));
    let text = format!("no codec is allowed to the endpoint {}", endpoint.name);
    Diagnostic::warning(&NO_CODEC, text)
        .at(place.map_or(endpoint.span, |field| field.span))
        .help("allow at least one, as in allow=ulaw,alaw")
}

pub(super) fn bare_mailbox(name: &str, place: Span) -> Diagnostic {
    Diagnostic::warning(&BARE_MAILBOX, format!("the mailbox {name} has no context"))
        .at(place)
        .help(format!("write {name}@default, or the context of voicemail.conf that holds it"))
}
