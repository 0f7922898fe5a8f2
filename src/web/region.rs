//! *Purpose*: a page, and a part of it that changes by itself.
//!
//! *Owns*: [`Page`], [`Region`], `page!`.
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

/// Makes a page of a template: these of its blocks change by themselves, each an element with the
/// block's name as its id.
macro_rules! page {
    ($page:ty { $($id:ident: $block:ident),* $(,)? }) => {
        impl $crate::web::region::Page for $page {
            fn document(&self) -> askama::Result<String> {
                self.render()
            }

            fn whole(&self) -> askama::Result<$crate::web::region::Region> {
                $crate::web::region::Region::of("main", self.as_main().render())
            }

            fn regions(&self) -> askama::Result<Vec<$crate::web::region::Region>> {
                let regions: Vec<askama::Result<$crate::web::region::Region>> = vec![
                    $($crate::web::region::Region::of(stringify!($id), self.$block().render())),*
                ];
                regions.into_iter().collect()
            }
        }
    };
}
pub(super) use page;
