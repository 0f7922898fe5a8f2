//! *Purpose*: transitions in their order, for whoever follows some of them.
//!
//! *Owns*: [`page`].
//!
//! *Promises*: one look takes so many transitions as it is told, however few of them are asked for,
//! and says how far it came.
//!
//! *Not here*: transitions of one job (`store::read`), who follows (`api::events`).

use std::collections::{BTreeSet, HashSet};

use diesel::prelude::*;

use super::Conn;
use super::scope;
use crate::job::ids::{EventId, JobId};
use crate::kernel::access::Scope;
use crate::store::error::StoreError;
use crate::store::events::{EventFilter, EventPage};
use crate::store::filter::PAGE_MAX;
use crate::store::record::EventRecord;
use crate::store::rows::{EventRow, records};
use crate::store::schema::{events, job_labels, jobs};

/// The transitions after one that are asked for and seen, among the next so many.
///
/// # Errors
/// What the database says.
pub fn page(
    conn: &mut Conn,
    after: EventId,
    looks: i64,
    filter: &EventFilter,
    scope: &Scope,
) -> Result<EventPage, StoreError> {
    let rows: Vec<EventRow> = events::table
        .filter(events::id.gt(after.0))
        .order(events::id.asc())
        .limit(looks.clamp(1, PAGE_MAX))
        .select(EventRow::as_select())
        .load(conn)?;
    let mut events = records(rows)?;
    let looked_to = events.last().map(|event: &EventRecord| event.id);
    if scope.own().is_some() {
        let jobs = events.iter().map(|event| event.job).collect();
        let seen = scope::seen(conn, jobs, scope)?;
        events.retain(|event| seen.contains(&event.job));
    }
    if !filter.states.is_empty() {
        events.retain(|event| filter.states.contains(&event.to));
    }
    if !filter.jobs.is_empty() {
        let tasks = tasks(conn, &filter.jobs, &events)?;
        events.retain(|event| filter.jobs.contains(&event.job) || tasks.contains(&event.job.0));
    }
    for label in &filter.labels {
        let labelled = labelled(conn, label, &events)?;
        events.retain(|event| labelled.contains(&event.job.0));
    }
    Ok(EventPage { events, looked_to })
}

fn ids(events: &[EventRecord]) -> BTreeSet<i64> {
    events.iter().map(|event| event.job.0).collect()
}

/// Those of the jobs of these events that are tasks of these arrays.
fn tasks(
    conn: &mut Conn,
    arrays: &[JobId],
    of: &[EventRecord],
) -> Result<HashSet<i64>, StoreError> {
    let found = jobs::table
        .filter(jobs::id.eq_any(ids(of)))
        .filter(jobs::array_job_id.eq_any(arrays.iter().map(|array| array.0)))
        .select(jobs::id)
        .load::<i64>(conn)?;
    Ok(found.into_iter().collect())
}

/// Those of the jobs of these events that have this label.
fn labelled(
    conn: &mut Conn,
    (key, value): &(String, String),
    of: &[EventRecord],
) -> Result<HashSet<i64>, StoreError> {
    let found = job_labels::table
        .filter(job_labels::key.eq(key))
        .filter(job_labels::value.eq(value))
        .filter(job_labels::job_id.eq_any(ids(of)))
        .select(job_labels::job_id)
        .load::<i64>(conn)?;
    Ok(found.into_iter().collect())
}
