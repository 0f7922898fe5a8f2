//! *Purpose*: remembers.
//!
//! *Owns*: the database: one writer, a pool of readers, migrations.
//!
//! *Promises*: what `write` has answered is on disk (`synchronous=FULL`); nothing is written
//! from two places; the database file is never opened except through SQLite.
//!
//! *Not here*: what to remember (`kernel`), when (`actors::store_writer`).

pub mod arrays;
pub mod backend;
mod cell;
pub mod dependencies;
pub mod ended;
pub mod error;
pub mod events;
pub mod filter;
pub mod find;
pub mod history;
pub mod id_by_time;
pub mod load;
pub mod lock;
pub mod migrate;
pub mod order;
pub mod place;
pub mod preflight;
pub mod read;
pub mod record;
mod rows;
pub mod samples;
pub mod schema;
pub mod scope;
pub mod signals;
pub mod spec;
pub mod steps;
mod stops;
pub mod tokens;
pub mod used;
pub mod used_while_running;
mod wal_prealloc;
pub mod write;

#[cfg(test)]
mod tests;
