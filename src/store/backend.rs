//! *Purpose*: which database it is.
//!
//! *Owns*: [`Database`], [`Readers`].
//!
//! *Promises*: whoever holds one need not know which it is.
//!
//! *Not here*: connections and settings of each (`store::sqlite`, `store::postgres`).

use std::path::PathBuf;

use super::error::StoreError;
use super::postgres::{self, address::Address};
use super::reader::Reader;
use super::sqlite;
use super::writer::Writer;

/// Where the database is. Clones share their readers.
#[derive(Clone, Debug)]
pub enum Database {
    /// A file.
    Sqlite(sqlite::database::Database),
    /// A schema of a PostgreSQL database.
    Postgres(postgres::database::Database),
}

impl Database {
    /// A file of SQLite.
    pub fn file(path: impl Into<PathBuf>) -> Database {
        Database::Sqlite(sqlite::database::Database::new(path))
    }

    /// A schema of a PostgreSQL database.
    #[must_use]
    pub fn postgres(address: Address) -> Database {
        Database::Postgres(postgres::database::Database::new(address))
    }

    /// How it is called in a sentence, without a password.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Database::Sqlite(file) => file.place(),
            Database::Postgres(schema) => schema.place(),
        }
    }

    /// Opens and migrates the database, and takes the next epoch.
    ///
    /// # Errors
    /// When it cannot be opened, is damaged, or is newer than this program.
    pub fn writer(&self) -> Result<Box<dyn Writer>, StoreError> {
        Ok(match self {
            Database::Sqlite(file) => {
                Box::new(sqlite::body::write::OnlyWriter::open(file.clone())?)
            }
            Database::Postgres(schema) => {
                Box::new(postgres::body::write::OnlyWriter::open(schema.clone())?)
            }
        })
    }

    /// Brings it to this program's form; answers the names of the migrations that were run.
    ///
    /// # Errors
    /// As [`Database::writer`].
    pub fn migrate(&self) -> Result<Vec<String>, StoreError> {
        match self {
            Database::Sqlite(file) => sqlite::body::migrate::run(&mut file.session()?, file),
            Database::Postgres(schema) => {
                postgres::body::migrate::run(&mut schema.session()?, schema)
            }
        }
    }

    /// The readers. Connections are made when first needed.
    ///
    /// # Errors
    /// When the pool cannot be built.
    pub fn readers(&self) -> Result<Readers, StoreError> {
        Ok(match self {
            Database::Sqlite(file) => Readers::Sqlite(file.readers()?),
            Database::Postgres(schema) => Readers::Postgres(schema.readers()?),
        })
    }
}

/// The pool of readers.
#[derive(Clone)]
pub enum Readers {
    /// Those of a file.
    Sqlite(sqlite::database::Readers),
    /// Those of a schema.
    Postgres(postgres::database::Readers),
}

impl Readers {
    /// Runs a read in a transaction of its own, so that all it sees is of one commit. Blocks:
    /// call it on a blocking thread.
    ///
    /// # Errors
    /// When no reader is free in time, or the database refuses.
    pub fn read<T>(
        &self,
        body: impl FnOnce(&mut dyn Reader) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self {
            Readers::Sqlite(readers) => readers.read(|conn| body(conn)),
            Readers::Postgres(readers) => readers.read(|conn| body(conn)),
        }
    }
}
