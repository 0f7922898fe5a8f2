//! *Purpose*: what actors say to each other.
//!
//! *Owns*: one struct per message, its reply, and when the reply comes.
//!
//! *Promises*: commands are imperative, facts are past tense, hints are short; commands and
//! facts are answered after the commit; all facts about an attempt travel as [`Observed`], since
//! daily life, sweep and boot make them by the same function.
//!
//! *Not here*: who handles them (the other files of this room).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actix::{Message, Recipient};
use tokio::sync::oneshot;

pub use super::audit::{Drift, Report};
use super::dials::Dials;
use crate::job::array_spec::JobRef;
use crate::job::edit::Edit;
use crate::job::ids::{Attempt, CommitNo, EventId, JobId, UnitId};
use crate::job::signal::Signal;
use crate::job::spec::JobSpec;
use crate::job::state::Hold;
use crate::job::step::Step;
use crate::job::usage_series::UsageSeries;
use crate::kernel::access::Permitted;
use crate::kernel::commands::cancel::Cancelled;
use crate::kernel::commands::edit::Edited;
use crate::kernel::commands::forget::Old;
use crate::kernel::commands::reconfigure::RulesRefused;
use crate::kernel::commands::repair::Findings;
use crate::kernel::commands::requeue::{EndedJob, Requeued};
use crate::kernel::commands::signal::Signalled;
use crate::kernel::commands::suspend::Suspended;
use crate::kernel::outbox::Commit;
use crate::kernel::parts::eligibility::DependencySnapshot;
use crate::kernel::parts::limits::TooMany;
use crate::kernel::parts::maintenance::{Maintenance, MaintenanceRefused};
use crate::kernel::parts::rules::Rules;
use crate::kernel::token::Token;
use crate::kernel::transition::Fact;
use crate::kernel::views::dependents::{Awaited, Dependents};
use crate::kernel::views::explain::Explained;
use crate::kernel::views::limits::Standing;
use crate::kernel::views::partitions::PartitionNow;
use crate::kernel::views::payers::{PayerNow, PayersBy};
use crate::kernel::views::rank::QueuePosition;
use crate::policy::input::PassInput;
use crate::policy::name::Policy;
use crate::policy::plan::Plan;
use crate::store::record::AllocationRecord;
use crate::store::write::{CommitError, Launches};
use crate::time::Time;

/// serve → ResourceManager: these rules and dials are in force from now on, or nothing changes.
/// Answered at once.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), RulesRefused>")]
pub struct Reconfigure {
    /// What the kernel decides by.
    pub rules: Rules,
    /// What others look up.
    pub dials: Dials,
}

/// A client's key for a submission, looked up at a commit and not found.
#[derive(Clone, Debug)]
pub struct KeyAsked {
    /// The client's text.
    pub key: Arc<str>,
    /// SHA-256 of the body, hex.
    pub body_hash: Arc<str>,
    /// The commit at which the table did not have it.
    pub read_at: CommitNo,
}

/// api → ResourceManager: accept these jobs, all or none. Answered after the commit.
#[derive(Debug, Message)]
#[rtype(result = "Result<Submitted, SubmitRefused>")]
pub struct SubmitJobs {
    /// Checked jobs.
    pub specs: Vec<Arc<JobSpec>>,
    /// What is known of the jobs that they wait for.
    pub elsewhere: DependencySnapshot,
    /// The client's key, if it sent one.
    pub key: Option<KeyAsked>,
    /// Who may.
    pub by: Permitted,
}

/// Jobs that are durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Their ids, in the order of their specs.
    pub ids: Vec<JobId>,
    /// When they were submitted.
    pub time: Time,
    /// Where it is one: what the commit that stored it has granted it, if anything, and in which
    /// of several partitions.
    pub granted: Option<Box<(AllocationRecord, Option<String>)>>,
}

/// Why nothing was submitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitRefused {
    /// The key, or the end of a job that is waited for, may be in the database by now: read again
    /// at this commit or later.
    #[error("look again")]
    LookAgain(CommitNo),
    /// The database could not take it; nothing is stored.
    #[error("nothing stored: {0}")]
    NothingStored(String),
    /// The account or the user of the job at this place may not have so much waiting.
    #[error("nothing stored: {}", .1.sentence)]
    TooMany(usize, TooMany),
    /// The server is going down.
    #[error("the server is stopping; nothing stored")]
    Stopping,
}

