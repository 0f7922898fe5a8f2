//! *Purpose*: the query parameters that each route knows.
//!
//! *Owns*: [`Parameters`], read off the OpenAPI document, so that what is documented is what is
//! taken.
//!
//! *Promises*: a parameter that a route does not know is refused by name before the route does
//! anything, whatever the method.
//!
//! *Not here*: what a parameter means (its route).

use std::collections::HashMap;

use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::web::Query;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};

use super::error::ApiError;

/// The parameters of all routes.
pub struct Parameters(HashMap<(&'static str, &'static str), Vec<String>>);

impl Parameters {
    /// Those that the document knows of these routes, each a method and a path.
    pub fn of(
        document: &OpenApi,
        routes: impl Iterator<Item = (&'static str, &'static str)>,
    ) -> Parameters {
        let of = |method: &str, path: &str| {
            let item = document.paths.paths.get(path)?;
            let operation: &Option<Operation> = match method {
                "GET" => &item.get,
                "POST" => &item.post,
                "PATCH" => &item.patch,
                "PUT" => &item.put,
                _ => &item.delete,
            };
            operation.as_ref()?.parameters.clone()
        };
        let name = |one: RefOr<Parameter>| match one {
            RefOr::T(one) if matches!(one.parameter_in, ParameterIn::Query) => Some(one.name),
            _ => None,
        };
        let names = |all: Vec<_>| all.into_iter().filter_map(name).collect();
        let each = routes.map(|(method, path)| {
            let known = of(method, path).map(names).unwrap_or_default();
            ((method, path), known)
        });
        Parameters(each.collect())
    }

    /// Refuses a parameter that the route of this request does not know.
    ///
    /// # Errors
    /// 400, naming the parameter and those that are known.
    pub fn check(&self, request: &ServiceRequest) -> Result<(), ApiError> {
        if request.query_string().is_empty() {
            return Ok(());
        }
        let method = match *request.method() {
            Method::HEAD => Method::GET.as_str(),
            ref method => method.as_str(),
        };
        let Some(pattern) = request.match_pattern() else { return Ok(()) };
        let mut routes = self.0.iter();
        let route = routes.find(|((m, path), _)| *m == method && **path == *pattern);
        // No such route: its own answer says so; one that is not documented looks itself.
        let Some((_, known)) = route else { return Ok(()) };
        let sent = Query::<Vec<(String, String)>>::from_query(request.query_string());
        let sent = sent.map_err(|error| ApiError::parameter("query", error.to_string()))?;
        match sent.iter().find(|(name, _)| !known.contains(name)) {
            None => Ok(()),
            Some((name, _)) if known.is_empty() => {
                Err(ApiError::unknown_parameter(name, "is not a parameter; this route takes none"))
            }
            Some((name, _)) => {
                let known = known.join(", ");
                let message = format!("is not a parameter of this route; there are: {known}");
                Err(ApiError::unknown_parameter(name, message))
            }
        }
    }
}
