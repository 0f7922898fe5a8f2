//! *Purpose*: the one owner of job and CPU state.
//!
//! *Owns*: the handlers of the messages that it is sent.
//!
//! *Promises*: its mailbox serialises every allocation and release, so there are no locks;
//! handlers take the time, ask the kernel and put step and reply into the outbox; nothing is
//! visible before its commit: the snapshot is published, then effects are caused, then replies
//! leave.
//!
//! *Not here*: what it keeps (`resource_manager::state`), the way to the disk and back
//! (`resource_manager::commits`), decisions (`kernel`), SQL (`store`), processes (`engine`).

mod alarm;
mod commits;
mod reconfigure;
mod requeue;
mod samples;
mod signal;
pub mod state;
mod steps;
mod suspend;
mod ticket;
mod tokens;

use std::sync::atomic::Ordering;

use actix::prelude::*;
use tokio::sync::oneshot;

use self::state::ResourceManagerActor;
use self::ticket::{Noted, Ticket, durable};
use super::executor::Known;
use super::messages::{
    Applied, ApplyPlan, CancelJobs, CancelTask, DRY_RUN_ID, Drain, Explain, ForgetJobs,
    GetDependents, GetPartitions, GetPassInput, GetPayers, GetRank, GetStanding, Look, LookAtAll,
    LookAtUnits, Looked, Maintain, Mend, Move, NotDurable, Observed, Resume, SplitTask,
    StopAttempt, SubmitJobs, SubmitRefused, Submitted, TryUpdate, UpdateAnswer, UpdateJob,
    WouldUpdate,
};
use crate::clock;
use crate::fault;
use crate::job::array_spec::JobRef;
use crate::job::ids::{Attempt, JobId};
use crate::kernel::access::Permitted;
use crate::kernel::change::{Asked, Change, IdempotencyKey, Step};
use crate::kernel::commands::cancel::Cancelled;
use crate::kernel::commands::edit::Edited;
use crate::kernel::outbox::ReadFreshness;
use crate::kernel::parts::limits::Payer;
use crate::kernel::parts::live::Live;
use crate::kernel::parts::maintenance::{Maintenance, MaintenanceRefused};
use crate::kernel::transition::Refused;
use crate::kernel::views::explain::Explained;
use crate::policy::input::PassInput;
use crate::policy::name::Policy;
use crate::text::cpu_list;
use crate::time::Time;

/// Mailbox: 4,096 senders wait their turn in memory; beyond it `send` holds them back.
const MAILBOX: usize = 4_096;

impl ResourceManagerActor {
    fn may_submit(&self, message: &SubmitJobs) -> Result<(), SubmitRefused> {
        if self.stopping {
            return Err(SubmitRefused::Stopping);
        }
        // A key that is under way comes first: its jobs may be stored already, and as long as
        // that is not known "nothing stored" would be a lie to whoever asks a second time.
        if let Some(key) = &message.key
            && let ReadFreshness::LookAgain(at) = self.outbox.check_key(&key.key, key.read_at)
        {
            return Err(SubmitRefused::LookAgain(at));
        }
        if self.kernel.unknown_others(&message.specs, &message.elsewhere) {
            return Err(SubmitRefused::LookAgain(self.outbox.owed()));
        }
        if let Some((place, why)) = self.kernel.too_many(&message.specs) {
            return Err(SubmitRefused::TooMany(place, why));
        }
        match &self.trouble {
            Some((why, _)) => Err(SubmitRefused::NothingStored(why.clone())),
            None => Ok(()),
        }
    }
}

impl Actor for ResourceManagerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        let ledger = self.kernel.ledger();
        log::info!(
            "Resource manager initialized: total={}, used={}, available={}",
            ledger.total(),
            ledger.used(),
            ledger.free()
        );
        self.ring(ctx);
        self.sample(ctx);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.outlets.metrics.resource_managers.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Notes who asked for the changes of a step, if there are any.
