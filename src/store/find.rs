//! *Purpose*: finds the jobs that a filter asks for.
//!
//! *Owns*: what is asked.
//!
//! *Promises*: jobs come in the order that was asked for, and each page goes on where the one
//! before ended.
//!
//! *Not here*: the rows themselves (`store::read`), times to ids (`store::id_by_time`).

mod by_id;
mod query;
mod window;

use diesel::prelude::*;

pub use self::by_id::{Found, LOOKS_MAX};
use self::query::parts;
use self::window::Window;
use super::error::StoreError;
use super::filter::{JobFilter, PAGE_MAX};
use super::id_by_time;

/// A page of jobs.
///
/// # Errors
/// What the database says.
pub fn find(conn: &mut SqliteConnection, filter: &JobFilter) -> Result<Found, StoreError> {
    find_within(conn, filter, LOOKS_MAX)
}

/// The same with another bound.
pub(super) fn find_within(
    conn: &mut SqliteConnection,
    filter: &JobFilter,
    bound: usize,
) -> Result<Found, StoreError> {
    if filter.ids.as_ref().is_some_and(Vec::is_empty) {
        return Ok(Found::default());
    }
    let (first, end) = id_by_time::ids(conn, filter.since, filter.until)?;
    let window = Window::of(filter).within(first, end);
    let wanted = filter.limit.clamp(1, PAGE_MAX) as usize;
    by_id::page(conn, &parts(filter), window, wanted, bound)
}
