//! *Purpose*: what is known of use from outside of this server.
//!
//! *Owns*: [`Looks`]: of which resource each unit is looked at before it is given, when that was
//! done last, and who was found there; what audits doubt.
//!
//! *Promises*: a look is believed for [`LOOK_VALID_S`], and one of the future not at all.
//!
//! *Not here*: looking (`actors::device_watch`), what is held back for it
//! (`kernel::commands::looks`).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::job::ids::UnitId;
use crate::time::{SECOND_US, Time};

/// How long a look is believed, seconds: a hand-started program needs about as long to reach its
/// first allocation on a device, and a pass follows its look at once.
pub const LOOK_VALID_S: i64 = 2;

/// Units that are not given, each for its reason.
pub type Doubts = BTreeMap<(Arc<str>, UnitId), Arc<str>>;

/// What is known of use from outside.
#[derive(Clone, Debug, Default)]
pub struct Looks {
    /// The resource whose units are looked at before they are given.
    resource: Option<Arc<str>>,
    /// When that was done last.
    at: Option<Time>,
    /// Who was found.
    found: BTreeMap<UnitId, Arc<str>>,
    /// What the last audit doubts.
    doubted: Doubts,
}

impl Looks {
    /// No unit of this resource is given before somebody has looked who else uses it.
    pub fn watch(&mut self, resource: &str) {
        self.resource = Some(resource.into());
    }

    /// The resource that has to be looked at before any of it is given.
    #[must_use]
    pub fn unlooked(&self, now: Time) -> Option<&Arc<str>> {
        self.resource.as_ref().filter(|_| !self.is_looked_at(now))
    }

    fn is_looked_at(&self, now: Time) -> bool {
        let valid = |at: Time| (0..=LOOK_VALID_S * SECOND_US).contains(&now.since_us(at));
        self.at.is_some_and(valid)
    }

    /// A look found these. `true`: that is not what was known.
    pub fn look(&mut self, found: BTreeMap<UnitId, Arc<str>>, now: Time) -> bool {
        self.at = Some(now);
        let new = self.found != found;
        self.found = found;
        new
    }

    /// An audit doubts exactly these.
    pub fn doubt(&mut self, doubted: Doubts) {
        self.doubted = doubted;
    }

    /// The units of a resource that are not given, each for its reason.
    #[must_use]
    pub fn not_given(&self, resource: &Arc<str>) -> BTreeMap<UnitId, Arc<str>> {
        let of = |((name, unit), why): (&(Arc<str>, UnitId), &Arc<str>)| {
            (name == resource).then(|| (*unit, Arc::clone(why)))
        };
        let mut all: BTreeMap<UnitId, Arc<str>> = self.doubted.iter().filter_map(of).collect();
        if self.resource.as_ref() == Some(resource) {
            all.extend(self.found.iter().map(|(unit, why)| (*unit, Arc::clone(why))));
        }
        all
    }
}
