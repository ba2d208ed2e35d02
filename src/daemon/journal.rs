//! The state on disk: a small key-value layer over one redb file, `handset.redb` in `state_dir`.
//!
//! A [`Batch`] is one durable transaction: after a crash or kill -9 at any moment the file holds
//! exactly the batches committed before. A file that is damaged or of another schema is moved aside
//! and a fresh one begun: lost state means "unknown" (design §2), never a daemon that does not
//! start. Everything here blocks: call it from `spawn_blocking`, or give the journal to
//! [`spawn_writer`].

mod batch;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use redb::backends::FileBackend;
use redb::{
    Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, StorageError,
    TableDefinition, TableError, TableHandle as _,
};
use thiserror::Error;

pub use batch::{Batch, BlobHash};
pub use writer::{Backlog, Health, WriterHandle, spawn_writer};

/// The name of the file inside `state_dir`.
pub const FILE: &str = "handset.redb";

/// What the tables mean. A file with another number is moved aside.
const SCHEMA: u32 = 2;
const SCHEMA_TABLE: TableDefinition<'static, (), u32> = TableDefinition::new("schema");

/// How many damaged files are kept for a post-mortem; the last one is overwritten.
const KEPT_DAMAGED: u32 = 9;

/// Memory for pages; the bulk of the state is read once, at start, and the kernel caches the file.
const CACHE_BYTES: usize = 1 << 20;

type Bytewise = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// The tables of the store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Table {
    /// Single facts: text key → JSON.
    Meta,
    /// Generation number (8 bytes, big-endian: in order) → manifest.
    Generations,
    /// Phone → its part of the newest generation.
    Parts,
    /// Generation number and phone → the part that this generation replaced; empty for none.
    Before,
    /// SHA-256 → a text that several parts share.
    Blobs,
    /// Phone → the part that is offered while the newest waits for Asterisk.
    Offers,
    /// Text key → an operator's or roll-out's intent, as JSON.
    Intents,
    /// Text key → observed facts, as JSON.
    Observed,
    /// Time (8 bytes, big-endian: in order) → what happened then, as a row of `plan::boot::record`.
    Events,
    /// IPv4 address (4 bytes) → its DHCP lease, as `wire::dhcp` stores it.
    Leases,
}

impl Table {
    /// Every table.
    pub const ALL: [Table; 10] = [
        Table::Meta,
        Table::Generations,
        Table::Parts,
        Table::Before,
        Table::Blobs,
        Table::Offers,
        Table::Intents,
        Table::Observed,
        Table::Events,
        Table::Leases,
    ];

    fn definition(self) -> Bytewise {
        Bytewise::new(match self {
            Table::Meta => "meta",
            Table::Generations => "generations",
            Table::Parts => "parts",
            Table::Before => "before",
            Table::Blobs => "blobs",
            Table::Offers => "offers",
            Table::Intents => "intents",
            Table::Observed => "observed",
            Table::Events => "events",
            Table::Leases => "leases",
        })
    }
}

/// How the store was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Opened {
    /// There was none: nothing is known.
    Fresh,
    /// As it was left, checked whole.
    Sound,
    /// It could not be used and was moved aside: nothing is known.
    Damaged {
        /// Where the old file lies now.
        moved_to: PathBuf,
        /// What was wrong with it.
        reason: String,
    },
}

/// Why the state cannot be read or written.
#[derive(Debug, Error)]
pub enum JournalError {
    /// Another process holds the file.
    #[error("{} is in use by another handsetd: stop it, or set another state_dir", .0.display())]
    Busy(PathBuf),
    /// The directory or the file cannot be made, entered or opened.
    #[error("cannot use {}", .path.display())]
    Access {
        /// Which of them.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Reading or writing failed. A batch that was not written may be committed again.
    #[error("cannot read or write {}: {source}", .path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
    /// The file vanished or became empty while in use.
    #[error("{} is gone: restart handsetd to begin a new one", .0.display())]
    Gone(PathBuf),
}

/// The open store. Clones share it.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    opener: Opener,
    /// None after a failed transaction: redb refuses a database after an I/O error until it is
    /// opened anew, which repairs it from the last whole commit.
    db: RwLock<Option<Database>>,
}

/// Opens the file: replaced in tests by a disk that fails.
type Opener = Box<dyn Fn(&Path) -> Result<Database, DatabaseError> + Send + Sync>;

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

/// Opens or makes the store in `dir`, which is made (0700) when missing. The file is 0600, locked
/// against a second daemon, and checked whole.
pub fn open(dir: &Path) -> Result<(Journal, Opened), JournalError> {
    open_with(dir, Box::new(open_file))
}

