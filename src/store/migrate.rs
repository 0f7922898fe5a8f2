//! *Purpose*: brings a database to the shape this program knows.
//!
//! *Owns*: the embedded migrations.
//!
//! *Promises*: a database of a newer version is refused and left untouched.
//!
//! *Not here*: the shape itself (`migrations/`, `store::schema`).

use std::path::Path;

use diesel::SqliteConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::backend::Database;
use super::error::StoreError;
use crate::fault;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Refuses a database to which a migration was applied that is unknown here.
///
/// # Errors
/// [`StoreError::Newer`].
pub fn refuse_newer(applied: &[String], path: &Path) -> Result<(), StoreError> {
    let open = |reason: String| StoreError::Open { path: path.display().to_string(), reason };
    let known: Vec<String> = Known
        .migrations()
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
    if !conn.has_pending_migration(Known).map_err(damaged)? {
        return Ok(Vec::new());
    }
    fault::point(fault::MIGRATION_BEFORE);
    let ran = conn.run_pending_migrations(Known).map_err(damaged)?;
    let ran = ran.iter().map(ToString::to_string).collect();
    fault::point(fault::MIGRATION_DONE);
    Ok(ran)
}

/// What this program knows.
struct Known;

#[cfg(not(feature = "fault-points"))]
impl MigrationSource<Sqlite> for Known {
    fn migrations(&self) -> diesel::migration::Result<Vec<Box<dyn Migration<Sqlite>>>> {
        MIGRATIONS.migrations()
    }
}

/// With fault points: also what a newer version would know, each with a point inside.
#[cfg(feature = "fault-points")]
mod newer {
    use diesel::connection::BoxableConnection;
    use diesel::migration::{MigrationMetadata, MigrationName, Result};
    use diesel_migrations::FileBasedMigrations;

    use super::*;

    impl MigrationSource<Sqlite> for Known {
        fn migrations(&self) -> Result<Vec<Box<dyn Migration<Sqlite>>>> {
            let mut known: Vec<Box<dyn Migration<Sqlite>>> = MIGRATIONS.migrations()?;
            if let Some(folder) = fault::extra_migrations() {
                known.extend(FileBasedMigrations::from_path(folder)?.migrations()?);
            }
            Ok(known.into_iter().map(|m| Box::new(Watched(m)) as Box<_>).collect())
        }
    }

    struct Watched(Box<dyn Migration<Sqlite>>);

    impl Migration<Sqlite> for Watched {
        fn run(&self, conn: &mut dyn BoxableConnection<Sqlite>) -> Result<()> {
            self.0.run(conn)?;
            fault::point(fault::MIGRATION_INSIDE);
            Ok(())
        }
        fn revert(&self, conn: &mut dyn BoxableConnection<Sqlite>) -> Result<()> {
            self.0.revert(conn)
        }
        fn metadata(&self) -> &dyn MigrationMetadata {
            self.0.metadata()
        }
        fn name(&self) -> &dyn MigrationName {
            self.0.name()
        }
    }
}
