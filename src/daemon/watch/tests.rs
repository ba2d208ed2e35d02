use std::io::Write as _;
use std::os::unix::fs::symlink;

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;

/// A rescan that never comes: only notices count.
const TIMING: Timing = Timing {
    quiet: Duration::from_millis(20),
    latest: Duration::from_secs(1),
    rescan: Duration::from_secs(3600),
};

struct Site {
    _temp: TempDir,
    root: PathBuf,
    closure: Closure,
    watcher: Watcher,
    events: mpsc::Receiver<Event>,
}

impl Site {
    /// A directory filled by `make`, with a watch on these files and patterns that has settled.
    async fn new(make: impl Fn(&Path), files: &[&str], globs: &[&str]) -> Self {
        let temp = TempDir::new().unwrap();
        let root = temp.path().canonicalize().unwrap();
        make(&root);
        let all = |list: &[&str]| list.iter().map(|path| root.join(path)).collect();
        let closure = Closure { files: all(files), globs: all(globs) };
        let (sender, events) = mpsc::channel(8);
        let (watcher, _) = spawn(TIMING, sender, CancellationToken::new());
        let mut site = Self { _temp: temp, root, closure, watcher, events };
        site.watcher.set(&site.closure);
        assert!(site.woken().await, "the first watch is followed by a look");
        site.look().await;
        site
    }

    async fn woken(&mut self) -> bool {
        matches!(
            timeout(Duration::from_secs(3), self.events.recv()).await,
            Ok(Some(Event::Disk | Event::Rescan))
        )
    }

    /// Reads everything as the core does, until nothing calls for one more look. Bounded: reading
    /// that wakes itself never ends.
    async fn look(&mut self) {
        for _ in 0..5 {
            for file in &self.closure.files {
                fs::read(file).ok();
                fs::read_dir(file.parent().unwrap()).map(Iterator::count).ok();
            }
            self.watcher.set(&self.closure);
            let quiet = Duration::from_millis(150);
            if timeout(quiet, self.events.recv()).await.is_err() {
                return;
            }
        }
        panic!("our own reads wake us");
    }

    async fn check(&mut self, what: &str, change: impl Fn(&Path)) {
        change(&self.root);
        assert!(self.woken().await, "{what} went unseen");
        self.look().await;
    }

    /// The change is seen, and the watch is not deaf after it.
    async fn check_twice(&mut self, what: &str, change: impl Fn(&Path)) {
        self.check(what, &change).await;
        self.check(&format!("{what}, again"), &change).await;
        let file = self.closure.files.first().unwrap().clone();
        self.check(&format!("a write after {what}"), |_| append(&file)).await;
    }
}

fn append(path: &Path) {
    let mut file = fs::File::options().append(true).open(path).unwrap();
    file.write_all(b"x\n").unwrap();
}

fn etc(root: &Path) {
    fs::create_dir(root.join("etc")).unwrap();
    fs::write(root.join("etc/sip.conf"), "[general]\n").unwrap();
}

#[tokio::test]
async fn every_form_of_a_save_is_seen() {
    let mut site = Site::new(etc, &["etc/sip.conf"], &[]).await;
    site.check_twice("a write in place", |root| fs::write(root.join("etc/sip.conf"), "y").unwrap())
        .await;
    site.check_twice("a rename over it", |root| {
        fs::write(root.join("etc/.sip.swp"), "z").unwrap();
        fs::rename(root.join("etc/.sip.swp"), root.join("etc/sip.conf")).unwrap();
    })
    .await;
    site.check_twice("delete and recreate", |root| {
        fs::remove_file(root.join("etc/sip.conf")).unwrap();
        fs::write(root.join("etc/sip.conf"), "new").unwrap();
    })
    .await;
    site.check_twice("a backup by rename", |root| {
        fs::rename(root.join("etc/sip.conf"), root.join("etc/sip.conf~")).unwrap();
        fs::write(root.join("etc/sip.conf"), "vim").unwrap();
    })
    .await;
    site.check("a truncation", |root| fs::write(root.join("etc/sip.conf"), "").unwrap()).await;
    site.check("a removal", |root| fs::remove_file(root.join("etc/sip.conf")).unwrap()).await;
    site.check("its return", etc_file).await;
}

fn etc_file(root: &Path) {
    fs::write(root.join("etc/sip.conf"), "back").unwrap();
}

#[tokio::test]
async fn a_symlink_is_followed_and_its_swap_is_seen() {
    let make = |root: &Path| {
        etc(root);
        for version in ["v1", "v2"] {
            fs::create_dir_all(root.join("srv").join(version)).unwrap();
            fs::write(root.join("srv").join(version).join("peers.conf"), version).unwrap();
        }
        symlink("../srv/v1/peers.conf", root.join("etc/peers.conf")).unwrap();
        symlink("v1", root.join("srv/current")).unwrap();
    };
    let mut site = Site::new(make, &["etc/peers.conf", "srv/current/peers.conf"], &[]).await;
    site.check("a write to the target", |root| append(&root.join("srv/v1/peers.conf"))).await;
    site.check("a swap of the link", |root| {
        symlink("../srv/v2/peers.conf", root.join("etc/new")).unwrap();
        fs::rename(root.join("etc/new"), root.join("etc/peers.conf")).unwrap();
    })
    .await;
    site.check("a write to the new target", |root| append(&root.join("srv/v2/peers.conf"))).await;
    site.check("a swap of a linked directory", |root| {
        fs::remove_file(root.join("srv/current")).unwrap();
        symlink("v2", root.join("srv/current")).unwrap();
    })
    .await;
}

