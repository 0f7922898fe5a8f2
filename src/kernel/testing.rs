//! *Purpose*: kernels as tests say them.
//!
//! *Owns*: [`KernelBuilder`], and what tests do with every kernel: jobs enter it, attempts of it
//! exit, another server takes it up.
//!
//! *Promises*: what a test does not say is a default. Jobs pass the door that all jobs pass. What
//! cannot be is a panic in the line of the test that asked for it.
//!
//! *Not here*: one job (`kernel::testing::job`), an engine for tests (`engine::fake`).

pub mod job;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::job::ids::{CpuId, JobId};
use crate::job::outcome::{Exit, ExitCode, Handle, Usage};
use crate::job::request::MEMORY;
use crate::job::state::StateWord;
use crate::job::suspension::Suspension;
use crate::kernel::access::{Action, Caller, Origin, Permitted, Role, Via, may_at_all};
use crate::kernel::admission::{Site, SiteMemory};
use crate::kernel::change::Effect;
use crate::kernel::parts::accounts::Accounts;
use crate::kernel::parts::eligibility::DependencySnapshot;
use crate::kernel::parts::limits::{AccountRule, AccountRules};
use crate::kernel::parts::queued::Queued;
use crate::kernel::parts::rules::Rules;
use crate::kernel::restore::{PersistedAttempt, PersistedState};
use crate::kernel::state::{BootContext, Kernel};
use crate::kernel::transition::JobState;
use crate::resources::allocation::{Held, Share};
use crate::resources::inventory::{Inventory, Resource};
use crate::resources::partitions::{Partition, Partitions};
use crate::time::Time;

use self::job::JobBuilder;

/// An administrator of a server of one user, by this name.
#[must_use]
pub fn caller(name: &str) -> Caller {
    Caller {
        uid: None,
        name: name.into(),
        acts_as: None,
        role: Role::Admin,
        coordinates: BTreeSet::new(),
        sees_own_only: false,
        via: Via::Socket,
        origin: Origin::default(),
    }
}

/// He may.
///
/// # Panics
/// When an administrator may not submit.
impl From<&str> for Permitted {
    fn from(name: &str) -> Permitted {
        may_at_all(&Arc::new(caller(name)), Action::Submit).expect("an administrator may")
    }
}

/// A kernel in the making: it has no CPUs and no jobs until a test says so.
#[derive(Debug)]
pub struct KernelBuilder {
    inventory: Inventory,
    boot_context: BootContext,
    state: PersistedState,
}

impl Default for KernelBuilder {
    fn default() -> KernelBuilder {
        KernelBuilder::of(PersistedState::default())
    }
}

impl KernelBuilder {
    /// One of a database that remembers nothing.
    #[must_use]
    pub fn new() -> KernelBuilder {
        KernelBuilder::default()
    }

    /// One of a database that remembers this.
    #[must_use]
    pub fn of(state: PersistedState) -> KernelBuilder {
        let boot_context = BootContext { boot_id: "boot".into(), nonce: "nonce".into() };
        KernelBuilder { inventory: Inventory::default(), boot_context, state }
    }

    /// So many CPUs, from 0.
    #[must_use]
    pub fn cpus(mut self, cpus: u32) -> KernelBuilder {
        let memory = self.inventory.get(MEMORY).and_then(Resource::total);
        self.inventory = Inventory::of((0..cpus).map(CpuId), memory);
        self
    }

    /// So many bytes of memory; `None`: it is not counted.
    #[must_use]
    pub fn memory(mut self, bytes: impl Into<Option<u64>>) -> KernelBuilder {
        self.inventory = Inventory::of(self.inventory.cpus(), bytes.into());
        self
    }

    /// All that there is to hand out, in place of CPUs and memory.
    #[must_use]
    pub fn inventory(mut self, inventory: Inventory) -> KernelBuilder {
        self.inventory = inventory;
        self
    }

    /// Another reign than that of every test.
    #[must_use]
    pub fn boot_context(mut self, boot_context: BootContext) -> KernelBuilder {
        self.boot_context = boot_context;
        self
    }

