//! *Purpose*: connections to a PostgreSQL database.
//!
//! *Owns*: the pool of readers.
//!
//! *Promises*: a read is a snapshot: all it sees is of one commit; readers cannot write.
//!
//! *Not here*: settings (`postgres::session`), queries (`store::body`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool};

use super::Conn;
use super::address::Address;
use super::session;
use crate::store::error::StoreError;

/// Reader connections, as many as of a file; with the writer's there are five, and one more for
/// a moment at the start.
pub const READERS: u32 = 4;
/// Longest wait for a reader from the pool, seconds; then the answer is 503.
const POOL_WAIT_S: u64 = 10;

type Connections = Pool<ConnectionManager<Conn>>;

/// Where the database is. Clones share their readers.
#[derive(Clone, Debug)]
pub struct Database {
    address: Address,
    shared: Arc<Mutex<Option<Connections>>>,
}

impl Database {
    /// A database.
    #[must_use]
    pub fn new(address: Address) -> Database {
        Database { address, shared: Arc::default() }
    }

    /// Where it is.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// How it is called in a sentence, without a password.
    #[must_use]
    pub fn place(&self) -> String {
        self.address.to_string()
    }

    /// A session that may write, and holds the lock.
    ///
    /// # Errors
    /// A sentence about what keeps the database from being used.
    pub fn session(&self) -> Result<Conn, StoreError> {
        session::first(&self.address)
    }

    /// The readers. Connections are made when first needed.
    ///
    /// # Errors
    /// When the pool cannot be built.
    pub fn readers(&self) -> Result<Readers, StoreError> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = &*shared {
            return Ok(Readers { pool: pool.clone() });
        }
        let manager = ConnectionManager::new(session::with_line(&self.address));
        let pool = Pool::builder()
            .max_size(READERS)
            .min_idle(Some(1))
            // A server that was started again is asked by a new connection, not by the old one.
            .test_on_check_out(true)
            .connection_timeout(Duration::from_secs(POOL_WAIT_S))
            .connection_customizer(Box::new(Settings(session::reader(&self.address))))
            .error_handler(Box::new(Heard))
            .build(manager)
            .map_err(|e| StoreError::Open { place: self.place(), reason: e.to_string() })?;
        *shared = Some(pool.clone());
        Ok(Readers { pool })
    }
}

/// What a reader is set to.
#[derive(Debug)]
struct Settings(String);

impl CustomizeConnection<Conn, diesel::r2d2::Error> for Settings {
    fn on_acquire(&self, conn: &mut Conn) -> Result<(), diesel::r2d2::Error> {
        conn.batch_execute(&self.0).map_err(diesel::r2d2::Error::QueryError)
    }
}

/// Each try of the pool is one line of a server that is away, which is no error of ours; whoever
/// waits for it is told.
#[derive(Debug)]
struct Heard;

impl<E: std::fmt::Display> diesel::r2d2::HandleError<E> for Heard {
    fn handle_error(&self, error: E) {
        log::debug!("No connection for a reader: {error}");
    }
}

/// The pool of readers.
#[derive(Clone)]
pub struct Readers {
    pool: Connections,
}

impl Readers {
    /// Runs a read in a snapshot of its own. Blocks: call it on a blocking thread.
    ///
    /// # Errors
    /// When no reader is free in time, or the database refuses.
    pub fn read<T>(
        &self,
        body: impl FnOnce(&mut Conn) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut conn = self.pool.get().map_err(|e| StoreError::Transient(e.to_string()))?;
        conn.build_transaction().repeatable_read().read_only().run(body)
    }
}
