//! *Purpose*: jobs that are suspended, and go on.
//!
//! *Owns*: `POST /jobs/{id}/suspend` and `/unsuspend`.
//!
//! *Promises*: what is answered is durable; where nothing can freeze a job that is said, and
//! nothing else happens; what is as it is wished for is no error.
//!
//! *Not here*: which jobs (`kernel::commands::suspend`), how (`engine`).

use actix_web::{HttpResponse, web};

use super::app::{App, durable};
use super::caller::Caller;
use super::code::Code;
use super::error::ApiError;
use super::job_path::{JobPath, JobPathText, job_of, row_of};
use super::render;
use super::wire::job::Job;
use crate::actors::messages::SuspendJob;
use crate::kernel::access::Action;
use crate::kernel::commands::suspend::Suspended;

/// `POST /jobs/{id}/suspend`.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/suspend", tag = "jobs", params(JobPathText),
    description = "All processes of a running job stand still, of an array those of every task \
        that runs. It keeps its CPUs; the time does not count for its limit.",
    responses((status = 202, description = "It is about to stand still", body = Job),
        (status = 404, body = super::wire::problem::Problem),
        (status = 409, description = "It does not run", body = super::wire::problem::Problem),
        (status = 501, description = "Nothing can be suspended here",
            body = super::wire::problem::Problem)))]
pub async fn suspend(
    app: web::Data<App>,
    caller: Caller,
    id: JobPath,
) -> Result<HttpResponse, ApiError> {
    set(&app, &caller, id, true).await
}

/// `POST /jobs/{id}/unsuspend`.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/unsuspend", tag = "jobs", params(JobPathText),
    description = "A job that was suspended goes on, of an array every task that was.",
    responses((status = 202, description = "It is about to go on", body = Job),
        (status = 404, body = super::wire::problem::Problem),
        (status = 409, description = "It is not suspended",
            body = super::wire::problem::Problem)))]
pub async fn unsuspend(
    app: web::Data<App>,
    caller: Caller,
    id: JobPath,
) -> Result<HttpResponse, ApiError> {
    set(&app, &caller, id, false).await
}

async fn set(
    app: &App,
    caller: &Caller,
    id: JobPath,
    suspend: bool,
) -> Result<HttpResponse, ApiError> {
    let named = id.named()?;
    let ((row, _), by) = row_of(app, caller, Action::Suspend, named).await?;
    if let Some(why) = app.cannot_suspend.as_ref().filter(|_| suspend) {
        return Err(ApiError::new(Code::NotPossibleHere, why.clone()));
    }
    let (job, left) = job_of(app, named).await?;
    let refused = |what: String| Err(ApiError::new(Code::JobState, format!("job {named} {what}")));
    let whole = !left && named.task.is_none() && row.array_job_id.is_some();
    let message = SuspendJob { job, whole, suspend, by };
    let stopping = |_| ApiError::unavailable("the server is stopping");
    let became = durable(app.system.suspend.send(message)).await?.map_err(stopping)?;
    let shown = app.job(job).await?;
    match became {
        Suspended::Done => Ok(HttpResponse::Accepted().json(render::one(app, caller, shown).await)),
        Suspended::NotSuspended => refused("is not suspended".to_owned()),
        Suspended::NotRunning if whole => refused("has no task that runs".to_owned()),
        Suspended::NotRunning if suspend => {
            refused(format!("is {}; only a job that runs can be suspended", shown.0.state))
        }
        Suspended::NotRunning => refused(format!("is {} and not suspended", shown.0.state)),
    }
}
