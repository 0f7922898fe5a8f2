//! *Purpose*: which colour a job has.
//!
//! *Owns*: [`Slots`].
//!
//! *Promises*: a job keeps its colour while it runs; all tasks of an array have one; a new one gets
//! a colour that the fewest have.
//!
//! *Not here*: the colours (`assets/style.css`). They only help: the name stands beside them.

use std::collections::HashMap;

use crate::api::wire::job::Job;
use crate::job::ids::JobId;

/// How many colours there are.
const COLOURS: usize = 10;

/// Colours of what runs.
#[derive(Clone, Debug, Default)]
pub struct Slots(HashMap<JobId, usize>);

/// What has a colour of its own: a job, or an array.
#[must_use]
pub fn owner(job: &Job) -> JobId {
    job.array_job_id.unwrap_or(job.id)
}

impl Slots {
    /// After a look at what runs: who is still there keeps its colour.
    #[must_use]
    pub fn after(&self, owners: impl Iterator<Item = JobId> + Clone) -> Slots {
        let mut next = HashMap::new();
        let mut taken = [0_usize; COLOURS];
        for owner in owners.clone() {
            if let (Some(slot), false) = (self.0.get(&owner), next.contains_key(&owner)) {
                next.insert(owner, *slot);
                taken[*slot] += 1;
            }
        }
        for owner in owners {
            next.entry(owner).or_insert_with(|| {
                let slot = (0..COLOURS).min_by_key(|slot| taken[*slot]).unwrap_or(0);
                taken[slot] += 1;
                slot
            });
        }
        Slots(next)
    }

    /// The class of a job or an array in the sheet; of one that nobody looked at, by its number.
    #[must_use]
    pub fn class(&self, owner: JobId) -> String {
        let by_number = || owner.0.unsigned_abs() as usize % COLOURS;
        format!("c{}", self.0.get(&owner).copied().unwrap_or_else(by_number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[i64]) -> impl Iterator<Item = JobId> + Clone {
        ids.iter().copied().map(JobId)
    }

    #[test]
    fn who_stays_keeps_its_colour_and_who_comes_gets_a_free_one() {
        let of = |slots: &Slots, owners: &[i64]| -> Vec<String> {
            ids(owners).map(|owner| slots.class(owner)).collect()
        };
        let first = Slots::default().after(ids(&[1, 9, 9, 4]));
        assert_eq!(of(&first, &[1, 9, 4]), ["c0", "c1", "c2"]);
        let second = first.after(ids(&[7, 9, 4, 8]));
        assert_eq!(of(&second, &[7, 9, 4, 8]), ["c0", "c1", "c2", "c3"]);
    }

    #[test]
    fn there_may_be_more_jobs_than_colours() {
        let many: Vec<i64> = (0..25).collect();
        let slots = Slots::default().after(ids(&many));
        for colour in 0..COLOURS {
            let class = format!("c{colour}");
            let n = ids(&many).filter(|job| slots.class(*job) == class).count();
            assert!((2..=3).contains(&n), "{class}: {n}");
        }
    }
}
