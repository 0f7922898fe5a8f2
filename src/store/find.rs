//! *Purpose*: finds the jobs that a filter asks for.
//!
//! *Owns*: which way leads to them.
//!
//! *Promises*: jobs come in the order that was asked for, and each page goes on where the one
//! before ended.
//!
//! *Not here*: the rows themselves (`store::read`), times to ids (`store::id_by_time`).

mod by_id;
mod by_key;
mod by_time;
mod collected;
mod query;
mod segments;
mod window;

use diesel::prelude::*;

pub use self::by_id::{Found, LOOKS_MAX};
use self::query::{Question, parts};
use self::window::Window;
use super::error::StoreError;
use super::filter::{JobFilter, LINES_MAX};
use super::id_by_time;
use super::order::SortKey;
use crate::kernel::access::Scope;

/// A page of jobs, of those that are seen.
///
/// # Errors
/// When they are too many to be put in order, and what the database says.
pub fn find(
    conn: &mut SqliteConnection,
    filter: &JobFilter,
    scope: &Scope,
) -> Result<Found, StoreError> {
    find_within(conn, (filter, scope), LOOKS_MAX)
}

/// The same with another bound.
pub(super) fn find_within(
    conn: &mut SqliteConnection,
    (filter, scope): (&JobFilter, &Scope),
    bound: usize,
) -> Result<Found, StoreError> {
    if filter.ids.as_ref().is_some_and(Vec::is_empty) {
        return Ok(Found::default());
    }
    let (first, end) = id_by_time::ids(conn, filter.since, filter.until)?;
    let window = Window::of(filter).within(first, end);
    let wanted = filter.limit.clamp(1, LINES_MAX) as usize;
    let question = Question { filter, parts: parts(filter, scope), window, wanted, bound };
    match filter.key {
        SortKey::Id => by_id::page(conn, &question.parts, window, wanted, bound),
        _ => by_key::page(conn, &question),
    }
}
