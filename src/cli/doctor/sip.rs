//! SIP: whether Asterisk answers where the phone's file leads, and takes the passwords in it. The REGISTER has
//! no Contact: it asks for the bindings (RFC 3261 §10.2.3) and leaves the phone's registration alone.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};

use super::Case;
use super::finding::Finding;
use super::net::{Mute, ask, connected, random};
use crate::base::{Code, Diagnostic};
use crate::model::peer::{Peer, Transport};
use crate::wire::sip::{Answer, Login, Question, authorize};

/// All codes of this step.
pub(crate) static CODES: &[&Code] = &[&SILENT, &NOBODY, &SECRET, &UNKNOWN, &DENIED, &ODD];

static SILENT: Code = Code {
    id: "H0940",
    title: "Asterisk's SIP port is silent",
    explain: "Requests vanish: a firewall, a ban of this address (fail2ban), another bindaddr, or another machine. \
              Phones show a cross beside their lines.",
};

static NOBODY: Code = Code {
    id: "H0941",
    title: "nobody listens for SIP there",
    explain: "Asterisk does not run, or listens on another port or address than the phones' files name. Phones \
              show a cross beside their lines.",
};

static SECRET: Code = Code {
    id: "H0942",
    title: "Asterisk refuses the password in the phone's file",
    explain: "The phone fetches its file and then does not register: what is on disk is not what Asterisk has \
              loaded, or the realm or user name differs.",
};

static UNKNOWN: Code = Code {
    id: "H0943",
    title: "Asterisk does not know the peer",
    explain: "The peer is in the files and not in Asterisk's memory: they were not reloaded, or Asterisk rejects \
              them, or reads others. The phone does not register.",
};

static DENIED: Code = Code {
    id: "H0944",
    title: "Asterisk refuses a registration from here",
    explain: "The answer is about the address that asks, or about what the peer may do. A phone at an address that \
              is not permitted does not register.",
};

static ODD: Code = Code {
    id: "H0945",
    title: "Asterisk answers a REGISTER strangely",
    explain: "Neither a challenge nor a plain yes or no came: something else than Asterisk may listen there, or it \
              is starting or overloaded.",
};

/// What Asterisk said to a REGISTER: to the bare one, and to the one with credentials.
#[derive(Clone, Debug)]
struct Said {
    bare: Result<u16, Mute>,
    proved: Option<Result<u16, Mute>>,
    realm: Option<String>,
}

/// Asks for each line of the phone. `known` says of a peer's name whether Asterisk has it in memory.
pub(super) fn examine(case: &Case, known: &BTreeMap<String, bool>) -> Vec<Finding> {
    let phones = &case.reading.phones.phones;
    let Some(phone) = phones.get(&case.phone.mac) else {
        return vec![Finding::skipped("the phone is held back: see the configuration")];
    };
    let mut found = Vec::new();
    let mut heard: BTreeMap<SocketAddr, bool> = BTreeMap::new();
    for line in &phone.lines {
        let peer = &line.peer;
        let registrar = peer.registrar.as_deref().unwrap_or(&case.reading.asterisk.registrar);
        let server = SocketAddr::new(case.server, registrar.port);
        if peer.transport != Transport::Udp {
            found.push(Finding::skipped(format!(
                "peer {} wants another transport than UDP",
                peer.name.value
            )));
            continue;
        }
        let answers = *heard.entry(server).or_insert_with(|| {
            let finding = judge_options(server, &options(server));
            let good = matches!(finding, Finding::Fine(_));
            found.push(finding);
            good
        });
        if answers {
            found.push(line_of(peer, server, known.get(&peer.name.value).copied()));
        }
    }
    found
}

fn line_of(peer: &Peer, server: SocketAddr, known: Option<bool>) -> Finding {
    let name = &peer.name.value;
    match (&peer.secret, &peer.md5secret) {
        (Some(secret), None) => {
            let user = peer.auth_user.as_deref().unwrap_or(name);
            let login = Login {
                user,
                secret: secret.value.reveal(),
                cnonce: &format!("{:016x}", random()),
            };
            judge_register(name, server, &register(server, name, login), known)
        }
        _ => Finding::skipped(format!("the password of peer {name} is not in the files as it is")),
    }
}

/// One question and its final answer; an error text of the system where there is none.
fn exchange(
    socket: &UdpSocket,
    question: &Question<'_>,
    line: Option<&str>,
) -> Result<Answer, Mute> {
    ask(socket, &question.encode(line), |packet| {
        Answer::parse(packet).filter(|answer| answer.code >= 200 && answer.is_to(question))
    })
}

fn options(server: SocketAddr) -> Result<u16, Mute> {
    let socket = connected(server)?;
    let local = socket.local_addr().map_err(|e| Mute::from(&e))?;
    let question =
        Question { method: "OPTIONS", user: None, server, local, id: random(), number: 1 };
    exchange(&socket, &question, None).map(|answer| answer.code)
}

fn register(server: SocketAddr, name: &str, login: Login<'_>) -> Said {
    let asked = connected(server).and_then(|socket| {
        let local = socket.local_addr().map_err(|e| Mute::from(&e))?;
        let question = Question {
            method: "REGISTER",
            user: Some(name),
            server,
            local,
            id: random(),
            number: 1,
        };
        let bare = exchange(&socket, &question, None)?;
        Ok((socket, question, bare))
    });
    let (socket, question, bare) = match asked {
        Ok(found) => found,
        Err(mute) => return Said { bare: Err(mute), proved: None, realm: None },
    };
    let Some(challenge) = bare.challenge() else {
        return Said { bare: Ok(bare.code), proved: None, realm: None };
    };
    let question = Question { number: 2, ..question };
    let line = authorize(&challenge, login, question.method, &question.uri());
    let proved = exchange(&socket, &question, Some(&line)).map(|answer| answer.code);
    Said { bare: Ok(bare.code), proved: Some(proved), realm: Some(challenge.realm().to_owned()) }
}

