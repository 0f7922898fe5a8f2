//! *Purpose*: a database for a test.
//!
//! *Owns*: [`for_test`].
//!
//! *Promises*: it is empty, and nobody else's.
//!
//! *Not here*: tests.

use std::path::Path;

use super::database::Database;

/// A file in this folder.
pub fn for_test(folder: &Path) -> Option<Database> {
    Some(Database::new(folder.join("t.db")))
}
