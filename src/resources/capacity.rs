//! *Purpose*: amounts of CPUs and memory, as planning counts them.
//!
//! *Owns*: [`Capacity`], [`RegionSet`].
//!
//! *Promises*: amounts never go below zero; what is taken is taken from the same regions in the
//! same order by everybody.
//!
//! *Not here*: which CPU belongs to whom (`resources::ledger`).
//!
//! **Regions.** Partitions are sets of CPUs and may overlap. CPUs that are in exactly the same
//! partitions are alike; they form a region. Planning counts CPUs by region: a machine without
//! partitions is one region. Regions are numbered so that those shared by the fewest partitions
//! come first, since whoever may take from either should leave the shared ones to others.

/// How many regions there can be: eight disjoint partitions, or three that overlap in every
/// way. A room is copied for every step of a profile, so this is kept small.
pub const REGIONS_MAX: usize = 8;

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

/// CPUs by region, and memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// CPUs of each region.
    pub cpus: [u32; REGIONS_MAX],
    /// Bytes of memory.
    pub memory: u64,
}

impl Capacity {
    /// CPUs of a machine without partitions, where memory is not counted.
    #[must_use]
    pub fn of(cpus: u32) -> Capacity {
        let mut room = Capacity::default();
        room.cpus[0] = cpus;
        room
    }

    /// CPUs within these regions.
    #[must_use]
    pub fn within(&self, regions: RegionSet) -> u32 {
        regions.each().map(|n| self.cpus[n]).sum()
    }

    /// All CPUs.
    #[must_use]
    pub fn all_cpus(&self) -> u32 {
        self.cpus.iter().sum()
    }

    /// Whether so much is here.
    #[must_use]
    pub fn holds(&self, cpus: u32, memory: u64, regions: RegionSet) -> bool {
        self.memory >= memory && self.within(regions) >= cpus
    }

    /// What taking so many CPUs and so much memory would take: region by region, lowest first.
    #[must_use]
    pub fn share(&self, cpus: u32, memory: u64, regions: RegionSet) -> Capacity {
        let mut share = Capacity { memory, ..Capacity::default() };
        let mut missing = cpus;
        for n in regions.each() {
            let here = missing.min(self.cpus[n]);
            share.cpus[n] = here;
            missing -= here;
            if missing == 0 {
                break;
            }
        }
        share
    }

    /// This and that.
    #[must_use]
    pub fn plus(mut self, that: &Capacity) -> Capacity {
        for (here, more) in self.cpus.iter_mut().zip(that.cpus) {
            *here += more;
        }
        self.memory = self.memory.saturating_add(that.memory);
        self
    }

    /// This without that, as far as there is any.
    #[must_use]
    pub fn minus(mut self, that: &Capacity) -> Capacity {
        for (here, less) in self.cpus.iter_mut().zip(that.cpus) {
            *here = here.saturating_sub(less);
        }
        self.memory = self.memory.saturating_sub(that.memory);
        self
    }

    /// What is in both.
    #[must_use]
    pub fn least(mut self, that: &Capacity) -> Capacity {
        for (here, other) in self.cpus.iter_mut().zip(that.cpus) {
            *here = (*here).min(other);
        }
        self.memory = self.memory.min(that.memory);
        self
    }
}
