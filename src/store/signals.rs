//! *Purpose*: which signals of a running attempt its supervisor may not have yet.
//!
//! *Owns*: their SELECT.
//!
//! *Promises*: in the order in which they were decided.
//!
//! *Not here*: writing them (`store::write`), handing them over (`actors::executor`).

use diesel::SqliteConnection;
use diesel::prelude::*;

use super::cell::{Cell, RowRef};
use super::error::StoreError;
use super::schema::signals;
use crate::job::ids::{Attempt, EventId};
use crate::job::signal::{NumberedSignal, Signal};

/// Signals of a live attempt behind this one.
///
/// # Errors
/// What the database says.
pub fn signals(
    conn: &mut SqliteConnection,
    attempt: Attempt,
    after: EventId,
) -> Result<Vec<NumberedSignal>, StoreError> {
    let rows: Vec<(i64, Cell, Cell)> = signals::table
        .filter(signals::job_id.eq(attempt.job.0))
        .filter(signals::attempt.eq(attempt.n as i32))
        .filter(signals::id.gt(after.0))
        .order(signals::id)
        .select((signals::id, signals::signal, signals::recipients))
        .load(conn)?;
    let read = rows.into_iter().map(|(id, number, to)| {
        let at = RowRef { table: "signals", what: "signal", id: &id };
        let (number, to) = (at.read("signal", number)?, at.read("recipients", to)?);
        Ok(NumberedSignal { no: EventId(id), signal: Signal { number, to } })
    });
    read.collect()
}
