//! *Purpose*: whom the server takes somebody for, and what he may have.
//!
//! *Owns*: `GET /me`.
//!
//! *Promises*: the answer is made of what the guard found and the kernel counts, and of nothing
//! that was asked.
//!
//! *Not here*: how it is found out (`api::caller`, `api::auth`), counting
//! (`kernel::views::limits`).

use std::sync::Arc;

use actix_web::{HttpResponse, web};

use super::app::App;
use super::caller::Caller;
use super::error::ApiError;
use super::wire::me::{Allowance, Limits, Me};
use crate::actors::messages::GetStanding;
use crate::kernel::views::limits::Standing;

/// `GET /me`.
#[utoipa::path(get, path = "/api/v1/me", tag = "server",
    description = "Whom the server takes you for, how it knows, what you may do and have.",
    responses((status = 200, body = Me)))]
pub async fn me(app: web::Data<App>, caller: Caller) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(of(&app, caller).await?))
}

/// Whom the server takes somebody for.
///
/// # Errors
/// When the server is stopping.
pub async fn of(app: &App, caller: Caller) -> Result<Me, ApiError> {
    let Caller { who, person } = caller;
    let mut me = Me {
        user: who.name.to_string(),
        uid: who.uid.map(|uid| uid.0),
        role: who.role,
        via: who.via,
        groups: Vec::new(),
        coordinates: who.coordinates.iter().map(ToString::to_string).collect(),
        limits: None,
    };
    if let Some(person) = person {
        me.groups = app.live().people.groups_that_count(&person);
        let asked = app.system.standing.send(GetStanding { user: Arc::clone(&who.name) });
        let standing = asked.await.map_err(|_| ApiError::unavailable("the server is stopping"))?;
        me.limits = Some(limits(&standing));
    }
    Ok(me)
}

fn limits(Standing { rule, running_cpus, running_jobs, waiting }: &Standing) -> Limits {
    let of = |used: u64, max: Option<u64>| Allowance { used, max };
    Limits {
        running_cpus: of((*running_cpus).into(), rule.max_running_cpus.map(u64::from)),
        running_jobs: of((*running_jobs).into(), rule.max_running_jobs.map(u64::from)),
        queued_jobs: of(waiting.jobs, rule.max_queued_jobs.map(u64::from)),
        queued_bytes: of(waiting.bytes, rule.max_queued_bytes),
        running: rule.max_running.iter().map(|(name, max)| (name.to_string(), max)).collect(),
    }
}
