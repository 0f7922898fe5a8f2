//! *Purpose*: jobs that are run again, and what became of each run.
//!
//! *Owns*: `POST /jobs/{id}/requeue`, `GET /jobs/{id}/attempts`.
//!
//! *Promises*: what is answered is durable; a job that is over goes back only if what was read of
//! it is still true; a list of attempts and the job are of one commit.
//!
//! *Not here*: what a requeue does (`kernel::commands::requeue`), when a job is retried
//! (`kernel::parts::retries`).

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::app::{App, durable};
use super::caller::Caller;
use super::code::Code;
use super::error::ApiError;
use super::job_path::{JobPath, JobPathText, job_of, row_of};
use super::page::PageQuery;
use super::render;
use super::wire::attempt::Attempt;
use super::wire::job::Job;
use crate::actors::messages::{RequeueAnswer, RequeueJob};
use crate::clock;
use crate::job::array_spec::JobRef;
use crate::job::faults::FieldError;
use crate::job::ids::{CommitNo, JobId};
use crate::job::outcome::ExitCode;
use crate::job::state::{AttemptEnd, Hold};
use crate::kernel::access::Action;
use crate::kernel::commands::requeue::Requeued;
use crate::store::filter::PAGE_MAX;
use crate::store::read::{self, JobAndAllocation};
use crate::store::record::{AllocationRecord, JobRecord};

/// How often a job that is just changing is read again.
const LOOKS_MAX: u32 = 20;
/// How long each time is waited for the change to be durable: longer than a commit takes.
const LOOK_WAIT: Duration = Duration::from_secs(1);

/// Query of `requeue`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct RequeueQuery {
    /// Whether it then waits until somebody releases it.
    #[serde(default)]
    hold: bool,
}

/// `POST /jobs/{id}/requeue`.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/requeue", tag = "jobs",
    params(JobPathText, RequeueQuery),
    description = "Runs a job again under its own id. A live one is stopped as by a cancel and \
        waits again when its processes are gone, unless a cancel comes first; one that is over \
        waits again at once. Jobs that waited for its end have been told and stay told.",
    responses((status = 202, description = "It is being stopped", body = Job),
        (status = 200, description = "It was over and waits again", body = Job),
        (status = 404, body = super::wire::problem::Problem),
        (status = 409, description = "It waits already, is being cancelled, or could not run",
            body = super::wire::problem::Problem),
        (status = 422, description = "Its account or its user may not have so much waiting",
            body = super::wire::problem::Problem)))]
pub async fn requeue(
    app: web::Data<App>,
    caller: Caller,
    id: JobPath,
    query: web::Query<RequeueQuery>,
) -> Result<HttpResponse, ApiError> {
    let named = id.named()?;
    let ((row, _), by) = row_of(&app, &caller, Action::Control, named).await?;
    let (id, left) = job_of(&app, named).await?;
    if left {
        return Err(conflict(match row.state.is_final() {
            true => format!("job {named} was cancelled before it started; submit it again"),
            false => format!("job {named} waits already; there is nothing to stop"),
        }));
    }
    for _ in 0..LOOKS_MAX {
        let (read_at, job) = read_at(&app, id).await?;
        if named.task.is_none() && job.0.array_spec.is_some() {
            let detail = format!("job {id} is an array; name its tasks, as in {id}_0");
            return Err(conflict(detail));
        }
        let over = job.0.if_over();
        if over.is_some() {
            may_run_again(&job.0)?;
        }
        let message = RequeueJob {
            job: id,
            over: over.map(|over| (over, read_at)),
            hold: Hold::of(query.hold, caller.who.holds_as_operator(row.whose())),
            by: by.clone(),
        };
        let stopping = || ApiError::unavailable("the server is stopping");
        let answer = durable(app.system.requeue.send(message)).await?;
        let status = match answer.map_err(|_| stopping())? {
            RequeueAnswer::Done(Requeued::Stopping) => StatusCode::ACCEPTED,
            RequeueAnswer::Done(Requeued::Waiting) => StatusCode::OK,
            RequeueAnswer::Done(Requeued::Pending) => {
                return Err(conflict(format!("job {id} waits already; there is nothing to stop")));
            }
            RequeueAnswer::Done(Requeued::Cancelling) => {
                let detail = format!("job {id} is being cancelled; requeue it when it has ended");
                return Err(conflict(detail));
            }
            RequeueAnswer::Done(Requeued::TooMany(why)) => {
                let fault = FieldError::new(why.field, why.sentence);
                return Err(ApiError::fields(&fault.into()));
            }
            RequeueAnswer::LookAgain(at) => {
                look_later(&app, at).await;
                continue;
            }
            // It ended between the read and the message.
            RequeueAnswer::Done(Requeued::NotLive) => continue,
        };
        let job = render::one(&app, &caller, app.job(id).await?).await;
        return Ok(HttpResponse::build(status).json(job));
    }
    Err(ApiError::unavailable(format!("job {id} is just changing; ask again")))
}

