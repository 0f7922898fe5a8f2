//! *Purpose*: one resource of the ledger: what of it is free, and who holds the rest.
//!
//! *Owns*: [`Units`], [`Amount`].
//!
//! *Promises*: a unit has at most one holder; units are taken cell by cell, lowest first, as
//! planning counts them, and of a cell the lowest unit goes first. What is in no cell is never
//! taken. What is no longer configured stays held until it is released and is not handed out
//! again; nor is what is held back.
//!
//! *Not here*: taking several resources together or none (`resources::ledger`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::capacity::{CELLS, Capacity, CellSet};
use crate::job::ids::{Attempt, UnitId};

/// Units by identity.
#[derive(Debug, Default)]
pub(super) struct Units {
    configured: BTreeSet<UnitId>,
    free: FreeUnits,
    held: BTreeMap<UnitId, Attempt>,
    /// Why each is held back.
    held_back: BTreeMap<UnitId, Arc<str>>,
}

impl Units {
    /// These, all free, each counted in its cell; where no cell is named the first counts all.
    pub(super) fn new(units: BTreeSet<UnitId>, cell_of: BTreeMap<UnitId, u8>) -> Units {
        let mut free = FreeUnits::default();
        free.count_in(cell_of);
        units.iter().for_each(|unit| free.insert(*unit));
        Units { configured: units, free, ..Units::default() }
    }

    /// They are counted in these cells from now on. Nothing that is held is taken away.
    pub(super) fn count_in(&mut self, cell_of: BTreeMap<UnitId, u8>) {
        self.free.count_in(cell_of);
    }

    /// How many of these cells are free.
    pub(super) fn within(&self, cells: CellSet) -> u64 {
        self.free.within(cells)
    }

    /// So many of these cells, or as many as there are beyond what is kept for others.
    pub(super) fn take(
        &mut self,
        holder: Attempt,
        count: u64,
        cells: CellSet,
        kept: &Capacity,
    ) -> Box<[UnitId]> {
        let taken = self.free.take(count, cells, kept);
        self.held.extend(taken.iter().map(|unit| (*unit, holder)));
        taken
    }

    /// One of these that somebody holds, and who.
    pub(super) fn taken_of(&self, units: &BTreeSet<UnitId>) -> Option<(UnitId, Attempt)> {
        units.iter().find_map(|unit| self.held.get(unit).map(|by| (*unit, *by)))
    }

    /// Takes exactly these, which nobody holds.
    pub(super) fn adopt(&mut self, holder: Attempt, units: &BTreeSet<UnitId>) {
        for unit in units {
            self.free.remove(*unit);
            self.held.insert(*unit, holder);
        }
    }

    /// Takes these back; answers who is said to hold one that is not its holder's.
    pub(super) fn release(&mut self, holder: Attempt, units: &[UnitId]) -> Result<(), UnitId> {
        for unit in units {
            if self.held.remove(unit) != Some(holder) {
                return Err(*unit);
            }
            if self.comes_back(*unit) {
                self.free.insert(*unit);
            }
        }
        Ok(())
    }

    /// From now on exactly these are held back. Those that no longer are, and that nobody holds,
    /// are free again.
    pub(super) fn hold_back(&mut self, doubted: BTreeMap<UnitId, Arc<str>>) {
        for unit in self.held_back.keys().filter(|unit| !doubted.contains_key(unit)) {
            if self.configured.contains(unit) && !self.held.contains_key(unit) {
                self.free.insert(*unit);
            }
        }
        self.free.retain(|unit| !doubted.contains_key(unit));
        self.held_back = doubted;
    }

    pub(super) fn comes_back(&self, unit: UnitId) -> bool {
        self.configured.contains(&unit) && !self.held_back.contains_key(&unit)
    }

    pub(super) fn configured(&self) -> &BTreeSet<UnitId> {
        &self.configured
    }

    pub(super) fn held(&self) -> &BTreeMap<UnitId, Attempt> {
        &self.held
    }

    pub(super) fn held_back(&self) -> &BTreeMap<UnitId, Arc<str>> {
        &self.held_back
    }

    pub(super) fn free(&self) -> u64 {
        self.free.len()
    }

    /// Adds what is free to a capacity.
    pub(super) fn count_free(&self, capacity: Capacity) -> Capacity {
        self.free.count(capacity)
    }

    /// Adds those of these units that can be handed out again to a capacity.
    pub(super) fn count_of(&self, units: &[UnitId], capacity: Capacity) -> Capacity {
        units.iter().filter(|unit| self.comes_back(**unit)).fold(capacity, |all, unit| {
            let cell = self.free.cell(*unit);
            all.with(cell, all.cell(cell) + 1)
        })
    }

