//! *Purpose*: the write-ahead log, where it is not as SQLite takes it to be.
//!
//! *Owns*: the way from a log that somebody took away to a new one, and wiping it.
//!
//! *Promises*: before anything else is answered, what a log held that is no longer in its place is
//! in the database; nobody reads meanwhile; what others put in its place is never taken for ours.
//!
//! *Not here*: noticing it (`store::place`), commits (`store::write`).

use diesel::prelude::*;
use diesel::{SqliteConnection, sql_query};

use super::super::backend::Database;
use super::super::error::StoreError;
use super::super::place::Place;
use super::super::schema::meta;
use super::super::wal_prealloc;
use super::Writer;

/// Chores from the first job that is forgotten until its script is wiped out of the log, which
/// takes some tens of milliseconds: a minute.
pub(super) const WIPE_CHORES: u32 = 6;

impl Writer {
    /// SQLite goes on writing to a file that was deleted or moved, and nobody would find again
    /// what it was told there.
    pub(super) fn in_place(&self) -> Result<(), StoreError> {
        if self.place.has_database() {
            return Ok(());
        }
        let path = self.database.path().display();
        Err(StoreError::Transient(format!("{path} was moved, deleted or replaced; put it back")))
    }

    /// Sees to it that what was committed outlives this process: if somebody took the log away, or
    /// what stands beside it, all of it is moved into the database, and a new log is begun.
    ///
    /// # Errors
    /// When the database is not in its place, or cannot be written now; the next commit, or the
    /// next chore, tries again, and no reader is let in before that. When the log was cut off, so
    /// that what stood in it is lost.
    pub fn look_after(&mut self) -> Result<(), StoreError> {
        self.in_place()?;
        if self.conn.is_none() || self.place.has_log() {
            return Ok(());
        }
        let log = self.place.log_path().display().to_string();
        log::warn!("{log} was deleted, replaced or cut off; moving what it held into the database");
        let (database, is_cut_off) = (self.database.clone(), self.place.is_cut_off());
        let (conn, place) = database.alone(|| {
            if let Some(conn) = &mut self.conn {
                empty_log(conn, &log, is_cut_off)?;
            }
            self.conn = None;
            let refused = |e| StoreError::Transient(format!("{log}: {e}"));
            self.place.clear().map_err(refused)?;
            opened(&database)
        })?;
        (self.conn, self.place) = (Some(conn), place);
        log::warn!("all that {log} held is in the database; a new log is begun");
        Ok(())
    }

    /// Wipes what was forgotten out of the log, some chores after it was. In the database SQLite
    /// has overwritten it already (`secure_delete`).
    ///
    /// # Errors
    /// When the database refuses, or another program reads it; the next chore tries again.
    pub fn wipe(&mut self) -> Result<(), StoreError> {
        let Some(left) = self.wipe_in else { return Ok(()) };
        self.wipe_in = Some(left.saturating_sub(1));
        let Some(conn) = self.conn.as_mut().filter(|_| left == 0) else { return Ok(()) };
        let log = self.place.log_path().display().to_string();
        let emptied = self.database.pause(|| empty_log(conn, &log, false));
        wal_prealloc::to_full_length(conn, self.database.path());
        self.place = Place::of(self.database.path());
        emptied?;
        self.wipe_in = None;
        Ok(())
    }
}

/// A connection to the database as it is, with its log open.
pub(super) fn opened(database: &Database) -> Result<(SqliteConnection, Place), StoreError> {
    let mut conn = database.writer()?;
    meta::table.select(meta::commit_no).get_result::<i64>(&mut conn)?;
    wal_prealloc::to_full_length(&mut conn, database.path());
    let place = Place::of(database.path());
    Ok((conn, place))
}

/// What a checkpoint answers.
#[derive(QueryableByName)]
struct Emptied {
    /// Whether others kept it from its end.
    #[diesel(sql_type = diesel::sql_types::Integer)]
    busy: i32,
}

/// Moves everything that the log holds into the database.
fn empty_log(conn: &mut SqliteConnection, log: &str, is_cut_off: bool) -> Result<(), StoreError> {
    let emptied = sql_query("PRAGMA wal_checkpoint(TRUNCATE)").get_result::<Emptied>(conn);
    match emptied.map_err(StoreError::from) {
        Ok(Emptied { busy: 0 }) => Ok(()),
        Ok(_) => Err(StoreError::Transient(format!("another program reads {log}"))),
        // It reads less than it wrote.
        Err(error) if is_cut_off && error.to_string().contains("I/O") => {
            Err(StoreError::Malformed(format!("{log} was cut off by somebody: {error}")))
        }
        Err(error) => Err(error),
    }
}