pub(super) fn asked(
    step: &mut Step,
    by: (&Permitted, &'static str),
    jobs: (Option<JobId>, usize),
    now: Time,
) {
    asked_more(step, by, jobs, now, String::new());
}

fn asked_more(
    step: &mut Step,
    (by, verb): (&Permitted, &'static str),
    (target, count): (Option<JobId>, usize),
    time: Time,
    detail: String,
) {
    if step.changes.is_empty() {
        return;
    }
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let asked = Asked { time, by: by.clone(), verb, target, count, detail };
    step.changes.push(Change::Asked(Box::new(asked)));
}

impl Handler<SubmitJobs> for ResourceManagerActor {
    type Result = ResponseFuture<Result<Submitted, SubmitRefused>>;

    fn handle(&mut self, message: SubmitJobs, ctx: &mut Self::Context) -> Self::Result {
        if let Err(refused) = self.may_submit(&message) {
            return Box::pin(async { Err(refused) });
        }
        fault::point(fault::SUBMIT_RECEIVED);
        let now = clock::now();
        let SubmitJobs { specs, elsewhere, key, by } = message;
        let (ids, mut step) = self.kernel.submit(specs, &elsewhere, &by, now);
        if let (Some(asked), Some(first)) = (key, ids.first()) {
            let (key, body_hash) = (asked.key, asked.body_hash);
            let count = ids.len() as u32;
            let key = IdempotencyKey { key, body_hash, first: *first, count, time: now };
            step.changes.push(Change::Key(key));
        }
        asked(&mut step, (&by, "submit"), (ids.first().copied(), ids.len()), now);
        let (reply, answer) = oneshot::channel();
        let submitted = Submitted { ids, time: now, granted: None };
        self.put(step, true, Ticket::Submitted(reply, submitted), ctx);
        Box::pin(async { answer.await.unwrap_or(Err(SubmitRefused::Stopping)) })
    }
}

impl Handler<CancelJobs> for ResourceManagerActor {
    type Result = ResponseFuture<Vec<Cancelled>>;

    fn handle(&mut self, message: CancelJobs, ctx: &mut Self::Context) -> Self::Result {
        fault::point(fault::CANCEL_RECEIVED);
        let (CancelJobs { jobs, by }, now) = (message, clock::now());
        let (outcomes, mut step) = self.kernel.cancel(&jobs, &by, now);
        asked(&mut step, (&by, "cancel"), (jobs.first().copied(), jobs.len()), now);
        let (reply, answer) = oneshot::channel();
        self.put(step, false, Ticket::Cancelled(reply, outcomes), ctx);
        Box::pin(async { answer.await.unwrap_or_default() })
    }
}

impl Handler<CancelTask> for ResourceManagerActor {
    type Result = ResponseFuture<Vec<Cancelled>>;

    fn handle(&mut self, message: CancelTask, ctx: &mut Self::Context) -> Self::Result {
        fault::point(fault::CANCEL_RECEIVED);
        let (CancelTask { array, task, by }, now) = (message, clock::now());
        let (outcome, mut step) = self.kernel.cancel_task((array, task), &by, now);
        asked_more(&mut step, (&by, "cancel"), (Some(array), 1), now, format!("task {task}"));
        let (reply, answer) = oneshot::channel();
        self.put(step, false, Ticket::Cancelled(reply, vec![outcome]), ctx);
        Box::pin(async { answer.await.unwrap_or_default() })
    }
}

impl Handler<UpdateJob> for ResourceManagerActor {
    type Result = ResponseFuture<Result<UpdateAnswer, NotDurable>>;

    fn handle(&mut self, message: UpdateJob, ctx: &mut Self::Context) -> Self::Result {
        let UpdateJob { job, edit, elsewhere, by } = message;
        let named = edit.dependencies.iter().flat_map(|all| &all.list);
        if self.kernel.are_unknown(named, &elsewhere) {
            let at = self.outbox.owed();
            return Box::pin(async move { Ok(UpdateAnswer::LookAgain(at)) });
        }
        let (verb, now) = (edit.verb(), clock::now());
        let (edited, mut step) = self.kernel.edit(job, edit, &elsewhere, &by, now);
        asked(&mut step, (&by, verb), (Some(job), 1), now);
        let noted = self.note(step, ctx);
        self.set_alarm(ctx);
        Box::pin(async move { noted.await.map(|()| UpdateAnswer::Edited(edited)) })
    }
}

impl Handler<TryUpdate> for ResourceManagerActor {
    type Result = MessageResult<TryUpdate>;

    fn handle(&mut self, message: TryUpdate, _: &mut Self::Context) -> Self::Result {
        let TryUpdate { update: UpdateJob { job, edit, elsewhere, by }, policy } = message;
        let named = edit.dependencies.iter().flat_map(|all| &all.list);
        if self.kernel.are_unknown(named, &elsewhere) {
            return MessageResult(WouldUpdate::LookAgain(self.outbox.owed()));
        }
        let now = clock::now();
        let edited = self.kernel.would_edit(job, &edit, &elsewhere, &by);
        let mut explained = self.explained(&[job.into()], &policy, now);
        if edited == Edited::Done {
            let would = (job, &edit, &elsewhere);
            self.kernel.explain_as_edited(&mut explained, would, &policy, now);
        }
        MessageResult(WouldUpdate::Edited(edited, Box::new(explained)))
    }
}

impl Handler<SplitTask> for ResourceManagerActor {
    type Result = ResponseFuture<Result<Option<JobId>, NotDurable>>;

    fn handle(&mut self, message: SplitTask, ctx: &mut Self::Context) -> Self::Result {
        let SplitTask { array, task, by } = message;
        let (job, step) = self.kernel.split_off((array, task), &by, clock::now());
        let noted = self.note(step, ctx);
        Box::pin(async move { noted.await.map(|()| job) })
    }
}

impl Handler<Maintain> for ResourceManagerActor {
    type Result = ResponseFuture<Result<Result<Maintenance, MaintenanceRefused>, NotDurable>>;

    fn handle(&mut self, message: Maintain, ctx: &mut Self::Context) -> Self::Result {
        let (Maintain { when, reason, by }, now) = (message, clock::now());
        match self.kernel.maintain(when, &reason, &by, now) {
            Ok((window, mut step)) => {
                asked_more(&mut step, (&by, "drain"), (None, 0), now, reason.to_string());
                let noted = self.note(step, ctx);
                self.set_alarm(ctx);
                Box::pin(async move { noted.await.map(|()| Ok(window)) })
            }
            Err(refused) => Box::pin(async move { Ok(Err(refused)) }),
        }
    }
}

impl Handler<Resume> for ResourceManagerActor {
    type Result = ResponseFuture<Result<Vec<Maintenance>, NotDurable>>;

    fn handle(&mut self, message: Resume, ctx: &mut Self::Context) -> Self::Result {
        let (Resume { which, by }, now) = (message, clock::now());
        let (gone, mut step) = self.kernel.resume(which.as_deref(), now);
        asked(&mut step, (&by, "resume"), (None, 0), now);
        let noted = self.note(step, ctx);
        self.set_alarm(ctx);
        Box::pin(async move { noted.await.map(|()| gone) })
    }
}

impl ResourceManagerActor {
    /// Why these wait.
    fn explained(&self, jobs: &[JobRef], policy: &Policy, now: Time) -> Explained {
        let blocked = |of: &JobRef| Some((of.job, self.kernel.task_blocked(*of, now)?));
        let line = self.kernel.line(policy, now);
        let position = match jobs[..] {
            [JobRef { job, .. }] if line.queue.iter().all(|waiting| waiting.job != job) => {
                self.kernel.rank(job, policy, now).and_then(|rank| rank.position)
            }
            _ => None,
        };
        let blocked = jobs.iter().filter_map(blocked).collect();
        let mut explained = Explained { blocked, line, position, ..Explained::default() };
        self.kernel.explain_partitions(&mut explained, jobs);
        self.kernel.explain_payers(&mut explained);
        explained
    }
}

impl Handler<Explain> for ResourceManagerActor {
    type Result = MessageResult<Explain>;

    fn handle(&mut self, message: Explain, _: &mut Self::Context) -> Self::Result {
        let Explain { jobs, policy, as_if } = message;
        let now = clock::now();
        let mut explained = self.explained(&jobs, &policy, now);
        if let Some((spec, elsewhere)) = as_if {
            self.kernel.explain_as_if(
                &mut explained,
                (DRY_RUN_ID, &spec, &elsewhere),
                &policy,
                now,
            );
        }
        MessageResult(explained)
    }
}

impl Handler<GetRank> for ResourceManagerActor {
    type Result = MessageResult<GetRank>;

    fn handle(&mut self, GetRank { job, policy }: GetRank, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.kernel.rank(job, &policy, clock::now()))
    }
}

impl Handler<GetDependents> for ResourceManagerActor {
    type Result = MessageResult<GetDependents>;

    fn handle(&mut self, message: GetDependents, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.kernel.dependents(message.0))
    }
}

