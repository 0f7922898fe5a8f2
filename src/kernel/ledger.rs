//! *Purpose*: who holds which CPU.
//!
//! *Owns*: the one map from CPU identity to holder.
//!
//! *Promises*: a CPU has at most one holder; what is handed out was free; a CPU that no
//! longer exists after a reconfiguration stays held until released and is never handed out; nor
//! is one that is held back because somebody doubts that it is free.
//!
//! *Not here*: who should get CPUs next (`kernel::policy`), when they are given back
//! (`kernel::transition`).

use std::collections::{BTreeMap, BTreeSet};

use super::allocation::Allocation;
use super::ids::{Attempt, CpuId};

/// The CPU ledger.
#[derive(Debug, Default)]
pub struct Ledger {
    configured: BTreeSet<CpuId>,
    free: BTreeSet<CpuId>,
    held: BTreeMap<CpuId, Attempt>,
    held_back: BTreeSet<CpuId>,
}

/// Why the ledger refuses.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerRefused {
    /// Fewer CPUs are free than asked for.
    #[error("{asked} CPUs asked for, {free} free")]
    TooFewFree {
        /// How many were asked for.
        asked: u32,
        /// How many were free.
        free: u32,
    },
    /// Nobody holds zero CPUs.
    #[error("an allocation of no CPUs")]
    Nothing,
    /// At boot: the database says that two attempts hold one CPU.
    #[error("CPU {cpu} is held by {by} already")]
    Held {
        /// The CPU in question.
        cpu: CpuId,
        /// Its holder.
        by: Attempt,
    },
}

impl Ledger {
    /// A ledger over these CPUs, all free.
    pub fn new(cpus: impl IntoIterator<Item = CpuId>) -> Ledger {
        let configured: BTreeSet<CpuId> = cpus.into_iter().collect();
        Ledger { free: configured.clone(), configured, ..Ledger::default() }
    }

    /// Takes the `count` lowest free CPUs.
    ///
    /// # Errors
    /// When fewer are free, or `count` is 0; nothing is taken then.
    pub fn allocate(&mut self, holder: Attempt, count: u32) -> Result<Allocation, LedgerRefused> {
        if count == 0 {
            return Err(LedgerRefused::Nothing);
        }
        if count > self.free() {
            return Err(LedgerRefused::TooFewFree { asked: count, free: self.free() });
        }
        let cpus: Box<[CpuId]> =
            std::iter::from_fn(|| self.free.pop_first()).take(count as usize).collect();
        for cpu in &cpus {
            self.held.insert(*cpu, holder);
        }
        Ok(Allocation { holder, cpus })
    }

    /// At boot: takes exactly these CPUs for an attempt that the database says holds them.
    /// CPUs that are no longer configured are held too.
    ///
    /// # Errors
    /// When one of them is held; nothing is taken then.
    pub fn adopt(
        &mut self,
        holder: Attempt,
        cpus: impl IntoIterator<Item = CpuId>,
    ) -> Result<Allocation, LedgerRefused> {
        let cpus: BTreeSet<CpuId> = cpus.into_iter().collect();
        if cpus.is_empty() {
            return Err(LedgerRefused::Nothing);
        }
        if let Some((cpu, by)) = cpus.iter().find_map(|c| self.held.get(c).map(|by| (*c, *by))) {
            return Err(LedgerRefused::Held { cpu, by });
        }
        for cpu in &cpus {
            self.free.remove(cpu);
            self.held.insert(*cpu, holder);
        }
        Ok(Allocation { holder, cpus: cpus.into_iter().collect() })
    }

    /// Gives an allocation's CPUs back.
    ///
    /// # Panics
    /// When a CPU of it is not held by its holder: an allocation of another ledger, our bug.
    pub fn release(&mut self, allocation: Allocation) {
        for cpu in &allocation.cpus {
            let holder = self.held.remove(cpu);
            assert_eq!(holder, Some(allocation.holder), "CPU {cpu} released by a stranger");
            if self.configured.contains(cpu) && !self.held_back.contains(cpu) {
                self.free.insert(*cpu);
            }
        }
    }

    /// From now on exactly these CPUs are held back: not handed out, whoever gives them back.
    /// Those that no longer are, and that nobody holds, are free again.
    pub fn hold_back(&mut self, doubted: BTreeSet<CpuId>) {
        for cpu in self.held_back.difference(&doubted) {
            if self.configured.contains(cpu) && !self.held.contains_key(cpu) {
                self.free.insert(*cpu);
            }
        }
        self.free.retain(|cpu| !doubted.contains(cpu));
        self.held_back = doubted;
    }

    /// The CPUs that are held back, whether or not an attempt holds them too.
    #[must_use]
    pub fn held_back(&self) -> &BTreeSet<CpuId> {
        &self.held_back
    }

    /// Whether this CPU can be handed out again once its holder gives it back.
    #[must_use]
    pub fn comes_back(&self, cpu: CpuId) -> bool {
        self.configured.contains(&cpu) && !self.held_back.contains(&cpu)
    }

