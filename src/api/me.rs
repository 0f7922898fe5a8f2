//! *Purpose*: whom the server takes somebody for.
//!
//! *Owns*: `GET /me`.
//!
//! *Promises*: the answer is made of what the guard found, and of nothing that was asked.
//!
//! *Not here*: how it is found out (`api::caller`, `api::auth`).

use actix_web::{HttpRequest, HttpResponse, web};

use super::auth::Auth;
use super::caller::Caller;
use super::wire::me::{Me, Role};

/// `GET /me`.
#[utoipa::path(get, path = "/api/v1/me", tag = "server",
    description = "Whom the server takes you for, how it knows, and what you may do.",
    responses((status = 200, body = Me)))]
pub async fn me(request: HttpRequest, auth: web::Data<Auth>, caller: Caller) -> HttpResponse {
    let role = if auth.is_admin(request.headers()) { Role::Admin } else { Role::User };
    let Caller { name, uid, via } = caller;
    HttpResponse::Ok().json(Me { user: name.to_string(), uid, role, via })
}
