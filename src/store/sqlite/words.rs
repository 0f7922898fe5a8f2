//! *Purpose*: SQL as SQLite speaks it.
//!
//! *Owns*: the words of statements that are not the same for each database.
//!
//! *Promises*: a statement names its index.
//!
//! *Not here*: statements (`store::body`).

/// Begins a transaction that writes: nobody else does meanwhile.
pub const BEGIN: &str = "BEGIN IMMEDIATE";
/// Inserts rows. A violation ends the transaction in any case, and a statement that undoes itself
/// alone would have to keep what it changes.
pub const INSERT: &str = "INSERT OR ROLLBACK INTO ";
/// Statements name their index.
pub const IS_TOLD_INDEXES: bool = true;
/// The greatest of several values; nothing where one of them is nothing.
pub const GREATEST: &str = "max";
/// The least of several values, likewise.
pub const LEAST: &str = "min";

pub use diesel::connection::DefaultLoadingMode as RowByRow;

/// The table of jobs, walked along this index or its key.
pub fn jobs(this: &str, index: Option<&str>) -> String {
    match index {
        Some(index) => format!("jobs AS {this} INDEXED BY {index}"),
        None => format!("jobs AS {this} NOT INDEXED"),
    }
}

/// Each row with that of its job, found by its key.
pub fn joined(this: &str, id: &str) -> String {
    format!(" CROSS JOIN {} ON {this}.id = {id}", jobs(this, None))
}

/// Tests a text by a pattern of `*`, `?` and `[…]`: the sign between them, and the pattern.
pub fn like(pattern: &str) -> (&'static str, String) {
    ("GLOB", pattern.to_owned())
}

/// These columns hold nothing. SQLite says so of a million rows sooner than their values are taken
/// out of them one by one.
pub fn nothing_in(columns: &str) -> String {
    format!("coalesce({columns}) IS NULL")
}
