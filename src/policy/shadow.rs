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

use super::input::{Instant, Running};
use crate::resources::capacity::{Capacity, CellSet, Demand, RegionSet};

/// The reservation of the first job that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// When it can start.
    pub at: Instant,
    /// Where its CPUs may be.
    regions: RegionSet,
    /// CPUs of its regions that are free then beyond what it needs.
    cpus: u64,
    /// Where else it takes something, and how much is free there then beyond what it needs.
    rest: Vec<(CellSet, u64)>,
}

impl Shadow {
    /// The reservation of a job that takes this, with so much free and these attempts running,
    /// which are sorted by their ends. `None` when it never fits.
    #[must_use]
    pub fn of(asked: &Demand<'_>, free: Capacity, running: &[Running]) -> Option<Shadow> {
        let mut then = free;
        let mut at = None;
        for attempt in running {
            if at.is_some_and(|at| attempt.end > at) {
                break;
            }
            then = then.plus(&attempt.held);
            if at.is_none() && then.holds(asked) {
                at = Some(attempt.end);
            }
        }
        let at = at?;
        let rest =
            asked.rest.iter().map(|part| (part.cells, then.within(part.cells) - part.amount));
        Some(Shadow {
            at,
            regions: asked.regions,
            cpus: then.cpus_within(asked.regions) - u64::from(asked.cpus),
            rest: rest.collect(),
        })
    }

    /// Whether a job that takes this share until then leaves the reservation alone.
    #[must_use]
    pub fn admits(&self, share: &Capacity, until: Instant) -> bool {
        let extra = || {
            share.cpus_within(self.regions) <= self.cpus
                && self.rest.iter().all(|(cells, extra)| share.within(*cells) <= *extra)
        };
        until <= self.at || extra()
    }

    /// Such a job starts: if it outlasts the shadow time, what it takes is no longer extra.
    pub fn admit(&mut self, share: &Capacity, until: Instant) {
        if until > self.at {
            self.cpus = self.cpus.saturating_sub(share.cpus_within(self.regions));
            for (cells, extra) in &mut self.rest {
                *extra = extra.saturating_sub(share.within(*cells));
            }
        }
    }
}
