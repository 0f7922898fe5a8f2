//! *Purpose*: why a job waits, in the field's word and a plain sentence.
//!
//! *Owns*: the reasons of PENDING jobs.
//!
//! *Promises*: a pending job always has a reason; it is told from a snapshot, never from the
//! kernel's memory.
//!
//! *Not here*: who may start (`kernel::policy`).

use crate::kernel::ids::JobId;
use crate::kernel::view::Snapshot;

/// Slurm's reason word and a sentence.
#[must_use]
pub fn pending_reason(now: &Snapshot, job: JobId, cpus: u32) -> (&'static str, String) {
    if cpus > now.total_cpus {
        let total = now.total_cpus;
        return (
            "PartitionConfig",
            format!(
                "needs {cpus} CPUs, this server now has {total}; restart it with more, or cancel"
            ),
        );
    }
    match now.head {
        Some((head, _)) if head != job => (
            "Priority",
            format!(
                "job {head} is first in the queue; this one may start earlier only where it \
                     does not delay it"
            ),
        ),
        _ => (
            "Resources",
            format!(
                "is next; needs {cpus} CPUs, {} of {} are free",
                now.available_cpus, now.total_cpus
            ),
        ),
    }
}
