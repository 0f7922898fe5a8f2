//! *Purpose*: what a pass decided.
//!
//! *Owns*: [`Plan`].
//!
//! *Promises*: plain data; whoever starts it checks every entry again.
//!
//! *Not here*: how it comes about (`policy::pass`), taking CPUs (`resources::ledger`).

use super::input::{Instant, PendingJob};
use crate::job::ids::JobId;

/// What a pass decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Jobs to start now, in this order.
    pub start: Vec<JobId>,
    /// The first job that does not fit, and when it can start, where somebody looked.
    pub head: Option<(JobId, Option<Instant>)>,
    /// The first job of the line, and whose attempts go back to the queue so that it fits.
    pub preempt: Option<(JobId, Vec<JobId>)>,
}

impl Plan {
    /// Takes whoever starts out of a queue.
    pub fn take_out_of(&self, queue: &mut Vec<PendingJob>) {
        if let [only] = self.start[..] {
            // By far the most frequent.
            if let Some(at) = queue.iter().position(|waits| waits.job == only) {
                queue.remove(at);
            }
        } else if !self.start.is_empty() {
            let mut gone = self.start.clone();
            gone.sort_unstable();
            queue.retain(|waits| gone.binary_search(&waits.job).is_err());
        }
    }
}
