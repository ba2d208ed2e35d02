//! A NOTIFY of our own and its client transaction: what to send, when to repeat it, and which answer is
//! its own (RFC 3261 §17.1.2 over UDP). Without a subscription, as Asterisk's: phones take it so.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Answer, escape};
use crate::base::Time;

/// The first repetition comes after this time (RFC 3261, T1); it doubles with each.
const T1: Duration = Duration::from_millis(500);
/// The longest time between two (T2), and the only one after a provisional answer.
const T2: Duration = Duration::from_secs(4);
/// So long for all. RFC 3261 gives 64 times T1, but whoever waits here only wants to know whether a phone
/// is there; six requests were sent by then.
const END: Duration = Duration::from_secs(8);

/// A NOTIFY without a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Notice<'a> {
    /// A line that the phone runs: it answers 404 to any other name, and 400 to none (phones.md §2.11).
    pub user: &'a str,
    /// Where the phone is.
    pub to: SocketAddr,
    /// Where the answer is awaited.
    pub local: SocketAddr,
    /// The server as the phone knows it.
    pub host: &'a str,
    /// The Event header: phones compare it as a whole.
    pub event: &'a str,
    /// Unique and not to be guessed: makes branch, tag and Call-ID.
    pub id: u64,
}

impl Notice<'_> {
    /// The bytes to send.
    pub fn encode(&self) -> Vec<u8> {
        let Self { to, local, id, .. } = self;
        let (user, host) = (escape(self.user), host(self.host));
        let event: String = self.event.chars().filter(|c| !c.is_control()).collect();
        format!(
            "NOTIFY sip:{user}@{to} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};branch={branch};rport\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:handset@{host}>;tag={id:016x}\r\n\
             To: <sip:{user}@{host}>\r\n\
             Contact: <sip:handset@{local}>\r\n\
             Call-ID: {id:016x}@{ip}\r\n\
             CSeq: 1 NOTIFY\r\n\
             User-Agent: handset\r\n\
             Subscription-State: terminated\r\n\
             Event: {event}\r\n\
             Content-Length: 0\r\n\r\n",
            branch = branch(*id),
            ip = local.ip(),
        )
        .into_bytes()
    }
}

fn branch(id: u64) -> String {
    format!("z9hG4bK{id:016x}")
}

/// A name or an address in an address: IPv6 in brackets, and nothing that could end it.
fn host(host: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || ".-:".contains(*c);
    let kept: String = host.chars().filter(plain).collect();
    if kept.contains(':') { format!("[{kept}]") } else { kept }
}

/// The NOTIFY that an answer belongs to, by the branch that only the asked one knows; none when it
/// answers none (RFC 3261 §17.1.3).
pub fn belongs(answer: &Answer) -> Option<u64> {
    let method = |value: &str| value.split_whitespace().nth(1) == Some("NOTIFY");
    if !answer.all("cseq").any(method) {
        return None;
    }
    let via = answer.all("via").chain(answer.all("v")).next()?;
    let parameters = via.split(',').next()?.split(';').skip(1);
    let pairs = parameters.filter_map(|parameter| parameter.split_once('='));
    let (_, branch) = pairs.into_iter().find(|(k, _)| k.trim().eq_ignore_ascii_case("branch"))?;
    let id = branch.trim().strip_prefix("z9hG4bK").filter(|id| id.len() == 16)?;
    u64::from_str_radix(id, 16).ok()
}

/// What a transaction wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due<'a> {
    /// Send this now, and ask again.
    Send(&'a [u8]),
    /// Nothing before then.
    Wait(Time),
    /// No final answer came in time.
    Over,
}

/// One NOTIFY on its way. The clock must not jump.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transaction {
    packet: Vec<u8>,
    next: Time,
    pause: Duration,
    end: Time,
    proceeding: bool,
}

impl Transaction {
    /// Begins one.
    pub fn begin(notice: &Notice<'_>, now: Time) -> Self {
        let packet = notice.encode();
        Self { packet, next: now, pause: T1, end: now.after(END), proceeding: false }
    }

    /// When to ask again at the latest.
    pub fn wake(&self) -> Time {
        self.next.min(self.end)
    }

