//! *Purpose*: who holds what.
//!
//! *Owns*: a pool for each resource: the one map from a unit's identity to its holder, the one
//! count of each amount.
//!
//! *Promises*: a unit has at most one holder; what is handed out was free; a unit that no
//! longer exists after a reconfiguration stays held until released and is never handed out; nor
//! is one that is held back because somebody doubts that it is free. An amount is never handed out
//! beyond what is configured; what is held beyond it since a reconfiguration stays held until
//! released. All that a job asks for is taken together or nothing is.
//!
//! *Not here*: who should get something next (`policy`), when it is given back
//! (`kernel::transition`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::allocation::{Allocation, Held, Share};
use super::capacity::{CELLS, Capacity, CellSet, Demand, Part, RegionSet};
use super::inventory::{CPUS, Inventory, MEMORY_PLACE, Stock};
use super::pool::{Amount, Units};
use crate::job::ids::{Attempt, CpuId, UnitId};
use crate::job::request::CPU;

/// One resource.
#[derive(Debug)]
enum Pool {
    Units(Units),
    Amount(Amount),
}

/// The ledger.
#[derive(Debug)]
pub struct Ledger {
    inventory: Inventory,
    /// One for each resource of the inventory. Behind them stand those that are no longer in it
    /// and of which somebody holds something.
    pools: Vec<(Arc<str>, Pool)>,
}

/// Too little is free.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{asked} of {resource} asked for, {free} free")]
pub struct Shortage {
    /// Of this resource.
    pub resource: Arc<str>,
    /// So much was asked for.
    pub asked: u64,
    /// So much was free where it may be taken.
    pub free: u64,
}

/// Why the ledger refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerRefused {
    /// Less is free than asked for.
    #[error(transparent)]
    Short(#[from] Shortage),
    /// Nobody holds zero CPUs.
    #[error("an allocation of no CPUs")]
    Nothing,
    /// At boot: the database says that two attempts hold one unit.
    #[error("{resource} {unit} is held by {by} already")]
    Held {
        /// The resource.
        resource: Arc<str>,
        /// The unit in question.
        unit: UnitId,
        /// Its holder.
        by: Attempt,
    },
}

/// How one resource stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceNow {
    /// Its name.
    pub name: Arc<str>,
    /// How much there is; `None`: it is not counted.
    pub total: Option<u64>,
    /// How much is held, what is no longer configured included.
    pub used: u64,
    /// How much can be handed out; `None`: it is not counted.
    pub free: Option<u64>,
    /// Its units, where it has any: those that are configured or held, ascending.
    pub units: Vec<UnitNow>,
}

/// How one unit stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitNow {
    /// Which.
    pub unit: UnitId,
    /// Its type, if it has one.
    pub kind: Option<Arc<str>>,
    /// The attempt that holds it.
    pub holder: Option<Attempt>,
    /// Why it is held back, if it is.
    pub held_back: Option<Arc<str>>,
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger::new(Inventory::default())
    }
}

impl Ledger {
    /// A ledger over this inventory, all of it free.
    pub fn new(inventory: impl Into<Inventory>) -> Ledger {
        let inventory = inventory.into();
        let pool = |place: usize, stock: &Stock| match stock {
            Stock::Units(units) => {
                let cells =
                    if place == CPUS { BTreeMap::new() } else { inventory.cell_of_units(place) };
                Pool::Units(Units::new(units.keys().copied().collect(), cells))
            }
            Stock::Amount(total) => Pool::Amount(Amount::new(*total)),
        };
        let all = inventory.all().iter().enumerate();
        let pools = all.map(|(n, one)| (Arc::clone(&one.name), pool(n, &one.stock))).collect();
        Ledger { inventory, pools }
    }

    /// What there is.
    #[must_use]
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// The machine is divided into these regions. Nothing that is held is taken away.
    pub fn divide(&mut self, region_of: BTreeMap<CpuId, u8>) {
        if let Some((_, Pool::Units(cpus))) = self.pools.get_mut(CPUS) {
            cpus.count_in(region_of);
        }
    }

