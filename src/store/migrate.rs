//! *Purpose*: brings a database to the shape this program knows.
//!
//! *Owns*: the embedded migrations.
//!
//! *Promises*: a database of a newer version is refused and left untouched.
//!
//! *Not here*: the shape itself (`migrations/`, `store::schema`).

use std::path::Path;

use diesel::SqliteConnection;
use diesel::migration::MigrationSource;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::backend::Database;
use super::error::StoreError;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Refuses a database to which a migration was applied that is unknown here.
///
/// # Errors
/// [`StoreError::Newer`].
pub fn refuse_newer(applied: &[String], path: &Path) -> Result<(), StoreError> {
    let open = |reason: String| StoreError::Open { path: path.display().to_string(), reason };
    let known: Vec<String> = MigrationSource::<diesel::sqlite::Sqlite>::migrations(&MIGRATIONS)
        .map_err(|e| open(e.to_string()))?
        .iter()
        .map(|m| m.name().version().to_string())
        .collect();
    match applied.iter().find(|version| !known.contains(version)) {
        None => Ok(()),
        Some(newer) => {
            let path = path.display().to_string();
            Err(StoreError::Newer { path, version: newer.clone() })
        }
    }
}

/// Runs what is missing; answers the names of what was run.
///
/// # Errors
/// [`StoreError::Newer`], or what the database says.
pub fn run(conn: &mut SqliteConnection, database: &Database) -> Result<Vec<String>, StoreError> {
    let damaged = |e: Box<dyn std::error::Error + Send + Sync>| StoreError::Open {
        path: database.path().display().to_string(),
        reason: e.to_string(),
    };
    let applied = conn.applied_migrations().map_err(damaged)?;
    let applied: Vec<String> = applied.iter().map(ToString::to_string).collect();
    refuse_newer(&applied, database.path())?;
    let ran = conn.run_pending_migrations(MIGRATIONS).map_err(damaged)?;
    Ok(ran.iter().map(ToString::to_string).collect())
}
