//! *Purpose*: why a job waits, in the field's word and a plain sentence.
//!
//! *Owns*: the reasons of PENDING jobs.
//!
//! *Promises*: a pending job always has a reason; it is told from a snapshot, never from the
//! kernel's memory.
//!
//! *Not here*: who may start (`kernel::policy`).

use crate::kernel::ids::JobId;
use crate::kernel::memory::shown;
use crate::kernel::view::Snapshot;

/// Slurm's reason word and a sentence.
#[must_use]
pub fn pending_reason(
    now: &Snapshot,
    job: JobId,
    cpus: u32,
    memory: u64,
) -> (&'static str, String) {
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
    if let Some(total) = now.total_memory.filter(|total| memory > *total) {
        return (
            "PartitionConfig",
            format!(
                "needs {} of memory, this server now has {}; restart it with more, or cancel",
                shown(memory),
                shown(total)
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
        _ => ("Resources", format!("is next; {}", missing(now, cpus, memory))),
    }
}

/// What a job needs and what there is of it. Memory is named when there is too little of it, and
/// then CPUs only if there are too few of them as well.
fn missing(now: &Snapshot, cpus: u32, memory: u64) -> String {
    let of_cpus = || {
        let (needs, free, total) = (counted(cpus), now.available_cpus, now.total_cpus);
        format!("needs {needs}, {free} of {total} are free")
    };
    let (Some(total), Some(free)) = (now.total_memory, now.available_memory) else {
        return of_cpus();
    };
    if memory <= free {
        return of_cpus();
    }
    let (needs, free, total) = (shown(memory), shown(free), shown(total));
    let of_memory = format!("needs {needs} of memory, {free} of {total} are free");
    if cpus <= now.available_cpus { of_memory } else { format!("{}; {of_memory}", of_cpus()) }
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
        let (word, sentence) = pending_reason(&now, JobId(1), 3, 0);
        assert_eq!(
            (word, sentence.as_str()),
            ("Resources", "is next; needs 3 CPUs, 2 of 4 are free")
        );
        let (word, sentence) = pending_reason(&now, JobId(2), 1, 0);
        assert_eq!(word, "Priority");
        assert!(sentence.starts_with("job 1 is first"), "{sentence}");
        let (word, sentence) = pending_reason(&now, JobId(2), 8, 0);
        assert_eq!(word, "PartitionConfig");
        assert!(sentence.starts_with("needs 8 CPUs, this server now has 4"), "{sentence}");
        let doubted = Snapshot { held_back: vec![crate::kernel::ids::CpuId(0)], ..now.clone() };
        let (word, sentence) = pending_reason(&doubted, JobId(1), 4, 0);
        assert_eq!(word, "ReqNodeNotAvail");
        assert!(sentence.starts_with("needs 4 CPUs, 1 of 4 are held back"), "{sentence}");
        let none = Snapshot { head: None, ..now };
        assert_eq!(
            pending_reason(&none, JobId(2), 1, 0).1,
            "is next; needs 1 CPU, 2 of 4 are free"
        );
    }
    #[test]
    fn whoever_waits_for_memory_reads_so() {
        let now = Snapshot {
            total_cpus: 4,
            available_cpus: 2,
            total_memory: Some(8 << 30),
            available_memory: Some(512 << 20),
            head: Some((JobId(1), 1)),
            ..Snapshot::default()
        };
        let said = |cpus, memory| pending_reason(&now, JobId(1), cpus, memory);
        assert_eq!(
            said(1, 2 << 30),
            ("Resources", "is next; needs 2 GiB of memory, 512 MiB of 8 GiB are free".to_owned())
        );
        assert_eq!(
            said(3, 2 << 30).1,
            "is next; needs 3 CPUs, 2 of 4 are free; needs 2 GiB of memory, 512 MiB of 8 GiB are \
             free"
        );
        assert_eq!(said(3, 1 << 20).1, "is next; needs 3 CPUs, 2 of 4 are free");
        let (word, sentence) = said(1, 9 << 30);
        assert_eq!(word, "PartitionConfig");
        assert!(sentence.starts_with("needs 9 GiB of memory, this server now has 8 GiB"));
        let uncounted = Snapshot { total_memory: None, available_memory: None, ..now.clone() };
        assert_eq!(pending_reason(&uncounted, JobId(1), 3, 9 << 30).1, said(3, 0).1);
    }
}
