//! *Purpose*: speaks: HTTP in, messages out, snapshots and rows back.
//!
//! *Owns*: the route table, and [`App`], what every handler may reach.
//!
//! *Promises*: every route is in [`ROUTES`] and says there what whoever asks must be allowed to do;
//! all but those of Slurm's API, which has documents of its own, are in the OpenAPI document, and
//! their errors are `application/problem+json`; no answer leaves before the snapshot has reached
//! its commit.
//!
//! *Not here*: JSON types (`api::wire`), the kernel's state (ask by message).

mod accounts;
mod allocations;
pub mod app;
mod arrays;
mod aside;
mod attempts;
mod auth;
mod bulk;
mod by_token;
mod caller;
mod code;
mod coding;
mod crowd;
mod cursor;
mod dashboard;
mod dependents;
mod edit;
mod efficiency;
pub mod error;
mod events;
mod file_watch;
mod files;
mod forecast;
mod health;
mod history;
mod info;
mod intake;
mod job_filter;
mod job_line;
mod job_path;
mod job_usage;
mod job_words;
mod jobs;
mod let_in;
mod live;
mod load;
mod log_events;
mod log_stream;
mod maintenance;
mod me;
mod openapi;
mod opener;
mod overview;
mod owner;
mod page;
mod parameters;
mod partitions;
mod per_user;
mod places;
mod rank;
pub mod reads;
mod refusals;
mod render;
mod route_rights;
mod safe_headers;
mod samples;
mod seed;
mod served;
mod signal;
mod slurmrest;
mod steps;
mod streams;
mod submit;
mod suspend;
mod tail;
mod tokens;
mod upkeep;
mod usage;
mod web_caller;
mod web_login;
mod web_sessions;
pub mod wire;

use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse, Route, guard as guards, web};

pub use app::App;
pub use auth::{Auth, guard};
pub use by_token::TokenCheck;
pub use caller::connected;
use code::Code;
pub use crowd::Crowd;
pub use file_watch::{FileWatcher, LOOK_EVERY};
pub use files::Files;
pub use intake::Intake;
pub use live::{InForce, Live};
pub use openapi::document;
pub use opener::{NotOpen, OwnersFiles};
pub use parameters::Parameters;
pub use places::{Room, STREAMS_MAX};
pub use refusals::Refusals;
pub use route_rights::{Needs, RouteRights};
pub use served::Served;
pub use upkeep::Upkeep;
pub use web_sessions::WebSessions;

use crate::kernel::access::Action;

/// One route.
pub struct RouteEntry {
    /// The method.
    pub method: &'static str,
    /// The path, parameters in braces.
    pub path: &'static str,
    /// What whoever asks must be allowed.
    pub needs: Needs,
    /// Makes the actix route.
    pub route: fn() -> Route,
}

impl RouteEntry {
    /// Whether the OpenAPI document has it: the routes of Slurm's API have Slurm's documents.
    #[must_use]
    pub fn is_documented(&self) -> bool {
        !slurmrest::trouble::is_ours(self.path)
    }
}

macro_rules! routes {
    ($($method:ident $path:literal $right:ident $($action:ident)? => $handler:path,)*) => {
        /// Every route of this server.
        pub const ROUTES: &[RouteEntry] = &[
            $(RouteEntry {
                method: stringify!($method),
                path: $path,
                needs: right!($right $($action)?),
                route: || method!($method).to($handler),
            },)*
        ];
    };
}
macro_rules! right {
    (needs $action:ident) => {
        Needs::To(Action::$action)
    };
    (open) => {
        Needs::Nothing
    };
}
macro_rules! method {
    (GET) => {
        // Whatever can be read can be asked for without its body.
        web::route().guard(guards::Any(guards::Get()).or(guards::Head()))
    };
    (POST) => {
        web::post()
    };
    (DELETE) => {
        web::delete()
    };
    (PUT) => {
        web::put()
    };
    (PATCH) => {
        web::patch()
    };
}

