//! *Purpose*: what waits for durability.
//!
//! *Owns*: steps not yet committed, the one commit in flight, commit numbers, and the window of
//! idempotency keys, and of changes of jobs that are over, that readers cannot have seen yet.
//!
//! *Promises*: one commit is in flight at a time; steps are committed in the order of the
//! kernel's decisions; a ticket is answered and an effect is caused only after its commit, and
//! one without changes only after the commits of all that was decided before it; a submission
//! that was given up is answered, and with it goes what was decided for its jobs alone: neither its
//! effects nor theirs ever happen.
//!
//! *Not here*: when to flush (`actors::resource_manager`), how to commit (`store::body::write`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::job::ids::{CommitNo, Epoch, EventId, JobId};
use crate::job::state::StateWord;
use crate::kernel::change::{Change, Effect, Step};
use crate::kernel::parts::arrays::beyond_the_first;
use crate::kernel::parts::queued::Queued;
use crate::kernel::state::Kernel;
use crate::kernel::views::snapshot::Snapshot;

/// How many commits back idempotency keys are remembered: far longer than a read takes to
/// come back to the resource manager.
pub const KEY_WINDOW_COMMITS: i64 = 256;

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Whose.
    pub epoch: Epoch,
    /// Its number, one more than that of the last one.
    pub no: CommitNo,
    /// The next job id, once this is durable.
    pub next_job: JobId,
    /// The next event id.
    pub next_event: EventId,
    /// Ended jobs by final state, once this is durable.
    pub ended: BTreeMap<StateWord, u64>,
    /// The changes of each step, in order.
    pub steps: Vec<Arc<Vec<Change>>>,
}

#[derive(Clone, Debug)]
struct Waiting<T> {
    changes: Arc<Vec<Change>>,
    effects: Vec<Effect>,
    /// Whether it may be answered "nothing stored" when the disk refuses: submissions may,
    /// facts, plans and cancels must be kept.
    droppable: bool,
    ticket: T,
}

#[derive(Clone, Debug)]
struct InFlight<T> {
    commit: Commit,
    steps: Vec<Waiting<T>>,
    snapshot: Snapshot,
}

/// What to do after a commit, in order: publish, then cause, then answer.
#[derive(Debug)]
pub struct Committed<T> {
    /// "Now" as of this commit.
    pub snapshot: Snapshot,
    /// Effects of what is durable.
    pub effects: Vec<Effect>,
    /// Who waits for it.
    pub tickets: Vec<T>,
    /// The durable changes, for those who follow events.
    pub changes: Vec<Arc<Vec<Change>>>,
}

/// What was given up of a commit that is known not to be durable.
#[derive(Debug)]
pub struct Rejected<T> {
    /// Who waited for it: for submissions, and for grants of nothing but their jobs.
    pub tickets: Vec<T>,
    /// The jobs that are not submitted after all.
    pub withdrawn: Vec<JobId>,
}

/// Is what a reader saw still true: that a key is unused, that a job is over?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFreshness {
    /// It is.
    Fresh,
    /// Read the table again, at this commit or later.
    LookAgain(CommitNo),
}

/// The outbox. `T` is whatever answers a waiting caller; where that can be cloned so can the
/// outbox, for whoever explores more than one future of it.
#[derive(Clone, Debug)]
pub struct Outbox<T> {
    epoch: Epoch,
    next_no: CommitNo,
    waiting: Vec<Waiting<T>>,
    in_flight: Option<InFlight<T>>,
    /// What waits was refused, and nobody has said yet that it shall be tried again.
    refused: bool,
    keys: VecDeque<(CommitNo, Arc<str>)>,
    /// Jobs that were over and changed nevertheless: forgotten, or back in the queue.
    over: VecDeque<(CommitNo, JobId)>,
}

impl<T> Outbox<T> {
    /// An empty outbox after the commit `last`.
    #[must_use]
    pub fn new(epoch: Epoch, last: CommitNo) -> Outbox<T> {
        Outbox {
            epoch,
            next_no: CommitNo(last.0 + 1),
            waiting: Vec::new(),
            in_flight: None,
            refused: false,
            keys: VecDeque::new(),
            over: VecDeque::new(),
        }
    }