impl Handler<GetPartitions> for ResourceManagerActor {
    type Result = MessageResult<GetPartitions>;

    fn handle(&mut self, _: GetPartitions, _: &mut Self::Context) -> Self::Result {
        fault::bug(fault::BUG_IN_MANAGER);
        MessageResult(self.kernel.partitions_now())
    }
}

impl Handler<GetStanding> for ResourceManagerActor {
    type Result = MessageResult<GetStanding>;

    fn handle(&mut self, message: GetStanding, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.kernel.has_and_may(Payer::User(&message.user)))
    }
}

impl Handler<GetPayers> for ResourceManagerActor {
    type Result = MessageResult<GetPayers>;

    fn handle(&mut self, GetPayers(by): GetPayers, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.kernel.payers(by, clock::now()))
    }
}

impl Handler<Move> for ResourceManagerActor {
    type Result = ();

    fn handle(&mut self, Move: Move, _: &mut Self::Context) {}
}

impl Handler<GetPassInput> for ResourceManagerActor {
    type Result = MessageResult<GetPassInput>;

    fn handle(&mut self, message: GetPassInput, _: &mut Self::Context) -> Self::Result {
        if self.stopping || self.unaudited {
            return MessageResult(PassInput::default());
        }
        let now = clock::now();
        if let (Some(look), Some(held)) = (&self.outlets.look, self.kernel.wants_look(now)) {
            look.do_send(LookAtUnits(held));
        }
        self.kernel.seat(now);
        MessageResult(self.kernel.input(&message.policy, now))
    }
}

