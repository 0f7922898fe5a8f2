//! *Purpose*: many jobs in one request.
//!
//! *Owns*: `POST /jobs/cancel`, `/jobs/hold` and `/jobs/release`.
//!
//! *Promises*: each job is answered for as if it had been asked for alone, in the order of the
//! request; one that cannot be done keeps no other from being done.
//!
//! *Not here*: what is done with each (`api::jobs`, `api::edit`), the body (`api::wire::bulk`).

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream::{self, StreamExt};

use super::app::App;
use super::caller::Caller;
use super::edit;
use super::error::{ApiError, RequestId};
use super::intake::Body;
use super::jobs::cancel_one;
use super::wire::bulk::{BulkAnswers, BulkBody, BulkResult, parse};
use crate::job::array_spec::JobRef;

/// Jobs of one request that are under way at a time: their changes share commits, and one request
/// does not fill the mailbox of the resource manager.
const AT_A_TIME: usize = 64;

/// What is done with each.
#[derive(Clone, Copy)]
enum What {
    Cancel,
    Hold,
    Release,
}

/// `POST /jobs/cancel`.
#[utoipa::path(post, path = "/api/v1/jobs/cancel", tag = "jobs",
    description = "Cancels many jobs, at most 1,000. Each is answered for by itself, in order.",
    request_body = BulkBody,
    responses((status = 200, description = "Look at each `status`", body = BulkAnswers),
        (status = 422, body = super::wire::problem::Problem)))]
pub async fn cancel(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    Body(body): Body,
) -> Result<HttpResponse, ApiError> {
    each(&app, (&request, &caller), &body, What::Cancel).await
}

/// `POST /jobs/hold`.
#[utoipa::path(post, path = "/api/v1/jobs/hold", tag = "jobs",
    description = "Holds many pending jobs, at most 1,000. Each is answered for by itself, in \
        order.",
    request_body = BulkBody,
    responses((status = 200, description = "Look at each `status`", body = BulkAnswers),
        (status = 422, body = super::wire::problem::Problem)))]
pub async fn hold(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    Body(body): Body,
) -> Result<HttpResponse, ApiError> {
    each(&app, (&request, &caller), &body, What::Hold).await
}

/// `POST /jobs/release`.
#[utoipa::path(post, path = "/api/v1/jobs/release", tag = "jobs",
    description = "Releases many held jobs, at most 1,000. Each is answered for by itself, in \
        order.",
    request_body = BulkBody,
    responses((status = 200, description = "Look at each `status`", body = BulkAnswers),
        (status = 422, body = super::wire::problem::Problem)))]
pub async fn release(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    Body(body): Body,
) -> Result<HttpResponse, ApiError> {
    each(&app, (&request, &caller), &body, What::Release).await
}

async fn each(
    app: &App,
    (request, caller): (&HttpRequest, &Caller),
    body: &[u8],
    what: What,
) -> Result<HttpResponse, ApiError> {
    let ids = parse(body)?;
    let request_id = RequestId::of(request);
    let answered = stream::iter(ids).map(|id| {
        let request_id = &request_id;
        async move {
            let problem = one(app, caller, id, what).await.err();
            BulkResult {
                id: id.to_string(),
                status: problem.as_ref().map_or(200, |problem| problem.status.as_u16()),
                problem: problem.map(|problem| problem.problem(request_id)),
            }
        }
    });
    let results: Vec<BulkResult> = answered.buffered(AT_A_TIME).collect().await;
    let refused = results.iter().filter(|result| result.problem.is_some()).count();
    Ok(HttpResponse::Ok().json(BulkAnswers { results, refused }))
}

async fn one(app: &App, caller: &Caller, id: JobRef, what: What) -> Result<(), ApiError> {
    match what {
        What::Cancel => cancel_one(app, caller, id).await.map(drop),
        What::Hold => edit::set_held(app, caller, id, true).await.map(drop),
        What::Release => edit::set_held(app, caller, id, false).await.map(drop),
    }
}
