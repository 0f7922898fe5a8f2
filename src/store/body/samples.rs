//! *Purpose*: what was held, waited and ran, read.
//!
//! *Owns*: [`between`].
//!
//! *Promises*: a time of which there is no row is not there: nobody knows what was.
//!
//! *Not here*: writing rows, and putting old ones together (`store::body::write`).

use diesel::prelude::*;

use super::Conn;
use crate::store::error::StoreError;
use crate::store::samples::{LONG_S, MINUTE_S, Row, StoredRow};
use crate::store::schema::samples;

/// The rows that begin in this time, seconds since 1970: those of ten minutes and those of one,
/// each in order.
///
/// # Errors
/// What the database says.
pub fn between(conn: &mut Conn, (from, until): (i64, i64)) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::new();
    for step_s in [LONG_S, MINUTE_S] {
        rows.extend(rows_of(conn, step_s, (from, until), i64::MAX)?);
    }
    Ok(rows)
}

/// The first rows of this length that begin in this time, in order.
///
/// # Errors
/// What the database says.
pub(super) fn rows_of(
    conn: &mut Conn,
    step_s: i64,
    (from, until): (i64, i64),
    limit: i64,
) -> Result<Vec<Row>, StoreError> {
    let of = samples::step_s.eq(step_s);
    let of = of.and(samples::start.ge(from)).and(samples::start.lt(until));
    let found = samples::table.filter(of).order(samples::start).limit(limit);
    let found: Vec<StoredRow> = found.select(StoredRow::as_select()).load(conn)?;
    found.into_iter().map(Row::try_from).collect()
}
