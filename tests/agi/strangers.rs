//! Who speaks to the port and is no Asterisk of ours.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::office::{Office, TOKEN};
use crate::site::{SOON, phones, quiet};

fn prelude(token: &str, what: &str, channel: &str) -> String {
    format!(
        "agi_network: yes\nagi_network_script: {token}/{what}\nagi_request: agi://127.0.0.1/x\nagi_channel: {channel}\n\
         agi_language: en\nagi_type: SIP\nagi_extension: *780\n\n"
    )
}

/// Sends, answers each command line with the next answer, and gives all that was asked until the end.
fn talk(office: &Office, first: &[u8], answers: &[&str]) -> String {
    let mut stream = TcpStream::connect(office.agi).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // The other side may be gone before it has all.
    let _ = stream.write_all(first);
    let (mut asked, mut buffer) = (String::new(), [0; 512]);
    let mut answers = answers.iter();
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return asked,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return asked,
            Err(error) => panic!("it neither answers nor closes: {error}"),
            Ok(length) => asked += &String::from_utf8_lossy(&buffer[..length]),
        }
        match answers.next() {
            Some(answer) => drop(stream.write_all(answer.as_bytes())),
            None => return asked,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_garbage_and_slow_clients_get_nothing_and_hinder_nobody() {
    let office = Office::sip(&phones(1), "", "").await;
    let site = &office.site;
    let desk = site.boot(1).await;
    let channel = "SIP/101-0000002a";
    for token in ["", "wrong", &TOKEN[1..], &format!("{TOKEN}x")] {
        let asked = talk(&office, prelude(token, "resync", channel).as_bytes(), &[]);
        assert_eq!(asked, "", "{token}");
    }
    for garbage in ["GET / HTTP/1.1\r\n\r\n", "\n\n\n", "\0\0\0\0\n"] {
        assert_eq!(talk(&office, garbage.as_bytes(), &[]), "", "{garbage}");
    }
    assert_eq!(talk(&office, &vec![b'a'; 100_000], &[]), "");
    // Those that say nothing, and those that stop in the middle, are let go; a phone gets through meanwhile.
    let silent: Vec<_> = (0..20).map(|_| TcpStream::connect(office.agi).unwrap()).collect();
    let mut half = TcpStream::connect(office.agi).unwrap();
    half.write_all(b"agi_network: yes\nagi_net").unwrap();
    assert!(office.dial(&desk, "*780", "").await.starts_with("current: "));
    let began = Instant::now();
    half.set_read_timeout(Some(SOON)).unwrap();
    assert_eq!(half.read(&mut [0; 8]).unwrap_or(0), 0);
    assert!(began.elapsed() < Duration::from_secs(10));
    drop(silent);
    // Each kind once a minute, however often it comes.
    site.until("it is told", SOON, |site| site.log().contains("asker=127.0.0.1 reason=silent"))
        .await;
    for reason in ["token", "garbage", "silent"] {
        let line = format!("refused FastAGI asker=127.0.0.1 reason={reason} count=1");
        assert_eq!(site.log().matches(&line).count(), 1, "{line}: {}", site.log());
    }
    assert!(!site.log().contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_is_asterisks_word_and_a_hangup_in_the_middle_does_no_harm() {
    let office = Office::sip(&phones(2), "", "").await;
    let site = &office.site;
    let desks = [site.boot(1).await, site.boot(2).await];
    let first = prelude(TOKEN, "resync", "SIP/101-0000002a");
    let refused = |asked: &str| asked.contains("SET VARIABLE \"HANDSET_RESULT\" \"unknown\"");
    // A guest of chan_sip has a channel of any name and no peer; a name that differs is nobody.
    for answer in [
        "200 result=1 ()\n",
        "200 result=0\n",
        "200 result=1 (102)\n",
        "510 Invalid\n",
        "520-x\n520 End\n",
    ] {
        let asked = talk(&office, first.as_bytes(), &[answer, "200 result=1\n"]);
        assert!(
            asked.starts_with("GET VARIABLE \"CHANNEL(peername)\"\n") && refused(&asked),
            "{answer}: {asked}"
        );
    }
    let local = first
        .replace("SIP/101-0000002a", "Local/101@phones-0000002a;1")
        .replace("agi_type: SIP", "agi_type: Local");
    assert!(refused(&talk(&office, local.as_bytes(), &[])));
    quiet(1.0).await;
    assert_eq!((desks[0].state().notifies, desks[1].state().notifies), (0, 0));
    // The caller is gone in the middle: the wish stands, nothing is played, and the end comes.
    let answers = [
        "200 result=1 (101)\n",
        "HANGUP\n200 result=1\n",
        "200 result=1\n",
        "200 result=1\n",
        "200 result=1\n",
        "200 result=1\n",
        "200 result=1\n",
        "511 dead\n",
        "200 result=0\n",
    ];
    let asked = talk(&office, first.as_bytes(), &answers);
    assert!(
        asked.contains("\"HANDSET_RESULT\" \"current\"") && !asked.contains("STREAM"),
        "{asked}"
    );
    site.until("it looks", SOON, |_| desks[0].state().notifies == 1).await;
    assert_eq!(desks[1].state().notifies, 0);
    // Asterisk goes away: with half an answer, or with none.
    for cut in ["", "200 result=1 (10", "HANGUP\n"] {
        let mut stream = TcpStream::connect(office.agi).unwrap();
        stream.write_all(first.as_bytes()).unwrap();
        stream.write_all(cut.as_bytes()).unwrap();
    }
    quiet(0.5).await;
    assert!(office.dial(&desks[1], "*781", "").await.starts_with("current: "));
}
