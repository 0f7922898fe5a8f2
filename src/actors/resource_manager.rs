//! *Purpose*: the one owner of job and CPU state.
//!
//! *Owns*: kernel, outbox, the snapshot that answers "now", the executors of live attempts.
//!
//! *Promises*: its mailbox serialises every allocation and release, so there are no locks;
//! handlers take the time, ask the kernel and put step and reply into the outbox; nothing is
//! visible before its commit: the snapshot is published, then effects are caused, then replies
//! leave.
//!
//! *Not here*: decisions (`kernel`), SQL (`store`), processes (`engine`).
//!
//! **Group commit.** The first change asks for a `Flush` by `ctx.notify`; actix drains the mailbox
//! before that, so all that is queued already joins the commit. Two rules shape it: while
//! a commit is in flight nothing is flushed, its return flushes; and when a change woke the
//! scheduler the flush waits for its plan, so that an end and the start that follows from it
//! are one transaction (but never while an earlier plan waits in the outbox: the scheduler
//! proposes nothing before that one is answered). A handler that fills the outbox to
//! `OUTBOX_MAX` flushes itself, since a self-notify starves while messages keep coming.
//!
//! **A commit that fails.** Submissions are answered "nothing stored" as soon as that is known;
//! all else is kept and tried again with back-off under the same number; meanwhile new
//! submissions are refused at once. Jobs run on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::{oneshot, watch};

use super::executor::Known;
use super::messages::{
    Applied, ApplyPlan, CancelJobs, Drain, ExecutorAddr, ForgetJobs, GetQueueView, Look, LookAtAll,
    MakeDurable, Mend, Observed, Publish, StopAttempt, SubmitJobs, SubmitRefused, Wake,
};
use crate::clock;
use crate::fault;
use crate::kernel::change::{Change, Effect, IdempotencyKey, Step};
use crate::kernel::ids::{Attempt, CommitNo, Epoch, JobId};
use crate::kernel::kernel::{Cancelled, Kernel, Live};
use crate::kernel::outbox::{Commit, KeyCheck, Outbox};
use crate::kernel::transition::Refused;
use crate::kernel::view::{QueueView, Snapshot};
use crate::observe::metrics::Metrics;
use crate::store::write::CommitError;

/// Mailbox: 4,096 senders wait their turn in memory; beyond it `send` holds them back.
const MAILBOX: usize = 4_096;
/// Steps in the outbox at which a handler flushes by itself: a commit of this size still takes
/// milliseconds.
const OUTBOX_MAX: usize = 1_000;
/// First and longest pause before a failed commit is tried again.
const RETRY_MIN: Duration = Duration::from_millis(50);
/// See [`RETRY_MIN`].
const RETRY_MAX: Duration = Duration::from_secs(2);

/// Makes an executor for an attempt.
pub type MakeExecutor = Box<dyn Fn(Attempt, Known) -> ExecutorAddr>;

/// Who waits for a step, and for what.
enum Ticket {
    Submitted(oneshot::Sender<Result<Vec<JobId>, SubmitRefused>>, Vec<JobId>),
    Cancelled(oneshot::Sender<Vec<Cancelled>>, Vec<Cancelled>),
    Applied(oneshot::Sender<Applied>, Applied),
    Noted(oneshot::Sender<()>),
}