impl Handler<Looked> for ResourceManagerActor {
    type Result = ();

    fn handle(&mut self, Looked(found): Looked, ctx: &mut Self::Context) {
        for (unit, why) in &found {
            log::debug!("Unit {unit} is not given: {why}");
        }
        if self.kernel.looked(found, clock::now()) {
            // Committed although it changes no row, so that the snapshot shows it.
            let (reply, _nobody_waits) = oneshot::channel();
            self.push(Step::default(), false, Ticket::Noted(reply), ctx);
        }
        self.wake();
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
    type Result = Noted;

    fn handle(&mut self, message: Observed, ctx: &mut Self::Context) -> Self::Result {
        let Observed { attempt, fact } = message;
        let (word, now) = (fact.word(), clock::now());
        let holding = self.kernel.holding(attempt);
        let step = match self.kernel.fact(attempt, fact, now) {
            Ok(step) => {
                if let Some(holding) = holding {
                    self.count_use(&holding, &step, now);
                }
                step
            }
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
    type Result = Noted;

    fn handle(&mut self, Mend(findings): Mend, ctx: &mut Self::Context) -> Self::Result {
        let before: Vec<_> = self.kernel.ledger().held_back().collect();
        let step = self.kernel.mend(findings, clock::now());
        self.unaudited = false;
        self.wake();
        let now: Vec<_> = self.kernel.ledger().held_back().collect();
        if now == before {
            return self.note(step, ctx);
        }
        match now.is_empty() {
            true => log::warn!("No CPU is held back from scheduling any more"),
            false => log::warn!(
                "Held back from scheduling: CPU {}",
                cpu_list::each(now.iter().map(|cpu| cpu.0))
            ),
        }
        // Committed even if it changes no row, so that the snapshot shows it.
        let (reply, answer) = oneshot::channel();
        self.push(step, false, Ticket::Noted(reply), ctx);
        durable(answer)
    }
}

impl Handler<ForgetJobs> for ResourceManagerActor {
    type Result = Noted;

    fn handle(&mut self, message: ForgetJobs, ctx: &mut Self::Context) -> Self::Result {
        let ForgetJobs { mut jobs, read_at } = message;
        // Whoever was run again meanwhile may have ended otherwise: the next sweep looks.
        jobs.retain(|old| self.outbox.check_over(old.job, read_at) == ReadFreshness::Fresh);
        let step = self.kernel.forget(&jobs);
        self.note(step, ctx)
    }
}

impl Handler<LookAtAll> for ResourceManagerActor {
    type Result = MessageResult<LookAtAll>;

    fn handle(&mut self, _: LookAtAll, _: &mut Self::Context) -> Self::Result {
        let mut made = Vec::new();
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
                made.push(attempt);
            }
        }
        if !made.is_empty() {
            fault::point(fault::RECOVERY_ADOPTED);
        }
        MessageResult(made)
    }
}

impl ResourceManagerActor {
    /// Granted in memory, its commit not back yet: its executor comes with the commit.
    fn launch_is_under_way(&self, attempt: Attempt) -> bool {
        let is_its = |change: &Change| match change {
            Change::Granted { event, .. } => (event.job, event.attempt) == (attempt.job, attempt.n),
            _ => false,
        };
        self.outbox.steps().any(|(changes, _)| changes.iter().any(is_its))
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
