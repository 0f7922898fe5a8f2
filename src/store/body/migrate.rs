//! *Purpose*: brings a database to the shape this program knows.
//!
//! *Owns*: which migrations are missing.
//!
//! *Promises*: a database of a newer version is refused and left untouched.
//!
//! *Not here*: the shape itself (`migrations/`, `store::schema`).

use diesel::migration::{Migration, MigrationSource};
use diesel_migrations::MigrationHarness;

use super::dialect::{Database, MIGRATIONS};
use super::{Conn, Db};
use crate::fault;
use crate::store::error::StoreError;

/// Refuses a database to which a migration was applied that is unknown here.
///
/// # Errors
/// [`StoreError::Newer`].
pub fn refuse_newer(applied: &[String], place: &str) -> Result<(), StoreError> {
    let open = |reason: String| StoreError::Open { place: place.to_owned(), reason };
    let known: Vec<String> = Known
        .migrations()
        .map_err(|e| open(e.to_string()))?
        .iter()
        .map(|m| m.name().version().to_string())
        .collect();
    match applied.iter().find(|version| !known.contains(version)) {
        None => Ok(()),
        Some(newer) => Err(StoreError::Newer { place: place.to_owned(), version: newer.clone() }),
    }
}

/// Runs what is missing; answers the names of what was run.
///
/// # Errors
/// [`StoreError::Newer`], or what the database says.
pub fn run(conn: &mut Conn, database: &Database) -> Result<Vec<String>, StoreError> {
    let damaged = |e: Box<dyn std::error::Error + Send + Sync>| StoreError::Open {
        place: database.place(),
        reason: e.to_string(),
    };
    let applied = conn.applied_migrations().map_err(damaged)?;
    let applied: Vec<String> = applied.iter().map(ToString::to_string).collect();
    refuse_newer(&applied, &database.place())?;
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
impl MigrationSource<Db> for Known {
    fn migrations(&self) -> diesel::migration::Result<Vec<Box<dyn Migration<Db>>>> {
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

    impl MigrationSource<Db> for Known {
        fn migrations(&self) -> Result<Vec<Box<dyn Migration<Db>>>> {
            let mut known: Vec<Box<dyn Migration<Db>>> = MIGRATIONS.migrations()?;
            if let Some(folder) = fault::extra_migrations() {
                known.extend(FileBasedMigrations::from_path(folder)?.migrations()?);
            }
            Ok(known.into_iter().map(|m| Box::new(Watched(m)) as Box<_>).collect())
        }
    }

    struct Watched(Box<dyn Migration<Db>>);

    impl Migration<Db> for Watched {
        fn run(&self, conn: &mut dyn BoxableConnection<Db>) -> Result<()> {
            self.0.run(conn)?;
            fault::point(fault::MIGRATION_INSIDE);
            Ok(())
        }
        fn revert(&self, conn: &mut dyn BoxableConnection<Db>) -> Result<()> {
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
