//! *Purpose*: CPUs: who holds them, who held them, and whether all witnesses agree.
//!
//! *Owns*: `/resources`, `/allocations`, `/audit`.
//!
//! *Promises*: `/resources` is one snapshot of one commit.
//!
//! *Not here*: the comparison (`actors::audit`).

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::app::App;
use super::caller::Caller;
use super::error::ApiError;
use super::load;
use super::page;
use super::render;
use super::wire::report::{Audit, Drift, PastDrift};
use super::wire::resources::{AllocationRow, Cpu, ResourceState, Resources, UnitState};
use crate::actors::messages::{self, RunAudit};
use crate::clock::rfc3339;
use crate::job::ids::{CpuId, JobId};
use crate::job::state::StateWord;
use crate::kernel::views::snapshot::Snapshot;
use crate::resources::ledger::{ResourceNow, UnitNow};
use crate::store::reader::Reader;

/// Allocations of a page when nobody says.
const PAGE: i64 = 100;

/// `GET /resources`.
#[utoipa::path(get, path = "/api/v1/resources", tag = "resources",
    description = "What there is to hand out, who holds it, and how busy it is. Loads are looked \
        for while somebody asks: the first answer knows none, those that follow within a minute \
        do. Where somebody sees his own jobs only, he sees the load of what they hold.",
    responses((status = 200, body = Resources)))]
pub async fn resources(app: web::Data<App>, caller: Caller) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(held_now(&app, &caller).await?))
}

/// Who holds what and how busy it is, as far as somebody sees that.
///
/// # Errors
/// What the database says.
pub async fn held_now(app: &App, caller: &Caller) -> Result<Resources, ApiError> {
    let now = app.now();
    let seen = seen(app, caller, &now).await?;
    let mut resources = held(app, &now, seen.as_ref());
    load::add(&mut resources, &app.machine, &now, seen.as_ref());
    Ok(resources)
}

fn held(app: &App, now: &Snapshot, seen: Option<&BTreeSet<JobId>>) -> Resources {
    let shown = |job: Option<JobId>| job.filter(|job| seen.is_none_or(|seen| seen.contains(job)));
    let cpu = |(id, job): &(CpuId, Option<JobId>)| Cpu::held_by(*id, shown(*job));
    let cpus = now.cpus.iter().map(cpu).collect();
    Resources {
        node: app.host.clone(),
        total_cpus: now.total_cpus,
        used_cpus: now.used_cpus,
        available_cpus: now.available_cpus,
        utilization: now.utilization(),
        total_memory_bytes: now.total_memory,
        used_memory_bytes: now.used_memory,
        available_memory_bytes: now.available_memory,
        cpus,
        resources: now.others.iter().map(|one| state(one, shown)).collect(),
        held_back_cpus: now.held_back.clone(),
        running_jobs: now.count(StateWord::Running) + now.count(StateWord::Completing),
        pending_jobs: now.count(StateWord::Pending),
        resource_managers: app.system.metrics.resource_managers.load(Ordering::SeqCst),
        nodes: Vec::new(),
        gpus: Vec::new(),
    }
}

/// The holders that somebody sees; `None`: he sees all.
async fn seen(
    app: &App,
    caller: &Caller,
    now: &Snapshot,
) -> Result<Option<BTreeSet<JobId>>, ApiError> {
    let sees = caller.who.scope();
    if sees.own().is_none() {
        return Ok(None);
    }
    let units = now.others.iter().flat_map(|one| &one.units);
    let others = units.filter_map(|unit| unit.holder.map(|by| by.job));
    let holders: BTreeSet<JobId> =
        now.cpus.iter().filter_map(|(_, job)| *job).chain(others).collect();
    app.read_raw(move |db| db.seen(holders, &sees)).await.map(Some)
}

fn state(one: &ResourceNow, shown: impl Fn(Option<JobId>) -> Option<JobId>) -> ResourceState {
    let unit = |unit: &UnitNow| UnitState {
        id: unit.unit.0,
        kind: unit.kind.as_deref().map(str::to_owned),
        job_id: shown(unit.holder.map(|by| by.job)),
        held_back: unit.held_back.as_deref().map(str::to_owned),
    };
    ResourceState {
        name: one.name.to_string(),
        total: one.total,
        used: one.used,
        available: one.free,
        units: one.units.iter().map(unit).collect(),
    }
}

/// Which allocations.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct AllocationQuery {
    /// Of this job.
    job_id: Option<i64>,
    /// Given back or not.
    released: Option<bool>,
    /// Older than the one with this id.
    before: Option<i64>,
    /// Goes on behind an entry, as the header `Link` with `rel="next"` says it.
    cursor: Option<String>,
    /// 1 to 1000, default 100.
    limit: Option<i64>,
}

/// `GET /allocations`, newest first.
#[utoipa::path(get, path = "/api/v1/allocations", tag = "resources",
    description = "Who had which CPUs and other resources, and since when, newest first. Of more \
        than a page a header `Link` leads to the next.", params(AllocationQuery),
    responses((status = 200, body = [AllocationRow]), (status = "4XX",
        body = super::wire::problem::Problem)))]
pub async fn list(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    query: web::Query<AllocationQuery>,
) -> Result<HttpResponse, ApiError> {
    let limit = page::limit(query.limit, PAGE)?;
    let cursor = page::number(query.cursor.as_deref())?;
    // Whoever sends both means what is older than either.
    let before = cursor.into_iter().chain(query.before).min();
    let (job, released) = (query.job_id.map(JobId), query.released);
    let (asked, scope) = ((job, released), caller.who.scope_of_details());
    let read = move |db: &mut dyn Reader| db.allocations(asked, before, limit, &scope);
    let rows = app.read(read).await?;
    let rows: Vec<AllocationRow> = rows.iter().map(render::allocation).collect();
    let next = rows.last().filter(|_| rows.len() as i64 == limit);
    Ok(page::answer(&request, &rows, next.map(|row| row.id.to_string())))
}

/// `GET /audit`: compares ledger, database and processes now.
#[utoipa::path(get, path = "/api/v1/audit", tag = "resources",
    description = "Compares the ledger, the database and the processes of this machine now.",
    responses((status = 200, body = Audit), (status = "5XX",
        body = super::wire::problem::Problem)))]
pub async fn audit(app: web::Data<App>, caller: Caller) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(audited(&app, &caller).await?))
}

/// The same as a value.
///
/// # Errors
/// 403, and 503 when it cannot be compared.
pub async fn audited(app: &App, caller: &Caller) -> Result<Audit, ApiError> {
    caller.may_know_the_server()?;
    let report = app.system.audit.send(RunAudit).await;
    let report = report
        .map_err(|_| ApiError::unavailable("the server is stopping"))?
        .map_err(ApiError::unavailable)?;
    let drift: Vec<Drift> = report.drift.into_iter().map(told).collect();
    let past = |(at, drift)| PastDrift { found_at: rfc3339(at), drift: told(drift) };
    Ok(Audit {
        consistent: drift.is_empty(),
        drift,
        history: report.history.into_iter().map(past).collect(),
        commit_no: report.commit_no.0,
        checked_at: rfc3339(report.checked_at),
    })
}

fn told(drift: messages::Drift) -> Drift {
    Drift {
        kind: drift.kind.to_owned(),
        job_id: drift.job,
        message: drift.detail,
        remedy: drift.remedy.word().to_owned(),
    }
}
