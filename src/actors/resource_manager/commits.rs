//! *Purpose*: the resource manager's way to the disk and back.
//!
//! *Owns*: group commit, what happens once a commit is durable, and what happens when it fails.
//!
//! *Promises*: the snapshot is published first, then effects are caused, then replies leave; what
//! a failed commit owes is tried again until the disk takes it.
//!
//! *Not here*: who asks for what (`actors::resource_manager`), which steps wait
//! (`kernel::outbox`).
//!
//! **Group commit.** The first change asks for a `Flush` by `ctx.notify`; actix drains the mailbox
//! before that, so all that is queued already joins the commit. Two rules shape it: while
//! a commit is in flight nothing is flushed, its return flushes; and when a change woke the
//! scheduler the flush waits for its plan, so that an end and the start that follows from it
//! are one transaction (but never while an earlier plan waits in the outbox: the scheduler
//! proposes nothing before that one is answered). A handler that fills the outbox to
//! `OUTBOX_MAX` flushes itself, since a self-notify starves while messages keep coming.
//!
//! **A submission and its start.** A job that waits for nothing wakes the scheduler before it is
//! durable, so that the commit which stores it can start it too.
//!
//! **A commit that fails.** Submissions are answered "nothing stored" as soon as that is known and
//! what was granted to their jobs is taken back; all else is kept and tried again with back-off
//! under the same number; meanwhile new submissions are refused at once. Jobs run on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::samples::counts;
use super::state::ResourceManagerActor;
use super::ticket::{Noted, Ticket, durable};
use crate::actors::executor::Known;
use crate::actors::messages::{
    AdjustAttempt, MakeDurable, Publish, SignalAttempt, StopAttempt, Submitted, Wake,
};
use crate::clock;
use crate::job::ids::{Attempt, CommitNo, JobId};
use crate::kernel::change::{Change, Effect, Step};
use crate::kernel::outbox::Commit;
use crate::kernel::views::holding::Holding;
use crate::kernel::views::sampled;
use crate::kernel::views::snapshot::Snapshot;
use crate::store::read::LaunchRecords;
use crate::store::record::AllocationRecord;
use crate::store::write::{CommitError, Launches};
use crate::text::cpu_list;
use crate::time::Time;

/// Steps in the outbox at which a handler flushes by itself: a commit of this size still takes
/// milliseconds.
const OUTBOX_MAX: usize = 1_000;
/// First and longest pause before a failed commit is tried again.
const RETRY_MIN: Duration = Duration::from_millis(50);
/// See [`RETRY_MIN`].
const RETRY_MAX: Duration = Duration::from_secs(2);

impl ResourceManagerActor {
    /// Puts a step into the outbox; the future ends when it is durable.
    pub(super) fn note(&mut self, step: Step, ctx: &mut Context<Self>) -> Noted {
        let (reply, answer) = oneshot::channel();
        self.put(step, false, Ticket::Noted(reply), ctx);
        durable(answer)
    }

    pub(super) fn put(
        &mut self,
        step: Step,
        droppable: bool,
        ticket: Ticket,
        ctx: &mut Context<Self>,
    ) {
        if step.changes.is_empty() {
            if let Some(ticket) = self.outbox.follow(ticket) {
                ticket.done();
            }
            return;
        }
        self.push(step, droppable, ticket, ctx);
    }

    pub(super) fn push(
        &mut self,
        step: Step,
        droppable: bool,
        ticket: Ticket,
        ctx: &mut Context<Self>,
    ) {
        self.outbox.push(step, droppable, ticket);
        self.wake();
        if self.outbox.len() >= OUTBOX_MAX {
            self.flush(ctx);
        } else if !self.flush_due {
            self.flush_due = true;
            ctx.notify(Flush);
        }
    }

    pub(super) fn wake(&mut self) {
        let may = !self.plan_due && !self.stopping && !self.unaudited;
        if may && self.kernel.wants_a_plan() {
            self.plan_due = true;
            self.outlets.wake.do_send(Wake);
        }
    }

    /// Has the scheduler look again though it may be looking already: what it saw is no longer
    /// true.
    pub(super) fn wake_again(&mut self) {
        if !self.stopping && !self.unaudited {
            self.plan_due = true;
            self.outlets.wake.do_send(Wake);
        }
    }

    pub(super) fn flush(&mut self, ctx: &mut Context<Self>) {
        if let Some(commit) = self.outbox.take(&self.kernel) {
            self.send(commit, ctx);
        }
    }

