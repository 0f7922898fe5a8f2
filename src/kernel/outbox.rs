//! *Purpose*: what waits for durability.
//!
//! *Owns*: steps not yet committed, the one commit in flight, commit numbers, and the window of
//! idempotency keys that readers cannot have seen yet.
//!
//! *Promises*: one commit is in flight at a time; steps are committed in the order of the
//! kernel's decisions; a ticket is answered and an effect is caused only after its commit; a
//! dropped submission is answered and its effects never happen.
//!
//! *Not here*: when to flush (`actors::resource_manager`), how to commit (`store::write`).

use std::collections::VecDeque;
use std::sync::Arc;

use super::change::{Change, Effect, Step};
use super::ids::{CommitNo, Epoch, EventId, JobId};
use super::kernel::Kernel;
use super::view::Snapshot;

/// How many commits back idempotency keys are remembered: far longer than a read takes to
/// come back to the resource manager.
pub const KEY_WINDOW_COMMITS: i64 = 256;

/// One step on its way, as the writer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The changes.
    pub changes: Arc<Vec<Change>>,
    /// Whether it may be answered "nothing stored" when the disk refuses: submissions may,
    /// facts, plans and cancels must be kept.
    pub droppable: bool,
}

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
    /// Steps, in order.
    pub batches: Vec<Batch>,
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// All of it is durable.
    All,
    /// All but the droppable steps is durable.
    WithoutSubmissions,
    /// Nothing is durable; there was nothing but droppable steps. The number is free again.
    Nothing,
}

#[derive(Debug)]
struct Waiting<T> {
    batch: Batch,
    effects: Vec<Effect>,
    ticket: T,
}

#[derive(Debug)]
struct InFlight<T> {
    no: CommitNo,
    steps: Vec<Waiting<T>>,
    snapshot: Snapshot,
}

/// What to do after a commit, in order: publish, then cause, then answer.
#[derive(Debug)]
pub struct Settled<T> {
    /// "Now" as of this commit.
    pub snapshot: Snapshot,
    /// Effects of what is durable.
    pub effects: Vec<Effect>,
    /// Tickets of what is durable.
    pub done: Vec<T>,
    /// Tickets of what was dropped.
    pub dropped: Vec<T>,
    /// Durable changes, for those who follow events.
    pub changes: Vec<Arc<Vec<Change>>>,
}

/// May this key be used for new jobs?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyCheck {
    /// Nobody used it.
    Fresh,
    /// Read the table again, at this commit or later.
    LookAgain(CommitNo),
}

/// The outbox. `T` is whatever answers a waiting caller.
#[derive(Debug)]
pub struct Outbox<T> {
    epoch: Epoch,
    next_no: CommitNo,
    waiting: Vec<Waiting<T>>,
    in_flight: Option<InFlight<T>>,
    keys: VecDeque<(CommitNo, Arc<str>)>,
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
        }
    }

    /// Puts a step behind those that wait.
    pub fn push(&mut self, step: Step, droppable: bool, ticket: T) {
        for change in &step.changes {
            if let Change::Key(key) = change {
                let no = self.next_free_no();
                self.keys.push_back((no, Arc::clone(&key.key)));
            }
        }
        let batch = Batch { changes: Arc::new(step.changes), droppable };
        self.waiting.push(Waiting { batch, effects: step.effects, ticket });
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
        snapshot.pending += steps.iter().map(|s| submissions(&s.batch)).sum::<u64>();
        let batches = steps.iter().map(|s| s.batch.clone()).collect();
        self.in_flight = Some(InFlight { no, steps, snapshot });
        Some(Commit { epoch: self.epoch, no, next_job, next_event, batches })
    }

    /// The answer to the commit in flight.
    ///
    /// # Panics
    /// When no such commit is in flight: our bug.
    pub fn settle(&mut self, no: CommitNo, result: Committed) -> Settled<T> {
        let Some(flight) = self.in_flight.take().filter(|f| f.no == no) else {
            panic!("commit {no} was answered and is not in flight");
        };
        let mut settled = Settled {
            snapshot: flight.snapshot,
            effects: Vec::new(),
            done: Vec::new(),
            dropped: Vec::new(),
            changes: Vec::new(),
        };
        for step in flight.steps {
            if result != Committed::All && step.batch.droppable {
                settled.snapshot.pending -= submissions(&step.batch);
                settled.dropped.push(step.ticket);
                self.forget_keys(&step.batch);
            } else {
                settled.effects.extend(step.effects);
                settled.done.push(step.ticket);
                settled.changes.push(step.batch.changes);
            }
        }
        if result == Committed::Nothing {
            settled.snapshot.commit_no = CommitNo(no.0 - 1);
        } else {
            self.next_no = CommitNo(no.0 + 1);
        }
        while self.keys.front().is_some_and(|(k, _)| k.0 + KEY_WINDOW_COMMITS < self.next_no.0) {
            self.keys.pop_front();
        }
        settled
    }

    fn forget_keys(&mut self, batch: &Batch) {
        for change in batch.changes.iter() {
            if let Change::Key(key) = change {
                self.keys.retain(|(_, k)| *k != key.key);
            }
        }
    }

    /// Whether a key that a reader did not find at commit `read_at` is free to use.
    #[must_use]
    pub fn check_key(&self, key: &str, read_at: CommitNo) -> KeyCheck {
        if read_at.0 + KEY_WINDOW_COMMITS < self.next_no.0 {
            return KeyCheck::LookAgain(CommitNo(self.next_no.0 - 1));
        }
        match self.keys.iter().find(|(no, k)| &**k == key && *no > read_at) {
            Some((no, _)) => KeyCheck::LookAgain(*no),
            None => KeyCheck::Fresh,
        }
    }
}

fn submissions(batch: &Batch) -> u64 {
    batch.changes.iter().filter(|c| matches!(c, Change::Submitted { .. })).count() as u64
}
