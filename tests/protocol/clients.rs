//! *Purpose*: the reference: what clients were told, and what therefore must be true.
//!
//! *Owns*: the fate of each submission and each cancel, as its sender knows it.
//!
//! *Promises*: it knows nothing of the kernel; a job's name is the client's, so that it is known
//! before the job has a number.
//!
//! *Not here*: how an attempt may end (`checks`).

use std::collections::{BTreeMap, BTreeSet};

use downbeat::job::ids::JobId;
use downbeat::job::state::{EndReason, StateWord};
use downbeat::kernel::commands::cancel::Cancelled;
use downbeat::kernel::commands::requeue::Requeued;

use super::disk::Disk;
use super::server::Reply;

#[derive(Clone, Debug, Default)]
pub struct Clients {
    /// Acknowledged: the jobs of these names.
    pub stored: BTreeMap<JobId, String>,
    /// Told that nothing was stored, and not sent again since.
    pub refused: BTreeSet<String>,
    /// Jobs that somebody wanted to end.
    pub asked: BTreeSet<JobId>,
    /// Jobs of which somebody was told that they are being ended or have been.
    pub cancelled: BTreeSet<JobId>,
    /// Jobs that somebody wanted to run again.
    pub requeued: BTreeSet<JobId>,
    /// Of these, those that were over then: answers of cancels from before may still be under way,
    /// so what they say of these is not looked at.
    pub revived: BTreeSet<JobId>,
    /// Attempts of which somebody was told that another one follows.
    pub followed: BTreeMap<JobId, u32>,
}

impl Clients {
    /// A submission is sent (again).
    pub fn send(&mut self, names: &[String]) {
        for name in names {
            self.refused.remove(name);
        }
    }

    /// Somebody wants a job to run again. Who does so to one that is over gives up its cancel.
    pub fn ask_again(&mut self, job: JobId, is_over: bool) {
        self.requeued.insert(job);
        if is_over {
            self.cancelled.remove(&job);
            self.revived.insert(job);
        }
    }

    /// A client hears an answer.
    pub fn hear(&mut self, reply: Reply, disk: &Disk) {
        match reply {
            Reply::Submitted(names, ids) => {
                assert_eq!(names.len(), ids.len(), "an id for each job");
                for (name, id) in names.into_iter().zip(ids) {
                    assert_eq!(disk.names.get(&name), Some(&id), "job {id} is acknowledged");
                    let before = self.stored.insert(id, name);
                    assert_eq!(before, None, "job {id} was given out twice");
                }
            }
            Reply::NothingStored(names) => {
                for name in names {
                    assert!(!disk.names.contains_key(&name), "{name} is refused and stored");
                    self.refused.insert(name);
                }
            }
            Reply::LookAgain(_) => {}
            Reply::Cancelled(job, outcome) => self.hear_of_cancel(job, outcome, disk),
            Reply::Requeued(attempt, Some(Requeued::Stopping)) => {
                let n = self.followed.entry(attempt.job).or_default();
                *n = attempt.n.max(*n);
            }
            Reply::Requeued(..) => {}
        }
    }

    fn hear_of_cancel(&mut self, job: JobId, outcome: Cancelled, disk: &Disk) {
        let row = &disk.rows[&job];
        let over = row.state.is_final();
        match outcome {
            Cancelled::NotLive if self.revived.contains(&job) => {}
            Cancelled::NotLive => assert!(over, "job {job} is said to be over, not on disk"),
            Cancelled::Ended | Cancelled::Stopping => {
                let stopping = row.completing == Some(EndReason::Cancelled);
                assert!(over || stopping, "a cancel of {job} is acknowledged, not on disk");
                if !self.revived.contains(&job) {
                    self.cancelled.insert(job);
                }
            }
        }
    }

    /// After the disk has changed: nothing that was refused is there.
    pub fn check_refused(&self, disk: &Disk) {
        let stored = self.refused.iter().find(|name| disk.names.contains_key(*name));
        assert_eq!(stored, None, "was refused and is stored");
    }

    /// At every boot: what was acknowledged is there, under its number.
    pub fn check_stored(&self, disk: &Disk) {
        for (id, name) in &self.stored {
            assert_eq!(disk.names.get(name), Some(id), "job {id} ({name}) is lost");
        }
        for job in &self.cancelled {
            let row = &disk.rows[job];
            let stopping = row.completing == Some(EndReason::Cancelled);
            assert!(row.state.is_final() || stopping, "the cancel of job {job} is lost");
        }
    }

    /// At the end: all that was acknowledged has ended, and as it was said.
    pub fn check_ends(&self, disk: &Disk) {
        self.check_stored(disk);
        assert!(disk.held.is_empty(), "CPUs are held at the end: {:?}", disk.held);
        assert!(disk.units.is_empty(), "units are held at the end: {:?}", disk.units);
        for row in disk.rows.values() {
            assert!(row.end.is_some(), "job {} did not end", row.queued.id);
        }
        for job in &self.cancelled {
            let word = disk.rows[job].state;
            assert_eq!(word, StateWord::Cancelled, "job {job} was cancelled");
        }
        for (job, n) in self.followed.iter().filter(|(job, _)| !self.asked.contains(job)) {
            let attempts = disk.rows[job].queued.attempts;
            assert!(attempts > *n, "attempt {n} of job {job} was to be followed by another");
        }
    }
}