    fn send(&mut self, commit: Commit, ctx: &mut Context<Self>) {
        let no = commit.no;
        let sent = self.outlets.durable.send(MakeDurable(commit.clone()));
        ctx.spawn(sent.into_actor(self).map(move |result, actor, ctx| match result {
            Ok(Ok(launches)) => actor.settle(no, launches, ctx),
            Ok(Err(error)) => actor.refused(commit, error, ctx),
            Err(error) => panic!("the store's writer is gone: {error}"),
        }));
    }

    fn settle(&mut self, no: CommitNo, launches: Launches, ctx: &mut Context<Self>) {
        if self.trouble.take().is_some() {
            log::info!("The database takes commits again (commit {no})");
        }
        let settled = self.outbox.settle(no);
        self.outlets.metrics.committed();
        let changes = settled.changes.iter().flat_map(|step| step.iter());
        let publish = Publish {
            last_event: settled.snapshot.last_event,
            changed: changes.flat_map(changed).collect(),
        };
        let snapshot = Arc::new(settled.snapshot);
        self.outlets.snapshot.send_replace(Arc::clone(&snapshot));
        self.outlets.publish.do_send(publish);
        let mut launches: HashMap<Attempt, LaunchRecords> = launches.into_iter().collect();
        for effect in settled.effects {
            self.cause(effect, &mut launches);
        }
        let grants = grants(&settled.changes);
        for mut ticket in settled.tickets {
            if let Ticket::Submitted(_, Submitted { ids, granted, .. }) = &mut ticket
                && let [id] = ids[..]
            {
                let grant = grants.get(&id).and_then(|change| AllocationRecord::granted(change));
                *granted = grant.map(Box::new);
            }
            self.plan_unanswered &= !matches!(ticket, Ticket::Applied(..));
            ticket.done();
        }
        let happened = counts(settled.changes.iter().flat_map(|step| step.iter()));
        let over = self.samples.at(clock::now(), sampled::levels(&snapshot), happened);
        self.keep(over, ctx);
        // Last: nobody waits for a line in the log.
        self.record(&snapshot, &settled.changes);
        self.set_alarm(ctx);
        self.wake();
        self.flush_unless_a_plan_is_due(ctx);
        self.tell_drained();
    }

