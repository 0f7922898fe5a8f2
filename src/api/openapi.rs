//! *Purpose*: the OpenAPI document, made from the handlers themselves.
//!
//! *Owns*: `GET /openapi.json`.
//!
//! *Promises*: its paths are exactly those of the route table (a test compares them).
//!
//! *Not here*: the routes (`api::ROUTES`).

use actix_web::HttpResponse;
use utoipa::OpenApi;
use utoipa::openapi::{self, PathItem};

use super::{
    allocations, arrays, attempts, dashboard, events, health, info, jobs, maintenance, partitions,
    rank, seed, streams, submit,
};

/// The old bases of the seed's routes, besides `/api/v1`.
const OLD_BASES: [&str; 2] = ["/api", ""];

#[derive(OpenApi)]
#[openapi(
    info(title = "Downbeat", description = "A batch-job scheduler for one big shared server."),
    paths(
        submit::submit,
        submit::batch,
        jobs::list,
        jobs::show,
        jobs::cancel,
        jobs::cancel_by_post,
        jobs::update,
        jobs::hold,
        jobs::release,
        attempts::requeue,
        attempts::attempts,
        jobs::events,
        jobs::wait,
        arrays::show,
        rank::show,
        streams::script,
        streams::stdout,
        streams::stderr,
        allocations::resources,
        partitions::list,
        allocations::list,
        allocations::audit,
        maintenance::list,
        maintenance::make,
        maintenance::resume,
        maintenance::remove,
        events::stream,
        dashboard::dashboard,
        info::info,
        seed::submit,
        seed::query,
        seed::cancel,
        health::live,
        health::ready,
        health::metrics,
        serve
    )
)]
struct Document;

/// The document.
#[must_use]
pub fn document() -> openapi::OpenApi {
    let mut document = Document::openapi();
    let old: Vec<(String, PathItem)> = document
        .paths
        .paths
        .iter()
        .filter(|(path, _)| is_seed(path))
        .map(|(path, item)| (path.trim_start_matches("/api/v1").to_owned(), item.clone()))
        .collect();
    for (path, item) in old {
        for base in OLD_BASES {
            document.paths.paths.insert(format!("{base}{path}"), item.clone());
        }
    }
    document
}

fn is_seed(path: &str) -> bool {
    ["/jobs/submit", "/jobs/query/{id}", "/jobs/cancel/{id}", "/dashboard"]
        .iter()
        .any(|seed| path.strip_prefix("/api/v1") == Some(seed))
}

/// `GET /openapi.json`.
#[utoipa::path(get, path = "/openapi.json", tag = "server", responses((status = 200)))]
pub async fn serve() -> HttpResponse {
    HttpResponse::Ok().json(document())
}