    /// Every configured or held unit with its holder, ascending. Both are walked once, side by
    /// side: this is asked at every commit, and a machine may have thousands of CPUs.
    pub(super) fn all(&self) -> Vec<(UnitId, Option<Attempt>)> {
        let mut all = Vec::with_capacity(self.configured.len());
        let mut held = self.held.iter().map(|(unit, by)| (*unit, *by)).peekable();
        for unit in &self.configured {
            while let Some((gone, by)) = held.next_if(|(held, _)| held < unit) {
                all.push((gone, Some(by)));
            }
            let holder = held.next_if(|(held, _)| held == unit);
            all.push((*unit, holder.map(|(_, by)| by)));
        }
        all.extend(held.map(|(gone, by)| (gone, Some(by))));
        all
    }

    /// A configured unit is free exactly when nobody holds it and it is not held back; no other
    /// unit is free. Answers one of which this is not true.
    pub(super) fn broken(&self) -> Option<UnitId> {
        let taken = |u: &UnitId| self.held.contains_key(u) || self.held_back.contains_key(u);
        let mut configured = self.configured.iter().copied();
        configured
            .find(|unit| self.free.contains(*unit) == taken(unit))
            .or_else(|| self.free.iter().find(|unit| !self.configured.contains(unit)))
    }

    #[cfg(test)]
    pub(super) fn break_by_forgetting(&mut self, unit: UnitId) {
        self.held.remove(&unit);
    }
}

/// Free units by cell.
#[derive(Debug)]
struct FreeUnits {
    /// One for each cell; the last is of what is in none.
    sets: Vec<BTreeSet<UnitId>>,
    /// Empty where the first cell counts all.
    cell_of: BTreeMap<UnitId, u8>,
}

impl Default for FreeUnits {
    fn default() -> FreeUnits {
        FreeUnits { sets: vec![BTreeSet::new(); CELLS + 1], cell_of: BTreeMap::new() }
    }
}

impl FreeUnits {
    fn count_in(&mut self, cell_of: BTreeMap<UnitId, u8>) {
        let all: Vec<UnitId> = self.iter().collect();
        *self = FreeUnits { cell_of, ..FreeUnits::default() };
        all.into_iter().for_each(|unit| self.insert(unit));
    }

    fn cell(&self, unit: UnitId) -> usize {
        match self.cell_of.is_empty() {
            true => 0,
            false => self.cell_of.get(&unit).map_or(CELLS, |cell| (*cell).into()),
        }
    }

    fn insert(&mut self, unit: UnitId) {
        let cell = self.cell(unit);
        self.sets[cell].insert(unit);
    }

    fn remove(&mut self, unit: UnitId) {
        let cell = self.cell(unit);
        self.sets[cell].remove(&unit);
    }

    fn retain(&mut self, keep: impl Fn(&UnitId) -> bool) {
        self.sets.iter_mut().for_each(|set| set.retain(&keep));
    }

    fn contains(&self, unit: UnitId) -> bool {
        self.sets[self.cell(unit)].contains(&unit)
    }

    fn iter(&self) -> impl Iterator<Item = UnitId> {
        self.sets.iter().flatten().copied()
    }

    fn len(&self) -> u64 {
        self.sets.iter().map(|set| set.len() as u64).sum()
    }

    fn within(&self, cells: CellSet) -> u64 {
        cells.each().map(|n| self.sets[n].len() as u64).sum()
    }

    fn take(&mut self, count: u64, cells: CellSet, kept: &Capacity) -> Box<[UnitId]> {
        let mut taken = Vec::new();
        for n in cells.each() {
            let open = (self.sets[n].len() as u64).saturating_sub(kept.cell(n));
            let missing = open.min(count - taken.len() as u64) as usize;
            taken.extend(std::iter::from_fn(|| self.sets[n].pop_first()).take(missing));
        }
        taken.sort_unstable();
        taken.into_boxed_slice()
    }

    fn count(&self, capacity: Capacity) -> Capacity {
        let cells = self.sets.iter().take(CELLS).enumerate().filter(|(_, set)| !set.is_empty());
        cells.fold(capacity, |all, (n, set)| all.with(n, set.len() as u64))
    }
}

/// An amount.
#[derive(Debug, Default)]
pub(super) struct Amount {
    /// `None`: it is not counted.
    pub(super) total: Option<u64>,
    /// Wide enough for every sum of what jobs may ask for where nothing is counted.
    held: u128,
}

impl Amount {
    pub(super) fn new(total: Option<u64>) -> Amount {
        Amount { total, held: 0 }
    }

    /// How much is held, counted or not.
    pub(super) fn held(&self) -> u64 {
        u64::try_from(self.held).unwrap_or(u64::MAX)
    }

    /// How much is free; `None`: it is not counted.
    pub(super) fn free(&self) -> Option<u64> {
        self.total.map(|total| total.saturating_sub(self.held()))
    }

    pub(super) fn take(&mut self, amount: u64) {
        self.held += u128::from(amount);
    }

    /// `false`: less is held than is given back.
    pub(super) fn release(&mut self, amount: u64) -> bool {
        let left = self.held.checked_sub(amount.into());
        self.held = left.unwrap_or_default();
        left.is_some()
    }

    #[cfg(test)]
    pub(super) fn break_by_forgetting(&mut self) {
        self.held = 0;
    }
}
