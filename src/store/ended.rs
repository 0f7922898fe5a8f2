//! *Purpose*: how many jobs ended since a moment, as it is answered.
//!
//! *Owns*: [`Ended`].
//!
//! *Promises*: a plain value.
//!
//! *Not here*: counting (`store::body`).

/// How many ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Those that completed.
    pub completed: u64,
    /// Those that ended in any other way.
    pub other: u64,
    /// There are more than are counted: these are the newest.
    pub is_more: bool,
}
