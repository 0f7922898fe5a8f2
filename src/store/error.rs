//! *Purpose*: what goes wrong with a database, sorted by who can act.
//!
//! *Owns*: [`StoreError`] and the sorting of diesel's errors.
//!
//! *Promises*: what may pass (full disk, busy, I/O) is told from what is a bug or damage.
//!
//! *Not here*: what is done about it (`actors::store_writer`, `serve`).

use diesel::result::{DatabaseErrorKind, Error as Diesel};

/// What SQLite and PostgreSQL say when there is no room.
const FULL: [&str; 2] = ["database or disk is full", "No space left on device"];

/// A database error.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It may pass: disk full, I/O error, locked by another program.
    #[error("the database cannot be written or read now: {0}")]
    Transient(String),
    /// There is no room on its disk; it passes when somebody makes some.
    #[error("the disk of the database is full: {0}")]
    Full(String),
    /// The file is damaged or no database at all.
    #[error("the database is damaged: {0}")]
    Malformed(String),
    /// A value is none of its column's kind: another program has written it, or the disk has lost
    /// what stood there. There is no telling what it was, so nothing stands in for it.
    #[error(
        "the database is damaged: {row}: column \"{column}\" of table \"{table}\" holds {found}, \
         which is not {wanted}; put a backup in its place, or set that value right with sqlite3 \
         while no server runs"
    )]
    Damaged {
        /// Of this table.
        table: &'static str,
        /// This row, such as `job 17`.
        row: String,
        /// This column.
        column: &'static str,
        /// What stands there, shortened.
        found: String,
        /// What should stand there.
        wanted: &'static str,
    },
    /// Another server has taken over, or a commit came out of order.
    #[error("fenced off: the database is at commit {at} of epoch {epoch}, not at ours")]
    Fenced {
        /// Its commit number.
        at: i64,
        /// Its epoch.
        epoch: i64,
    },
    /// A row is not as the kernel knows it, or a constraint fired: a bug of ours.
    #[error("the database disagrees with the kernel: {0}")]
    Disagrees(String),
    /// Made by a newer Downbeat.
    #[error(
        "the database {place} was written by a newer Downbeat (migration {version}); \
         start that version, or point --database-url at another file"
    )]
    Newer {
        /// Where it is.
        place: String,
        /// The first migration that is unknown here.
        version: String,
    },
    /// Another program's.
    #[error(
        "{place} is a database of another program (it has a table \"{table}\" and is not ours); \
         point --database-url at another file"
    )]
    Foreign {
        /// Where it is.
        place: String,
        /// One of its tables.
        table: String,
    },
    /// Too many jobs to be put in order for one page.
    #[error(
        "no index has the jobs in order of {key}, and more than {most} would have to be put in \
         order; ask for fewer, by a state, an account, a user, a name, a label, or since and until"
    )]
    TooManyToOrder {
        /// By what.
        key: &'static str,
        /// As many would be.
        most: usize,
    },
    /// It could not be opened.
    #[error("cannot open the database {place}: {reason}")]
    Open {
        /// Where it is.
        place: String,
        /// Why.
        reason: String,
    },
}

impl From<Diesel> for StoreError {
    fn from(error: Diesel) -> StoreError {
        match &error {
            Diesel::DatabaseError(
                DatabaseErrorKind::UniqueViolation
                | DatabaseErrorKind::RestrictViolation
                | DatabaseErrorKind::ExclusionViolation
                | DatabaseErrorKind::ForeignKeyViolation
                | DatabaseErrorKind::NotNullViolation
                | DatabaseErrorKind::CheckViolation,
                _,
            )
            | Diesel::NotFound
            | Diesel::DeserializationError(_)
            | Diesel::SerializationError(_)
            | Diesel::QueryBuilderError(_) => StoreError::Disagrees(error.to_string()),
            // Who is told where in a statement something is wrong has written the statement.
            Diesel::DatabaseError(_, about) if about.statement_position().is_some() => {
                StoreError::Disagrees(format!("a statement is not understood: {error}"))
            }
            _ => {
                let text = error.to_string();
                if FULL.iter().any(|words| text.contains(words)) {
                    StoreError::Full(text)
                } else if text.contains("malformed") || text.contains("not a database") {
                    StoreError::Malformed(text)
                } else {
                    StoreError::Transient(text)
                }
            }
        }
    }
}

impl StoreError {
    /// The same for the person who starts a server: which file, and what to do.
    #[must_use]
    pub fn at_start(self, place: &str) -> StoreError {
        let place = place.to_owned();
        let reason = match self {
            StoreError::Malformed(what) => format!(
                "it is damaged ({what}); nothing was changed; put a backup in its place, or move \
                 it away together with jobs/ and spool/ to begin anew"
            ),
            StoreError::Transient(what) if what.contains("locked") => format!(
                "{what}: another program has it locked; `fuser {place}` names it; end it and start \
                 again"
            ),
            StoreError::Transient(what) if what.contains("readonly") => format!(
                "it cannot be written ({what}); look at the permissions and attributes of the \
                 file, of those beside it, and of its folder"
            ),
            StoreError::Full(what) => format!("{what}; make room on its disk and start again"),
            StoreError::Transient(what) => what,
            damaged @ StoreError::Damaged { .. } => damaged.to_string(),
            other => return other,
        };
        StoreError::Open { place, reason }
    }

    /// Whether trying again later makes sense.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, StoreError::Transient(_) | StoreError::Full(_) | StoreError::Open { .. })
    }
}