    /// What is to be done now.
    pub fn due(&mut self, now: Time) -> Due<'_> {
        if now >= self.end {
            return Due::Over;
        }
        if now < self.next {
            return Due::Wait(self.wake());
        }
        self.next = now.after(self.pause);
        self.pause = if self.proceeding { T2 } else { (self.pause * 2).min(T2) };
        Due::Send(&self.packet)
    }

    /// An answer that [`belongs`] to it: the code, when it is the final one.
    pub fn heard(&mut self, answer: &Answer) -> Option<u16> {
        let provisional = answer.code < 200;
        self.proceeding |= provisional;
        if provisional {
            self.pause = T2;
        }
        (!provisional).then_some(answer.code)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn notice() -> Notice<'static> {
        Notice {
            user: "201",
            to: "192.0.2.7:5060".parse().unwrap(),
            local: "192.0.2.1:40000".parse().unwrap(),
            host: "192.0.2.1",
            event: "check-sync",
            id: 7,
        }
    }

    fn answer(text: &str) -> Option<Answer> {
        Answer::parse(text.replace('\n', "\r\n").as_bytes())
    }

    #[test]
    fn it_is_what_a_phone_takes() {
        let text = String::from_utf8(notice().encode()).unwrap();
        assert!(text.starts_with("NOTIFY sip:201@192.0.2.7:5060 SIP/2.0\r\n"), "{text}");
        assert!(text.ends_with("\r\nContent-Length: 0\r\n\r\n"), "{text}");
        for line in [
            "Via: SIP/2.0/UDP 192.0.2.1:40000;branch=z9hG4bK0000000000000007;rport",
            "To: <sip:201@192.0.2.1>",
            "CSeq: 1 NOTIFY",
            "Event: check-sync",
            "Subscription-State: terminated",
        ] {
            assert!(text.contains(&format!("\r\n{line}\r\n")), "{line}: {text}");
        }
    }

    #[test]
    fn nothing_in_a_value_becomes_another_header() {
        let evil = "x\r\nX: y";
        let text = Notice { user: evil, host: evil, event: evil, ..notice() }.encode();
        let text = String::from_utf8(text).unwrap();
        assert!(!text.contains("\nX:"), "{text}");
        assert_eq!(
            text.lines().count(),
            String::from_utf8(notice().encode()).unwrap().lines().count()
        );
    }

    #[test]
    fn an_address_of_six_is_in_brackets() {
        let six =
            Notice { host: "2001:db8::1", to: "[2001:db8::7]:5060".parse().unwrap(), ..notice() };
        let text = String::from_utf8(six.encode()).unwrap();
        assert!(text.contains("To: <sip:201@[2001:db8::1]>"), "{text}");
        assert!(text.starts_with("NOTIFY sip:201@[2001:db8::7]:5060 SIP/2.0"), "{text}");
    }

    #[test]
    fn it_is_repeated_after_times_that_double_and_ends_after_eight_seconds() {
        let mut transaction = Transaction::begin(&notice(), Time(1000));
        let (mut sent, mut now) = (Vec::new(), Time(1000));
        loop {
            match transaction.due(now) {
                Due::Send(_) => sent.push(now.0 - 1000),
                Due::Wait(then) => now = then,
                Due::Over => break,
            }
        }
        assert_eq!((sent, now.0), (vec![0, 500, 1500, 3500, 7500], 9000));
    }

    #[test]
    fn a_provisional_answer_slows_it_down_and_a_final_one_ends_it() {
        let mut transaction = Transaction::begin(&notice(), Time(0));
        assert!(matches!(transaction.due(Time(0)), Due::Send(_)));
        let heard =
            |t: &mut Transaction, code| t.heard(&answer(&format!("SIP/2.0 {code} x\n\n")).unwrap());
        assert_eq!(heard(&mut transaction, 100), None);
        assert!(matches!(transaction.due(Time(500)), Due::Send(_)));
        assert_eq!(transaction.due(Time(600)), Due::Wait(Time(4500)));
        for code in [200, 401, 404, 481, 489, 603] {
            assert_eq!(heard(&mut transaction, code), Some(code));
        }
    }

    #[test]
    fn an_answer_is_known_by_its_branch_and_method() {
        let check = |via: &str, cseq: &str, expected: Option<u64>| {
            let text = format!("SIP/2.0 200 OK\n{via}\nCSeq: {cseq}\n\n");
            assert_eq!(belongs(&answer(&text).unwrap()), expected, "{text}");
        };
        let via =
            "Via: SIP/2.0/UDP 192.0.2.1:40000;received=1.2.3.4;branch=z9hG4bK00000000000000ff";
        check(via, "1 NOTIFY", Some(255));
        check(&via.replace("Via:", "v:"), "1  NOTIFY", Some(255));
        check(&format!("{via}, SIP/2.0/UDP x;branch=z9hG4bK1"), "1 NOTIFY", Some(255));
        check(via, "1 OPTIONS", None);
        check(via, "", None);
        check("Via: SIP/2.0/UDP x;branch=z9hG4bKff", "1 NOTIFY", None);
        check("Via: SIP/2.0/UDP x", "1 NOTIFY", None);
        check("X: y", "1 NOTIFY", None);
    }

    proptest! {
        #[test]
        fn never_panics_and_stays_bounded(
            steps in prop::collection::vec((0u64..10_000, 100u16..700), 0..50),
            via in "[ -~]{0,80}",
        ) {
            let mut transaction = Transaction::begin(&notice(), Time(0));
            let mut sent = 0;
            for (at, code) in steps {
                sent += usize::from(matches!(transaction.due(Time(at)), Due::Send(_)));
                let answer = answer(&format!("SIP/2.0 {code} x\nVia: {via}\nCSeq: 1 NOTIFY\n\n"));
                if let Some(answer) = answer {
                    belongs(&answer);
                    transaction.heard(&answer);
                }
            }
            prop_assert!(sent <= 50);
        }
    }
}
