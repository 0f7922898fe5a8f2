//! *Purpose*: jobs, asked for and cancelled.
//!
//! *Owns*: list, show, cancel, events of a job, wait.
//!
//! *Promises*: pages are bounded and keyset; a cancel is idempotent and answers after its
//! commit; `wait` registers before it reads, so no end is missed.
//!
//! *Not here*: which jobs a list is of (`api::job_filter`), submission (`api::submit`), logs
//! (`api::streams`).

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::app::{App, durable};
use super::caller::Caller;
use super::cursor;
use super::error::ApiError;
use super::job_filter::{Asked, asked};
use super::job_line;
use super::job_path::{JobPath, JobPathText, await_change, job_of, row_of};
use super::page::{self, PageQuery};
use super::render;
use super::wire::array::ArrayCounts;
use super::wire::job::{Event, Job, JobList};
use super::wire::pick::{Fields, Picked, PickedList};
use crate::actors::messages::{CancelJobs, CancelTask};
use crate::job::array_spec::JobRef;
use crate::job::ids::{EventId, JobId};
use crate::kernel::access::Action;
use crate::kernel::commands::cancel::Cancelled;
use crate::store::record::JobRecord;

/// Longest `wait`, seconds: shorter than what proxies cut, asked again in a loop.
const WAIT_MAX_S: u64 = 3_600;
/// `wait` when nobody says, seconds.
const WAIT_S: u64 = 30;

/// Says what a cancel did: `stopping` a job that runs, `ended` one that waited, or nothing, for it
/// was `over`.
const DID: &str = "x-cancel";

/// A query string as pairs, since some parameters repeat.
pub type Pairs = web::Query<Vec<(String, String)>>;

/// `GET /jobs`.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs",
    description = "A page of jobs. One request looks at a bounded part of history: where few \
        jobs match, a page may be short or even empty and still have a \
        `next_cursor`. Go on until there is none. Each job comes once, but one whose place in the \
        order changes between two pages may be missed or come twice.",
    params(("state" = Option<Vec<String>>, Query, description = "Repeatable; also comma-separated"),
        ("q" = Option<String>, Query, description = "Words with blanks between: a number is a \
            job, `17_4` a task of an array, `user:NAME`, `account:NAME`, `state:STATE` and \
            `label:KEY=VALUE` what the parameters are; another word is how a name begins"),
        ("account" = Option<Vec<String>>, Query, description = "Repeatable, 32 at most"),
        ("name" = Option<String>, Query),
        ("name_like" = Option<String>, Query, description = "`*`, `?` and `[ab]` as in a shell"),
        ("user" = Option<Vec<String>>, Query, description = "Repeatable, 32 at most"),
        ("partition" = Option<String>, Query),
        ("exit_code" = Option<String>, Query, description = "`3:0`, as the jobs have it"),
        ("ids" = Option<Vec<i64>>, Query, style = Form, explode = false,
            description = "Only these, a thousand at most, comma-separated"),
        ("array_job_id" = Option<i64>, Query, description = "Tasks of this array, and its rest"),
        ("label" = Option<Vec<String>>, Query, description = "`key:value`, repeatable"),
        ("since" = Option<String>, Query, description = "Submitted at or after, RFC 3339"),
        ("until" = Option<String>, Query, description = "Submitted before, RFC 3339"),
        ("ended_since" = Option<String>, Query, description = "Ended at or after, RFC 3339"),
        ("ended_until" = Option<String>, Query, description = "Ended before, RFC 3339"),
        ("limit" = Option<i64>, Query, description = "1 to 1000, default 100; with `fields` to \
            10000"),
        ("fields" = Option<String>, Query, description = "Of each job these fields alone, with \
            commas, besides `id` and `state`: for long lists"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before, which \
            goes on with the same `sort` only"),
        ("fold" = Option<String>, Query, pattern = "^arrays$", description = "`arrays`: one row \
            for each array of which any job is asked for, at the place of its own number, with \
            how its tasks stand in `array`; with `sort` by id or position"),
        ("sort" = Option<String>, Query,
            pattern = "^(position|-?(id|submit_time|start_time|end_time|end|priority|cpus|\
                time_limit_s|name|user|state))$",
            description = "By which field, ascending; with a `-` before it descending. Default \
                `-id`. `end` is by `expected_end_time`, with `state=RUNNING`, `COMPLETING` or \
                both; `position` is the line, first to run first, its first 1,000 places, with \
                `state=PENDING`. Jobs that stand alike are in the order of their ids, which a \
                `-` turns round too; jobs without a value come last either way. States are in the \
                order of a job's life, texts in that of their UTF-8 bytes. No index has the \
                order of `start_time`, `priority`, `cpus` and `time_limit_s`: where more than a \
                million jobs would have to be put in order, it is 400, naming `sort`")),
    responses((status = 200, description = "With `fields` each job has these alone",
            body = JobList), (status = "4XX",
        body = super::wire::problem::Problem)))]
