//! *Purpose*: signals for jobs that run.
//!
//! *Owns*: `POST /jobs/{id}/signal`.
//!
//! *Promises*: what is answered is durable: the signal is sent once, also if the server dies before
//! that, unless the job ends first.
//!
//! *Not here*: the body (`api::wire::signal`), to whom it goes (`kernel::commands::signal`).

use actix_web::{HttpResponse, web};

use super::app::{App, durable};
use super::caller::Caller;
use super::code::Code;
use super::error::ApiError;
use super::intake::Body;
use super::job_path::{JobPath, JobPathText, job_of, row_of};
use super::render;
use super::wire::job::Job;
use super::wire::signal::{SignalBody, parse};
use super::wire::submit::BodyRefused;
use crate::actors::messages::SignalJob;
use crate::job::array_spec::JobRef;
use crate::job::ids::JobId;
use crate::job::signal::Signal;
use crate::kernel::access::Action;
use crate::kernel::commands::signal::{SIGNALS_UNDER_WAY_MAX, Signalled};

/// `POST /jobs/{id}/signal`.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/signal", tag = "jobs", params(JobPathText),
    description = "Sends a signal to a running job, of an array to every task that runs. It goes \
        to all processes but the script's own, which as a shell without a trap would die of it, \
        unless `to` says otherwise.",
    request_body = SignalBody,
    responses((status = 202, description = "It is on its way", body = Job),
        (status = 404, body = super::wire::problem::Problem),
        (status = 409, description = "It does not run, or has not taken those sent before",
            body = super::wire::problem::Problem),
        (status = 422, body = super::wire::problem::Problem)))]
pub async fn signal(
    app: web::Data<App>,
    caller: Caller,
    id: JobPath,
    Body(body): Body,
) -> Result<HttpResponse, ApiError> {
    let job = send(&app, &caller, id.named()?, parse(&body)).await?;
    let job = render::one(&app, &caller, app.job(job).await?).await;
    Ok(HttpResponse::Accepted().json(job))
}

/// Sends a signal to the job that somebody names, who may; what makes no sense is only said to him.
///
/// # Errors
/// 404, 403, what was read wrong, 409 where nothing runs, or the server is stopping.
pub async fn send(
    app: &App,
    caller: &Caller,
    named: JobRef,
    signal: Result<Signal, BodyRefused>,
) -> Result<JobId, ApiError> {
    let ((row, _), by) = row_of(app, caller, Action::Control, named).await?;
    let signal = signal?;
    let (job, left) = job_of(app, named).await?;
    let refused = |what: String| Err(ApiError::new(Code::JobState, format!("job {named} {what}")));
    if left {
        return refused("waits; a signal is for a job that runs".to_owned());
    }
    let whole = named.task.is_none() && row.array_job_id.is_some();
    let message = SignalJob { job, whole, signal, by };
    let stopping = |_| ApiError::unavailable("the server is stopping");
    match durable(app.system.signal.send(message)).await?.map_err(stopping)? {
        Signalled::Sent => Ok(job),
        Signalled::NotRunning if whole => refused("has no task that runs".to_owned()),
        Signalled::NotRunning => {
            let state = app.job(job).await?.0.state;
            refused(format!("is {state}; a signal is for a job that runs"))
        }
        Signalled::TooMany(_) => {
            refused(format!("has not taken the last {SIGNALS_UNDER_WAY_MAX} signals; ask again"))
        }
    }
}
