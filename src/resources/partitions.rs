//! *Purpose*: named parts of the machine, each with limits of its own.
//!
//! *Owns*: [`Partition`], [`Partitions`], and how they fall into regions.
//!
//! *Promises*: every CPU is in one region at most; a partition is exactly the CPUs of its
//! regions; regions that fewer partitions share come first. Without partitions any name means
//! the whole machine.
//!
//! *Not here*: reading them (`config::partitions`), what is free of them (`resources::ledger`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::capacity::{REGIONS_MAX, RegionSet};
use crate::job::ids::CpuId;
use crate::job::request::Request;

/// Most partitions: the sets that a CPU is in are bits of a word. More than eight can only be
/// told apart by name and limits, since there are no more regions than that.
pub const PARTITIONS_MAX: usize = 64;

/// The index of a partition that is not there.
const NOWHERE: u8 = u8::MAX;

/// What a partition allows one job, of that which it allows too little of for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allows {
    /// So many CPUs.
    Cpus(u32),
    /// So much of another resource.
    Resource(Arc<str>, u64),
    /// A time limit of so many seconds.
    Seconds(u32),
}

/// A partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partition {
    /// Its name.
    pub name: Arc<str>,
    /// Its CPUs.
    pub cpus: BTreeSet<CpuId>,
    /// Limit of a job that names none, seconds; `None`: the server's.
    pub default_limit_s: Option<u32>,
    /// Longest limit, seconds; `None`: the server's.
    pub max_limit_s: Option<u32>,
    /// Most CPUs of one job; `None`: all of them.
    pub max_cpus: Option<u32>,
    /// Most of other resources of one job, by name; what is not named is not limited.
    pub max: BTreeMap<Arc<str>, u64>,
    /// Points that its jobs have beyond their priority.
    pub weight: i64,
    /// Whether its jobs start; they are accepted in any case.
    pub up: bool,
    /// The partitions whose attempts go back to the queue when its jobs need their room, each a
    /// bit at its place.
    pub preempts: u64,
}

impl Partition {
    /// What it allows one job, if it does not allow one of so many CPUs, all this and so many
    /// seconds.
    #[must_use]
    pub fn forbids(&self, cpus: u32, rest: &Request, limit_s: Option<u32>) -> Option<Allows> {
        let of_cpus = self.max_cpus.filter(|max| cpus > *max).map(Allows::Cpus);
        let more = |(name, max): &(&Arc<str>, &u64)| {
            // A limit of a type counts that type; one of the resource counts all of them.
            let asked = if name.contains(':') { rest.get(name) } else { rest.of(name) };
            asked > **max
        };
        let of_rest = self.max.iter().find(more);
        let of_rest = of_rest.map(|(name, max)| Allows::Resource(Arc::clone(name), *max));
        let longer = |max: &u32| limit_s.is_none_or(|limit_s| limit_s > *max);
        let of_time = self.max_limit_s.filter(longer).map(Allows::Seconds);
        of_cpus.or(of_rest).or(of_time)
    }

    /// How many CPUs it has.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.cpus.len() as u32
    }
}

/// Whether a job's word for its partition lists several.
#[must_use]
pub fn is_list(partition: &str) -> bool {
    partition.contains(',')
}

/// The partitions that a job's word names, in its order.
pub fn named_in(partition: &str) -> impl Iterator<Item = &str> {
    partition.split(',')
}

/// Where a job may run: which partition, and the regions of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Placement {
    /// The place of the partition among the others; 0 when there are none.
    pub partition: u8,
    /// Its regions.
    pub regions: RegionSet,
}

/// All partitions of a server; none is the usual case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partitions {
    list: Vec<Partition>,
    regions: Vec<RegionSet>,
    default: usize,
    region_of: BTreeMap<CpuId, u8>,
}

/// Why these partitions cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartitionsRefused {
    /// More than [`PARTITIONS_MAX`].
    #[error("{0} partitions; at most {PARTITIONS_MAX}")]
    TooMany(usize),
    /// They overlap in more ways than planning counts.
    #[error(
        "the partitions overlap so that they fall into {0} different sets of CPUs; at most \
         {REGIONS_MAX} (eight without overlap, or three that overlap in every way)"
    )]
    TooManyRegions(usize),
}

impl Partitions {
    /// These partitions; `default` is the place of the one for jobs that name none.
    ///
    /// # Errors
    /// When there are too many, or they overlap in too many ways.
    pub fn new(list: Vec<Partition>, default: usize) -> Result<Partitions, PartitionsRefused> {
        if list.len() > PARTITIONS_MAX {
            return Err(PartitionsRefused::TooMany(list.len()));
        }
        let mut members: BTreeMap<CpuId, u64> = BTreeMap::new();
        for (n, partition) in list.iter().enumerate() {
            for cpu in &partition.cpus {
                *members.entry(*cpu).or_default() |= 1 << n;
            }
        }
        let mut alike: BTreeMap<u64, CpuId> = BTreeMap::new();
        for (cpu, set) in &members {
            alike.entry(*set).or_insert(*cpu);
        }
        let mut sets: Vec<(u32, CpuId, u64)> =
            alike.into_iter().map(|(set, first)| (set.count_ones(), first, set)).collect();
        sets.sort_unstable();
        if sets.len() > REGIONS_MAX {
            return Err(PartitionsRefused::TooManyRegions(sets.len()));
        }
        let of = |n: usize| {
            let bits = sets.iter().enumerate().filter(|(_, (_, _, set))| set & (1 << n) != 0);
            RegionSet(bits.fold(0, |all, (region, _)| all | 1 << region))
        };
        let regions = (0..list.len()).map(of).collect();
        let region_of = members.iter().filter_map(|(cpu, set)| {
            let region = sets.iter().position(|(_, _, other)| other == set)?;
            Some((*cpu, region as u8))
        });
        Ok(Partitions { region_of: region_of.collect(), regions, list, default })
    }

