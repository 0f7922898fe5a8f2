//! *Purpose*: a file of SQLite.
//!
//! *Owns*: what the body of the store is compiled against for it.
//!
//! *Promises*: the names below are all that the body knows of it.
//!
//! *Not here*: questions and writes (`store::body`).

mod bind;
mod open_database;
pub mod place;
pub mod preflight;
mod prepared;
mod wal_prealloc;

#[path = "../body/mod.rs"]
pub mod body;

pub use diesel::SqliteConnection as Conn;
pub use diesel::sqlite::Sqlite as Db;

/// What one database does in another way than the others.
pub(super) mod dialect {
    pub use super::bind::Change;
    pub use super::open_database::OpenDatabase;
    pub use super::prepared::{free, insert, update, update_all};
}
