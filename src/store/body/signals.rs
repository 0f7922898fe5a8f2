//! *Purpose*: which signals of a running attempt its supervisor may not have yet.
//!
//! *Owns*: their SELECT.
//!
//! *Promises*: in the order in which they were decided.
//!
//! *Not here*: writing them (`store::body::write`), handing them over (`actors::executor`).

use diesel::prelude::*;

use super::Conn;
use crate::job::ids::{Attempt, EventId};
use crate::job::signal::{NumberedSignal, Signal};
use crate::store::cell::{Cell, RowRef};
use crate::store::error::StoreError;
use crate::store::schema::signals;

/// Signals of a live attempt behind this one.
///
/// # Errors
/// What the database says.
pub fn signals(
    conn: &mut Conn,
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
