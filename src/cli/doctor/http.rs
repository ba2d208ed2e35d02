//! HTTP where it is on: a file, the phone book, and HTTPS.

use std::net::SocketAddr;

use super::finding::Finding;
use super::net::{Mute, get};
use super::{Case, https};
use crate::base::{Code, Diagnostic};

/// All codes of this step.
pub(crate) static CODES: &[&Code] = &[&SILENT, &PAGE];

static SILENT: Code = Code {
    id: "H0930",
    title: "HTTP does not answer",
    explain: "The phones' files name this address for the directory and services keys, which show an error then. \
              Booting and calling are not concerned.",
};

static PAGE: Code = Code {
    id: "H0931",
    title: "HTTP answers something else",
    explain: "Another program listens there, or the daemon has not taken in what is on disk: phones show no phone \
              book, or an old one.",
};

/// Asks and judges.
pub(super) fn examine(case: &Case) -> Vec<Finding> {
    let http = &case.reading.site.http;
    let mut found = Vec::new();
    match &http.listen {
        None => found.push(Finding::skipped("[http] listen is not set")),
        Some(listen) => {
            let server = SocketAddr::new(case.server, listen.port());
            let shared = case.built.generation.shared.first();
            let file = shared.map(|a| (format!("/{}", a.name), a.bytes()));
            if let Some((path, bytes)) = file {
                let got = get(server, &path);
                found.push(judge(server, &path, &got, |body| body == bytes, case.settled()));
            }
            if !matches!(found.last(), Some(Finding::Wrong(_))) {
                let got = get(server, "/directory");
                let page = |body: &[u8]| memchr::memmem::find(body, b"<CiscoIPPhone").is_some();
                found.push(judge(server, "/directory", &got, page, true));
            }
        }
    }
    if let Some(listen) = http.tls_listen {
        let server = SocketAddr::new(case.server, listen.port());
        let file = http.certificate.as_deref();
        found.push(https::examine(server, file, |mute| unheard(server, mute)));
    }
    found
}

fn judge(
    server: SocketAddr,
    path: &str,
    got: &Result<(u16, Vec<u8>), Mute>,
    good: impl Fn(&[u8]) -> bool,
    settled: bool,
) -> Finding {
    let help = "is it handset that listens there? handset status says what it waits for";
    match got {
        Ok((200, body)) if good(body) => {
            Finding::fine(format!("http://{server}{path} is as it should be"))
        }
        Ok((200, _)) if !settled => {
            let text = format!(
                "http://{server}{path} is not what is on disk, which phones may not have yet"
            );
            Diagnostic::warning(&PAGE, text).help(help).into()
        }
        Ok((status, _)) => {
            let text = format!("http://{server}{path} gives something else (status {status})");
            Diagnostic::error(&PAGE, text).help(help).into()
        }
        Err(mute) => unheard(server, mute),
    }
}

fn unheard(server: SocketAddr, mute: &Mute) -> Finding {
    let port = server.port();
    let (text, help) = match mute {
        Mute::Silent => (
            format!("{server} does not answer, and does not refuse"),
            format!("let TCP to port {port} through the firewall"),
        ),
        Mute::Refused => (
            format!("nobody listens on TCP port {port} of {}", server.ip()),
            "restart handsetd; a port below 1024 needs: systemctl enable --now handset-http.socket"
                .to_owned(),
        ),
        Mute::Failed(why) => (
            format!("{server} cannot be asked: {why}"),
            "correct server_address and [http] listen in handset.conf".to_owned(),
        ),
    };
    Diagnostic::error(&SILENT, text).help(help).into()
}

#[cfg(test)]
mod tests {
    use super::super::testing::verdict;
    use super::*;

    #[test]
    fn a_page_is_ours_or_somebody_elses() {
        let server = "192.0.2.1:80".parse().unwrap();
        let ok = |body: &str| Ok((200, body.as_bytes().to_vec()));
        for (got, settled, expected) in [
            (ok("good"), true, "fine"),
            (ok("bad"), true, "error H0931"),
            (ok("bad"), false, "warning H0931"),
            (Ok((404, b"good".to_vec())), true, "error H0931"),
            (Err(Mute::Silent), true, "error H0930"),
            (Err(Mute::Refused), true, "error H0930"),
            (Err(Mute::Failed("x".into())), true, "error H0930"),
        ] {
            assert_eq!(
                verdict(&judge(server, "/x", &got, |b| b == b"good", settled)),
                expected,
                "{got:?}"
            );
        }
    }
}
