//! *Purpose*: the routes of Slurm's API about jobs in the queue.
//!
//! *Owns*: submit, list, show, change, signal, cancel.
//!
//! *Promises*: each does what this server's own route for it does, by the same functions and with
//! the same rights; only the words are Slurm's. A list is whole or refused.
//!
//! *Not here*: the words (`api::wire::slurm`), which jobs a list has (`slurmrest::found`), the
//! accounting (`slurmrest::history`).

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use super::found::{MIN_JOB_AGE_S, named, owners, picked};
use super::query::{Asked, Pairs, job_in};
use super::reply::{JOBS, list_of, ok};
use super::trouble::NO_JOB;
use crate::api::app::App;
use crate::api::aside::aside;
use crate::api::caller::Caller;
use crate::api::edit;
use crate::api::error::ApiError;
use crate::api::intake::Body;
use crate::api::jobs::cancel_one;
use crate::api::signal;
use crate::api::submit::accept;
use crate::api::wire::job::Job;
use crate::api::wire::slurm::answer::submitted;
use crate::api::wire::slurm::facts::Facts;
use crate::api::wire::slurm::jobs as queue;
use crate::api::wire::slurm::submission::{changed_field, parse_jobs, parse_submit, parse_update};
use crate::api::wire::slurm::version::{Fact, Version, field};
use crate::clock;
use crate::job::array_spec::JobRef;
use crate::job::faults::FieldError;
use crate::job::signal::{Recipients, Signal, name_of, number_of};
use crate::job::state::StateWord;
use crate::store::filter::JobFilter;

/// What is sent when nobody says: the job is cancelled.
const KILL: &str = "KILL";
/// Most jobs that one request cancels: as many as a page of them has.
const CANCELLED_MAX: usize = 1_000;

/// `POST /slurm/…/job/submit`.
pub async fn submit(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    Asked(version): Asked,
    Body(body): Body,
) -> Result<HttpResponse, ApiError> {
    Pairs::of(&request)?.only(&[])?;
    let submission = parse_submit(&body, version)?;
    let accepted = accept(&app, (&request, &caller), &body, vec![submission]).await?;
    let job = accepted.ids.first().map_or(0, |id| id.0);
    Ok(HttpResponse::Ok().json(submitted(version, job, accepted.warnings())))
}

/// `GET /slurm/…/jobs`: those that wait and run, and those that have ended a short while ago.
pub async fn list(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    Asked(version): Asked,
) -> Result<HttpResponse, ApiError> {
    let pairs = Pairs::of(&request)?;
    pairs.only(&["update_time", "flags"])?;
    // Whatever has changed is among all.
    pairs.time("update_time")?;
    let jobs = in_queue(&app, &caller).await?;
    shown(version, jobs).await
}

async fn in_queue(app: &App, caller: &Caller) -> Result<Vec<Job>, ApiError> {
    let all = || StateWord::ALL.iter().copied();
    let live = JobFilter {
        states: all().filter(|state| !state.is_final()).collect(),
        ..JobFilter::default()
    };
    let ended = JobFilter {
        states: all().filter(|state| state.is_final()).collect(),
        ended_since: Some(clock::now().plus_s(-MIN_JOB_AGE_S)),
        ..JobFilter::default()
    };
    picked(app, caller, vec![live, ended]).await
}

/// Jobs as the queue has them.
async fn shown(version: Version, jobs: Vec<Job>) -> Result<HttpResponse, ApiError> {
    // Users are asked for at the system, and a list may be long.
    let each = aside(move || {
        let owners = owners(&jobs);
        let each = jobs.iter().zip(&owners);
        each.map(|(job, owner)| queue::job(version, job, owner)).collect::<Vec<Value>>()
    });
    Ok(list_of(JOBS, version, each.await?))
}

/// `GET /slurm/…/jobs/state`: what each is called, and how it stands.
pub async fn states(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    Asked(version): Asked,
) -> Result<HttpResponse, ApiError> {
    since(Version::V41, version, &request)?;
    let pairs = Pairs::of(&request)?;
    pairs.only(&["job_id"])?;
    let jobs = match pairs.all("job_id").is_empty() {
        true => in_queue(&app, &caller).await?,
        false => {
            let mut jobs = Vec::new();
            for word in pairs.all("job_id") {
                let id = word.parse().map_err(|e: String| ApiError::parameter("job_id", e))?;
                jobs.extend(named(&app, &caller, id).await?);
            }
            jobs
        }
    };
    let one = |job: Job| {
        let state = || Fact::State(Facts(&job).state());
        let array = Fact::Number(Some(job.array_job_id.map_or(0, |id| id.0)));
        vec![
            field("job_id", job.id.0),
            field("array_job_id", array),
            field("array_task_id", Fact::Number(job.array_task_id.map(i64::from))),
            field("job_state", state()),
            field("state", state()),
        ]
    };
    let all = jobs.into_iter().map(|job| version.object(one(job))).collect();
    Ok(list_of(JOBS, version, all))
}

/// A route that older versions do not have.
fn since(first: Version, version: Version, request: &HttpRequest) -> Result<(), ApiError> {
    if version >= first { Ok(()) } else { Err(ApiError::no_route(request.path())) }
}

/// `GET /slurm/…/job/{id}`: of an array all its tasks.
pub async fn show(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    Asked(version): Asked,
) -> Result<HttpResponse, ApiError> {
    Pairs::of(&request)?.only(&["update_time", "flags"])?;
    let jobs = named(&app, &caller, job_in(&request)?).await?;
    shown(version, jobs).await
}

