//! *Purpose*: the server as Slurm's API tells of nodes, partitions and licences.
//!
//! *Owns*: ping, diag, nodes, partitions, licences, reservations.
//!
//! *Promises*: what this server does not count is left out of `diag`, not invented.
//!
//! *Not here*: the words (`api::wire::slurm::machine`).

use actix_web::{HttpRequest, HttpResponse, web};

use super::query::{Asked, Pairs};
use super::reply::{list_of, ok};
use super::trouble::not_found;
use crate::api::allocations::held_now;
use crate::api::app::App;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::partitions;
use crate::api::wire::slurm::machine::{Machine, licenses, node, partition, ping as pong};
use crate::api::wire::slurm::version::{Fact, field};
use crate::api::wire::slurm::words::seconds;
use crate::clock;
use crate::job::state::StateWord;

/// What the lists of nodes and partitions may be asked with; they are always whole.
const LISTS: [&str; 2] = ["update_time", "flags"];

async fn machine(app: &App, caller: &Caller) -> Result<Machine, ApiError> {
    let now = app.now();
    let active = now.maintenance.iter().find(|window| window.start <= clock::now());
    let drained = active.map(|window| window.reason.to_string());
    let resources = held_now(app, caller).await?;
    Ok(Machine { resources, partitions: partitions::all(app).await?, drained })
}

/// `GET /slurm/…/ping`.
pub async fn ping(
    app: web::Data<App>,
    request: HttpRequest,
    Asked(version): Asked,
) -> Result<HttpResponse, ApiError> {
    Pairs::of(&request)?.only(&[])?;
    Ok(ok(version, pong(&app.host), Vec::new()))
}

/// `GET /slurm/…/diag`.
pub async fn diag(
    app: web::Data<App>,
    request: HttpRequest,
    Asked(version): Asked,
) -> Result<HttpResponse, ApiError> {
    Pairs::of(&request)?.only(&[])?;
    let (now, at) = (app.now(), seconds(clock::now()));
    let running = now.count(StateWord::Running) + now.count(StateWord::Completing);
    let statistics = vec![
        field("req_time", Fact::Time(at)),
        field("job_states_ts", Fact::Time(at)),
        field("jobs_pending", now.count(StateWord::Pending)),
        field("jobs_running", running),
    ];
    Ok(ok(version, vec![field("statistics", Fact::Object(statistics))], Vec::new()))
}

/// `GET /slurm/…/nodes`.
pub async fn nodes(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    Asked(version): Asked,
) -> Result<HttpResponse, ApiError> {
    Pairs::of(&request)?.only(&LISTS)?;
    let machine = machine(&app, &caller).await?;
    Ok(list_of("nodes", version, vec![node(version, &machine)]))
}

/// `GET /slurm/…/node/{name}`.
pub async fn one_node(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    Asked(version): Asked,
) -> Result<HttpResponse, ApiError> {
    Pairs::of(&request)?.only(&LISTS)?;
    let name = request.match_info().get("name").unwrap_or_default();
    let machine = machine(&app, &caller).await?;
    match machine.resources.node == name {
        true => Ok(list_of("nodes", version, vec![node(version, &machine)])),
        false => Ok(not_found(version, "nodes", (2018, "Invalid node name specified"), name)),
    }
}

/// `GET /slurm/…/partitions`.
pub async fn partitions(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    Asked(version): Asked,
) -> Result<HttpResponse, ApiError> {
    Pairs::of(&request)?.only(&LISTS)?;
    let machine = machine(&app, &caller).await?;
    let all = machine.partitions.iter().map(|own| partition(version, &machine, own));
    Ok(list_of("partitions", version, all.collect()))
}

/// `GET /slurm/…/partition/{name}`.
pub async fn one_partition(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    Asked(version): Asked,
) -> Result<HttpResponse, ApiError> {
    Pairs::of(&request)?.only(&LISTS)?;
    let name = request.match_info().get("name").unwrap_or_default();
    let machine = machine(&app, &caller).await?;
    let known = (2000, "Invalid partition name specified");
    match machine.partitions.iter().find(|own| own.name == name) {
        Some(own) => Ok(list_of("partitions", version, vec![partition(version, &machine, own)])),
        None => Ok(not_found(version, "partitions", known, name)),
    }
}

/// `GET /slurm/…/licenses`.
pub async fn counted_licenses(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Caller,
    Asked(version): Asked,
) -> Result<HttpResponse, ApiError> {
    Pairs::of(&request)?.only(&[])?;
    let resources = held_now(&app, &caller).await?;
    Ok(list_of("licenses", version, licenses(version, &resources)))
}

/// `GET /slurm/…/reservations`: there are none.
pub async fn reservations(
    request: HttpRequest,
    Asked(version): Asked,
) -> Result<HttpResponse, ApiError> {
    Pairs::of(&request)?.only(&["update_time"])?;
    Ok(list_of("reservations", version, Vec::new()))
}
