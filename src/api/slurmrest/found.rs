//! *Purpose*: the jobs of an answer of Slurm's API, as far as its asker sees them.
//!
//! *Owns*: [`picked`], [`named`], [`owners`]; how many jobs one answer may have.
//!
//! *Promises*: an answer has all jobs that it is of, or is refused with the way to fewer.
//!
//! *Not here*: how they are found (`store::body::find`), what is shown of them
//! (`api::wire::slurm`).

use std::collections::BTreeMap;

use crate::api::app::App;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::job_path::row_of;
use crate::api::render;
use crate::api::wire::job::Job;
use crate::api::wire::pick::Fields;
use crate::api::wire::slurm::jobs::Owner;
use crate::job::array_spec::JobRef;
use crate::kernel::access::Action;
use crate::people;
use crate::store::filter::{JobFilter, PAGE_MAX};

/// So long jobs that have ended are among the others, seconds; Slurm's `MinJobAge`.
pub const MIN_JOB_AGE_S: i64 = 300;
/// Most jobs of one answer, for these clients know no pages: some 70 MB of it.
const JOBS_MAX: usize = 20_000;
/// The number of nobody.
const NOBODY: u32 = 4_294_967_294;

/// The jobs of these filters, oldest first.
///
/// # Errors
/// 400 when there are too many, and what the database says.
pub async fn picked(
    app: &App,
    caller: &Caller,
    filters: Vec<JobFilter>,
) -> Result<Vec<Job>, ApiError> {
    let mut all: BTreeMap<i64, Job> = BTreeMap::new();
    for filter in filters {
        let mut filter = JobFilter { limit: PAGE_MAX, ascending: true, ..filter };
        loop {
            let (asked, scope) = (filter.clone(), caller.who.scope());
            let page = app.read(move |db| db.jobs(&asked, &scope)).await?;
            let jobs = render::many(app, caller, page.jobs, &Fields::ALL).await;
            // Whoever has ended meanwhile comes once, as he was found last.
            all.extend(jobs.into_iter().map(|job| (job.id.0, job)));
            if all.len() > JOBS_MAX {
                let message = format!(
                    "there are more than {JOBS_MAX} jobs, and an answer has no more; ask for \
                     single jobs, at slurmdb for a span of time, or at /api/v1/jobs for pages"
                );
                return Err(ApiError::parameter("jobs", message));
            }
            match page.next {
                Some(next) => filter.after = Some(next),
                None => break,
            }
        }
    }
    Ok(all.into_values().collect())
}

/// The job of this name; of an array all its tasks, and what is left of it.
///
/// # Errors
/// 404 when there is none.
pub async fn named(app: &App, caller: &Caller, id: JobRef) -> Result<Vec<Job>, ApiError> {
    let (job, _) = row_of(app, caller, Action::See, id).await?;
    let job = render::one(app, caller, job).await;
    if id.task.is_some() || !job.is_array() {
        return Ok(vec![job]);
    }
    picked(app, caller, vec![JobFilter { array: Some(job.id), ..JobFilter::default() }]).await
}

/// Whose each of these is, as the system knows them.
#[must_use]
pub fn owners(jobs: &[Job]) -> Vec<Owner> {
    let mut known: BTreeMap<(&str, Option<u32>), Owner> = BTreeMap::new();
    let mut all = Vec::with_capacity(jobs.len());
    for job in jobs {
        let own = known.entry((&job.user, job.uid));
        all.push(own.or_insert_with(|| owner(&job.user, job.uid)).clone());
    }
    all
}

/// A server of one user calls a job of which nobody was named by no name: it is its own user's.
fn owner(user: &str, uid: Option<u32>) -> Owner {
    let own = rustix::process::geteuid().as_raw();
    let own = || people::name(own).unwrap_or_else(|| own.to_string());
    let name = if user.is_empty() { own() } else { user.to_owned() };
    let uid = uid.or_else(|| people::uid(&name)).unwrap_or(NOBODY).into();
    let group = people::primary_group(&name);
    let (group, gid) = group.unwrap_or_else(|| ("nobody".to_owned(), NOBODY));
    Owner { name, uid, group, gid: gid.into() }
}
