//! *Purpose*: errors that reach the person who can act.
//!
//! *Owns*: [`ApiError`] and its form as RFC 9457 `application/problem+json`.
//!
//! *Promises*: the status says who can mend it; `detail` says what happened and what to do;
//! bad fields are named.
//!
//! *Not here*: which fields are bad (`job::spec`, `api::wire::submit`).

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError};

use super::code::Code;
use super::wire::problem::{PROBLEM_JSON, Problem};
use super::wire::submit::BodyRefused;
use crate::job::array_spec::JobRef;
use crate::job::faults::{Faults, FieldError};
use crate::job::ids::JobId;
use crate::store::error::StoreError;

/// Seconds after which a client may try again when the database cannot be written.
const RETRY_AFTER_S: u64 = 5;

/// The `Content-Encoding` of a body that is taken, for those who sent another.
pub const CODING_TAKEN: &str = "gzip";

/// Longest `detail`: it may quote what a request has sent.
pub const DETAIL_CHARS_MAX: usize = 16 * 1024;

/// An error with its status.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub struct ApiError {
    /// What kind.
    pub code: Code,
    /// The HTTP status.
    pub status: StatusCode,
    /// What happened and what to do.
    pub detail: String,
    /// The bad fields.
    pub errors: Vec<FieldError>,
    /// Whether somebody asked for what he may not, whatever the answer says.
    pub is_refusal: bool,
    /// After how many seconds it may go, where that is known.
    pub retry_after_s: Option<u64>,
}

/// The number of a request, echoed or made up; in answers and in the log.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

impl RequestId {
    /// That of this request.
    #[must_use]
    pub fn of(request: &HttpRequest) -> String {
        request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default()
    }
}

impl ApiError {
    /// An error.
    pub fn new(code: Code, detail: impl Into<String>) -> ApiError {
        let (status, is_refusal) = (code.status(), code.is_refusal());
        let retry_after_s = matches!(code, Code::Unavailable | Code::DiskFull);
        let retry_after_s = retry_after_s.then_some(RETRY_AFTER_S);
        let (detail, errors) = (detail.into(), Vec::new());
        ApiError { code, status, detail, errors, is_refusal, retry_after_s }
    }

    /// One that was not made here, with the status that it brings.
    #[must_use]
    pub fn foreign(status: StatusCode, detail: String) -> ApiError {
        let code = if status.is_server_error() { Code::Internal } else { Code::BadRequest };
        ApiError { status, ..ApiError::new(code, detail) }
    }

    /// 503.
    pub fn unavailable(detail: impl Into<String>) -> ApiError {
        ApiError::new(Code::Unavailable, detail)
    }

    /// 500 for a bug; the log says which.
    #[must_use]
    pub fn bug() -> ApiError {
        let detail = "a bug of this server ended the request; its log says more under the \
                      request's number";
        ApiError::new(Code::Internal, detail)
    }

    /// 404 for a job.
    #[must_use]
    pub fn no_job(id: impl Into<JobRef>) -> ApiError {
        ApiError::new(Code::NoSuchJob, format!("there is no job {}", id.into()))
    }

    /// The same, to be asked again after so long.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> ApiError {
        ApiError { retry_after_s: Some(wait.as_secs() + 1), ..self }
    }

    /// 404 for a job that is there, for somebody who must not know: in the log it is a refusal.
    #[must_use]
    pub fn hidden_job(id: impl Into<JobRef>) -> ApiError {
        ApiError { is_refusal: true, ..ApiError::no_job(id) }
    }

    /// 404 for what an array has and this job has not.
    #[must_use]
    pub fn no_array(id: JobId) -> ApiError {
        ApiError::new(Code::NotAnArray, format!("job {id} is no array"))
    }

    /// 404 for a path that no route has.
    #[must_use]
    pub fn no_route(path: &str) -> ApiError {
        let detail = format!("there is no route {path}; GET /openapi.json lists them");
        ApiError::new(Code::NoSuchRoute, detail)
    }

    /// 422 with the bad fields.
    #[must_use]
    pub fn fields(faults: &Faults) -> ApiError {
        let detail = format!("Nothing was stored. {faults}");
        ApiError { errors: faults.listed(), ..ApiError::new(Code::InvalidFields, detail) }
    }

    /// 400 for a query parameter that is none of the route's.
    pub fn unknown_parameter(field: &str, message: impl Into<String>) -> ApiError {
        ApiError::parameter(field, message).with(Code::UnknownParameter)
    }

    fn with(self, code: Code) -> ApiError {
        let (status, is_refusal) = (code.status(), code.is_refusal());
        ApiError { code, status, is_refusal, ..self }
    }

    /// 400 for the value of one query parameter, or of a header.
    pub fn parameter(field: &str, message: impl Into<String>) -> ApiError {
        let faults = Faults::from(FieldError::new(field, message));
        ApiError {
            errors: faults.listed(),
            ..ApiError::new(Code::BadParameter, faults.to_string())
        }
    }

    /// As JSON, with the number of the request.
    #[must_use]
    pub fn problem(&self, request_id: &str) -> Problem {
        Problem {
            kind: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or_default().to_owned(),
            status: self.status.as_u16(),
            code: self.code.word().to_owned(),
            detail: self.detail.chars().take(DETAIL_CHARS_MAX).collect(),
            request_id: request_id.to_owned(),
            errors: self.errors.clone(),
        }
    }

    /// The answer, with the number of the request.
    #[must_use]
    pub fn answer(&self, request_id: &str) -> HttpResponse {
        let problem = self.problem(request_id);
        let mut answer = HttpResponse::build(self.status);
        answer.content_type(PROBLEM_JSON);
        if let Some(seconds) = self.retry_after_s {
            answer.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if self.code == Code::UnsupportedContentEncoding {
            answer.insert_header((header::ACCEPT_ENCODING, CODING_TAKEN));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            answer.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        answer.json(problem)
    }
}

impl ApiError {
    /// The answer to a request, with one more header.
    #[must_use]
    pub fn answer_with(
        &self,
        request: &HttpRequest,
        name: header::HeaderName,
        value: &str,
    ) -> HttpResponse {
        let mut answer = self.answer(&RequestId::of(request));
        if let Ok(value) = header::HeaderValue::from_str(value) {
            answer.headers_mut().insert(name, value);
        }
        answer
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    /// The guard puts the number of the request in.
    fn error_response(&self) -> HttpResponse {
        self.answer("")
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> ApiError {
        if matches!(error, StoreError::TooManyToOrder { .. }) {
            return ApiError::parameter("sort", error.to_string());
        }
        log::warn!("A read failed: {error}");
        match error.may_pass() {
            true => ApiError::unavailable(error.to_string()),
            // Asked again it would be the same.
            false => ApiError::new(Code::Internal, error.to_string()),
        }
    }
}

impl From<BodyRefused> for ApiError {
    fn from(refused: BodyRefused) -> ApiError {
        match refused {
            BodyRefused::Malformed(_) => {
                ApiError::new(Code::MalformedBody, format!("Nothing was stored: {refused}"))
            }
            BodyRefused::Fields(faults) => ApiError::fields(&faults),
        }
    }
}
