//! *Purpose*: what the ledger gives, keeps and takes back.
//!
//! *Owns*: small inventories.
//!
//! *Promises*: whatever is refused takes nothing.
//!
//! *Not here*: whole kernels (`kernel::check`).

#![allow(clippy::unwrap_used)]

use super::*;
use crate::job::ids::JobId;

fn attempt(job: i64) -> Attempt {
    Attempt { job: JobId(job), n: 1 }
}

fn four() -> Ledger {
    Ledger::new((0..4).map(CpuId))
}

fn four_with(memory: u64) -> Ledger {
    Ledger::new(Inventory::of((0..4).map(CpuId), Some(memory)))
}

/// So many CPUs and so much memory.
fn take(ledger: &mut Ledger, job: i64, cpus: u32, bytes: u64) -> Result<Allocation, LedgerRefused> {
    let rest = [Part::of_memory(bytes)];
    let rest = if bytes > 0 { &rest[..] } else { &[] };
    ledger.allocate(attempt(job), &Demand { rest, ..Demand::of(cpus) })
}

fn bytes(amount: u64) -> Vec<Share> {
    vec![Share { resource: "memory".into(), held: Held::Amount(amount) }]
}

fn short(resource: &str, asked: u64, free: u64) -> LedgerRefused {
    Shortage { resource: resource.into(), asked, free }.into()
}

fn doubt(units: impl IntoIterator<Item = u32>) -> BTreeMap<UnitId, Arc<str>> {
    units.into_iter().map(|unit| (UnitId(unit), "somebody uses it".into())).collect()
}

#[test]
fn what_is_handed_out_was_free_and_comes_back() {
    let mut ledger = four();
    let a = take(&mut ledger, 1, 3, 0).unwrap();
    assert_eq!(a.cpus(), [CpuId(0), CpuId(1), CpuId(2)]);
    assert_eq!((ledger.used(), ledger.free()), (3, 1));
    let refused = take(&mut ledger, 2, 2, 0).unwrap_err();
    assert_eq!(refused, short("cpu", 2, 1));
    ledger.release(a);
    assert_eq!((ledger.used(), ledger.free()), (0, 4));
}

#[test]
fn an_allocation_of_nothing_is_refused() {
    assert_eq!(take(&mut four(), 1, 0, 0).unwrap_err(), LedgerRefused::Nothing);
    assert_eq!(four().adopt(attempt(1), [], &[]).unwrap_err(), LedgerRefused::Nothing);
}

#[test]
fn memory_is_taken_with_the_cpus_or_nothing_is() {
    let mut ledger = four_with(100);
    let a = take(&mut ledger, 1, 1, 60).unwrap();
    assert_eq!((a.memory(), ledger.used_memory(), ledger.free_memory()), (60, 60, Some(40)));
    let refused = take(&mut ledger, 2, 1, 41).unwrap_err();
    assert_eq!(refused, short("memory", 41, 40));
    take(&mut ledger, 2, 4, 40).unwrap_err();
    assert_eq!((ledger.used(), ledger.used_memory()), (1, 60), "nothing was taken");
    let b = take(&mut ledger, 2, 3, 40).unwrap();
    assert_eq!(ledger.free_memory(), Some(0));
    ledger.release(a);
    ledger.release(b);
    assert_eq!((ledger.used_memory(), ledger.free_memory()), (0, Some(100)));
}

#[test]
fn memory_that_is_no_longer_there_stays_held_and_is_not_handed_out() {
    let mut ledger = four_with(50);
    let a = ledger.adopt(attempt(1), [CpuId(0)], &bytes(60)).unwrap();
    assert_eq!((ledger.used_memory(), ledger.free_memory()), (60, Some(0)));
    take(&mut ledger, 2, 1, 1).unwrap_err();
    let b = take(&mut ledger, 2, 1, 0).unwrap();
    ledger.adopt(attempt(3), [CpuId(0)], &bytes(7)).unwrap_err();
    assert_eq!(ledger.used_memory(), 60, "a refused adoption takes no memory");
    ledger.release(a);
    ledger.release(b);
    assert_eq!(ledger.free_memory(), Some(50));
}

#[test]
fn what_is_not_counted_is_held_all_the_same() {
    let mut ledger = four();
    let a = take(&mut ledger, 1, 1, u64::MAX).unwrap();
    let b = take(&mut ledger, 2, 1, u64::MAX).unwrap();
    assert_eq!((ledger.total_memory(), ledger.free_memory()), (None, None));
    assert_eq!(ledger.used_memory(), u64::MAX);
    ledger.release(a);
    ledger.release(b);
    assert_eq!(ledger.used_memory(), 0);
}

#[test]
fn adopting_a_held_cpu_is_refused_and_takes_nothing() {
    let mut ledger = four();
    let _held = ledger.adopt(attempt(1), [CpuId(2)], &[]).unwrap();
    let refused = ledger.adopt(attempt(2), [CpuId(1), CpuId(2)], &[]).unwrap_err();
    assert_eq!(
        refused,
        LedgerRefused::Held { resource: "cpu".into(), unit: CpuId(2), by: attempt(1) }
    );
    assert_eq!(ledger.free(), 3);
}

#[test]
fn a_cpu_that_is_held_back_is_not_handed_out_until_nobody_doubts_it() {
    let mut ledger = four();
    let a = take(&mut ledger, 1, 2, 0).unwrap();
    ledger.hold_back("cpu", doubt([1, 2, 9]));
    assert_eq!((ledger.used(), ledger.free()), (2, 1));
    ledger.release(a);
    assert_eq!((ledger.used(), ledger.free()), (0, 2), "CPU 1 came back and stays back");
    assert_eq!(ledger.broken_unit(), None);
    ledger.hold_back("cpu", doubt([2]));
    let b = take(&mut ledger, 2, 3, 0).unwrap();
    assert_eq!(b.cpus(), [CpuId(0), CpuId(1), CpuId(3)]);
    ledger.hold_back("cpu", doubt([]));
    assert_eq!((ledger.free(), ledger.broken_unit()), (1, None));
    ledger.release(b);
    assert_eq!(ledger.free(), 4);
}

