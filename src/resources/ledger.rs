//! *Purpose*: who holds which CPU, and how much memory is held.
//!
//! *Owns*: the one map from CPU identity to holder; the one count of memory.
//!
//! *Promises*: a CPU has at most one holder; what is handed out was free; a CPU that no
//! longer exists after a reconfiguration stays held until released and is never handed out; nor
//! is one that is held back because somebody doubts that it is free. Memory is never handed out
//! beyond what is configured; what is held beyond it since a reconfiguration stays held until
//! released. CPUs and memory are taken together or not at all.
//!
//! *Not here*: who should get CPUs next (`policy`), when they are given back
//! (`kernel::transition`).

use std::collections::{BTreeMap, BTreeSet};

use super::allocation::Allocation;
use super::capacity::{Capacity, RegionSet};
use super::free::FreeCpus;
use crate::job::ids::{Attempt, CpuId};

/// The CPU ledger.
#[derive(Debug, Default)]
pub struct Ledger {
    configured: BTreeSet<CpuId>,
    free: FreeCpus,
    held: BTreeMap<CpuId, Attempt>,
    held_back: BTreeSet<CpuId>,
    /// Bytes to hand out; `None`: not counted.
    memory: Option<u64>,
    /// Wide enough for every sum of what jobs may ask for where nothing is counted.
    memory_held: u128,
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
    /// Less memory is free than asked for.
    #[error("{asked} bytes of memory asked for, {free} free")]
    TooLittleMemory {
        /// How much was asked for.
        asked: u64,
        /// How much was free.
        free: u64,
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
    /// A ledger over these CPUs, all free; memory is not counted.
    pub fn new(cpus: impl IntoIterator<Item = CpuId>) -> Ledger {
        let configured: BTreeSet<CpuId> = cpus.into_iter().collect();
        Ledger { free: FreeCpus::whole(configured.clone()), configured, ..Ledger::default() }
    }

    /// The machine is divided into these regions. Nothing that is held is taken away.
    pub fn divide(&mut self, region_of: BTreeMap<CpuId, u8>) {
        self.free.divide(region_of);
    }

    /// From now on so much memory is handed out in all; `None`: it is not counted. Nothing that is
    /// held is taken away.
    pub fn count_memory(&mut self, total: Option<u64>) {
        self.memory = total;
    }

    /// Takes the `count` lowest free CPUs, and with them so much memory.
    ///
    /// # Errors
    /// When fewer CPUs or less memory are free, or `count` is 0; nothing is taken then.
    pub fn allocate(
        &mut self,
        holder: Attempt,
        count: u32,
        memory: u64,
    ) -> Result<Allocation, LedgerRefused> {
        self.allocate_in(holder, count, memory, RegionSet::ALL, &Capacity::default())
    }

    /// The same within these regions, the first region's lowest CPUs first, of what is not `kept`
    /// for others.
    ///
    /// # Errors
    /// See [`Ledger::allocate`].
    pub fn allocate_in(
        &mut self,
        holder: Attempt,
        count: u32,
        memory: u64,
        regions: RegionSet,
        kept: &Capacity,
    ) -> Result<Allocation, LedgerRefused> {
        if count == 0 {
            return Err(LedgerRefused::Nothing);
        }
        let here = self.free_room().minus(kept).within(regions);
        if count > here {
            return Err(LedgerRefused::TooFewFree { asked: count, free: here });
        }
        let free = self.free_memory().map(|free| free.saturating_sub(kept.memory));
        if let Some(free) = free
            && memory > free
        {
            return Err(LedgerRefused::TooLittleMemory { asked: memory, free });
        }
        let cpus = self.free.take(count as usize, regions, kept);
        for cpu in &cpus {
            self.held.insert(*cpu, holder);
        }
        self.memory_held += u128::from(memory);
        Ok(Allocation { holder, cpus, memory })
    }

    /// At boot: takes exactly these CPUs and so much memory for an attempt that the database says
    /// holds them. What is no longer configured is held too.
    ///
    /// # Errors
    /// When one of them is held; nothing is taken then.
    pub fn adopt(
        &mut self,
        holder: Attempt,
        cpus: impl IntoIterator<Item = CpuId>,
        memory: u64,
    ) -> Result<Allocation, LedgerRefused> {
        let cpus: BTreeSet<CpuId> = cpus.into_iter().collect();
        if cpus.is_empty() {
            return Err(LedgerRefused::Nothing);
        }
        if let Some((cpu, by)) = cpus.iter().find_map(|c| self.held.get(c).map(|by| (*c, *by))) {
            return Err(LedgerRefused::Held { cpu, by });
        }
        for cpu in &cpus {
            self.free.remove(*cpu);
            self.held.insert(*cpu, holder);
        }
        self.memory_held += u128::from(memory);
        Ok(Allocation { holder, cpus: cpus.into_iter().collect(), memory })
    }

    /// Gives an allocation's CPUs and memory back.
    ///
    /// # Panics
    /// When a CPU of it is not held by its holder, or less memory is held than it gives back: an
    /// allocation of another ledger, our bug.
    pub fn release(&mut self, allocation: Allocation) {
        for cpu in &allocation.cpus {
            let holder = self.held.remove(cpu);
            assert_eq!(holder, Some(allocation.holder), "CPU {cpu} released by a stranger");
            if self.configured.contains(cpu) && !self.held_back.contains(cpu) {
                self.free.insert(*cpu);
            }
        }
        let left = self.memory_held.checked_sub(allocation.memory.into());
        assert!(left.is_some(), "memory of {} released by a stranger", allocation.holder);
        self.memory_held = left.unwrap_or_default();
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

    /// How many CPUs of these regions are free.
    #[must_use]
    pub fn free_within(&self, regions: RegionSet) -> u32 {
        self.free.within(regions) as u32
    }

    /// The configured CPUs, ascending.
    pub fn configured(&self) -> impl Iterator<Item = CpuId> {
        self.configured.iter().copied()
    }

    /// Whether this CPU is handed out at all.
    #[must_use]
    pub fn is_configured(&self, cpu: CpuId) -> bool {
        self.configured.contains(&cpu)
    }

    /// What is free by region, as planning counts it; memory that is not counted never runs out.
    #[must_use]
    pub fn free_room(&self) -> Capacity {
        Capacity { memory: self.free_memory().unwrap_or(u64::MAX), ..self.free.room() }
    }

    /// How planning counts those of these CPUs that can be handed out again.
    #[must_use]
    pub fn room_of(&self, cpus: &[CpuId]) -> Capacity {
        self.free.room_of(cpus.iter().copied().filter(|cpu| self.comes_back(*cpu)))
    }

    /// Bytes of memory to hand out in all; `None`: not counted.
    #[must_use]
    pub fn total_memory(&self) -> Option<u64> {
        self.memory
    }

    /// Bytes of memory that are held, counted or not.
    #[must_use]
    pub fn used_memory(&self) -> u64 {
        u64::try_from(self.memory_held).unwrap_or(u64::MAX)
    }

    /// Bytes of memory that are free; `None`: not counted.
    #[must_use]
    pub fn free_memory(&self) -> Option<u64> {
        self.memory.map(|total| total.saturating_sub(self.used_memory()))
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
    pub(crate) fn broken_cpu(&self) -> Option<CpuId> {
        let taken = |c: &CpuId| self.held.contains_key(c) || self.held_back.contains(c);
        let mut configured = self.configured.iter().copied();
        configured
            .find(|c| self.free.contains(*c) == taken(c))
            .or_else(|| self.free.iter().find(|c| !self.configured.contains(c)))
    }

    #[cfg(test)]
    pub(crate) fn break_by_forgetting_memory(&mut self) {
        self.memory_held = 0;
    }

    #[cfg(test)]
    pub(crate) fn break_by_forgetting(&mut self, cpu: CpuId) {
        self.held.remove(&cpu);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::job::ids::JobId;

    fn attempt(job: i64) -> Attempt {
        Attempt { job: JobId(job), n: 1 }
    }

    fn four() -> Ledger {
        Ledger::new((0..4).map(CpuId))
    }

    #[test]
    fn what_is_handed_out_was_free_and_comes_back() {
        let mut ledger = four();
        let a = ledger.allocate(attempt(1), 3, 0).unwrap();
        assert_eq!(a.cpus(), [CpuId(0), CpuId(1), CpuId(2)]);
        assert_eq!((ledger.used(), ledger.free()), (3, 1));
        let refused = ledger.allocate(attempt(2), 2, 0).unwrap_err();
        assert_eq!(refused, LedgerRefused::TooFewFree { asked: 2, free: 1 });
        ledger.release(a);
        assert_eq!((ledger.used(), ledger.free()), (0, 4));
    }

    #[test]
    fn an_allocation_of_nothing_is_refused() {
        assert_eq!(four().allocate(attempt(1), 0, 0).unwrap_err(), LedgerRefused::Nothing);
        assert_eq!(four().adopt(attempt(1), [], 0).unwrap_err(), LedgerRefused::Nothing);
    }

    #[test]
    fn memory_is_taken_with_the_cpus_or_nothing_is() {
        let mut ledger = four();
        ledger.count_memory(Some(100));
        let a = ledger.allocate(attempt(1), 1, 60).unwrap();
        assert_eq!((a.memory(), ledger.used_memory(), ledger.free_memory()), (60, 60, Some(40)));
        let refused = ledger.allocate(attempt(2), 1, 41).unwrap_err();
        assert_eq!(refused, LedgerRefused::TooLittleMemory { asked: 41, free: 40 });
        ledger.allocate(attempt(2), 4, 40).unwrap_err();
        assert_eq!((ledger.used(), ledger.used_memory()), (1, 60), "nothing was taken");
        let b = ledger.allocate(attempt(2), 3, 40).unwrap();
        assert_eq!(ledger.free_memory(), Some(0));
        ledger.release(a);
        ledger.release(b);
        assert_eq!((ledger.used_memory(), ledger.free_memory()), (0, Some(100)));
    }

    #[test]
    fn memory_that_is_no_longer_there_stays_held_and_is_not_handed_out() {
        let mut ledger = four();
        ledger.count_memory(Some(50));
        let a = ledger.adopt(attempt(1), [CpuId(0)], 60).unwrap();
        assert_eq!((ledger.used_memory(), ledger.free_memory()), (60, Some(0)));
        ledger.allocate(attempt(2), 1, 1).unwrap_err();
        let b = ledger.allocate(attempt(2), 1, 0).unwrap();
        ledger.adopt(attempt(3), [CpuId(0)], 7).unwrap_err();
        assert_eq!(ledger.used_memory(), 60, "a refused adoption takes no memory");
        ledger.release(a);
        ledger.release(b);
        assert_eq!(ledger.free_memory(), Some(50));
    }

    #[test]
    fn what_is_not_counted_is_held_all_the_same() {
        let mut ledger = four();
        let a = ledger.allocate(attempt(1), 1, u64::MAX).unwrap();
        let b = ledger.allocate(attempt(2), 1, u64::MAX).unwrap();
        assert_eq!((ledger.total_memory(), ledger.free_memory()), (None, None));
        assert_eq!(ledger.used_memory(), u64::MAX);
        ledger.release(a);
        ledger.release(b);
        assert_eq!(ledger.used_memory(), 0);
    }

    #[test]
    fn adopting_a_held_cpu_is_refused_and_takes_nothing() {
        let mut ledger = four();
        let _held = ledger.adopt(attempt(1), [CpuId(2)], 0).unwrap();
        let refused = ledger.adopt(attempt(2), [CpuId(1), CpuId(2)], 0).unwrap_err();
        assert_eq!(refused, LedgerRefused::Held { cpu: CpuId(2), by: attempt(1) });
        assert_eq!(ledger.free(), 3);
    }

    #[test]
    fn a_cpu_that_is_held_back_is_not_handed_out_until_nobody_doubts_it() {
        let mut ledger = four();
        let a = ledger.allocate(attempt(1), 2, 0).unwrap();
        ledger.hold_back([CpuId(1), CpuId(2), CpuId(9)].into());
        assert_eq!((ledger.used(), ledger.free()), (2, 1));
        ledger.release(a);
        assert_eq!((ledger.used(), ledger.free()), (0, 2), "CPU 1 came back and stays back");
        assert_eq!(ledger.broken_cpu(), None);
        ledger.hold_back([CpuId(2)].into());
        let b = ledger.allocate(attempt(2), 3, 0).unwrap();
        assert_eq!(b.cpus(), [CpuId(0), CpuId(1), CpuId(3)]);
        ledger.hold_back(BTreeSet::new());
        assert_eq!((ledger.free(), ledger.broken_cpu()), (1, None));
        ledger.release(b);
        assert_eq!(ledger.free(), 4);
    }

    #[test]
    fn a_cpu_that_no_longer_exists_stays_held_and_is_never_handed_out() {
        let mut ledger = four();
        let gone = ledger.adopt(attempt(1), [CpuId(3), CpuId(9)], 0).unwrap();
        assert_eq!((ledger.total(), ledger.used(), ledger.free()), (4, 2, 3));
        let named: Vec<u32> = ledger.cpus().iter().map(|(cpu, _)| cpu.0).collect();
        assert_eq!(named, [0, 1, 2, 3, 9]);
        ledger.release(gone);
        let all = ledger.allocate(attempt(2), 4, 0).unwrap();
        assert!(!all.cpus().contains(&CpuId(9)));
        assert_eq!(ledger.broken_cpu(), None);
    }
}