    /// Takes the lowest free units of all that is asked for.
    ///
    /// # Errors
    /// When less is free, or no CPUs are asked for; nothing is taken then.
    pub fn allocate(
        &mut self,
        holder: Attempt,
        asked: &Demand<'_>,
    ) -> Result<Allocation, LedgerRefused> {
        self.allocate_beside(holder, asked, &Capacity::default())
    }

    /// The same of what is not `kept` for others.
    ///
    /// # Errors
    /// See [`Ledger::allocate`].
    pub fn allocate_beside(
        &mut self,
        holder: Attempt,
        asked: &Demand<'_>,
        kept: &Capacity,
    ) -> Result<Allocation, LedgerRefused> {
        if asked.cpus == 0 {
            return Err(LedgerRefused::Nothing);
        }
        if let Some(shortage) = self.shortage(asked, kept) {
            return Err(shortage.into());
        }
        let regions = CellSet(asked.regions.0.into());
        let cpus = match self.pools.get_mut(CPUS) {
            Some((_, Pool::Units(cpus))) => cpus.take(holder, asked.cpus.into(), regions, kept),
            _ => Box::default(),
        };
        let rest = asked.rest.iter().filter_map(|part| self.take(holder, part, kept));
        Ok(Allocation { holder, cpus, rest: joined(rest) })
    }

    fn take(&mut self, holder: Attempt, part: &Part, kept: &Capacity) -> Option<Share> {
        let (resource, pool) = self.pools.get_mut(usize::from(part.resource))?;
        let held = match pool {
            Pool::Units(units) => Held::Units(units.take(holder, part.amount, part.cells, kept)),
            Pool::Amount(amount) => {
                amount.take(part.amount);
                Held::Amount(part.amount)
            }
        };
        Some(Share { resource: Arc::clone(resource), held })
    }

    /// What of this is not free beside what is kept for others, CPUs first.
    #[must_use]
    pub fn shortage(&self, asked: &Demand<'_>, kept: &Capacity) -> Option<Shortage> {
        let free = self.free_room().minus(kept);
        let here = free.cpus_within(asked.regions);
        if here < u64::from(asked.cpus) {
            return Some(Shortage { resource: CPU.into(), asked: asked.cpus.into(), free: here });
        }
        let short = asked.rest.iter().find(|part| free.within(part.cells) < part.amount)?;
        let name = self.pools.get(usize::from(short.resource)).map(|(name, _)| Arc::clone(name));
        let (asked, free) = (short.amount, free.within(short.cells));
        Some(Shortage { resource: name.unwrap_or_default(), asked, free })
    }

    /// At boot: takes exactly these CPUs and all this for an attempt that the database says holds
    /// it. What is no longer configured is held too.
    ///
    /// # Errors
    /// When a unit of it is held; nothing is taken then.
    pub fn adopt(
        &mut self,
        holder: Attempt,
        cpus: impl IntoIterator<Item = CpuId>,
        rest: &[Share],
    ) -> Result<Allocation, LedgerRefused> {
        let cpus: BTreeSet<CpuId> = cpus.into_iter().collect();
        if cpus.is_empty() {
            return Err(LedgerRefused::Nothing);
        }
        let cpus = Share { resource: CPU.into(), held: Held::Units(cpus.into_iter().collect()) };
        for Share { resource, held } in std::iter::once(&cpus).chain(rest) {
            if let (Held::Units(ids), Pool::Units(units)) = (held, self.pool(resource, held))
                && let Some((unit, by)) = units.taken_of(&ids.iter().copied().collect())
            {
                return Err(LedgerRefused::Held { resource: Arc::clone(resource), unit, by });
            }
        }
        for Share { resource, held } in std::iter::once(&cpus).chain(rest) {
            match (held, self.pool(resource, held)) {
                (Held::Units(ids), Pool::Units(units)) => {
                    units.adopt(holder, &ids.iter().copied().collect());
                }
                (held, Pool::Amount(amount)) => amount.take(held.amount()),
                (Held::Amount(_), Pool::Units(_)) => {}
            }
        }
        let Held::Units(cpus) = cpus.held else { return Err(LedgerRefused::Nothing) };
        Ok(Allocation { holder, cpus, rest: joined(rest.iter().cloned()) })
    }

