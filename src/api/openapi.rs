//! *Purpose*: the OpenAPI document, made from the handlers themselves.
//!
//! *Owns*: `GET /openapi.json`.
//!
//! *Promises*: its paths are exactly those of the route table (a test compares them); errors are
//! documented with their own media type, and who may ask.
//!
//! *Not here*: the routes (`api::ROUTES`).

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{self, ContentBuilder, PathItem, Ref, RefOr, ResponseBuilder};

use super::wire::problem::PROBLEM_JSON;
use super::{
    allocations, arrays, attempts, dashboard, events, health, info, jobs, maintenance, partitions,
    rank, seed, streams, submit,
};

/// The name of the one way to say who one is.
const BEARER: &str = "bearer";
/// What any request may be answered, except of one's health.
const REFUSALS: [(&str, &str); 2] = [
    ("401", "A token is set, and the request did not send it"),
    ("403", "Not for whoever asks, or a foreign web page may have caused it"),
];

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
    let mut ids: BTreeMap<String, u32> = BTreeMap::new();
    for (path, item) in &mut document.paths.paths {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            complete(path, operation);
            let known = ids.entry(operation.operation_id.clone().unwrap_or_default()).or_insert(0);
            *known += 1;
            if *known > 1 {
                let id = operation.operation_id.take().unwrap_or_default();
                operation.operation_id = Some(format!("{id}_{known}"));
            }
        }
    }
    let bearer = Http::builder().scheme(HttpAuthScheme::Bearer);
    let bearer = bearer.description(Some("The token; without one the server serves its own user."));
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer.build()));
    document
}

/// Says of an operation what holds of all: its errors are problems, and who may ask.
fn complete(path: &str, operation: &mut Operation) {
    let answers = &mut operation.responses.responses;
    if !path.starts_with("/health/") {
        for (status, what) in REFUSALS {
            let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
            let content = ContentBuilder::new().schema(Some(schema)).build();
            let refusal = ResponseBuilder::new().description(what).content(PROBLEM_JSON, content);
            answers.entry(status.to_owned()).or_insert_with(|| refusal.build().into());
        }
        let nobody = SecurityRequirement::default();
        let scopes: [&str; 0] = [];
        operation.security = Some(vec![nobody, SecurityRequirement::new(BEARER, scopes)]);
    }
    for (status, answer) in answers {
        let RefOr::T(answer) = answer else { continue };
        if answer.description.is_empty() {
            let code = status.parse().ok().and_then(|code| StatusCode::from_u16(code).ok());
            let reason = code.and_then(|code| code.canonical_reason());
            answer.description = reason.unwrap_or("What went wrong").to_owned();
        }
        if status.starts_with(['4', '5'])
            && let Some(content) = answer.content.shift_remove("application/json")
        {
            answer.content.insert(PROBLEM_JSON.to_owned(), content);
        }
    }
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
