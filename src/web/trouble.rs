//! *Purpose*: errors for people who look by a browser.
//!
//! *Owns*: [`for_browsers`], the page of an error.
//!
//! *Promises*: what a page says of an error is what the API says of it, with the same status and
//! headers; whoever does not ask for HTML, and every route of an API, gets `problem+json`.
//!
//! *Not here*: what is an error (`api::error`).

use actix_web::body::{self, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::ErrorInternalServerError;
use actix_web::http::header::{self, Accept, Header, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, web};
use askama::Template;

use super::page::HTML;
use super::shell::Shell;
use crate::api::App;
use crate::api::reads::Caller;
use crate::api::wire::problem::{PROBLEM_JSON, Problem};

/// What is asked by programs only.
const OF_PROGRAMS: [&str; 8] =
    ["/api", "/slurm", "/slurmdb", "/metrics", "/health", "/openapi.json", "/assets", "/live"];

/// The page of an error.
#[derive(Template)]
#[template(path = "trouble.html")]
struct Trouble {
    shell: Shell,
    head: &'static str,
    problem: Problem,
}

/// Makes pages of errors, where a browser asked for a page.
///
/// # Errors
/// Those of the handler.
pub async fn for_browsers(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_asked = wants_a_page(&request);
    let answer = next.call(request).await?.map_into_boxed_body();
    let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !is_asked || kind != Some(PROBLEM_JSON) {
        return Ok(answer);
    }
    let (request, answer) = answer.into_parts();
    let (mut head, said) = answer.into_parts();
    let said =
        body::to_bytes(said).await.map_err(|error| ErrorInternalServerError(error.to_string()))?;
    match drawn(&request, &said) {
        Some(html) => {
            let kind = HeaderValue::from_static(HTML);
            head.headers_mut().insert(header::CONTENT_TYPE, kind);
            Ok(ServiceResponse::new(request, head.set_body(BoxBody::new(html))))
        }
        None => Ok(ServiceResponse::new(request, head.set_body(BoxBody::new(said)))),
    }
}

fn wants_a_page(request: &ServiceRequest) -> bool {
    let path = request.path();
    let is_in = |root: &str| {
        path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let takes = || {
        let accept = Accept::parse(request).map(|accept| accept.0).unwrap_or_default();
        accept.iter().any(|one| one.item.essence_str() == "text/html")
    };
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    looks && !OF_PROGRAMS.iter().any(|root| is_in(root)) && takes()
}

fn drawn(request: &HttpRequest, said: &[u8]) -> Option<String> {
    let problem: Problem = serde_json::from_slice(said).ok()?;
    let app = request.app_data::<web::Data<App>>()?;
    let head = match StatusCode::from_u16(problem.status).ok()? {
        StatusCode::NOT_FOUND => "There is no such page",
        StatusCode::UNAUTHORIZED => "Who are you?",
        StatusCode::FORBIDDEN => "This is not shown to you",
        StatusCode::SERVICE_UNAVAILABLE => "Not now",
        status if status.is_server_error() => "This went wrong",
        _ => "This is no page",
    };
    let caller = Caller::of(request).ok();
    let shell = Shell::new(app, caller.as_ref(), request.path(), head).still();
    Trouble { shell, head, problem }.render().ok()
}
