//! *Purpose*: minutes, as rows.
//!
//! *Owns*: the writing of `samples`.
//!
//! *Promises*: a minute that is there already stays as it is; where minutes have become ten of
//! them, all of what they hold is in those, and nothing twice, whatever happens meanwhile.
//!
//! *Not here*: reading them (`store::samples`).

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::super::samples::rows_of;
use super::super::{Conn, dialect};
use crate::kernel::parts::samples::Sample;
use crate::store::error::StoreError;
use crate::store::samples::{LONG_S, MINUTE_S, MINUTES_KEPT_S, Row};
use crate::store::schema::samples;
use crate::time::{SECOND_US, Time};

/// Minutes that one chore makes ten of, so that it never holds the database for long.
const FOLDED_PER_CHORE: i64 = 600;
/// Rows of each length that one chore forgets, likewise.
const FORGOTTEN_PER_CHORE: i64 = 1_000;

/// A minute is over. One of this time that is there is of before the clock was set back.
pub(super) fn sampled(conn: &mut Conn, sample: &Sample) -> Result<(), StoreError> {
    let row = Row::from(sample);
    diesel::insert_into(samples::table).values(row).on_conflict_do_nothing().execute(conn)?;
    Ok(())
}

/// Puts minutes that are old together, ten at a time; how many there were. Whoever gets an error
/// drops the connection.
pub(super) fn fold(conn: &mut Conn, now: Time) -> Result<usize, StoreError> {
    let old = now.0 / SECOND_US - MINUTES_KEPT_S;
    let old = old - old.rem_euclid(LONG_S);
    let minutes = rows_of(conn, MINUTE_S, (0, old), FOLDED_PER_CHORE)?;
    let Some(last) = minutes.last().map(Row::ten) else { return Ok(0) };
    // Of the last ten some may have been left out.
    let is_cut = minutes.len() as i64 == FOLDED_PER_CHORE;
    let end = if is_cut { last } else { last + LONG_S };
    let whole: Vec<&Row> = minutes.iter().filter(|row| row.start < end).collect();
    let of_one_ten = whole.chunk_by(|a, b| a.ten() == b.ten());
    let tens: Vec<Row> = of_one_ten.filter_map(Row::together).collect();
    conn.batch_execute(dialect::BEGIN)?;
    let gone = samples::step_s.eq(MINUTE_S).and(samples::start.lt(end));
    diesel::delete(samples::table.filter(gone)).execute(conn)?;
    for ten in &tens {
        diesel::insert_into(samples::table).values(ten).on_conflict_do_nothing().execute(conn)?;
    }
    conn.batch_execute("COMMIT")?;
    Ok(whole.len())
}

/// Forgets what is older than that; how many rows it was.
pub(super) fn forget(conn: &mut Conn, before: Time) -> Result<usize, StoreError> {
    let mut forgotten = 0;
    for step_s in [MINUTE_S, LONG_S] {
        let oldest = samples::table.filter(samples::step_s.eq(step_s)).order(samples::start);
        let oldest: Option<i64> = oldest.select(samples::start).first(conn).optional()?;
        let Some(oldest) = oldest.filter(|oldest| *oldest < before.0 / SECOND_US) else { continue };
        let end = (oldest + FORGOTTEN_PER_CHORE * step_s).min(before.0 / SECOND_US);
        let old = samples::step_s.eq(step_s).and(samples::start.lt(end));
        forgotten += diesel::delete(samples::table.filter(old)).execute(conn)?;
    }
    Ok(forgotten)
}
