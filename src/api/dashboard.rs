//! *Purpose*: the seed's dashboard, with true numbers.
//!
//! *Owns*: `GET /dashboard`.
//!
//! *Promises*: counts and CPUs are one snapshot.
//!
//! *Not here*: the web page.

use actix_web::{HttpResponse, web};

use super::app::App;
use super::caller::Caller;
use super::error::ApiError;
use super::render;
use super::wire::seed::{Dashboard, DashboardJob, JobStats, NodeInfo, ResourceStats, old_state};
use crate::job::ids::CpuId;
use crate::job::state::StateWord;
use crate::kernel::parts::rules::WHOLE;
use crate::kernel::views::snapshot::Snapshot;
use crate::store::filter::JobFilter;
use crate::store::read::JobAndAllocation;

/// Jobs of each list.
const JOBS: i64 = 20;

/// `GET /dashboard`.
#[utoipa::path(get, path = "/api/v1/dashboard", tag = "seed",
    description = "Counts of jobs and CPUs, and the first jobs that run and wait, as one page \
        shows them.",
    responses((status = 200, body = Dashboard)))]
pub async fn dashboard(app: web::Data<App>, caller: Caller) -> Result<HttpResponse, ApiError> {
    let running = list(&app, &caller, vec![StateWord::Running, StateWord::Completing]).await?;
    let pending = list(&app, &caller, vec![StateWord::Pending]).await?;
    let now = app.now();
    let all = || StateWord::ALL.iter().copied();
    // By the old words, each of which stands for itself and for what had no word.
    let count = |word: StateWord| {
        let same = all().filter(|state| old_state(*state) == old_state(word));
        same.map(|state| now.count(state)).sum()
    };
    let job_stats = JobStats {
        total: all().map(|state| now.count(state)).sum(),
        running: count(StateWord::Running),
        pending: count(StateWord::Pending),
        completed: count(StateWord::Completed),
        failed: count(StateWord::Failed),
        cancelled: count(StateWord::Cancelled),
    };
    let resource_stats = ResourceStats {
        total_cpus: now.total_cpus,
        allocated_cpus: now.used_cpus,
        available_cpus: now.available_cpus,
        utilization_rate: now.utilization(),
    };
    Ok(HttpResponse::Ok().json(Dashboard {
        job_stats,
        resource_stats,
        node_info: nodes(&app, &now),
        running_jobs: running.into_iter().map(line).collect(),
        pending_jobs: pending.into_iter().map(line).collect(),
    }))
}

/// The machine, once for each partition.
fn nodes(app: &App, now: &Snapshot) -> Vec<NodeInfo> {
    let partitions = &app.live().site.partitions;
    if partitions.is_empty() {
        return vec![NodeInfo {
            node_name: app.host.clone(),
            partition: WHOLE.to_owned(),
            total_cpus: now.total_cpus,
            allocated_cpus: now.used_cpus,
            available_cpus: now.available_cpus,
            available: true,
            utilization_rate: now.utilization(),
        }];
    }
    let each = partitions.iter().map(|partition| {
        let own = now.cpus.iter().filter(|(cpu, _)| partition.cpus.contains(cpu));
        let allocated = own.filter(|(_, job)| job.is_some()).count() as u32;
        let free = |cpu: &&CpuId| !now.held_back.contains(cpu);
        let kept = partition.cpus.iter().filter(free).count() as u32;
        NodeInfo {
            node_name: app.host.clone(),
            partition: partition.name.to_string(),
            total_cpus: partition.total(),
            allocated_cpus: allocated,
            available_cpus: kept.saturating_sub(allocated),
            available: partition.up,
            utilization_rate: f64::from(allocated) * 100.0 / f64::from(partition.total().max(1)),
        }
    });
    each.collect()
}

async fn list(
    app: &App,
    caller: &Caller,
    states: Vec<StateWord>,
) -> Result<Vec<JobAndAllocation>, ApiError> {
    let scope = caller.who.scope();
    let filter = JobFilter { states, ascending: true, limit: JOBS, ..JobFilter::default() };
    Ok(app.read(move |db| db.jobs(&filter, &scope)).await?.jobs)
}

fn line((row, allocation): JobAndAllocation) -> DashboardJob {
    let held = allocation.filter(|a| !a.released).map_or(0, |a| a.allocated_cpus);
    DashboardJob {
        job_id: row.id,
        state: old_state(row.state).to_owned(),
        allocated_cpus: held,
        submit_time: render::time(row.submit_time),
        start_time: row.start_time.map(render::time),
        name: row.name,
        account: row.account,
    }
}
