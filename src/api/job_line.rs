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
use crate::store::error::StoreError;
use crate::store::filter::{IDS_MAX, JobFilter};
use crate::store::order::SortKey;
use crate::store::read::{AsOf, JobAndAllocation};
use crate::store::reader::Reader;

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
    let most = IDS_MAX as i64;
    let filter = JobFilter { ids: Some(ids), key: SortKey::Id, fold: false, limit: most, ..filter };
    let read = move |db: &mut dyn Reader| {
        // Rows are read of this page alone.
        let meant: HashSet<JobId> = db.job_ids(&filter, &scope)?.into_iter().collect();
        let mut page = places;
        page.retain(|(job, _)| meant.contains(job));
        let more = page.len() > wanted;
        page.truncate(wanted);
        let next = page.last().filter(|_| more).map(|(_, place)| *place);
        let ids = Some(page.iter().map(|(job, _)| *job).collect());
        let rows = JobFilter { ids, limit: most, ..JobFilter::default() };
        let found = db.jobs(&rows, &scope)?;
        let mut jobs = found.value.jobs;
        let place: HashMap<JobId, u64> = page.into_iter().collect();
        jobs.sort_by_key(|(row, _)| place.get(&row.id).copied());
        Ok::<_, StoreError>(AsOf { commit_no: found.commit_no, value: LinePage { jobs, next } })
    };
    app.read(read).await
}