routes! {
    POST "/api/v1/jobs" needs Submit => submit::submit,
    POST "/api/v1/jobs/batch" needs Submit => submit::batch,
    GET "/api/v1/jobs" needs See => jobs::list,
    POST "/api/v1/jobs/submit" needs Submit => seed::submit,
    GET "/api/v1/jobs/query/{id}" needs See => seed::query,
    POST "/api/v1/jobs/cancel" needs Control => bulk::cancel,
    POST "/api/v1/jobs/hold" needs Control => bulk::hold,
    POST "/api/v1/jobs/release" needs Control => bulk::release,
    POST "/api/v1/jobs/cancel/{id}" needs Control => seed::cancel,
    GET "/api/v1/jobs/{id}" needs See => jobs::show,
    DELETE "/api/v1/jobs/{id}" needs Control => jobs::cancel,
    PATCH "/api/v1/jobs/{id}" needs Control => edit::update,
    POST "/api/v1/jobs/{id}/hold" needs Control => edit::hold,
    POST "/api/v1/jobs/{id}/release" needs Control => edit::release,
    POST "/api/v1/jobs/{id}/cancel" needs Control => jobs::cancel_by_post,
    POST "/api/v1/jobs/{id}/requeue" needs Control => attempts::requeue,
    POST "/api/v1/jobs/{id}/signal" needs Control => signal::signal,
    POST "/api/v1/jobs/{id}/suspend" needs Suspend => suspend::suspend,
    POST "/api/v1/jobs/{id}/unsuspend" needs Suspend => suspend::unsuspend,
    PUT "/api/v1/jobs/{id}/steps/{step}" needs Control => steps::tell,
    GET "/api/v1/steps" needs ReadDetails => steps::list,
    GET "/api/v1/jobs/{id}/attempts" needs ReadDetails => attempts::attempts,
    GET "/api/v1/jobs/{id}/script" needs ReadDetails => streams::script,
    GET "/api/v1/jobs/{id}/stdout" needs ReadOutput => streams::stdout,
    GET "/api/v1/jobs/{id}/stderr" needs ReadOutput => streams::stderr,
    GET "/api/v1/jobs/{id}/events" needs ReadDetails => jobs::events,
    GET "/api/v1/jobs/{id}/usage" needs ReadDetails => job_usage::usage,
    GET "/api/v1/jobs/{id}/efficiency" needs ReadDetails => efficiency::efficiency,
    GET "/api/v1/jobs/{id}/priority" needs See => rank::show,
    GET "/api/v1/jobs/{id}/dependents" needs See => dependents::list,
    GET "/api/v1/jobs/{id}/wait" needs See => jobs::wait,
    GET "/api/v1/jobs/{id}/array" needs See => arrays::show,
    GET "/api/v1/resources" needs See => allocations::resources,
    GET "/api/v1/partitions" needs See => partitions::list,
    GET "/api/v1/allocations" needs See => allocations::list,
    GET "/api/v1/audit" needs See => allocations::audit,
    GET "/api/v1/forecast" needs See => forecast::forecast,
    GET "/api/v1/maintenance" needs See => maintenance::list,
    POST "/api/v1/maintenance" needs Operate => maintenance::make,
    DELETE "/api/v1/maintenance" needs Operate => maintenance::resume,
    DELETE "/api/v1/maintenance/{id}" needs Operate => maintenance::remove,
    GET "/api/v1/events" needs See => events::stream,
    GET "/api/v1/dashboard" needs See => dashboard::dashboard,
    GET "/api/v1/info" needs See => info::info,
    GET "/api/v1/me" needs See => me::me,
    GET "/api/v1/overview" needs See => overview::overview,
    GET "/api/v1/history" needs See => history::history,
    GET "/api/v1/usage" needs See => usage::usage,
    GET "/api/v1/samples" needs See => samples::samples,
    GET "/api/v1/accounts" needs See => accounts::list,
    GET "/api/v1/tokens" needs See => tokens::list,
    POST "/api/v1/tokens" needs OwnTokens => tokens::make,
    DELETE "/api/v1/tokens/{id}" needs OwnTokens => tokens::revoke,
    POST "/api/v1/web/codes" needs See => web_login::make,
    POST "/api/v1/web/sessions" open => web_login::exchange,
    DELETE "/api/v1/web/sessions" needs See => web_login::end,
    POST "/api/jobs/submit" needs Submit => seed::submit,
    GET "/api/jobs/query/{id}" needs See => seed::query,
    POST "/api/jobs/cancel/{id}" needs Control => seed::cancel,
    GET "/api/dashboard" needs See => dashboard::dashboard,
    POST "/jobs/submit" needs Submit => seed::submit,
    GET "/jobs/query/{id}" needs See => seed::query,
    POST "/jobs/cancel/{id}" needs Control => seed::cancel,
    GET "/dashboard" needs See => dashboard::dashboard,
    GET "/metrics" needs See => health::metrics,
    GET "/health/live" open => health::live,
    GET "/health/ready" open => health::ready,
    GET "/openapi.json" needs See => openapi::serve,
    POST "/slurm/{version}/job/submit" needs Submit => slurmrest::jobs::submit,
    GET "/slurm/{version}/jobs/state" needs See => slurmrest::jobs::states,
    GET "/slurm/{version}/jobs" needs See => slurmrest::jobs::list,
    DELETE "/slurm/{version}/jobs" needs Control => slurmrest::jobs::cancel_several,
    GET "/slurm/{version}/job/{id}" needs See => slurmrest::jobs::show,
    POST "/slurm/{version}/job/{id}" needs Control => slurmrest::jobs::update,
    DELETE "/slurm/{version}/job/{id}" needs Control => slurmrest::jobs::cancel,
    GET "/slurm/{version}/ping" needs See => slurmrest::machine::ping,
    GET "/slurm/{version}/diag" needs See => slurmrest::machine::diag,
    GET "/slurm/{version}/nodes" needs See => slurmrest::machine::nodes,
    GET "/slurm/{version}/node/{name}" needs See => slurmrest::machine::one_node,
    GET "/slurm/{version}/partitions" needs See => slurmrest::machine::partitions,
    GET "/slurm/{version}/partition/{name}" needs See => slurmrest::machine::one_partition,
    GET "/slurm/{version}/licenses" needs See => slurmrest::machine::counted_licenses,
    GET "/slurm/{version}/reservations" needs See => slurmrest::machine::reservations,
    GET "/slurmdb/{version}/job/{id}" needs See => slurmrest::history::show,
    GET "/slurmdb/{version}/jobs" needs See => slurmrest::history::list,
}

