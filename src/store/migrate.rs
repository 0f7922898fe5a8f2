//! *Purpose*: brings a database to the shape this program knows.
//!
//! *Owns*: the embedded migrations.
//!
//! *Promises*: a database of a newer version is refused and left untouched.
//!
//! *Not here*: the shape itself (`migrations/`, `store::schema`).

use diesel::SqliteConnection;
use diesel::migration::MigrationSource;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::backend::Database;
use super::error::StoreError;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Runs what is missing; answers the names of what was run.
///
/// # Errors
/// [`StoreError::Newer`], or what the database says.
pub fn run(conn: &mut SqliteConnection, database: &Database) -> Result<Vec<String>, StoreError> {
    let damaged = |e: Box<dyn std::error::Error + Send + Sync>| StoreError::Open {
        path: database.path().display().to_string(),
        reason: e.to_string(),
    };
    let known: Vec<String> = MigrationSource::<diesel::sqlite::Sqlite>::migrations(&MIGRATIONS)
        .map_err(damaged)?
        .iter()
        .map(|m| m.name().version().to_string())
        .collect();
    let applied = conn.applied_migrations().map_err(damaged)?;
    if let Some(newer) = applied.iter().map(ToString::to_string).find(|v| !known.contains(v)) {
        return Err(StoreError::Newer {
            path: database.path().display().to_string(),
            version: newer,
        });
    }
    let ran = conn.run_pending_migrations(MIGRATIONS).map_err(damaged)?;
    Ok(ran.iter().map(ToString::to_string).collect())
}
