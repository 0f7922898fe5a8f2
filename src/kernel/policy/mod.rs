//! *Purpose*: which pending jobs start now.
//!
//! *Owns*: [`plan`], a pure function of a view and a time.
//!
//! *Promises*: what it starts fits; the first job that does not fit gets a reservation that no
//! later job delays, so a wide job never starves. A bad policy can waste time, never CPUs:
//! the ledger checks every entry again.
//!
//! *Not here*: the order of the queue (`kernel::queue`), taking CPUs (`kernel::ledger`).

pub mod backfill;
pub mod profile;

use super::ids::JobId;
use super::time::Time;
use super::view::QueueView;

/// Jobs to start now, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The jobs.
    pub start: Vec<JobId>,
}

/// Priority, then submit order, first fit with a reservation for the head (EASY: Lifka, "The
/// ANL/IBM SP scheduling system", 1995).
#[must_use]
pub fn plan(view: &QueueView, now: Time) -> Plan {
    let mut free = view.free;
    let mut busy: Vec<profile::Release> =
        view.busy.iter().map(|b| profile::release_of(b, now)).collect();
    let mut start = Vec::new();
    let mut queue = view.queue.iter();
    for job in queue.by_ref() {
        if job.cpus > free {
            let reserved = profile::reservation(job.cpus, free, &mut busy);
            backfill::easy(queue.as_slice(), free, reserved, now, &mut start);
            break;
        }
        free -= job.cpus;
        busy.push(profile::Release { at: profile::expected_end(now, job.limit_s), cpus: job.cpus });
        start.push(job.id);
    }
    Plan { start }
}