/// The parameters of all routes.
#[must_use]
pub fn parameters() -> Parameters {
    let documented = ROUTES.iter().filter(|route| route.is_documented());
    Parameters::of(&document(), documented.map(|route| (route.method, route.path)))
}

/// What each route needs, and each of these others.
#[must_use]
pub fn rights(others: &[RouteEntry]) -> RouteRights {
    let all = ROUTES.iter().chain(others);
    RouteRights::of(all.map(|route| (route.method, route.path, route.needs)))
}

/// Puts the route table into an actix application. Paths keep the table's order, so that
/// `/jobs/submit` is found before `/jobs/{id}`.
pub fn configure(cfg: &mut web::ServiceConfig) {
    let mut done: Vec<&str> = Vec::new();
    for entry in ROUTES {
        if done.contains(&entry.path) {
            continue;
        }
        done.push(entry.path);
        let mut resource = web::resource(entry.path);
        for same in ROUTES.iter().filter(|other| other.path == entry.path) {
            resource = resource.route((same.route)());
        }
        cfg.service(resource.default_service(web::to(other_method)));
    }
    cfg.default_service(web::to(no_such_route));
}

/// The answer for a path that no route has.
async fn no_such_route(request: HttpRequest) -> Result<HttpResponse, error::ApiError> {
    Err(error::ApiError::no_route(request.path()))
}

/// The methods that go: for whoever asks for them (`OPTIONS`), and with 405 for any other.
async fn other_method(request: HttpRequest) -> HttpResponse {
    let pattern = request.match_pattern().unwrap_or_default();
    let same = ROUTES.iter().filter(|route| route.path == pattern);
    let methods = same.flat_map(|route| match route.method {
        "GET" => &["GET", "HEAD"][..],
        _ => std::slice::from_ref(&route.method),
    });
    let allow: Vec<&str> = methods.copied().chain(["OPTIONS"]).collect();
    let allow = allow.join(", ");
    if *request.method() == Method::OPTIONS {
        return HttpResponse::NoContent().insert_header((header::ALLOW, allow)).finish();
    }
    let detail = format!("{} does not go with {}", request.method(), request.path());
    let refused = error::ApiError::new(Code::MethodNotAllowed, format!("{detail}; {allow} does"));
    refused.answer_with(&request, header::ALLOW, &allow)
}
