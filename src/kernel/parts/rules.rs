//! *Purpose*: what holds for everybody: partitions, accounts, users, weights.
//!
//! *Owns*: [`Rules`], [`Seat`].
//!
//! *Promises*: what a job's points are made of comes from here alone.
//!
//! *Not here*: who is kept from starting by them (`kernel::views::hold`), how other rules come to
//! hold (`kernel::commands::reconfigure`), reading them (`config`).

use std::sync::Arc;

use crate::kernel::parts::accounts::{Accounts, UNCOUNTED};
use crate::kernel::parts::limits::Waiting;
use crate::kernel::parts::names::Words;
use crate::kernel::parts::priority::{Priorities, Weights};
use crate::kernel::parts::queued::Queued;
use crate::policy::input::Quotas;
use crate::resources::capacity::Demand;
use crate::resources::inventory::Inventory;
use crate::resources::partitions::{Partitions, Placement};
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
    /// Its users, where they are told apart: the same of each.
    pub users: Accounts,
    /// What counts in the queue besides priority.
    pub weights: Weights,
}

/// Where a job stands by its words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seat {
    /// Where it may run.
    pub placement: Placement,
    /// The number of its account, where that is counted.
    pub account: u32,
    /// The number of its user, where that is counted.
    pub user: u32,
}

impl Seat {
    /// The job, standing there.
    #[must_use]
    pub fn of(self, job: Queued) -> Queued {
        let Seat { placement, account, user } = self;
        Queued { placement, account, user, ..job }
    }
}

impl Rules {
    /// Where a job of these words stands; accounts and users without a number have none.
    #[must_use]
    pub fn seat(&self, partition: &str, account: &str, user: &str) -> Seat {
        Seat {
            placement: self.partitions.placement(partition),
            account: self.accounts.find(account),
            user: self.users.find(user),
        }
    }

    /// The same, and numbers are given out if need be; `waits` tells of an account, and of a user,
    /// whether jobs of it wait.
    pub fn new_seat(
        &mut self,
        (partition, account, user): (&str, &str, &str),
        waits: (impl Fn(u32) -> bool, impl Fn(u32) -> bool),
    ) -> Seat {
        Seat {
            placement: self.partitions.placement(partition),
            account: self.accounts.number(account, waits.0),
            user: if user.is_empty() { UNCOUNTED } else { self.users.number(user, waits.1) },
        }
    }

    /// The same where nobody makes room for another: it is not known who has jobs, or all have.
    pub fn certain_seat(&mut self, words: (&str, &str, &str)) -> Seat {
        self.new_seat(words, (|_| true, |_| true))
    }

    /// Limits are of this inventory from now on. Nobody has jobs yet.
    pub(in crate::kernel) fn over(&mut self, inventory: &Inventory) {
        self.accounts.over(inventory);
        self.users.over(inventory);
    }

    /// Whether account and user of a job let it start now, which takes this.
    pub(in crate::kernel) fn may_start(&self, job: &Queued, asked: &Demand<'_>) -> bool {
        self.accounts.may_start(job.account, asked) && self.users.may_start(job.user, asked)
    }

    /// A job holds this from now on.
    pub(in crate::kernel) fn started(&mut self, job: &Queued, asked: &Demand<'_>, now: Time) {
        self.accounts.started(job.account, asked, now);
        self.users.started(job.user, asked, now);
    }

    /// A job gives this back.
    pub(in crate::kernel) fn ended(&mut self, job: &Queued, asked: &Demand<'_>, now: Time) {
        self.accounts.ended(job.account, asked, now);
        self.users.ended(job.user, asked, now);
    }

    /// Jobs of these words wait to be durable, or do no longer.
    pub(in crate::kernel) fn entering(&mut self, words: &Words, jobs: Waiting, more: bool) {
        self.accounts.entering(self.accounts.find(&words.account), jobs, more);
        self.users.entering(self.users.find(&words.user), jobs, more);
    }

    /// What is left of all limits.
    #[must_use]
    pub(in crate::kernel) fn quotas(&self) -> Quotas {
        Quotas { accounts: self.accounts.quotas(), users: self.users.quotas() }
    }

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
