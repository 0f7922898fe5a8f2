//! *Purpose*: how many requests of one kind are under way at once.
//!
//! *Owns*: [`Room`], and the places in it.
//!
//! *Promises*: requests that take their time, each kind of them, never take all connections; one
//! too many is told so at once.
//!
//! *Not here*: how many connections there are (`serve`).

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::caller::Caller;
use super::error::ApiError;
use super::per_user::{One, PerUser};
use crate::job::ids::Uid;

/// Streams open at once: each holds a connection and a descriptor.
pub const STREAMS_MAX: usize = 512;

/// A user of a server of all users may have this part of the places.
const PART: usize = 4;

/// Room for requests of one kind.
#[derive(Clone)]
pub struct Room {
    places: Arc<Semaphore>,
    max: usize,
    kind: &'static str,
    /// Where all users are served: nobody has more than a part.
    of_users: Arc<PerUser<Uid>>,
}

/// One place; free again when it is dropped.
pub struct Place(
    #[allow(dead_code, reason = "held, never looked at")] (OwnedSemaphorePermit, Option<One<Uid>>),
);

impl Room {
    /// Room for so many requests of a kind, "streams".
    #[must_use]
    pub fn new(kind: &'static str, max: usize) -> Room {
        let of_users = Arc::new(PerUser::new(max / PART));
        Room { places: Arc::new(Semaphore::new(max)), max, kind, of_users }
    }

    /// Takes a place.
    ///
    /// # Errors
    /// 503 when all are taken, or all that one user may have.
    pub fn take(&self, caller: &Caller) -> Result<Place, ApiError> {
        let own = match caller.limited().map(|uid| self.of_users.take(uid)) {
            None => None,
            Some(Some(one)) => Some(one),
            Some(None) => {
                let (max, kind) = (self.of_users.max(), self.kind);
                let detail = format!("{max} {kind} of yours are open already; close some");
                return Err(ApiError::unavailable(detail));
            }
        };
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(permit) => Ok(Place((permit, own))),
            Err(_) => {
                let detail = format!("{} {} are open already; close some", self.max, self.kind);
                Err(ApiError::unavailable(detail))
            }
        }
    }
}