    /// How many CPUs are configured.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.configured.len() as u32
    }

    /// How many CPUs are held, those no longer configured included.
    #[must_use]
    pub fn used(&self) -> u32 {
        self.held.len() as u32
    }

    /// How many CPUs are free.
    #[must_use]
    pub fn free(&self) -> u32 {
        self.free.len() as u32
    }

    /// Every configured or held CPU with its holder, ascending. Both are walked once, side by
    /// side: this is asked at every commit, and a machine may have thousands of CPUs.
    #[must_use]
    pub fn cpus(&self) -> Vec<(CpuId, Option<Attempt>)> {
        let mut all = Vec::with_capacity(self.configured.len());
        let mut held = self.held.iter().map(|(cpu, by)| (*cpu, *by)).peekable();
        for cpu in &self.configured {
            while let Some((gone, by)) = held.next_if(|(held, _)| held < cpu) {
                all.push((gone, Some(by)));
            }
            let holder = held.next_if(|(held, _)| held == cpu);
            all.push((*cpu, holder.map(|(_, by)| by)));
        }
        all.extend(held.map(|(gone, by)| (gone, Some(by))));
        all
    }

    /// The holder of each held CPU.
    #[must_use]
    pub fn held(&self) -> &BTreeMap<CpuId, Attempt> {
        &self.held
    }

    /// A configured CPU is free exactly when nobody holds it and it is not held back; no other
    /// CPU is free. Answers one of which this is not true.
    pub(super) fn broken_cpu(&self) -> Option<CpuId> {
        let taken = |c: &CpuId| self.held.contains_key(c) || self.held_back.contains(c);
        let mut configured = self.configured.iter().copied();
        configured
            .find(|c| self.free.contains(c) == taken(c))
            .or_else(|| self.free.difference(&self.configured).next().copied())
    }

    #[cfg(test)]
    pub(super) fn break_by_forgetting(&mut self, cpu: CpuId) {
        self.held.remove(&cpu);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::ids::JobId;
    use super::*;

    fn attempt(job: i64) -> Attempt {
        Attempt { job: JobId(job), n: 1 }
    }

    fn four() -> Ledger {
        Ledger::new((0..4).map(CpuId))
    }

    #[test]
    fn what_is_handed_out_was_free_and_comes_back() {
        let mut ledger = four();
        let a = ledger.allocate(attempt(1), 3).unwrap();
        assert_eq!(a.cpus(), [CpuId(0), CpuId(1), CpuId(2)]);
        assert_eq!((ledger.used(), ledger.free()), (3, 1));
        let refused = ledger.allocate(attempt(2), 2).unwrap_err();
        assert_eq!(refused, LedgerRefused::TooFewFree { asked: 2, free: 1 });
        ledger.release(a);
        assert_eq!((ledger.used(), ledger.free()), (0, 4));
    }

    #[test]
    fn an_allocation_of_nothing_is_refused() {
        assert_eq!(four().allocate(attempt(1), 0).unwrap_err(), LedgerRefused::Nothing);
        assert_eq!(four().adopt(attempt(1), []).unwrap_err(), LedgerRefused::Nothing);
    }

    #[test]
    fn adopting_a_held_cpu_is_refused_and_takes_nothing() {
        let mut ledger = four();
        let _held = ledger.adopt(attempt(1), [CpuId(2)]).unwrap();
        let refused = ledger.adopt(attempt(2), [CpuId(1), CpuId(2)]).unwrap_err();
        assert_eq!(refused, LedgerRefused::Held { cpu: CpuId(2), by: attempt(1) });
        assert_eq!(ledger.free(), 3);
    }

    #[test]
    fn a_cpu_that_is_held_back_is_not_handed_out_until_nobody_doubts_it() {
        let mut ledger = four();
        let a = ledger.allocate(attempt(1), 2).unwrap();
        ledger.hold_back([CpuId(1), CpuId(2), CpuId(9)].into());
        assert_eq!((ledger.used(), ledger.free()), (2, 1));
        ledger.release(a);
        assert_eq!((ledger.used(), ledger.free()), (0, 2), "CPU 1 came back and stays back");
        assert_eq!(ledger.broken_cpu(), None);
        ledger.hold_back([CpuId(2)].into());
        let b = ledger.allocate(attempt(2), 3).unwrap();
        assert_eq!(b.cpus(), [CpuId(0), CpuId(1), CpuId(3)]);
        ledger.hold_back(BTreeSet::new());
        assert_eq!((ledger.free(), ledger.broken_cpu()), (1, None));
        ledger.release(b);
        assert_eq!(ledger.free(), 4);
    }

    #[test]
    fn a_cpu_that_no_longer_exists_stays_held_and_is_never_handed_out() {
        let mut ledger = four();
        let gone = ledger.adopt(attempt(1), [CpuId(3), CpuId(9)]).unwrap();
        assert_eq!((ledger.total(), ledger.used(), ledger.free()), (4, 2, 3));
        let named: Vec<u32> = ledger.cpus().iter().map(|(cpu, _)| cpu.0).collect();
        assert_eq!(named, [0, 1, 2, 3, 9]);
        ledger.release(gone);
        let all = ledger.allocate(attempt(2), 4).unwrap();
        assert!(!all.cpus().contains(&CpuId(9)));
        assert_eq!(ledger.broken_cpu(), None);
    }
}
