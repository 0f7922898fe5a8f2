//! *Purpose*: the jobs that wait for their turn, in the order of the line.
//!
//! *Owns*: pages of `sort=position`.
//!
//! *Promises*: a page begins behind the place at which the one before ended; places are those that
//! the jobs show. A line moves: between two pages jobs may have come or gone.
//!
//! *Not here*: the order itself (`policy::order`), why a job waits (`observe::explain`).

use std::collections::{HashMap, HashSet};

use super::app::App;
use super::error::ApiError;
use crate::actors::messages::Explain;
use crate::job::ids::JobId;
use crate::kernel::access::Scope;
use crate::kernel::views::explain::Explained;
use crate::store::filter::{IDS_MAX, JobFilter};
use crate::store::order::SortKey;
use crate::store::read::{self, JobAndAllocation};

/// Some of the line.
pub(super) struct LinePage {
    /// The jobs, first to run first.
    pub(super) jobs: Vec<JobAndAllocation>,
    /// Goes on behind this place, if there are more.
    pub(super) next: Option<u64>,
}

/// The place of each job in the line, from 1, first to run first; of an array that of its first
/// task. As many as may be asked for by their ids.
pub(super) fn places(Explained { line, .. }: &Explained) -> Vec<(JobId, u64)> {
    let mut seen = HashSet::new();
    let places = line.queue.iter().zip(1..).map(|(job, place)| (job.job, place));
    places.filter(|(job, _)| seen.insert(*job)).take(IDS_MAX).collect()
}

/// A page of those of the line that a filter means, behind a place in it.
///
/// # Errors
/// What the database says, or that the server is stopping.
pub(super) async fn page(
    app: &App,
    scope: Scope,
    filter: JobFilter,
    after: u64,
) -> Result<LinePage, ApiError> {
    let policy = app.live().policy;
    let message = Explain { jobs: Vec::new(), policy, as_if: None };
    let explained = app.system.explain.send(message).await;
    let explained = explained.map_err(|_| ApiError::unavailable("the server is stopping"))?;
    let behind = places(&explained).into_iter().filter(|(_, place)| *place > after).collect();
    of_places(app, scope, filter, behind).await
}

/// The first of those at these places that a filter means.
///
/// # Errors
/// What the database says.
pub(super) async fn of_places(
    app: &App,
    scope: Scope,
    filter: JobFilter,
    places: Vec<(JobId, u64)>,
) -> Result<LinePage, ApiError> {
    let wanted = usize::try_from(filter.limit).unwrap_or(IDS_MAX);
    let asked = filter.ids.as_ref().map(|ids| ids.iter().copied().collect());
    let is_asked =
        |job: &JobId| asked.as_ref().is_none_or(|asked: &HashSet<JobId>| asked.contains(job));
    let ids = places.iter().map(|(job, _)| *job).filter(is_asked).collect();
    let filter = JobFilter {
        ids: Some(ids),
        key: SortKey::Id,
        fold: false,
        limit: IDS_MAX as i64,
        ..filter
    };
    let mut jobs = app.read(move |conn| read::jobs_page(conn, &filter, &scope)).await?.jobs;
    let place: HashMap<JobId, u64> = places.into_iter().collect();
    let of = |job: &JobAndAllocation| place.get(&job.0.id).copied().unwrap_or(u64::MAX);
    jobs.sort_by_key(of);
    let more = jobs.len() > wanted;
    jobs.truncate(wanted);
    let next = jobs.last().filter(|_| more).map(of);
    Ok(LinePage { jobs, next })
}
