//! *Purpose*: what machines ask: alive, ready, numbers.
//!
//! *Owns*: `/health/live`, `/health/ready`, `/metrics`.
//!
//! *Promises*: ready means that one resource manager lives, that it and the writer move, and that
//! the database can be read; whichever does not is named within seconds.
//!
//! *Not here*: the numbers (`observe::metrics`).

use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::app::App;
use super::error::ApiError;
use crate::actors::messages::Move;
use crate::store::read;

/// How long each part of the server may take to show that it moves: a commit on a slow disk.
const MOVES_WITHIN: Duration = Duration::from_secs(2);
/// The media type of OpenMetrics text.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /health/live`.
#[utoipa::path(get, path = "/health/live", tag = "server", responses((status = 200)))]
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "live"}))
}

/// `GET /health/ready`.
#[utoipa::path(get, path = "/health/ready", tag = "server",
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
    moves("the database", app.read(|conn| read::key(conn, ""))).await??;
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
    responses((status = 200, content_type = "application/openmetrics-text", body = String)))]
pub async fn metrics(app: web::Data<App>) -> Result<HttpResponse, ApiError> {
    let text = app.system.metrics.text(&app.now());
    let text = text.map_err(|e| ApiError::unavailable(e.to_string()))?;
    Ok(HttpResponse::Ok().content_type(OPENMETRICS).body(text))
}