/// Everyone the resource manager talks to.
pub struct Outlets {
    /// The scheduler.
    pub wake: Recipient<Wake>,
    /// The store's writer.
    pub durable: Recipient<MakeDurable>,
    /// The event hub.
    pub publish: Recipient<Publish>,
    /// Makes executors.
    pub make_executor: MakeExecutor,
    /// Where the snapshot appears.
    pub snapshot: watch::Sender<Arc<Snapshot>>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// The resource manager.
pub struct ResourceManagerActor {
    kernel: Kernel,
    outbox: Outbox<Ticket>,
    outlets: Outlets,
    executors: HashMap<Attempt, ExecutorAddr>,
    /// Attempts whose cancel is durable and whose executor has not been made yet (it comes with
    /// the first sweep). The kernel may know of cancels that are not durable.
    owed_stops: HashSet<Attempt>,
    /// A wake-up was sent whose plan has not come yet.
    plan_due: bool,
    /// A plan has come and its step is not durable yet: the scheduler waits for the answer and
    /// will not propose another, so a flush must not wait for one.
    plan_unanswered: bool,
    flush_due: bool,
    /// No audit has been heard of yet: nothing is handed out that it might doubt.
    unaudited: bool,
    /// Why the last commit failed and how long to wait, while it is being tried again.
    trouble: Option<(String, Duration)>,
    stopping: bool,
    drained: Vec<oneshot::Sender<()>>,
}

impl ResourceManagerActor {
    /// Takes up the kernel as loaded at boot, after the commit `last`.
    #[must_use]
    pub fn new(kernel: Kernel, epoch: Epoch, last: CommitNo, outlets: Outlets) -> Self {
        let cancelled = kernel.live().values().filter(|live| live.state.is_being_cancelled());
        ResourceManagerActor {
            owed_stops: cancelled.map(Live::attempt).collect(),
            kernel,
            outbox: Outbox::new(epoch, last),
            outlets,
            executors: HashMap::new(),
            plan_due: false,
            plan_unanswered: false,
            flush_due: false,
            unaudited: true,
            trouble: None,
            stopping: false,
            drained: Vec::new(),
        }
    }

    fn put(&mut self, step: Step, droppable: bool, ticket: Ticket, ctx: &mut Context<Self>) {
        if step.changes.is_empty() {
            if let Some(ticket) = self.outbox.follow(ticket) {
                ticket.done();
            }
            return;
        }
        self.push(step, droppable, ticket, ctx);
    }

    fn push(&mut self, step: Step, droppable: bool, ticket: Ticket, ctx: &mut Context<Self>) {
        self.outbox.push(step, droppable, ticket);
        self.wake();
        if self.outbox.len() >= OUTBOX_MAX {
            self.flush(ctx);
        } else if !self.flush_due {
            self.flush_due = true;
            ctx.notify(Flush);
        }
    }

    fn wake(&mut self) {
        let may = !self.plan_due && !self.stopping && !self.unaudited;
        if may && self.kernel.wants_a_plan() {
            self.plan_due = true;
            self.outlets.wake.do_send(Wake);
        }
    }

    fn flush(&mut self, ctx: &mut Context<Self>) {
        if let Some(commit) = self.outbox.take(&self.kernel) {
            self.send(commit, ctx);
        }
    }

    fn send(&mut self, commit: Commit, ctx: &mut Context<Self>) {
        let no = commit.no;
        let sent = self.outlets.durable.send(MakeDurable(commit.clone()));
        ctx.spawn(sent.into_actor(self).map(move |result, actor, ctx| match result {
            Ok(Ok(())) => actor.settle(no, ctx),
            Ok(Err(error)) => actor.refused(commit, error, ctx),
            Err(error) => panic!("the store's writer is gone: {error}"),
        }));
    }

    fn settle(&mut self, no: CommitNo, ctx: &mut Context<Self>) {
        if self.trouble.take().is_some() {
            log::info!("The database takes commits again (commit {no})");
        }
        let settled = self.outbox.settle(no);
        self.outlets.metrics.committed();
        self.record(&settled.snapshot, &settled.changes);
        let changes = settled.changes.iter().flat_map(|step| step.iter());
        let publish = Publish {
            last_event: settled.snapshot.last_event,
            changed: changes.filter_map(Change::event).map(|e| e.job).collect(),
        };
        self.outlets.snapshot.send_replace(Arc::new(settled.snapshot));
        self.outlets.publish.do_send(publish);
        for effect in settled.effects {
            self.cause(effect);
        }
        for ticket in settled.tickets {
            self.plan_unanswered &= !matches!(ticket, Ticket::Applied(..));
            ticket.done();
        }
        self.wake();
        self.flush_unless_a_plan_is_due(ctx);
        self.tell_drained();
    }