fn judge_options(server: SocketAddr, said: &Result<u16, Mute>) -> Finding {
    match said {
        Ok(code) => Finding::fine(format!("{server} answers OPTIONS ({code})")),
        Err(mute) => unheard(server, mute),
    }
}

fn unheard(server: SocketAddr, mute: &Mute) -> Finding {
    let (ip, port) = (server.ip(), server.port());
    match mute {
        Mute::Silent => Diagnostic::error(&SILENT, format!("{server} does not answer, and does not refuse"))
            .help(format!(
                "does Asterisk listen on {ip} (udpbindaddr or the transport's bind)? is this address banned? let UDP to port {port} through the firewall"
            ))
            .into(),
        Mute::Refused => Diagnostic::error(&NOBODY, format!("nobody listens on UDP port {port} of {ip}"))
            .help("start Asterisk; its port and address must be those of sip.conf or pjsip.conf, after a restart of Asterisk where they were changed")
            .into(),
        Mute::Failed(why) => Diagnostic::error(&SILENT, format!("{server} cannot be asked: {why}"))
            .help("correct server_address in handset.conf, or this machine's routes")
            .into(),
    }
}

fn judge_register(name: &str, server: SocketAddr, said: &Said, known: Option<bool>) -> Finding {
    let refused = |code: &'static Code, text: String, help: &str| -> Finding {
        Diagnostic::error(code, text).help(help).into()
    };
    let (step, last) = match (&said.bare, &said.proved) {
        (_, Some(last)) => ("with its password", last),
        (last, None) => ("without a password", last),
    };
    match last {
        Err(mute) => unheard(server, mute),
        Ok(200) if said.proved.is_some() => {
            Finding::fine(format!("peer {name}: Asterisk has the password of the phone's file"))
        }
        Ok(200) => {
            Diagnostic::warning(&ODD, format!("peer {name} may register without its password"))
                .help("has Asterisk loaded its secret? reload: handset apply --loaded afterwards")
                .into()
        }
        Ok(code @ (401 | 403 | 404 | 407)) if known == Some(false) || *code == 404 => refused(
            &UNKNOWN,
            format!("peer {name} is not known to Asterisk ({code})"),
            "asterisk -rx 'sip reload' (or 'module reload res_pjsip.so'), and look for errors of the file in Asterisk's log",
        ),
        Ok(code @ (401 | 403 | 407)) if said.proved.is_some() => refused(
            &SECRET,
            format!(
                "peer {name}: Asterisk refuses the password that is on disk ({code}, realm {})",
                said.realm.as_deref().unwrap_or("?")
            ),
            "asterisk -rx 'sip reload' (or 'module reload res_pjsip.so'); if that does not help, the peer's ACL (permit, contactpermit) forbids this address",
        ),
        Ok(code @ (403 | 405 | 488 | 603)) => refused(
            &DENIED,
            format!("peer {name}: {code} to a REGISTER {step}"),
            "look at deny, permit, acl and host= of the peer (host=dynamic may register)",
        ),
        Ok(code) => Diagnostic::error(&ODD, format!("peer {name}: {code} to a REGISTER {step}"))
            .help("look at Asterisk's console: sip set debug on, or pjsip set logger on")
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::verdict;
    use super::*;

    #[test]
    fn each_answer_has_its_meaning() {
        let server = "192.0.2.1:5060".parse().unwrap();
        let check = |bare, proved: Option<Result<u16, Mute>>, known, expected: &str| {
            let said = Said { bare, proved, realm: None };
            assert_eq!(verdict(&judge_register("201", server, &said, known)), expected, "{said:?}");
        };
        let (yes, no) = (Some(true), Some(false));
        check(Ok(401), Some(Ok(200)), yes, "fine");
        check(Ok(200), None, yes, "warning H0945");
        check(Ok(401), Some(Ok(401)), yes, "error H0942");
        check(Ok(401), Some(Ok(403)), None, "error H0942");
        check(Ok(401), Some(Ok(401)), no, "error H0943");
        check(Ok(404), None, None, "error H0943");
        check(Ok(401), Some(Ok(404)), yes, "error H0943");
        check(Ok(403), None, yes, "error H0944");
        check(Ok(401), None, yes, "error H0945");
        check(Ok(503), None, yes, "error H0945");
        check(Err(Mute::Silent), None, yes, "error H0940");
        check(Err(Mute::Refused), None, yes, "error H0941");
        check(Ok(401), Some(Err(Mute::Silent)), yes, "error H0940");
    }

    #[test]
    fn any_answer_to_options_will_do() {
        let server = "192.0.2.1:5060".parse().unwrap();
        for (said, expected) in [
            (Ok(404), "fine"),
            (Err(Mute::Silent), "error H0940"),
            (Err(Mute::Refused), "error H0941"),
            (Err(Mute::Failed("no route".into())), "error H0940"),
        ] {
            assert_eq!(verdict(&judge_options(server, &said)), expected);
        }
    }
}
