//! *Purpose*: who used how much in a time, as it is asked for and answered.
//!
//! *Owns*: [`By`], [`Key`], [`Used`].
//!
//! *Promises*: plain values.
//!
//! *Not here*: adding up (`store::body`), who may read it (`api`).

use crate::job::state::StateWord;
use crate::time::Time;

/// Jobs that one question adds up: a million take some two seconds, and a question has ten.
pub const JOBS_MAX: i64 = 1_000_000;

/// By what is added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// By whose the jobs are.
    User,
    /// By whom they are charged to.
    Account,
    /// By how the jobs are called.
    Name,
    /// By day. One begins with the time, and one at each of these moments that is within it; they
    /// are in order.
    Day(Vec<Time>),
}

/// Of what a sum is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A user, an account or a name of jobs.
    Name(String),
    /// The day that begins then.
    Day(Time),
}

/// What somebody used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Jobs that ended in the time.
    pub ended: u64,
    /// Those of them that completed.
    pub completed: u64,
    /// Those that somebody cancelled.
    pub cancelled: u64,
    /// Jobs that hold CPUs now.
    pub running: u64,
    /// CPUs times µs, held.
    pub cpu_us: i64,
    /// GPUs times µs, held.
    pub gpu_us: i64,
    /// Bytes of memory times µs, held.
    pub memory_byte_us: i128,
    /// Last runs of jobs that ended in the time, as far as it is known what they used: µs of CPUs
    /// that were busy, and CPUs times µs that they had.
    pub busy_us: (i64, i64),
    /// Those of the ended that had started, and how long all of these had waited, µs.
    pub waited: (u64, i64),
}

/// More jobs than are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

impl Used {
    pub(super) fn end(&mut self, state: StateWord, waited_us: Option<i64>) {
        self.ended += 1;
        self.completed += u64::from(state == StateWord::Completed);
        self.cancelled += u64::from(state == StateWord::Cancelled);
        if let Some(waited_us) = waited_us {
            let (jobs, sum) = self.waited;
            self.waited = (jobs + 1, sum.saturating_add(waited_us));
        }
    }
}
