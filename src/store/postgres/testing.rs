//! *Purpose*: a database for a test.
//!
//! *Owns*: [`for_test`].
//!
//! *Promises*: it is empty, and nobody else's; where there is no server the test says so.
//!
//! *Not here*: tests; the server, which `tests/run` starts and removes.

use std::path::Path;
use std::thread;

use super::address::Address;
use super::database::Database;

/// Names a server that tests may fill with schemas.
const SERVER: &str = "DOWNBEAT_TEST_POSTGRES";

/// A schema of a new name.
pub fn for_test(_folder: &Path) -> Option<Database> {
    let Ok(server) = std::env::var(SERVER) else {
        let test = thread::current().name().unwrap_or("a test of the store").to_owned();
        println!("SKIPPED {test}: no PostgreSQL is named by {SERVER}");
        return None;
    };
    let random = uuid::Uuid::new_v4().simple();
    let sign = if server.contains('?') { '&' } else { '?' };
    let address = format!("{server}{sign}schema=t{random}");
    Some(Database::new(Address::parse(&address).expect("the address of the server for tests")))
}
