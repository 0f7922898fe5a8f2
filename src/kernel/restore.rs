//! *Purpose*: a kernel as the database remembers it.
//!
//! *Owns*: [`PersistedState`] and [`Kernel::load`].
//!
//! *Promises*: what was committed is there again: who waits, for what, and who holds which CPUs.
//!
//! *Not here*: reading the database (`store::body::load`), what has become of live attempts since
//! (`actors::recovery`).

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::job::ids::{Attempt, CpuId, EventId, JobId};
use crate::job::outcome::Handle;
use crate::job::spec::SingletonKey;
use crate::job::state::{EndReason, StateWord};
use crate::job::suspension::Suspension;
use crate::kernel::parts::arrays::{ArrayProgress, Arrays, OpenArray};
use crate::kernel::parts::conditions::Conditions;
use crate::kernel::parts::eligibility::Eligibility;
use crate::kernel::parts::live::Live;
use crate::kernel::parts::looks::Looks;
use crate::kernel::parts::maintenance::{Maintenance, Windows};
use crate::kernel::parts::names::Names;
use crate::kernel::parts::queue::Queue;
use crate::kernel::parts::queued::Queued;
use crate::kernel::parts::requests::Requests;
use crate::kernel::parts::retries::RetryState;
use crate::kernel::parts::rules::Rules;
use crate::kernel::state::{BootContext, Kernel};
use crate::kernel::transition::JobState;
use crate::resources::allocation::Share;
use crate::resources::inventory::Inventory;
use crate::resources::ledger::{Ledger, LedgerRefused};
use crate::time::Time;

/// A live attempt as the database remembers it.
#[derive(Clone, Debug)]
pub struct PersistedAttempt {
    /// The job; `attempts` counts this one.
    pub job: Queued,
    /// The CPUs it holds.
    pub cpus: Vec<CpuId>,
    /// What else it holds.
    pub rest: Vec<Share>,
    /// When it was granted.
    pub granted: Time,
    /// Its process, once it was started.
    pub handle: Option<Handle>,
    /// Why it is being ended, if it is.
    pub completing: Option<EndReason>,
    /// Whether it is suspended, and for how long it was.
    pub suspension: Suspension,
    /// Signals that its supervisor may not have yet, in order.
    pub signals: Vec<EventId>,
}

/// Everything that outlives a server.
#[derive(Clone, Debug, Default)]
pub struct PersistedState {
    /// Pending jobs.
    pub pending: Vec<Queued>,
    /// What pending jobs wait for, of those that wait for anything.
    pub conditions: Vec<(JobId, Conditions)>,
    /// Families of pending singletons: their members that have not ended.
    pub singletons: Vec<(SingletonKey, Vec<JobId>)>,
    /// Arrays that are not over.
    pub arrays: Vec<(JobId, OpenArray)>,
    /// Which arrays they follow task by task, and how far those are.
    pub followed: Vec<(JobId, Vec<(JobId, ArrayProgress)>)>,
    /// What jobs go back into the queue with, of those that have any of it.
    pub retries: Vec<(JobId, RetryState)>,
    /// Whom room was made for, and when that was.
    pub claims: Vec<(Time, JobId)>,
    /// Times in which no job may run.
    pub maintenance: Vec<Maintenance>,
    /// Attempts that hold CPUs.
    pub live: Vec<PersistedAttempt>,
    /// What this server is divided into.
    pub rules: Rules,
    /// The words of the jobs above.
    pub names: Names,
    /// What the jobs above ask for beside CPUs.
    pub requests: Requests,
    /// Ended jobs by final state.
    pub ended: BTreeMap<StateWord, u64>,
    /// The next job id.
    pub next_job: i64,
    /// The next event id.
    pub next_event: i64,
}

impl Kernel {
    /// Takes up what the database remembers, over this inventory.
    ///
    /// # Errors
    /// When the database says that two attempts hold one unit.
    pub fn load(
        inventory: impl Into<Inventory>,
        boot_context: BootContext,
        mut persisted: PersistedState,
    ) -> Result<Kernel, LedgerRefused> {
        let mut ledger = Ledger::new(inventory);
        persisted.requests.over(ledger.inventory());
        persisted.rules.over(ledger.inventory());
        ledger.divide(persisted.rules.partitions.region_of().clone());
        let mut live = BTreeMap::new();
        for r in persisted.live {
            let attempt = Attempt { job: r.job.id, n: r.job.attempts };
            let allocation = ledger.adopt(attempt, r.cpus, &r.rest)?;
            let state = match (r.completing, r.handle) {
                (Some(why), handle) => JobState::Completing(allocation, why, handle),
                (None, Some(handle)) => JobState::Running(allocation, handle),
                (None, None) => JobState::Starting(allocation),
            };
            let PersistedAttempt { job, granted, suspension, signals, .. } = r;
            live.insert(job.id, Live { job, state, granted, suspension, signals });
        }
        let mut kernel = Kernel {
            ledger,
            queue: Queue::default(),
            live,
            boot_context,
            next_job: persisted.next_job.max(1),
            next_event: persisted.next_event.max(1),
            ended: persisted.ended,
            eligibility: Eligibility::default(),
            retries: persisted.retries.into_iter().collect(),
            arrays: Arrays::default(),
            claims: persisted.claims,
            maintenance: Windows::new(persisted.maintenance),
            rules: persisted.rules,
            several: BTreeMap::new(),
            names: persisted.names,
            requests: persisted.requests,
            looks: Looks::default(),
            entering: HashMap::new(),
            unstored: HashSet::new(),
            allocations: 0,
            releases: 0,
            stale_facts: 0,
        };
        kernel.claims.sort_unstable();
        kernel.take_up_accounts();
        for (family, members) in persisted.singletons {
            kernel.eligibility.join(&family, members);
        }
        for (id, array) in persisted.arrays {
            kernel.arrays.load(id, array);
        }
        for (id, followed) in persisted.followed {
            kernel.arrays.follow(id, &followed);
        }
        for (job, conditions) in persisted.conditions {
            kernel.eligibility.register(job, conditions);
        }
        for job in persisted.pending {
            // Whoever waits for a time is seen once that is looked at.
            kernel.enqueue(job, job.submitted);
        }
        Ok(kernel)
    }

    /// What runs counts from when it was granted, or from the last charge if that is later.
    fn take_up_accounts(&mut self) {
        let mut running: Vec<&Live> = self.live.values().collect();
        running.sort_by_key(|live| live.granted);
        for live in running {
            let asked = self.requests.demand(&live.job);
            self.rules.started(&live.job, &asked, live.granted);
        }
    }
}
