//! *Purpose*: a disk that applies commits as the store does, guards included.
//!
//! *Owns*: durable rows, the commit number, the epoch.
//!
//! *Promises*: a guard that misses panics, as it aborts the real process.
//!
//! *Not here*: SQL (`store::write`).

use std::collections::{BTreeMap, BTreeSet};

use downbeat::kernel::change::{Change, Queued};
use downbeat::kernel::ids::{Attempt, CommitNo, CpuId, Epoch, JobId};
use downbeat::kernel::job::StateWord;
use downbeat::kernel::kernel::{Memory, Remembered};
use downbeat::kernel::outbox::Commit;
use downbeat::kernel::time::Time;
use downbeat::kernel::transition::{EndReason, EndState, Handle};

#[derive(Debug)]
pub struct Row {
    pub queued: Queued,
    pub state: StateWord,
    pub cpus: Vec<CpuId>,
    pub granted: Time,
    pub handle: Option<Handle>,
    pub completing: Option<EndReason>,
    pub end: Option<EndState>,
}

#[derive(Debug, Default)]
pub struct Disk {
    pub commit_no: i64,
    pub epoch: i64,
    pub next_job: i64,
    pub next_event: i64,
    pub rows: BTreeMap<JobId, Row>,
    pub last_event: i64,
}

impl Disk {
    /// Applies a commit, or refuses because of the fence.
    pub fn apply(&mut self, commit: &Commit) {
        assert_eq!(commit.epoch, Epoch(self.epoch), "the fence");
        assert_eq!(commit.no, CommitNo(self.commit_no + 1), "commits come in order");
        self.commit_no = commit.no.0;
        self.next_job = commit.next_job.0;
        self.next_event = commit.next_event.0;
        for change in commit.steps.iter().flat_map(|changes| changes.iter()) {
            self.change(change);
        }
        self.no_cpu_is_held_twice();
    }

    fn change(&mut self, change: &Change) {
        if let Some(event) = change.event() {
            assert!(event.id.0 > self.last_event, "event ids rise");
            self.last_event = event.id.0;
            if let Some(from) = event.from {
                assert_eq!(self.rows[&event.job].state, from, "guard of job {}", event.job);
            }
        }
        match change {
            Change::Key(_) => {}
            Change::Submitted { event, spec } => {
                let queued = Queued {
                    id: event.job,
                    cpus: spec.cpus,
                    limit_s: spec.limit_s,
                    priority: spec.priority,
                    attempts: 0,
                    submitted: event.time,
                };
                let row = Row {
                    queued,
                    state: StateWord::Pending,
                    cpus: Vec::new(),
                    granted: Time(0),
                    handle: None,
                    completing: None,
                    end: None,
                };
                assert!(self.rows.insert(event.job, row).is_none(), "ids are never reused");
            }
            Change::Granted { event, cpus, .. } => {
                let row = self.rows.get_mut(&event.job).unwrap();
                row.state = event.to;
                row.cpus.clone_from(cpus);
                row.granted = event.time;
                row.queued.attempts = event.attempt;
            }
            Change::Started { event, handle, .. } => {
                let row = self.rows.get_mut(&event.job).unwrap();
                row.state = event.to;
                row.handle = Some(*handle);
            }
            Change::Completing { event, reason } => {
                let row = self.rows.get_mut(&event.job).unwrap();
                row.state = event.to;
                row.completing = Some(*reason);
            }
            Change::Ended { event, end, released_cpus, .. } => {
                let row = self.rows.get_mut(&event.job).unwrap();
                assert_eq!(row.cpus.len(), *released_cpus as usize, "released what was held");
                row.state = event.to;
                row.cpus.clear();
                row.end = Some(end.clone());
            }
            // No audit and no retention here.
            Change::Reclaimed { .. } | Change::Restored { .. } | Change::Forgotten { .. } => {
                panic!("{change:?}")
            }
        }
    }

    fn no_cpu_is_held_twice(&self) {
        let mut seen = BTreeSet::new();
        for row in self.rows.values() {
            for cpu in &row.cpus {
                assert!(!row.state.is_final(), "a finished job holds CPU {cpu}");
                assert!(seen.insert(*cpu), "CPU {cpu} is held twice on disk");
            }
        }
    }

    /// What a new server reads; it takes the next epoch.
    pub fn boot(&mut self) -> Memory {
        self.epoch += 1;
        let mut memory =
            Memory { next_job: self.next_job, next_event: self.next_event, ..Memory::default() };
        for row in self.rows.values() {
            match row.state {
                StateWord::Pending => memory.pending.push(row.queued),
                state if state.is_final() => *memory.ended.entry(state).or_default() += 1,
                _ => memory.live.push(Remembered {
                    job: row.queued,
                    cpus: row.cpus.clone(),
                    granted: row.granted,
                    handle: row.handle,
                    completing: row.completing,
                }),
            }
        }
        memory
    }

    pub fn live_attempts(&self) -> Vec<Attempt> {
        let live = self.rows.values().filter(|r| !r.cpus.is_empty());
        live.map(|r| Attempt { job: r.queued.id, n: r.queued.attempts }).collect()
    }
}
