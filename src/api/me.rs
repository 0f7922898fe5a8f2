//! *Purpose*: whom the server takes somebody for.
//!
//! *Owns*: `GET /me`.
//!
//! *Promises*: the answer is made of what the guard found, and of nothing that was asked.
//!
//! *Not here*: how it is found out (`api::caller`, `api::auth`).

use actix_web::HttpResponse;

use super::caller::Caller;
use super::wire::me::Me;

/// `GET /me`.
#[utoipa::path(get, path = "/api/v1/me", tag = "server",
    description = "Whom the server takes you for, how it knows, and what you may do.",
    responses((status = 200, body = Me)))]
pub async fn me(Caller { who: caller, .. }: Caller) -> HttpResponse {
    HttpResponse::Ok().json(Me {
        user: caller.name.to_string(),
        uid: caller.uid.map(|uid| uid.0),
        role: caller.role,
        via: caller.via,
    })
}
