//! sip.conf files of any size, always the same for the same arguments: what large sites have in them,
//! for timing whatever reads it. Include it with `#[path]`.
#![allow(dead_code, reason = "not everyone who includes it needs all of it")]

/// How the peers are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// One file, every peer spells everything out.
    Flat,
    /// One file, templates that build on each other, a few later additions.
    Templates,
    /// The same over so many included files.
    Includes(usize),
}

const GENERAL: &str = "; Written by a test generator.\n[general]\ncontext=default   ; where calls without a peer go\n\
    allowguest = no\nbindaddr=0.0.0.0\nudpbindaddr=0.0.0.0:5060\ntos_sip=cs3\nlanguage=de\ndisallow=all\nallow=alaw\n\
    allow=ulaw\n;allow=g729\n;--\n[oldpeer]\nsecret=gone\n;MAC=00000000DEAD\n--;\nlocalnet=10.0.0.0/255.0.0.0\n\n";

const BASE: &str = "type=friend\nhost=dynamic\nqualify=yes\nnat=no\ndirectmedia=no\ncontext=internal\ndtmfmode=rfc2833\n";

const DESK: &str =
    "call-limit=4\nbusylevel=2\npickupgroup=1\ncallgroup=1\nsubscribecontext=hints\n";

const FIRST: [&str; 8] =
    ["Anna", "Bernd", "Chloé", "Dörte", "Françoise", "Günter", "Ivo", "Øyvind"];
const LAST: [&str; 7] = ["Abel", "Böhm", "Côté", "Eßer", "Jäger", "Müller", "Ott"];

fn templates() -> String {
    let mut text =
        format!("[base](!)\n{BASE}\n[desk](!,base)\n{DESK}\n[queue](!)\ncall-limit=1\n\n");
    for n in 0..20 {
        text += &format!(
            "[group{n}](!,desk)\npickupgroup={}\nsetvar=DEPARTMENT=group{n}\nvmexten=*9{n:02}\n\n",
            n + 1
        );
    }
    text
}

/// The name of a peer.
pub(crate) fn name(n: usize) -> String {
    (100_000 + n).to_string()
}

fn peer(n: usize, shape: Shape) -> String {
    let name = name(n);
    let tag = match n % 10 {
        0 => String::new(),
        1 => format!(" ;MAC={:012X} model=7960", 0x0050_5600_0000_u64 + n as u64),
        _ => format!(" ;MAC={:012X}", 0x0050_5600_0000_u64 + n as u64),
    };
    let mut text = match shape {
        Shape::Flat => format!("[{name}]{tag}\n{BASE}{DESK}"),
        Shape::Templates | Shape::Includes(_) => {
            let queue = if n % 10 == 3 { ",queue" } else { "" };
            format!("[{name}](group{}{queue}){tag}\n", n % 20)
        }
    };
    let (first, last) = (FIRST[n % FIRST.len()], LAST[n % LAST.len()]);
    let gap = if n.is_multiple_of(7) { " = " } else { "=" };
    text += &format!("secret{gap}{:016x}\n", (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    text += &format!(
        "callerid=\"{first} {last}\" <{name}>\nmailbox={name}@default\naccountcode=sales\n"
    );
    if n.is_multiple_of(5) {
        text += "disallow=all\nallow=g722\nallow=alaw   ; wide first\n";
    }
    text + "\n"
}

/// The files: `sip.conf` first, then what it includes.
pub(crate) fn files(peers: usize, shape: Shape) -> Vec<(String, String)> {
    let mut top = GENERAL.to_owned();
    if shape != Shape::Flat {
        top += &templates();
    }
    let mut others = Vec::new();
    if let Shape::Includes(count) = shape {
        for part in 0..count {
            let path = format!("sip.d/peers-{part:04}.conf");
            top += &format!("#include {path}\n");
            let range = part * peers / count..(part + 1) * peers / count;
            others.push((path, range.map(|n| peer(n, shape)).collect()));
        }
    } else {
        top.extend((0..peers).map(|n| peer(n, shape)));
    }
    if shape != Shape::Flat {
        top.extend(
            (0..peers).step_by(100).map(|n| format!("[{}](+)\nsetvar=ASSISTANT=1\n\n", name(n))),
        );
    }
    others.insert(0, ("sip.conf".to_owned(), top));
    others
}
