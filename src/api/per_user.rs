//! *Purpose*: how much of something each user has.
//!
//! *Owns*: [`PerUser`], a count of each, and [`One`] of them.
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

/// One of somebody's; given back when it is dropped.
#[derive(Debug)]
pub struct One<K: Copy + Eq + Hash> {
    of: K,
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
        let mut counts = locked(&self.counts);
        let count = counts.entry(of).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(One { of, counts: Arc::clone(&self.counts) })
    }
}

impl<K: Copy + Eq + Hash> Drop for One<K> {
    fn drop(&mut self) {
        let mut counts = locked(&self.counts);
        if let Some(count) = counts.get_mut(&self.of) {
            *count -= 1;
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
    }
}
