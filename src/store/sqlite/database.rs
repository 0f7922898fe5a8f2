//! *Purpose*: connections to a file of SQLite.
//!
//! *Owns*: where it is, SQLite's settings, the pool of readers.
//!
//! *Promises*: writers are durable at COMMIT (WAL, `synchronous=FULL`); readers cannot write; what
//! is deleted is overwritten; who has to be alone with the database waits until no reader of this
//! process is left.
//!
//! *Not here*: queries (`store::body::write`).

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool};
use diesel::{Connection, SqliteConnection};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::store::error::StoreError;

/// Reader connections: as many as blocking threads that read at once on a small machine; more
/// would only queue inside SQLite.
pub const READERS: u32 = 4;
/// How long SQLite itself waits for a lock that another program holds, milliseconds.
const BUSY_MS: u32 = 2_000;
/// Pages in the write-ahead log at which a commit also moves them into the database, which takes
/// it milliseconds. SQLite's own 1,000 make that one commit in a hundred, and the same pages are
/// written again and again; 16 MiB of log still take a start only tens of milliseconds.
pub(super) const CHECKPOINT_PAGES: u32 = 4_000;
/// SQLite's usual page.
pub(super) const PAGE_BYTES: u64 = 4_096;
/// Longest wait for a reader from the pool, seconds; then the answer is 503.
const POOL_WAIT_S: u64 = 10;

/// Readers that are kept open; none while somebody is alone with the database.
type Shared = Arc<RwLock<Option<Pool<ConnectionManager<SqliteConnection>>>>>;

/// Where the database is. Clones share their readers.
#[derive(Clone, Debug)]
pub struct Database {
    path: PathBuf,
    shared: Shared,
}

impl Database {
    /// A SQLite file.
    pub fn new(path: impl Into<PathBuf>) -> Database {
        Database { path: path.into(), shared: Shared::default() }
    }

    /// The SQLite file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it is called in a sentence.
    #[must_use]
    pub fn place(&self) -> String {
        self.path.display().to_string()
    }

    /// A connection that may write.
    ///
    /// # Errors
    /// When the file cannot be opened or is not a database.
    pub fn session(&self) -> Result<SqliteConnection, StoreError> {
        let mut conn = self.connect()?;
        conn.batch_execute(&format!(
            "PRAGMA busy_timeout = {BUSY_MS}; PRAGMA journal_mode = WAL; \
             PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; \
             PRAGMA secure_delete = ON; PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};"
        ))
        .map_err(|e| StoreError::from(e).at_start(&self.place()))?;
        Ok(conn)
    }

    fn connect(&self) -> Result<SqliteConnection, StoreError> {
        let path = self.path.to_string_lossy();
        SqliteConnection::establish(&path).map_err(|e| self.unopened(&e.to_string()))
    }

    fn unopened(&self, reason: &str) -> StoreError {
        StoreError::Open { place: self.place(), reason: reason.to_owned() }
    }

    /// The readers. Connections are made when first needed.
    ///
    /// # Errors
    /// When the pool cannot be built.
    pub fn readers(&self) -> Result<Readers, StoreError> {
        let mut pool = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        if pool.is_none() {
            *pool = Some(self.pool()?);
        }
        Ok(Readers { shared: Arc::clone(&self.shared) })
    }

    /// Does this while nobody reads.
    pub fn pause<T>(&self, body: impl FnOnce() -> T) -> T {
        let _nobody_reads = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        body()
    }

    /// Does this while no reader is open, and opens readers again if it succeeds. Until then reads
    /// are refused.
    ///
    /// # Errors
    /// What it says, or that no readers can be opened.
    pub fn alone<T>(&self, body: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut pool = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        drop(pool.take());
        let done = body()?;
        *pool = Some(self.pool()?);
        Ok(done)
    }

    fn pool(&self) -> Result<Pool<ConnectionManager<SqliteConnection>>, StoreError> {
        // Readers never make a file: one that was deleted must not come back empty.
        let manager = ConnectionManager::new(url(&self.path, "mode=rw"));
        Pool::builder()
            .max_size(READERS)
            .min_idle(Some(1))
            // A file does not hang up as a network peer does: asking it before each use is waste.
            .test_on_check_out(false)
            .connection_timeout(std::time::Duration::from_secs(POOL_WAIT_S))
            .connection_customizer(Box::new(ReadOnly))
            .build(manager)
            .map_err(|e| self.unopened(&e.to_string()))
    }
}

/// What may stand in a URL's path as it is.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

/// A file as SQLite's URL, which can say more than a path.
pub(super) fn url(path: &Path, query: &str) -> String {
    format!("file:{}?{query}", percent_encode(path.as_os_str().as_bytes(), IN_PATH))
}

#[derive(Debug)]
struct ReadOnly;

impl CustomizeConnection<SqliteConnection, diesel::r2d2::Error> for ReadOnly {
    fn on_acquire(&self, conn: &mut SqliteConnection) -> Result<(), diesel::r2d2::Error> {
        conn.batch_execute(&format!(
            "PRAGMA busy_timeout = {BUSY_MS}; PRAGMA query_only = ON; PRAGMA temp_store = MEMORY;"
        ))
        .map_err(diesel::r2d2::Error::QueryError)
    }
}

/// The pool of readers.
#[derive(Clone)]
pub struct Readers {
    shared: Shared,
}

impl Readers {
    /// Runs a read in a transaction of its own, so that all it sees is of one commit. Blocks:
    /// call it on a blocking thread.
    ///
    /// # Errors
    /// When no reader is free in time, or the database refuses.
    pub fn read<T>(
        &self,
        body: impl FnOnce(&mut SqliteConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        // Held until the end of the read: whoever wants to be alone waits for it.
        let shared = self.shared.read().unwrap_or_else(PoisonError::into_inner);
        let anew = || StoreError::Transient("it is being opened anew".to_owned());
        let mut conn = shared
            .as_ref()
            .ok_or_else(anew)?
            .get()
            .map_err(|e| StoreError::Transient(e.to_string()))?;
        SqliteConnection::transaction(&mut conn, body)
    }
}
