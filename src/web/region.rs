//! *Purpose*: a page, and a part of it that changes by itself.
//!
//! *Owns*: [`Page`], [`Region`].
//!
//! *Promises*: a region's HTML is one element with its id.
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

impl Region {
    /// One that was drawn, if it could be.
    ///
    /// # Errors
    /// Those of the drawing.
    pub fn of(id: &'static str, html: askama::Result<String>) -> askama::Result<Region> {
        Ok(Region { id, html: html? })
    }
}

/// What can be shown at an address, as it stands now; drawn as far as it is asked for. A template
/// fails only where there is no memory to write to.
#[allow(clippy::missing_errors_doc, reason = "said once, above")]
pub trait Page {
    /// As a whole document.
    fn document(&self) -> askama::Result<String>;
    /// All of it between header and end, where a frame waits to be filled.
    fn whole(&self) -> askama::Result<Region>;
    /// The parts of it that change by themselves.
    fn regions(&self) -> askama::Result<Vec<Region>>;
}
