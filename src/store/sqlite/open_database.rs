//! *Purpose*: the database, as the writer has it open.
//!
//! *Owns*: its connection; the way from a log that somebody took away to a new one; wiping the log.
//!
//! *Promises*: before anything else is answered, what a log held that is no longer in its place is
//! in the database; nobody reads meanwhile; what others put in its place is never taken for ours.
//!
//! *Not here*: noticing it (`store::sqlite::place`), commits (`store::body::write`).

use diesel::prelude::*;
use diesel::sql_query;

use super::Conn;
use super::database::Database;
use super::place::Place;
use super::wal_prealloc;
use crate::store::error::StoreError;
use crate::store::schema::meta;

/// Chores from the first job that is forgotten until its script is wiped out of the log, which
/// takes some tens of milliseconds: a minute.
const WIPE_CHORES: u32 = 6;

/// The database, as the writer has it open.
pub struct OpenDatabase {
    database: Database,
    conn: Option<Conn>,
    /// Which files these are.
    place: Place,
    /// Chores until what was forgotten leaves the log too; `None`: nothing is left in it.
    wipe_in: Option<u32>,
}

impl OpenDatabase {
    /// Takes up a connection to the database as it is, with its log open.
    pub fn new(database: Database, mut conn: Conn) -> OpenDatabase {
        let place = with_full_log(&database, &mut conn);
        OpenDatabase { database, conn: Some(conn), place, wipe_in: None }
    }

    /// Whether there is a connection.
    pub fn is_open(&self) -> bool {
        self.conn.is_some()
    }

    /// Drops the connection; the next one to be asked for is a new one.
    pub fn close(&mut self) {
        self.conn = None;
    }

    /// The connection, opened again if there is none.
    pub fn connection(&mut self) -> Result<&mut Conn, StoreError> {
        if self.conn.is_none() {
            self.in_place()?;
            let (conn, place) = opened(&self.database)?;
            (self.conn, self.place) = (Some(conn), place);
        }
        self.conn.as_mut().ok_or_else(|| StoreError::Transient("no connection".to_owned()))
    }

    /// SQLite goes on writing to a file that was deleted or moved, and nobody would find again
    /// what it was told there.
    fn in_place(&self) -> Result<(), StoreError> {
        if self.place.has_database() {
            return Ok(());
        }
        let path = self.database.path().display();
        Err(StoreError::Transient(format!("{path} was moved, deleted or replaced; put it back")))
    }

    /// Moves what a log holds that somebody took away into the database, and begins a new log.
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

    /// What was just forgotten is to leave the log too, some chores on.
    pub fn wipe_soon(&mut self) {
        self.wipe_in.get_or_insert(WIPE_CHORES);
    }

    /// Wipes the log, once that is due.
    pub fn wipe(&mut self) -> Result<(), StoreError> {
        let Some(left) = self.wipe_in else { return Ok(()) };
        self.wipe_in = Some(left.saturating_sub(1));
        let Some(conn) = self.conn.as_mut().filter(|_| left == 0) else { return Ok(()) };
        let log = self.place.log_path().display().to_string();
        let emptied = self.database.pause(|| empty_log(conn, &log, false));
        self.place = with_full_log(&self.database, conn);
        emptied?;
        self.wipe_in = None;
        Ok(())
    }
}

/// A connection to the database as it is, with its log open.
fn opened(database: &Database) -> Result<(Conn, Place), StoreError> {
    let mut conn = database.session()?;
    meta::table.select(meta::commit_no).get_result::<i64>(&mut conn)?;
    let place = with_full_log(database, &mut conn);
    Ok((conn, place))
}

/// Gives the log its full length; answers which files are written to.
fn with_full_log(database: &Database, conn: &mut Conn) -> Place {
    wal_prealloc::to_full_length(conn, database.path());
    Place::of(database.path())
}

/// What a checkpoint answers.
#[derive(QueryableByName)]
struct Emptied {
    /// Whether others kept it from its end.
    #[diesel(sql_type = diesel::sql_types::Integer)]
    busy: i32,
}

/// Moves everything that the log holds into the database.
fn empty_log(conn: &mut Conn, log: &str, is_cut_off: bool) -> Result<(), StoreError> {
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
