//! *Purpose*: every question to a database, and every change of it.
//!
//! *Owns*: the queries, in diesel's words.
//!
//! *Promises*: the same text for each database: a file here knows [`Conn`], [`Db`] and `dialect` of
//! the database that it is compiled for, and nothing else of it.
//!
//! *Not here*: what a database wants in its own way (`store::sqlite`), the types of answers
//! (`store`).

pub mod arrays;
pub mod dependencies;
pub mod ended;
pub mod events;
pub mod find;
pub mod history;
pub mod id_by_time;
pub mod load;
pub mod migrate;
pub mod read;
mod reader;
pub mod samples;
pub mod scope;
pub mod signals;
pub mod steps;
mod stops;
pub mod tokens;
pub mod used;
pub mod used_while_running;
pub mod write;

use super::{Conn, Db, dialect};

#[cfg(test)]
pub(in crate::store) mod tests;