    /// The pool of a resource of this name and kind; one of nothing where there is none.
    fn pool(&mut self, resource: &Arc<str>, held: &Held) -> &mut Pool {
        let fits = |(name, pool): &(Arc<str>, Pool)| {
            let alike = matches!(
                (held, pool),
                (Held::Units(_), Pool::Units(_)) | (Held::Amount(_), Pool::Amount(_))
            );
            name == resource && alike
        };
        let place = self.pools.iter().position(fits).unwrap_or_else(|| {
            let pool = match held {
                Held::Units(_) => Pool::Units(Units::default()),
                Held::Amount(_) => Pool::Amount(Amount::new(Some(0))),
            };
            self.pools.push((Arc::clone(resource), pool));
            self.pools.len() - 1
        });
        &mut self.pools[place].1
    }

    /// Gives back all that an allocation holds.
    ///
    /// # Panics
    /// When a unit of it is not held by its holder, or less of an amount is held than it gives
    /// back: an allocation of another ledger, our bug.
    pub fn release(&mut self, allocation: Allocation) {
        let Allocation { holder, cpus, rest } = allocation;
        let cpus = Share { resource: CPU.into(), held: Held::Units(cpus) };
        for Share { resource, held } in std::iter::once(cpus).chain(rest) {
            match (&held, self.pool(&resource, &held)) {
                (Held::Units(ids), Pool::Units(units)) => {
                    let released = units.release(holder, ids);
                    assert_eq!(released, Ok(()), "a {resource} of {holder} released by a stranger");
                }
                (held, Pool::Amount(amount)) => {
                    let enough = amount.release(held.amount());
                    assert!(enough, "{resource} of {holder} released by a stranger");
                }
                (Held::Amount(_), Pool::Units(_)) => {}
            }
        }
    }

    /// From now on exactly these units of a resource are held back, each for its reason: not
    /// handed out, whoever gives them back. Those that no longer are, and that nobody holds, are
    /// free again.
    pub fn hold_back(&mut self, resource: &str, doubted: BTreeMap<UnitId, Arc<str>>) {
        let pool = self.pools.iter_mut().find(|(name, _)| &**name == resource);
        if let Some((_, Pool::Units(units))) = pool {
            units.hold_back(doubted);
        }
    }

    /// Which units of a resource are held; `None`: it has no units, or is not there.
    #[must_use]
    pub fn held_of(&self, resource: &str) -> Option<BTreeSet<UnitId>> {
        match self.pools.iter().find(|(name, _)| &**name == resource) {
            Some((_, Pool::Units(units))) => Some(units.held().keys().copied().collect()),
            _ => None,
        }
    }

    /// How many units of a resource are configured.
    #[must_use]
    pub fn configured_of(&self, resource: &str) -> usize {
        match self.pools.iter().find(|(name, _)| &**name == resource) {
            Some((_, Pool::Units(units))) => units.configured().len(),
            _ => 0,
        }
    }

    fn cpu_pool(&self) -> Option<&Units> {
        match self.pools.get(CPUS) {
            Some((_, Pool::Units(cpus))) => Some(cpus),
            _ => None,
        }
    }

    fn memory_pool(&self) -> Option<&Amount> {
        match self.pools.get(MEMORY_PLACE) {
            Some((_, Pool::Amount(memory))) => Some(memory),
            _ => None,
        }
    }

    /// The CPUs that are held back, whether or not an attempt holds them too.
    pub fn held_back(&self) -> impl Iterator<Item = CpuId> {
        self.cpu_pool().into_iter().flat_map(|cpus| cpus.held_back().keys().copied())
    }

