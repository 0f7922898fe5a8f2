//! *Purpose*: the seed's dashboard, with true numbers.
//!
//! *Owns*: `GET /dashboard`.
//!
//! *Promises*: counts and CPUs are one snapshot.
//!
//! *Not here*: the web page.

use actix_web::{HttpResponse, web};

use super::app::App;
use super::error::ApiError;
use super::present;
use super::wire::seed::{Dashboard, DashboardJob, JobStats, NodeInfo, ResourceStats, old_state};
use crate::kernel::ids::JobId;
use crate::kernel::job::StateWord;
use crate::store::read::{self, JobAndAllocation, JobFilter};

/// Jobs of each list.
const JOBS: i64 = 20;

/// `GET /dashboard`.
#[utoipa::path(get, path = "/api/v1/dashboard", tag = "seed",
    responses((status = 200, body = Dashboard)))]
pub async fn dashboard(app: web::Data<App>) -> Result<HttpResponse, ApiError> {
    let running = list(&app, vec![StateWord::Running, StateWord::Completing]).await?;
    let pending = list(&app, vec![StateWord::Pending]).await?;
    let now = app.now();
    let job_stats = JobStats {
        total: StateWord::ALL.iter().map(|s| now.count(*s)).sum(),
        running: now.count(StateWord::Running) + now.count(StateWord::Completing),
        pending: now.count(StateWord::Pending),
        completed: now.count(StateWord::Completed),
        failed: [
            StateWord::Failed,
            StateWord::Timeout,
            StateWord::OutOfMemory,
            StateWord::NodeFail,
        ]
        .iter()
        .map(|s| now.count(*s))
        .sum(),
        cancelled: now.count(StateWord::Cancelled),
    };
    let resource_stats = ResourceStats {
        total_cpus: now.total_cpus,
        allocated_cpus: now.used_cpus,
        available_cpus: now.available_cpus,
        utilization_rate: now.utilization(),
    };
    let node = NodeInfo {
        node_name: app.host.clone(),
        partition: "default".to_owned(),
        total_cpus: now.total_cpus,
        allocated_cpus: now.used_cpus,
        available_cpus: now.available_cpus,
        available: true,
        utilization_rate: now.utilization(),
    };
    Ok(HttpResponse::Ok().json(Dashboard {
        job_stats,
        resource_stats,
        node_info: vec![node],
        running_jobs: running.into_iter().map(line).collect(),
        pending_jobs: pending.into_iter().map(line).collect(),
    }))
}

async fn list(app: &App, states: Vec<StateWord>) -> Result<Vec<JobAndAllocation>, ApiError> {
    let filter = JobFilter { states, ascending: true, limit: JOBS, ..JobFilter::default() };
    Ok(app.read(move |conn| read::jobs_page(conn, &filter)).await?.jobs)
}

fn line((row, allocation): JobAndAllocation) -> DashboardJob {
    let held = allocation.filter(|a| !a.released).map_or(0, |a| a.allocated_cpus as u32);
    DashboardJob {
        job_id: JobId(row.id),
        state: old_state(row.state_word()).to_owned(),
        allocated_cpus: held,
        submit_time: present::time(row.submit_time),
        start_time: row.start_time.map(present::time),
        name: row.name,
        account: row.account,
    }
}
