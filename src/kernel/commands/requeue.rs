//! *Purpose*: jobs that go back into the queue under their own number.
//!
//! *Owns*: [`EndedJob`], [`Requeued`], and the way back: from a live attempt that
//! somebody asked to run again, from one that ended and is retried, from a job that was over.
//!
//! *Promises*: the CPUs of an attempt come back in the same step that puts its job into the queue;
//! a cancel that comes meanwhile wins; the next grant is the next attempt; what a job waited for
//! before its first attempt is not waited for again, but its deadline still counts.
//!
//! *Not here*: which ends are retried (`kernel::parts::retries`), states (`kernel::transition`),
//! whether what was read of a job that is over is still true (`kernel::outbox`).

use std::sync::Arc;

use crate::job::ids::JobId;
use crate::job::request::Request;
use crate::job::retry_policy::RetryPolicy;
use crate::job::state::{Hold, StateWord};
use crate::kernel::access::Permitted;
use crate::kernel::change::{
    Change, Effect, Event, PREEMPTED, PastAttempt, REQUEUED, Step, USER_UNKNOWN,
};
use crate::kernel::parts::conditions::Conditions;
use crate::kernel::parts::limits::{Payer, TooMany};
use crate::kernel::parts::live::Live;
use crate::kernel::parts::queued::Queued;
use crate::kernel::parts::retries::RetryState;
use crate::kernel::state::Kernel;
use crate::kernel::transition::{Fact, JobState, RequeueReason};
use crate::resources::allocation::Allocation;
use crate::resources::partitions::is_list;
use crate::time::Time;

/// When a job whose owner nobody could name is tried again, seconds; twice as late after each
/// attempt.
const ASKED_AGAIN_S: i64 = 30;
/// At the latest, seconds: a directory of users that is down for a day makes some hundred attempts
/// of a job, not thousands.
const ASKED_AGAIN_S_MAX: i64 = 600;

/// A job that is over, as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedJob {
    /// As it would stand in the queue.
    pub job: Queued,
    /// What it asks for beside CPUs.
    pub rest: Request,
    /// How it ended.
    pub word: StateWord,
    /// Whether it was held.
    pub held: Hold,
    /// Not before.
    pub begin: Option<Time>,
    /// Not after.
    pub deadline: Option<Time>,
    /// When it is run again by itself.
    pub retry: Option<Arc<RetryPolicy>>,
    /// Its partition, or all that it lists.
    pub partition: String,
    /// Its account.
    pub account: String,
    /// Its user; empty where users are not told apart.
    pub user: String,
    /// The array and the task that it is.
    pub task: Option<(JobId, u32)>,
}

/// What became of a wish to run a job again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requeued {
    /// Its attempt is being stopped; then it waits again.
    Stopping,
    /// It was over and waits again.
    Waiting,
    /// It waits already.
    Pending,
    /// A cancel of it is in, and wins.
    Cancelling,
    /// Neither waiting nor live. The database tells.
    NotLive,
    /// It is over, and its account or its user may not have so much that waits.
    TooMany(TooMany),
}

impl Kernel {
    /// Runs a live attempt's job again: it is stopped as by a cancel, and then waits, held if that
    /// is asked for.
    pub fn requeue_asked(
        &mut self,
        id: JobId,
        hold: Hold,
        by: &Permitted,
        now: Time,
    ) -> (Requeued, Step) {
        if self.unstored.contains(&id) {
            return (Requeued::NotLive, Step::default());
        }
        if self.queue.get(id).is_some() {
            return (Requeued::Pending, Step::default());
        }
        let Some(live) = self.live.get(&id) else { return (Requeued::NotLive, Step::default()) };
        if live.state.is_being_cancelled() {
            return (Requeued::Cancelling, Step::default());
        }
        let fact = Fact::RequeueAsked { hold };
        // Asked twice is asked once.
        let step = self.take_fact(live.attempt(), fact, &by.principal(), now).unwrap_or_default();
        (Requeued::Stopping, step)
    }

