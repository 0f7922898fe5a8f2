//! *Purpose*: what this server is and can do.
//!
//! *Owns*: `GET /info`.
//!
//! *Promises*: no secret is a value; what does not work here is said; on a server of all users
//! nobody but operators reads names of users.
//!
//! *Not here*: settings (`config`), isolation (`engine`).

use actix_web::{HttpResponse, web};

use super::app::App;
use super::caller::Caller;
use super::wire::report::Info;
use crate::clock::rfc3339;
use crate::fault;

/// Settings that name users, between parentheses.
const OF_PEOPLE: [&str; 3] = ["account", "people", "user"];
/// What the others read.
const FOR_OPERATORS: &str = "shown to operators";

/// What is so for as long as the server runs, and what is so now.
fn notes(app: &App, lasting: &[String]) -> Vec<String> {
    let now = app.system.trouble.borrow().note();
    now.into_iter().chain(lasting.iter().cloned()).collect()
}

/// `GET /info`.
#[utoipa::path(get, path = "/api/v1/info", tag = "server",
    description = "The server's version, its settings and where each came from, what isolation \
        works here, how long it has run and what its database takes. Where all users are served, \
        settings that name users are shown to operators.",
    responses((status = 200, body = Info)))]
pub async fn info(app: web::Data<App>, caller: Caller) -> HttpResponse {
    fault::bug(fault::BUG_IN_HANDLER);
    HttpResponse::Ok().json(of(&app, &caller).await)
}

/// The same as a value.
pub async fn of(app: &App, caller: &Caller) -> Info {
    let live = app.live();
    let mut configuration = live.configuration.clone();
    if caller.limited().is_some() {
        for (name, setting) in &mut configuration {
            if OF_PEOPLE.contains(&name.as_str()) && setting.value.contains('(') {
                FOR_OPERATORS.clone_into(&mut setting.value);
            }
        }
    }
    let disk = app.upkeep.disk().await;
    Info {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        configuration,
        isolation: app.isolation.clone(),
        notes: notes(app, &live.notes),
        host: app.host.clone(),
        start_time: rfc3339(app.upkeep.start),
        uptime_s: app.upkeep.uptime_s(),
        database_bytes: disk.database_bytes,
        free_bytes: disk.free_bytes,
    }
}
