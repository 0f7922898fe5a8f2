//! *Purpose*: what a request to a route of Slurm's API says beside its body.
//!
//! *Owns*: [`Asked`] and [`job_in`], what its path names; [`Pairs`], its query.
//!
//! *Promises*: a version that is not served is no route; a parameter that a route does not know is
//! refused by name.
//!
//! *Not here*: the parameters of this server's own routes (`api::parameters`).

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::web::Query;
use actix_web::{FromRequest, HttpRequest};

use crate::api::code::Code;
use crate::api::error::ApiError;
use crate::api::wire::slurm::version::Version;
use crate::job::array_spec::JobRef;
use crate::text::when;
use crate::time::Time;

/// The version that a path names.
#[derive(Clone, Copy, Debug)]
pub struct Asked(pub Version);

impl FromRequest for Asked {
    type Error = ApiError;
    type Future = Ready<Result<Asked, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let version = request.match_info().get("version").and_then(Version::named);
        ready(version.map(Asked).ok_or_else(|| ApiError::no_route(request.path())))
    }
}

/// The job that a path names.
///
/// # Errors
/// 404 when it is no id.
pub fn job_in(request: &HttpRequest) -> Result<JobRef, ApiError> {
    let id = request.match_info().get("id").unwrap_or_default();
    id.parse().map_err(|detail: String| ApiError::new(Code::NoSuchJob, detail))
}

/// A query, pair by pair.
pub struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// That of a request.
    ///
    /// # Errors
    /// 400 when it cannot be read.
    pub fn of(request: &HttpRequest) -> Result<Pairs, ApiError> {
        let read = Query::<Vec<(String, String)>>::from_query(request.query_string());
        let read = read.map_err(|error| ApiError::parameter("query", error.to_string()))?;
        Ok(Pairs(read.into_inner()))
    }

    /// Refuses what is none of these.
    ///
    /// # Errors
    /// 400, naming the parameter.
    pub fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => {
                let known = if known.is_empty() { "none" } else { &known.join(", ") };
                let message = format!("is not a parameter of this route; there are: {known}");
                Err(ApiError::unknown_parameter(name, message))
            }
        }
    }

    /// The first value of a parameter.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        let own = self.0.iter().filter(|(own, _)| own == name);
        own.map(|(_, value)| value.as_str()).collect()
    }

    /// The words of all values of a parameter, each a list with commas.
    #[must_use]
    pub fn words(&self, name: &str) -> Vec<String> {
        let words = self.all(name).into_iter().flat_map(|list| list.split(','));
        let words = words.map(str::trim).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    }

    /// A time: seconds since 1970, or text.
    ///
    /// # Errors
    /// 400, naming the parameter.
    pub fn time(&self, name: &str) -> Result<Option<Time>, ApiError> {
        let Some(text) = self.first(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        let time = match text.parse::<u32>() {
            Ok(seconds) => Ok(Time::default().plus_s(seconds.into())),
            Err(_) => when::parse_past(text),
        };
        time.map(Some).map_err(|message| ApiError::parameter(name, message))
    }
}
