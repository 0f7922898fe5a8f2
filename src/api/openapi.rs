//! *Purpose*: the OpenAPI document, made from the handlers themselves.
//!
//! *Owns*: `GET /openapi.json`.
//!
//! *Promises*: its paths are exactly those of the route table (a test compares them); errors are
//! documented with their own media type, and who may ask. The id of an operation is made of its
//! method and path, so that it stays when others come.
//!
//! *Not here*: the routes (`api::ROUTES`).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{self, ContentBuilder, Deprecated, PathItem, Ref, RefOr, ResponseBuilder};

use super::wire::problem::PROBLEM_JSON;
use super::{
    accounts, allocations, arrays, attempts, bulk, dashboard, dependents, edit, efficiency, events,
    forecast, health, history, info, job_usage, jobs, maintenance, me, overview, partitions, rank,
    samples, seed, signal, steps, streams, submit, suspend, tokens, usage, web_login,
};

/// The name of the one way to say who one is.
const BEARER: &str = "bearer";
/// What any request may be answered, except of one's health.
const REFUSALS: [(&str, &str); 4] = [
    ("401", "A token is set, and the request did not send it"),
    ("403", "Not for whoever asks, or a foreign web page may have caused it"),
    ("429", "Whoever asks asks too often; `Retry-After` says when to come back"),
    (OTHERWISE, "Any other problem; `code` says which"),
];
/// What any request with a body may be answered too.
const REFUSALS_OF_BODIES: [(&str, &str); 4] = [
    ("400", "The body, a parameter or a header cannot be read"),
    ("413", "The body is too large, or unpacks to what is"),
    ("415", "The body is not `application/json`, or packed otherwise than by gzip"),
    ("422", "Fields are wrong or unknown; `errors` names them"),
];
/// The answer that stands for all that are not named.
const OTHERWISE: &str = "default";

/// The base of all but a few routes.
const BASE: &str = "/api/v1";
/// The old bases of the seed's routes, besides `/api/v1`.
const OLD_BASES: [&str; 2] = ["/api", ""];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Downbeat",
        description = "A batch-job scheduler for one big shared server. Problems are of \
        RFC 9457, and their `code` is for programs. Bodies may come packed by gzip. A \
        parameter or a field that is not documented is refused."
    ),
    components(schemas(super::log_events::Encoding, super::wire::job::StreamEnd)),
    paths(
        submit::submit,
        submit::batch,
        jobs::list,
        jobs::show,
        jobs::cancel,
        jobs::cancel_by_post,
        edit::update,
        edit::hold,
        edit::release,
        attempts::requeue,
        bulk::cancel,
        bulk::hold,
        bulk::release,
        signal::signal,
        suspend::suspend,
        suspend::unsuspend,
        steps::tell,
        steps::list,
        attempts::attempts,
        jobs::events,
        job_usage::usage,
        efficiency::efficiency,
        jobs::wait,
        arrays::show,
        rank::show,
        dependents::list,
        streams::script,
        streams::stdout,
        streams::stderr,
        allocations::resources,
        partitions::list,
        allocations::list,
        allocations::audit,
        forecast::forecast,
        history::history,
        usage::usage,
        samples::samples,
        accounts::list,
        tokens::list,
        tokens::make,
        tokens::revoke,
        web_login::make,
        web_login::exchange,
        web_login::end,
        maintenance::list,
        maintenance::make,
        maintenance::resume,
        maintenance::remove,
        events::stream,
        dashboard::dashboard,
        info::info,
        me::me,
        overview::overview,
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
        .map(|(path, item)| (path.trim_start_matches(BASE).to_owned(), item.clone()))
        .collect();
    for (path, item) in old {
        for base in OLD_BASES {
            document.paths.paths.insert(format!("{base}{path}"), item.clone());
        }
    }
    for (path, item) in &mut document.paths.paths {
        let operations = [
            ("get", &mut item.get),
            ("post", &mut item.post),
            ("put", &mut item.put),
            ("patch", &mut item.patch),
            ("delete", &mut item.delete),
        ];
        for (method, operation) in operations {
            let Some(operation) = operation else { continue };
            operation.operation_id = Some(id_of(method, path));
            operation.deprecated = is_old(path).then_some(Deprecated::True);
            complete(path, operation);
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
        let of_bodies = REFUSALS_OF_BODIES.iter().filter(|_| operation.request_body.is_some());
        for (status, what) in REFUSALS.iter().chain(of_bodies).copied() {
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
        if (status.starts_with(['4', '5']) || status == OTHERWISE)
            && let Some(content) = answer.content.shift_remove("application/json")
        {
            answer.content.insert(PROBLEM_JSON.to_owned(), content);
        }
    }
}

/// `get_jobs_id_events` for `GET /api/v1/jobs/{id}/events`. Outside of the base the path stands
/// whole, behind a word that no path of the base begins with.
fn id_of(method: &str, path: &str) -> String {
    let inside = path.strip_prefix(BASE);
    let words = inside.unwrap_or(path).split(['/', '{', '}', '.']);
    let words = words.filter(|word| !word.is_empty());
    let outside = inside.is_none().then_some("root");
    let all: Vec<&str> = [method].into_iter().chain(outside).chain(words).collect();
    all.join("_")
}

/// Whether a path is there for clients of the system before, which another route serves better.
fn is_old(path: &str) -> bool {
    let of_seed =
        |base: &str| path.strip_prefix(base).is_some_and(|rest| is_seed(&format!("{BASE}{rest}")));
    let dashboard = path.strip_prefix(BASE) == Some("/dashboard");
    !dashboard && (of_seed(BASE) || OLD_BASES.into_iter().any(of_seed))
}

fn is_seed(path: &str) -> bool {
    ["/jobs/submit", "/jobs/query/{id}", "/jobs/cancel/{id}", "/dashboard"]
        .iter()
        .any(|seed| path.strip_prefix(BASE) == Some(seed))
}

/// `GET /openapi.json`.
#[utoipa::path(get, path = "/openapi.json", tag = "server",
    description = "This document.", responses((status = 200)))]
pub async fn serve() -> HttpResponse {
    HttpResponse::Ok().json(document())
}
