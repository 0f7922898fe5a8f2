//! *Purpose*: the kinds of problems, as programs tell them apart.
//!
//! *Owns*: [`Code`], its words, and the status that each has.
//!
//! *Promises*: a code keeps its word and its status; new ones may come.
//!
//! *Not here*: sentences for people (whoever refuses), the answer (`api::error`).

use actix_web::http::StatusCode;

/// What kind of problem. Its word stands in `code` of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Code {
    /// The request cannot be read.
    BadRequest,
    /// The body is not JSON, or not what its coding says.
    MalformedBody,
    /// A parameter or a header has a value that is not understood.
    BadParameter,
    /// A token is needed.
    Unauthorized,
    /// The `Host` or `Origin` is another's.
    ForeignPage,
    /// Whoever asks is not served.
    NotServed,
    /// Only administrators may.
    AdminsOnly,
    /// Whoever asks may not do this.
    NotPermitted,
    /// There is no such route.
    NoSuchRoute,
    /// There is no such job.
    NoSuchJob,
    /// There is no such maintenance window.
    NoSuchWindow,
    /// Whoever asks has no such token.
    NoSuchToken,
    /// The job is no array.
    NotAnArray,
    /// The route does not take this method.
    MethodNotAllowed,
    /// The body did not come in time.
    BodyTimeout,
    /// The job's state forbids it.
    JobState,
    /// The whole of an array was named where one job is meant.
    IsAnArray,
    /// What stands where the job's output was must not be read.
    OutputNotReadable,
    /// The key was used for another body.
    IdempotencyKeyReused,
    /// The body is too large.
    BodyTooLarge,
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// The body has a `Content-Encoding` that is not read.
    UnsupportedContentEncoding,
    /// The bytes that are asked for are not there.
    RangeNotSatisfiable,
    /// The route does not know a parameter; `errors` names it.
    UnknownParameter,
    /// Whoever asks asks too often; `Retry-After` says when to come back.
    TooManyRequests,
    /// Fields of the body are wrong; `errors` names them.
    InvalidFields,
    /// A bug of the server, or a part of it that does not work.
    Internal,
    /// This machine cannot do it.
    NotPossibleHere,
    /// The server cannot do it now.
    Unavailable,
    /// The disk is full.
    DiskFull,
}

impl Code {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Whether it says that somebody may not, rather than that something is wrong.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        matches!(
            self,
            Code::Unauthorized
                | Code::ForeignPage
                | Code::NotServed
                | Code::AdminsOnly
                | Code::NotPermitted
                | Code::TooManyRequests
        )
    }

    /// The status of an answer with it.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Code::UnknownParameter
            | Code::BadRequest
            | Code::MalformedBody
            | Code::BadParameter => StatusCode::BAD_REQUEST,
            Code::Unauthorized => StatusCode::UNAUTHORIZED,
            Code::ForeignPage | Code::NotServed | Code::AdminsOnly | Code::NotPermitted => {
                StatusCode::FORBIDDEN
            }
            Code::NoSuchRoute
            | Code::NoSuchJob
            | Code::NoSuchWindow
            | Code::NoSuchToken
            | Code::NotAnArray => StatusCode::NOT_FOUND,
            Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Code::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Code::JobState
            | Code::IsAnArray
            | Code::OutputNotReadable
            | Code::IdempotencyKeyReused => StatusCode::CONFLICT,
            Code::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::UnsupportedMediaType | Code::UnsupportedContentEncoding => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Code::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
            Code::InvalidFields => StatusCode::UNPROCESSABLE_ENTITY,
            Code::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Code::NotPossibleHere => StatusCode::NOT_IMPLEMENTED,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
        }
    }
}
