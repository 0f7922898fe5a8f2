//! *Purpose*: where the database is, as it was set.
//!
//! *Owns*: [`DatabaseAt`].
//!
//! *Promises*: shown, it is a URL without a password.
//!
//! *Not here*: opening it (`store`).

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

use crate::store::postgres::address::Address;

/// Where the database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseAt {
    /// A file of SQLite, absolute.
    File(PathBuf),
    /// A schema of a PostgreSQL database.
    Postgres(Address),
}

impl DatabaseAt {
    /// The file, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<&PathBuf> {
        match self {
            DatabaseAt::File(path) => Some(path),
            DatabaseAt::Postgres(_) => None,
        }
    }
}

impl Display for DatabaseAt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            DatabaseAt::File(path) => write!(f, "sqlite://{}", path.display()),
            DatabaseAt::Postgres(address) => Display::fmt(address, f),
        }
    }
}
