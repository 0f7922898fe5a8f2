//! *Purpose*: how many jobs an account may have waiting.
//!
//! *Owns*: [`Kernel::too_many`].
//!
//! *Promises*: tasks of arrays and submissions that are not durable yet count too.
//!
//! *Not here*: what accounts may have running (`kernel::parts::accounts`).

use std::collections::HashMap;
use std::sync::Arc;

use crate::job::ids::JobId;
use crate::job::spec::JobSpec;
use crate::kernel::parts::accounts::{UNCOUNTED, named};
use crate::kernel::parts::arrays::beyond_the_first;
use crate::kernel::state::Kernel;

impl Kernel {
    /// The first of these jobs for which its account has too many that wait, and why.
    #[must_use]
    pub fn too_many(&self, specs: &[Arc<JobSpec>]) -> Option<(usize, String)> {
        let rules = self.rules.accounts.rules();
        let mut new: HashMap<&str, u64> = HashMap::new();
        for (place, spec) in specs.iter().enumerate() {
            let Some(max) = rules.of(&spec.account).and_then(|rule| rule.max_queued_jobs) else {
                continue;
            };
            let waiting = self.waiting_of(&spec.account);
            let with = new.entry(&spec.account).or_insert(waiting);
            *with += spec.array.as_ref().map_or(1, |array| array.tasks.len() as u64);
            if *with > u64::from(max) {
                return Some((place, too_many(&spec.account, max, waiting)));
            }
        }
        None
    }

    /// Why an account may not have so many more that wait.
    pub(in crate::kernel) fn too_many_of(&self, account: &str, more: u64) -> Option<String> {
        let max = self.rules.accounts.rules().of(account)?.max_queued_jobs?;
        let waiting = self.waiting_of(account);
        (waiting + more > u64::from(max)).then(|| too_many(account, max, waiting))
    }

    /// How many of an account wait, if they are counted.
    fn waiting_of(&self, account: &str) -> u64 {
        let id = self.rules.accounts.find(account);
        let entering = self.rules.accounts.get(id).map_or(0, |account| account.entering);
        match id {
            UNCOUNTED => 0,
            id => self.queue.waiting_of(id) + self.further_of(id) + u64::from(entering),
        }
    }

    /// Tasks of this account's arrays that are no entries of the queue of their own.
    fn further_of(&self, account: u32) -> u64 {
        let of = |id: JobId| self.queue.get(id).is_some_and(|job| job.account == account);
        let arrays = self.arrays.iter().filter(|(id, _)| of(*id));
        arrays.map(|(_, array)| beyond_the_first(array.left.len())).sum()
    }
}

fn too_many(account: &str, max: u32, waiting: u64) -> String {
    let name = named(account);
    format!(
        "{name} may have {max} jobs waiting and has {waiting}; wait until some have started, or \
         send fewer"
    )
}
