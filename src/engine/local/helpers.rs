//! *Purpose*: how many helpers there may be, and of whom.
//!
//! *Owns*: [`Helpers`], the places of those that live.
//!
//! *Promises*: at most so many helpers live at once, and of each person's a part of them: a file
//! system that hangs for ever holds the places of its own person and no other's.
//!
//! *Not here*: what a helper does (`helper`), who asks for one (`opener`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::attempts::held;

/// Helpers at once: processes that may all hang.
const HELPERS_MAX: usize = 16;
/// Of one person: with one hanging file system a person shuts out nobody else.
const HELPERS_OF_ONE: usize = 4;
/// Who has helpers now.
#[derive(Debug, Default)]
pub struct Helpers(Mutex<HashMap<u32, usize>>);

/// The place of one helper.
pub struct Place {
    helpers: Arc<Helpers>,
    uid: u32,
}

impl Helpers {
    /// A place for a helper of this user's, if one is free.
    #[must_use]
    pub fn take(self: &Arc<Helpers>, uid: u32) -> Option<Place> {
        let mut places = held(&self.0);
        let all: usize = places.values().sum();
        let own = places.get(&uid).copied().unwrap_or_default();
        if all >= HELPERS_MAX || own >= HELPERS_OF_ONE {
            return None;
        }
        places.insert(uid, own + 1);
        Some(Place { helpers: Arc::clone(self), uid })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = held(&self.helpers.0);
        let left = places.get(&self.uid).copied().unwrap_or_default().saturating_sub(1);
        match left {
            0 => drop(places.remove(&self.uid)),
            left => drop(places.insert(self.uid, left)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_person_has_a_part_of_the_helpers_and_all_have_no_more_than_there_are() {
        let helpers = Arc::new(Helpers::default());
        let mut places: Vec<Place> = Vec::new();
        for uid in 1..=5 {
            for _ in 0..HELPERS_OF_ONE {
                places.extend(helpers.take(uid));
            }
            assert!(helpers.take(uid).is_none(), "{uid}");
        }
        assert_eq!(places.len(), HELPERS_MAX);
        places.remove(0);
        assert!(helpers.take(2).is_none(), "has as many as one may have");
        places.push(helpers.take(5).unwrap());
        drop(places);
        assert!(held(&helpers.0).is_empty());
    }
}
