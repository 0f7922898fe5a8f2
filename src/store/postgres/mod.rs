//! *Purpose*: a schema of a PostgreSQL database.
//!
//! *Owns*: what the body of the store is compiled against for it.
//!
//! *Promises*: the names below are all that the body knows of it.
//!
//! *Not here*: questions and writes (`store::body`).

pub mod address;
// Row by row, as there.
#[path = "../sqlite/bind.rs"]
#[allow(clippy::duplicate_mod, reason = "compiled once for each database")]
mod bind;
pub mod database;
mod open_database;
#[path = "../sqlite/prepared.rs"]
#[allow(clippy::duplicate_mod, reason = "compiled once for each database")]
mod prepared;
mod session;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod testing;
mod words;

#[path = "../body/mod.rs"]
#[allow(clippy::duplicate_mod, reason = "compiled once for each database")]
pub mod body;

pub use diesel::PgConnection as Conn;
pub use diesel::pg::Pg as Db;

/// What one database does in another way than the others.
pub(super) mod dialect {
    use diesel_migrations::{EmbeddedMigrations, embed_migrations};

    pub use super::bind::Change;
    pub use super::database::Database;
    pub use super::open_database::OpenDatabase;
    pub use super::prepared::{free, insert, update, update_all};
    #[cfg(test)]
    pub use super::testing::for_test;
    pub use super::words::{
        BEGIN, GREATEST, IS_TOLD_INDEXES, LEAST, RowByRow, jobs, joined, like, nothing_in,
    };

    /// The way to the shape that this program knows.
    pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");
}
