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
    pub fn of<'a>(
        asked: &Demand<'_>,
        free: Capacity,
        running: impl Iterator<Item = &'a Running>,
    ) -> Option<Shadow> {
        // Only what the job asks for is counted: a pass looks at every attempt that runs.
        let mut cpus = free.cpus_within(asked.regions);
        let mut rest: Vec<(CellSet, u64)> =
            asked.rest.iter().map(|part| (part.cells, free.within(part.cells))).collect();
        let mut at = None;
        for attempt in running {
            if at.is_some_and(|at| attempt.end > at) {
                break;
            }
            cpus += attempt.held.cpus_within(asked.regions);
            for (cells, there) in &mut rest {
                *there = there.saturating_add(attempt.held.within(*cells));
            }
            let fits =
                || rest.iter().zip(asked.rest).all(|((_, there), part)| *there >= part.amount);
            if at.is_none() && cpus >= u64::from(asked.cpus) && fits() {
                at = Some(attempt.end);
            }
        }
        let at = at?;
        for ((_, there), part) in rest.iter_mut().zip(asked.rest) {
            *there -= part.amount;
        }
        Some(Shadow { at, regions: asked.regions, cpus: cpus - u64::from(asked.cpus), rest })
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
