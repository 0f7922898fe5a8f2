//! *Purpose*: a job that has CPUs.
//!
//! *Owns*: [`Live`].
//!
//! *Promises*: its state holds the allocation itself, so both go at once.
//!
//! *Not here*: from which state to which (`kernel::transition`).

use crate::job::ids::{Attempt, EventId};
use crate::job::suspension::Suspension;
use crate::kernel::parts::queued::Queued;
use crate::kernel::transition::JobState;
use crate::time::Time;

/// A job that has CPUs.
#[derive(Debug)]
pub struct Live {
    /// As it stood in the queue, `attempts` counting this one.
    pub job: Queued,
    /// Where it stands.
    pub state: JobState,
    /// When it was granted.
    pub granted: Time,
    /// Whether it is suspended, and for how long it was.
    pub suspension: Suspension,
    /// Signals that its supervisor may not have yet, in order.
    pub signals: Vec<EventId>,
}

impl Live {
    /// The attempt that is live.
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        Attempt { job: self.job.id, n: self.job.attempts }
    }
}