    fn record(&self, snapshot: &Snapshot, steps: &[Arc<Vec<Change>>]) {
        let mut started = 0;
        for change in steps.iter().flat_map(|step| step.iter()) {
            if let Change::Ended { waited_us: Some(waited_us), .. } = change {
                self.outlets.metrics.started(*waited_us);
            }
            match change {
                Change::Granted { event, cpus, .. } => {
                    started += 1;
                    log::debug!("Allocated CPUs {cpus:?} to job {} ({})", event.job, event.cause);
                }
                Change::Started { waited_us, .. } => self.outlets.metrics.started(*waited_us),
                Change::Ended { event, released_cpus, .. } if *released_cpus > 0 => {
                    let (used, total) = (snapshot.used_cpus, snapshot.total_cpus);
                    log::info!(
                        "Released {released_cpus} CPUs for job {}: used={used}/{total} \
                         ({}, {})",
                        event.job,
                        event.to,
                        event.cause
                    );
                }
                Change::Reclaimed { job, cpus, .. } => {
                    log::warn!("Released orphan resources: job {job}, {} CPUs", cpus.len());
                }
                Change::Restored { attempt, cpus } => {
                    log::warn!("The database is told again that job {} has {cpus:?}", attempt.job);
                }
                _ => {}
            }
        }
        if started > 0 {
            log::info!(
                "Scheduled {started} jobs, utilization: {:.1}% ({}/{} CPUs)",
                snapshot.utilization(),
                snapshot.used_cpus,
                snapshot.total_cpus
            );
        }
    }

    fn cause(&mut self, effect: Effect) {
        match effect {
            Effect::Admit(jobs) => self.kernel.admit(jobs),
            Effect::Launch(attempt) => {
                let executor = (self.outlets.make_executor)(attempt, Known::Granted);
                self.executors.insert(attempt, executor);
            }
            Effect::Stop(attempt) => {
                if let Some(executor) = self.executors.get(&attempt) {
                    executor.stop.do_send(StopAttempt);
                } else {
                    self.owed_stops.insert(attempt);
                }
            }
            Effect::Retire(attempt) => {
                self.executors.remove(&attempt);
            }
        }
    }

    /// The commit failed and may be tried again.
    fn refused(&mut self, commit: Commit, error: CommitError, ctx: &mut Context<Self>) {
        let pause = self.trouble.as_ref().map_or(RETRY_MIN, |(_, p)| (*p * 2).min(RETRY_MAX));
        if self.trouble.is_none() {
            log::warn!("Commit {} failed, trying again: {error}", commit.no);
        }
        self.trouble = Some((error.to_string(), pause));
        let retry = match error {
            // Nobody may be told anything before it is known.
            CommitError::Unknown(_) => Some(commit),
            CommitError::NotCommitted(_) | CommitError::Fatal(_) => {
                let dropped = self.outbox.give_up_submissions(commit.no);
                for ticket in dropped.tickets {
                    ticket.dropped(&error.to_string());
                }
                dropped.retry
            }
        };
        match retry {
            Some(commit) => {
                ctx.run_later(pause, move |actor, ctx| actor.send(commit, ctx));
            }
            None => {
                // Nothing is owed to the disk: the next submission tries again.
                self.trouble = None;
                self.flush(ctx);
                self.tell_drained();
            }
        }
    }

    fn flush_unless_a_plan_is_due(&mut self, ctx: &mut Context<Self>) {
        if !self.plan_due || self.plan_unanswered {
            self.flush(ctx);
        }
    }

    fn tell_drained(&mut self) {
        if self.stopping && self.outbox.is_idle() {
            for waiting in self.drained.drain(..) {
                let _gone = waiting.send(());
            }
        }
    }