/// api → ResourceManager: end these jobs. Answered after the commit, in the same order.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Cancelled>")]
pub struct CancelJobs {
    /// Which.
    pub jobs: Vec<JobId>,
    /// Who may.
    pub by: Permitted,
}

/// api → ResourceManager: change a job. Answered after the commit.
#[derive(Debug, Message)]
#[rtype(result = "Result<UpdateAnswer, NotDurable>")]
pub struct UpdateJob {
    /// Which.
    pub job: JobId,
    /// What is to be different.
    pub edit: Edit,
    /// What the database knows of the jobs that it is to wait for.
    pub elsewhere: DependencySnapshot,
    /// Who may.
    pub by: Permitted,
}

/// api → ResourceManager: what would become of a job that were changed so? Answered at once.
#[derive(Debug, Message)]
#[rtype(result = "WouldUpdate")]
pub struct TryUpdate {
    /// The change.
    pub update: UpdateJob,
    /// By which policy it would stand in line.
    pub policy: Policy,
}

/// What would become of it.
#[derive(Debug)]
pub enum WouldUpdate {
    /// This, and so it would wait.
    Edited(Edited, Box<Explained>),
    /// As [`UpdateAnswer::LookAgain`].
    LookAgain(CommitNo),
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpdateAnswer {
    /// This.
    Edited(Edited),
    /// Of a job that it is to wait for nobody knows now how it stands: read again at this commit
    /// or later.
    LookAgain(CommitNo),
}

/// api → ResourceManager: run this job again. Answered after the commit.
#[derive(Debug, Message)]
#[rtype(result = "Result<RequeueAnswer, NotDurable>")]
pub struct RequeueJob {
    /// Which.
    pub job: JobId,
    /// The job as it was read, if it was over, and at which commit.
    pub over: Option<(EndedJob, CommitNo)>,
    /// Whether it then waits until somebody releases it.
    pub hold: Hold,
    /// Who may.
    pub by: Permitted,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequeueAnswer {
    /// This.
    Done(Requeued),
    /// What was read may no longer be true: read again at this commit or later.
    LookAgain(CommitNo),
}

/// api → ResourceManager: send a signal to a job. Answered after the commit.
#[derive(Debug, Message)]
#[rtype(result = "Result<Signalled, NotDurable>")]
pub struct SignalJob {
    /// Which.
    pub job: JobId,
    /// Whether it is an array, all of whose tasks are meant.
    pub whole: bool,
    /// What is sent, and to whom of it.
    pub signal: Signal,
    /// Who may.
    pub by: Permitted,
}

/// api → ResourceManager: suspend a job, or let it go on. Answered after the commit.
#[derive(Debug, Message)]
#[rtype(result = "Result<Suspended, NotDurable>")]
pub struct SuspendJob {
    /// Which.
    pub job: JobId,
    /// Whether it is an array, all of whose tasks are meant.
    pub whole: bool,
    /// Whether it shall be suspended.
    pub suspend: bool,
    /// Who may.
    pub by: Permitted,
}

/// api → ResourceManager: a job says this of one of its steps. Answered after the commit, with the
/// attempt that it is of; `None` when that does not live.
#[derive(Debug, Message)]
#[rtype(result = "Result<Option<Attempt>, NotDurable>")]
pub struct NoteStep {
    /// Which job.
    pub job: JobId,
    /// Which of its attempts; the one that lives without.
    pub attempt: Option<u32>,
    /// What it says.
    pub step: Arc<Step>,
}

/// UsageWatch → ResourceManager: keep what an attempt used.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct KeepUsage {
    /// Which.
    pub attempt: Attempt,
    /// As measured.
    pub series: Arc<UsageSeries>,
}

/// serve → UsageWatch: the server stops; have kept what there is of all that live. Answered when
/// that is decided, not when it is durable.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct KeepAllUsage;

/// api → UsageWatch: what a live attempt used so far; `None` when it does not live, or was not
/// measured yet.
#[derive(Debug, Message)]
#[rtype(result = "Option<UsageSeries>")]
pub struct GetUsage(pub Attempt);

/// api → ResourceManager: end one task of an array. Answered after the commit, with one outcome.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Cancelled>")]
pub struct CancelTask {
    /// The array.
    pub array: JobId,
    /// Which task.
    pub task: u32,
    /// Who may.
    pub by: Permitted,
}

/// api → ResourceManager: a task of an array that has not started is to be a job of its own.
/// Answered after the commit with that job; `None` when it is neither left nor a job.
#[derive(Debug, Message)]
#[rtype(result = "Result<Option<JobId>, NotDurable>")]
pub struct SplitTask {
    /// The array.
    pub array: JobId,
    /// Which task.
    pub task: u32,
    /// Who may.
    pub by: Permitted,
}

/// api → ResourceManager: no job may run in this time. Answered after the commit.
#[derive(Debug, Message)]
#[rtype(result = "Result<Result<Maintenance, MaintenanceRefused>, NotDurable>")]
pub struct Maintain {
    /// From when on, and until when; `None` until somebody resumes.
    pub when: (Time, Option<Time>),
    /// What for.
    pub reason: Arc<str>,
    /// Who may.
    pub by: Permitted,
}

/// api → ResourceManager: these windows are over, or all that have begun. Answered after the
/// commit, with those that there were.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<Maintenance>, NotDurable>")]
pub struct Resume {
    /// Which.
    pub which: Option<Vec<i64>>,
    /// Who may.
    pub by: Permitted,
}

/// api → ResourceManager: a user has one more token. Answered after the commit.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), NotDurable>")]
pub struct MakeToken {
    /// What is kept of it.
    pub token: Token,
    /// Who may.
    pub by: Permitted,
}

/// api → ResourceManager: this token opens nothing any more. Answered after the commit.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), NotDurable>")]
pub struct RevokeToken {
    /// Its number.
    pub id: String,
    /// Who may.
    pub by: Permitted,
}

/// api → ResourceManager: a browser is let in. Answered after the commit.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), NotDurable>")]
pub struct NoteSignIn {
    /// How far that is, a word.
    pub verb: &'static str,
    /// By what.
    pub detail: String,
    /// Who may.
    pub by: Permitted,
}

/// api → ResourceManager: why do these jobs wait? Answered at once.
#[derive(Debug, Message)]
#[rtype(result = "Explained")]
pub struct Explain {
    /// Which; of one array only one task at a time.
    pub jobs: Vec<JobRef>,
    /// By which policy.
    pub policy: Policy,
    /// And this one, if it were submitted now: it is answered under [`DRY_RUN_ID`].
    pub as_if: Option<(Arc<JobSpec>, DependencySnapshot)>,
}

/// api → ResourceManager: how do the partitions stand? Answered at once.
#[derive(Debug, Message)]
#[rtype(result = "Vec<PartitionNow>")]
pub struct GetPartitions;

/// api → ResourceManager: what has this user, and what may he have? Answered at once.
#[derive(Debug, Message)]
#[rtype(result = "Standing")]
pub struct GetStanding {
    /// His name.
    pub user: Arc<str>,
}

/// api → ResourceManager: what have all accounts, or all users? Answered at once.
#[derive(Debug, Message)]
#[rtype(result = "Vec<PayerNow>")]
pub struct GetPayers(pub PayersBy);

/// api → ResourceManager: where does this job stand in the line? `None` when it does not wait.
/// Answered at once.
#[derive(Debug, Message)]
#[rtype(result = "Option<QueuePosition>")]
pub struct GetRank {
    /// Which.
    pub job: JobId,
    /// By this policy.
    pub policy: Policy,
}

/// api → ResourceManager: who waits for this? Answered at once.
#[derive(Debug, Message)]
#[rtype(result = "Dependents")]
pub struct GetDependents(pub Awaited);

/// The id under which a job is explained that was not submitted: behind all others.
pub const DRY_RUN_ID: JobId = JobId(i64::MAX);

/// SchedulerActor → ResourceManager: what is there to decide upon? Answered at once.
#[derive(Debug, Message)]
#[rtype(result = "PassInput")]
pub struct GetPassInput {
    /// By this policy.
    pub policy: Policy,
}

/// SchedulerActor → ResourceManager: start these. Answered after the commit.
#[derive(Debug, Message)]
#[rtype(result = "Applied")]
pub struct ApplyPlan {
    /// The plan, empty when a pass found nothing to start.
    pub plan: Plan,
}

/// What became of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, actix::MessageResponse)]
pub struct Applied {
    /// Jobs that got CPUs.
    pub started: u32,
    /// Entries that no longer waited or no longer fitted.
    pub stale: u32,
}

/// ResourceManager → SchedulerActor: a pass may find something.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Wake;

/// The server stops before this became durable: the next one observes, audits, forgets again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server is stopping")]
pub struct NotDurable;

/// ExecutorActor → ResourceManager: this happened to this attempt. Answered after the commit;
/// a doubled or late fact is answered too.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), NotDurable>")]
pub struct Observed {
    /// Which attempt.
    pub attempt: Attempt,
    /// What happened.
    pub fact: Fact,
}

/// ResourceManager → ExecutorActor: end your attempt.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct StopAttempt;

/// ResourceManager → ExecutorActor: your job's time limit has become another; the database has it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AdjustAttempt;

/// ResourceManager → ExecutorActor: your attempt is sent a signal; the database has it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SignalAttempt;

/// ResourceManager → ExecutorActor: look at your attempt now.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Look;

/// Both ends of an executor that the resource manager holds.
#[derive(Clone, Debug)]
pub struct ExecutorAddr {
    /// To end the attempt.
    pub stop: Recipient<StopAttempt>,
    /// To change its limit.
    pub adjust: Recipient<AdjustAttempt>,
    /// To send it a signal.
    pub signal: Recipient<SignalAttempt>,
    /// To look at it.
    pub look: Recipient<Look>,
}

/// ExecutorActor → ResourceManager: its supervisor has the signals of this attempt up to this one.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SignalsGiven {
    /// Which attempt.
    pub attempt: Attempt,
    /// The last.
    pub last: EventId,
}

