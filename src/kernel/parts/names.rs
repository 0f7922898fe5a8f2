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

/// The number of a job whose words are not kept.
pub const UNNAMED: u32 = 0;
/// Pairs that are kept without a look at who still has them: what they take is not worth one.
const SLACK: usize = 1_024;

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
    /// Pair `n` stands at `n - 1`; `None`: to be given out again.
    list: Vec<Option<Words>>,
    unused: Vec<u32>,
    /// Pairs that somebody had when that was looked at last.
    kept: usize,
}

impl Names {
    /// The number of this pair, given out if need be.
    pub fn number(&mut self, partition: &str, account: &str) -> u32 {
        let known = self.numbers.get(partition).and_then(|of| of.get(account));
        if let Some(number) = known {
            return *number;
        }
        let words = Words { partition: partition.into(), account: account.into() };
        let of_partition = self.numbers.entry(Arc::clone(&words.partition)).or_default();
        let number = self.unused.pop().unwrap_or(self.list.len() as u32 + 1);
        of_partition.insert(Arc::clone(&words.account), number);
        let at = number as usize - 1;
        if at == self.list.len() {
            self.list.push(None);
        }
        self.list[at] = Some(words);
        number
    }

    /// The pair of this number.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&Words> {
        self.list.get((number as usize).checked_sub(1)?)?.as_ref()
    }

    /// All pairs, by number from 1.
    pub(in crate::kernel) fn all(&self) -> &[Option<Words>] {
        &self.list
    }

    /// Whether it is time to look who still has them: a constant part of the work of those that
    /// came since.
    #[must_use]
    pub(in crate::kernel) fn are_many(&self) -> bool {
        self.list.len() - self.unused.len() > 2 * self.kept + SLACK
    }

    /// Forgets all but these.
    pub(in crate::kernel) fn keep(&mut self, used: &BTreeSet<u32>) {
        for (place, number) in self.list.iter_mut().zip(1..) {
            if place.is_some() && !used.contains(&number) {
                *place = None;
                self.unused.push(number);
            }
        }
        for of_partition in self.numbers.values_mut() {
            of_partition.retain(|_, number| used.contains(number));
        }
        self.numbers.retain(|_, of_partition| !of_partition.is_empty());
        self.kept = used.len();
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

    #[test]
    fn words_that_nobody_has_do_not_pile_up() {
        let mut names = Names::default();
        for n in 0..100_000 {
            let number = names.number("p", &n.to_string());
            if names.are_many() {
                names.keep(&BTreeSet::from([number]));
            }
        }
        assert!(names.all().len() <= 2 * SLACK, "{}", names.all().len());
    }
}