    /// All rules at once.
    #[must_use]
    pub fn rules(mut self, rules: Rules) -> KernelBuilder {
        self.state.rules = rules;
        self
    }

    /// What the machine is divided into.
    #[must_use]
    pub fn partitions(mut self, partitions: &Arc<Partitions>) -> KernelBuilder {
        self.state.rules.partitions = Arc::clone(partitions);
        self
    }

    /// What this account may have.
    #[must_use]
    pub fn account(mut self, name: &str, rule: AccountRule) -> KernelBuilder {
        let accounts = &self.state.rules.accounts;
        let mut rules = AccountRules::clone(accounts.rules());
        rules.named.insert(name.to_owned(), rule);
        self.state.rules.accounts = Accounts::new(Arc::new(rules), accounts.half_life_s());
        self
    }

    /// What this user may have.
    #[must_use]
    pub fn user(mut self, name: &str, rule: AccountRule) -> KernelBuilder {
        let mut rules = AccountRules::clone(self.state.rules.users.rules());
        rules.named.insert(name.to_owned(), rule);
        self.state.rules.users = Accounts::new(Arc::new(rules), None);
        self
    }

    /// This job waits.
    #[must_use]
    pub fn waits(mut self, id: i64, job: JobBuilder) -> KernelBuilder {
        let (job, _) = self.queued(id, job);
        self.state.pending.push(job);
        self
    }

    /// The first attempt of this job is about to start on these CPUs. It holds the memory that it
    /// asks for.
    #[must_use]
    pub fn holds(
        mut self,
        id: i64,
        job: JobBuilder,
        cpus: impl IntoIterator<Item = u32>,
    ) -> KernelBuilder {
        let (job, memory) = self.queued(id, job);
        let share = |amount| Share { resource: MEMORY.into(), held: Held::Amount(amount) };
        self.state.live.push(PersistedAttempt {
            job: Queued { attempts: 1, ..job },
            cpus: cpus.into_iter().map(CpuId).collect(),
            rest: memory.map(share).into_iter().collect(),
            granted: Time(0),
            handle: None,
            completing: None,
            suspension: Suspension::default(),
            signals: Vec::new(),
        });
        self
    }

    /// The job of this id has ended so.
    #[must_use]
    pub fn over(mut self, id: i64, word: StateWord) -> KernelBuilder {
        *self.state.ended.entry(word).or_default() += 1;
        self.given_out(id);
        self
    }

    /// The kernel.
    ///
    /// # Panics
    /// When two attempts hold one CPU.
    #[must_use]
    #[track_caller]
    pub fn build(self) -> Kernel {
        let kernel = Kernel::load(self.inventory, self.boot_context, self.state);
        kernel.expect("no two attempts hold one unit")
    }

    /// The job as the queue knows it, and the memory that it asks for.
    fn queued(&mut self, id: i64, job: JobBuilder) -> (Queued, Option<u64>) {
        self.given_out(id);
        let (spec, state) = (job.spec(), &mut self.state);
        let job = Queued {
            rest: state.requests.number(&spec.beside_cpus()),
            names: state.names.number(&spec.partition, &spec.account, spec.counted_user()),
            ..Queued::submitted(JobId(id), &spec, Time(0))
        };
        let words = (&*spec.partition, &*spec.account, spec.counted_user());
        let job = state.rules.certain_seat(words).of(job);
        (job, spec.memory_bytes.and_then(|bytes| bytes.try_into().ok()))
    }

    fn given_out(&mut self, id: i64) {
        self.state.next_job = self.state.next_job.max(id + 1);
    }
}

