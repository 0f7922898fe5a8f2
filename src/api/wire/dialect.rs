//! *Purpose*: which API a body was written for.
//!
//! *Owns*: [`ApiDialect`].
//!
//! *Promises*: what differs between old and new routes is asked of it, and of nothing else.
//!
//! *Not here*: the routes (`crate::api`).

/// Which API a body was written for: it came by the routes of that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiDialect {
    /// This system's own.
    V1,
    /// The replaced system's, where `X:Y` meant hours and minutes.
    Seed,
}
