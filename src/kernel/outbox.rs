//! *Purpose*: what waits for durability.
//!
//! *Owns*: steps not yet committed, the one commit in flight, commit numbers, and the window of
//! idempotency keys, and of changes of jobs that are over, that readers cannot have seen yet.
//!
//! *Promises*: one commit is in flight at a time; steps are committed in the order of the
//! kernel's decisions; a ticket is answered and an effect is caused only after its commit, and
//! one without changes only after the commits of all that was decided before it; a submission
//! that was given up is answered, and its effects never happen.
//!
//! *Not here*: when to flush (`actors::resource_manager`), how to commit (`store::write`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::job::ids::{CommitNo, Epoch, EventId, JobId};
use crate::job::state::StateWord;
use crate::kernel::change::{Change, Effect, Step};
use crate::kernel::parts::arrays::beyond_the_first;
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

/// What to do after a commit that is known not to be durable.
#[derive(Debug)]
pub struct Rejected<T> {
    /// Whose submissions were given up.
    pub tickets: Vec<T>,
    /// The jobs that are not submitted after all.
    pub withdrawn: Vec<JobId>,
    /// The same commit without them, to be tried again until it succeeds; `None` when nothing
    /// remains, and the number is free again.
    pub retry: Option<Commit>,
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
        self.in_flight.is_none() && !self.waiting.is_empty()
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
        // Submissions enter the kernel's queue after the commit, but it makes them pending.
        snapshot.pending += steps.iter().map(|s| submissions(&s.changes)).sum::<u64>();
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
    /// waiting; all else will be tried again under the same number.
    ///
    /// # Panics
    /// When no such commit is in flight: our bug.
    pub fn give_up_submissions(&mut self, no: CommitNo) -> Rejected<T> {
        let Some(mut flight) = self.in_flight.take().filter(|f| f.commit.no == no) else {
            panic!("commit {no} was refused and is not in flight");
        };
        let (mut tickets, mut withdrawn) = (Vec::new(), Vec::new());
        let (dropped, kept) = flight.steps.into_iter().partition(|s| s.droppable);
        flight.steps = kept;
        let (also_dropped, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|s| s.droppable);
        self.waiting = kept;
        let dropped: Vec<Waiting<T>> = dropped;
        flight.snapshot.pending -= dropped.iter().map(|s| submissions(&s.changes)).sum::<u64>();
        let further = dropped.iter().map(|s| further_tasks(&s.changes)).sum::<u64>();
        flight.snapshot.further_tasks -= further;
        for step in dropped.into_iter().chain(also_dropped) {
            for key in keys_of(&step.changes) {
                self.keys.retain(|(_, k)| *k != key);
            }
            withdrawn.extend(step.changes.iter().filter_map(Change::event).map(|event| event.job));
            tickets.push(step.ticket);
        }
        if flight.steps.is_empty() {
            return Rejected { tickets, withdrawn, retry: None };
        }
        flight.commit.steps = flight.steps.iter().map(|s| Arc::clone(&s.changes)).collect();
        let retry = Some(flight.commit.clone());
        self.in_flight = Some(flight);
        Rejected { tickets, withdrawn, retry }
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

fn submissions(changes: &[Change]) -> u64 {
    changes.iter().filter(|c| matches!(c, Change::Submitted { .. })).count() as u64
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
    use crate::kernel::testing::KernelBuilder;

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
        let dropped = outbox.give_up_submissions(commit.no);
        assert_eq!((dropped.tickets, dropped.retry.is_some()), (vec![], true));
        let told = outbox.settle(commit.no).tickets;
        assert_eq!(told, ["first cancel", "second, before it leaves", "third, in flight"]);
        assert_eq!(outbox.follow("afterwards"), Some("afterwards"));
    }
}
