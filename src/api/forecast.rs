//! *Purpose*: what is foretold.
//!
//! *Owns*: `GET /forecast`, and the sizes of jobs that are asked about.
//!
//! *Promises*: an answer is bounded; who sees his own jobs alone is told of no other's start.
//!
//! *Not here*: how it is worked out (`observe::openings`).

use std::collections::BTreeSet;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::app::App;
use super::aside::aside;
use super::caller::Caller;
use super::error::ApiError;
use super::render::time;
use super::wire::forecast::{Earliest, ExpectedStart, Forecast, FreeFrom};
use crate::actors::messages::Explain;
use crate::job::request::{MEMORY, Request};
use crate::kernel::admission::Site;
use crate::kernel::parts::rules::WHOLE;
use crate::kernel::views::explain::Explained;
use crate::observe::openings::{Opening, Outlook, outlook};
use crate::resources::capacity::{CellSet, Demand, Part, RegionSet};
use crate::text::when::{self, Zone};
use crate::time::Time;

/// The resource that a GPU is.
const GPU: &str = "gpu";
/// Most steps of an answer: what runs and is foretold makes two of each.
const STEPS_MAX: usize = 1_000;
/// Most starts of an answer: as many as are worked out, and those that start at once.
const STARTS_MAX: usize = 300;
/// Most GPUs of one job that are asked about: what one machine has.
const GPUS_MAX: u64 = 16;

/// Query of `forecast`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ForecastQuery {
    /// What is free after this is left out, RFC 3339.
    until: Option<String>,
}

/// `GET /forecast`.
#[utoipa::path(get, path = "/api/v1/forecast", tag = "resources", params(ForecastQuery),
    description = "What is free when, when jobs that wait start, and when a job would that is \
        submitted now without any other starting later, if all last as long as they may.",
    responses((status = 200, body = Forecast), (status = "4XX",
        body = super::wire::problem::Problem)))]
pub async fn forecast(
    app: web::Data<App>,
    caller: Caller,
    query: web::Query<ForecastQuery>,
) -> Result<HttpResponse, ApiError> {
    let until = query.into_inner().until;
    let until = until.map(|text| when::parse(&text, Zone::Said)).transpose();
    let until = until.map_err(|message| ApiError::parameter("until", message))?;
    let message = Explain { jobs: Vec::new(), policy: app.live().policy, as_if: None };
    let explained = app.system.explain.send(message).await;
    let explained = explained.map_err(|_| ApiError::unavailable("the server is stopping"))?;
    Ok(HttpResponse::Ok().json(foretold(&app, &caller, &explained, until).await?))
}

/// What is foretold of a line, as far as somebody sees it.
///
/// # Errors
/// What the database says.
pub async fn foretold(
    app: &App,
    caller: &Caller,
    Explained { line, .. }: &Explained,
    until: Option<Time>,
) -> Result<Forecast, ApiError> {
    let live = app.live();
    let site = &live.site;
    let sizes = sizes(site);
    let gpus = site.inventory.find(GPU).map(|place| site.inventory.cells(place, None));
    let (policy, cells, line) = (live.policy, gpus.unwrap_or(CellSet(0)), line.clone());
    let regions = regions(site);
    let parts: Vec<(u32, Box<[Part]>)> =
        sizes.iter().map(|size| (size.cpus, site.inventory.parts(&size.rest))).collect();
    // Some milliseconds for a long line: not on the thread that answers everybody.
    let told: Outlook = aside(move || {
        let demand = |(cpus, rest): &(u32, Box<[Part]>)| (*cpus, rest.clone());
        let owned: Vec<_> = parts.iter().map(demand).collect();
        let demands: Vec<Demand<'_>> =
            owned.iter().map(|(cpus, rest)| Demand { cpus: *cpus, regions, rest }).collect();
        outlook(policy, &line, (cells, until), &demands)
    })
    .await?;
    let starts = seen_starts(app, caller, &told).await?;
    let has_memory = app.now().total_memory.is_some();
    let free = told.steps.iter().take(STEPS_MAX).map(|step| FreeFrom {
        time: time(step.at),
        cpus: step.cpus,
        memory_bytes: has_memory.then_some(step.memory_bytes),
        gpus: gpus.map(|_| step.gpus),
    });
    let earliest = sizes.iter().zip(&told.openings).filter_map(|(size, opening)| {
        let Opening { start, limit_s } = (*opening)?;
        let (cpus, gpus) = (size.cpus, size.gpus);
        Some(Earliest { cpus, gpus, start_time: start.map(time), limit_s })
    });
    Ok(Forecast {
        time: time(told.now),
        free: free.collect(),
        starts,
        earliest: earliest.collect(),
    })
}

async fn seen_starts(
    app: &App,
    caller: &Caller,
    told: &Outlook,
) -> Result<Vec<ExpectedStart>, ApiError> {
    let sees = caller.who.scope();
    let starts = told.starts.iter().take(STARTS_MAX);
    let jobs: BTreeSet<_> = starts.clone().map(|(job, _)| *job).collect();
    let seen = match sees.own() {
        None => jobs,
        Some(_) => app.read_raw(move |db| db.seen(jobs, &sees)).await?,
    };
    let starts = starts.filter(|(job, _)| seen.contains(job));
    Ok(starts.map(|(job, at)| ExpectedStart { job_id: *job, start_time: time(*at) }).collect())
}

/// A job that somebody might submit, of which no more is said than its size.
struct Size {
    cpus: u32,
    gpus: u64,
    rest: Request,
}

fn sizes(site: &Site) -> Vec<Size> {
    let total = site.partitions.default_one().map_or(site.total_cpus, |one| one.total());
    let gpus = site.inventory.get(GPU).and_then(|gpu| gpu.total()).unwrap_or(0);
    let size = |cpus: u32, gpus: u64| {
        // What the door would give it.
        let memory = site.memory.per_cpu.map_or(0, |each| each.saturating_mul(cpus.into()));
        let rest = Request::default().with(MEMORY, memory).with(GPU, gpus);
        Size { cpus, gpus, rest }
    };
    let powers = std::iter::successors(Some(1_u32), |cpus| cpus.checked_mul(2));
    let of_cpus = powers.take_while(|cpus| *cpus < total).chain([total]);
    let of_gpus = (1..=gpus.min(GPUS_MAX)).map(|gpus| size(1, gpus));
    of_cpus.map(|cpus| size(cpus, 0)).chain(of_gpus).collect()
}

/// Where a job runs that names no partition.
fn regions(site: &Site) -> RegionSet {
    let default = site.partitions.default_one();
    let name = default.map_or(WHOLE, |one| &one.name);
    site.partitions.placement(name).regions
}