    fn may_submit(&self, message: &SubmitJobs) -> Result<(), SubmitRefused> {
        if self.stopping {
            return Err(SubmitRefused::Stopping);
        }
        // A key that is under way comes first: its jobs may be stored already, and as long as
        // that is not known "nothing stored" would be a lie to whoever asks a second time.
        if let Some(key) = &message.key
            && let KeyCheck::LookAgain(at) = self.outbox.check_key(&key.key, key.read_at)
        {
            return Err(SubmitRefused::LookAgain(at));
        }
        match &self.trouble {
            Some((why, _)) => Err(SubmitRefused::NothingStored(why.clone())),
            None => Ok(()),
        }
    }
}

/// Ends when what was noted is durable.
fn durable(answer: oneshot::Receiver<()>) -> ResponseFuture<()> {
    Box::pin(async {
        // Dropped only when the server stops: boot observes again.
        let _gone = answer.await;
    })
}

impl Ticket {
    fn done(self) {
        // Whoever no longer waits reads the row instead.
        let _gone = match self {
            Ticket::Submitted(reply, ids) => reply.send(Ok(ids)).is_err(),
            Ticket::Cancelled(reply, outcomes) => reply.send(outcomes).is_err(),
            Ticket::Applied(reply, applied) => reply.send(applied).is_err(),
            Ticket::Noted(reply) => reply.send(()).is_err(),
        };
    }

    fn dropped(self, why: &str) {
        if let Ticket::Submitted(reply, _) = self {
            let _gone = reply.send(Err(SubmitRefused::NothingStored(why.to_owned())));
        }
    }
}

/// To itself: all that was queued has joined.
#[derive(Message)]
#[rtype(result = "()")]
struct Flush;

impl Actor for ResourceManagerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.outlets.metrics.resource_managers.fetch_add(1, Ordering::SeqCst);
        let ledger = self.kernel.ledger();
        log::info!(
            "Resource manager initialized: total={}, used={}, available={}",
            ledger.total(),
            ledger.used(),
            ledger.free()
        );
        self.wake();
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.outlets.metrics.resource_managers.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Handler<Flush> for ResourceManagerActor {
    type Result = ();

    fn handle(&mut self, _: Flush, ctx: &mut Self::Context) {
        self.flush_due = false;
        self.flush_unless_a_plan_is_due(ctx);
    }
}

impl Handler<SubmitJobs> for ResourceManagerActor {
    type Result = ResponseFuture<Result<Vec<JobId>, SubmitRefused>>;

    fn handle(&mut self, message: SubmitJobs, ctx: &mut Self::Context) -> Self::Result {
        if let Err(refused) = self.may_submit(&message) {
            return Box::pin(async { Err(refused) });
        }
        fault::point(fault::SUBMIT_RECEIVED);
        let now = clock::now();
        let (ids, mut step) = self.kernel.submit(message.specs, &message.principal, now);
        if let (Some(asked), Some(first)) = (message.key, ids.first()) {
            let (key, body_hash) = (asked.key, asked.body_hash);
            let count = ids.len() as u32;
            let key = IdempotencyKey { key, body_hash, first: *first, count, time: now };
            step.changes.push(Change::Key(key));
        }
        let (reply, answer) = oneshot::channel();
        self.put(step, true, Ticket::Submitted(reply, ids), ctx);
        Box::pin(async { answer.await.unwrap_or(Err(SubmitRefused::Stopping)) })
    }
}

impl Handler<CancelJobs> for ResourceManagerActor {
    type Result = ResponseFuture<Vec<Cancelled>>;

    fn handle(&mut self, message: CancelJobs, ctx: &mut Self::Context) -> Self::Result {
        fault::point(fault::CANCEL_RECEIVED);
        let (outcomes, step) = self.kernel.cancel(&message.jobs, &message.principal, clock::now());
        let (reply, answer) = oneshot::channel();
        self.put(step, false, Ticket::Cancelled(reply, outcomes), ctx);
        Box::pin(async { answer.await.unwrap_or_default() })
    }
}

impl Handler<GetQueueView> for ResourceManagerActor {
    type Result = MessageResult<GetQueueView>;

    fn handle(&mut self, _: GetQueueView, _: &mut Self::Context) -> Self::Result {
        MessageResult::<GetQueueView>(if self.stopping || self.unaudited {
            QueueView::default()
        } else {
            self.kernel.view()
        })
    }
}

impl Handler<ApplyPlan> for ResourceManagerActor {
    type Result = ResponseFuture<Applied>;

