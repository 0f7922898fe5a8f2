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
pub mod error;
pub mod examine;
pub mod find;
pub mod load;
pub mod lock;
mod log_room;
pub mod migrate;
pub mod others;
pub mod place;
pub mod read;
pub mod record;
mod rows;
pub mod schema;
pub mod spec;
pub mod submit_times;
pub mod write;

#[cfg(test)]
mod tests;
