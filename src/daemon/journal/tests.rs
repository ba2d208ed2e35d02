use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redb::{BackendError, StorageBackend};
use tempfile::TempDir;

use super::*;

fn open_ok(dir: &TempDir) -> (Journal, Opened) {
    open(dir.path()).unwrap()
}

fn put(journal: &Journal, table: Table, key: &str, value: &'static str) {
    let mut batch = Batch::new();
    batch.put(table, key, value);
    journal.commit(&batch).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let dir = TempDir::new().unwrap();
    let (journal, opened) = open_ok(&dir);
    assert_eq!(opened, Opened::Fresh);
    let mut batch = Batch::new();
    let hash = batch.put_blob("file".into());
    let unused = batch.put_blob("old file".into());
    batch.put_generation(300, "manifest 300");
    batch.put_generation(2, "manifest 2");
    batch.put(Table::Observed, "00:18:b9:ff:ff:ff", "{}");
    batch.put(Table::Intents, "pin", "{}");
    batch.remove(Table::Intents, "pin");
    journal.commit(&batch).unwrap();
    journal.retain_blobs(&BTreeSet::from([hash])).unwrap();
    drop(journal);

    let (journal, opened) = open_ok(&dir);
    assert_eq!(opened, Opened::Sound);
    assert_eq!(journal.blob(&hash).unwrap(), Some("file".into()));
    assert_eq!(journal.blob(&unused).unwrap(), None);
    let generations = [(2, "manifest 2".into()), (300, "manifest 300".into())];
    assert_eq!(journal.generations().unwrap(), generations);
    let observed = journal.scan_text(Table::Observed).unwrap();
    assert_eq!(observed, [("00:18:b9:ff:ff:ff".to_owned(), "{}".into())]);
    assert_eq!(journal.get(Table::Intents, "pin").unwrap(), None);
}

#[test]
fn only_the_daemon_may_look() {
    let dir = TempDir::new().unwrap();
    let state = dir.path().join("a/state");
    fs::create_dir_all(&state).unwrap();
    fs::set_permissions(&state, Permissions::from_mode(0o755)).unwrap();
    let (_journal, _) = open(&state).unwrap();
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(&state.join(FILE)), 0o600);
}

#[test]
fn two_daemons_do_not_share_it() {
    let dir = TempDir::new().unwrap();
    let (_journal, _) = open_ok(&dir);
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, JournalError::Busy(_)), "{error:?}");
    assert!(error.to_string().contains("another handsetd"), "{error}");
}

/// Spoils the file of a store with one row, and expects it moved aside and a fresh one that works.
fn check_damage(what: &str, spoil: impl Fn(&Path)) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join(FILE);
    let (journal, _) = open_ok(&dir);
    put(&journal, Table::Observed, "a", "1");
    drop(journal);
    spoil(&path);

    let (journal, opened) = open(dir.path()).unwrap_or_else(|e| panic!("{what}: {e:?}"));
    let Opened::Damaged { moved_to, reason } = opened else { panic!("{what}: {opened:?}") };
    assert_eq!(moved_to, dir.path().join("handset.redb.damaged-1"), "{what}");
    assert!(fs::metadata(&moved_to).unwrap().len() > 0, "{what}");
    assert!(!reason.is_empty(), "{what}");
    assert_eq!(journal.scan(Table::Observed).unwrap(), [], "{what}");
    put(&journal, Table::Observed, "b", "2");
    drop(journal);
    assert_eq!(open_ok(&dir).1, Opened::Sound, "{what}");
}

#[test]
fn damage_means_unknown_and_never_a_crash() {
    let len = |path: &Path| fs::metadata(path).unwrap().len();
    let cut = |path: &Path, to: u64| File::options().write(true).open(path).unwrap().set_len(to);
    check_damage("garbage", |p| fs::write(p, vec![0x5a; 70_000]).unwrap());
    check_damage("text", |p| fs::write(p, "[general]\n").unwrap());
    check_damage("zeros", |p| fs::write(p, vec![0; 4096]).unwrap());
    check_damage("half", |p| cut(p, len(p) / 2).unwrap());
    check_damage("header only", |p| cut(p, 100).unwrap());
    check_damage("five bytes", |p| cut(p, 5).unwrap());
    check_damage("pages overwritten", |p| {
        use std::os::unix::fs::FileExt as _;
        let file = File::options().write(true).open(p).unwrap();
        file.write_all_at(&vec![0xff; usize::try_from(len(p)).unwrap() - 4096], 4096).unwrap();
    });
}

#[test]
fn a_store_of_another_schema_is_moved_aside() {
    check_damage("schema", |path| {
        let db = Database::open(path).unwrap();
        let txn = db.begin_write().unwrap();
        txn.open_table(SCHEMA_TABLE).unwrap().insert((), SCHEMA + 1).unwrap();
        txn.commit().unwrap();
    });
}

#[test]
fn a_store_from_before_a_table_came_is_used_as_it_is() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open_ok(&dir);
    put(&journal, Table::Observed, "kept", "1");
    drop(journal);
    let db = builder().open(dir.path().join(FILE)).unwrap();
    let txn = db.begin_write().unwrap();
    assert!(txn.delete_table(Table::Leases.definition()).unwrap());
    txn.commit().unwrap();
    drop(db);
    let (journal, opened) = open_ok(&dir);
    assert_eq!(opened, Opened::Sound);
    assert!(journal.scan(Table::Leases).unwrap().is_empty());
    put(&journal, Table::Leases, "a", "1");
    assert_eq!(journal.get(Table::Observed, "kept").unwrap().unwrap(), "1");
}

