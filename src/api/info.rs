//! *Purpose*: what this server is and can do.
//!
//! *Owns*: `GET /info`.
//!
//! *Promises*: no secret is a value; what does not work here is said.
//!
//! *Not here*: settings (`config`), isolation (`engine`).

use actix_web::{HttpResponse, web};

use super::app::App;
use super::wire::report::Info;
use crate::fault;

/// What is so for as long as the server runs, and what is so now.
fn notes(app: &App, lasting: &[String]) -> Vec<String> {
    let now = app.system.trouble.borrow().note();
    now.into_iter().chain(lasting.iter().cloned()).collect()
}

/// `GET /info`.
#[utoipa::path(get, path = "/api/v1/info", tag = "server",
    description = "The server's version, its settings and where each came from, and what isolation \
        works here.", responses((status = 200, body = Info)))]
pub async fn info(app: web::Data<App>) -> HttpResponse {
    fault::bug(fault::BUG_IN_HANDLER);
    let live = app.live();
    HttpResponse::Ok().json(Info {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        configuration: live.configuration.clone(),
        isolation: app.isolation.clone(),
        notes: notes(&app, &live.notes),
    })
}