#[tokio::test]
async fn files_that_appear_later_are_seen() {
    let mut site =
        Site::new(etc, &["etc/sip.conf", "etc/a/b/deep.conf"], &["etc/sip.d/*.conf"]).await;
    site.check("a directory on the way", |root| fs::create_dir(root.join("etc/a")).unwrap()).await;
    site.check("the next one", |root| fs::create_dir(root.join("etc/a/b")).unwrap()).await;
    site.check("the file", |root| fs::write(root.join("etc/a/b/deep.conf"), "").unwrap()).await;
    site.check("the globbed directory", |root| fs::create_dir(root.join("etc/sip.d")).unwrap())
        .await;
    site.check("a new file in it", |root| fs::write(root.join("etc/sip.d/1.conf"), "").unwrap())
        .await;
    site.check("its removal", |root| fs::remove_file(root.join("etc/sip.d/1.conf")).unwrap()).await;
}

#[tokio::test]
async fn a_replaced_directory_does_not_make_us_deaf() {
    let mut site = Site::new(etc, &["etc/sip.conf"], &[]).await;
    let swap = |root: &Path| {
        fs::create_dir(root.join("new")).unwrap();
        fs::write(root.join("new/sip.conf"), "new").unwrap();
        fs::rename(root.join("etc"), root.join("old")).unwrap();
        fs::rename(root.join("new"), root.join("etc")).unwrap();
        fs::remove_dir_all(root.join("old")).unwrap();
    };
    site.check_twice("a swap of directories", swap).await;
    site.check_twice("a directory made anew", |root| {
        fs::remove_dir_all(root.join("etc")).unwrap();
        etc(root);
    })
    .await;
    site.check("its loss", |root| fs::remove_dir_all(root.join("etc")).unwrap()).await;
    site.check("its return", |root| fs::create_dir(root.join("etc")).unwrap()).await;
    site.check("the file's return", etc_file).await;
}

#[tokio::test]
async fn what_does_not_matter_wakes_nobody() {
    let mut site = Site::new(etc, &["etc/sip.conf"], &["etc/*.conf"]).await;
    fs::write(site.root.join("etc/.sip.conf.swp"), "x").unwrap();
    fs::write(site.root.join("etc/extensions.ael"), "x").unwrap();
    fs::create_dir(site.root.join("other")).unwrap();
    for _ in 0..20 {
        fs::read(site.root.join("etc/sip.conf")).unwrap();
    }
    assert!(timeout(Duration::from_millis(200), site.events.recv()).await.is_err());
    site.check("a change after that", |root| append(&root.join("etc/sip.conf"))).await;
}

#[tokio::test]
async fn a_change_of_what_is_read_is_followed_by_one_more_look() {
    let mut site = Site::new(etc, &["etc/sip.conf"], &[]).await;
    // The new include was written after it was read and before it was watched.
    site.closure.files.insert(site.root.join("etc/include.conf"));
    site.watcher.set(&site.closure);
    assert!(site.woken().await);
    site.look().await;
    site.check("the include", |root| fs::write(root.join("etc/include.conf"), "x").unwrap()).await;
}

/// Notices every 10 ms, for `count` times; when the events of the first `until` ms came, in ms.
async fn told(timing: Timing, count: u32, until: u64) -> Vec<u128> {
    let (sender, mut events) = mpsc::channel(64);
    let shared = Arc::new(Shared::default());
    let begin = Instant::now();
    tokio::spawn(pump(timing, Arc::clone(&shared), sender, CancellationToken::new()));
    tokio::spawn(async move {
        for _ in 0..count {
            shared.wake.notify_one();
            sleep(Duration::from_millis(10)).await;
        }
    });
    let mut times = Vec::new();
    let end = begin + Duration::from_millis(until);
    while let Ok(Some(_)) = tokio::time::timeout_at(end, events.recv()).await {
        times.push(begin.elapsed().as_millis());
    }
    times
}

fn timing(quiet: u64, latest: u64, rescan: u64) -> Timing {
    let [quiet, latest, rescan] = [quiet, latest, rescan].map(Duration::from_millis);
    Timing { quiet, latest, rescan }
}

#[tokio::test]
async fn many_notices_are_one_event_after_the_quiet_time() {
    let times = told(timing(300, 60_000, 60_000), 5, 1000).await;
    assert!(times.len() == 1 && times[0] >= 340, "{times:?}");
}

#[tokio::test]
async fn endless_notices_are_told_in_time() {
    let times = told(timing(500, 700, 60_000), 1000, 1200).await;
    assert!(times.len() == 1 && (700..1200).contains(&times[0]), "{times:?}");
}

#[tokio::test]
async fn without_any_notice_a_rescan_comes() {
    let times = told(timing(20, 20, 300), 0, 850).await;
    assert!(times.len() == 2 && times[0] >= 300 && times[1] >= 600, "{times:?}");
}

#[tokio::test]
async fn it_stops_when_told() {
    let (sender, _events) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let (_watcher, task) = spawn(TIMING, sender, stop.clone());
    stop.cancel();
    timeout(Duration::from_secs(5), task).await.unwrap().unwrap();
}
