//! *Purpose*: partitions, shown.
//!
//! *Owns*: `GET /partitions`.
//!
//! *Promises*: a server that is not divided shows its one partition, the whole machine.
//!
//! *Not here*: how they are set up (`config::partitions`).

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};

use super::app::App;
use super::error::ApiError;
use super::page::PageQuery;
use super::wire::partitions::Partition;
use crate::actors::messages::GetPartitions;
use crate::job::request::MEMORY;
use crate::kernel::views::partitions::PartitionNow;

/// `GET /partitions`.
#[utoipa::path(get, path = "/api/v1/partitions", tag = "resources",
    description = "The parts of the machine, their limits, and what waits and runs in them.",
    params(PageQuery), responses((status = 200, body = [Partition]), (status = "5XX",
        body = super::wire::problem::Problem)))]
pub async fn list(
    app: web::Data<App>,
    request: HttpRequest,
    query: web::Query<PageQuery>,
) -> Result<HttpResponse, ApiError> {
    query.of(&request, &all(&app).await?, |one| one.name.clone())
}

/// All of them as they stand now.
///
/// # Errors
/// When the server is stopping.
pub async fn all(app: &App) -> Result<Vec<Partition>, ApiError> {
    let now = app.system.partitions.send(GetPartitions).await;
    let now = now.map_err(|_| ApiError::unavailable("the server is stopping"))?;
    Ok(now.into_iter().map(|one| shown(app, one)).collect())
}

fn shown(app: &App, now: PartitionNow) -> Partition {
    let live = app.live();
    let site = &live.site;
    let own = site.partitions.named(&now.name);
    let (default_time_limit_s, max_time_limit_s) = site.limits_of(own);
    Partition {
        state: if now.up { "up" } else { "down" }.to_owned(),
        default: now.default,
        total_cpus: now.cpus.len() as u32,
        available_cpus: now.free,
        cpu_ids: now.cpus,
        running_jobs: now.running,
        pending_jobs: now.pending,
        default_time_limit_s,
        max_time_limit_s,
        max_cpus_per_job: own.and_then(|p| p.max_cpus),
        max_memory_bytes_per_job: own.and_then(|p| p.max.get(MEMORY).copied()),
        max_per_job: own.map(others).unwrap_or_default(),
        priority_weight: own.map_or(0, |p| p.weight),
        preempts: preempted(app, own.map_or(0, |p| p.preempts)),
        name: now.name.to_string(),
    }
}

/// What it allows one job of resources beside CPUs and memory.
fn others(partition: &crate::resources::partitions::Partition) -> BTreeMap<String, u64> {
    let limits = partition.max.iter().filter(|(name, _)| &***name != MEMORY);
    limits.map(|(name, max)| (name.to_string(), *max)).collect()
}

/// The names of the partitions whose bits are set.
fn preempted(app: &App, bits: u64) -> Vec<String> {
    let live = app.live();
    let all = live.site.partitions.iter().enumerate();
    all.filter(|(n, _)| bits & (1 << n) != 0).map(|(_, one)| one.name.to_string()).collect()
}