/// `POST /slurm/…/job/{id}`.
pub async fn update(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    Asked(version): Asked,
    Body(body): Body,
) -> Result<HttpResponse, ApiError> {
    Pairs::of(&request)?.only(&[])?;
    let (asked, warnings) = match parse_update(&body, version, clock::now()) {
        Ok((asked, warnings)) => (Ok(asked), warnings),
        Err(refused) => (Err(refused), Vec::new()),
    };
    let changed = edit::change(&app, &caller, job_in(&request)?, asked).await;
    let job = changed.map_err(|error| ApiError {
        errors: error.errors.into_iter().map(renamed).collect(),
        ..error
    })?;
    let result = vec![
        field("job_id", job.id.0),
        field("step_id", ""),
        field("error", ""),
        field("error_code", 0),
        field("why", ""),
    ];
    let found = vec![
        field("results", Fact::All(vec![result])).from(Version::V39),
        field("job_id", job.id.to_string()).from(Version::V39).until(Version::V41),
        field("step_id", "").from(Version::V39).until(Version::V41),
        field("job_submit_user_msg", "").from(Version::V39).until(Version::V41),
    ];
    Ok(ok(version, found, warnings))
}

/// A fault of a change, in the words of a body of this API.
fn renamed(fault: FieldError) -> FieldError {
    FieldError { field: changed_field(&fault.field).to_owned(), ..fault }
}

/// `DELETE /slurm/…/job/{id}`.
pub async fn cancel(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    Asked(version): Asked,
) -> Result<HttpResponse, ApiError> {
    let pairs = Pairs::of(&request)?;
    pairs.only(&["signal", "flags"])?;
    let to = recipients(&pairs.words("flags"))?;
    let signal = signal_of(pairs.first("signal"), to)?;
    let id = job_in(&request)?;
    sent(&app, &caller, id, signal).await?;
    let found = vec![field("status", cancelled(&[(id.to_string(), None)])).from(Version::V41)];
    Ok(ok(version, found, Vec::new()))
}

/// To whom a signal goes: as in Slurm, to all but the script unless that is said.
fn recipients(flags: &[String]) -> Result<Recipients, ApiError> {
    let mut to = Recipients::Others;
    for flag in flags {
        to = match flag.as_str() {
            "BATCH_JOB" => Recipients::Script,
            "FULL_JOB" => Recipients::All,
            // What is left of an array goes with it anyway, and nobody gets mail.
            "ARRAY_TASK" | "NO_SIBLING_JOBS" | "NO_MAIL" => to,
            other => {
                let message = format!("\"{other}\" is neither BATCH_JOB nor FULL_JOB");
                return Err(ApiError::parameter("flags", message));
            }
        };
    }
    Ok(to)
}

fn signal_of(text: Option<&str>, to: Recipients) -> Result<Signal, ApiError> {
    let text = text.filter(|text| !text.is_empty()).unwrap_or(KILL);
    let number = number_of(text).map_err(|message| ApiError::parameter("signal", message))?;
    Ok(Signal { number, to })
}

/// Sends a signal, or cancels: KILL ends the job, not its processes alone.
async fn sent(app: &App, caller: &Caller, id: JobRef, what: Signal) -> Result<(), ApiError> {
    if name_of(what.number) == Some(KILL) && what.to != Recipients::Script {
        return cancel_one(app, caller, id).await.map(drop);
    }
    signal::send(app, caller, id, Ok(what)).await.map(drop)
}

/// What became of each that was to be cancelled.
fn cancelled(all: &[(String, Option<String>)]) -> Fact {
    let one = |(id, error): &(String, Option<String>)| {
        let error = vec![
            field("string", error.clone().unwrap_or_else(|| "No error".to_owned())),
            field("code", if error.is_some() { NO_JOB } else { 0 }),
            field("message", error.clone().unwrap_or_default()),
        ];
        let number = id.split('_').next().and_then(|number| number.parse().ok());
        vec![
            field("step_id", id.clone()),
            field("job_id", Fact::Number(number)),
            field("federation", Fact::Object(vec![field("sibling", "")])),
            field("error", Fact::Object(error)),
        ]
    };
    Fact::All(all.iter().map(one).collect())
}

/// `DELETE /slurm/…/jobs`: those that the body names, one after the other.
pub async fn cancel_several(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    Asked(version): Asked,
    Body(body): Body,
) -> Result<HttpResponse, ApiError> {
    since(Version::V41, version, &request)?;
    Pairs::of(&request)?.only(&[])?;
    let (words, text) = parse_jobs(&body, CANCELLED_MAX)?;
    let what = signal_of(text.as_deref(), Recipients::Others)?;
    let id = |word: &String| word.parse().map_err(|e| ApiError::fields(&fault(e)));
    let ids = words.iter().map(id).collect::<Result<Vec<JobRef>, ApiError>>()?;
    let mut all = Vec::with_capacity(ids.len());
    for id in ids {
        let done = sent(&app, &caller, id, what).await;
        all.push((id.to_string(), done.err().map(|error| error.detail)));
    }
    Ok(ok(version, vec![field("status", cancelled(&all))], Vec::new()))
}

fn fault(message: String) -> crate::job::faults::Faults {
    FieldError::new("jobs", message).into()
}
