//! *Purpose*: how the points of a pending job come about.
//!
//! *Owns*: [`Weights`], [`Priorities`], [`Parts`].
//!
//! *Promises*: without weights the points are the priority, and nothing is worked out; of jobs
//! alike in priority, partition and account an earlier one never has less than a later one.
//!
//! *Not here*: who goes first among equals (`policy::order`), usage (`kernel::parts::accounts`).
//!
//! **The sum.** In the spirit of Slurm's multifactor plugin, of which it is a part: each factor is
//! between 0 and 1 and is multiplied with its weight.
//!
//! `points = priority + partition's weight + age_weight × min(waited / max_age, 1)`
//! `+ fair_share_weight × 2^(−(usage ÷ usage of all) ÷ (shares ÷ shares of all))`

use crate::kernel::parts::queued::Queued;
use crate::time::{SECOND_US, Time};

/// What counts besides the priority that people give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// Points of a job that has waited for `max_age_s`, less in proportion.
    pub age: u32,
    /// After this wait age no longer grows, seconds; more than 0.
    pub max_age_s: u32,
    /// Points of a job whose account has used nothing, less the more it has used.
    pub fair_share: u32,
}

impl Default for Weights {
    fn default() -> Weights {
        Weights { age: 0, max_age_s: 7 * 86_400, fair_share: 0 }
    }
}

/// Of what a job's points are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// What people gave it.
    pub priority: i64,
    /// Its partition's weight.
    pub partition: i64,
    /// For its age.
    pub age: i64,
    /// For how little its account has used.
    pub fair_share: i64,
}

impl Parts {
    /// All together.
    #[must_use]
    pub fn sum(&self) -> i64 {
        let Parts { priority, partition, age, fair_share } = *self;
        priority.saturating_add(partition).saturating_add(age).saturating_add(fair_share)
    }
}

/// Points at one instant.
#[derive(Clone, Debug, Default)]
pub struct Priorities {
    now: Time,
    weights: Weights,
    /// By partition; empty where none has a weight.
    of_partition: Vec<i64>,
    /// By number of the account, less one; empty where nothing is shared.
    of_account: Vec<i64>,
}

impl Priorities {
    /// Points now, given the weight of each partition and the factor of each account.
    #[must_use]
    pub fn new(weights: Weights, now: Time, of_partition: Vec<i64>, factors: &[f64]) -> Priorities {
        let worth = |factor: &f64| (factor * f64::from(weights.fair_share)) as i64;
        let of_account = match weights.fair_share {
            0 => Vec::new(),
            _ => factors.iter().map(worth).collect(),
        };
        Priorities { now, weights, of_partition, of_account }
    }

    /// Whether points are just the priority.
    #[must_use]
    pub fn are_plain(&self) -> bool {
        self.weights.age == 0 && self.of_partition.is_empty() && self.of_account.is_empty()
    }

    /// Those of a job.
    #[must_use]
    pub fn of(&self, job: &Queued) -> Parts {
        let at = |list: &[i64], n: usize| list.get(n).copied().unwrap_or(0);
        let account = (job.account as usize).checked_sub(1);
        Parts {
            priority: job.priority,
            partition: at(&self.of_partition, job.placement.partition.into()),
            age: self.age(job.submitted),
            fair_share: account.map_or(0, |n| at(&self.of_account, n)),
        }
    }

    fn age(&self, submitted: Time) -> i64 {
        if self.weights.age == 0 {
            return 0;
        }
        let max_us = i64::from(self.weights.max_age_s.max(1)) * SECOND_US;
        let waited_us = self.now.since_us(submitted).clamp(0, max_us);
        let points = i128::from(self.weights.age) * i128::from(waited_us) / i128::from(max_us);
        // No more than the weight.
        points as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::partitions::Placement;

    #[test]
    fn without_weights_the_points_are_the_priority() {
        let points = Priorities::default();
        assert!(points.are_plain());
        let job = Queued { priority: -7, account: 3, ..Queued::default() };
        assert_eq!(points.of(&job), Parts { priority: -7, ..Parts::default() });
    }

    #[test]
    fn each_part_counts_with_its_weight() {
        let weights = Weights { age: 1_000, max_age_s: 100, fair_share: 600 };
        let now = Time(150 * SECOND_US);
        let points = Priorities::new(weights, now, vec![0, 50], &[1.0, 0.25]);
        let placement = Placement { partition: 1, ..Placement::default() };
        let submitted = Time(125 * SECOND_US);
        let job = Queued { priority: 5, placement, account: 2, submitted, ..Queued::default() };
        let parts = points.of(&job);
        assert_eq!(parts, Parts { priority: 5, partition: 50, age: 250, fair_share: 150 });
        assert_eq!(parts.sum(), 455);
        let old = points.of(&Queued { submitted: Time(0), ..job });
        assert_eq!(old.age, 1_000, "no more than the weight");
        let early = points.of(&Queued { submitted: Time(i64::MAX), ..job });
        assert_eq!(early.age, 0, "the clock was set back");
        let most = Queued { priority: i64::MAX, ..job };
        assert_eq!(points.of(&most).sum(), i64::MAX);
    }
}
