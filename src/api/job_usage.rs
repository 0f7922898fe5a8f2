//! *Purpose*: what a job used while it ran, and uses now.
//!
//! *Owns*: `GET /jobs/{id}/usage`, [`now`].
//!
//! *Promises*: whoever may read the job's details may read this, and nobody else.
//!
//! *Not here*: measuring (`actors::usage_watch`), what a job used in all (`api::render`).

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::app::App;
use super::caller::Caller;
use super::error::ApiError;
use super::job_path::{JobPath, JobPathText, row_of};
use super::wire::job_usage::{JobUsage, UsageNow};
use crate::actors::messages::GetUsage;
use crate::actors::usage_watch::EVERY_S;
use crate::clock::{self, rfc3339};
use crate::job::array_spec::JobRef;
use crate::job::ids::Attempt;
use crate::job::usage_series::UsageSeries;
use crate::kernel::access::Action;
use crate::store::reader::Reader;
use crate::store::record::JobRecord;
use crate::time::SECOND_US;

/// Figures older than this are no more those of now: rounds that take long, or none.
const NOW_S: i64 = 4 * EVERY_S as i64;

/// Query of `usage`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct UsageOfQuery {
    /// Which run of the job, from 1 on; the last one without.
    attempt: Option<u32>,
}

/// `GET /jobs/{id}/usage`.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/usage", tag = "jobs",
    params(JobPathText, UsageOfQuery),
    description = "CPUs, memory and GPUs that a run of the job used, measured every 10 s. At most \
        360 steps: a job that runs longer has longer ones. One that ended within 10 s was never \
        measured.",
    responses((status = 200, body = JobUsage), (status = 400,
        body = super::wire::problem::Problem), (status = 404,
        body = super::wire::problem::Problem)))]
pub async fn usage(
    app: web::Data<App>,
    caller: Caller,
    id: JobPath,
    query: web::Query<UsageOfQuery>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(of(&app, &caller, id.named()?, &query).await?))
}

/// What a run of a job used.
///
/// # Errors
/// 404, 403, 400 for what is no run of it, and what the database says.
pub async fn of(
    app: &App,
    caller: &Caller,
    named: JobRef,
    query: &UsageOfQuery,
) -> Result<JobUsage, ApiError> {
    let ((row, _), _) = row_of(app, caller, Action::ReadDetails, named).await?;
    let n = query.attempt.unwrap_or(row.attempt);
    if query.attempt.is_some_and(|n| n == 0 || n > row.attempt) {
        let message = format!("is none of the runs of job {}: there are {}", row.id, row.attempt);
        return Err(ApiError::parameter("attempt", message));
    }
    let attempt = Attempt { job: row.id, n };
    let live = app.usage.get.send(GetUsage(attempt)).await;
    let live = live.map_err(|_| ApiError::unavailable("the server is stopping"))?;
    let series = match live {
        Some(series) => Some(series),
        None => {
            let read = move |db: &mut dyn Reader| db.used_while_running(&[attempt]);
            app.read_raw(read).await?.remove(&attempt)
        }
    };
    let start = series.as_ref().map(|series| rfc3339(series.start));
    let of = series.unwrap_or(UsageSeries { step_s: EVERY_S, ..UsageSeries::default() });
    let cpus = |per_mille: u32| f64::from(per_mille) / 1_000.0;
    Ok(JobUsage {
        attempt: n,
        start,
        step_s: of.step_s,
        cpus: row.cpus,
        memory_bytes: row.memory_bytes.map(u64::cast_signed),
        cpus_busy: of.cpus_busy.into_iter().map(|busy| busy.map(cpus)).collect(),
        rss_bytes: of.rss_bytes,
        gpu_load: of.gpu_load,
    })
}

/// What a job uses now, if it runs and was measured.
pub fn now(app: &App, row: &JobRecord) -> Option<UsageNow> {
    if row.state.is_final() {
        return None;
    }
    let attempt = Attempt { job: row.id, n: row.attempt };
    let latest = *app.usage.live.borrow().get(&attempt)?;
    let age_us = clock::now().since_us(latest.time);
    (age_us <= NOW_S * SECOND_US).then(|| UsageNow {
        cpus_busy: latest.cpus_busy.map(|busy| f64::from(busy) / 1_000.0),
        rss_bytes: latest.rss_bytes,
        gpu_load: latest.gpu_load,
    })
}
