//! *Purpose*: who asked for what.
//!
//! *Owns*: `GET /history`.
//!
//! *Promises*: what stands there is durable, and so is what it changed.
//!
//! *Not here*: noting it (`actors::resource_manager`), transitions (`api::events`).

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::app::App;
use super::caller::Caller;
use super::error::ApiError;
use super::page;
use super::wire::history::HistoryEntry;
use crate::clock::rfc3339;
use crate::job::ids::JobId;
use crate::store::history::{AskedFilter, AskedRecord};

/// Entries of a page that names no limit.
const PAGE: i64 = 100;

/// Query of `history`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// Of this user.
    user: Option<String>,
    /// About this job.
    job: Option<i64>,
    /// 1 to 1000, default 100. Where there is more, a header `Link` with `rel="next"` leads there.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
    /// Goes on behind an entry, as `Link` says it.
    cursor: Option<String>,
}

/// `GET /history`.
#[utoipa::path(get, path = "/api/v1/history", tag = "server", params(HistoryQuery),
    description = "Requests that changed something, newest first: who, from where, and what for. \
        They are kept as long as jobs. On a server of all users it is for operators.",
    responses((status = 200, body = [HistoryEntry]), (status = 403,
        body = super::wire::problem::Problem)))]
pub async fn history(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    query: web::Query<HistoryQuery>,
) -> Result<HttpResponse, ApiError> {
    caller.may_know_the_server()?;
    let HistoryQuery { user, job, limit, cursor } = query.into_inner();
    let (limit, before) = (page::limit(limit, PAGE)?, page::number(cursor.as_deref())?);
    let filter = AskedFilter { user, job: job.map(JobId), before, limit };
    let entries = found(&app, &caller, filter).await?;
    let next = entries.last().filter(|_| entries.len() as i64 == limit);
    Ok(page::answer(&request, &entries, next.map(|entry| entry.id.to_string())))
}

/// The newest, at most so many.
///
/// # Errors
/// 403, and what the database says.
pub async fn newest(app: &App, caller: &Caller, limit: i64) -> Result<Vec<HistoryEntry>, ApiError> {
    found(app, caller, AskedFilter { user: None, job: None, before: None, limit }).await
}

async fn found(
    app: &App,
    caller: &Caller,
    filter: AskedFilter,
) -> Result<Vec<HistoryEntry>, ApiError> {
    caller.may_know_the_server()?;
    let found = app.read_raw(move |db| db.asked(&filter)).await?;
    Ok(found.into_iter().map(entry).collect())
}

fn entry(of: AskedRecord) -> HistoryEntry {
    HistoryEntry {
        id: of.id,
        time: rfc3339(of.time),
        user: of.name,
        uid: of.uid.map(|uid| uid.0),
        role: of.role,
        via: of.via,
        token: of.token,
        process_id: of.process,
        remote: of.remote,
        request_id: of.request,
        verb: of.verb,
        job_id: of.target,
        count: of.count,
        detail: of.detail,
    }
}
