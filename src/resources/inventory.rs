//! *Purpose*: what a server has to hand out, by name.
//!
//! *Owns*: [`Resource`], [`Inventory`], and which cell of a capacity counts what.
//!
//! *Promises*: CPUs stand first and memory second; each other resource takes one cell for each
//! type of its units, or one for its amount; what no server has is a part that nothing can meet.
//!
//! *Not here*: who holds what (`resources::ledger`), reading settings (`config`), finding GPUs
//! (`devices`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::capacity::{CELLS, CellSet, MEMORY_CELL, Part, REGIONS_MAX};
use crate::job::ids::{CpuId, UnitId};
use crate::job::request::{CPU, MEMORY, Request, SCRATCH, split};
use crate::text::size::shown;

/// The place of CPUs in every inventory.
pub const CPUS: usize = 0;
/// The place of memory in every inventory.
pub const MEMORY_PLACE: usize = 1;

/// What there is of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stock {
    /// Units, each with its type, if it has one. A job gets whole ones, and knows which.
    Units(BTreeMap<UnitId, Option<Arc<str>>>),
    /// So much in all; `None`: it is not counted and never runs out.
    Amount(Option<u64>),
}

/// One resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its name.
    pub name: Arc<str>,
    /// What there is of it.
    pub stock: Stock,
}

impl Resource {
    /// How much there is of it; `None`: it is not counted.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        match &self.stock {
            Stock::Units(units) => Some(units.len() as u64),
            Stock::Amount(total) => *total,
        }
    }

    /// The types of its units, by name.
    #[must_use]
    pub fn types(&self) -> BTreeSet<Arc<str>> {
        match &self.stock {
            Stock::Units(units) => units.values().flatten().map(Arc::clone).collect(),
            Stock::Amount(_) => BTreeSet::new(),
        }
    }
}

/// Whether amounts of this resource are bytes.
#[must_use]
pub fn is_bytes(resource: &str) -> bool {
    resource == MEMORY || resource == SCRATCH
}

/// An amount of this resource, as a sentence says it.
#[must_use]
pub fn amount(resource: &str, amount: u64) -> String {
    if is_bytes(resource) { shown(amount) } else { amount.to_string() }
}

/// All that a server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    list: Vec<Resource>,
    /// The first cell of each, and how many it has.
    cells: Vec<(usize, usize)>,
}

/// Why an inventory cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InventoryRefused {
    /// The name is another's already.
    #[error("resource \"{0}\" is there twice")]
    Twice(Arc<str>),
    /// More than planning counts.
    #[error(
        "resources and types of units beside CPUs and memory are {0}; at most {max}",
        max = CELLS - MEMORY_CELL - 1
    )]
    TooMany(usize),
}

/// Why a request cannot be met here, ever.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestRefused {
    /// There is no such resource.
    #[error("this server has no resource \"{name}\"; it has {has}")]
    Unknown {
        /// As it was asked for.
        name: Arc<str>,
        /// What there is.
        has: String,
    },
    /// No unit is of this type.
    #[error("{name}: no unit of {resource} is of this type; {has}")]
    NoSuchType {
        /// As it was asked for.
        name: Arc<str>,
        /// The resource.
        resource: Arc<str>,
        /// What types there are, as a sentence.
        has: String,
    },
    /// More than there is.
    #[error(
        "{} of {name}, this server has {}; ask for less",
        amount(.name, *.asked),
        amount(.name, *.total)
    )]
    TooMuch {
        /// As it was asked for.
        name: Arc<str>,
        /// How much.
        asked: u64,
        /// How much there is.
        total: u64,
    },
    /// One name stands for units that another names too.
    #[error("{name}: some of its units are asked for by another name too; name each type once")]
    Overlaps {
        /// As it was asked for.
        name: Arc<str>,
    },
}

impl<I: IntoIterator<Item = CpuId>> From<I> for Inventory {
    fn from(cpus: I) -> Inventory {
        Inventory::of(cpus, None)
    }
}

impl Default for Inventory {
    fn default() -> Inventory {
        Inventory::of([], None)
    }
}

impl Inventory {
    /// These CPUs, so much memory (`None`: not counted), and nothing else.
    pub fn of(cpus: impl IntoIterator<Item = CpuId>, memory: Option<u64>) -> Inventory {
        let cpus = Stock::Units(cpus.into_iter().map(|cpu| (cpu, None)).collect());
        let list = vec![
            Resource { name: CPU.into(), stock: cpus },
            Resource { name: MEMORY.into(), stock: Stock::Amount(memory) },
        ];
        Inventory { list, cells: vec![(0, REGIONS_MAX), (MEMORY_CELL, 1)] }
    }

