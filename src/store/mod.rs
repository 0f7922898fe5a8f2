//! *Purpose*: remembers.
//!
//! *Owns*: the database: one writer, a pool of readers, migrations.
//!
//! *Promises*: what a writer has answered is durable; nothing is written from two places; a
//! database file is never opened except through SQLite.
//!
//! *Not here*: what to remember (`kernel`), when (`actors::store_writer`).
//!
//! **Rooms.** Records, filters and the types of answers are here, and know no database. `body` asks
//! and writes; its files are the same for every database and are compiled once for each, against
//! the connection of that one. What a database wants in its own way stands beside its `body`
//! (`sqlite`, `postgres`). Whoever reads is given a [`reader::Reader`] and cannot tell which it is.

pub mod arrays;
pub mod backend;
mod cell;
mod columns;
pub mod dependencies;
pub mod ended;
pub mod error;
pub mod events;
pub mod filter;
pub mod history;
pub mod load;
pub mod lock;
pub mod order;
pub mod postgres;
pub mod read;
pub mod reader;
pub mod record;
mod rows;
pub mod samples;
pub mod schema;
pub mod spec;
pub mod sqlite;
pub mod steps;
mod updates;
pub mod used;
pub mod write;
pub mod writer;
mod writes;
