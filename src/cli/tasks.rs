//! *Purpose*: the tasks of an array, one by one, and jobs that are not known any more.
//!
//! *Owns*: [`rows`], [`names`], [`known`].
//!
//! *Promises*: tasks come in the order of their numbers, each once; a job that was forgotten is not
//! taken for one that never was.
//!
//! *Not here*: what is done with them (`cli::logs`, `cli::show`).

use super::client::{Client, query};
use super::error::CliError;
use crate::api::wire::v1::{ArraySpec, Info, Job, JobId, JobList, JobRef};

/// Jobs of a page: as many as a server gives.
const PAGE: usize = 1_000;

/// The rows of an array: its tasks that are jobs, then those that are left, in one.
pub(super) fn rows(client: &Client, array: JobId) -> Result<Vec<Job>, CliError> {
    let mut all: Vec<Job> = Vec::new();
    let mut cursor = None;
    loop {
        let mut pairs = vec![("array_job_id", array.to_string()), ("limit", PAGE.to_string())];
        pairs.extend(cursor.map(|cursor| ("cursor", cursor)));
        let page = client.get(&format!("/api/v1/jobs{}", query(&pairs)))?;
        let JobList { jobs, next_cursor } = page.parse()?;
        all.extend(jobs);
        cursor = next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    all.retain(|job| job.array_task_id.is_some() || job.array_tasks.is_some());
    all.sort_by_key(|job| job.array_task_id.map_or(u64::MAX, u64::from));
    Ok(all)
}

/// The tasks of an array, whether or not they are jobs of their own.
pub(super) fn names(client: &Client, array: JobId) -> Result<Vec<JobRef>, CliError> {
    let tasks = client.array(array)?.tasks;
    let spec: ArraySpec = tasks.parse().map_err(|error| {
        CliError::Other(format!("the tasks of array {array} are not understood: {error}"))
    })?;
    Ok(spec.tasks.iter().map(|task| JobRef { job: array, task: Some(task) }).collect())
}

/// A job and the server's JSON of it; of one that was forgotten it is said when that is done.
pub(super) fn known(client: &Client, id: JobRef) -> Result<(Job, String), CliError> {
    let missing = match client.job(id) {
        Err(error @ CliError::Refused { status: 404, .. }) => error,
        other => return other,
    };
    let newest: JobList = client.get("/api/v1/jobs?limit=1")?.parse()?;
    // A job that has ended keeps its number, and no other gets it.
    if id.job.0 < 1 || newest.jobs.first().is_none_or(|newest| newest.id <= id.job) {
        return Err(missing);
    }
    let info: Info = client.get("/api/v1/info")?.parse()?;
    let kept = info.configuration.get("retention").map(|setting| setting.value.as_str());
    let Some(kept) = kept.filter(|_| client.job(id.job).is_err()) else { return Err(missing) };
    Err(CliError::Refused {
        fields: Vec::new(),
        status: 404,
        message: format!(
            "job {id} is forgotten, and what it wrote with it: the retention is {kept} after the \
             end of a job"
        ),
    })
}
