//! *Purpose*: by which routes a body came.
//!
//! *Owns*: [`Door`].
//!
//! *Promises*: what differs between old and new routes is asked of it, and of nothing else.
//!
//! *Not here*: the routes (`crate::api`).

/// By which routes a body came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// This system's own.
    V1,
    /// The replaced system's, where `X:Y` meant hours and minutes.
    Seed,
}