    /// Puts a step behind those that wait.
    pub fn push(&mut self, step: Step, droppable: bool, ticket: T) {
        let no = self.next_free_no();
        self.keys.extend(keys_of(&step.changes).map(|key| (no, key)));
        self.over.extend(over_of(&step.changes).map(|job| (no, job)));
        let Step { changes, effects } = step;
        self.waiting.push(Waiting { changes: Arc::new(changes), effects, droppable, ticket });
    }

    /// Something was answered without a change of its own. What it rests on may not be durable
    /// yet (the second of two equal cancels, a fact that came twice), so its ticket is answered
    /// with the last of that. Hands the ticket back when all that was decided is durable.
    #[must_use]
    pub fn follow(&mut self, ticket: T) -> Option<T> {
        let last = if self.waiting.is_empty() {
            let Some(flight) = &mut self.in_flight else { return Some(ticket) };
            &mut flight.steps
        } else {
            &mut self.waiting
        };
        last.push(Waiting { changes: Arc::default(), effects: vec![], droppable: false, ticket });
        None
    }

    /// The commit with which all that was decided so far is durable.
    #[must_use]
    pub fn owed(&self) -> CommitNo {
        match (self.waiting.is_empty(), &self.in_flight) {
            (false, _) => self.next_free_no(),
            (true, Some(flight)) => flight.commit.no,
            (true, None) => CommitNo(self.next_no.0 - 1),
        }
    }

    fn next_free_no(&self) -> CommitNo {
        CommitNo(self.next_no.0 + i64::from(self.in_flight.is_some()))
    }

