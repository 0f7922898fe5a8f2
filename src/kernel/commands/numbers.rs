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
use crate::kernel::parts::queued::Queued;
use crate::kernel::state::Kernel;
use crate::policy::input::RequestId;

impl Kernel {
    /// The job as it stands by these words, partition, account and user, which it names from now
    /// on.
    pub(in crate::kernel) fn with_words(
        &mut self,
        job: Queued,
        words: (&str, &str, &str),
    ) -> Queued {
        let of_account = |account| self.queue.waiting_of_account(account).jobs > 0;
        let of_user = |user| self.queue.waiting_of_user(user).jobs > 0;
        let seat = self.rules.new_seat(words, (of_account, of_user));
        if self.names.are_many() {
            self.keep_names();
        }
        let (partition, account, user) = words;
        Queued { names: self.names.number(partition, account, user), ..seat.of(job) }
    }

    /// The number of this request.
    pub(in crate::kernel) fn request(&mut self, request: &Request) -> RequestId {
        if self.requests.are_many() {
            let waiting = self.queue.iter().map(|job| job.rest);
            let live = self.live.values().map(|live| live.job.rest);
            let entering = self.entering.values().map(|entering| entering.rest);
            let used = waiting.chain(live).chain(entering);
            self.requests.keep(&used.filter(|rest| *rest != RequestId::NOTHING).collect());
        }
        self.requests.number(request)
    }

    /// Words of jobs that have all ended are forgotten.
    pub(in crate::kernel) fn keep_names(&mut self) {
        let waiting = self.queue.iter().map(|job| job.names);
        let live = self.live.values().map(|live| live.job.names);
        let entering = self.entering.values().map(|entering| entering.names);
        let used = waiting.chain(live).chain(entering);
        let used: BTreeSet<u32> = used.filter(|names| *names != UNNAMED).collect();
        self.names.keep(&used);
    }
}
