//! *Purpose*: the routes of the system that this one replaces.
//!
//! *Owns*: `submit`, `query`, `cancel` below each of the old bases.
//!
//! *Promises*: old words, true numbers; ids are strings; both shapes of body are read.
//!
//! *Not here*: the old words (`api::wire::seed`).

use actix_web::{HttpRequest, HttpResponse, web};

use super::app::App;
use super::caller::Caller;
use super::error::ApiError;
use super::files::Asker;
use super::intake::Body;
use super::job_path::{JobPath, JobPathText, row_of};
use super::jobs::cancel_one;
use super::log_stream::{read_at, size};
use super::opener::Opener;
use super::render;
use super::streams::files;
use super::submit::accept;
use super::tail::last_lines;
use super::wire::dialect::ApiDialect;
use super::wire::seed::{
    Cancelled, Query, QueryDetail, QueryLog, QueryTime, Submitted, old_error, old_state,
};
use super::wire::submit::parse_submit;
use crate::job::files::StreamFile;
use crate::kernel::access::Action;
use crate::text::duration::format_dhms;
use crate::text::time_limit::format_limit;

/// Lines and bytes of each stream in an answer.
const LOG_LINES: u64 = 1_000;
/// See [`LOG_LINES`].
const LOG_BYTES: u64 = 1024 * 1024;

/// `POST /jobs/submit`.
#[utoipa::path(post, path = "/api/v1/jobs/submit", tag = "seed",
    description = "Submits a job, as the system before had it; `POST /api/v1/jobs` is its \
        successor.",
    request_body = super::wire::body::NestedBody,
    responses((status = 201, body = Submitted), (status = 200, body = Submitted),
        (status = "4XX", body = super::wire::problem::Problem), (status = "5XX",
            body = super::wire::problem::Problem)))]
pub async fn submit(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    Body(body): Body,
) -> Result<HttpResponse, ApiError> {
    let submission = parse_submit(&body, ApiDialect::Seed)?;
    let accepted = accept(&app, (&request, &caller), &body, vec![submission]).await?;
    let job_id = accepted.ids.first().map(ToString::to_string).unwrap_or_default();
    let mut answer = HttpResponse::build(accepted.status());
    Ok(answer.json(Submitted { job_id }))
}

/// `POST /jobs/cancel/{id}`.
#[utoipa::path(post, path = "/api/v1/jobs/cancel/{id}", tag = "seed",
    description = "Cancels a job, as the system before had it; `DELETE /api/v1/jobs/{id}` is its \
        successor.", params(JobPathText),
    responses((status = 200, body = Cancelled), (status = 404,
        body = super::wire::problem::Problem)))]
pub async fn cancel(
    app: web::Data<App>,
    caller: Caller,
    id: JobPath,
) -> Result<HttpResponse, ApiError> {
    cancel_one(&app, &caller, id.named()?).await?;
    Ok(HttpResponse::Ok().json(Cancelled { msg: "cancelled".to_owned() }))
}

/// `GET /jobs/query/{id}`.
#[utoipa::path(get, path = "/api/v1/jobs/query/{id}", tag = "seed",
    description = "Shows a job, as the system before had it; `GET /api/v1/jobs/{id}` is its \
        successor.", params(JobPathText),
    responses((status = 200, body = Query), (status = 404, body = super::wire::problem::Problem)))]
pub async fn query(
    app: web::Data<App>,
    caller: Caller,
    id: JobPath,
) -> Result<HttpResponse, ApiError> {
    let ((row, allocation), _) = row_of(&app, &caller, Action::See, id.named()?).await?;
    let state = row.state;
    let may_read = caller.may(Action::ReadDetails, row.id.into(), &row).is_ok();
    let files = files(&app, &row);
    let started = row.start_time.is_some();
    let opener = app.opener(&row);
    // What a job writes is not for everybody who may see it.
    let started = started && caller.may(Action::ReadOutput, row.id.into(), &row).is_ok();
    let read = move |asker: &Asker| QueryLog {
        stdout: last_text(&opener, &files.stdout, started, asker),
        stderr: last_text(&opener, &files.stderr, started, asker),
    };
    let job_log = app.files.read((row.id, row.owner), read).await?;
    let allocated = allocation.as_ref();
    Ok(HttpResponse::Ok().json(Query {
        job_id: row.id.to_string(),
        state: old_state(state).to_owned(),
        error_msg: old_error(state, row.error.as_deref().filter(|_| may_read)),
        time: QueryTime {
            submit_time: render::time(row.submit_time),
            start_time: row.start_time.map(render::time),
            end_time: row.end_time.map(render::time),
            eligible_time: Some(render::time(row.eligible_time)),
            elapsed_time: format_dhms(render::elapsed_s(&row)),
            limit_time: format_limit(row.time_limit_s.map(i64::from)),
        },
        job_log,
        detail: QueryDetail {
            job_name: row.name,
            user: row.user,
            partition: row.partition,
            allocated_cpus: allocated.map_or(0, |a| a.allocated_cpus),
            allocated_nodes: u32::from(allocated.is_some()),
            node_list: allocated.map(|_| app.host.clone()).unwrap_or_default(),
            exit_code: row.exit_code.map(|code| code.to_string()),
            work_dir: row.spec.working_directory.filter(|_| may_read),
            data_source: row.spec.data_source.word().to_owned(),
            account: row.account,
        },
    }))
}

/// The last lines of a stream; one that cannot be read shows why in its place.
fn last_text(opener: &Opener, stream: &StreamFile, started: bool, asker: &Asker) -> String {
    if !started {
        return String::new();
    }
    let read = || -> Result<String, String> {
        let Some(file) = opener.open(stream).map_err(|e| e.detail)? else {
            return Ok(String::new());
        };
        let size = size(&file).map_err(|e| e.to_string())?;
        let tail = last_lines(&file, size, LOG_LINES, asker).map_err(|e| e.to_string())?;
        let from = tail.from.max(size.saturating_sub(LOG_BYTES));
        let bytes = read_at(&file, from, size - from).map_err(|e| e.to_string())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_else(|why| format!("({why})"))
}
