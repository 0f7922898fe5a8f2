//! *Purpose*: finds the jobs that a filter asks for.
//!
//! *Owns*: which way leads to them.
//!
//! *Promises*: jobs come in the order that was asked for, and each page goes on where the one
//! before ended.
//!
//! *Not here*: the rows themselves (`store::read`), times to ids (`store::body::id_by_time`).

mod by_id;
mod by_key;
mod by_time;
mod collected;
mod folded;
mod names;
mod query;
mod segments;
mod window;

pub use self::by_id::{Found, LOOKS_MAX};
use self::query::{Question, Resolved, parts};
use self::window::Window;
use super::Conn;
use super::arrays;
use super::id_by_time;
use crate::kernel::access::Scope;
use crate::store::arrays::Named;
use crate::store::error::StoreError;
use crate::store::filter::{JobFilter, LINES_MAX};
use crate::store::order::SortKey;

/// A page of jobs, of those that are seen.
///
/// # Errors
/// When they are too many to be put in order, and what the database says.
pub fn find(conn: &mut Conn, filter: &JobFilter, scope: &Scope) -> Result<Found, StoreError> {
    find_within(conn, (filter, scope), LOOKS_MAX)
}

/// What has to be found out before; `None` where no job can be meant.
fn resolved(conn: &mut Conn, filter: &JobFilter) -> Result<Option<Resolved>, StoreError> {
    let mut resolved = Resolved::default();
    if let Some(of) = filter.one {
        resolved.one = match arrays::named(conn, of)? {
            Named::Job(job) => Some(vec![job]),
            Named::Left => Some(vec![of.job]),
            Named::Missing => return Ok(None),
        };
    }
    if let Some(begins) = &filter.name_begins {
        resolved.names = names::beginning(conn, begins)?;
    }
    Ok(resolved.names.as_ref().is_none_or(|names| !names.is_empty()).then_some(resolved))
}

/// The same with another bound.
pub(in crate::store) fn find_within(
    conn: &mut Conn,
    (filter, scope): (&JobFilter, &Scope),
    bound: usize,
) -> Result<Found, StoreError> {
    if filter.ids.as_ref().is_some_and(Vec::is_empty) {
        return Ok(Found::default());
    }
    let Some(resolved) = resolved(conn, filter)? else { return Ok(Found::default()) };
    let (first, end) = id_by_time::ids(conn, filter.since, filter.until)?;
    let window = Window::of(filter).within(first, end);
    let wanted = filter.limit.clamp(1, LINES_MAX) as usize;
    let question =
        Question { filter, parts: parts(filter, &resolved, scope), window, wanted, bound };
    match filter.key {
        SortKey::Id if filter.fold => {
            // The jobs of an array have other numbers than it has, and its submit time.
            let of_arrays = Window::of(filter);
            folded::page(conn, &question.parts, (window, of_arrays), wanted, bound)
        }
        SortKey::Id => by_id::page(conn, &question.parts, window, wanted, bound),
        _ => by_key::page(conn, &question),
    }
}
