//! *Purpose*: what goes wrong with a database, sorted by who can act.
//!
//! *Owns*: [`StoreError`] and the sorting of diesel's errors.
//!
//! *Promises*: what may pass (full disk, busy, I/O) is told from what is a bug or damage.
//!
//! *Not here*: what is done about it (`actors::store_writer`, `serve`).

use diesel::result::{DatabaseErrorKind, Error as Diesel};

/// A database error.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It may pass: disk full, I/O error, locked by another program.
    #[error("the database cannot be written or read now: {0}")]
    Transient(String),
    /// The file is damaged or no database at all.
    #[error("the database is damaged: {0}")]
    Damaged(String),
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
        "the database {path} was written by a newer Downbeat (migration {version}); \
         start that version, or point --database-url at another file"
    )]
    Newer {
        /// The file.
        path: String,
        /// The first migration that is unknown here.
        version: String,
    },
    /// It could not be opened.
    #[error("cannot open the database {path}: {reason}")]
    Open {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}

impl From<Diesel> for StoreError {
    fn from(error: Diesel) -> StoreError {
        match &error {
            Diesel::DatabaseError(
                DatabaseErrorKind::UniqueViolation
                | DatabaseErrorKind::ForeignKeyViolation
                | DatabaseErrorKind::NotNullViolation
                | DatabaseErrorKind::CheckViolation,
                _,
            )
            | Diesel::NotFound
            | Diesel::DeserializationError(_)
            | Diesel::SerializationError(_)
            | Diesel::QueryBuilderError(_) => StoreError::Disagrees(error.to_string()),
            _ => {
                let text = error.to_string();
                if text.contains("malformed") || text.contains("not a database") {
                    StoreError::Damaged(text)
                } else {
                    StoreError::Transient(text)
                }
            }
        }
    }
}

impl StoreError {
    /// Whether trying again later makes sense.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, StoreError::Transient(_) | StoreError::Open { .. })
    }
}
