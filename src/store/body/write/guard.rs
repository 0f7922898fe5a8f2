//! *Purpose*: an update that says what it changes from.
//!
//! *Owns*: the guard of a job's row, and what is said when it does not hold.
//!
//! *Promises*: a guarded update changes exactly one row, or the commit fails.
//!
//! *Not here*: what is changed (`write` and its other files), how statements stay prepared
//! (`write::prepared`).

use diesel::prelude::*;
use diesel::query_builder::QueryFragment;

use super::super::dialect;
use super::super::{Conn, Db};
use crate::job::state::StateWord;
use crate::kernel::change::Event;
use crate::store::error::StoreError;
use crate::store::schema::jobs;
use crate::store::updates::Of;

/// Changes the row of an event's job, which must be in the state that the event starts from.
pub(super) fn change_job<V>(conn: &mut Conn, event: &Event, set: V) -> Result<(), StoreError>
where
    V: AsChangeset<Target = jobs::table>,
    V::Changeset: QueryFragment<Db>,
{
    let changed = dialect::update(jobs::table, in_state(event), set).execute(conn)?;
    one_row(changed, || disagreement(event))
}

/// Changes these rows, each of which must be as it says.
pub(super) fn exactly<R: dialect::Change + Of>(
    conn: &mut Conn,
    rows: &[R],
) -> Result<(), StoreError> {
    match dialect::update_all(conn, rows)?.and_then(|n| rows.get(n)) {
        None => Ok(()),
        Some(row) => Err(StoreError::Disagrees(disagreement(row.event()))),
    }
}

/// Fails unless exactly one row was touched.
pub(super) fn one_row(touched: usize, what: impl FnOnce() -> String) -> Result<(), StoreError> {
    if touched == 1 { Ok(()) } else { Err(StoreError::Disagrees(what())) }
}

/// What is said when the row of an event's job is not as the event takes it to be.
pub(super) fn disagreement(event: &Event) -> String {
    let from = event.from.map_or("", StateWord::word);
    format!("job {} is not {from} or holds nothing ({})", event.job, event.cause)
}

#[diesel::dsl::auto_type(no_type_alias)]
fn in_state<'a>(event: &'a Event) -> _ {
    let from: &'a str = event.from.map_or("", StateWord::word);
    let id: i64 = event.job.0;
    jobs::id.eq(id).and(jobs::state.eq(from))
}
