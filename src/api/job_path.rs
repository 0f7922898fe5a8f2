//! *Purpose*: the job that a path names: `17`, or `17_4` for a task of an array.
//!
//! *Owns*: [`JobPath`], and the way from a task to its job.
//!
//! *Promises*: what names nothing is a 404 with a sentence; a task that waits with the rest of its
//! array is found there.
//!
//! *Not here*: what is done with it (`api::jobs`, `api::streams`).

use actix_web::web;
use serde::Deserialize;
use utoipa::IntoParams;

use super::app::{App, durable};
use super::caller::Caller;
use super::code::Code;
use super::error::ApiError;
use crate::actors::messages::{Await, Changes, SplitTask};
use crate::job::array_spec::JobRef;
use crate::job::ids::JobId;
use crate::kernel::access::{Action, Permitted};
use crate::store::arrays::Named;
use crate::store::read::JobAndAllocation;

/// The id in a path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct JobPathText {
    /// A job's number, or `17_4` for task 4 of the array 17.
    #[param(example = "17")]
    id: String,
}

/// The id in a path, read by the handler so that a bad one is a 404 with a sentence.
pub type JobPath = web::Path<JobPathText>;

impl JobPathText {
    /// The job as it was named.
    ///
    /// # Errors
    /// 404 when it is no id.
    pub fn named(&self) -> Result<JobRef, ApiError> {
        self.id.parse().map_err(|detail: String| ApiError::new(Code::NoSuchJob, detail))
    }

    /// The plain number.
    ///
    /// # Errors
    /// 404 when it is none.
    pub fn number(&self) -> Result<i64, ApiError> {
        let missing = |_| {
            let detail = format!("\"{}\" is not an id; ids are numbers", self.id);
            ApiError::new(Code::NoSuchWindow, detail)
        };
        self.id.parse().map_err(missing)
    }
}

fn stopping() -> ApiError {
    ApiError::unavailable("the server is stopping")
}

/// The job, or the row of the array that a task waits in; `true` then.
///
/// # Errors
/// 404 when there is none.
pub async fn job_of(app: &App, of: JobRef) -> Result<(JobId, bool), ApiError> {
    if of.task.is_none() {
        return Ok((of.job, false));
    }
    match app.read_raw(move |db| db.named(of)).await? {
        Named::Job(job) => Ok((job, false)),
        Named::Left => Ok((of.job, true)),
        Named::Missing => Err(ApiError::no_job(of)),
    }
}

/// The job's row, to whoever may do this to it. A task that is no job yet is shown by the row of
/// its array.
///
/// # Errors
/// 404, 403, and what the database says.
pub async fn row_of(
    app: &App,
    caller: &Caller,
    action: Action,
    of: JobRef,
) -> Result<(JobAndAllocation, Permitted), ApiError> {
    let (job, left) = job_of(app, of).await?;
    let (mut row, allocation) = app.job(job).await?;
    let permitted = caller.may(action, of, &row)?;
    if left {
        row.array_task_id = of.task;
        row.array_tasks = None;
    }
    Ok(((row, allocation), permitted))
}

/// The job that is to be changed: a task that waits with others becomes one of its own.
///
/// # Errors
/// 404, 409 when the task can no longer be changed, or the server is stopping.
pub async fn own_job(app: &App, by: &Permitted, of: JobRef) -> Result<JobId, ApiError> {
    let (job, left) = job_of(app, of).await?;
    let Some(task) = of.task.filter(|_| left) else { return Ok(job) };
    let message = SplitTask { array: of.job, task, by: by.clone() };
    let split = durable(app.system.split.send(message)).await?;
    match split.map_err(|_| stopping())? {
        Some(job) => Ok(job),
        None => Err(ApiError::new(
            Code::JobState,
            format!("job {of} is over; only a job that waits or runs can be changed"),
        )),
    }
}

/// The job of one task whose output somebody may read, waited for if it is none yet; of an array no
/// single job can be meant.
///
/// # Errors
/// 404, 403, 409 for a whole array, or the server is stopping.
pub async fn single(app: &App, caller: &Caller, of: JobRef, wait: bool) -> Result<JobId, ApiError> {
    loop {
        let changes = await_change(app, of.job).await?;
        let (job, left) = job_of(app, of).await?;
        let (row, _) = app.job(job).await?;
        caller.may(Action::ReadOutput, of, &row)?;
        if let (None, Some(spec)) = (of.task, &row.array_spec) {
            let first = JobRef { job, task: Some(spec.tasks.first().unwrap_or(0)) };
            let detail = format!("job {job} is an array; ask for one task of it, as in {first}");
            return Err(ApiError::new(Code::IsAnArray, detail));
        }
        if !left || !wait || row.state.is_final() {
            return Ok(job);
        }
        changes.0.await.map_err(|_| stopping())?;
    }
}

/// Resolves at the next change of this job; registered before anything is read.
///
/// # Errors
/// When the server is stopping.
pub async fn await_change(app: &App, job: JobId) -> Result<Changes, ApiError> {
    let gone = |_| ApiError::unavailable("the server is stopping; the job runs on");
    app.system.await_job.send(Await { job }).await.map_err(gone)
}
