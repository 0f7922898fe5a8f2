//! *Purpose*: looks at a database file before anything may write to it.
//!
//! *Owns*: what is told from a file that is there: empty, ours, another program's, damaged.
//!
//! *Promises*: not a byte is written, not even to fold in a log that a killed server left; a
//! refusal names the file and says what to do.
//!
//! *Not here*: migrations (`store::migrate`), which look again once they may write.
//!
//! **Why the check is bounded.** `PRAGMA quick_check` reads the whole file, so its time grows with
//! history; up to `CHECKED_BYTES_MAX` that is not felt at a start. In a larger file damage is
//! found where boot reads it (the queue, what is live, the counts) or by the read or the commit
//! that meets it, which say so; a check of all of it is for a person with time.

use std::fs;
use std::io;
use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::Text;
use rustix::fs::{Access, access};

use super::body::migrate;
use super::database::{Database, url};
use crate::store::error::StoreError;

/// Files up to this size (some 35,000 jobs) are checked whole: measured at 0.3 s for 50 MiB.
const CHECKED_BYTES_MAX: u64 = 32 << 20;
/// A table that every database of ours has, whatever its version.
const OUR_TABLE: &str = "meta";
/// The table in which migrations are noted, made before the first of them runs.
const NOTES_TABLE: &str = "__diesel_schema_migrations";

/// What is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// No file, or one without a byte.
    Nothing,
    /// A database of ours, or one that is just being made.
    Ours,
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Text)]
    word: String,
}

#[derive(QueryableByName)]
struct Verdict {
    #[diesel(sql_type = Text)]
    quick_check: String,
}

/// Looks at the file.
///
/// # Errors
/// When it cannot become the database of a server, and why.
pub fn examine(database: &Database) -> Result<Found, StoreError> {
    let path = database.path();
    let refused =
        |why: &str| StoreError::Open { place: path.display().to_string(), reason: why.to_owned() };
    let size = match fs::metadata(path) {
        Ok(file) if file.is_dir() => {
            return Err(refused("it is a folder; name a file with --database-url"));
        }
        Ok(file) => file.len(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
        Err(e) => return Err(refused(&e.to_string())),
    };
    if size == 0 {
        return Ok(Found::Nothing);
    }
    let folder = path.parent().unwrap_or(path);
    for place in [path, folder] {
        if let Err(e) = access(place, Access::READ_OK | Access::WRITE_OK) {
            let place = place.display();
            return Err(refused(&format!(
                "{place} cannot be written ({e}); look at its permissions and attributes, and at \
                 how its file system is mounted"
            )));
        }
    }
    look(path, size).map_err(|e| e.at_start(&path.display().to_string()))
}

fn look(path: &Path, size: u64) -> Result<Found, StoreError> {
    let mut conn = SqliteConnection::establish(&read_only(path))
        .map_err(|e| StoreError::Transient(e.to_string()))?;
    let tables = words(&mut conn, "SELECT name AS word FROM sqlite_master WHERE type = 'table'")?;
    let has = |name: &str| tables.iter().any(|table| table == name);
    if let Some(table) = tables.iter().find(|t| *t != NOTES_TABLE).filter(|_| !has(OUR_TABLE)) {
        let place = path.display().to_string();
        return Err(StoreError::Foreign { place, table: table.clone() });
    }
    if has(NOTES_TABLE) {
        let noted = format!("SELECT version AS word FROM {NOTES_TABLE} ORDER BY version");
        migrate::refuse_newer(&words(&mut conn, &noted)?, &path.display().to_string())?;
    }
    if size <= CHECKED_BYTES_MAX {
        let said: Vec<Verdict> = diesel::sql_query("PRAGMA quick_check(1)").load(&mut conn)?;
        if let Some(bad) = said.into_iter().find(|said| said.quick_check != "ok") {
            return Err(StoreError::Malformed(bad.quick_check));
        }
    }
    Ok(Found::Ours)
}

fn words(conn: &mut SqliteConnection, query: &str) -> Result<Vec<String>, StoreError> {
    let words: Vec<Word> = diesel::sql_query(query).load(conn)?;
    Ok(words.into_iter().map(|w| w.word).collect())
}

/// Without a log nobody has the file open, and then SQLite is told that nobody will write, so
/// that it makes no log either.
fn read_only(path: &Path) -> String {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let mode = if Path::new(&log).exists() { "mode=ro" } else { "mode=ro&immutable=1" };
    url(path, mode)
}
