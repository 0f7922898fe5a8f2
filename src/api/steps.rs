//! *Purpose*: steps of jobs.
//!
//! *Owns*: `PUT /jobs/{id}/steps/{step}`, `GET /steps`.
//!
//! *Promises*: what is answered is durable; telling again replaces what was told.
//!
//! *Not here*: the body (`api::wire::step`), starting steps (`slurm::srun`).

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::app::{App, durable};
use super::caller::Caller;
use super::code::Code;
use super::error::ApiError;
use super::intake::Body;
use super::job_path::{job_of, row_of};
use super::page;
use super::render;
use super::wire::step::{Step, StepBody, StepList, parse};
use crate::actors::messages::NoteStep;
use crate::clock::rfc3339;
use crate::job::array_spec::JobRef;
use crate::job::ids::JobId;
use crate::kernel::access::Action;
use crate::store::filter::PAGE_MAX;
use crate::store::steps::StepRecord;

/// Jobs whose steps are asked for at a time.
const IDS_MAX: usize = 1_000;

/// A step in a path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct StepPath {
    /// A job's number, or `17_4` for task 4 of the array 17.
    #[param(example = "17")]
    id: String,
    /// The number of the step in its run of the job, from 0.
    #[param(minimum = 0, example = 0)]
    step: String,
}

/// `PUT /jobs/{id}/steps/{step}`.
#[utoipa::path(put, path = "/api/v1/jobs/{id}/steps/{step}", tag = "jobs", params(StepPath),
    description = "A running job says what it has started as a step, and how that ended. Nothing \
        is decided by it.",
    request_body = StepBody,
    responses((status = 200, body = Step), (status = 404, body = super::wire::problem::Problem),
        (status = 409, description = "The job, or that run of it, does not run",
            body = super::wire::problem::Problem),
        (status = 422, body = super::wire::problem::Problem)))]
pub async fn tell(
    app: web::Data<App>,
    caller: Caller,
    path: web::Path<StepPath>,
    Body(body): Body,
) -> Result<HttpResponse, ApiError> {
    let missing = |detail: String| ApiError::new(Code::NoSuchJob, detail);
    let named: JobRef = path.id.parse().map_err(missing)?;
    let no: u32 = path
        .step
        .parse()
        .map_err(|_| missing(format!("\"{}\" is not the number of a step", path.step)))?;
    let _ = row_of(&app, &caller, Action::Control, named).await?;
    let (attempt, step) = parse(no, &body)?;
    let (job, _) = job_of(&app, named).await?;
    let step = Arc::new(step);
    let message = NoteStep { job, attempt, step: Arc::clone(&step) };
    let stopping = |_| ApiError::unavailable("the server is stopping");
    match durable(app.system.step.send(message)).await?.map_err(stopping)? {
        Some(attempt) => {
            let record = StepRecord { id: 0, attempt, step: (*step).clone() };
            Ok(HttpResponse::Ok().json(shown(&record)))
        }
        None => {
            let which = attempt.map_or(String::new(), |n| format!(" in attempt {n}"));
            Err(ApiError::new(Code::JobState, format!("job {named} does not run{which}")))
        }
    }
}

/// Whose steps.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct StepQuery {
    /// Of these jobs, at most 1000; of all without.
    #[param(value_type = Option<Vec<i64>>, style = Form, explode = false)]
    ids: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// 1 to 1000, the default.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// `GET /steps`.
#[utoipa::path(get, path = "/api/v1/steps", tag = "jobs", params(StepQuery),
    description = "What jobs said of their steps, in that order, of all their runs.",
    responses((status = 200, body = StepList),
        (status = "4XX", body = super::wire::problem::Problem)))]
pub async fn list(
    app: web::Data<App>,
    caller: Caller,
    query: web::Query<StepQuery>,
) -> Result<HttpResponse, ApiError> {
    let limit = page::limit(query.limit, PAGE_MAX)?;
    let after = page::number(query.cursor.as_deref())?.unwrap_or(0);
    let wrong = || ApiError::parameter("ids", "are numbers of jobs, with commas between them");
    let id = |id: &str| id.trim().parse().map(JobId).map_err(|_| wrong());
    let ids = query.ids.as_ref().map(|ids| ids.split(',').map(id).collect::<Result<Vec<_>, _>>());
    let ids = ids.transpose()?;
    if ids.as_ref().is_some_and(|ids| ids.len() > IDS_MAX) {
        return Err(ApiError::parameter("ids", format!("are at most {IDS_MAX}")));
    }
    let scope = caller.who.scope_of_details();
    let rows = app.read(move |db| db.steps(ids.as_deref(), &scope, (after, limit))).await?;
    let next = rows.last().filter(|_| rows.len() as i64 == limit).map(|row| row.id.to_string());
    let steps = rows.iter().map(shown).collect();
    Ok(HttpResponse::Ok().json(StepList { steps, next_cursor: next }))
}

/// A step as it was told.
pub fn shown(record: &StepRecord) -> Step {
    let StepRecord { attempt, step, .. } = record;
    Step {
        job_id: attempt.job,
        attempt: attempt.n,
        step: step.no,
        name: step.name.to_string(),
        tasks: step.tasks,
        cpus: step.cpus,
        start_time: rfc3339(step.start),
        end_time: step.end.map(|end| rfc3339(end.time)),
        exit_code: step.end.map(|end| end.exit.to_string()),
        usage: step.end.map(|end| render::usage(end.usage)),
    }
}