#[test]
fn a_cpu_that_no_longer_exists_stays_held_and_is_never_handed_out() {
    let mut ledger = four();
    let gone = ledger.adopt(attempt(1), [CpuId(3), CpuId(9)], &[]).unwrap();
    assert_eq!((ledger.total(), ledger.used(), ledger.free()), (4, 2, 3));
    let named: Vec<u32> = ledger.cpus().iter().map(|(cpu, _)| cpu.0).collect();
    assert_eq!(named, [0, 1, 2, 3, 9]);
    ledger.release(gone);
    let all = take(&mut ledger, 2, 4, 0).unwrap();
    assert!(!all.cpus().contains(&CpuId(9)));
    assert_eq!(ledger.broken_unit(), None);
}

/// Four CPUs, three GPUs of two types, two licences.
fn rich() -> Ledger {
    use super::super::inventory::{Resource, Stock};
    let gpus = [(0, "a"), (1, "b"), (2, "a")].map(|(n, kind)| (UnitId(n), Some(kind.into())));
    let more = [
        Resource { name: "gpu".into(), stock: Stock::Units(gpus.into()) },
        Resource { name: "license/m".into(), stock: Stock::Amount(Some(2)) },
    ];
    Ledger::new(Inventory::of((0..4).map(CpuId), None).and(more).unwrap())
}

fn asks(ledger: &mut Ledger, job: i64, names: &[(&str, u64)]) -> Result<Allocation, LedgerRefused> {
    let request = names.iter().map(|(name, amount)| (Arc::from(*name), *amount)).collect();
    let rest = ledger.inventory().parts(&request);
    ledger.allocate(attempt(job), &Demand { rest: &rest, ..Demand::of(1) })
}

fn units(allocation: &Allocation, resource: &str) -> Vec<u32> {
    let share = allocation.rest().iter().find(|share| &*share.resource == resource).unwrap();
    let Held::Units(units) = &share.held else { panic!("{share:?}") };
    units.iter().map(|unit| unit.0).collect()
}

#[test]
fn units_of_other_resources_have_one_holder_each_and_types_are_kept() {
    let mut ledger = rich();
    let a = asks(&mut ledger, 1, &[("gpu:a", 1), ("license/m", 2)]).unwrap();
    let b = asks(&mut ledger, 2, &[("gpu", 2)]).unwrap();
    assert_eq!((units(&a, "gpu"), units(&b, "gpu")), (vec![0], vec![1, 2]));
    assert_eq!(asks(&mut ledger, 3, &[("gpu", 1)]).unwrap_err(), short("gpu", 1, 0));
    assert_eq!(asks(&mut ledger, 3, &[("license/m", 1)]).unwrap_err(), short("license/m", 1, 0));
    assert_eq!(ledger.used(), 2, "nothing was taken of CPUs for those that were refused");
    ledger.release(b);
    let both = asks(&mut ledger, 3, &[("gpu:a", 1), ("gpu:b", 1)]).unwrap();
    assert_eq!(units(&both, "gpu"), [1, 2]);
    ledger.release(a);
    ledger.release(both);
    assert_eq!(ledger.free_room(), rich().free_room());
    assert_eq!(ledger.broken_unit(), None);
}

#[test]
fn what_is_not_there_can_never_be_taken() {
    let mut ledger = rich();
    assert_eq!(asks(&mut ledger, 1, &[("tape", 1)]).unwrap_err(), short("", 1, 0));
    assert_eq!(asks(&mut ledger, 1, &[("gpu:c", 1)]).unwrap_err(), short("gpu", 1, 0));
    assert_eq!(ledger.used(), 0);
}

#[test]
fn what_is_gone_from_the_inventory_stays_held_until_it_is_released() {
    let mut ledger = four();
    let gpu = Share { resource: "gpu".into(), held: Held::Units([UnitId(1)].into()) };
    let a = ledger.adopt(attempt(1), [CpuId(0)], std::slice::from_ref(&gpu)).unwrap();
    let refused = ledger.adopt(attempt(2), [CpuId(1)], &[gpu]).unwrap_err();
    assert!(matches!(refused, LedgerRefused::Held { unit: UnitId(1), .. }), "{refused}");
    assert_eq!((ledger.used(), ledger.others()[0].used, ledger.others()[0].total), (1, 1, Some(0)));
    ledger.release(a);
    assert_eq!((ledger.used(), ledger.others()[0].used), (0, 0));
}

#[test]
fn a_unit_that_somebody_else_uses_is_held_back_and_its_reason_is_kept() {
    let mut ledger = rich();
    ledger.hold_back("gpu", doubt([0, 1]));
    let gpus = &ledger.others()[0];
    assert_eq!(gpus.units[1].held_back.as_deref(), Some("somebody uses it"));
    let a = asks(&mut ledger, 1, &[("gpu", 1)]).unwrap();
    assert_eq!(units(&a, "gpu"), [2]);
    assert_eq!(asks(&mut ledger, 2, &[("gpu", 1)]).unwrap_err(), short("gpu", 1, 0));
    ledger.hold_back("gpu", doubt([]));
    assert_eq!(ledger.others()[0].free, Some(2));
    ledger.release(a);
}
