//! *Purpose*: an engine of make-believe processes that outlive the server.
//!
//! *Owns*: what truly happened to each attempt.
//!
//! *Promises*: an attempt starts once, however often it is ordered.
//!
//! *Not here*: processes.

use std::collections::BTreeMap;

use downbeat::kernel::ids::Attempt;
use downbeat::kernel::job::{ExitCode, Usage};
use downbeat::kernel::time::Time;
use downbeat::kernel::transition::{Exit, Fact, Handle, Stop};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tree {
    Ordered,
    Running(Handle),
    /// The supervisor enforces the limit.
    Stopping(Handle),
    Ended(Exit),
    Refused,
    /// Supervisor gone, processes left.
    Remains(Option<Handle>),
    Gone,
}

#[derive(Debug, Default)]
pub struct Engine {
    pub attempts: BTreeMap<Attempt, (Tree, bool)>,
    pub spawns: BTreeMap<Attempt, u32>,
}

impl Engine {
    pub fn launch(&mut self, attempt: Attempt) {
        self.attempts.entry(attempt).or_insert((Tree::Ordered, false));
    }

    pub fn stop(&mut self, attempt: Attempt) {
        // Launching and cancelling may overtake each other: the wish is kept.
        self.attempts.entry(attempt).or_insert((Tree::Ordered, false)).1 = true;
    }

    /// Something happens to one attempt.
    pub fn advance(&mut self, rng: &mut fastrand::Rng, now: Time, faults: bool) {
        let over = |tree: &Tree| matches!(tree, Tree::Ended(_) | Tree::Refused | Tree::Gone);
        let mut open: Vec<_> = self.attempts.iter_mut().filter(|(_, (t, _))| !over(t)).collect();
        if open.is_empty() {
            return;
        }
        let (attempt, (tree, cancel)) = open.swap_remove(rng.usize(..open.len()));
        let code = ExitCode { code: (attempt.job.0 % 251) as u8, signal: 0 };
        let exit = |handle, exit_code, stop| Exit {
            exit_code,
            stop,
            handle,
            end_time: now,
            usage: Usage::default(),
        };
        let next = match tree.clone() {
            Tree::Ordered if *cancel => Tree::Ended(exit(None, None, Some(Stop::Cancelled))),
            Tree::Ordered if rng.u8(..20) == 0 => Tree::Refused,
            Tree::Ordered if faults && rng.u8(..40) == 0 => Tree::Remains(None),
            Tree::Ordered => {
                *self.spawns.entry(*attempt).or_default() += 1;
                Tree::Running(Handle { pid: attempt.job.0 as i32, start_time: now })
            }
            Tree::Running(h) if *cancel => {
                Tree::Ended(exit(Some(h), Some(code), Some(Stop::Cancelled)))
            }
            Tree::Running(h) if faults && rng.u8(..40) == 0 => Tree::Remains(Some(h)),
            Tree::Running(h) if rng.u8(..10) == 0 => Tree::Stopping(h),
            Tree::Running(h) => Tree::Ended(exit(Some(h), Some(code), None)),
            Tree::Stopping(h) => Tree::Ended(exit(Some(h), Some(code), Some(Stop::TimeLimit))),
            Tree::Remains(_) => Tree::Gone,
            over => over,
        };
        *tree = next;
    }

    /// What an observer may tell about an attempt: the one question of recovery.
    pub fn look(&self, attempt: Attempt) -> Option<Fact> {
        match &self.attempts.get(&attempt)?.0 {
            Tree::Ordered => None,
            Tree::Running(h) => Some(Fact::Started(*h)),
            Tree::Stopping(_) => Some(Fact::LimitReached),
            Tree::Ended(exit) => Some(Fact::Exited(exit.clone())),
            Tree::Refused => Some(Fact::LaunchFailed("no such interpreter".into())),
            Tree::Remains(_) => Some(Fact::Lost),
            Tree::Gone => Some(Fact::Vanished("supervisor gone".into())),
        }
    }

    pub fn is_alive(&self, attempt: Attempt) -> bool {
        let tree = self.attempts.get(&attempt).map(|(tree, _)| tree);
        matches!(tree, Some(Tree::Running(_) | Tree::Stopping(_) | Tree::Remains(Some(_))))
    }
}
