//! *Purpose*: amounts of resources, as planning counts them.
//!
//! *Owns*: [`Capacity`], [`RegionSet`], what one job takes ([`Demand`], [`Part`]).
//!
//! *Promises*: amounts never go below zero; what is taken is taken from the same cells in the same
//! order by everybody.
//!
//! *Not here*: which unit belongs to whom (`resources::ledger`), which cell counts what
//! (`resources::inventory`).
//!
//! **Cells.** A cell counts units that are alike, or one amount. CPUs that are in exactly the same
//! partitions are alike; they form a region, and the first cells count CPUs by region: a machine
//! without partitions is one region. Regions are numbered so that those shared by the fewest
//! partitions come first, since whoever may take from either should leave the shared ones to
//! others. Then come memory, each type of unit of the other resources, and each other amount.

/// How many regions there can be: eight disjoint partitions, or three that overlap in every
/// way. A capacity is copied for every step of a profile, so this is kept small.
pub const REGIONS_MAX: usize = 8;
/// How many cells there are: the regions, memory, and seven for types of units and other amounts.
pub const CELLS: usize = 16;
/// The cell that counts memory.
pub const MEMORY_CELL: usize = REGIONS_MAX;

/// A set of regions: bit `n` is region `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegionSet(pub u8);

impl RegionSet {
    /// All of them.
    pub const ALL: RegionSet = RegionSet(u8::MAX);

    /// The number of each.
    pub fn each(self) -> impl Iterator<Item = usize> {
        (0..REGIONS_MAX).filter(move |n| self.0 & (1 << n) != 0)
    }
}

impl Default for RegionSet {
    fn default() -> RegionSet {
        RegionSet::ALL
    }
}

/// A set of cells: bit `n` is cell `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CellSet(pub u32);

impl CellSet {
    /// Whether there is just one.
    #[must_use]
    pub fn is_one(self) -> bool {
        self.0.is_power_of_two()
    }

    /// The number of each, ascending.
    pub fn each(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let next = (left != 0).then(|| left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(next).filter(|n| *n < CELLS)
        })
    }
}

/// So much of one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Part {
    /// The place of the resource in the inventory; [`Part::NOWHERE`]: this server has none of it.
    pub resource: u8,
    /// Where it may be taken from.
    pub cells: CellSet,
    /// How much.
    pub amount: u64,
}

impl Part {
    /// The place of a resource that is not there.
    pub const NOWHERE: u8 = u8::MAX;

    /// So many bytes of memory.
    #[must_use]
    pub fn of_memory(bytes: u64) -> Part {
        Part { resource: 1, cells: CellSet(1 << MEMORY_CELL), amount: bytes }
    }
}

/// What one job takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand<'a> {
    /// CPUs.
    pub cpus: u32,
    /// Where these may be.
    pub regions: RegionSet,
    /// The rest; no two parts share a cell.
    pub rest: &'a [Part],
}

impl Demand<'static> {
    /// So many CPUs, wherever they are.
    #[must_use]
    pub fn of(cpus: u32) -> Demand<'static> {
        Demand { cpus, regions: RegionSet::ALL, rest: &[] }
    }
}

/// So much of everything, by cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    cells: [u64; CELLS],
}

impl Capacity {
    /// CPUs of a machine without partitions, where nothing else is counted.
    #[must_use]
    pub fn of(cpus: u32) -> Capacity {
        Capacity::default().with(0, cpus.into())
    }

    /// The same with so much in this cell.
    #[must_use]
    pub fn with(mut self, cell: usize, amount: u64) -> Capacity {
        if let Some(here) = self.cells.get_mut(cell) {
            *here = amount;
        }
        self
    }

    /// The same with so much memory, bytes.
    #[must_use]
    pub fn with_memory(self, bytes: u64) -> Capacity {
        self.with(MEMORY_CELL, bytes)
    }

    /// How much is in this cell.
    #[must_use]
    pub fn cell(&self, cell: usize) -> u64 {
        self.cells.get(cell).copied().unwrap_or(0)
    }

