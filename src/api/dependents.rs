//! *Purpose*: who waits for a job.
//!
//! *Owns*: `GET /jobs/{id}/dependents`, [`of`].
//!
//! *Promises*: only jobs that whoever asks may see are named, or counted.
//!
//! *Not here*: who waits for whom (`kernel::views::dependents`).

use actix_web::{HttpResponse, web};

use super::app::App;
use super::caller::Caller;
use super::error::ApiError;
use super::job_path::{JobPath, JobPathText, row_of};
use super::render;
use super::wire::dependents::Dependents;
use super::wire::pick::Fields;
use crate::actors::messages::GetDependents;
use crate::job::array_spec::JobRef;
use crate::kernel::access::Action;
use crate::kernel::views::dependents::Awaited;
use crate::store::filter::JobFilter;

/// The most that are listed: more than anybody reads.
const LISTED: usize = 100;

/// `GET /jobs/{id}/dependents`.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/dependents", tag = "jobs",
    description = "Jobs that may not start because they depend on this one, by their numbers, 100 \
        at the most: of a task also those that depend on its whole array, of an array those that \
        depend on any of its tasks. Jobs that its asker may not see are left out.",
    params(JobPathText),
    responses((status = 200, body = Dependents),
        (status = 404, body = super::wire::problem::Problem)))]
pub async fn list(
    app: web::Data<App>,
    caller: Caller,
    id: JobPath,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(of(&app, &caller, id.named()?).await?))
}

/// Who waits for a job, as far as its asker may see them.
///
/// # Errors
/// 404, and what the database says.
pub async fn of(app: &App, caller: &Caller, of: JobRef) -> Result<Dependents, ApiError> {
    let ((row, _), _) = row_of(app, caller, Action::See, of).await?;
    // A task that is no job yet has its array's row, with its own number in it.
    let is_whole = of.task.is_none() && row.array_spec.is_some();
    let task = row.array_job_id.zip(row.array_task_id).filter(|_| !is_whole);
    let message = GetDependents(match task {
        Some(task) => Awaited::Task(row.id, task),
        None => Awaited::Job(row.id),
    });
    let found = app.system.dependents.send(message).await;
    let found = found.map_err(|_| ApiError::unavailable("the server is stopping"))?;
    if found.jobs.is_empty() {
        return Ok(Dependents { jobs: Vec::new(), has_more: found.is_more && sees_all(caller) });
    }
    let (scope, all) = (caller.who.scope(), found.jobs.into_iter().collect());
    let (page, is_cut) = app
        .read_raw(move |db| {
            let seen = db.seen(all, &scope)?;
            let ids = seen.iter().copied().take(LISTED).collect();
            let limit = LISTED as i64;
            let filter =
                JobFilter { ids: Some(ids), limit, ascending: true, ..JobFilter::default() };
            Ok((db.jobs(&filter, &scope)?.value, seen.len() > LISTED))
        })
        .await?;
    let jobs = render::many(app, caller, page.jobs, &Fields::ALL).await;
    Ok(Dependents { jobs, has_more: is_cut || (found.is_more && sees_all(caller)) })
}

/// That there are more is a number of others, too.
fn sees_all(caller: &Caller) -> bool {
    caller.who.scope().own().is_none()
}
