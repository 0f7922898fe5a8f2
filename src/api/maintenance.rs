//! *Purpose*: times in which no job may run.
//!
//! *Owns*: `/maintenance`: list, make, end.
//!
//! *Promises*: what is answered is durable.
//!
//! *Not here*: what a window does (`kernel::commands::maintenance`).

use actix_web::{HttpRequest, HttpResponse, web};

use super::app::{App, durable};
use super::caller::Caller;
use super::code::Code;
use super::error::ApiError;
use super::intake::Body;
use super::job_path::JobPathText;
use super::page::PageQuery;
use super::wire::maintenance::{self, Window, WindowBody};
use crate::actors::messages::{Maintain, Resume};
use crate::clock::{self, rfc3339};
use crate::job::faults::FieldError;
use crate::kernel::access::{Action, Permitted};
use crate::kernel::parts::maintenance::Maintenance;

fn shown(window: &Maintenance) -> Window {
    Window {
        id: window.id,
        start_time: rfc3339(window.start),
        end_time: window.end.map(rfc3339),
        reason: window.reason.to_string(),
        principal: window.principal.to_string(),
        active: window.start <= clock::now(),
    }
}

fn stopping<E>(_: E) -> ApiError {
    ApiError::unavailable("the server is stopping")
}

/// `GET /maintenance`.
#[utoipa::path(get, path = "/api/v1/maintenance", tag = "maintenance",
    description = "Times in which no job may run, those to come included.",
    params(PageQuery), responses((status = 200, body = [Window])))]
pub async fn list(
    app: web::Data<App>,
    request: HttpRequest,
    query: web::Query<PageQuery>,
) -> Result<HttpResponse, ApiError> {
    query.of(&request, &all(&app), |window| window.id.to_string())
}

/// All of them.
#[must_use]
pub fn all(app: &App) -> Vec<Window> {
    app.now().maintenance.iter().map(shown).collect()
}

/// `POST /maintenance`.
#[utoipa::path(post, path = "/api/v1/maintenance", tag = "maintenance",
    description = "Drains the server, or plans a window. What runs already runs on; a job whose \
        time limit would reach into the window waits.",
    request_body = WindowBody,
    responses((status = 201, body = Window), (status = 403, description = "Only administrators",
        body = super::wire::problem::Problem),
        (status = 422, body = super::wire::problem::Problem)))]
pub async fn make(
    app: web::Data<App>,
    caller: Caller,
    Body(body): Body,
) -> Result<HttpResponse, ApiError> {
    let by = caller.may_at_all(Action::Operate, "draining the server")?;
    let asked = maintenance::parse(&body)?;
    let when = (asked.start.unwrap_or_else(clock::now), asked.end);
    let message = Maintain { when, reason: asked.reason.into(), by };
    let made = durable(app.system.maintain.send(message)).await?.map_err(stopping)?;
    match made {
        Ok(window) => Ok(HttpResponse::Created().json(shown(&window))),
        Err(refused) => {
            let error = FieldError::new("end_time", refused.to_string());
            Err(ApiError::fields(&error.into()))
        }
    }
}

/// `DELETE /maintenance`.
#[utoipa::path(delete, path = "/api/v1/maintenance", tag = "maintenance",
    description = "Ends every window that has begun; answers those.",
    responses((status = 200, body = [Window]), (status = 403, description = "Only administrators",
        body = super::wire::problem::Problem)))]
pub async fn resume(app: web::Data<App>, caller: Caller) -> Result<HttpResponse, ApiError> {
    let by = caller.may_at_all(Action::Operate, "resuming the server")?;
    end(&app, by, None).await
}

/// `DELETE /maintenance/{id}`.
#[utoipa::path(delete, path = "/api/v1/maintenance/{id}", tag = "maintenance",
    description = "Ends one window, or takes it back before it begins.",
    params(("id" = i64, Path)),
    responses((status = 200, body = [Window]), (status = 403, description = "Only administrators",
        body = super::wire::problem::Problem),
        (status = 404, body = super::wire::problem::Problem)))]
pub async fn remove(
    app: web::Data<App>,
    caller: Caller,
    id: web::Path<JobPathText>,
) -> Result<HttpResponse, ApiError> {
    let by = caller.may_at_all(Action::Operate, "resuming the server")?;
    let id = id.number()?;
    if !app.now().maintenance.iter().any(|window| window.id == id) {
        let detail = format!("there is no maintenance window {id}");
        return Err(ApiError::new(Code::NoSuchWindow, detail));
    }
    end(&app, by, Some(vec![id])).await
}

async fn end(app: &App, by: Permitted, which: Option<Vec<i64>>) -> Result<HttpResponse, ApiError> {
    let gone = durable(app.system.resume.send(Resume { which, by })).await?.map_err(stopping)?;
    let gone: Vec<Window> = gone.iter().map(shown).collect();
    Ok(HttpResponse::Ok().json(gone))
}