    /// How much is in these cells.
    #[must_use]
    pub fn within(&self, cells: CellSet) -> u64 {
        cells.each().fold(0, |all, n| all.saturating_add(self.cells[n]))
    }

    /// CPUs within these regions.
    // A pass asks this of every attempt and every job; a call would cost more than the sum.
    #[inline(always)]
    #[must_use]
    pub fn cpus_within(&self, regions: RegionSet) -> u64 {
        if regions == RegionSet::ALL {
            return self.cells[..REGIONS_MAX].iter().sum();
        }
        regions.each().map(|n| self.cells[n]).sum()
    }

    /// All CPUs.
    #[inline]
    #[must_use]
    pub fn all_cpus(&self) -> u32 {
        u32::try_from(self.cpus_within(RegionSet::ALL)).unwrap_or(u32::MAX)
    }

    /// Whether all of this is here.
    #[inline]
    #[must_use]
    pub fn holds(&self, asked: &Demand<'_>) -> bool {
        self.cpus_within(asked.regions) >= u64::from(asked.cpus)
            && asked.rest.iter().all(|part| self.within(part.cells) >= part.amount)
    }

    /// What taking this would take, as far as there is any: cell by cell, lowest first.
    #[must_use]
    pub fn taken_by(&self, asked: &Demand<'_>) -> Capacity {
        let mut taken = Capacity::default();
        self.take(&mut taken, asked.regions.each(), asked.cpus.into());
        for part in asked.rest {
            self.take(&mut taken, part.cells.each(), part.amount);
        }
        taken
    }

    /// Whether CPUs are counted in more than the first region.
    #[must_use]
    pub fn is_divided(&self) -> bool {
        self.cells[1..REGIONS_MAX].iter().any(|cpus| *cpus > 0)
    }

    /// All CPUs of these regions.
    #[must_use]
    pub fn cpus_of(&self, regions: RegionSet) -> Capacity {
        regions.each().fold(Capacity::default(), |all, n| all.with(n, self.cells[n]))
    }

    fn take(&self, taken: &mut Capacity, cells: impl Iterator<Item = usize>, amount: u64) {
        let mut missing = amount;
        for n in cells {
            let here = missing.min(self.cells[n]);
            taken.cells[n] = here;
            missing -= here;
            if missing == 0 {
                break;
            }
        }
    }

    /// The cells in which there is anything.
    #[must_use]
    pub fn in_use(&self) -> CellSet {
        let used = self.cells.iter().enumerate().filter(|(_, here)| **here > 0);
        CellSet(used.fold(0, |all, (n, _)| all | 1 << n))
    }

    /// So much more of these cells.
    #[inline]
    pub fn add(&mut self, that: &Capacity, cells: CellSet) {
        for n in cells.each() {
            self.cells[n] = self.cells[n].saturating_add(that.cells[n]);
        }
    }

    /// So much less of these cells, as far as there is any.
    #[inline]
    pub fn take_out(&mut self, that: &Capacity, cells: CellSet) {
        for n in cells.each() {
            self.cells[n] = self.cells[n].saturating_sub(that.cells[n]);
        }
    }

    /// This and that.
    #[must_use]
    pub fn plus(mut self, that: &Capacity) -> Capacity {
        for (here, more) in self.cells.iter_mut().zip(that.cells) {
            *here = here.saturating_add(more);
        }
        self
    }

    /// This without that, as far as there is any.
    #[must_use]
    pub fn minus(mut self, that: &Capacity) -> Capacity {
        for (here, less) in self.cells.iter_mut().zip(that.cells) {
            *here = here.saturating_sub(less);
        }
        self
    }

    /// What is in both.
    #[must_use]
    pub fn least(mut self, that: &Capacity) -> Capacity {
        for (here, other) in self.cells.iter_mut().zip(that.cells) {
            *here = (*here).min(other);
        }
        self
    }
}