    /// Whether a commit could leave now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.in_flight.is_none() && !self.waiting.is_empty() && !self.refused
    }

    /// Whether what waits was refused, and [`Outbox::try_again`] was not called since.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refused
    }

    /// What was refused is ready to be taken again.
    pub fn try_again(&mut self) {
        self.refused = false;
    }

    /// Whether nothing waits and nothing is in flight.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.in_flight.is_none() && self.waiting.is_empty()
    }

    /// Every step that is not known to be durable, with its ticket: those of the commit in
    /// flight, then those that wait. To look at.
    pub fn steps(&self) -> impl Iterator<Item = (&[Change], &T)> {
        let in_flight = self.in_flight.iter().flat_map(|flight| &flight.steps);
        in_flight.chain(&self.waiting).map(|step| (&step.changes[..], &step.ticket))
    }

    /// How many steps wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether no step waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes all that waits as the next commit, unless one is in flight.
    pub fn take(&mut self, kernel: &Kernel) -> Option<Commit> {
        if !self.is_ready() {
            return None;
        }
        let steps = std::mem::take(&mut self.waiting);
        let (next_job, next_event) = kernel.next_ids();
        let no = self.next_no;
        let mut snapshot = kernel.snapshot();
        snapshot.commit_no = no;
        snapshot.last_event = EventId(next_event.0 - 1);
        // Who waits for something enters the kernel's queue after the commit that makes it pending.
        let entering = || steps.iter().flat_map(|step| &step.effects).filter_map(admitted);
        snapshot.pending += entering().map(|jobs| jobs.len() as u64).sum::<u64>();
        snapshot.further_tasks += steps.iter().map(|s| further_tasks(&s.changes)).sum::<u64>();
        let changes = steps.iter().map(|s| Arc::clone(&s.changes)).collect();
        let (epoch, ended) = (self.epoch, snapshot.ended.clone());
        let commit = Commit { epoch, no, next_job, next_event, ended, steps: changes };
        self.in_flight = Some(InFlight { commit: commit.clone(), steps, snapshot });
        Some(commit)
    }

    /// The commit in flight is durable.
    ///
    /// # Panics
    /// When no such commit is in flight: our bug.
    pub fn settle(&mut self, no: CommitNo) -> Committed<T> {
        let Some(flight) = self.in_flight.take().filter(|f| f.commit.no == no) else {
            panic!("commit {no} was answered and is not in flight");
        };
        self.next_no = CommitNo(no.0 + 1);
        while self.keys.front().is_some_and(|(k, _)| k.0 + KEY_WINDOW_COMMITS < self.next_no.0) {
            self.keys.pop_front();
        }
        while self.over.front().is_some_and(|(k, _)| k.0 + KEY_WINDOW_COMMITS < self.next_no.0) {
            self.over.pop_front();
        }
        let mut settled = Committed {
            snapshot: flight.snapshot,
            effects: Vec::new(),
            tickets: Vec::with_capacity(flight.steps.len()),
            changes: flight.commit.steps,
        };
        for step in flight.steps {
            settled.effects.extend(step.effects);
            settled.tickets.push(step.ticket);
        }
        settled
    }

    /// The commit in flight is known not to be durable: gives up every submission, in flight and
    /// waiting, and what was decided for their jobs; all else waits, and is not taken before
    /// [`Outbox::try_again`]. The number is free again.
    ///
    /// # Panics
    /// When no such commit is in flight: our bug.
    pub fn give_up_submissions(&mut self, no: CommitNo) -> Rejected<T> {
        let Some(flight) = self.in_flight.take().filter(|f| f.commit.no == no) else {
            panic!("commit {no} was refused and is not in flight");
        };
        let all = flight.steps.into_iter().chain(std::mem::take(&mut self.waiting));
        let (dropped, kept): (Vec<_>, Vec<_>) = all.partition(|step| step.droppable);
        let submitted = dropped.iter().flat_map(|step| step.changes.iter());
        let withdrawn: Vec<JobId> =
            submitted.filter_map(Change::event).map(|event| event.job).collect();
        for key in dropped.iter().flat_map(|step| keys_of(&step.changes)) {
            self.keys.retain(|(_, k)| *k != key);
        }
        let mut tickets: Vec<T> = dropped.into_iter().map(|step| step.ticket).collect();
        for step in kept {
            match without(step, &withdrawn) {
                Ok(step) => self.waiting.push(step),
                Err(ticket) => tickets.push(ticket),
            }
        }
        // What waited leaves with the same number now.
        self.over.iter_mut().for_each(|(at, _)| *at = (*at).min(no));
        self.refused = !self.waiting.is_empty();
        Rejected { tickets, withdrawn }
    }

    /// Whether a job that a reader found to be over at commit `read_at` is as it was found.
    #[must_use]
    pub fn check_over(&self, job: JobId, read_at: CommitNo) -> ReadFreshness {
        if read_at.0 + KEY_WINDOW_COMMITS < self.next_no.0 {
            return ReadFreshness::LookAgain(CommitNo(self.next_no.0 - 1));
        }
        match self.over.iter().rev().find(|(no, j)| *j == job && *no > read_at) {
            Some((no, _)) => ReadFreshness::LookAgain(*no),
            None => ReadFreshness::Fresh,
        }
    }

    /// Whether a key that a reader did not find at commit `read_at` is free to use.
    #[must_use]
    pub fn check_key(&self, key: &str, read_at: CommitNo) -> ReadFreshness {
        if read_at.0 + KEY_WINDOW_COMMITS < self.next_no.0 {
            return ReadFreshness::LookAgain(CommitNo(self.next_no.0 - 1));
        }
        match self.keys.iter().find(|(no, k)| &**k == key && *no > read_at) {
            Some((no, _)) => ReadFreshness::LookAgain(*no),
            None => ReadFreshness::Fresh,
        }
    }
}

/// Jobs that are over otherwise never change.
fn over_of(changes: &[Change]) -> impl Iterator<Item = JobId> + '_ {
    changes
        .iter()
        .flat_map(|change| match change {
            Change::Requeued { event, past: None, .. } => std::slice::from_ref(&event.job),
            Change::Forgotten { jobs } => jobs,
            _ => &[],
        })
        .copied()
}

/// A step without what it decided for these jobs, in the order of their numbers; its ticket, if
/// that was all.
fn without<T>(mut step: Waiting<T>, gone: &[JobId]) -> Result<Waiting<T>, T> {
    let is_gone = |job: JobId| gone.binary_search(&job).is_ok();
    let concerns = |change: &Change| change.event().is_some_and(|event| is_gone(event.job));
    if !step.changes.iter().any(concerns) {
        return Ok(step);
    }
    Arc::make_mut(&mut step.changes).retain(|change| !concerns(change));
    step.effects.retain(|effect| !matches!(effect, Effect::Launch(one) if is_gone(one.job)));
    if step.changes.is_empty() { Err(step.ticket) } else { Ok(step) }
}

/// The jobs that enter the queue by an effect.
fn admitted(effect: &Effect) -> Option<&[Queued]> {
    if let Effect::Admit(jobs) = effect { Some(jobs) } else { None }
}