    /// Puts a job that was over into the queue again. Whoever calls this knows that what was read
    /// of it is still true. If somebody else was faster, nothing is done.
    pub fn requeue_over(
        &mut self,
        over: EndedJob,
        hold: Hold,
        by: &Permitted,
        now: Time,
    ) -> (Requeued, Step) {
        let id = over.job.id;
        if self.queue.get(id).is_some() {
            return (Requeued::Waiting, Step::default());
        }
        if self.live.contains_key(&id) {
            return (Requeued::Stopping, Step::default());
        }
        let user = Some(Payer::User(&over.user)).filter(|_| !over.user.is_empty());
        let mut payers = [Payer::Account(&over.account)].into_iter().chain(user);
        if let Some(refused) = payers.find_map(|payer| self.too_many_with(payer, &over.job)) {
            return (Requeued::TooMany(refused), Step::default());
        }
        if let Some(count) = self.ended.get_mut(&over.word) {
            *count = count.saturating_sub(1);
        }
        if let Some(policy) = &over.retry {
            self.retries.insert(id, RetryState::new(policy));
        }
        let words = (Some(over.word), StateWord::Pending);
        let cause = ("requeue_asked", by.principal());
        let event = self.event((id, over.job.attempts), words, cause, now);
        let (held, begin) = (over.held.max(hold), over.begin.filter(|begin| *begin > now));
        let conditions = waits_for(held, begin, over.deadline);
        self.eligibility.register(id, conditions);
        let mut step = Step::default();
        let of_array = over.task.map(|(array, _)| array);
        self.keep_answers([id].into_iter().chain(of_array), &mut step);
        let array = self.arrays.came_back(id, over.task);
        let job = self.with_words(over.job, (&over.partition, &over.account, &over.user));
        let rest = self.request(&over.rest);
        self.enqueue(Queued { rest, ..job }, now);
        if let Some(array) = array {
            self.look_again(array, now);
        }
        let partition = is_list(&over.partition).then(|| over.partition.as_str().into());
        let change = Change::Requeued { event, past: None, begin, held, retries: 0, partition };
        step.changes.push(change);
        (Requeued::Waiting, step)
    }

    /// An attempt is over, its job goes back into the queue.
    pub(in crate::kernel) fn return_to_queue(
        &mut self,
        Live { job, state, .. }: Live,
        given_back: Option<Allocation>,
        event: Event,
    ) -> Step {
        let JobState::Requeued(end, back) = state else {
            unreachable!("asked for what goes back only")
        };
        let (id, now) = (job.id, event.time);
        let (begin, held, word) = match back {
            RequeueReason::Asked { hold } => (None, hold, REQUEUED),
            RequeueReason::Preempted => (None, Hold::No, PREEMPTED),
            RequeueReason::UserUnknown => (Some(asked_again(&job, now)), Hold::No, USER_UNKNOWN),
            RequeueReason::Retry { begin } => {
                (Some(begin).filter(|at| *at > now), Hold::No, end.word.word())
            }
        };
        let kept = self.retries.entry(id).or_default();
        if let (RequeueReason::Retry { .. }, Some(retry)) = (back, &mut kept.retry) {
            retry.used += 1;
        }
        let retries = kept.retry.as_ref().map_or(0, |retry| retry.used);
        let deadline = kept.deadline.take();
        if *kept == RetryState::default() {
            self.retries.remove(&id);
        }
        let released = given_back.as_ref().map(Allocation::units).unwrap_or_default();
        if let Some(allocation) = given_back {
            self.ledger.release(allocation);
            self.releases += 1;
        }
        let attempt = crate::job::ids::Attempt { job: id, n: job.attempts };
        self.eligibility.register(id, waits_for(held, begin, deadline));
        let mut step = Step { effects: vec![Effect::Retire(attempt)], ..Step::default() };
        let of_array = self.arrays.task_of(id).map(|(array, _)| array);
        self.keep_answers([id].into_iter().chain(of_array), &mut step);
        let array = self.arrays.came_back(id, None);
        self.enqueue(job, now);
        if let Some(array) = array {
            self.look_again(array, now);
        }
        let past = Some(PastAttempt { state: word, end, released });
        let partition = self.list_of(&job);
        step.changes.push(Change::Requeued { event, past, begin, held, retries, partition });
        self.charge(&job, now, &mut step);
        step
    }
}

/// What a job waits for that is back: nobody else.
fn waits_for(held: Hold, begin: Option<Time>, deadline: Option<Time>) -> Conditions {
    let (held, by_operator) = (held > Hold::No, held == Hold::ByOperator);
    Conditions { held, by_operator, begin, deadline, ..Conditions::default() }
}

/// When the next attempt is made of a job whose owner nobody could name.
fn asked_again(job: &Queued, now: Time) -> Time {
    let doubled = ASKED_AGAIN_S << job.attempts.saturating_sub(1).min(5);
    now.plus_s(doubled.min(ASKED_AGAIN_S_MAX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