/// RecoveryActor → ResourceManager: every live attempt shall have an executor, and each shall
/// look. Boot and sweep are this one message. Answers of which attempts executors were made.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Attempt>")]
pub struct LookAtAll;

/// RecoveryActor → ResourceManager: an audit found this; act on it. Until the first of these
/// nothing is scheduled. Answered after the commit.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), NotDurable>")]
pub struct Mend(pub Findings);

/// ResourceManager → DeviceWatch: look who uses units, but for these, which jobs hold.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct LookAtUnits(pub BTreeSet<UnitId>);

/// DeviceWatch → ResourceManager: these units are not to be given, each for its reason.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Looked(pub BTreeMap<UnitId, Arc<str>>);

/// RecoveryActor → ResourceManager: these ended jobs are old: forget them. Answered after the
/// commit.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), NotDurable>")]
pub struct ForgetJobs {
    /// Which.
    pub jobs: Vec<Old>,
    /// The commit at which they were found to be so.
    pub read_at: CommitNo,
}

/// ResourceManager → StoreWriter: make this durable. Answered after COMMIT, with what its launches
/// need.
#[derive(Debug, Message)]
#[rtype(result = "Result<Launches, CommitError>")]
pub struct MakeDurable(pub Commit);

/// api → ResourceManager, StoreWriter: whether it moves; the answer alone counts.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Move;

/// RecoveryActor → StoreWriter: small, idempotent housekeeping between commits.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct DoChores {
    /// What was asked for before then is forgotten.
    pub forget_before: Option<Time>,
}

/// ResourceManager → EventHub: this is durable now.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Publish {
    /// The last event of the commit.
    pub last_event: EventId,
    /// Jobs whose state changed.
    pub changed: Vec<JobId>,
}

/// api → EventHub: tell me when this job's state changes. Register first, then read the row.
#[derive(Debug, Message)]
#[rtype(result = "Changes")]
pub struct Await {
    /// Which job.
    pub job: JobId,
}

/// Resolves at the next change; an error means that the server is stopping.
#[derive(Debug, actix::MessageResponse)]
pub struct Changes(pub oneshot::Receiver<()>);

/// shutdown → ResourceManager: accept and start nothing more; answered when all that was decided
/// is durable.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Drain;

/// api → RecoveryActor: compare ledger, database and processes now.
#[derive(Debug, Message)]
#[rtype(result = "Result<Report, String>")]
pub struct RunAudit;
