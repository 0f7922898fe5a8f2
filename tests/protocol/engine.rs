//! *Purpose*: an engine of make-believe processes that outlive the server.
//!
//! *Owns*: what truly happened to each attempt: spool, step daemon, supervisors, process trees.
//!
//! *Promises*: it keeps the promises of the engine's door (`engine::Engine`) and none beyond: an
//! order may be lost with the step daemon, or be taken late by one that is dying; it answers
//! looks only once a daemon is ready.
//!
//! *Not here*: processes, and who decides what happens next.

use std::collections::{BTreeMap, BTreeSet};

use downbeat::engine::{AttemptStatus, Elsewhere, ExitRecord, Stopping};
use downbeat::job::ids::{Attempt, CpuId};
use downbeat::job::outcome::{ExitCode, Handle, Stop, Usage};
use downbeat::time::Time;

/// A spool folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder {
    /// The CPUs that the order names, once an order was written.
    pub order: Option<Vec<CpuId>>,
    /// The wish to end it.
    pub cancel: bool,
    pub tree: Option<Tree>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tree {
    /// A supervisor, no script yet.
    Launching,
    Running(Handle),
    Stopping(Handle, Stop),
    Ended(ExitRecord),
    /// Supervisor gone without a record; whether processes live is in `Engine::alive`.
    Lost,
}

#[derive(Clone, Debug, Default)]
pub struct Engine {
    /// Which boot of the machine this is.
    pub boot: u32,
    pub spool: BTreeMap<Attempt, Folder>,
    /// Whether the step daemon has said that it is ready. If not, orders are in the hands of its
    /// predecessor, who may still take them.
    pub ready: bool,
    pub orders: Vec<Attempt>,
    /// Process trees, and the CPUs that they use.
    pub alive: BTreeMap<Attempt, Vec<CpuId>>,
    pub spawned: BTreeSet<Attempt>,
    /// Every record ever written: the truth about ends, kept beyond the spool.
    pub records: BTreeMap<Attempt, ExitRecord>,
}

impl Engine {
    pub fn boot_id(&self) -> String {
        self.boot.to_string()
    }

    fn tree(&self, attempt: Attempt) -> Option<&Tree> {
        self.spool.get(&attempt)?.tree.as_ref()
    }

    /// Attempts to which something may happen.
    pub fn under_way(&self) -> impl Iterator<Item = (Attempt, &Folder)> {
        let open = |f: &Folder| {
            matches!(f.tree, Some(Tree::Launching | Tree::Running(_) | Tree::Stopping(..)))
        };
        self.spool.iter().filter(move |(_, f)| open(f)).map(|(a, f)| (*a, f))
    }

    /// Writes the order and hands it over. `false`: no daemon takes it now.
    pub fn launch(&mut self, attempt: Attempt, cpus: Vec<CpuId>) -> bool {
        if !self.ready {
            return false;
        }
        self.spool.entry(attempt).or_default().order = Some(cpus);
        self.orders.push(attempt);
        true
    }

    pub fn cancel(&mut self, attempt: Attempt) {
        self.spool.entry(attempt).or_default().cancel = true;
    }

    /// The daemon takes an order. One whose folder is gone, or begun, starts nothing.
    pub fn take_order(&mut self, i: usize) -> Attempt {
        let attempt = self.orders.remove(i);
        if let Some(folder) = self.spool.get_mut(&attempt)
            && folder.order.is_some()
            && folder.tree.is_none()
        {
            folder.tree = Some(Tree::Launching);
        }
        attempt
    }

    /// The daemon is killed; until the next one is ready its orders may still be taken.
    pub fn daemon_dies(&mut self) {
        self.ready = false;
    }

    /// A daemon has the lock: what was not taken is lost. Answers how many orders that were.
    pub fn daemon_is_ready(&mut self) -> usize {
        self.ready = true;
        std::mem::take(&mut self.orders).len()
    }

    /// The supervisor comes to the spawn: a wish to end it comes first.
    pub fn spawn(&mut self, attempt: Attempt, now: Time) {
        let folder = self.folder(attempt);
        assert_eq!(folder.tree, Some(Tree::Launching), "{attempt} is spawned");
        if folder.cancel {
            let record = record(None, Some(Stop::Cancelled), None, now);
            return self.end(attempt, record);
        }
        let handle = Handle { pid: attempt.job.0 as i32, start_time: now };
        let cpus = folder.order.clone().unwrap_or_default();
        folder.tree = Some(Tree::Running(handle));
        assert!(self.spawned.insert(attempt), "{attempt} was started twice");
        self.alive.insert(attempt, cpus);
    }

