//! *Purpose*: what machines ask: alive, ready, numbers.
//!
//! *Owns*: `/health/live`, `/health/ready`, `/metrics`.
//!
//! *Promises*: numbers come in the form that is asked for; ready means that one resource manager
//! lives, that it and the writer move, and that the database can be read; whichever does not is
//! named within seconds.
//!
//! *Not here*: the numbers (`observe::metrics`).

use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::http::header::{self, Accept, Header, Quality, QualityItem};
use actix_web::mime::Mime;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::app::App;
use super::caller::Caller;
use super::error::ApiError;
use crate::actors::messages::Move;
use crate::config::people::Private;
use crate::kernel::access::Role;
use crate::observe::metrics::Exposition;

/// How long each part of the server may take to show that it moves: a commit on a slow disk.
const MOVES_WITHIN: Duration = Duration::from_secs(2);
/// The media type of OpenMetrics text.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The media type of Prometheus text.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /health/live`.
#[utoipa::path(get, path = "/health/live", tag = "server",
    description = "Answers as long as the server does. No token is needed.",
    responses((status = 200)))]
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "live"}))
}

/// `GET /health/ready`.
#[utoipa::path(get, path = "/health/ready", tag = "server",
    description = "Whether the server can take and run jobs; if not, which part of it does not \
        move. No token is needed.",
    responses((status = 200), (status = 503, body = super::wire::problem::Problem)))]
pub async fn ready(app: web::Data<App>) -> Result<HttpResponse, ApiError> {
    let managers = app.system.metrics.resource_managers.load(Ordering::SeqCst);
    if managers != 1 {
        return Err(ApiError::unavailable(format!(
            "{managers} resource managers; there must be 1"
        )));
    }
    let stopping = |_| ApiError::unavailable("the server is stopping");
    let manager = moves("the resource manager", app.system.manager_moves.send(Move)).await?;
    manager.map_err(stopping)?;
    let writer = moves("the writer of the database", app.system.writer_moves.send(Move)).await?;
    writer.map_err(stopping)?;
    moves("the database", app.read(|db| db.key(""))).await??;
    Ok(HttpResponse::Ok().json(json!({"status": "ready"})))
}

/// What somebody answers, if he does so in time.
async fn moves<T>(who: &str, answer: impl Future<Output = T>) -> Result<T, ApiError> {
    let late = |_| {
        let seconds = MOVES_WITHIN.as_secs();
        ApiError::unavailable(format!("{who} has not answered for {seconds} s"))
    };
    actix_rt::time::timeout(MOVES_WITHIN, answer).await.map_err(late)
}

/// `GET /metrics`.
#[utoipa::path(get, path = "/metrics", tag = "server",
    description = "Numbers for Prometheus. `Accept` chooses between Prometheus text 0.0.4, which \
        is sent to whoever does not choose, and OpenMetrics text 1.0.0. What accounts have used \
        since the server started is left out where usage is private, but for operators.",
    responses((status = 200, description = "The numbers", content(
        (String = "text/plain"), (String = "application/openmetrics-text")))))]
pub async fn metrics(app: web::Data<App>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    // What cannot be read chooses nothing.
    let accept = Accept::parse(&request).map(|accept| accept.0).unwrap_or_default();
    let (form, kind) = match wants_openmetrics(&accept) {
        true => (Exposition::OpenMetrics, OPENMETRICS),
        false => (Exposition::Prometheus, PROMETHEUS),
    };
    let sees_all = Caller::of(&request).is_ok_and(|caller| caller.who.role >= Role::Operator);
    let accounts = sees_all || !app.live().people.is_private(Private::Usage);
    let text = app.system.metrics.text(&app.now(), form, accounts);
    let text = text.map_err(|e| ApiError::unavailable(e.to_string()))?;
    let vary = (header::VARY, "Accept");
    Ok(HttpResponse::Ok().content_type(kind).insert_header(vary).body(text))
}

/// Whether OpenMetrics is wanted more than what everybody reads, or as much and by name.
fn wants_openmetrics(accept: &[QualityItem<Mime>]) -> bool {
    let wish = |kind: &str, group: &str, versions: &[&str]| {
        let is_ours = |range: &Mime| {
            let version = range.get_param("version");
            version.is_none_or(|version| versions.contains(&version.as_str()))
        };
        let named = accept.iter().filter(|one| one.item.essence_str() == kind);
        let named = named.filter(|one| is_ours(&one.item)).map(|one| one.quality).max();
        let by = |name: &str| accept.iter().find(|one| one.item.essence_str() == name);
        let ranged = || by(group).or_else(|| by("*/*")).map(|one| one.quality);
        let quality = named.or_else(ranged).unwrap_or(Quality::ZERO);
        (quality, named.is_some())
    };
    let open = wish("application/openmetrics-text", "application/*", &["1.0.0", "0.0.1"]);
    let text = wish("text/plain", "text/*", &["0.0.4"]);
    open.0 > Quality::ZERO && open > text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn wants(accept: &str) -> bool {
        let request = TestRequest::default().insert_header((header::ACCEPT, accept));
        wants_openmetrics(&Accept::parse(&request.to_http_request()).unwrap().0)
    }

    #[test]
    fn openmetrics_is_for_whoever_asks_for_it_and_for_nobody_else() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,\
            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for open in [
            prometheus,
            "application/openmetrics-text",
            "application/openmetrics-text, */*",
            "text/plain;q=0.1, application/openmetrics-text;q=0.9",
        ] {
            assert!(wants(open), "{open}");
        }
        for text in [
            "*/*",
            "text/plain;version=0.0.4",
            "text/html, */*;q=0.8",
            "application/json",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;version=2.0.0, text/plain",
            "application/openmetrics-text;q=0.3, text/plain;version=0.0.4;q=0.6",
            "text/plain, application/openmetrics-text",
            "application/*;q=0.5, text/plain;q=0.5",
        ] {
            assert!(!wants(text), "{text}");
        }
    }
}
