//! *Purpose*: signals of running attempts, as rows.
//!
//! *Owns*: the writing of `signals`.
//!
//! *Promises*: a row is there from the decision until its supervisor is known to have it, or its
//! attempt is over; then it goes with one of the next.
//!
//! *Not here*: reading them (`store::read`).

use diesel::dsl::{exists, not};
use diesel::prelude::*;

use super::super::Conn;
use crate::job::ids::EventId;
use crate::job::signal::Signal;
use crate::kernel::change::Event;
use crate::store::error::StoreError;
use crate::store::schema::{resource_allocations, signals};

/// An attempt is sent a signal. Those before `given` have arrived.
pub(super) fn signalled(
    conn: &mut Conn,
    event: &Event,
    signal: Signal,
    given: EventId,
) -> Result<(), StoreError> {
    let arrived = signals::job_id.eq(event.job.0).and(signals::id.lt(given.0));
    diesel::delete(signals::table.filter(arrived)).execute(conn)?;
    let row = (
        signals::id.eq(event.id.0),
        signals::job_id.eq(event.job.0),
        signals::attempt.eq(event.attempt as i32),
        signals::signal.eq(i32::from(signal.number)),
        signals::recipients.eq(signal.to.word()),
    );
    diesel::insert_into(signals::table).values(row).execute(conn)?;
    Ok(())
}

/// Forgets those of attempts that are over; how many that were.
pub(super) fn forget(conn: &mut Conn) -> Result<usize, StoreError> {
    let live = resource_allocations::table
        .filter(resource_allocations::job_id.eq(signals::job_id))
        .filter(resource_allocations::attempt.eq(signals::attempt))
        .filter(not(resource_allocations::released));
    Ok(diesel::delete(signals::table.filter(not(exists(live)))).execute(conn)?)
}
