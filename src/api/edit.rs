//! *Purpose*: jobs, changed.
//!
//! *Owns*: PATCH, hold, release; who may give a running job more time.
//!
//! *Promises*: an answer of 200 is durable; what is refused has changed nothing; nobody who waits
//! is made to wait longer by another but an administrator.
//!
//! *Not here*: the body (`api::wire::update`), the checks (`kernel::admission`), what an edit does
//! (`kernel::commands::edit`).

use std::collections::BTreeSet;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::app::{App, durable};
use super::aside::aside;
use super::caller::Caller;
use super::code::Code;
use super::error::ApiError;
use super::intake::Body;
use super::job_path::{JobPath, JobPathText, own_job, row_of};
use super::owner::may_charge;
use super::render;
use super::submit::{Looks, looked_up};
use super::wire::job::Job;
use super::wire::submit::BodyRefused;
use super::wire::update::{self, UpdateBody};
use crate::actors::messages::{Explain, TryUpdate, UpdateAnswer, UpdateJob, WouldUpdate};
use crate::clock;
use crate::job::array_spec::JobRef;
use crate::job::dependency::CHAIN_MAX;
use crate::job::edit::{Edit, EditRequest};
use crate::job::faults::{FieldError, SpecRefused};
use crate::job::ids::JobId;
use crate::job::state::StateWord;
use crate::kernel::access::{Action, Permitted};
use crate::kernel::admission::edit::{EditedJob, checked};
use crate::kernel::commands::edit::Edited;
use crate::kernel::parts::eligibility::DependencySnapshot;
use crate::observe::extension::{Extension, delays};
use crate::store::record::JobRecord;

/// What else a change says.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct UpdateQuery {
    /// Only say what would become of it: it is checked as the change itself is, nothing is changed,
    /// and the answer is the job as it would be.
    dry_run: Option<bool>,
}

/// `PATCH /jobs/{id}`.
#[utoipa::path(patch, path = "/api/v1/jobs/{id}", tag = "jobs", params(JobPathText, UpdateQuery),
    description = "Changes a job that waits; of one that runs its time limit, deadline, name, \
        labels and comment. More time for a running job is given to everybody whom that makes \
        nobody else start later for, and by administrators.",
    request_body = UpdateBody,
    responses((status = 200, body = Job), (status = 404, body = super::wire::problem::Problem),
        (status = 403, description = "Only administrators raise a priority, or give a running job \
            time that another one would wait for", body = super::wire::problem::Problem),
        (status = 409, description = "It has been started or is over",
            body = super::wire::problem::Problem),
        (status = 422, body = super::wire::problem::Problem)))]
pub async fn update(
    app: web::Data<App>,
    caller: Caller,
    id: JobPath,
    query: web::Query<UpdateQuery>,
    Body(body): Body,
) -> Result<HttpResponse, ApiError> {
    let id = id.named()?;
    if query.dry_run.unwrap_or(false) {
        return Ok(HttpResponse::Ok().json(tried(&app, &caller, id, &body).await?));
    }
    let asked = update::parse(&body, clock::now());
    Ok(HttpResponse::Ok().json(change(&app, &caller, id, asked).await?))
}

/// A job as it would be after a change, which is not made.
///
/// # Errors
/// Those of the change.
pub async fn tried(app: &App, caller: &Caller, id: JobRef, body: &[u8]) -> Result<Job, ApiError> {
    let asked = update::parse(body, clock::now());
    let (by, edit) = permitted(app, caller, id, asked).await?;
    would_be(app, (caller, by), id, edit).await
}

/// Whether somebody may change a job.
pub async fn may_change(app: &App, caller: &Caller, id: JobRef) -> bool {
    row_of(app, caller, Action::Control, id).await.is_ok()
}

/// Changes a job as somebody asks for it, in whatever words; what makes no sense is only said to
/// whoever may change it.
///
/// # Errors
/// 404, 403, what was read wrong, what cannot be changed, or the server is stopping.
pub async fn change(
    app: &App,
    caller: &Caller,
    id: JobRef,
    asked: Result<EditRequest, BodyRefused>,
) -> Result<Job, ApiError> {
    let (by, edit) = permitted(app, caller, id, asked).await?;
    edited(app, (caller, by), id, edit).await
}

