//! *Purpose*: an error, as JSON (RFC 9457, `application/problem+json`).
//!
//! *Owns*: [`Problem`].
//!
//! *Promises*: `detail` is a sentence for a person; every bad field is named.
//!
//! *Not here*: which error has which status (`api::error`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::job::faults::FieldError;

/// The media type of a [`Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A URI for the kind of problem; `about:blank` when the status says it all.
    #[serde(rename = "type", default = "blank")]
    #[schema(example = "about:blank")]
    pub kind: String,
    /// The kind in words.
    #[serde(default)]
    #[schema(example = "Unprocessable Content")]
    pub title: String,
    /// The HTTP status.
    #[serde(default)]
    #[schema(example = 422)]
    pub status: u16,
    /// The kind in one word, for programs; it does not change, and new ones may come.
    #[serde(default)]
    #[schema(example = "invalid_fields")]
    pub code: String,
    /// What happened this time, and what to do.
    #[serde(default)]
    pub detail: String,
    /// The request's number in the log.
    #[serde(default)]
    pub request_id: String,
    /// The bad fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<FieldErrorSchema>)]
    pub errors: Vec<FieldError>,
}

/// A bad field, for the OpenAPI document only; `FieldError` is what code uses.
#[derive(ToSchema)]
#[schema(as = FieldError)]
#[allow(dead_code, reason = "only its shape is read, by the schema")]
pub struct FieldErrorSchema {
    /// The field, as the body names it.
    #[schema(example = "jobs[1].cpus")]
    field: String,
    /// What is wrong with it.
    message: String,
}

fn blank() -> String {
    "about:blank".to_owned()
}