    /// The same and these.
    ///
    /// # Errors
    /// When one is there already, or there are too many.
    pub fn and(
        mut self,
        more: impl IntoIterator<Item = Resource>,
    ) -> Result<Inventory, InventoryRefused> {
        for resource in more {
            if self.find(&resource.name).is_some() {
                return Err(InventoryRefused::Twice(resource.name));
            }
            let next = self.cells.last().map_or(0, |(first, count)| first + count);
            // Units without a type are alike too.
            let plain = |units: &BTreeMap<UnitId, _>| units.values().any(Option::is_none);
            let untyped = match &resource.stock {
                Stock::Units(units) => plain(units) || units.is_empty(),
                Stock::Amount(_) => true,
            };
            self.cells.push((next, resource.types().len() + usize::from(untyped)));
            self.list.push(resource);
        }
        match self.cells.last().map_or(0, |(first, count)| first + count) {
            end if end > CELLS => Err(InventoryRefused::TooMany(end - MEMORY_CELL - 1)),
            _ => Ok(self),
        }
    }

    /// Each resource, CPUs first and memory second.
    #[must_use]
    pub fn all(&self) -> &[Resource] {
        &self.list
    }

    /// The CPUs, ascending.
    pub fn cpus(&self) -> impl Iterator<Item = CpuId> {
        let units = self.list.first().map(|cpus| &cpus.stock);
        let units = units.and_then(|stock| match stock {
            Stock::Units(units) => Some(units.keys().copied()),
            Stock::Amount(_) => None,
        });
        units.into_iter().flatten()
    }

    /// The place of the resource of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.list.iter().position(|resource| &*resource.name == name)
    }

    /// The resource of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Resource> {
        self.find(name).map(|place| &self.list[place])
    }

    /// The cell that counts each unit of the resource at this place. CPUs are counted by region,
    /// which partitions know.
    #[must_use]
    pub fn cell_of_units(&self, place: usize) -> BTreeMap<UnitId, u8> {
        let (Some(resource), Some((first, _))) = (self.list.get(place), self.cells.get(place))
        else {
            return BTreeMap::new();
        };
        let types: Vec<Arc<str>> = resource.types().into_iter().collect();
        let cell = |kind: &Option<Arc<str>>| {
            let n = kind.as_ref().and_then(|kind| types.iter().position(|one| one == kind));
            (first + n.unwrap_or(types.len())) as u8
        };
        match &resource.stock {
            Stock::Units(units) => units.iter().map(|(unit, kind)| (*unit, cell(kind))).collect(),
            Stock::Amount(_) => BTreeMap::new(),
        }
    }

    /// The cells of the resource at this place, or of one type of its units; none when nothing is
    /// of that type.
    #[must_use]
    pub fn cells(&self, place: usize, kind: Option<&str>) -> CellSet {
        let (Some(resource), Some((first, count))) = (self.list.get(place), self.cells.get(place))
        else {
            return CellSet::default();
        };
        let Some(kind) = kind else {
            return CellSet((*first..first + count).fold(0, |all, n| all | 1 << n));
        };
        let n = resource.types().iter().position(|one| &**one == kind);
        n.map_or(CellSet::default(), |n| CellSet(1 << (first + n)))
    }

    /// What this asks for, as planning counts it. A resource that is not here is a part that
    /// nothing can meet.
    #[must_use]
    pub fn parts(&self, request: &Request) -> Box<[Part]> {
        let part = |(name, amount): (&Arc<str>, u64)| {
            let (resource, kind) = split(name);
            match self.find(resource) {
                Some(place) => {
                    Part { resource: place as u8, cells: self.cells(place, kind), amount }
                }
                None => Part { resource: Part::NOWHERE, cells: CellSet::default(), amount },
            }
        };
        request.iter().map(part).collect()
    }

    /// Whether a server that is empty could meet this request.
    ///
    /// # Errors
    /// Names the resource, and says what there is.
    pub fn check(&self, request: &Request) -> Result<(), RequestRefused> {
        let mut taken = 0;
        for (name, asked) in request.iter() {
            let (resource, kind) = split(name);
            let name = Arc::clone(name);
            let Some(place) = self.find(resource) else {
                return Err(RequestRefused::Unknown { name, has: self.names() });
            };
            let cells = self.cells(place, kind);
            let one = &self.list[place];
            if cells.0 == 0 {
                let (resource, has) = (Arc::clone(&one.name), named_types(one));
                return Err(RequestRefused::NoSuchType { name, resource, has });
            }
            if taken & cells.0 != 0 {
                return Err(RequestRefused::Overlaps { name });
            }
            taken |= cells.0;
            let of_kind = |kind: &str, units: &BTreeMap<UnitId, Option<Arc<str>>>| {
                units.values().flatten().filter(|one| &***one == kind).count() as u64
            };
            let total = match (&one.stock, kind) {
                (Stock::Units(units), Some(kind)) => Some(of_kind(kind, units)),
                _ => one.total(),
            };
            if let Some(total) = total.filter(|total| asked > *total) {
                return Err(RequestRefused::TooMuch { name, asked, total });
            }
        }
        Ok(())
    }

    /// The names of all resources, as a sentence lists them.
    #[must_use]
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.list.iter().map(|resource| &*resource.name).collect();
        names.join(", ")
    }
}

