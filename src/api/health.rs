//! *Purpose*: what machines ask: alive, ready, numbers.
//!
//! *Owns*: `/health/live`, `/health/ready`, `/metrics`.
//!
//! *Promises*: ready means that one resource manager lives and the database can be read.
//!
//! *Not here*: the numbers (`observe::metrics`).

use std::sync::atomic::Ordering;

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::app::App;
use super::error::ApiError;
use crate::store::read;

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
    app.read(|conn| read::key(conn, "")).await?;
    Ok(HttpResponse::Ok().json(json!({"status": "ready"})))
}

/// `GET /metrics`.
#[utoipa::path(get, path = "/metrics", tag = "server",
    responses((status = 200, content_type = "application/openmetrics-text", body = String)))]
pub async fn metrics(app: web::Data<App>) -> Result<HttpResponse, ApiError> {
    let text = app.system.metrics.text(&app.now());
    let text = text.map_err(|e| ApiError::unavailable(e.to_string()))?;
    Ok(HttpResponse::Ok().content_type(OPENMETRICS).body(text))
}
