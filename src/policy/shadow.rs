//! *Purpose*: when the first job that does not fit can start.
//!
//! *Owns*: [`Shadow`], the reservation of EASY.
//!
//! *Promises*: it is the first instant at which the job fits if every attempt lasts as long as it
//! may; all attempts due at that very instant count. While a job is at the front its shadow time
//! never moves later.
//!
//! *Not here*: who runs meanwhile (`policy`), reservations of everybody
//! (`policy::conservative`).
//!
//! Source: Lifka, "The ANL/IBM SP scheduling system" (JSSPP 1995).

use super::input::{Instant, PendingJob, Running};
use crate::resources::capacity::{Capacity, RegionSet};

/// The reservation of the first job that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// When it can start.
    pub at: Instant,
    /// Where its CPUs may be.
    regions: RegionSet,
    /// CPUs of its regions that are free then beyond what it needs.
    cpus: u32,
    /// Memory that is free then beyond what it needs.
    memory: u64,
}

impl Shadow {
    /// The reservation of `job` with so much free and these attempts running, which are sorted by
    /// their ends. `None` when it never fits.
    #[must_use]
    pub fn of(job: &PendingJob, free: Capacity, running: &[Running]) -> Option<Shadow> {
        let mut then = free;
        let mut at = None;
        for attempt in running {
            if at.is_some_and(|at| attempt.end > at) {
                break;
            }
            then = then.plus(&attempt.held);
            if at.is_none() && then.holds(job.cpus, job.memory, job.regions) {
                at = Some(attempt.end);
            }
        }
        Some(Shadow {
            at: at?,
            regions: job.regions,
            cpus: then.within(job.regions) - job.cpus,
            memory: then.memory - job.memory,
        })
    }

    /// Whether a job that takes this share until then leaves the reservation alone.
    #[must_use]
    pub fn admits(&self, share: &Capacity, until: Instant) -> bool {
        let extra = share.within(self.regions) <= self.cpus && share.memory <= self.memory;
        until <= self.at || extra
    }

    /// Such a job starts: if it outlasts the shadow time, what it takes is no longer extra.
    pub fn admit(&mut self, share: &Capacity, until: Instant) {
        if until > self.at {
            self.cpus = self.cpus.saturating_sub(share.within(self.regions));
            self.memory = self.memory.saturating_sub(share.memory);
        }
    }
}
