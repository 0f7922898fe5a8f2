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

use super::error::ApiError;

/// Streams open at once: each holds a connection and a descriptor.
pub const STREAMS_MAX: usize = 512;

/// Room for requests of one kind.
#[derive(Clone)]
pub struct Room {
    places: Arc<Semaphore>,
    max: usize,
    kind: &'static str,
}

/// One place; free again when it is dropped.
pub struct Place(#[allow(dead_code, reason = "held, never looked at")] OwnedSemaphorePermit);

impl Room {
    /// Room for so many requests of a kind, "streams".
    #[must_use]
    pub fn new(kind: &'static str, max: usize) -> Room {
        Room { places: Arc::new(Semaphore::new(max)), max, kind }
    }

    /// Takes a place.
    ///
    /// # Errors
    /// 503 when all are taken.
    pub fn take(&self) -> Result<Place, ApiError> {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(permit) => Ok(Place(permit)),
            Err(_) => {
                let detail = format!("{} {} are open already; close some", self.max, self.kind);
                Err(ApiError::unavailable(detail))
            }
        }
    }
}