fn conflict(detail: String) -> ApiError {
    ApiError::new(Code::JobState, detail)
}

async fn read_at(app: &App, id: JobId) -> Result<(CommitNo, JobAndAllocation), ApiError> {
    let found = app.read_raw(move |db| db.job(id)).await?;
    let job = found.value.ok_or_else(|| ApiError::no_job(id))?;
    Ok((found.commit_no, job))
}

async fn look_later(app: &App, at: CommitNo) {
    let mut snapshot = app.system.snapshot.clone();
    // Whether it came or not, the row is read again.
    let _late = actix_rt::time::timeout(LOOK_WAIT, snapshot.wait_for(|s| s.commit_no >= at)).await;
}

/// What a job that is over could never run for.
fn may_run_again(row: &JobRecord) -> Result<(), ApiError> {
    let id = row.id;
    if row.attempt == 0 && row.restarts == 0 && row.dependency.is_some() {
        let detail = format!(
            "job {id} never started, so nobody knows whether what it waited for was met; submit it \
             again"
        );
        return Err(conflict(detail));
    }
    if row.deadline.is_some_and(|deadline| deadline <= clock::now()) {
        let detail = format!("the deadline of job {id} has passed; submit it again with another");
        return Err(conflict(detail));
    }
    Ok(())
}

/// `GET /jobs/{id}/attempts`.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/attempts", tag = "jobs",
    params(JobPathText, PageQuery),
    description = "Every run of a job that had CPUs, oldest first; of more than a thousand the \
        latest.",
    responses((status = 200, body = [Attempt]), (status = 404,
        body = super::wire::problem::Problem)))]
pub async fn attempts(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    id: JobPath,
    query: web::Query<PageQuery>,
) -> Result<HttpResponse, ApiError> {
    let attempts = of(&app, &caller, id.named()?).await?;
    query.of(&request, &attempts, |one| one.attempt.to_string())
}

/// The runs of a job, if they are its asker's business.
///
/// # Errors
/// 404, and what the database says.
pub async fn of(app: &App, caller: &Caller, of: JobRef) -> Result<Vec<Attempt>, ApiError> {
    let ((row, _), _) = row_of(app, caller, Action::ReadDetails, of).await?;
    let (id, scope) = (row.id, caller.who.scope_of_details());
    let found = app.read(move |db| {
        let job = db.job(id)?.value;
        let rows = db.allocations((Some(id), None), None, PAGE_MAX, &scope)?;
        Ok(read::AsOf { commit_no: rows.commit_no, value: job.map(|(job, _)| (job, rows.value)) })
    });
    let (job, rows) = found.await?.ok_or_else(|| ApiError::no_job(id))?;
    Ok(rows.iter().rev().map(|row| attempt(&job, row)).collect())
}

/// The run that a job is in, or ended with, is told by the job's own row; so is that of a job that
/// an older Downbeat ran.
fn attempt(job: &JobRecord, row: &AllocationRecord) -> Attempt {
    let is_the_job_s =
        row.end.is_none() && row.attempt.n == job.attempt && job.restarts == 0 || !row.released;
    let of_job = Some(job).filter(|_| is_the_job_s);
    let code = row.exit_code.or(of_job.and_then(|job| job.exit_code));
    Attempt {
        attempt: row.attempt.n,
        state: row
            .end
            .or(of_job.map(|job| AttemptEnd::Job(job.state)))
            .map(|end| end.word().into()),
        exit_code: code.map(|code| code.to_string()),
        exit_status: code.and_then(ExitCode::status),
        exit_signal: code.and_then(ExitCode::by_signal),
        error: row.error.clone().or(of_job.and_then(|job| job.error.clone())),
        allocation_time: render::time(row.allocation_time),
        start_time: row.start_time.or(of_job.and_then(|job| job.start_time)).map(render::time),
        end_time: row.end_time.or(of_job.and_then(|job| job.end_time)).map(render::time),
        cpu_ids: row.cpus.clone(),
        resources: render::held(&row.rest),
    }
}