fn named_types(resource: &Resource) -> String {
    let types: Vec<String> = resource.types().iter().map(ToString::to_string).collect();
    match types.is_empty() {
        true => "they have no types".to_owned(),
        false => format!("there are {}", types.join(", ")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn gpus(types: &[Option<&str>]) -> Resource {
        let units = types.iter().zip(0..).map(|(kind, n)| (UnitId(n), kind.map(Arc::from)));
        Resource { name: "gpu".into(), stock: Stock::Units(units.collect()) }
    }

    fn licences(name: &str, count: u64) -> Resource {
        Resource { name: name.into(), stock: Stock::Amount(Some(count)) }
    }

    fn inventory() -> Inventory {
        let gpus = gpus(&[Some("a100"), Some("h100"), Some("a100"), None]);
        Inventory::of((0..4).map(CpuId), Some(100)).and([gpus, licences("license/m", 3)]).unwrap()
    }

    #[test]
    fn each_type_has_a_cell_and_a_plain_name_means_all_of_them() {
        let inventory = inventory();
        let cells: Vec<u8> = inventory.cell_of_units(2).into_values().collect();
        assert_eq!(cells, [9, 10, 9, 11]);
        let asked = Request::default().with("gpu", 2).with("license/m", 1).with("memory", 7);
        let parts: Vec<(u8, u32, u64)> =
            inventory.parts(&asked).iter().map(|p| (p.resource, p.cells.0, p.amount)).collect();
        assert_eq!(parts, [(2, 0b1110_0000_0000, 2), (3, 1 << 12, 1), (1, 1 << 8, 7)]);
        let typed = inventory.parts(&Request::default().with("gpu:h100", 1));
        assert_eq!(typed[0].cells, CellSet(1 << 10));
        let gone = inventory.parts(&Request::default().with("tape", 1));
        assert_eq!((gone[0].resource, gone[0].cells), (Part::NOWHERE, CellSet(0)));
    }

    #[test]
    fn what_can_never_be_met_is_refused_with_what_there_is() {
        let inventory = inventory();
        let said = |name: &str, amount| {
            inventory.check(&Request::default().with(name, amount)).map_err(|e| e.to_string())
        };
        assert_eq!(said("gpu", 4), Ok(()));
        assert_eq!(said("gpu:a100", 2), Ok(()));
        let refused = |name, amount| said(name, amount).unwrap_err();
        assert_eq!(refused("gpu", 5), "5 of gpu, this server has 4; ask for less");
        assert_eq!(refused("gpu:a100", 3), "3 of gpu:a100, this server has 2; ask for less");
        assert_eq!(
            refused("gpu:v100", 1),
            "gpu:v100: no unit of gpu is of this type; there are a100, h100"
        );
        assert_eq!(
            refused("tape", 1),
            "this server has no resource \"tape\"; it has cpu, memory, gpu, license/m"
        );
        let both = Request::default().with("gpu", 1).with("gpu:a100", 1);
        assert!(inventory.check(&both).unwrap_err().to_string().starts_with("gpu:a100: some of"));
    }

    #[test]
    fn no_more_than_planning_counts_and_no_name_twice() {
        let all = (0..7).map(|n| licences(&format!("l{n}"), 1));
        let full = Inventory::default().and(all).unwrap();
        assert_eq!(full.clone().and([licences("more", 1)]), Err(InventoryRefused::TooMany(8)),);
        assert_eq!(full.and([licences("l3", 1)]), Err(InventoryRefused::Twice("l3".into())));
        let memory = Inventory::default().and([licences("memory", 1)]);
        assert_eq!(memory, Err(InventoryRefused::Twice("memory".into())));
    }
}
