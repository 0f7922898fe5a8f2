//! *Purpose*: who may run before the head job without delaying it.
//!
//! *Owns*: EASY backfilling.
//!
//! *Promises*: one sweep; a backfilled job either ends by the head's reserved time or uses only
//! CPUs that the head will not need.
//!
//! *Not here*: the reservation (`policy::profile`).

use super::profile::{Reservation, expected_end};
use crate::kernel::change::Queued;
use crate::kernel::ids::JobId;
use crate::kernel::time::Time;

/// Starts jobs of `queue` beside the reservation. Without one (a head wider than the machine,
/// after a reconfiguration) there is nothing to protect: plain first fit.
pub fn easy(
    queue: &[Queued],
    mut free: u32,
    mut reserved: Option<Reservation>,
    now: Time,
    start: &mut Vec<JobId>,
) {
    for job in queue {
        if free == 0 {
            return;
        }
        if job.cpus > free {
            continue;
        }
        if let Some(r) = reserved.as_mut()
            && expected_end(now, job.limit_s) > r.at
        {
            if job.cpus > r.extra {
                continue;
            }
            r.extra -= job.cpus;
        }
        free -= job.cpus;
        start.push(job.id);
    }
}
