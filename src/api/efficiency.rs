//! *Purpose*: what a job used of what it asked for.
//!
//! *Owns*: `GET /jobs/{id}/efficiency`, [`of`].
//!
//! *Promises*: whoever may read the job's details may read this, and nobody else; that a smaller
//! job would start now is said when it would, and this one would not.
//!
//! *Not here*: the arithmetic and the advice (`job::efficiency`), what was measured
//! (`api::job_usage`).
//!
//! It is a route of its own: what it reads and asks for is too much for each look at a job.

use std::sync::Arc;

use actix_web::{HttpResponse, web};

use super::app::App;
use super::caller::Caller;
use super::error::ApiError;
use super::job_path::{JobPath, JobPathText};
use super::job_usage::{self, UsageOfQuery};
use super::jobs;
use super::render;
use super::wire::efficiency::{
    CpuEfficiency, Efficiency, GpuEfficiency, MemoryEfficiency, TimeEfficiency,
};
use super::wire::job::Job;
use super::wire::job_usage::JobUsage;
use crate::clock::parse_rfc3339;
use crate::job::efficiency::{Advice, Ran, busy};
use crate::job::ids::Uid;
use crate::job::request::{GPU, split};
use crate::job::spec::{CpusAsked, JobRequest, JobSpec};
use crate::kernel::parts::eligibility::DependencySnapshot;
use crate::observe::explain::STARTS;
use crate::text::time_limit::LimitAsked;
use crate::time::SECOND_US;

/// `GET /jobs/{id}/efficiency`.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/efficiency", tag = "jobs", params(JobPathText),
    description = "What the last run of a job used of the CPUs, the memory, the GPUs and the time \
        that it asked for, with one sentence of advice.",
    responses((status = 200, body = Efficiency), (status = 404,
        body = super::wire::problem::Problem)))]
pub async fn efficiency(
    app: web::Data<App>,
    caller: Caller,
    id: JobPath,
) -> Result<HttpResponse, ApiError> {
    let id = id.named()?;
    let usage = job_usage::of(&app, &caller, id, &UsageOfQuery::default()).await?;
    let job = jobs::one(&app, &caller, id).await?;
    Ok(HttpResponse::Ok().json(of(&app, &job, &usage).await))
}

/// The same of a job that was read, and of what it used.
pub async fn of(app: &App, job: &Job, usage: &JobUsage) -> Efficiency {
    let ran = ran(job, usage);
    let advice = advice(app, job, &ran.advice()).await;
    Efficiency {
        attempt: job.attempt,
        cpu: CpuEfficiency {
            asked: ran.cpus,
            used: ran.cpus_used,
            most: ran.cpus_most,
            used_s: job.usage.map(|usage| usage.user_cpu_s + usage.system_cpu_s),
        },
        memory: MemoryEfficiency { asked_bytes: job.memory_bytes, used_bytes: ran.memory_used },
        gpu: (ran.gpus > 0).then_some(GpuEfficiency { asked: ran.gpus, used: ran.gpus_used }),
        time: TimeEfficiency { asked_s: ran.limit_s, used_s: ran.elapsed_s },
        advice,
    }
}

fn ran(job: &Job, usage: &JobUsage) -> Ran {
    let mean = |values: Vec<f64>| {
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let steps: Vec<f64> = usage.cpus_busy.iter().flatten().copied().collect();
    let loads = usage.gpu_load.iter().flatten().map(|load| f64::from(*load) / 1_000.0);
    let cpus_most = steps.iter().copied().reduce(f64::max);
    let whole = job.usage.and_then(|all| busy(all.user_cpu_s + all.system_cpu_s, ran_s(job)));
    let one = job.usage.and_then(|all| u64::try_from(all.max_rss_bytes).ok());
    let all = usage.rss_bytes.iter().flatten().copied().max();
    let gpus = job.resources.iter().filter(|(name, _)| split(name).0 == GPU);
    let gpus = gpus.fold(0_u64, |sum, (_, n)| sum.saturating_add(*n));
    Ran {
        state: job.state,
        elapsed_s: job.elapsed_s,
        limit_s: job.time_limit_s,
        cpus: job.cpus,
        // Of one that runs there is what was measured.
        cpus_used: whole.or_else(|| mean(steps).filter(|_| !job.state.is_final())),
        cpus_most,
        memory_bytes: job.memory_bytes.and_then(|bytes| u64::try_from(bytes).ok()),
        memory_used: one.max(all),
        memory_was_measured: all.is_some(),
        gpus,
        gpus_used: mean(loads.collect()).map(|load| load * gpus as f64),
    }
}

/// How long it ran, seconds with their parts: of a short run the whole ones are too few.
fn ran_s(job: &Job) -> f64 {
    let at = |text: &Option<String>| text.as_deref().and_then(parse_rfc3339);
    let ran_us = at(&job.start_time).zip(at(&job.end_time)).map(|(from, to)| to.since_us(from));
    let suspended_us = job.suspended_s.saturating_mul(SECOND_US);
    ran_us.map_or(0.0, |us| (us - suspended_us).max(0) as f64 / SECOND_US as f64)
}

/// The first with which the same job would start now, if it would not as it is; else the first.
async fn advice(app: &App, job: &Job, all: &[Advice]) -> Option<String> {
    let first = all.first()?;
    if !starts_now(app, job, None).await {
        for advice in all {
            if starts_now(app, job, Some(advice)).await {
                return Some(advice.sentence(true));
            }
        }
    }
    Some(first.sentence(false))
}

/// Whether it would start at once if it were submitted now; what cannot be found out is no.
async fn starts_now(app: &App, job: &Job, advice: Option<&Advice>) -> bool {
    let spec = JobSpec::try_from((again(job, advice), &app.live().site));
    let Ok(spec) = spec else { return false };
    let would = render::dry_run(app, Arc::new(spec), DependencySnapshot::default()).await;
    would.is_ok_and(|job| job.state_reason.as_deref() == Some(STARTS))
}

/// The same job, as far as what it holds and whose it is decide when it starts.
fn again(job: &Job, advice: Option<&Advice>) -> JobRequest {
    let without_gpus = matches!(advice, Some(Advice::NoGpus { .. }));
    let is_kept = |name: &str| !without_gpus || split(name).0 != GPU;
    let resources = job.resources.iter().filter(|(name, _)| is_kept(name));
    let same = JobRequest {
        name: Some(job.name.clone()),
        account: Some(job.account.clone()),
        user: Some(job.user.clone()),
        owner: job.uid.map(Uid),
        partition: Some(job.partition.clone()),
        cpus: CpusAsked::Count(i64::from(job.cpus)),
        memory_bytes: job.memory_bytes,
        resources: resources.map(|(name, n)| (name.as_str().into(), *n)).collect(),
        limit: job.time_limit_s.map_or(LimitAsked::Unlimited, LimitAsked::Seconds),
        priority: job.priority,
        ..JobRequest::new("true")
    };
    match advice.copied() {
        Some(Advice::Cpus { enough, .. }) => {
            JobRequest { cpus: CpusAsked::Count(i64::from(enough)), ..same }
        }
        Some(Advice::Memory { enough, .. }) => {
            JobRequest { memory_bytes: Some(enough.cast_signed()), ..same }
        }
        Some(Advice::Limit { enough, .. }) => {
            JobRequest { limit: LimitAsked::Seconds(enough), ..same }
        }
        Some(Advice::NoGpus { .. }) | None => same,
    }
}
