//! *Purpose*: the words by which jobs name their partition and their account, each pair once.
//!
//! *Owns*: [`Names`].
//!
//! *Promises*: a pair has one number as long as any job has it; memory follows the jobs that have
//! not ended, not history.
//!
//! *Not here*: what the words mean: that changes with the rules (`kernel::commands::reconfigure`).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::slots::Slots;

/// The number of a job whose words are not kept.
pub const UNNAMED: u32 = 0;

/// The words of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// Its partition.
    pub partition: Arc<str>,
    /// Its account.
    pub account: Arc<str>,
}

/// All pairs that jobs have which have not ended.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// By partition, then by account.
    numbers: HashMap<Arc<str>, HashMap<Arc<str>, u32>>,
    pairs: Slots<Words>,
}

impl Names {
    /// The number of this pair, given out if need be.
    pub fn number(&mut self, partition: &str, account: &str) -> u32 {
        let known = self.numbers.get(partition).and_then(|of| of.get(account));
        if let Some(number) = known {
            return *number;
        }
        let words = Words { partition: partition.into(), account: account.into() };
        let number = self.pairs.put(words.clone());
        self.numbers.entry(words.partition).or_default().insert(words.account, number);
        number
    }

    /// The pair of this number.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&Words> {
        self.pairs.get(number)
    }

    /// All pairs, by number from 1.
    pub(in crate::kernel) fn all(&self) -> &[Option<Words>] {
        self.pairs.all()
    }

    /// Whether it is time to look who still has them: a constant part of the work of those that
    /// came since.
    #[must_use]
    pub(in crate::kernel) fn are_many(&self) -> bool {
        self.pairs.are_many()
    }

    /// Forgets all but these.
    pub(in crate::kernel) fn keep(&mut self, used: &BTreeSet<u32>) {
        self.pairs.keep(used);
        for of_partition in self.numbers.values_mut() {
            of_partition.retain(|_, number| used.contains(number));
        }
        self.numbers.retain(|_, of_partition| !of_partition.is_empty());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_one_number_until_nobody_has_it() {
        let mut names = Names::default();
        assert_eq!(
            (names.number("p", "a"), names.number("p", "b"), names.number("q", "a")),
            (1, 2, 3)
        );
        assert_eq!((names.number("p", "b"), names.get(UNNAMED)), (2, None));
        let words = names.get(3).unwrap();
        assert_eq!((&*words.partition, &*words.account), ("q", "a"));
        names.keep(&BTreeSet::from([2]));
        assert_eq!((names.get(1), names.get(3)), (None, None));
        assert_eq!(names.number("p", "b"), 2, "who has it keeps it");
        assert_eq!(
            (names.number("p", "c"), names.number("p", "d"), names.number("p", "e")),
            (3, 1, 4)
        );
    }
}