/// A change that may be made, if it suits the job when it is.
async fn permitted(
    app: &App,
    caller: &Caller,
    id: JobRef,
    asked: Result<EditRequest, BodyRefused>,
) -> Result<(Permitted, Edit), ApiError> {
    let ((row, _), by) = row_of(app, caller, Action::Control, id).await?;
    let asked = asked?;
    let edit = checked(asked, &as_it_is(&row), &app.live().site)
        .map_err(|SpecRefused(faults)| ApiError::fields(&faults))?;
    if let Some(account) = &edit.account {
        may_charge(app, caller, account)?;
    }
    if edit.priority.is_some_and(|priority| priority > row.priority) {
        let what = format!("a priority above {}, which the job has,", row.priority);
        caller.may_at_all(Action::Raise, &what)?;
    }
    if let Some(extension) = extension(&row, &edit)
        && caller.may_at_all(Action::Raise, "it").is_err()
        && let Some(other) = delayed(app, extension).await?
    {
        let what = format!("so much more time, for which job {other} would start later,");
        caller.may_at_all(Action::Raise, &what)?;
    }
    Ok((by, edit))
}

fn as_it_is(row: &JobRecord) -> EditedJob<'_> {
    EditedJob {
        name: &row.name,
        user: &row.user,
        owner: row.owner,
        account: &row.account,
        partition: &row.partition,
        cpus: row.cpus,
        tasks: row.spec.tasks,
        memory_bytes: row.memory_bytes,
        resources: &row.spec.resources,
        limit_s: row.time_limit_s,
        begin: row.begin_time,
        deadline: row.deadline,
        labels: &row.labels,
        gives_up: row.spec.kill_on_invalid_dependency,
        is_array: row.array_tasks.is_some(),
    }
}

/// The time that an edit gives a running job beyond what it has.
fn extension(row: &JobRecord, edit: &Edit) -> Option<Extension> {
    if row.state != StateWord::Running || !edit.changes_end() {
        return None;
    }
    let since = row.start_time.unwrap_or_else(clock::now);
    let (limit_s, deadline) = (row.time_limit_s, row.deadline);
    let suspension = row.suspension;
    let before = Extension { job: row.id, since, suspension, limit_s, deadline };
    let after = Extension {
        limit_s: edit.limit_s.unwrap_or(limit_s),
        deadline: edit.deadline.unwrap_or(deadline),
        ..before
    };
    after.is_beyond(&before).then_some(after)
}

/// Somebody who would start later if this job ran so long.
async fn delayed(app: &App, extension: Extension) -> Result<Option<JobId>, ApiError> {
    let policy = app.live().policy;
    let message = Explain { jobs: Vec::new(), policy, as_if: None };
    let explained = app.system.explain.send(message).await.map_err(|_| stopping())?;
    // Some milliseconds for a long line: not on the thread that answers everybody.
    aside(move || delays(policy, explained.line, extension)).await
}

/// `POST /jobs/{id}/hold`.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/hold", tag = "jobs", params(JobPathText),
    description = "A pending job waits until it is released.",
    responses((status = 200, body = Job), (status = 404, body = super::wire::problem::Problem),
        (status = 409, body = super::wire::problem::Problem)))]
pub async fn hold(
    app: web::Data<App>,
    caller: Caller,
    id: JobPath,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(set_held(&app, &caller, id.named()?, true).await?))
}

/// `POST /jobs/{id}/release`.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/release", tag = "jobs", params(JobPathText),
    description = "A held job may start again.",
    responses((status = 200, body = Job), (status = 404, body = super::wire::problem::Problem),
        (status = 409, body = super::wire::problem::Problem)))]
pub async fn release(
    app: web::Data<App>,
    caller: Caller,
    id: JobPath,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(set_held(&app, &caller, id.named()?, false).await?))
}

/// Holds a job, or releases it.
///
/// # Errors
/// 404, 403, 409 where it does not wait, or the server is stopping.
pub async fn set_held(app: &App, caller: &Caller, id: JobRef, held: bool) -> Result<Job, ApiError> {
    let (_, by) = row_of(app, caller, Action::Control, id).await?;
    let edit = Edit { held: Some(held), ..Edit::default() };
    edited(app, (caller, by), id, edit).await
}

