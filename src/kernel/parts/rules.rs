//! *Purpose*: what holds for everybody: partitions, accounts, weights.
//!
//! *Owns*: [`Rules`].
//!
//! *Promises*: what a job's points are made of comes from here alone.
//!
//! *Not here*: who is kept from starting by them (`kernel::views::hold`), how other rules come to
//! hold (`kernel::commands::reconfigure`), reading them (`config`).

use std::sync::Arc;

use crate::kernel::parts::accounts::Accounts;
use crate::kernel::parts::priority::{Priorities, Weights};
use crate::resources::partitions::Partitions;
use crate::time::Time;

/// The name of the whole machine where it is not divided.
pub const WHOLE: &str = "default";

/// What holds for everybody.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Its partitions.
    pub partitions: Arc<Partitions>,
    /// Its accounts: their rules, and what each has.
    pub accounts: Accounts,
    /// What counts in the queue besides priority.
    pub weights: Weights,
}

impl Rules {
    /// Points now.
    pub(in crate::kernel) fn points(&self, now: Time) -> Priorities {
        let partitions = &self.partitions;
        let weighs = partitions.iter().any(|partition| partition.weight != 0);
        let of_partition = match weighs {
            true => partitions.iter().map(|partition| partition.weight).collect(),
            false => Vec::new(),
        };
        let factors = self.accounts.factors(now);
        Priorities::new(self.weights, now, of_partition, &factors)
    }
}