fn further_tasks(changes: &[Change]) -> u64 {
    let tasks = changes.iter().filter_map(|change| match change {
        Change::Submitted { spec, .. } => spec.array.as_ref(),
        _ => None,
    });
    tasks.map(|array| beyond_the_first(array.tasks.len())).sum()
}

fn keys_of(changes: &[Change]) -> impl Iterator<Item = Arc<str>> + '_ {
    changes.iter().filter_map(|c| match c {
        Change::Key(key) => Some(Arc::clone(&key.key)),
        _ => None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::job::ids::Attempt;
    use crate::kernel::parts::eligibility::DependencySnapshot;
    use crate::kernel::testing::KernelBuilder;
    use crate::kernel::testing::job::job;
    use crate::policy::plan::Plan;
    use crate::time::Time;

    #[test]
    fn what_rests_on_an_undurable_decision_is_answered_with_it() {
        let kernel = KernelBuilder::new().build();
        let mut outbox = Outbox::new(Epoch(1), CommitNo(0));
        assert_eq!(outbox.follow("nothing is owed"), Some("nothing is owed"));
        outbox.push(Step::default(), false, "first cancel");
        assert_eq!(outbox.follow("second, before it leaves"), None);
        let commit = outbox.take(&kernel).unwrap();
        assert_eq!(outbox.follow("third, in flight"), None);
        // A refusal keeps all three: nobody has been told anything.
        assert_eq!(outbox.give_up_submissions(commit.no).tickets, Vec::<&str>::new());
        assert_eq!(outbox.take(&kernel), None, "not before it is said");
        outbox.try_again();
        assert_eq!(outbox.take(&kernel).unwrap().no, commit.no);
        let told = outbox.settle(commit.no).tickets;
        assert_eq!(told, ["first cancel", "second, before it leaves", "third, in flight"]);
        assert_eq!(outbox.follow("afterwards"), Some("afterwards"));
    }

    #[test]
    fn with_a_submission_goes_what_was_granted_to_its_jobs_and_nothing_else() {
        let mut kernel = KernelBuilder::new().cpus(2).build();
        let ours = kernel.enter([job()], Time(0));
        let mut outbox = Outbox::new(Epoch(1), CommitNo(0));
        let submit = |kernel: &mut Kernel| {
            let (specs, elsewhere) = (vec![job().spec()], DependencySnapshot::default());
            kernel.submit(specs, &elsewhere, &"me".into(), Time(1))
        };
        let (lost, step) = submit(&mut kernel);
        outbox.push(step, true, "submission");
        let commit = outbox.take(&kernel).unwrap();
        let start = [&lost[..], &ours[..]].concat();
        let (started, _, step) = kernel.start(&Plan { start, ..Plan::default() }, Time(2));
        assert_eq!(started, 2);
        outbox.push(step, false, "plan of both");
        let given_up = outbox.give_up_submissions(commit.no);
        assert_eq!((given_up.tickets, &given_up.withdrawn), (vec!["submission"], &lost));
        kernel.withdraw(&given_up.withdrawn, Time(3));
        outbox.try_again();
        let again = outbox.take(&kernel).unwrap();
        assert_eq!((again.no, again.steps.len()), (commit.no, 1));
        let granted = again.steps[0].iter().filter_map(Change::event).map(|event| event.job);
        assert_eq!(granted.collect::<Vec<_>>(), ours);
        let settled = outbox.settle(again.no);
        assert_eq!(settled.effects, [Effect::Launch(Attempt { job: ours[0], n: 1 })]);
        let now = &settled.snapshot;
        assert_eq!((now.pending, now.running, now.used_cpus), (0, 1, 1));

        // Where nothing else was planned the plan goes too.
        let (lost, step) = submit(&mut kernel);
        outbox.push(step, true, "submission");
        let (_, _, step) = kernel.start(&Plan { start: lost, ..Plan::default() }, Time(4));
        outbox.push(step, false, "plan");
        let commit = outbox.take(&kernel).unwrap();
        let given_up = outbox.give_up_submissions(commit.no);
        assert_eq!((given_up.tickets, outbox.is_idle()), (vec!["submission", "plan"], true));
        assert!(!outbox.is_refused(), "nothing is owed");
    }
}
