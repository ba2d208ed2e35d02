//! The daemon itself: whether it answers, as whom it runs, and what it says.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt};

use super::finding::Finding;
use super::permission::User;
use crate::base::{Code, Diagnostic};
use crate::control::client::{ClientError, ask as converse};
use crate::control::{Answer, Ask, Status};
use crate::model::site::Site;

/// All codes of this step.
pub(crate) static CODES: &[&Code] = &[&DOWN, &HELD, &VERSION];

static DOWN: Code = Code {
    id: "H0906",
    title: "handsetd does not answer",
    explain: "Phones get no files from a daemon that does not run, unless another server has the exported ones. \
              Registered phones go on working until they restart.",
};

static HELD: Code = Code {
    id: "H0907",
    title: "a change is held back",
    explain: "Phones keep the last good files. What was changed since reaches none of them until the reason is \
              gone.",
};

static VERSION: Code = Code {
    id: "H0908",
    title: "daemon and command line are of different versions",
    explain: "An older daemon still runs after an update. It makes the files as its own version does.",
};

/// How long an answer is awaited.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the daemon answers, its status, and its user (or who that will be).
pub(super) fn ask(site: &Site) -> (Vec<Finding>, Option<Box<Status>>, Option<User>) {
    let path = site.control_socket.clone();
    let user = running(&path).or_else(usual);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let answer =
            converse(&path, Ask::Status { phone: None, select: Default::default() }, false);
        let answer = answer.and_then(|mut talk| talk.next().transpose());
        // Nobody waits any more when it came too late.
        let _ = sender.send(answer);
    });
    let answer = receiver.recv_timeout(PATIENCE);
    let (found, status) = match answer {
        Ok(Ok(Some(Answer::Status(status)))) => {
            (judge(&status, env!("CARGO_PKG_VERSION")), Some(status))
        }
        Ok(Ok(_)) => (vec![down("handsetd gave no status")], None),
        Ok(Err(ClientError::Denied(path))) => {
            let text = format!("you may not ask handsetd on {}: use sudo", path.display());
            (vec![Finding::skipped(text)], None)
        }
        Ok(Err(error)) => (vec![down(error.to_string())], None),
        Err(_) => (vec![down("handsetd took the question and did not answer for 5 s")], None),
    };
    (found, status, user)
}

fn down(text: impl Into<String>) -> Finding {
    let help = "systemctl enable --now handsetd; journalctl -u handsetd says why it does not start";
    Diagnostic::error(&DOWN, text).help(help).into()
}

fn judge(status: &Status, ours: &str) -> Vec<Finding> {
    let mut found = vec![Finding::fine(format!(
        "handsetd {} answers: generation {}, {} phones, Asterisk {}",
        status.version,
        status.generation,
        status.phones.len(),
        status.ami
    ))];
    if status.version != ours {
        let text = format!("handsetd is {}, this is {ours}", status.version);
        found.push(Diagnostic::warning(&VERSION, text).help("systemctl restart handsetd").into());
    }
    if let Some(held) = &status.held {
        let help = "remove the reason; if phones shall go: handset apply --accept-removals";
        found.push(Diagnostic::error(&HELD, held).help(help).into());
    }
    found
}

/// The user of the process that listens on the socket.
fn running(path: &Path) -> Option<User> {
    let stream = UnixStream::connect(path).ok()?;
    let peer = getsockopt(&stream, sockopt::PeerCredentials).ok()?;
    let of_process = fs::read_to_string(format!("/proc/{}/status", peer.pid())).ok();
    let groups = of_process.as_deref().and_then(groups).unwrap_or_else(|| vec![peer.gid()]);
    Some(User { name: name(peer.uid()), uid: peer.uid(), groups })
}

/// All groups of a process, from /proc/PID/status.
fn groups(status: &str) -> Option<Vec<u32>> {
    let words = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().map(|word| word.parse().ok()).collect::<Option<Vec<u32>>>()
    };
    Some([words("Gid:")?, words("Groups:").unwrap_or_default()].concat())
}

fn name(uid: u32) -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid));
    user.ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

/// The user of the unit that handset comes with, who also has the group asterisk there.
fn usual() -> Option<User> {
    let user = nix::unistd::User::from_name("handset").ok()??;
    let c_name = std::ffi::CString::new("handset").ok()?;
    let groups = nix::unistd::getgrouplist(&c_name, user.gid).unwrap_or_default();
    let asterisk = nix::unistd::Group::from_name("asterisk").ok().flatten().map(|g| g.gid);
    let groups = groups.into_iter().chain(asterisk).map(nix::unistd::Gid::as_raw).collect();
    Some(User { name: user.name, uid: user.uid.as_raw(), groups })
}

#[cfg(test)]
mod tests {
    use super::super::testing::verdicts;
    use super::*;

    fn check(change: impl Fn(&mut Status), expected: &str) {
        let json = serde_json::json!({
            "version": "1.0", "generation": 1, "generated": "x", "held": null, "reload": "loaded",
            "ami": "up", "diagnostics": [], "phones": [], "unknown": [],
        });
        let mut status = serde_json::from_value(json).unwrap();
        change(&mut status);
        assert_eq!(verdicts(&judge(&status, "1.0")), expected);
    }

    #[test]
    fn a_daemon_that_holds_a_change_back_is_broken_and_an_old_one_is_told() {
        check(|_| {}, "fine");
        check(|s| s.held = Some("no peer is left".into()), "fine, error H0907");
        check(|s| s.version = "0.9".into(), "fine, warning H0908");
    }

    #[test]
    fn groups_are_those_of_the_process() {
        let text = "Name:\tx\nUid:\t9\t9\t9\t9\nGid:\t900\t900\t900\t900\nGroups:\t900 112 \n";
        assert_eq!(groups(text), Some(vec![900, 900, 900, 900, 900, 112]));
        assert_eq!(groups("Name: x\n"), None);
    }
}
