//! *Purpose*: what is answered about jobs that others wait for.
//!
//! *Owns*: [`LookedUp`].
//!
//! *Promises*: a plain value.
//!
//! *Not here*: the questions (`store::body`), what follows from them (`kernel::parts::conditions`).

use std::collections::HashMap;

use crate::job::dependency::Dependency;
use crate::kernel::parts::eligibility::DependencySnapshot;

/// What was found of the jobs that new ones wait for.
#[derive(Clone, Debug, Default)]
pub struct LookedUp {
    /// What the kernel may have forgotten.
    pub elsewhere: DependencySnapshot,
    /// What they name that is not there, each with a sentence.
    pub missing: HashMap<Dependency, String>,
}