fn open_with(dir: &Path, opener: Opener) -> Result<(Journal, Opened), JournalError> {
    let path = dir.join(FILE);
    let access = |source| JournalError::Access { path: dir.to_owned(), source };
    prepare_dir(dir).map_err(access)?;
    let fresh = is_blank(&path);
    let (db, opened) = match attempt(&path, &opener) {
        Ok(db) => (db, if fresh { Opened::Fresh } else { Opened::Sound }),
        Err(Refusal::Failed(error)) => return Err(error),
        Err(Refusal::Damaged(reason)) => {
            let moved_to = move_aside(&path).map_err(access)?;
            let db = attempt(&path, &opener).map_err(|refusal| refusal.into_error(&path))?;
            (db, Opened::Damaged { moved_to, reason })
        }
    };
    // The file's name must survive a power cut as its contents do.
    File::open(dir).and_then(|d| d.sync_all()).map_err(access)?;
    let inner = Inner { path, opener, db: RwLock::new(Some(db)) };
    Ok((Journal { inner: Arc::new(inner) }, opened))
}

impl Journal {
    /// Carries the batch out as one durable transaction. After an error nothing of it is there, and
    /// it may be committed again.
    pub fn commit(&self, batch: &Batch) -> Result<(), JournalError> {
        if batch.is_empty() {
            return Ok(());
        }
        let result = self.with(|db| apply(db, batch));
        if matches!(result, Err(JournalError::Store { .. })) {
            *self.inner.db.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
        result
    }

    /// The value of `key`.
    pub fn get(&self, table: Table, key: impl AsRef<[u8]>) -> Result<Option<Bytes>, JournalError> {
        self.with(|db| {
            let rows = db.begin_read()?.open_table(table.definition())?;
            Ok(rows.get(key.as_ref())?.map(|value| Bytes::copy_from_slice(value.value())))
        })
    }

    /// Every key and value, in the order of the keys. Of blobs and generations the dedicated
    /// functions know the key's form.
    pub fn scan(&self, table: Table) -> Result<Vec<(Vec<u8>, Bytes)>, JournalError> {
        self.with(|db| {
            let rows = db.begin_read()?.open_table(table.definition())?;
            rows.iter()?
                .map(|row| {
                    let (key, value) = row?;
                    Ok((key.value().to_vec(), Bytes::copy_from_slice(value.value())))
                })
                .collect()
        })
    }

    /// Hands over every key from `from` on with its value, in order, until `take` says no.
    pub fn each(
        &self,
        table: Table,
        from: &[u8],
        mut take: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> JournalResult {
        self.with(|db| {
            let rows = db.begin_read()?.open_table(table.definition())?;
            for row in rows.range(from..)? {
                let (key, value) = row?;
                if !take(key.value(), value.value()) {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Every row of a table with text keys.
    pub fn scan_text(&self, table: Table) -> Result<Vec<(String, Bytes)>, JournalError> {
        let rows = self.scan(table)?;
        Ok(rows.into_iter().filter_map(|(k, v)| Some((String::from_utf8(k).ok()?, v))).collect())
    }

    /// Every stored generation, oldest first: number and manifest.
    pub fn generations(&self) -> Result<Vec<(u64, Bytes)>, JournalError> {
        let rows = self.scan(Table::Generations)?;
        let id = |key: Vec<u8>| Some(u64::from_be_bytes(key.try_into().ok()?));
        Ok(rows.into_iter().filter_map(|(k, v)| Some((id(k)?, v))).collect())
    }

    /// The bytes with this SHA-256.
    pub fn blob(&self, hash: &BlobHash) -> Result<Option<Bytes>, JournalError> {
        self.get(Table::Blobs, hash)
    }

    /// Removes every blob that is not in `keep`, durably.
    pub fn retain_blobs(&self, keep: &std::collections::BTreeSet<BlobHash>) -> JournalResult {
        let mut batch = Batch::new();
        batch.retain_blobs(keep.clone());
        self.commit(&batch)
    }

    /// Runs `work` on the database, which is opened anew first when the last transaction failed.
    fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, JournalError> {
        if self.inner.db.read().unwrap_or_else(PoisonError::into_inner).is_none() {
            self.reopen()?;
        }
        let guard = self.inner.db.read().unwrap_or_else(PoisonError::into_inner);
        let result = guard.as_ref().map_or(Err(redb::Error::DatabaseClosed), work);
        result.map_err(|e| store_error(&self.inner.path, e))
    }

    /// Never begins a fresh file: half of the state would then pass for all of it.
    fn reopen(&self) -> JournalResult {
        let mut slot = self.inner.db.write().unwrap_or_else(PoisonError::into_inner);
        if slot.is_some() {
            return Ok(());
        }
        let path = &self.inner.path;
        if is_blank(path) {
            return Err(JournalError::Gone(path.clone()));
        }
        *slot = Some(attempt(path, &self.inner.opener).map_err(|r| r.into_error(path))?);
        Ok(())
    }
}

type JournalResult = Result<(), JournalError>;

fn apply(db: &Database, batch: &Batch) -> Result<(), redb::Error> {
    let txn = db.begin_write()?;
    if let Some(keep) = &batch.keep_blobs {
        let kept = |key: &[u8]| BlobHash::try_from(key).is_ok_and(|hash| keep.contains(&hash));
        txn.open_table(Table::Blobs.definition())?.retain(|key, _| kept(key))?;
    }
    for (table, changes) in &batch.changes {
        let mut rows = txn.open_table(table.definition())?;
        for (key, value) in changes {
            match value {
                // A blob is named by its content: what is there is right.
                Some(_) if *table == Table::Blobs && rows.get(&key[..])?.is_some() => {}
                Some(value) => drop(rows.insert(&key[..], &value[..])?),
                None => drop(rows.remove(&key[..])?),
            }
        }
    }
    Ok(txn.commit()?)
}

/// Why a file was not opened.
enum Refusal {
    /// It holds no usable state: move it aside.
    Damaged(String),
    /// It may be sound: leave it alone.
    Failed(JournalError),
}

impl Refusal {
    fn into_error(self, path: &Path) -> JournalError {
        match self {
            Refusal::Failed(error) => error,
            Refusal::Damaged(why) => store_error(path, redb::Error::Corrupted(why)),
        }
    }
}

/// Opens and checks the file. redb promises no panic on any content when it checks at opening; a
/// panic would still only mean a damaged file.
fn attempt(path: &Path, opener: &Opener) -> Result<Database, Refusal> {
    catch_unwind(AssertUnwindSafe(|| {
        let db = opener(path).map_err(|error| refusal(path, error))?;
        match check_schema(&db) {
            Ok(None) => Ok(db),
            Ok(Some(found)) => Err(Refusal::Damaged(found)),
            Err(redb::Error::Corrupted(why)) => Err(Refusal::Damaged(why)),
            Err(error) => Err(Refusal::Failed(store_error(path, error))),
        }
    }))
    .unwrap_or_else(|_| Err(Refusal::Damaged("the database library gave up on it".into())))
}

fn open_file(path: &Path) -> Result<Database, DatabaseError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    builder().create_with_backend(FileBackend::new(file)?)
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_check_integrity_on_open(true).set_cache_size(CACHE_BYTES);
    builder
}

fn refusal(path: &Path, error: DatabaseError) -> Refusal {
    use io::ErrorKind::{InvalidData, UnexpectedEof};
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            Refusal::Failed(JournalError::Busy(path))
        }
        DatabaseError::Storage(StorageError::Corrupted(why)) => Refusal::Damaged(why),
        DatabaseError::Storage(StorageError::Io(e))
            if matches!(e.kind(), InvalidData | UnexpectedEof) =>
        {
            Refusal::Damaged(e.to_string())
        }
        DatabaseError::Storage(StorageError::Io(source)) => {
            Refusal::Failed(JournalError::Access { path, source })
        }
        DatabaseError::RepairAborted | DatabaseError::UpgradeRequired(_) => {
            Refusal::Damaged(error.to_string())
        }
        other => Refusal::Failed(store_error(&path, other.into())),
    }
}

/// Makes the tables of a new file. Returns what is wrong with an old one.
fn check_schema(db: &Database) -> Result<Option<String>, redb::Error> {
    let found = match db.begin_read()?.open_table(SCHEMA_TABLE) {
        Ok(table) => table.get(())?.map(|number| number.value()),
        Err(TableError::TableDoesNotExist(_)) => None,
        Err(TableError::Storage(error)) => return Err(error.into()),
        Err(other) => return Ok(Some(other.to_string())),
    };
    match found {
        // A file of an earlier version lacks the tables that came later.
        Some(SCHEMA) if !has_tables(db)? => make_tables(db).map(|()| None),
        Some(SCHEMA) => Ok(None),
        Some(other) => Ok(Some(format!("it has schema {other}, this handsetd knows {SCHEMA}"))),
        None => make_tables(db).map(|()| None),
    }
}

fn has_tables(db: &Database) -> Result<bool, redb::Error> {
    let names: Vec<String> =
        db.begin_read()?.list_tables()?.map(|table| table.name().to_owned()).collect();
    let there = |table: &Table| names.iter().any(|name| *name == table.definition().name());
    Ok(Table::ALL.iter().all(there))
}

fn make_tables(db: &Database) -> Result<(), redb::Error> {
    let txn = db.begin_write()?;
    for table in Table::ALL {
        txn.open_table(table.definition())?;
    }
    txn.open_table(SCHEMA_TABLE)?.insert((), SCHEMA)?;
    Ok(txn.commit()?)
}

fn store_error(path: &Path, source: redb::Error) -> JournalError {
    JournalError::Store { path: path.to_owned(), source: Box::new(source) }
}

/// 0700 whatever it was: the state holds the phones' secrets.
fn prepare_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let mode = fs::metadata(dir)?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// True when there is no file, or one without a byte.
fn is_blank(path: &Path) -> bool {
    fs::symlink_metadata(path).map_or(true, |meta| meta.is_file() && meta.len() == 0)
}

fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let name = |n: u32| path.with_file_name(format!("{FILE}.damaged-{n}"));
    let free = (1..KEPT_DAMAGED).map(name).find(|p| fs::symlink_metadata(p).is_err());
    let target = free.unwrap_or_else(|| name(KEPT_DAMAGED));
    fs::rename(path, &target)?;
    Ok(target)
}
