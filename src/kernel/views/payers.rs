//! *Purpose*: what all accounts have, or all users.
//!
//! *Owns*: [`PayerNow`].
//!
//! *Promises*: whoever has jobs that run or wait is among them, and whoever has a rule or has used
//! something; it takes no look at each job that waits.
//!
//! *Not here*: what they have used over a time (`store::used`), who may know (`api::accounts`).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::job::request::{GPU, MEMORY};
use crate::kernel::parts::accounts::{Accounts, UNCOUNTED};
use crate::kernel::parts::limits::AccountRule;
use crate::kernel::parts::names::Words;
use crate::kernel::state::Kernel;
use crate::time::{SECOND_US, Time};

/// By what jobs are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayersBy {
    /// By account.
    Account,
    /// By user.
    User,
}

/// What one account has, or one user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PayerNow {
    /// Its name; empty for jobs that name none.
    pub name: Arc<str>,
    /// What it may have.
    pub rule: AccountRule,
    /// CPU-seconds that it used, less the longer ago, and how far that is from its share; `None`
    /// where usage is not counted.
    pub share: Option<(f64, f64)>,
    /// CPUs that its jobs hold.
    pub cpus: u32,
    /// Bytes of memory that they hold.
    pub memory_bytes: u64,
    /// GPUs that they hold.
    pub gpus: u64,
    /// Its jobs that hold CPUs.
    pub running: u64,
    /// Its jobs that wait, each task of an array by itself.
    pub waiting: u64,
    /// Bytes of their scripts and environments, where they are counted.
    pub waiting_bytes: u64,
}

impl Kernel {
    /// What all of them have, by name.
    #[must_use]
    pub fn payers(&self, by: PayersBy, now: Time) -> Vec<PayerNow> {
        let table = match by {
            PayersBy::Account => &self.rules.accounts,
            PayersBy::User => &self.rules.users,
        };
        let mut all = known(table, now);
        let name = |words: &Words| match by {
            PayersBy::Account => Arc::clone(&words.account),
            PayersBy::User => Arc::clone(&words.user),
        };
        let nobody: Arc<str> = "".into();
        let of = |names: u32| self.names.get(names).map_or_else(|| Arc::clone(&nobody), name);
        for live in self.live.values() {
            let held = self.requests.get(live.job.rest);
            let amount = |resource| held.map_or(0, |held| held.of(resource));
            let payer = all.entry(of(live.job.names)).or_default();
            payer.cpus += live.job.cpus;
            payer.memory_bytes = payer.memory_bytes.saturating_add(amount(MEMORY));
            payer.gpus += amount(GPU);
            payer.running += 1;
        }
        for (names, waiting) in self.queue.waiting_by_names() {
            all.entry(of(names)).or_default().waiting += waiting;
        }
        for (array, open) in self.arrays.iter() {
            let further = (open.left.len() as u64).saturating_sub(1);
            if let Some(job) = self.queue.get(array).filter(|_| further > 0) {
                all.entry(of(job.names)).or_default().waiting += further;
            }
        }
        let bytes = |name: &str| match by {
            PayersBy::Account => self.queue.waiting_of_account(table.find(name)).bytes,
            PayersBy::User => self.queue.waiting_of_user(table.find(name)).bytes,
        };
        let named = |(name, payer): (Arc<str>, PayerNow)| PayerNow {
            rule: table.rules().of(&name).cloned().unwrap_or_default(),
            waiting_bytes: if table.find(&name) == UNCOUNTED { 0 } else { bytes(&name) },
            name,
            ..payer
        };
        all.into_iter().map(named).collect()
    }
}

/// Those of whom is known what they used, or what they may have.
fn known(table: &Accounts, now: Time) -> BTreeMap<Arc<str>, PayerNow> {
    let mut all: BTreeMap<Arc<str>, PayerNow> = BTreeMap::new();
    for name in table.rules().named.keys() {
        all.entry(name.as_str().into()).or_default();
    }
    if table.share() {
        for ((name, cpu_us, _), factor) in table.usages(now).into_iter().zip(table.factors(now)) {
            let used_s = cpu_us as f64 / SECOND_US as f64;
            all.entry(name).or_default().share = Some((used_s, factor));
        }
    }
    all
}
