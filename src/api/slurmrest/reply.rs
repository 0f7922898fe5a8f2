//! *Purpose*: good answers of Slurm's API.
//!
//! *Owns*: [`ok`], [`list_of`].
//!
//! *Promises*: who answers, and that nothing went wrong, stands around what was found.
//!
//! *Not here*: the words (`api::wire::slurm::answer`), what went wrong (`slurmrest::trouble`).

use actix_web::HttpResponse;
use serde_json::Value;

use crate::api::wire::slurm::answer::answer;
use crate::api::wire::slurm::version::{Fact, Field, Version, field};
use crate::api::wire::slurm::words::seconds;
use crate::clock;

/// The list of jobs.
pub const JOBS: &str = "jobs";

/// What was found, and what of the request was not honoured.
pub fn ok(version: Version, found: Vec<Field>, warnings: Vec<String>) -> HttpResponse {
    HttpResponse::Ok().json(answer(version, "", found, (Vec::new(), warnings)))
}

/// A list of how things stand, under its name; newer clients want to know since when it holds.
pub fn list_of(name: &'static str, version: Version, all: Vec<Value>) -> HttpResponse {
    let mut found = vec![
        field(name, all),
        field("last_update", Fact::Time(seconds(clock::now()))).from(Version::V40),
    ];
    if name == JOBS {
        found.push(field("last_backfill", Fact::Time(0)).from(Version::V40));
    }
    ok(version, found, Vec::new())
}
