//! *Purpose*: finds jobs of which an array counts as one.
//!
//! *Owns*: how jobs that are no part of an array and arrays are put into one order.
//!
//! *Promises*: an array stands at the place of its own number, once, if any of its jobs is meant; a
//! page goes on where the one before ended; one question looks through no more than [`FAMILY_MAX`]
//! jobs of arrays and one array more.
//!
//! *Not here*: how the tasks of an array stand (`store::arrays`).
//!
//! **How.** Both kinds are walked by themselves: jobs as in any list, arrays from number to number
//! of the index that has their jobs together. What both have come through is the page.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};

use super::super::{Conn, dialect};
use super::by_id::{self, Found};
use super::query::{Part, Sql};
use super::window::Window;
use crate::job::ids::JobId;
use crate::store::error::StoreError;
use crate::store::order::Cursor;

/// Jobs of arrays that one question looks through: a row takes a microsecond or two, and the array
/// that goes beyond is looked through to its end.
const FAMILY_MAX: i64 = 50_000;

/// The index that has the jobs of an array together.
const INDEX: &str = "jobs_by_array";

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = Nullable<BigInt>)]
    n: Option<i64>,
}

/// A page of jobs of which these parts hold, an array as one.
///
/// # Errors
/// What the database says.
pub(super) fn page(
    conn: &mut Conn,
    parts: &[Part],
    (window, of_arrays): (Window, Window),
    wanted: usize,
    bound: usize,
) -> Result<Found, StoreError> {
    let mut of_jobs = parts.to_vec();
    of_jobs.push(Part::NoArray);
    let jobs = by_id::page(conn, &of_jobs, window, wanted, bound)?;
    let (arrays, stop) = arrays(conn, parts, of_arrays, wanted)?;
    let stop = window.nearer(jobs.next.map(|next| next.id.0), stop);
    let mut ids = [jobs.ids, arrays].concat();
    ids.sort_unstable();
    if !window.ascending {
        ids.reverse();
    }
    ids.retain(|id| stop.is_none_or(|stop| window.nearer(Some(*id), Some(stop)) == Some(*id)));
    let mut next = stop.map(JobId);
    if ids.len() > wanted {
        ids.truncate(wanted);
        next = ids.last().copied().map(JobId);
    }
    Ok(Found { ids, next: next.map(Cursor::from) })
}

/// Arrays that are meant, in order, and the last that was looked at, if there may be more.
fn arrays(
    conn: &mut Conn,
    parts: &[Part],
    mut window: Window,
    wanted: usize,
) -> Result<(Vec<i64>, Option<i64>), StoreError> {
    let (mut found, mut left) = (Vec::new(), FAMILY_MAX);
    loop {
        let Some(array) = next(conn, window)? else { return Ok((found, None)) };
        left -= size(conn, array)?;
        if is_meant(conn, array, parts)? {
            found.push(array);
        }
        if left <= 0 || found.len() > wanted {
            return Ok((found, Some(array)));
        }
        window = window.behind(JobId(array));
    }
}

/// The first array of a window.
fn next(conn: &mut Conn, window: Window) -> Result<Option<i64>, StoreError> {
    let nearest = if window.ascending { "min" } else { "max" };
    let (first, last) = (window.first.max(-i64::MAX), window.last);
    let mut sql = Sql::default();
    sql.add(&format!(
        "SELECT {nearest}(job.array_job_id) AS n FROM {} WHERE job.array_job_id IS NOT NULL \
         AND job.array_job_id BETWEEN {first} AND {last}",
        dialect::jobs("job", Some(INDEX))
    ));
    Ok(sql.query().get_result::<Number>(conn)?.n)
}

/// How many jobs an array has.
fn size(conn: &mut Conn, array: i64) -> Result<i64, StoreError> {
    let mut sql = Sql::default();
    sql.add("SELECT count(*) AS n FROM ").add(&dialect::jobs("job", Some(INDEX)));
    sql.add(" WHERE job.array_job_id = ").int(array);
    Ok(sql.query().get_result::<Number>(conn)?.n.unwrap_or(0))
}

/// Whether these parts hold of a job of it.
fn is_meant(conn: &mut Conn, array: i64, parts: &[Part]) -> Result<bool, StoreError> {
    let mut sql = Sql::default();
    sql.add("SELECT job.id AS n FROM ").add(&dialect::jobs("job", Some(INDEX)));
    sql.add(" WHERE job.array_job_id = ").int(array);
    parts.iter().for_each(|part| part.test_row(&mut sql));
    sql.add(" LIMIT 1");
    Ok(sql.query().get_result::<Number>(conn).optional()?.is_some())
}