pub async fn list(
    app: web::Data<App>,
    caller: Caller,
    query: Pairs,
) -> Result<HttpResponse, ApiError> {
    let (jobs, fields) = page_of(&app, &caller, query.into_inner()).await?;
    let JobList { jobs, next_cursor } = jobs;
    if let Some(fields) = &fields {
        let jobs = jobs.iter().map(|job| Picked { job, fields }).collect();
        return Ok(HttpResponse::Ok().json(PickedList { jobs, next_cursor }));
    }
    Ok(HttpResponse::Ok().json(JobList { jobs, next_cursor }))
}

/// The jobs that a query asks for, and what of them is wanted if not all.
///
/// # Errors
/// 400, naming the parameter; what the database says.
pub async fn page_of(
    app: &App,
    caller: &Caller,
    query: Vec<(String, String)>,
) -> Result<(JobList, Option<Fields>), ApiError> {
    let Asked { filter, fields, in_line } = asked(query)?;
    let (wanted, fold) = (fields.as_ref().unwrap_or(&Fields::ALL), filter.fold);
    // Labels are no business of others, nor is what can be found out by asking for them.
    let scope = match filter.labels.is_empty() {
        true => caller.who.scope(),
        false => caller.who.scope_of_details(),
    };
    let (found, next_cursor) = match in_line {
        Some(after) => {
            let page = job_line::page(app, scope, filter, after).await?;
            (page.jobs, page.next.map(cursor::written_place))
        }
        None => {
            let (key, ascending) = (filter.key, filter.ascending);
            let page = app.read(move |db| db.jobs(&filter, &scope)).await?;
            (page.jobs, page.next.map(|after| cursor::written(key, ascending, &after)))
        }
    };
    let counts = match fold && wanted.array {
        true => {
            let arrays = found.iter().filter(|(row, _)| row.array_job_id == Some(row.id));
            array_counts(app, arrays.map(|(row, _)| row.id).collect()).await?
        }
        false => BTreeMap::new(),
    };
    let mut jobs = render::many(app, caller, found, wanted).await;
    for job in &mut jobs {
        job.array = counts.get(&job.id).cloned();
    }
    Ok((JobList { jobs, next_cursor }, fields))
}

/// How many tasks of each of these arrays are in which state. Whether they are the asker's business
/// is for whoever names them.
///
/// # Errors
/// What the database says.
pub async fn array_counts(
    app: &App,
    arrays: Vec<JobId>,
) -> Result<BTreeMap<JobId, ArrayCounts>, ApiError> {
    let counts = app.read_raw(move |db| db.array_counts(&arrays)).await?;
    Ok(counts.into_iter().map(|(id, states)| (id, ArrayCounts::from(states))).collect())
}

/// One job, as far as it is its asker's business.
///
/// # Errors
/// 404, and what the database says.
pub async fn one(app: &App, caller: &Caller, of: JobRef) -> Result<Job, ApiError> {
    let (job, _) = row_of(app, caller, Action::See, of).await?;
    Ok(render::one(app, caller, job).await)
}

/// `GET /jobs/{id}`.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs",
    description = "One job as it is now.", params(JobPathText),
    responses((status = 200, body = Job), (status = 404, body = super::wire::problem::Problem)))]
pub async fn show(
    app: web::Data<App>,
    caller: Caller,
    id: JobPath,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(one(&app, &caller, id.named()?).await?))
}

/// `DELETE /jobs/{id}`.
#[utoipa::path(delete, path = "/api/v1/jobs/{id}", tag = "jobs",
    description = "Cancels a job. Asked again it answers the same; its CPUs stay held until its \
        last process is gone. `X-Cancel` says what this did: `stopping` a job that runs, `ended` \
        one that waited, or nothing, for it was `over`.", params(JobPathText),
    responses((status = 202, description = "It is being ended", body = Job),
        (status = 200, description = "It has ended", body = Job),
        (status = 404, body = super::wire::problem::Problem)))]
pub async fn cancel(
    app: web::Data<App>,
    caller: Caller,
    id: JobPath,
) -> Result<HttpResponse, ApiError> {
    let id = id.named()?;
    let cancelled = cancel_one(&app, &caller, id).await?;
    let live = cancelled == Cancelled::Stopping;
    let (job, _) = row_of(&app, &caller, Action::See, id).await?;
    let job = render::one(&app, &caller, job).await;
    // Of an array that has others to end too, this row may have ended already.
    let whole = id.task.is_none() && job.array_job_id == Some(job.id);
    let status = if live && (whole || !job.state.is_final()) {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    let did = match cancelled {
        Cancelled::Stopping => "stopping",
        Cancelled::Ended => "ended",
        Cancelled::NotLive => "over",
    };
    Ok(HttpResponse::build(status).insert_header((DID, did)).json(job))
}

/// `POST /jobs/{id}/cancel`: the same for clients that cannot DELETE.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/cancel", tag = "jobs",
    description = "Cancels a job, for clients that cannot send DELETE.", params(JobPathText),
    responses((status = 202, description = "It is being ended", body = Job),
        (status = 200, description = "It has ended", body = Job),
        (status = 404, body = super::wire::problem::Problem)))]