    /// How many CPUs are configured.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.cpu_pool().map_or(0, |cpus| cpus.configured().len() as u32)
    }

    /// How many CPUs are held, those no longer configured included.
    #[must_use]
    pub fn used(&self) -> u32 {
        self.cpu_pool().map_or(0, |cpus| cpus.held().len() as u32)
    }

    /// How many CPUs are free.
    #[must_use]
    pub fn free(&self) -> u32 {
        self.cpu_pool().map_or(0, |cpus| cpus.free() as u32)
    }

    /// How many CPUs of these regions are free.
    #[must_use]
    pub fn free_within(&self, regions: RegionSet) -> u32 {
        self.cpu_pool().map_or(0, |cpus| cpus.within(CellSet(regions.0.into())) as u32)
    }

    /// The configured CPUs, ascending.
    pub fn configured(&self) -> impl Iterator<Item = CpuId> {
        self.cpu_pool().into_iter().flat_map(|cpus| cpus.configured().iter().copied())
    }

    /// Whether this CPU is handed out at all.
    #[must_use]
    pub fn is_configured(&self, cpu: CpuId) -> bool {
        self.cpu_pool().is_some_and(|cpus| cpus.configured().contains(&cpu))
    }

    /// What is free, as planning counts it; what is not counted never runs out.
    #[must_use]
    pub fn free_room(&self) -> Capacity {
        let pools = self.pools.iter().take(self.inventory.all().len()).enumerate();
        pools.fold(Capacity::default(), |all, (place, (_, pool))| match pool {
            Pool::Units(units) => units.count_free(all),
            Pool::Amount(amount) => {
                let cell = self.inventory.cells(place, None).each().next().unwrap_or(CELLS);
                all.with(cell, amount.free().unwrap_or(u64::MAX))
            }
        })
    }

    /// How planning counts what of an allocation can be handed out again.
    #[must_use]
    pub fn room_of(&self, allocation: &Allocation) -> Capacity {
        let none = Capacity::default();
        let cpus = self.cpu_pool().map_or(none, |cpus| cpus.count_of(&allocation.cpus, none));
        allocation.rest.iter().fold(cpus, |all, share| {
            let place = self.inventory.find(&share.resource);
            let pool = place.and_then(|place| Some((place, &self.pools.get(place)?.1)));
            match (&share.held, pool) {
                (Held::Units(ids), Some((_, Pool::Units(units)))) => units.count_of(ids, all),
                (Held::Amount(amount), Some((place, Pool::Amount(_)))) => {
                    let cell = self.inventory.cells(place, None).each().next().unwrap_or(CELLS);
                    all.with(cell, all.cell(cell).saturating_add(*amount))
                }
                _ => all,
            }
        })
    }

    /// What could be free at most, of amounts: more may be held than there is since a
    /// reconfiguration.
    #[must_use]
    pub fn at_most(&self) -> Capacity {
        let all = (0..CELLS).fold(Capacity::default(), |all, n| all.with(n, u64::MAX));
        let resources = self.inventory.all().iter().enumerate();
        resources.fold(all, |all, (place, one)| match one.stock {
            Stock::Amount(Some(total)) => {
                let cell = self.inventory.cells(place, None).each().next().unwrap_or(CELLS);
                all.with(cell, total)
            }
            _ => all,
        })
    }

    /// Bytes of memory to hand out in all; `None`: not counted.
    #[must_use]
    pub fn total_memory(&self) -> Option<u64> {
        self.memory_pool().and_then(|memory| memory.total)
    }

    /// Bytes of memory that are held, counted or not.
    #[must_use]
    pub fn used_memory(&self) -> u64 {
        self.memory_pool().map_or(0, Amount::held)
    }

    /// Bytes of memory that are free; `None`: not counted.
    #[must_use]
    pub fn free_memory(&self) -> Option<u64> {
        self.memory_pool().and_then(Amount::free)
    }

    /// Every configured or held CPU with its holder, ascending.
    #[must_use]
    pub fn cpus(&self) -> Vec<(CpuId, Option<Attempt>)> {
        self.cpu_pool().map_or_else(Vec::new, Units::all)
    }

    /// How everything stands that is neither CPUs nor memory, what is no longer in the inventory
    /// and held included.
    #[must_use]
    pub fn others(&self) -> Vec<ResourceNow> {
        self.pools.iter().enumerate().skip(MEMORY_PLACE + 1).map(|(n, _)| self.now(n)).collect()
    }

    fn now(&self, place: usize) -> ResourceNow {
        let (name, pool) = &self.pools[place];
        let name = Arc::clone(name);
        match pool {
            Pool::Amount(amount) => {
                let (total, used, free) = (amount.total, amount.held(), amount.free());
                ResourceNow { name, total, used, free, units: Vec::new() }
            }
            Pool::Units(units) => {
                let stock = self.inventory.all().get(place).map(|one| &one.stock);
                let kind = |unit| match stock {
                    Some(Stock::Units(kinds)) => kinds.get(&unit).cloned().flatten(),
                    _ => None,
                };
                let unit = |(unit, holder)| {
                    let held_back = units.held_back().get(&unit).map(Arc::clone);
                    UnitNow { unit, kind: kind(unit), holder, held_back }
                };
                ResourceNow {
                    name,
                    total: Some(units.configured().len() as u64),
                    used: units.held().len() as u64,
                    free: Some(units.free()),
                    units: units.all().into_iter().map(unit).collect(),
                }
            }
        }
    }

    /// The holder of each held unit, by resource.
    #[must_use]
    pub fn held_units(&self) -> BTreeMap<(Arc<str>, UnitId), Attempt> {
        let units = self.pools.iter().filter_map(|(name, pool)| match pool {
            Pool::Units(units) => Some((name, units)),
            Pool::Amount(_) => None,
        });
        let held = units.flat_map(|(name, units)| {
            units.held().iter().map(move |(unit, by)| ((Arc::clone(name), *unit), *by))
        });
        held.collect()
    }

    /// How much of each amount is held, by resource.
    #[must_use]
    pub fn held_amounts(&self) -> BTreeMap<Arc<str>, u64> {
        let amounts = self.pools.iter().filter_map(|(name, pool)| match pool {
            Pool::Amount(amount) => Some((Arc::clone(name), amount.held())),
            Pool::Units(_) => None,
        });
        amounts.filter(|(_, held)| *held > 0).collect()
    }

    /// A configured unit is free exactly when nobody holds it and it is not held back; no other
    /// unit is free. Answers one of which this is not true.
    pub(crate) fn broken_unit(&self) -> Option<(Arc<str>, UnitId)> {
        self.pools.iter().find_map(|(name, pool)| match pool {
            Pool::Units(units) => units.broken().map(|unit| (Arc::clone(name), unit)),
            Pool::Amount(_) => None,
        })
    }

    #[cfg(test)]
    pub(crate) fn break_by_forgetting_memory(&mut self) {
        if let Some((_, Pool::Amount(memory))) = self.pools.get_mut(MEMORY_PLACE) {
            memory.break_by_forgetting();
        }
    }

    #[cfg(test)]
    pub(crate) fn break_by_forgetting(&mut self, resource: &str, unit: UnitId) {
        let pool = self.pools.iter_mut().find(|(name, _)| &**name == resource);
        if let Some((_, Pool::Units(units))) = pool {
            units.break_by_forgetting(unit);
        }
    }
}

/// Shares by name, those of one resource as one.
fn joined(shares: impl Iterator<Item = Share>) -> Box<[Share]> {
    let mut all: Vec<Share> = Vec::new();
    for share in shares {
        match all.iter_mut().find(|one| one.resource == share.resource) {
            Some(one) => one.held = both(&one.held, &share.held),
            None => all.push(share),
        }
    }
    all.into_boxed_slice()
}

fn both(one: &Held, other: &Held) -> Held {
    match (one, other) {
        (Held::Units(a), Held::Units(b)) => {
            let units: BTreeSet<UnitId> = a.iter().chain(b).copied().collect();
            Held::Units(units.into_iter().collect())
        }
        (a, b) => Held::Amount(a.amount().saturating_add(b.amount())),
    }
}

#[cfg(test)]
#[path = "ledger/tests.rs"]
mod tests;
