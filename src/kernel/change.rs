//! *Purpose*: what a step of the kernel leads to: changes to remember, effects to cause.
//!
//! *Owns*: [`Change`], [`Effect`], [`Step`]; what changes are about: [`PastAttempt`].
//!
//! *Promises*: the changes of one step are never split across two commits; effects happen
//! only after the commit that holds their step.
//!
//! *Not here*: SQL (`store::body::write`), who causes the effects (`actors::resource_manager`).

use std::sync::Arc;

use crate::job::array_spec::ArraySpec;
use crate::job::dependency::Told;
use crate::job::edit::Edit;
use crate::job::ids::{Attempt, CpuId, EventId, JobId, UnitId};
use crate::job::outcome::{EndState, Handle};
use crate::job::signal::Signal;
use crate::job::spec::JobSpec;
use crate::job::state::{AttemptEnd, EndReason, Hold, StateWord};
use crate::job::step::Step as JobStep;
use crate::job::suspension::Suspension;
use crate::job::usage_series::UsageSeries;
use crate::kernel::access::{Permitted, Principal};
use crate::kernel::parts::maintenance::Maintenance;
use crate::kernel::parts::queued::Queued;
use crate::kernel::parts::samples::Sample;
use crate::kernel::token::Token;
use crate::resources::allocation::{Released, Share};
use crate::time::Time;

/// One transition of one job, as `events` keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its durable sequence number.
    pub id: EventId,
    /// The job.
    pub job: JobId,
    /// Its attempt, 0 before the first.
    pub attempt: u32,
    /// When.
    pub time: Time,
    /// From which state; `None` for a submission.
    pub from: Option<StateWord>,
    /// Into which state.
    pub to: StateWord,
    /// The fact behind it.
    pub cause: &'static str,
    /// Who wanted it.
    pub principal: Principal,
}

/// A client's name for a submission, so that a repeated request finds the first one's jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The client's text.
    pub key: Arc<str>,
    /// SHA-256 of the body, hex.
    pub body_hash: Arc<str>,
    /// First id of the consecutive ids given out.
    pub first: JobId,
    /// How many.
    pub count: u32,
    /// When.
    pub time: Time,
}

/// How an attempt ended that somebody asked to run again, in the attempts of its job.
pub const REQUEUED: &str = AttemptEnd::REQUEUED;
/// How an attempt ended that made room for another job, in the attempts of its job.
pub const PREEMPTED: &str = AttemptEnd::PREEMPTED;
/// The word of an attempt whose owner nobody could name.
pub const USER_UNKNOWN: &str = AttemptEnd::USER_UNKNOWN;

/// An attempt that is over while its job is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastAttempt {
    /// How it ended: [`REQUEUED`], [`PREEMPTED`], [`USER_UNKNOWN`], or the word that its job would
    /// have ended with.
    pub state: &'static str,
    /// The rest of its end.
    pub end: EndState,
    /// What it gave back.
    pub released: Released,
}

/// A request that changed something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// When.
    pub time: Time,
    /// Who, and from where.
    pub by: Permitted,
    /// What he asked for, a word.
    pub verb: &'static str,
    /// The first of the jobs that it was about.
    pub target: Option<JobId>,
    /// How many jobs, in a row.
    pub count: u32,
    /// What else there is to say.
    pub detail: String,
}

