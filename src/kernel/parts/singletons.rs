//! *Purpose*: jobs of one name and user, of which some run one after the other.
//!
//! *Owns*: [`Singletons`], the families of singletons.
//!
//! *Promises*: a family has all that its singletons wait for, however many they are, once; whoever
//! has ended is in none.
//!
//! *Not here*: what else a job waits for (`kernel::parts::conditions`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::job::ids::JobId;
use crate::job::spec::SingletonKey;

/// The families that have a singleton, and their members that have not ended.
#[derive(Debug, Default)]
pub struct Singletons {
    families: HashMap<Arc<SingletonKey>, BTreeSet<JobId>>,
    of: BTreeMap<JobId, Arc<SingletonKey>>,
}

impl Singletons {
    /// These have not ended and belong to this family.
    pub fn join(&mut self, family: &SingletonKey, jobs: impl IntoIterator<Item = JobId>) {
        let family = match self.families.get_key_value(family) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::new(family.clone()),
        };
        for job in jobs {
            self.of.insert(job, Arc::clone(&family));
            self.families.entry(Arc::clone(&family)).or_default().insert(job);
        }
    }

    /// Those of its family that were submitted before it.
    pub fn before(&self, job: JobId) -> impl Iterator<Item = JobId> {
        let family = self.of.get(&job).and_then(|family| self.families.get(family));
        family.into_iter().flat_map(move |family| family.range(..job).copied())
    }

    /// The first of its family that was submitted after it.
    pub fn after(&self, job: JobId) -> Option<JobId> {
        let family = self.families.get(self.of.get(&job)?)?;
        family.range(JobId(job.0.saturating_add(1))..).next().copied()
    }

    /// All of a family.
    pub fn members(&self, family: &SingletonKey) -> impl Iterator<Item = JobId> {
        self.families.get(family).into_iter().flatten().copied()
    }

    /// The family of a job.
    pub fn family_of(&self, job: JobId) -> Option<&SingletonKey> {
        self.of.get(&job).map(|family| &**family)
    }

    /// It has ended, or never was. Answers who is the first of its family now.
    pub fn leave(&mut self, job: JobId) -> Option<JobId> {
        let family = self.of.remove(&job)?;
        let members = self.families.get_mut(&family)?;
        members.remove(&job);
        let first = members.first().copied();
        if first.is_none() {
            self.families.remove(&family);
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family() -> SingletonKey {
        ("nightly".to_owned(), "ada".to_owned())
    }

    #[test]
    fn a_family_has_its_members_once_until_they_end() {
        let mut singletons = Singletons::default();
        singletons.join(&family(), [JobId(3), JobId(1)]);
        singletons.join(&family(), [JobId(1), JobId(7)]);
        assert_eq!(singletons.before(JobId(7)).collect::<Vec<_>>(), [JobId(1), JobId(3)]);
        assert_eq!(singletons.leave(JobId(1)), Some(JobId(3)));
        assert_eq!(singletons.leave(JobId(1)), None, "it has left already");
        assert_eq!(singletons.before(JobId(3)).count(), 0);
        assert_eq!(singletons.leave(JobId(3)), Some(JobId(7)));
        assert_eq!(singletons.leave(JobId(7)), None);
        assert!(singletons.families.is_empty(), "a family without members is forgotten");
    }

    #[test]
    fn families_keep_to_themselves() {
        let mut singletons = Singletons::default();
        singletons.join(&family(), [JobId(1)]);
        singletons.join(&("nightly".to_owned(), "bob".to_owned()), [JobId(2)]);
        assert_eq!(singletons.before(JobId(2)).count(), 0);
        assert_eq!(singletons.before(JobId(9)).count(), 0, "a stranger has no family");
    }
}
