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
                "needs {}, this server now has {total}; restart it with more, or cancel",
                counted(cpus)
            ),
        );
    }
    let reachable = now.total_cpus.saturating_sub(now.held_back.len() as u32);
    if cpus > reachable {
        return (
            "ReqNodeNotAvail",
            format!(
                "needs {}, {} of {} are held back because the audit doubts that they are free; \
                 `downbeat audit` says why",
                counted(cpus),
                now.held_back.len(),
                now.total_cpus
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
                "is next; needs {}, {} of {} are free",
                counted(cpus),
                now.available_cpus,
                now.total_cpus
            ),
        ),
    }
}

fn counted(cpus: u32) -> String {
    if cpus == 1 { "1 CPU".to_owned() } else { format!("{cpus} CPUs") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_job_always_has_a_reason() {
        let now = Snapshot {
            total_cpus: 4,
            available_cpus: 2,
            head: Some((JobId(1), 3)),
            ..Snapshot::default()
        };
        let (word, sentence) = pending_reason(&now, JobId(1), 3);
        assert_eq!(
            (word, sentence.as_str()),
            ("Resources", "is next; needs 3 CPUs, 2 of 4 are free")
        );
        let (word, sentence) = pending_reason(&now, JobId(2), 1);
        assert_eq!(word, "Priority");
        assert!(sentence.starts_with("job 1 is first"), "{sentence}");
        let (word, sentence) = pending_reason(&now, JobId(2), 8);
        assert_eq!(word, "PartitionConfig");
        assert!(sentence.starts_with("needs 8 CPUs, this server now has 4"), "{sentence}");
        let doubted = Snapshot { held_back: vec![crate::kernel::ids::CpuId(0)], ..now.clone() };
        let (word, sentence) = pending_reason(&doubted, JobId(1), 4);
        assert_eq!(word, "ReqNodeNotAvail");
        assert!(sentence.starts_with("needs 4 CPUs, 1 of 4 are held back"), "{sentence}");
        let none = Snapshot { head: None, ..now };
        assert_eq!(pending_reason(&none, JobId(2), 1).1, "is next; needs 1 CPU, 2 of 4 are free");
    }
}
