//! *Purpose*: what a route needs.
//!
//! *Owns*: [`Needs`], [`RouteRights`].
//!
//! *Promises*: whoever may do to no job what a route does is refused before its handler, and before
//! his body is read.
//!
//! *Not here*: the rights themselves (`kernel::access`), whether it is his job (each handler).

use std::collections::HashMap;

use actix_web::dev::ServiceRequest;
use actix_web::http::Method;

use crate::kernel::access::Action;

/// What whoever asks must be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: nobody is asked who he is.
    Nothing,
    /// To do this, to one job at least.
    To(Action),
    /// To see, if he is known. A browser cannot send a token when somebody follows a link: of a
    /// page that nobody is known to ask for the handler makes the frame, which holds no data.
    Page,
}

/// What each route needs, by method and path.
pub struct RouteRights(HashMap<(&'static str, &'static str), Needs>);

impl RouteRights {
    /// Of these routes.
    #[must_use]
    pub fn of(routes: impl Iterator<Item = (&'static str, &'static str, Needs)>) -> RouteRights {
        RouteRights(routes.map(|(method, path, needs)| ((method, path), needs)).collect())
    }

    /// What the route of this request needs; of what is no route it is to see something.
    #[must_use]
    pub fn of_request(&self, request: &ServiceRequest) -> Needs {
        let method = match *request.method() {
            Method::HEAD => Method::GET.as_str(),
            ref method => method.as_str(),
        };
        let pattern = request.match_pattern();
        let needs = pattern.and_then(|path| self.0.get(&(method, &*path)).copied());
        needs.unwrap_or(Needs::To(Action::See))
    }
}
