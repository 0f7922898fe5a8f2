//! *Purpose*: the database, as the writer has it open.
//!
//! *Owns*: its session, and the way to another one when it is lost.
//!
//! *Promises*: a session that is given out holds the lock; before it is, the session before is
//! over, so that what it shows of the last commit stays so.
//!
//! *Not here*: settings and the lock (`postgres::session`), commits (`store::body::write`).

use super::Conn;
use super::database::Database;
use super::session;
use crate::store::error::StoreError;

/// The database, as the writer has it open.
pub struct OpenDatabase {
    database: Database,
    conn: Option<Conn>,
    /// The process of the last session there, which may still be at work.
    pid: Option<i32>,
}

impl OpenDatabase {
    /// Takes up a session.
    pub fn new(database: Database, mut conn: Conn) -> OpenDatabase {
        let pid = session::pid(&mut conn).ok();
        OpenDatabase { database, conn: Some(conn), pid }
    }

    /// Whether there is a session.
    pub fn is_open(&self) -> bool {
        self.conn.is_some()
    }

    /// Drops the session; the next one to be asked for is a new one.
    pub fn close(&mut self) {
        self.conn = None;
    }

    /// The session, opened again if there is none.
    pub fn connection(&mut self) -> Result<&mut Conn, StoreError> {
        if self.conn.is_none() {
            let mut conn = session::again(self.database.address(), self.pid)?;
            self.pid = Some(session::pid(&mut conn)?);
            self.conn = Some(conn);
        }
        self.conn.as_mut().ok_or_else(|| StoreError::Transient("no connection".to_owned()))
    }

    /// Nothing lies beside it that somebody could take away.
    pub fn look_after(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// What is forgotten leaves the log of the server when that is recycled.
    pub fn wipe_soon(&mut self) {}

    /// See [`OpenDatabase::wipe_soon`].
    pub fn wipe(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
