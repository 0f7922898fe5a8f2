//! *Purpose*: how many jobs ended since a moment.
//!
//! *Owns*: [`since`], and how many it counts at most.
//!
//! *Promises*: a number that is told is exact; the index of ends is read, and no row.
//!
//! *Not here*: the ends of all time (`kernel::views::snapshot`), which jobs they are
//! (`store::body::find`).

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::{Conn, dialect, load};
use crate::store::ended::Ended;
use crate::store::error::StoreError;
use crate::time::Time;

/// The most ends that are counted: some 10 ms, half of what a first page may take.
pub const ENDED_MAX: u64 = 100_000;
/// The index of ends.
const INDEX: &str = "jobs_by_end_time";

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    n: i64,
    #[diesel(sql_type = BigInt)]
    completed: i64,
}

/// The newest that is not counted any more.
#[derive(QueryableByName)]
struct Beyond {
    #[diesel(sql_type = BigInt)]
    end_time: i64,
    #[diesel(sql_type = BigInt)]
    id: i64,
}

/// Jobs that ended then or later. Tasks of an array are jobs; those that were cancelled before
/// they became any are one together, as in all counts.
///
/// # Errors
/// What the database says.
pub fn since(conn: &mut Conn, since: Time) -> Result<Ended, StoreError> {
    within(conn, since, ENDED_MAX)
}

/// The same of so many at most.
pub(in crate::store) fn within(
    conn: &mut Conn,
    Time(since): Time,
    most: u64,
) -> Result<Ended, StoreError> {
    // Nobody knows how such a job ended.
    load::no_unknown_state(conn)?;
    let jobs = dialect::jobs("job", Some(INDEX));
    let beyond = format!(
        "SELECT job.end_time, job.id FROM {jobs} WHERE job.end_time IS NOT NULL \
         AND job.end_time >= $1 ORDER BY job.end_time DESC, job.id DESC LIMIT 1 OFFSET {most}"
    );
    let beyond: Option<Beyond> =
        diesel::sql_query(beyond).bind::<BigInt, _>(since).get_result(conn).optional()?;
    let is_more = beyond.is_some();
    let Beyond { end_time, id } =
        beyond.unwrap_or(Beyond { end_time: since.saturating_sub(1), id: i64::MAX });
    let counted = diesel::sql_query(format!(
        "SELECT count(*) AS n, count(CASE WHEN job.state = 'COMPLETED' THEN 1 END) AS completed \
         FROM {jobs} WHERE job.end_time IS NOT NULL AND (job.end_time, job.id) > ($1, $2)"
    ));
    let counted = counted.bind::<BigInt, _>(end_time).bind::<BigInt, _>(id);
    let Counted { n, completed } = counted.get_result(conn)?;
    let number = |n: i64| n.max(0).cast_unsigned();
    Ok(Ended { completed: number(completed), other: number(n - completed), is_more })
}