    /// Whether the machine is not divided.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Each of them, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Partition> {
        self.list.iter()
    }

    /// The region of each CPU that is in a partition.
    #[must_use]
    pub fn region_of(&self) -> &BTreeMap<CpuId, u8> {
        &self.region_of
    }

    /// The one for jobs that name none.
    #[must_use]
    pub fn default_one(&self) -> Option<&Partition> {
        self.list.get(self.default)
    }

    /// The partition of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Partition> {
        self.list.iter().find(|partition| &*partition.name == name)
    }

    /// The partition at this place.
    #[must_use]
    pub fn at(&self, partition: u8) -> Option<&Partition> {
        self.list.get(usize::from(partition))
    }

    /// Where a job of this partition may run, or of the first that is there of a list: nowhere, if
    /// none is.
    #[must_use]
    pub fn placement(&self, names: &str) -> Placement {
        if self.list.is_empty() {
            return Placement::default();
        }
        let place = |name| self.list.iter().position(|partition| &*partition.name == name);
        match named_in(names).find_map(place) {
            Some(n) => Placement { partition: n as u8, regions: self.regions[n] },
            None => Placement { partition: NOWHERE, regions: RegionSet(0) },
        }
    }

    /// The partitions that jobs of this one preempt, each a bit.
    #[must_use]
    pub fn preempts(&self, partition: u8) -> u64 {
        self.at(partition).map_or(0, |partition| partition.preempts)
    }

    /// The partitions that any other preempts, each a bit.
    #[must_use]
    pub fn preempted(&self) -> u64 {
        self.list.iter().fold(0, |all, partition| all | partition.preempts)
    }

    /// Their names, as a sentence lists them.
    #[must_use]
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.list.iter().map(|partition| &*partition.name).collect();
        names.join(", ")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn partition(n: usize, cpus: impl IntoIterator<Item = u32>) -> Partition {
        Partition {
            name: format!("p{n}").into(),
            cpus: cpus.into_iter().map(CpuId).collect(),
            up: true,
            ..Partition::default()
        }
    }

    fn of(sets: &[&[u32]]) -> Result<Partitions, PartitionsRefused> {
        let list = sets.iter().enumerate().map(|(n, set)| partition(n, set.iter().copied()));
        Partitions::new(list.collect(), 0)
    }

    #[test]
    fn regions_that_few_share_come_first() {
        let partitions = of(&[&[0, 1, 2, 3], &[2, 3], &[3, 4]]).unwrap();
        let regions: Vec<(u32, u8)> =
            partitions.region_of().iter().map(|(cpu, region)| (cpu.0, *region)).collect();
        assert_eq!(regions, [(0, 0), (1, 0), (2, 2), (3, 3), (4, 1)]);
        assert_eq!(partitions.placement("p0").regions, RegionSet(0b1101));
        assert_eq!(partitions.placement("p1").regions, RegionSet(0b1100));
        assert_eq!(partitions.placement("p2").regions, RegionSet(0b1010));
        assert_eq!(partitions.placement("p9").regions, RegionSet(0), "what is gone has no CPUs");
        assert_eq!(partitions.names(), "p0, p1, p2");
    }

    #[test]
    fn without_partitions_every_name_is_the_whole_machine() {
        assert_eq!(Partitions::default().placement("whatever"), Placement::default());
        assert_eq!(Placement::default().regions, RegionSet::ALL);
    }

    #[test]
    fn more_than_can_be_counted_is_refused() {
        let nine: Vec<[u32; 1]> = (0..9).map(|n| [n]).collect();
        let nine: Vec<&[u32]> = nine.iter().map(|set| &set[..]).collect();
        assert_eq!(of(&nine[..8]).map(|_| ()), Ok(()));
        assert_eq!(of(&nine), Err(PartitionsRefused::TooManyRegions(9)));
        let same: Vec<&[u32]> = vec![&[0]; 65];
        assert_eq!(of(&same[..64]).map(|_| ()), Ok(()), "they may be alike");
        assert_eq!(of(&same), Err(PartitionsRefused::TooMany(65)));
    }

    proptest! {
        #[test]
        fn a_partition_is_exactly_the_cpus_of_its_regions(
            sets in prop::collection::vec(prop::collection::btree_set(0..9u32, 0..9), 1..4),
        ) {
            let list: Vec<Partition> =
                sets.iter().enumerate().map(|(n, set)| partition(n, set.clone())).collect();
            let partitions = Partitions::new(list, 0).unwrap();
            for (n, set) in sets.iter().enumerate() {
                let mask = partitions.placement(&format!("p{n}")).regions;
                for cpu in 0..9 {
                    let region = partitions.region_of().get(&CpuId(cpu));
                    let inside = region.is_some_and(|region| mask.0 & (1 << region) != 0);
                    prop_assert_eq!(inside, set.contains(&cpu));
                }
            }
        }
    }
}
