//! *Purpose*: a job array as a whole.
//!
//! *Owns*: `GET /jobs/{id}/array`.
//!
//! *Promises*: every task is counted once, whether or not it is a job of its own.
//!
//! *Not here*: its tasks, which are jobs (`api::jobs`).

use actix_web::{HttpResponse, web};

use super::app::App;
use super::caller::Caller;
use super::error::ApiError;
use super::job_path::{JobPath, JobPathText, row_of};
use super::wire::array::{ArrayState, TaskCounts};
use crate::job::array_spec::JobRef;
use crate::kernel::access::Action;

/// `GET /jobs/{id}/array`.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/array", tag = "jobs", params(JobPathText),
    description = "How the tasks of an array stand. 404 for a job that is none.",
    responses((status = 200, body = ArrayState),
        (status = 404, body = super::wire::problem::Problem)))]
pub async fn show(
    app: web::Data<App>,
    caller: Caller,
    id: JobPath,
) -> Result<HttpResponse, ApiError> {
    let JobRef { job, .. } = id.named()?;
    row_of(&app, &caller, Action::See, job.into()).await?;
    let tally = app.read_raw(move |db| db.tally(job)).await?;
    let tally = tally.ok_or_else(|| ApiError::no_array(job))?;
    Ok(HttpResponse::Ok().json(ArrayState {
        array_job_id: job,
        over: tally.is_over(),
        states: TaskCounts(tally.states),
        first_not_completed: tally
            .worst
            .map(|(task, _)| JobRef { job, task: Some(task) }.to_string()),
        tasks: tally.spec.to_string(),
    }))
}