/// One thing to remember. The event of a change is committed with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A job was accepted.
    Submitted {
        /// Its first event.
        event: Event,
        /// What it is.
        spec: Arc<JobSpec>,
    },
    /// Who asked for the other changes of this step.
    Asked(Box<Asked>),
    /// A client's key belongs to these jobs.
    Key(IdempotencyKey),
    /// An attempt got CPUs and is ordered to start.
    Granted {
        /// PENDING → RUNNING.
        event: Event,
        /// The CPUs.
        cpus: Vec<CpuId>,
        /// What else it got.
        rest: Vec<Share>,
        /// In which partition, of a job that lists several.
        partition: Option<Arc<str>>,
        /// Part of the attempt's key to the engine.
        nonce: Arc<str>,
        /// The boot during which it was granted.
        boot_id: Arc<str>,
    },
    /// The script was spawned.
    Started {
        /// RUNNING → RUNNING.
        event: Event,
        /// Its process.
        handle: Handle,
        /// From submission to spawn, µs; for the histogram, not stored.
        waited_us: i64,
    },
    /// A task of an array became a job of its own.
    Split {
        /// The new job's first event; the last task takes the array's own job over, PENDING →
        /// PENDING.
        event: Event,
        /// The array.
        array: JobId,
        /// Which task.
        task: u32,
        /// The tasks of it that are left.
        left: ArraySpec,
        /// When the array was submitted.
        submitted: Time,
    },
    /// What a pending job was told of those that it waits for, which the database would soon no
    /// longer know.
    Told {
        /// The pending job.
        job: JobId,
        /// All that it was told.
        told: Told,
    },
    /// A live attempt says this of one of its steps.
    StepNoted {
        /// Which.
        attempt: Attempt,
        /// What it says.
        step: Arc<JobStep>,
    },
    /// Somebody changed a job that is not over.
    Edited {
        /// From its state to the same.
        event: Event,
        /// What is different.
        edit: Box<Edit>,
    },
    /// A running attempt is sent a signal; the event is its number.
    Signalled {
        /// RUNNING → RUNNING.
        event: Event,
        /// Which, and to whom.
        signal: Signal,
        /// Those before this number have reached its supervisor.
        given: EventId,
    },
    /// A running attempt is suspended, or goes on.
    Suspended {
        /// RUNNING → RUNNING.
        event: Event,
        /// From now on.
        suspension: Suspension,
    },
    /// A live attempt is being ended.
    Completing {
        /// → COMPLETING.
        event: Event,
        /// Why.
        reason: EndReason,
    },
    /// The job is over; the CPUs that it held are given back in the same change.
    Ended {
        /// → a final state.
        event: Event,
        /// How.
        end: EndState,
        /// What it gave back; nothing when it held nothing.
        released: Released,
        /// From submission to spawn, µs, when the start was first heard of with the end; for
        /// the histogram, not stored.
        waited_us: Option<i64>,
    },
    /// A job waits again; the CPUs that its attempt held are given back in the same change.
    Requeued {
        /// RUNNING, COMPLETING or a final state → PENDING.
        event: Event,
        /// How the attempt ended; `None` when the job was over already.
        past: Option<PastAttempt>,
        /// Not before.
        begin: Option<Time>,
        /// Whether somebody has to release it.
        held: Hold,
        /// Retries by its policy so far.
        retries: u32,
        /// All partitions that it waits for again, of a job that lists several.
        partition: Option<Arc<str>>,
    },
    /// A job that is over, or never was, held CPUs in the database: they are given back there.
    Reclaimed {
        /// The job.
        job: JobId,
        /// The units that the database said it held, by resource.
        units: Vec<(Arc<str>, UnitId)>,
        /// When.
        time: Time,
    },
    /// The database did not have the CPUs of a live attempt as the ledger has them: it is told
    /// again.
    Restored {
        /// The attempt.
        attempt: Attempt,
        /// The CPUs that it holds.
        cpus: Vec<CpuId>,
        /// What else it holds.
        rest: Vec<Share>,
    },
    /// Room was made for a job, or it no longer has a claim to that.
    Claimed {
        /// The job.
        job: JobId,
        /// When; `None`: no longer.
        since: Option<Time>,
    },
    /// In this time no job may run.
    Maintained(Maintenance),
    /// These windows are over.
    Resumed(Vec<i64>),
    /// A user has one more token.
    TokenMade(Box<Token>),
    /// Tokens of these numbers are no more.
    TokensRevoked(Vec<String>),
    /// An account has used so much. Only where usage is shared.
    Charged {
        /// Its name.
        account: Arc<str>,
        /// CPU-µs, decayed.
        cpu_us: i64,
        /// As of when.
        at: Time,
    },
    /// A minute is over.
    Sampled(Sample),
    /// What an attempt used while it ran; in the place of what was kept of it before.
    UsageKept {
        /// Which.
        attempt: Attempt,
        /// As measured.
        series: Arc<UsageSeries>,
    },
    /// Ended jobs are forgotten: rows, script, events, allocations.
    Forgotten {
        /// The jobs.
        jobs: Vec<JobId>,
    },
}

impl Change {
    /// The event of this change, if it is a transition.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        match self {
            Change::Asked(_)
            | Change::Key(_)
            | Change::Maintained(_)
            | Change::Resumed(_)
            | Change::TokenMade(_)
            | Change::TokensRevoked(_)
            | Change::Charged { .. }
            | Change::Claimed { .. }
            | Change::Told { .. }
            | Change::StepNoted { .. }
            | Change::Reclaimed { .. }
            | Change::Restored { .. }
            | Change::Sampled(_)
            | Change::UsageKept { .. }
            | Change::Forgotten { .. } => None,
            Change::Submitted { event, .. }
            | Change::Granted { event, .. }
            | Change::Split { event, .. }
            | Change::Edited { event, .. }
            | Change::Signalled { event, .. }
            | Change::Suspended { event, .. }
            | Change::Started { event, .. }
            | Change::Completing { event, .. }
            | Change::Requeued { event, .. }
            | Change::Ended { event, .. } => Some(event),
        }
    }
}

/// Something to do once the step is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The submissions of these jobs, which are in the kernel's queue or have been granted what
    /// they ask for, are durable.
    Stored(Vec<JobId>),
    /// These jobs enter the kernel's queue.
    Admit(Vec<Queued>),
    /// Start this attempt.
    Launch(Attempt),
    /// End this attempt: TERM, grace, KILL.
    Stop(Attempt),
    /// Tell this attempt's supervisor the time limit that its job has now, and whether it is
    /// suspended.
    Adjust(Attempt),
    /// Hand this attempt's signals to its supervisor.
    Signal(Attempt),
    /// This attempt's end is durable; its spool may go.
    Retire(Attempt),
    /// The last task of this array has ended.
    Over(JobId),
}

/// What one command or fact leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// To remember, in one transaction.
    pub changes: Vec<Change>,
    /// To do afterwards.
    pub effects: Vec<Effect>,
}
