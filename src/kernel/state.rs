//! *Purpose*: the state of the kernel, which commands change and views show.
//!
//! *Owns*: [`Kernel`]: the parts, the next ids, the counts; [`BootContext`].
//!
//! *Promises*: memory follows the queue, not history (neither scripts nor environments are kept);
//! an event gets the next number when it is made.
//!
//! *Not here*: what changes it (`kernel::commands`), what is shown of it (`kernel::views`), what
//! each part is (`kernel::parts`), what waits for durability (`kernel::outbox`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::job::ids::{EventId, JobId};
use crate::job::state::StateWord;
use crate::kernel::access::Principal;
use crate::kernel::change::Event;
use crate::kernel::parts::arrays::Arrays;
use crate::kernel::parts::eligibility::Eligibility;
use crate::kernel::parts::limits::Waiting;
use crate::kernel::parts::live::Live;
use crate::kernel::parts::looks::Looks;
use crate::kernel::parts::maintenance::Windows;
use crate::kernel::parts::names::Names;
use crate::kernel::parts::queue::Queue;
use crate::kernel::parts::requests::Requests;
use crate::kernel::parts::retries::RetryState;
use crate::kernel::parts::rules::Rules;
use crate::policy::input::RequestId;
use crate::resources::ledger::Ledger;
use crate::resources::partitions::Placement;
use crate::time::Time;

/// What is fixed for one reign of a server.
#[derive(Clone, Debug)]
pub struct BootContext {
    /// This boot of the machine.
    pub boot_id: Arc<str>,
    /// Random text in the engine keys of this reign's attempts.
    pub nonce: Arc<str>,
}

/// A job whose submission is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernel) struct Entering {
    /// The number of its words.
    pub names: u32,
    /// The number of its request.
    pub rest: RequestId,
    /// What will wait of it, each task of an array by itself.
    pub waiting: Waiting,
}

/// The kernel.
#[derive(Debug)]
pub struct Kernel {
    pub(in crate::kernel) ledger: Ledger,
    pub(in crate::kernel) queue: Queue,
    pub(in crate::kernel) live: BTreeMap<JobId, Live>,
    pub(in crate::kernel) boot_context: BootContext,
    pub(in crate::kernel) next_job: i64,
    pub(in crate::kernel) next_event: i64,
    pub(in crate::kernel) ended: BTreeMap<StateWord, u64>,
    pub(in crate::kernel) eligibility: Eligibility,
    pub(in crate::kernel) arrays: Arrays,
    /// What jobs go back into the queue with, of those that have any of it.
    pub(in crate::kernel) retries: BTreeMap<JobId, RetryState>,
    /// Whom room was made for, and when that was, in this order.
    pub(in crate::kernel) claims: Vec<(Time, JobId)>,
    pub(in crate::kernel) maintenance: Windows,
    pub(in crate::kernel) rules: Rules,
    /// Pending jobs that list several partitions, and in which each was offered for a start last.
    pub(in crate::kernel) several: BTreeMap<JobId, Option<Placement>>,
    /// The words of all jobs that have not ended.
    pub(in crate::kernel) names: Names,
    /// What jobs ask for beside CPUs, of all that have not ended.
    pub(in crate::kernel) requests: Requests,
    /// Who else uses units of what is handed out.
    pub(in crate::kernel) looks: Looks,
    /// Jobs that enter the queue once their submissions are durable.
    pub(in crate::kernel) entering: HashMap<JobId, Entering>,
    /// Jobs that a pass may start, or has started, although their submissions are not durable yet.
    /// No command knows them.
    pub(in crate::kernel) unstored: HashSet<JobId>,
    pub(in crate::kernel) allocations: u64,
    pub(in crate::kernel) releases: u64,
    pub(in crate::kernel) stale_facts: u64,
}

impl Kernel {
    pub(in crate::kernel) fn event(
        &mut self,
        (job, attempt): (JobId, u32),
        (from, to): (Option<StateWord>, StateWord),
        (cause, principal): (&'static str, Principal),
        time: Time,
    ) -> Event {
        let id = EventId(self.next_event);
        self.next_event += 1;
        Event { id, job, attempt, time, from, to, cause, principal }
    }

    /// The next job and event ids, which a commit makes durable.
    #[must_use]
    pub fn next_ids(&self) -> (JobId, EventId) {
        (JobId(self.next_job), EventId(self.next_event))
    }

    /// The ledger, to look at.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What jobs ask for beside CPUs.
    #[must_use]
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// Live attempts, by job.
    #[must_use]
    pub fn live(&self) -> &BTreeMap<JobId, Live> {
        &self.live
    }

    /// Pending jobs, in order.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Arrays that are not over.
    #[must_use]
    pub fn arrays(&self) -> &Arrays {
        &self.arrays
    }

    /// What holds for everybody.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Jobs that room was made for, in the order in which it was.
    #[must_use]
    pub fn claims(&self) -> &[(Time, JobId)] {
        &self.claims
    }

    /// What jobs go back into the queue with, of those that have any of it.
    #[must_use]
    pub fn retries(&self) -> &BTreeMap<JobId, RetryState> {
        &self.retries
    }
}