    pub fn fail_to_spawn(&mut self, attempt: Attempt, now: Time) {
        let mut failed = record(None, None, None, now);
        failed.launch_error = Some("no such interpreter".into());
        self.end(attempt, failed);
    }

    /// The supervisor begins to end the script.
    pub fn begin_stop(&mut self, attempt: Attempt, why: Stop) {
        let folder = self.folder(attempt);
        let Some(Tree::Running(handle)) = folder.tree else { panic!("{attempt} does not run") };
        folder.tree = Some(Tree::Stopping(handle, why));
    }

    /// The last process of the tree is gone and the record is written.
    pub fn exit(&mut self, attempt: Attempt, code: ExitCode, now: Time) {
        let (handle, stop) = match self.tree(attempt) {
            Some(Tree::Running(handle)) => (*handle, None),
            Some(Tree::Stopping(handle, why)) => (*handle, Some(*why)),
            other => panic!("{attempt} exits as {other:?}"),
        };
        self.end(attempt, record(Some(code), stop, Some(handle), now));
    }

    fn end(&mut self, attempt: Attempt, record: ExitRecord) {
        self.alive.remove(&attempt);
        self.records.insert(attempt, record.clone());
        self.folder(attempt).tree = Some(Tree::Ended(record));
    }

    /// The supervisor is killed. Its script, if there is one, lives on.
    pub fn supervisor_dies(&mut self, attempt: Attempt) {
        self.folder(attempt).tree = Some(Tree::Lost);
    }

    /// The machine restarts: no process remains, what was not recorded is unknown for ever.
    pub fn reboot(&mut self) {
        self.boot += 1;
        self.alive.clear();
        self.orders.clear();
        self.ready = false;
        for folder in self.spool.values_mut() {
            if !matches!(folder.tree, Some(Tree::Ended(_)) | None) {
                folder.tree = Some(Tree::Lost);
            }
        }
    }

    /// The one question about an attempt.
    pub fn reattach(&self, attempt: Attempt, boot_id: &str) -> AttemptStatus {
        assert!(self.ready, "nobody asks before a daemon is ready");
        let tree = self.tree(attempt);
        if let Some(Tree::Ended(record)) = tree {
            return AttemptStatus::Exited(record.clone());
        }
        if boot_id != self.boot_id() {
            return AttemptStatus::Foreign(Elsewhere::Boot);
        }
        match tree {
            None if self.orders.contains(&attempt) => AttemptStatus::Launching,
            None => AttemptStatus::NeverStarted,
            Some(Tree::Launching) => AttemptStatus::Launching,
            Some(Tree::Running(handle)) => {
                AttemptStatus::Running { handle: *handle, stopping: None }
            }
            Some(Tree::Stopping(handle, why)) => {
                AttemptStatus::Running { handle: *handle, stopping: Some(Stopping::Told(*why)) }
            }
            Some(Tree::Ended(_) | Tree::Lost) => AttemptStatus::Lost,
        }
    }

    /// One round of killing; `die` says whether those that are hit are gone at the next look.
    /// Answers how many were seen.
    pub fn kill_leftovers(&mut self, attempt: Attempt, die: bool) -> usize {
        assert_eq!(self.tree(attempt), Some(&Tree::Lost), "only the lost are killed");
        let seen = usize::from(self.alive.contains_key(&attempt));
        if die {
            self.alive.remove(&attempt);
        }
        seen
    }

    /// The end is durable: the folder goes.
    pub fn forget(&mut self, attempt: Attempt) {
        assert!(!self.alive.contains_key(&attempt), "{attempt} is forgotten alive");
        self.spool.remove(&attempt);
    }

    fn folder(&mut self, attempt: Attempt) -> &mut Folder {
        let folder = self.spool.get_mut(&attempt);
        folder.unwrap_or_else(|| panic!("{attempt} has no folder"))
    }
}

fn record(
    exit_code: Option<ExitCode>,
    stop: Option<Stop>,
    handle: Option<Handle>,
    end_time: Time,
) -> ExitRecord {
    let usage = Usage::default();
    let out_of_memory = None;
    ExitRecord {
        version: 2,
        exit_code,
        stop,
        launch_error: None,
        handle,
        end_time,
        usage,
        out_of_memory,
        left_behind: Vec::new(),
    }
}