async fn edited(
    app: &App,
    (caller, by): (&Caller, Permitted),
    of: JobRef,
    mut edit: Edit,
) -> Result<Job, ApiError> {
    let id = own_job(app, &by, of).await?;
    let (row, _) = app.job(id).await?;
    edit.by_operator = edit.held == Some(true) && caller.who.holds_as_operator(row.whose());
    let mut looks = Looks::new("the jobs that are to be waited for are just changing");
    let edited = loop {
        let elsewhere = elsewhere(app, caller, &row, &edit).await?;
        let by = by.clone();
        let message = UpdateJob { job: id, edit: edit.clone(), elsewhere, by };
        let answer = durable(app.system.update.send(message)).await?;
        match answer.map_err(|_| stopping())? {
            UpdateAnswer::Edited(edited) => break edited,
            UpdateAnswer::LookAgain(at) => looks.until(app, at).await?,
        }
    };
    let job = app.job(id).await?;
    accepted(caller, (of, &job.0), &edit, edited)?;
    Ok(render::one(app, caller, job).await)
}

/// The job as it would be.
async fn would_be(
    app: &App,
    (caller, by): (&Caller, Permitted),
    of: JobRef,
    mut edit: Edit,
) -> Result<Job, ApiError> {
    let ((row, allocation), _) = row_of(app, caller, Action::See, of).await?;
    edit.by_operator = edit.held == Some(true) && caller.who.holds_as_operator(row.whose());
    let mut looks = Looks::new("the jobs that are to be waited for are just changing");
    let policy = app.live().policy;
    let (edited, explained) = loop {
        let elsewhere = elsewhere(app, caller, &row, &edit).await?;
        let update = UpdateJob { job: row.id, edit: edit.clone(), elsewhere, by: by.clone() };
        let answer = app.system.try_update.send(TryUpdate { update, policy }).await;
        match answer.map_err(|_| stopping())? {
            WouldUpdate::Edited(edited, explained) => break (edited, explained),
            WouldUpdate::LookAgain(at) => looks.until(app, at).await?,
        }
    };
    accepted(caller, (of, &row), &edit, edited)?;
    let state = row.state;
    let row = if state.is_final() { row } else { row.edited(&edit, state, clock::now()) };
    Ok(render::as_explained(app, caller, (row, allocation), *explained).await)
}

/// Whether the job is as it was asked for, or why it is not.
fn accepted(
    caller: &Caller,
    (of, row): (JobRef, &JobRecord),
    edit: &Edit,
    edited: Edited,
) -> Result<(), ApiError> {
    let refused =
        |field, message: String| Err(ApiError::fields(&FieldError::new(field, message).into()));
    match edited {
        Edited::Done => Ok(()),
        Edited::Live | Edited::NotLive if edit.only_frees() => Ok(()),
        Edited::Live | Edited::NotLive => Err(unchangeable(of, row.state)),
        Edited::WaitsForTooMany => refused(
            "dependency",
            format!(
                "more than {CHAIN_MAX} jobs would have to end first; wait for the last of them"
            ),
        ),
        Edited::WaitsForItself => {
            let field = if edit.dependencies.is_some() { "dependency" } else { "name" };
            refused(field, format!("job {of} would wait for itself, and never start"))
        }
        Edited::HeldByOperator => {
            caller.may(Action::ReleaseOperatorHold, of, row)?;
            // He became an operator meanwhile.
            Err(ApiError::new(Code::JobState, format!("an operator holds job {of}; ask again")))
        }
        Edited::TooMany(why) => refused(why.field, why.sentence),
    }
}

/// What the database knows of the jobs that it is to wait for.
async fn elsewhere(
    app: &App,
    caller: &Caller,
    row: &JobRecord,
    edit: &Edit,
) -> Result<DependencySnapshot, ApiError> {
    let new = edit.dependencies.as_ref();
    let singleton = new.or(row.dependency.as_ref()).is_some_and(|all| all.singleton);
    let family = edit.family.iter().filter(|_| singleton).cloned();
    let named = new.map(|all| all.list.clone()).unwrap_or_default();
    let found = {
        let families = family.collect::<BTreeSet<_>>();
        looked_up(app, caller.who.scope(), named.clone(), families).await?
    };
    match named.iter().find_map(|one| found.missing.get(one)) {
        Some(message) => {
            Err(ApiError::fields(&FieldError::new("dependency", message.clone()).into()))
        }
        None => Ok(found.elsewhere),
    }
}

fn unchangeable(of: JobRef, word: StateWord) -> ApiError {
    let can = match word {
        StateWord::Running => {
            "of a running job time_limit, deadline, name, labels and comment can be changed"
        }
        _ => "only a job that waits or runs can be changed",
    };
    ApiError::new(Code::JobState, format!("job {of} is {word}; {can}"))
}

fn stopping() -> ApiError {
    ApiError::unavailable("the server is stopping")
}
