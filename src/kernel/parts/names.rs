//! *Purpose*: the words by which jobs name their partition, their account and their user,
//! each set of three once.
//!
//! *Owns*: [`Names`].
//!
//! *Promises*: a set has one number as long as any job has it; memory follows the jobs that have
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
    /// Its user; empty where users are not told apart.
    pub user: Arc<str>,
}

/// By a word.
type By<T> = HashMap<Arc<str>, T>;

/// All sets that jobs have which have not ended.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// By partition, then by account, then by user.
    numbers: By<By<By<u32>>>,
    sets: Slots<Words>,
}

impl Names {
    /// The number of this set, given out if need be.
    pub fn number(&mut self, partition: &str, account: &str, user: &str) -> u32 {
        let known = self.numbers.get(partition).and_then(|of| of.get(account)?.get(user));
        if let Some(number) = known {
            return *number;
        }
        let words =
            Words { partition: partition.into(), account: account.into(), user: user.into() };
        let number = self.sets.put(words.clone());
        let of_partition = self.numbers.entry(words.partition).or_default();
        of_partition.entry(words.account).or_default().insert(words.user, number);
        number
    }

    /// The set of this number.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&Words> {
        self.sets.get(number)
    }

    /// All sets, by number from 1.
    pub(in crate::kernel) fn all(&self) -> &[Option<Words>] {
        self.sets.all()
    }

    /// Whether it is time to look who still has them: a constant part of the work of those that
    /// came since.
    #[must_use]
    pub(in crate::kernel) fn are_many(&self) -> bool {
        self.sets.are_many()
    }

    /// Forgets all but these.
    pub(in crate::kernel) fn keep(&mut self, used: &BTreeSet<u32>) {
        self.sets.keep(used);
        for of_partition in self.numbers.values_mut() {
            for of_account in of_partition.values_mut() {
                of_account.retain(|_, number| used.contains(number));
            }
            of_partition.retain(|_, of_account| !of_account.is_empty());
        }
        self.numbers.retain(|_, of_partition| !of_partition.is_empty());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_one_number_until_nobody_has_it() {
        let mut names = Names::default();
        let mut numbers = |sets: &[(&str, &str, &str)]| -> Vec<u32> {
            sets.iter()
                .map(|(partition, account, user)| names.number(partition, account, user))
                .collect()
        };
        assert_eq!(numbers(&[("p", "a", ""), ("p", "b", ""), ("p", "b", "u")]), [1, 2, 3]);
        assert_eq!(numbers(&[("p", "b", ""), ("p", "b", "u")]), [2, 3]);
        assert_eq!(names.get(UNNAMED), None);
        let words = names.get(3).unwrap();
        assert_eq!((&*words.partition, &*words.account, &*words.user), ("p", "b", "u"));
        names.keep(&BTreeSet::from([2]));
        assert_eq!((names.get(1), names.get(3)), (None, None));
        assert_eq!(names.number("p", "b", ""), 2, "who has it keeps it");
        assert_eq!(
            (names.number("p", "c", ""), names.number("p", "d", ""), names.number("p", "e", "")),
            (3, 1, 4)
        );
    }
}
