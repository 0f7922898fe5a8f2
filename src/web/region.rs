//! *Purpose*: a part of a page that changes by itself.
//!
//! *Owns*: [`Region`].
//!
//! *Promises*: its HTML is one element with its id.
//!
//! *Not here*: what stands in it.

/// An element of a page, known by its id.
#[derive(Clone, Debug)]
pub struct Region {
    /// Its id.
    pub id: &'static str,
    /// All of it.
    pub html: String,
}
