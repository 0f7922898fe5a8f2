//! *Purpose*: which CPUs are free, by region.
//!
//! *Owns*: [`FreeCpus`], a part of the ledger.
//!
//! *Promises*: CPUs are taken region by region, lowest first, as planning counts them; of a
//! region the lowest CPU goes first. What is in no partition is never taken for one.
//!
//! *Not here*: who holds the others (`resources::ledger`), what regions
//! are (`resources::partitions`).

use std::collections::{BTreeMap, BTreeSet};

use super::capacity::{Capacity, REGIONS_MAX, RegionSet};
use crate::job::ids::CpuId;

/// Free CPUs.
#[derive(Debug, Default)]
pub(super) struct FreeCpus {
    /// One for each region; where the machine is divided, the last is what is in no partition.
    sets: Vec<BTreeSet<CpuId>>,
    /// Empty where the machine is not divided.
    region_of: BTreeMap<CpuId, u8>,
}

impl FreeCpus {
    /// Of a machine that is not divided.
    pub(super) fn whole(cpus: BTreeSet<CpuId>) -> FreeCpus {
        FreeCpus { sets: vec![cpus], region_of: BTreeMap::new() }
    }

    /// The same CPUs, divided so.
    pub(super) fn divide(&mut self, region_of: BTreeMap<CpuId, u8>) {
        let all: Vec<CpuId> = self.iter().collect();
        let regions = if region_of.is_empty() { 1 } else { REGIONS_MAX + 1 };
        *self = FreeCpus { sets: vec![BTreeSet::new(); regions], region_of };
        all.into_iter().for_each(|cpu| self.insert(cpu));
    }

    fn region(&self, cpu: CpuId) -> usize {
        match self.region_of.is_empty() {
            true => 0,
            false => self.region_of.get(&cpu).map_or(REGIONS_MAX, |region| (*region).into()),
        }
    }

    pub(super) fn insert(&mut self, cpu: CpuId) {
        let region = self.region(cpu);
        if let Some(set) = self.sets.get_mut(region) {
            set.insert(cpu);
        }
    }

    pub(super) fn remove(&mut self, cpu: CpuId) {
        let region = self.region(cpu);
        if let Some(set) = self.sets.get_mut(region) {
            set.remove(&cpu);
        }
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&CpuId) -> bool) {
        self.sets.iter_mut().for_each(|set| set.retain(&keep));
    }

    pub(super) fn contains(&self, cpu: CpuId) -> bool {
        self.sets.get(self.region(cpu)).is_some_and(|set| set.contains(&cpu))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = CpuId> {
        self.sets.iter().flatten().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.sets.iter().map(BTreeSet::len).sum()
    }

    /// How many are free in these regions.
    pub(super) fn within(&self, regions: RegionSet) -> usize {
        regions.each().filter_map(|n| self.sets.get(n)).map(BTreeSet::len).sum()
    }

    /// So many of these regions, or as many as there are beyond what is kept for others.
    pub(super) fn take(
        &mut self,
        count: usize,
        regions: RegionSet,
        kept: &Capacity,
    ) -> Box<[CpuId]> {
        let mut taken = Vec::with_capacity(count.min(self.len()));
        for n in regions.each() {
            let Some(set) = self.sets.get_mut(n) else { break };
            let open = set.len().saturating_sub(kept.cpus[n] as usize);
            let missing = open.min(count - taken.len());
            taken.extend(std::iter::from_fn(|| set.pop_first()).take(missing));
        }
        taken.into_boxed_slice()
    }

    /// As planning counts them.
    pub(super) fn room(&self) -> Capacity {
        let mut room = Capacity::default();
        for (here, set) in room.cpus.iter_mut().zip(&self.sets) {
            *here = set.len() as u32;
        }
        room
    }

    /// How planning counts these, free or not.
    pub(super) fn room_of(&self, cpus: impl Iterator<Item = CpuId>) -> Capacity {
        let mut room = Capacity::default();
        for cpu in cpus {
            if let Some(here) = room.cpus.get_mut(self.region(cpu)) {
                *here += 1;
            }
        }
        room
    }
}
