//! *Purpose*: each way in which the witnesses can disagree, and what follows.
//!
//! *Owns*: small ledgers and databases, spoilt one at a time.
//!
//! *Promises*: every kind of drift fires here, with its remedy.
//!
//! *Not here*: the real database and real processes (`tests/audit.rs`).

use super::*;
use crate::job::ids::{Attempt, CpuId, EventId};
use crate::store::record::AllocationRecord;

fn row(job: i64, cpu: u32) -> AllocationRecord {
    AllocationRecord {
        id: EventId(job),
        attempt: Attempt { job: JobId(job), n: 1 },
        allocated_cpus: 1,
        cpus: vec![CpuId(cpu)],
        rest: Vec::new(),
        released: false,
        allocation_time: Time(0),
        released_time: None,
        process_id: None,
        nonce: "n".to_owned(),
        boot_id: "b".to_owned(),
        end: None,
        exit_code: None,
        error: None,
        start_time: None,
        end_time: None,
    }
}

/// Job 1 lives on CPU 0, one job waits; three CPUs.
fn agreeing() -> (Snapshot, DbSnapshot) {
    let now = Snapshot {
        cpus: vec![(CpuId(0), Some(JobId(1))), (CpuId(1), None), (CpuId(2), None)],
        running: 1,
        pending: 1,
        ..Snapshot::default()
    };
    let db = DbSnapshot {
        unreleased: vec![row(1, 0)],
        held: vec![("cpu".into(), CpuId(0), JobId(1))],
        live: vec![JobId(1)],
        pending: 1,
    };
    (now, db)
}

fn spoilt(spoil: impl FnOnce(&mut Snapshot, &mut DbSnapshot)) -> (Vec<Drift>, Findings) {
    let (mut now, mut db) = agreeing();
    spoil(&mut now, &mut db);
    compare(&now, &db, &BTreeMap::new())
}

fn seen(drift: &[Drift]) -> Vec<(&'static str, Remedy)> {
    drift.iter().map(|d| (d.kind, d.remedy)).collect()
}

fn cpu(n: u32) -> Unit {
    ("cpu".into(), CpuId(n))
}

fn living(job: i64, cpus: impl IntoIterator<Item = u32>) -> BTreeMap<JobId, Strangers> {
    let units = cpus.into_iter().map(cpu).collect();
    BTreeMap::from([(JobId(job), Strangers { pids: vec![77], units })])
}

#[test]
fn witnesses_that_agree_have_nothing_to_mend() {
    assert_eq!(spoilt(|_, _| {}), (Vec::new(), Findings::default()));
}

#[test]
fn a_cpu_that_a_dead_job_holds_is_reclaimed() {
    let (drift, findings) = spoilt(|_, db| db.held.push(("cpu".into(), CpuId(2), JobId(9))));
    assert_eq!(seen(&drift), [("ended_job_holds_cpus", Remedy::Reclaimed)]);
    assert_eq!(findings.orphans, [(JobId(9), vec![("cpu".into(), CpuId(2))])].into());
    assert!(findings.doubted.is_empty());
    let (drift, findings) = spoilt(|_, db| db.unreleased.push(row(9, 1)));
    assert_eq!(seen(&drift), [("ended_job_holds_cpus", Remedy::Reclaimed)]);
    assert_eq!(findings.orphans, [(JobId(9), vec![("cpu".into(), CpuId(1))])].into());
}

#[test]
fn a_cpu_that_an_ended_job_still_uses_is_held_back() {
    let (now, mut db) = agreeing();
    db.held.push(("cpu".into(), CpuId(2), JobId(9)));
    let (drift, findings) = compare(&now, &db, &living(9, [1]));
    let held_back = Remedy::HeldBack;
    assert_eq!(
        seen(&drift),
        [("ended_job_holds_cpus", held_back), ("process_without_cpus", held_back)]
    );
    assert_eq!((findings.orphans.len(), findings.doubted), (0, vec![cpu(2), cpu(1)]));
}

#[test]
fn processes_without_cpus_hold_back_those_they_had() {
    let (now, db) = agreeing();
    let (drift, findings) = compare(&now, &db, &living(9, [2]));
    assert_eq!(seen(&drift), [("process_without_cpus", Remedy::HeldBack)]);
    assert_eq!(findings.doubted, [cpu(2)]);
    assert!(drift[0].detail.contains("[77] live on CPU 2"), "{}", drift[0].detail);
    let (drift, findings) = compare(&now, &db, &living(9, []));
    assert_eq!(seen(&drift), [("process_without_cpus", Remedy::Reported)]);
    assert_eq!(findings, Findings::default());
}

#[test]
fn what_the_database_has_forgotten_of_a_live_job_is_restored() {
    let (drift, findings) = spoilt(|_, db| db.held.clear());
    assert_eq!(seen(&drift), [("ledger_vs_held_cpus", Remedy::Restored)]);
    assert_eq!(findings.forgotten, [JobId(1)]);
    let (drift, findings) = spoilt(|_, db| db.unreleased.clear());
    assert_eq!(seen(&drift), [("ledger_vs_allocation", Remedy::Restored)]);
    assert_eq!(findings.forgotten, [JobId(1)]);
}

#[test]
fn a_job_that_only_the_database_has_as_live_is_held_back() {
    let spoil = |_: &mut Snapshot, db: &mut DbSnapshot| {
        db.held.push(("cpu".into(), CpuId(1), JobId(5)));
        db.live.push(JobId(5));
    };
    let (drift, findings) = spoilt(spoil);
    assert_eq!(
        seen(&drift),
        [("live_on_disk_only", Remedy::HeldBack), ("live_count", Remedy::Reported)]
    );
    assert_eq!(findings.doubted, [cpu(1)]);
}

#[test]
fn counts_and_states_that_differ_are_reported() {
    let (drift, findings) = spoilt(|_, db| db.live.clear());
    assert_eq!(
        seen(&drift),
        [("live_in_memory_only", Remedy::Reported), ("live_count", Remedy::Reported)]
    );
    assert_eq!(findings, Findings::default());
    let (drift, _) = spoilt(|_, db| db.live.push(JobId(6)));
    assert_eq!(
        seen(&drift),
        [("live_job_holds_nothing", Remedy::Reported), ("live_count", Remedy::Reported)]
    );
    let (drift, _) = spoilt(|_, db| db.pending = 3);
    assert_eq!(seen(&drift), [("pending_count", Remedy::Reported)]);
}
