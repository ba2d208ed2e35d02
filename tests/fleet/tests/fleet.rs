//! Short series of the fleet: what the long ones show in minutes must hold for seconds, too.

use std::time::Duration;

use fleet::edit::Kind;
use fleet::series::{chaos, edits};
use fleet::{fleet as phones, site};

fn options() -> site::Options {
    phones::raise_file_limit().expect("a limit of open files");
    site::Options::quick(site::programs().expect("handsetd was built"))
}

#[tokio::test(flavor = "multi_thread")]
async fn random_edits_restart_the_phones_that_they_change_and_nobody_else() {
    let limit = Duration::from_secs(60);
    let without = Vec::new();
    let plan =
        edits::Plan { phones: 30, edits: 25, seed: 7, pause: 300, talkers: 3, without, limit };
    let verdict = edits::run(&plan, options()).await.expect("a series");
    assert!(verdict.holds(), "\n{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_heals_after_everything_went_wrong() {
    let plan = chaos::Plan {
        phones: 12,
        length: Duration::from_secs(8),
        seed: 3,
        pause: Duration::from_millis(1500),
        misbehave: 30,
        talkers: 1,
        // As above: another password, and Asterisk forgets the phone before it is told.
        without: vec![Kind::Swap, Kind::Secret],
        // A disk of its own needs a mount namespace, which only a process of one thread can make.
        disk: false,
        proved: false,
        limit: Duration::from_secs(60),
    };
    let verdict = chaos::run(&plan, options()).await.expect("a series");
    assert!(verdict.holds(), "\n{verdict}");
}