impl Kernel {
    /// These jobs are submitted and stored, and enter the queue.
    ///
    /// # Panics
    /// When this kernel could never run one of them.
    #[track_caller]
    pub fn enter(&mut self, jobs: impl IntoIterator<Item = JobBuilder>, now: Time) -> Vec<JobId> {
        let inventory = self.ledger().inventory().clone();
        let site = Site {
            total_cpus: inventory.cpus().count() as u32,
            memory: SiteMemory {
                total: inventory.get(MEMORY).and_then(Resource::total),
                per_cpu: None,
            },
            inventory: Arc::new(inventory),
            partitions: Arc::clone(&self.rules().partitions),
            ..Site::default()
        };
        let mut specs = Vec::new();
        for job in jobs {
            specs.push(job.spec_on(&site));
        }
        let (ids, step) = self.submit(specs, &DependencySnapshot::default(), &"me".into(), now);
        self.made_durable(step.effects);
        ids
    }

    /// A submission that had these effects is durable.
    pub fn made_durable(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Stored(jobs) => self.stored(&jobs),
                Effect::Admit(jobs) => self.admit(jobs),
                _ => {}
            }
        }
    }

    /// Jobs whose submissions are not durable, although they are in the queue or run.
    #[must_use]
    pub fn unstored(&self) -> Vec<JobId> {
        let mut jobs: Vec<JobId> = self.unstored.iter().copied().collect();
        jobs.sort_unstable();
        jobs
    }

    /// The submissions of these are not durable.
    pub fn set_unstored(&mut self, jobs: Vec<JobId>) {
        self.unstored = jobs.into_iter().collect();
    }

    /// What a database would hold of this kernel, except what its jobs wait for.
    #[must_use]
    pub fn remembered(&self, now: Time) -> PersistedState {
        let rules = self.rules();
        let accounts = rules.accounts.under(&rules.accounts, now);
        let users = rules.users.under(&rules.users, now);
        let mut rules = Rules { accounts, users, ..rules.clone() };
        // Numbers of partitions and accounts end with a server, their names do not.
        let mut seated = |job: &Queued| match self.names.get(job.names) {
            None => *job,
            Some(words) => {
                let words = (&*words.partition, &*words.account, &*words.user);
                let seated = rules.certain_seat(words).of(*job);
                // Of several that it lists the row of one that runs names the one that was chosen.
                match self.lists_several(job) {
                    true => Queued { placement: job.placement, ..seated },
                    false => seated,
                }
            }
        };
        let pending = self.queue().iter().map(&mut seated).collect();
        let live = self.live().values().map(|live| PersistedAttempt {
            job: seated(&live.job),
            cpus: live.state.allocation().map_or_else(Vec::new, |a| a.cpus().to_vec()),
            rest: live.state.allocation().map_or_else(Vec::new, |a| a.rest().to_vec()),
            granted: live.granted,
            handle: live.state.handle(),
            completing: match &live.state {
                JobState::Completing(_, why, _) => Some(*why),
                _ => None,
            },
            suspension: live.suspension,
            signals: live.signals.clone(),
        });
        let live = live.collect();
        PersistedState {
            pending,
            arrays: self.arrays().iter().map(|(id, array)| (id, array.clone())).collect(),
            retries: self.retries().iter().map(|(job, state)| (*job, state.clone())).collect(),
            claims: self.claims().to_vec(),
            live,
            rules,
            names: self.names.clone(),
            requests: self.requests().clone(),
            ended: self.ended.clone(),
            next_job: self.next_job,
            next_event: self.next_event,
            ..PersistedState::default()
        }
    }
}

/// A script has exited with this code, by itself.
#[must_use]
pub fn exit(code: u8, now: Time) -> Exit {
    Exit {
        exit_code: Some(ExitCode { code, signal: 0 }),
        stop: None,
        handle: Some(Handle { pid: 1, start_time: now }),
        end_time: now,
        usage: Usage::default(),
        out_of_memory: None,
        left_behind: Vec::new(),
    }
}

/// A partition that is up and allows everything.
pub fn partition(name: &str, cpus: impl IntoIterator<Item = u32>) -> Partition {
    let cpus = cpus.into_iter().map(CpuId).collect();
    Partition { name: name.into(), cpus, up: true, ..Partition::default() }
}
