//! *Purpose*: pages, for people who would rather look than read.
//!
//! *Owns*: what is drawn, and the files that it is drawn with.
//!
//! *Promises*: every number is one that a route of the API gives, to the same people; the binary
//! has all files, and a page asks for nothing elsewhere.
//!
//! *Not here*: the numbers (`api`), SQL (`store`). No other room asks for anything here.

mod admin;
mod board;
mod books;
mod chart;
mod charts;
mod docs;
mod job;
mod jobs;
mod lately;
mod life;
mod listed;
mod live;
mod machine;
mod overview;
mod page;
mod region;
mod rows;
mod shell;
mod slots;
mod submit;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod tries;
mod trouble;
mod usage;
mod waits;
mod why;
mod words;

use actix_web::web;

use crate::api::{Needs, RouteEntry};
use crate::kernel::access::Action;
pub use board::Board;
pub use trouble::for_browsers;

/// Every page, and what pages are made of.
pub const PAGES: &[RouteEntry] = &[
    RouteEntry { method: "GET", path: "/", needs: Needs::Page, route: || get().to(page::page) },
    RouteEntry { method: "GET", path: "/jobs", needs: Needs::Page, route: || get().to(page::page) },
    RouteEntry {
        method: "GET",
        path: "/jobs/{id}",
        needs: Needs::Page,
        route: || get().to(page::page),
    },
    RouteEntry {
        method: "GET",
        path: page::DOCS,
        needs: Needs::Page,
        route: || get().to(page::page),
    },
    RouteEntry {
        method: "GET",
        path: page::ADMIN,
        needs: Needs::Page,
        route: || get().to(page::page),
    },
    RouteEntry {
        method: "GET",
        path: page::SUBMIT,
        needs: Needs::Page,
        route: || get().to(page::page),
    },
    RouteEntry {
        method: "POST",
        path: tries::PATH,
        needs: Needs::To(Action::Submit),
        route: || web::post().to(tries::tries),
    },
    RouteEntry {
        method: "GET",
        path: usage::PATH,
        needs: Needs::Page,
        route: || get().to(page::page),
    },
    RouteEntry {
        method: "GET",
        path: page::LOGIN,
        needs: Needs::Nothing,
        route: || get().to(page::login),
    },
    RouteEntry {
        method: "GET",
        path: "/live",
        needs: Needs::To(Action::See),
        route: || get().to(live::live),
    },
    RouteEntry {
        method: "GET",
        path: "/assets/{file}",
        needs: Needs::Nothing,
        route: || get().to(shell::asset),
    },
];

fn get() -> actix_web::Route {
    web::route().guard(actix_web::guard::Any(actix_web::guard::Get()).or(actix_web::guard::Head()))
}

/// Puts the pages into an actix application.
pub fn configure(cfg: &mut web::ServiceConfig) {
    for entry in PAGES {
        cfg.service(web::resource(entry.path).route((entry.route)()));
    }
}
