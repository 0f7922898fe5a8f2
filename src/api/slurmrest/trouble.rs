//! *Purpose*: errors as `slurmrestd` tells them.
//!
//! *Owns*: [`answer_to`]; which number and which status each kind of problem has.
//!
//! *Promises*: what went wrong is in our words, with Slurm's number and sentence beside it; one
//! error for each field that is wrong.
//!
//! *Not here*: what is refused (whoever refuses), this server's own form (`api::error`).
//!
//! Source: what slurmrestd 22.05 answered.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde_json::Value;

use crate::api::code::Code;
use crate::api::error::{ApiError, DETAIL_CHARS_MAX};
use crate::api::wire::slurm::answer::{Trouble, answer};
use crate::api::wire::slurm::version::{Version, field};

/// Where these routes are.
const BASES: [&str; 2] = ["/slurm/", "/slurmdb/"];
/// Slurm's number for a job that is not there.
pub const NO_JOB: i64 = 2017;

/// Whether a path is one of these routes'.
#[must_use]
pub fn is_ours(path: &str) -> bool {
    BASES.iter().any(|base| path.starts_with(base))
}

/// The version that a path names.
fn version_in(path: &str) -> Option<Version> {
    path.split('/').nth(2).and_then(Version::named)
}

/// The answer to a request of Slurm's API that went wrong; of others nothing.
#[must_use]
pub fn answer_to(path: &str, error: &ApiError) -> Option<HttpResponse> {
    if !is_ours(path) {
        return None;
    }
    let plain = |text: &'static str| HttpResponse::build(error.status).body(text);
    let text = match (error.code, version_in(path)) {
        (Code::Unauthorized, _) => Err("Authentication failure"),
        (Code::NoSuchRoute, _) | (_, None) => Err("Unable to find requested URL."),
        (_, Some(version)) => Ok(version),
    };
    let mut told = match text {
        Err(text) => plain(text),
        Ok(version) => {
            let (status, number, sentence) = kind_of(error);
            let all = (troubles(error, number, sentence), Vec::new());
            HttpResponse::build(status).json(answer(version, "", Vec::new(), all))
        }
    };
    if let Some(seconds) = error.retry_after_s {
        told.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    Some(told)
}

/// Status, number and sentence of a kind of problem.
fn kind_of(error: &ApiError) -> (StatusCode, i64, &'static str) {
    const JOB: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;
    const BAD: StatusCode = StatusCode::BAD_REQUEST;
    match error.code {
        Code::NoSuchJob => (JOB, NO_JOB, "Invalid job id specified"),
        Code::JobState => (JOB, 2020, "Job can not be altered now, try again later"),
        Code::NotPermitted | Code::AdminsOnly | Code::NotServed | Code::ForeignPage => {
            (error.status, 2002, "Access/permission denied")
        }
        Code::InvalidFields | Code::MalformedBody => (BAD, 9001, "Failure during parsing"),
        Code::BadParameter | Code::UnknownParameter => {
            (BAD, 9000, "Query empty or not RFC7320 compliant")
        }
        _ => (error.status, -1, "Unspecified error"),
    }
}

fn troubles(error: &ApiError, number: i64, sentence: &'static str) -> Vec<Trouble> {
    let one = |description: String, source: &str| {
        let description = description.chars().take(DETAIL_CHARS_MAX).collect();
        Trouble { description, number, error: sentence, source: source.to_owned() }
    };
    if error.errors.is_empty() {
        return vec![one(error.detail.clone(), "request")];
    }
    let each = error.errors.iter();
    each.map(|fault| one(format!("{}: {}", fault.field, fault.message), &fault.field)).collect()
}

/// The answer about a node or a partition that is not there.
#[must_use]
pub fn not_found(
    version: Version,
    list: &'static str,
    (number, error): (i64, &'static str),
    name: &str,
) -> HttpResponse {
    let description = format!("there is no {name} here");
    let trouble = Trouble { description, number, error, source: "name".to_owned() };
    let none = vec![field(list, Value::Array(Vec::new()))];
    let answer = answer(version, "", none, (vec![trouble], Vec::new()));
    HttpResponse::build(StatusCode::INTERNAL_SERVER_ERROR).json(answer)
}
