//! *Purpose*: the numbers by which jobs name their account, their partition and what they ask for.
//!
//! *Owns*: when words and requests that no job has any more are forgotten.
//!
//! *Promises*: a number that a job has stays its own until the job has ended.
//!
//! *Not here*: the tables (`kernel::parts::names`, `kernel::parts::requests`,
//! `kernel::parts::accounts`).

use std::collections::BTreeSet;

use crate::job::request::Request;
use crate::kernel::parts::names::UNNAMED;
use crate::kernel::state::Kernel;
use crate::policy::input::RequestId;

impl Kernel {
    /// The number of an account, if it is counted.
    pub(in crate::kernel) fn number(&mut self, account: &str) -> u32 {
        let waits = |account| self.queue.waiting_of(account) > 0;
        self.rules.accounts.number(account, waits)
    }

    /// The number of these words.
    pub(in crate::kernel) fn name(&mut self, partition: &str, account: &str) -> u32 {
        if self.names.are_many() {
            self.keep_names();
        }
        self.names.number(partition, account)
    }

    /// The number of this request.
    pub(in crate::kernel) fn request(&mut self, request: &Request) -> RequestId {
        if self.requests.are_many() {
            let waiting = self.queue.iter().map(|job| job.rest);
            let live = self.live.values().map(|live| live.job.rest);
            let entering = self.entering.values().map(|(_, rest)| *rest);
            let used = waiting.chain(live).chain(entering);
            self.requests.keep(&used.filter(|rest| *rest != RequestId::NOTHING).collect());
        }
        self.requests.number(request)
    }

    /// Words of jobs that have all ended are forgotten.
    pub(in crate::kernel) fn keep_names(&mut self) {
        let waiting = self.queue.iter().map(|job| job.names);
        let live = self.live.values().map(|live| live.job.names);
        let used = waiting.chain(live).chain(self.entering.values().map(|(names, _)| *names));
        let used: BTreeSet<u32> = used.filter(|names| *names != UNNAMED).collect();
        self.names.keep(&used);
    }
}