pub async fn cancel_by_post(
    app: web::Data<App>,
    caller: Caller,
    id: JobPath,
) -> Result<HttpResponse, ApiError> {
    cancel(app, caller, id).await
}

/// Cancels; answers what that did. 404 when there is none.
///
/// # Errors
/// When there is no such job, or the server is stopping.
pub async fn cancel_one(app: &App, caller: &Caller, of: JobRef) -> Result<Cancelled, ApiError> {
    let (_, by) = row_of(app, caller, Action::Control, of).await?;
    let id = of.job;
    let outcomes = match of.task {
        Some(task) => {
            durable(app.system.cancel_task.send(CancelTask { array: id, task, by })).await?
        }
        None => durable(app.system.cancel.send(CancelJobs { jobs: vec![id], by })).await?,
    };
    let gone = || ApiError::unavailable("the server is stopping; the job was not cancelled");
    outcomes.first().copied().ok_or_else(gone)
}

/// `GET /jobs/{id}/events`.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/events", tag = "jobs",
    description = "Every transition of a job, oldest first, with its time, its cause and who \
        wanted it.", params(JobPathText, PageQuery),
    responses((status = 200, body = [Event]), (status = 404,
        body = super::wire::problem::Problem)))]
pub async fn events(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    id: JobPath,
    query: web::Query<PageQuery>,
) -> Result<HttpResponse, ApiError> {
    let (limit, after) = query.numbers()?;
    let events = events_of(&app, &caller, id.named()?, (limit, after)).await?;
    let next = events.last().filter(|_| events.len() as i64 == limit);
    Ok(page::answer(&request, &events, next.map(|event| event.id.to_string())))
}

/// Events of a job, so many at the most, behind one.
///
/// # Errors
/// 404, 403, and what the database says.
pub async fn events_of(
    app: &App,
    caller: &Caller,
    of: JobRef,
    (limit, after): (i64, Option<i64>),
) -> Result<Vec<Event>, ApiError> {
    let ((row, _), _) = row_of(app, caller, Action::ReadDetails, of).await?;
    let id = row.id;
    let from = EventId(after.unwrap_or(0));
    let rows = app.read(move |db| db.events_of(id, from, limit)).await?;
    if rows.is_empty() && after.is_none() {
        return Err(ApiError::no_job(id));
    }
    Ok(rows.into_iter().map(render::event).collect())
}

/// Query of `wait`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct WaitQuery {
    /// Longest wait, seconds; default 30, at most 3600.
    timeout_s: Option<u64>,
}

/// `GET /jobs/{id}/wait`: answers when the job has ended or the time is over; of an array, when
/// all its tasks have.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/wait", tag = "jobs",
    description = "Answers when the job has ended, or when the time is over: look at `state`. \
        Of an array, when all its tasks have ended.", params(JobPathText, WaitQuery),
    responses((status = 200, description = "Look at `state`", body = Job),
        (status = 404, body = super::wire::problem::Problem)))]
pub async fn wait(
    app: web::Data<App>,
    caller: Caller,
    id: JobPath,
    query: web::Query<WaitQuery>,
) -> Result<HttpResponse, ApiError> {
    let of = id.named()?;
    let _place = app.waits.take(&caller)?;
    let patience = Duration::from_secs(query.timeout_s.unwrap_or(WAIT_S).min(WAIT_MAX_S));
    let give_up = actix_rt::time::sleep(patience);
    tokio::pin!(give_up);
    loop {
        let by_name = await_change(&app, of.job).await;
        let (id, _) = job_of(&app, of).await?;
        let by_job = await_change(&app, id).await;
        let (job, _) = row_of(&app, &caller, Action::See, of).await?;
        if is_over(&app, of, &job.0).await? {
            return Ok(HttpResponse::Ok().json(render::one(&app, &caller, job).await));
        }
        let (by_name, by_job) = (by_name?.0, by_job?.0);
        tokio::select! {
            _ = by_name => {}
            _ = by_job => {}
            () = &mut give_up => {
                return Ok(HttpResponse::Ok().json(render::one(&app, &caller, job).await));
            }
        }
    }
}

/// Whether it has ended; an array has when all its tasks have.
async fn is_over(app: &App, of: JobRef, row: &JobRecord) -> Result<bool, ApiError> {
    if !row.state.is_final() {
        return Ok(false);
    }
    let (array, whole) = (row.id, of.task.is_none() && row.array_spec.is_some());
    if !whole {
        return Ok(true);
    }
    app.read_raw(move |db| db.is_array_over(array)).await
}