    /// Counts what an attempt was used for by its account.
    pub(super) fn count_use(&self, holding: &Holding, step: &Step, now: Time) {
        let by_account = &self.outlets.metrics.by_account;
        for change in &step.changes {
            let waited = match change {
                Change::Started { waited_us, .. } => Some(*waited_us),
                Change::Ended { waited_us, .. } => *waited_us,
                _ => None,
            };
            if let Some(waited_us) = waited {
                by_account.started(&holding.account, waited_us);
            }
            match change {
                Change::Ended { end, .. } => {
                    by_account.ended(&holding.account, end.word);
                    by_account.released(holding, now);
                }
                Change::Requeued { past: Some(_), .. } => by_account.released(holding, now),
                _ => {}
            }
        }
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
                    let (job, cpus) = (event.job, cpu_list::each(cpus.iter().map(|cpu| cpu.0)));
                    log::debug!("Allocated CPU {cpus} to job {job} ({})", event.cause);
                }
                Change::Started { waited_us, .. } => self.outlets.metrics.started(*waited_us),
                Change::Ended { event, released, .. } if released.cpus > 0 => {
                    let (used, total) = (snapshot.used_cpus, snapshot.total_cpus);
                    log::info!(
                        "Released {} CPUs for job {}: used={used}/{total} \
                         ({}, {})",
                        released.cpus,
                        event.job,
                        event.to,
                        event.cause
                    );
                }
                Change::Requeued { event, past: Some(past), .. } => {
                    let (used, total) = (snapshot.used_cpus, snapshot.total_cpus);
                    log::info!(
                        "Released {} CPUs for job {}: used={used}/{total} (attempt {} {}, waits \
                         again)",
                        past.released.cpus,
                        event.job,
                        event.attempt,
                        past.state
                    );
                }
                Change::Reclaimed { job, units, .. } => {
                    let named = cpu_list::units(units.iter().map(|(name, unit)| (&**name, unit.0)));
                    log::warn!("Released orphan resources: job {job}, {named}");
                }
                Change::Restored { attempt, cpus, .. } => {
                    let (job, cpus) = (attempt.job, cpu_list::each(cpus.iter().map(|cpu| cpu.0)));
                    log::warn!("The database is told again that job {job} has CPU {cpus}");
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

    fn cause(&mut self, effect: Effect, launches: &mut HashMap<Attempt, LaunchRecords>) {
        match effect {
            Effect::Stored(jobs) => self.kernel.stored(&jobs),
            Effect::Admit(jobs) => self.kernel.admit(jobs),
            Effect::Launch(attempt) => {
                let known = Known::Granted(launches.remove(&attempt).map(Box::new));
                let executor = (self.outlets.make_executor)(attempt, known);
                self.executors.insert(attempt, executor);
            }
            Effect::Stop(attempt) => {
                if let Some(executor) = self.executors.get(&attempt) {
                    executor.stop.do_send(StopAttempt);
                } else {
                    self.owed_stops.insert(attempt);
                }
            }
            // Without an executor there will be one, which reads what holds then.
            Effect::Adjust(attempt) => {
                if let Some(executor) = self.executors.get(&attempt) {
                    executor.adjust.do_send(AdjustAttempt);
                }
            }
            // The same.
            Effect::Signal(attempt) => {
                if let Some(executor) = self.executors.get(&attempt) {
                    executor.signal.do_send(SignalAttempt);
                }
            }
            Effect::Retire(attempt) => {
                self.executors.remove(&attempt);
            }
            Effect::Over(array) => {
                let last_event = self.outlets.snapshot.borrow().last_event;
                self.outlets.publish.do_send(Publish { last_event, changed: vec![array] });
            }
        }
    }

    /// The commit failed and may be tried again.
    fn refused(&mut self, commit: Commit, error: CommitError, ctx: &mut Context<Self>) {
        let pause = self.trouble.as_ref().map_or(RETRY_MIN, |(_, p)| (*p * 2).min(RETRY_MAX));
        if self.trouble.is_none() {
            log::warn!("Commit {} failed, trying again: {error}", commit.no);
        }
        let (CommitError::Unknown(why) | CommitError::NotCommitted(why) | CommitError::Fatal(why)) =
            &error;
        self.trouble = Some((why.to_string(), pause));
        match error {
            // Nobody may be told anything before it is known.
            CommitError::Unknown(_) => {
                ctx.run_later(pause, move |actor, ctx| actor.send(commit, ctx));
            }
            CommitError::NotCommitted(_) | CommitError::Fatal(_) => {
                self.give_up_submissions(commit.no, &error.to_string());
                if self.outbox.is_refused() {
                    ctx.run_later(pause, |actor, ctx| {
                        actor.outbox.try_again();
                        actor.flush(ctx);
                    });
                } else {
                    // Nothing is owed to the disk: the next submission tries again.
                    self.trouble = None;
                    self.tell_drained();
                }
                self.wake();
            }
        }
    }

    fn give_up_submissions(&mut self, no: CommitNo, why: &str) {
        let dropped = self.outbox.give_up_submissions(no);
        for ticket in dropped.tickets {
            self.plan_unanswered &= !matches!(ticket, Ticket::Applied(..));
            ticket.dropped(why);
        }
        self.kernel.withdraw(&dropped.withdrawn, clock::now());
    }

    fn flush_unless_a_plan_is_due(&mut self, ctx: &mut Context<Self>) {
        if !self.plan_due || self.plan_unanswered {
            self.flush(ctx);
        }
    }

    pub(super) fn tell_drained(&mut self) {
        if self.stopping && self.outbox.is_idle() {
            for waiting in self.drained.drain(..) {
                let _gone = waiting.send(());
            }
        }
    }
}

/// The grants among these, by job.
fn grants(steps: &[Arc<Vec<Change>>]) -> HashMap<JobId, &Change> {
    let changes = steps.iter().flat_map(|step| step.iter());
    let grants = changes.filter_map(|change| match change {
        Change::Granted { event, .. } => Some((event.job, change)),
        _ => None,
    });
    grants.collect()
}

/// Whom those wait for whom this concerns: whoever waits for a task that is no job yet waits for
/// its array.
fn changed(change: &Change) -> impl Iterator<Item = JobId> {
    let array = match change {
        Change::Split { array, .. } => Some(*array),
        _ => None,
    };
    change.event().map(|event| event.job).into_iter().chain(array)
}

/// To itself: all that was queued has joined.
#[derive(Message)]
#[rtype(result = "()")]
struct Flush;

impl Handler<Flush> for ResourceManagerActor {
    type Result = ();

    fn handle(&mut self, _: Flush, ctx: &mut Self::Context) {
        self.flush_due = false;
        self.flush_unless_a_plan_is_due(ctx);
    }
}
