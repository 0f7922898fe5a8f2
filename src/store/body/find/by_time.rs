//! *Purpose*: jobs in order of their submit times.
//!
//! *Owns*: which ids the jobs of such a page can have.
//!
//! *Promises*: only those are put in order, and no more than one question may.
//!
//! *Not here*: filters that few jobs match (`find::by_key`).
//!
//! **How.** The submit time of a job a little way on bounds the times of a page, and the times its
//! ids (`store::body::id_by_time`). Where too few of them match, the way is made longer.

use super::super::Conn;
use super::super::id_by_time;
use super::by_id::Found;
use super::collected;
use super::query::{Part, Question};
use super::window::Window;
use crate::job::ids::JobId;
use crate::store::error::StoreError;
use crate::store::order::KeyValue;
use crate::time::Time;

/// The first way is so many pages long: most often all that is near matches.
const PAGES: usize = 4;
/// Each further one is so many times longer, so that the last one costs the most of all.
const LONGER: i64 = 8;

/// A page by submit time.
///
/// # Errors
/// When more than `most` would have to be looked at, and what the database says.
pub(super) fn page(conn: &mut Conn, question: &Question, most: usize) -> Result<Found, StoreError> {
    let after = match question.filter.after.as_ref().map(|cursor| &cursor.value) {
        Some(KeyValue::Number(time)) => Some(Time(*time)),
        _ => None,
    };
    let window = within(conn, question.window, after, None)?;
    let Some((nearest, _)) = collected::nearest(conn, window)? else { return Ok(Found::default()) };
    let mut way = (PAGES * question.wanted) as i64;
    loop {
        let behind = match window.ascending {
            true => JobId(nearest.saturating_add(way)),
            false => JobId(nearest.saturating_sub(way)),
        };
        let limit = collected::nearest(conn, window.behind(behind))?.map(|(_, time)| time);
        let Question { filter, wanted, bound, .. } = *question;
        let mut parts = question.parts.clone();
        parts.extend(limit.map(|Time(limit)| match window.ascending {
            true => Part::Until(Time(limit.saturating_add(1))),
            false => Part::Since(Time(limit)),
        }));
        let window = within(conn, window, after, limit)?;
        let found =
            collected::whole(conn, &Question { filter, parts, window, wanted, bound }, most)?;
        if limit.is_none() || found.next.is_some() {
            return Ok(found);
        }
        way = way.saturating_mul(LONGER);
    }
}

/// The ids of the times from one to another, both included, in the order of the page.
fn within(
    conn: &mut Conn,
    window: Window,
    from: Option<Time>,
    to: Option<Time>,
) -> Result<Window, StoreError> {
    let (since, last) = if window.ascending { (from, to) } else { (to, from) };
    let until = last.map(|Time(last)| Time(last.saturating_add(1)));
    let (first, end) = id_by_time::ids(conn, since, until)?;
    Ok(window.within(first, end))
}