    fn handle(&mut self, message: ApplyPlan, ctx: &mut Self::Context) -> Self::Result {
        self.plan_due = false;
        let (started, stale, step) = self.kernel.start(&message.plan, clock::now());
        let applied = Applied { started, stale };
        if step.changes.is_empty() {
            self.flush(ctx);
            return Box::pin(async move { applied });
        }
        fault::point(fault::ALLOCATE_PLANNED);
        let (reply, answer) = oneshot::channel();
        self.plan_unanswered = true;
        self.outbox.push(step, false, Ticket::Applied(reply, applied));
        self.flush(ctx);
        Box::pin(async { answer.await.unwrap_or_default() })
    }
}

impl Handler<Observed> for ResourceManagerActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, message: Observed, ctx: &mut Self::Context) -> Self::Result {
        let Observed { attempt, fact } = message;
        let word = fact.word();
        let step = match self.kernel.fact(attempt, fact, clock::now()) {
            Ok(step) => step,
            Err(Refused::Stale) => {
                log::debug!("{word} of attempt {attempt} came late or twice");
                Step::default()
            }
            Err(Refused::Illegal) => panic!("{word} of attempt {attempt} is impossible"),
        };
        self.note(step, ctx)
    }
}

impl Handler<Mend> for ResourceManagerActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Mend(findings): Mend, ctx: &mut Self::Context) -> Self::Result {
        let before = self.kernel.ledger().held_back().clone();
        let step = self.kernel.mend(findings, clock::now());
        self.unaudited = false;
        self.wake();
        let now = self.kernel.ledger().held_back();
        if *now == before {
            return self.note(step, ctx);
        }
        log::warn!("CPUs held back from scheduling: {now:?} (before: {before:?})");
        // Committed even if it changes no row, so that the snapshot shows it.
        let (reply, answer) = oneshot::channel();
        self.push(step, false, Ticket::Noted(reply), ctx);
        durable(answer)
    }
}

impl Handler<ForgetJobs> for ResourceManagerActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, ForgetJobs(jobs): ForgetJobs, ctx: &mut Self::Context) -> Self::Result {
        let step = self.kernel.forget(&jobs);
        self.note(step, ctx)
    }
}

impl Handler<LookAtAll> for ResourceManagerActor {
    type Result = usize;

    fn handle(&mut self, _: LookAtAll, _: &mut Self::Context) -> usize {
        let mut made = 0;
        let known = |live: &Live| match live.state.handle() {
            Some(_) => Known::Started,
            None => Known::Ordered,
        };
        let live: Vec<(Attempt, Known)> =
            self.kernel.live().values().map(|l| (l.attempt(), known(l))).collect();
        for (attempt, known) in live {
            if let Some(executor) = self.executors.get(&attempt) {
                executor.look.do_send(Look);
            } else if !self.launch_is_under_way(attempt) {
                let executor = (self.outlets.make_executor)(attempt, known);
                if self.owed_stops.remove(&attempt) {
                    executor.stop.do_send(StopAttempt);
                }
                self.executors.insert(attempt, executor);
                made += 1;
            }
        }
        if made > 0 {
            fault::point(fault::RECOVERY_ADOPTED);
        }
        made
    }
}

impl ResourceManagerActor {
    /// Puts a step into the outbox; the future ends when it is durable.
    fn note(&mut self, step: Step, ctx: &mut Context<Self>) -> ResponseFuture<()> {
        let (reply, answer) = oneshot::channel();
        self.put(step, false, Ticket::Noted(reply), ctx);
        durable(answer)
    }

    /// Granted in memory, its commit not back yet: its executor comes with the commit.
    fn launch_is_under_way(&self, attempt: Attempt) -> bool {
        let now = self.outlets.snapshot.borrow();
        let held = self.kernel.live().get(&attempt.job).and_then(|l| l.state.allocation());
        let durable = |cpu| now.cpus.iter().any(|(c, job)| *c == cpu && *job == Some(attempt.job));
        !held.is_some_and(|a| a.cpus().iter().all(|cpu| durable(*cpu)))
    }
}

impl Handler<Drain> for ResourceManagerActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, ctx: &mut Self::Context) -> Self::Result {
        self.stopping = true;
        self.plan_due = false;
        self.flush(ctx);
        let (reply, answer) = oneshot::channel();
        self.drained.push(reply);
        self.tell_drained();
        Box::pin(async {
            let _gone = answer.await;
        })
    }
}
