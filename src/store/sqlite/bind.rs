//! *Purpose*: rows that are written, bound one value after the other.
//!
//! *Owns*: [`New`] and [`Change`], for each kind of row.
//!
//! *Promises*: a column is bound as the type that the schema gives it; one of a new row that is not
//! listed starts as NULL, without being bound.
//!
//! *Not here*: which columns they are (`store::columns`), the statement around them
//! (`store::sqlite::prepared`), what they hold (`store::rows`, `store::updates`).
//!
//! Diesel's own `Insertable` makes a tree of a row and walks it again and again: for what may be
//! cached, for the columns' names, for what is empty, for the values. For a new job, its script and
//! its event that took longer than SQLite took to store them.

use diesel::expression::Expression;
use diesel::prelude::*;
use diesel::query_builder::AstPass;

use super::Db;
use crate::store::columns::{new_rows, updates};
use crate::store::rows::{
    ClockStepRow, NewAllocation, NewAsked, NewCount, NewEvent, NewHeld, NewJob, NewKey, NewLabel,
    NewScript, NewTask,
};
use crate::store::schema::{
    audit, events, held_units, idempotency_keys, job_counts, job_labels, job_scripts, jobs, meta,
    resource_allocations, submit_time_falls,
};
use crate::store::updates::{
    CompletingRow, EndedRow, FenceRow, GrantedRow, PlacedRow, ProcessRow, ReleasedRow, StartedRow,
};

/// A row that can be inserted.
pub trait New {
    /// Under what its statement is kept: the table, or, of its second kind of rows, these.
    type Table: 'static;
    /// Its name.
    const TABLE: &'static str;
    /// Which columns it fills.
    const COLUMNS: &'static [&'static str];

    /// Their values, in the same order, between commas.
    ///
    /// # Errors
    /// When a value cannot be bound.
    fn bind<'b>(&'b self, out: AstPass<'_, 'b, Db>) -> QueryResult<()>;
}

/// A row that can be updated.
pub trait Change {
    /// Under what its statement is kept.
    type Kind: 'static;
    /// Its table's name.
    const TABLE: &'static str;
    /// What the guard says beside values, with its AND.
    const ALSO: &'static str;

    /// `column = value`, between commas: what is set.
    ///
    /// # Errors
    /// When a value cannot be bound.
    fn bind_set<'b>(&'b self, out: AstPass<'_, 'b, Db>) -> QueryResult<()>;

    /// `column = value`, between ANDs: what must be true of the row before.
    ///
    /// # Errors
    /// When a value cannot be bound.
    fn bind_guard<'b>(&'b self, out: AstPass<'_, 'b, Db>) -> QueryResult<()>;
}

macro_rules! new {
    (@kept $table:ident) => { $table::table };
    (@kept $table:ident $kind:ty) => { $kind };
    ($($row:ty $(as $kind:ty)? => $table:ident: $($column:ident)+;)+) => {$(
        impl New for $row {
            type Table = new!(@kept $table $($kind)?);

            const TABLE: &'static str = stringify!($table);
            const COLUMNS: &'static [&'static str] = &[$(stringify!($column)),+];

            fn bind<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
                let mut comma = "";
                $(
                    out.push_sql(std::mem::replace(&mut comma, ","));
                    out.push_bind_param::<<$table::$column as Expression>::SqlType, _>(
                        &self.$column,
                    )?;
                )+
                Ok(())
            }
        }
    )+};
}

macro_rules! change {
    ($(
        $row:ty as $kind:ty => $table:ident ($($key:ident = $is:ident),+ also $also:literal)
            { $($set:ident)+ };
    )+) => {$(
        impl Change for $row {
            type Kind = $kind;

            const TABLE: &'static str = stringify!($table);
            const ALSO: &'static str = $also;

            fn bind_set<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
                let mut comma = "";
                $(
                    out.push_sql(std::mem::replace(&mut comma, ", "));
                    out.push_identifier(stringify!($set))?;
                    out.push_sql(" = ");
                    out.push_bind_param::<<$table::$set as Expression>::SqlType, _>(&self.$set)?;
                )+
                Ok(())
            }

            fn bind_guard<'b>(&'b self, mut out: AstPass<'_, 'b, Db>) -> QueryResult<()> {
                let mut and = "";
                $(
                    out.push_sql(std::mem::replace(&mut and, " AND "));
                    out.push_identifier(stringify!($key))?;
                    out.push_sql(" = ");
                    out.push_bind_param::<<$table::$key as Expression>::SqlType, _>(&self.$is)?;
                )+
                Ok(())
            }
        }
    )+};
}

new_rows!(new);
updates!(change);
