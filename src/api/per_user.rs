//! *Purpose*: how much of something each user has.
//!
//! *Owns*: [`PerUser`], a count of each, and [`One`], which may become more.
//!
//! *Promises*: nobody has more than his part, so that there is some left for the others; whoever
//! has nothing costs nothing.
//!
//! *Not here*: of what there is how much (whoever counts).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A count of each.
#[derive(Debug)]
pub struct PerUser<K> {
    max: usize,
    counts: Arc<Mutex<HashMap<K, usize>>>,
}

/// One of somebody's, or as many as it has grown to; given back when it is dropped.
#[derive(Debug)]
pub struct One<K: Copy + Eq + Hash> {
    of: K,
    count: usize,
    max: usize,
    counts: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K: Copy + Eq + Hash> PerUser<K> {
    /// Each may have so many.
    #[must_use]
    pub fn new(max: usize) -> PerUser<K> {
        PerUser { max: max.max(1), counts: Arc::default() }
    }

    /// The most that each may have.
    #[must_use]
    pub fn max(&self) -> usize {
        self.max
    }

    /// One more; `None` when he has as many as he may.
    #[must_use]
    pub fn take(&self, of: K) -> Option<One<K>> {
        let mut one = One { of, count: 0, max: self.max, counts: Arc::clone(&self.counts) };
        one.grow(1).then_some(one)
    }
}

impl<K: Copy + Eq + Hash> One<K> {
    /// So many more; `false`, and none, when he may not have them all.
    pub fn grow(&mut self, more: usize) -> bool {
        let mut counts = locked(&self.counts);
        let count = counts.entry(self.of).or_default();
        let may = count.checked_add(more).filter(|sum| *sum <= self.max);
        if let Some(sum) = may {
            *count = sum;
            self.count += more;
        }
        may.is_some()
    }
}

impl<K: Copy + Eq + Hash> Drop for One<K> {
    fn drop(&mut self) {
        let mut counts = locked(&self.counts);
        if let Some(count) = counts.get_mut(&self.of) {
            *count = count.saturating_sub(self.count);
            if *count == 0 {
                counts.remove(&self.of);
            }
        }
    }
}

/// A count is whole even if whoever looked at it was ended by a bug.
fn locked<T>(counts: &Mutex<T>) -> MutexGuard<'_, T> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_has_his_part_and_what_is_given_back_is_forgotten() {
        let all = PerUser::new(2);
        let (first, second) = (all.take(1), all.take(1));
        assert!(first.is_some() && second.is_some() && all.take(1).is_none());
        let other = all.take(2);
        assert!(other.is_some(), "another's part is his own");
        drop(first);
        assert!(all.take(1).is_some(), "one was given back");
        drop((second, other));
        assert!(locked(&all.counts).is_empty());
        assert!(PerUser::new(0).take(1).is_some(), "everybody may have one");
        let all = PerUser::new(10);
        let (mut first, second) = (all.take(1).unwrap(), all.take(1).unwrap());
        assert!(first.grow(8) && !first.grow(1), "ten in all");
        drop(second);
        assert!(first.grow(1) && !first.grow(usize::MAX));
        drop(first);
        assert!(locked(&all.counts).is_empty());
    }
}
