//! *Purpose*: transitions in their order, for whoever follows some of them.
//!
//! *Owns*: [`EventFilter`], [`page`].
//!
//! *Promises*: one look takes so many transitions as it is told, however few of them are asked for,
//! and says how far it came.
//!
//! *Not here*: transitions of one job (`store::read`), who follows (`api::events`).

use std::collections::{BTreeSet, HashSet};

use diesel::prelude::*;

use super::error::StoreError;
use super::filter::PAGE_MAX;
use super::record::EventRecord;
use super::rows::{EventRow, records};
use super::schema::{events, job_labels, jobs};
use super::scope;
use crate::job::ids::{EventId, JobId};
use crate::job::state::StateWord;
use crate::kernel::access::Scope;

/// Which transitions; a part that is empty leaves none out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of one of these jobs, or of a task of one of these arrays.
    pub jobs: Vec<JobId>,
    /// Into one of these states.
    pub states: Vec<StateWord>,
    /// Of jobs with each of these labels.
    pub labels: Vec<(String, String)>,
}

/// Some transitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPage {
    /// Those that are asked for, oldest first.
    pub events: Vec<EventRecord>,
    /// The last that was looked at, asked for or not; `None` when there was none.
    pub looked_to: Option<EventId>,
}

/// The transitions after one that are asked for and seen, among the next so many.
///
/// # Errors
/// What the database says.
pub fn page(
    conn: &mut SqliteConnection,
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
    conn: &mut SqliteConnection,
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
    conn: &mut SqliteConnection,
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