#[test]
fn damaged_files_do_not_pile_up() {
    let dir = TempDir::new().unwrap();
    for _ in 0..KEPT_DAMAGED + 2 {
        fs::write(dir.path().join(FILE), "garbage").unwrap();
        assert!(matches!(open_ok(&dir).1, Opened::Damaged { .. }));
    }
    let files = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(files, usize::try_from(KEPT_DAMAGED).unwrap() + 1);
}

/// A disk that can be told to be full.
#[derive(Debug)]
struct Flaky {
    file: FileBackend,
    full: Arc<AtomicBool>,
}

impl Flaky {
    fn refuse(&self) -> io::Result<()> {
        match self.full.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl StorageBackend for Flaky {
    fn len(&self) -> Result<u64, io::Error> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.refuse()?;
        self.file.set_len(len)
    }
    fn sync_data(&self) -> Result<(), io::Error> {
        self.refuse()?;
        self.file.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.refuse()?;
        self.file.write(offset, data)
    }
    fn close(&self) -> Result<(), io::Error> {
        self.file.close()
    }
    fn try_lock_range(
        &self,
        start: std::ops::Bound<u64>,
        end: std::ops::Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }
}

#[tokio::test]
async fn a_full_disk_costs_nothing_that_was_committed_and_heals() {
    let dir = TempDir::new().unwrap();
    let full = Arc::new(AtomicBool::new(false));
    let ours = Arc::clone(&full);
    let opener: Opener = Box::new(move |path| {
        let file =
            File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        let file = FileBackend::new(file)?;
        builder().create_with_backend(Flaky { file, full: Arc::clone(&ours) })
    });
    let (journal, _) = open_with(dir.path(), opener).unwrap();
    put(&journal, Table::Observed, "a", "1");

    full.store(true, Ordering::Relaxed);
    let writer = spawn_writer(journal.clone()).unwrap();
    let mut batch = Batch::new();
    batch.put(Table::Observed, "b", "2");
    writer.submit(batch).unwrap();
    let mut health = writer.health();
    health.wait_for(|h| h.failures > 0).await.unwrap();
    assert!(journal.get(Table::Observed, "a").is_err(), "the disk still refuses");

    full.store(false, Ordering::Relaxed);
    assert_eq!(journal.get(Table::Observed, "a").unwrap(), Some("1".into()));
    assert!(tokio::time::timeout(Duration::from_secs(10), writer.flush()).await.unwrap());
    assert_eq!(journal.get(Table::Observed, "b").unwrap(), Some("2".into()));
    assert_eq!(health.borrow_and_update().error, None);
}

#[test]
fn a_file_that_vanished_is_not_begun_anew_behind_the_daemons_back() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open_ok(&dir);
    *journal.inner.db.write().unwrap() = None;
    fs::remove_file(dir.path().join(FILE)).unwrap();
    assert!(matches!(journal.scan(Table::Meta), Err(JournalError::Gone(_))));
}

const CHILD_DIR: &str = "HANDSET_TEST_JOURNAL_DIR";

/// The child of the next test: commits 1, 2, 3 … and says so after each commit, until killed.
#[test]
#[ignore = "runs as the child process of the test below"]
fn child_commits_until_killed() {
    let dir = PathBuf::from(std::env::var_os(CHILD_DIR).unwrap());
    let (journal, opened) = open(&dir).unwrap();
    assert!(!matches!(opened, Opened::Damaged { .. }), "{opened:?}");
    let newest = |j: &Journal| j.generations().unwrap().last().map_or(0, |(id, _)| *id);
    for id in newest(&journal) + 1.. {
        let mut batch = Batch::new();
        batch.put(Table::Observed, "newest", id.to_string());
        let hash = batch.put_blob(vec![u8::try_from(id % 251).unwrap(); 5000].into());
        batch.put_generation(id, hash.to_vec());
        batch.remove_generation(id.saturating_sub(5));
        journal.commit(&batch).unwrap();
        println!("committed {id}");
        std::io::stdout().flush().unwrap();
    }
}

/// Lets the child commit for a while, kills it, and returns the last commit that it told of.
fn run_and_kill(dir: &Path, after: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "daemon::journal::tests::child_commits_until_killed"])
        .args(["--ignored", "--nocapture"])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut told, mut deadline) = (0, None);
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        let Some(id) = line.split("committed ").nth(1) else { continue };
        told = id.parse().unwrap();
        let end = *deadline.get_or_insert_with(|| Instant::now() + after);
        if Instant::now() >= end {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    told
}

#[test]
fn killed_at_any_moment_it_holds_every_commit_that_was_told() {
    let dir = TempDir::new().unwrap();
    for round in 0..12 {
        let told = run_and_kill(dir.path(), Duration::from_millis(3 + round * 7));
        assert!(told > 0, "the child never committed");
        let (journal, opened) = open_ok(&dir);
        assert_eq!(opened, Opened::Sound);
        let ids: Vec<u64> = journal.generations().unwrap().iter().map(|(id, _)| *id).collect();
        let newest = *ids.last().unwrap();
        // Commits after the last told one may be there, whole; none before may be missing.
        assert!(newest >= told, "{newest} < {told}");
        assert_eq!(ids, (newest.saturating_sub(4).max(1)..=newest).collect::<Vec<_>>());
        let text = journal.get(Table::Observed, "newest").unwrap().unwrap();
        assert_eq!(text, newest.to_string());
        for (id, hash) in journal.generations().unwrap() {
            let blob = journal.blob(&hash[..].try_into().unwrap()).unwrap().unwrap();
            assert!(blob.len() == 5000 && blob.iter().all(|b| u64::from(*b) == id % 251));
        }
    }
}
