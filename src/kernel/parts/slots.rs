//! *Purpose*: numbers for what many jobs share, such as their words and what they ask for.
//!
//! *Owns*: [`Slots`].
//!
//! *Promises*: a number stands for one thing until it is forgotten, and is given out again then;
//! memory follows what is in use, not history, at a constant part of the work of putting it in.
//!
//! *Not here*: finding the number of a thing (whoever puts it in), and who uses it
//! (`kernel::commands`).

use std::collections::BTreeSet;

/// Things that are kept without a look at who still uses them: what they take is not worth one.
pub(super) const SLACK: usize = 1_024;

/// Things by their numbers, from 1: 0 stands for none.
#[derive(Clone, Debug)]
pub(super) struct Slots<T> {
    /// Thing `n` stands at `n - 1`; `None`: to be given out again.
    list: Vec<Option<T>>,
    unused: Vec<u32>,
    /// Things that were in use when that was looked at last.
    kept: usize,
}

impl<T> Default for Slots<T> {
    fn default() -> Slots<T> {
        Slots { list: Vec::new(), unused: Vec::new(), kept: 0 }
    }
}

impl<T> Slots<T> {
    /// Puts it in; its number.
    pub(super) fn put(&mut self, thing: T) -> u32 {
        let number = self.unused.pop().unwrap_or(self.list.len() as u32 + 1);
        let at = number as usize - 1;
        if at == self.list.len() {
            self.list.push(None);
        }
        self.list[at] = Some(thing);
        number
    }

    /// The thing of this number.
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        self.list.get((number as usize).checked_sub(1)?)?.as_ref()
    }

    /// All things, by number from 1.
    pub(super) fn all(&self) -> &[Option<T>] {
        &self.list
    }

    /// Whether it is time to look what is still in use.
    pub(super) fn are_many(&self) -> bool {
        self.list.len() - self.unused.len() > 2 * self.kept + SLACK
    }

    /// Forgets all but these.
    pub(super) fn keep(&mut self, used: &BTreeSet<u32>) {
        for (place, number) in self.list.iter_mut().zip(1..) {
            if place.is_some() && !used.contains(&number) {
                *place = None;
                self.unused.push(number);
            }
        }
        self.kept = used.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stands_for_one_thing_until_it_is_forgotten() {
        let mut slots = Slots::default();
        assert_eq!(["a", "b", "c"].map(|thing| slots.put(thing)), [1, 2, 3]);
        slots.keep(&BTreeSet::from([2]));
        assert_eq!([0, 1, 2, 3, 4].map(|n| slots.get(n)), [None, None, Some(&"b"), None, None]);
        assert_eq!(["d", "e", "f"].map(|thing| slots.put(thing)), [3, 1, 4]);
        assert_eq!(slots.all(), [Some("e"), Some("b"), Some("d"), Some("f")]);
    }

    #[test]
    fn what_nobody_uses_does_not_pile_up() {
        let (mut slots, mut looks) = (Slots::default(), 0);
        for n in 0..100_000 {
            let number = slots.put(n);
            if slots.are_many() {
                slots.keep(&BTreeSet::from([number]));
                looks += 1;
            }
        }
        assert!(slots.all().len() <= 2 * SLACK, "{}", slots.all().len());
        assert!(looks <= 100_000 / SLACK, "{looks}");
    }
}
