//! *Purpose*: which columns a new row fills.
//!
//! *Owns*: [`New`], and the list of columns of each table that rows are inserted into.
//!
//! *Promises*: a column is bound as the type that the schema gives it; one that is not listed
//! starts as NULL, without being bound.
//!
//! *Not here*: the statement around them (`write::prepared`), what they hold (`store::rows`).
//!
//! Diesel's own `Insertable` makes a tree of a row and walks it again and again: for what may be
//! cached, for the columns' names, for what is empty, for the values. For a new job, its script and
//! its event that took longer than SQLite took to store them.

use diesel::expression::Expression;
use diesel::prelude::*;
use diesel::query_builder::AstPass;

use super::Db;
use crate::store::rows::{
    ClockStepRow, NewAllocation, NewAsked, NewCount, NewEvent, NewHeld, NewJob, NewKey, NewLabel,
    NewScript, NewTask,
};
use crate::store::schema::{
    audit, events, held_units, idempotency_keys, job_counts, job_labels, job_scripts, jobs,
    resource_allocations, submit_time_falls,
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

new! {
    NewJob<'_> => jobs: id name account user partition state priority cpus memory_bytes time_limit_s
        labels spec submit_time eligible_time attempt held begin_time deadline dependency uid;
    NewTask<'_> as NewTask<'static> => jobs: id name account user partition state priority cpus
        memory_bytes time_limit_s labels spec submit_time eligible_time attempt held begin_time
        deadline dependency array_job_id array_task_id uid;
    NewScript<'_> => job_scripts: job_id script environment;
    NewLabel<'_> => job_labels: key value job_id;
    ClockStepRow => submit_time_falls: job_id time_before time_after;
    NewAllocation<'_> => resource_allocations: id job_id attempt allocated_cpus cpu_ids released
        allocation_time nonce boot_id resources;
    NewHeld<'_> => held_units: resource unit job_id;
    NewCount<'_> => job_counts: state n;
    NewEvent<'_> => events: id job_id attempt time from_state to_state cause principal uid;
    NewAsked<'_> => audit: time uid name role via token_id peer_pid remote request_id verb target
        count detail;
    NewKey<'_> => idempotency_keys: key body_hash first_job_id job_count time;
}
