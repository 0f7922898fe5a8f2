//! *Purpose*: where a pending job stands in the line.
//!
//! *Owns*: `GET /jobs/{id}/priority`.
//!
//! *Promises*: a job that does not wait has no place: 409.
//!
//! *Not here*: why it waits (`observe::explain`, in the job itself).

use actix_web::{HttpResponse, web};

use super::app::App;
use super::caller::Caller;
use super::code::Code;
use super::error::ApiError;
use super::job_path::{JobPath, JobPathText, row_of};
use super::wire::rank::{Rank, RankParts, RankPolicy};
use crate::actors::messages::GetRank;
use crate::config::people::Private;
use crate::job::array_spec::JobRef;
use crate::kernel::access::Action;

/// `GET /jobs/{id}/priority`.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/priority", tag = "jobs",
    description = "The place of a pending job in the line, and what its points are made of.",
    params(JobPathText),
    responses((status = 200, body = Rank), (status = 404, body = super::wire::problem::Problem),
        (status = 409, description = "It does not wait",
            body = super::wire::problem::Problem)))]
pub async fn show(
    app: web::Data<App>,
    caller: Caller,
    id: JobPath,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(of(&app, &caller, id.named()?).await?))
}

/// The place of a pending job in the line, as far as it is its asker's business.
///
/// # Errors
/// 404, 409 when it does not wait, and what the database says.
pub async fn of(app: &App, caller: &Caller, of: JobRef) -> Result<Rank, ApiError> {
    let ((row, _), _) = row_of(app, caller, Action::See, of).await?;
    let id = row.id;
    let policy = app.live().policy;
    let found = app.system.rank.send(GetRank { job: id, policy }).await;
    let found = found.map_err(|_| ApiError::unavailable("the server is stopping"))?;
    let Some(rank) = found else {
        let word = row.state;
        let detail = format!("job {id} is {word}; only a pending job has a place in the line");
        return Err(ApiError::new(Code::JobState, detail));
    };
    // Of what its account has used, its points would tell.
    let may_know = !app.live().people.is_private(Private::Usage)
        || caller.may(Action::ReadDetails, id.into(), &row).is_ok();
    let parts = RankParts {
        priority: rank.parts.priority,
        partition: rank.parts.partition,
        age: rank.parts.age,
        fair_share: rank.parts.fair_share,
    };
    Ok(Rank {
        job_id: id,
        position: rank.position.map(|n| n as u64),
        points: Some(rank.points).filter(|_| may_know),
        parts: Some(parts).filter(|_| may_know),
        policy: RankPolicy {
            order: policy.order.to_string(),
            value: rank.value.filter(|value| value.is_finite()),
            waited_s: rank.waited_s,
            first_after_s: policy.threshold_s,
        },
    })
}
