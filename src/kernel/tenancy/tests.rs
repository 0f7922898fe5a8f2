//! *Purpose*: laws of divided machines, on a kernel.
//!
//! *Owns*: random partitions, random jobs in them.
//!
//! *Promises*: each test is named after its law.
//!
//! *Not here*: regions by themselves (`kernel::partitions`).
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::kernel::boot::Memory;
use crate::kernel::check;
use crate::kernel::eligible::Elsewhere;
use crate::kernel::job::{CpusAsked, JobRequest, LimitAsked, Site};
use crate::kernel::kernel::Reign;
use crate::kernel::policy::{Planner, Policy};
use crate::kernel::time::SECOND_US;
use crate::kernel::transition::Fact;

const CPUS: u32 = 8;

fn partition(n: usize, cpus: &BTreeSet<u32>) -> Partition {
    Partition {
        name: format!("p{n}").into(),
        cpus: cpus.iter().copied().map(CpuId).collect(),
        default_limit_s: None,
        max_limit_s: None,
        max_cpus: None,
        max_memory: None,
        weight: 0,
        up: true,
    }
}

fn divided(sets: &[BTreeSet<u32>]) -> Arc<Partitions> {
    let list = sets.iter().enumerate().map(|(n, cpus)| partition(n, cpus)).collect();
    Arc::new(Partitions::new(list, 0).unwrap())
}

fn kernel(partitions: &Arc<Partitions>) -> Kernel {
    let reign = Reign { boot_id: "b".into(), nonce: "n".into() };
    let rules = Rules { partitions: Arc::clone(partitions), ..Rules::default() };
    let memory = Memory { rules, ..Memory::default() };
    Kernel::load((0..CPUS).map(CpuId), reign, memory).unwrap()
}

fn spec(partitions: &Arc<Partitions>, partition: &str, cpus: i64, limit_s: i64) -> Arc<JobSpec> {
    let site = Site {
        total_cpus: CPUS,
        partitions: Arc::clone(partitions),
        kill_grace_s: 30,
        ..Site::default()
    };
    let request = JobRequest {
        partition: Some(partition.to_owned()),
        cpus: CpusAsked::Count(cpus),
        limit: LimitAsked::Seconds(limit_s),
        ..JobRequest::new("true")
    };
    Arc::new(JobSpec::try_from((request, &site)).unwrap())
}

fn submit(kernel: &mut Kernel, specs: Vec<Arc<JobSpec>>, now: Time) -> Vec<JobId> {
    let (ids, step) = kernel.submit(specs, &Elsewhere::default(), &Arc::from("me"), now);
    for effect in step.effects {
        if let crate::kernel::change::Effect::Admit(jobs) = effect {
            kernel.admit(jobs);
        }
    }
    ids
}

fn policies() -> impl Strategy<Value = Policy> {
    const NAMES: [&str; 5] =
        ["fcfs+none", "fcfs+firstfit", "fcfs+easy", "wfp3+easy@30", "fcfs+cons"];
    prop::sample::select(&NAMES[..]).prop_map(|name| name.parse().unwrap())
}

fn sets() -> impl Strategy<Value = Vec<BTreeSet<u32>>> {
    prop::collection::vec(prop::collection::btree_set(0..CPUS, 1..7), 1..4)
}

proptest! {
    /// Jobs come, start and end; whatever a pass starts the ledger has, where it may.
    #[test]
    fn ledger_and_planning_agree_where_jobs_run(
        sets in sets(),
        policy in policies(),
        waves in prop::collection::vec(
            (prop::collection::vec((0..9usize, 1..7u32, 1..90i64), 0..6), 0..4usize),
            1..8,
        ),
    ) {
        let partitions = divided(&sets);
        let mut kernel = kernel(&partitions);
        let mut planner = Planner::new(policy, SECOND_US);
        for (n, (jobs, ends)) in waves.into_iter().enumerate() {
            let now = Time(n as i64 * 20 * SECOND_US);
            let specs = jobs.into_iter().map(|(at, cpus, limit_s)| {
                let at = at % sets.len();
                let cpus = cpus.min(sets[at].len() as u32);
                spec(&partitions, &format!("p{at}"), cpus.into(), limit_s)
            });
            submit(&mut kernel, specs.collect(), now);
            let scene = kernel.scene(&policy, now);
            prop_assert_eq!(scene.total.all_cpus() as usize, partitions.region_of().len());
            let (_, stale, _) = kernel.start(&planner.pass(&scene), now);
            prop_assert_eq!(stale, 0, "the ledger had what was planned");
            prop_assert_eq!(check::all(&kernel), Ok(()));
            for live in kernel.live().values() {
                let own = &sets[usize::from(live.job.berth.partition)];
                let cpus = live.state.allocation().unwrap().cpus();
                prop_assert!(cpus.iter().all(|cpu| own.contains(&cpu.0)), "{cpus:?} of {own:?}");
            }
            let over: Vec<_> = kernel.live().values().take(ends).map(|l| l.attempt()).collect();
            for attempt in over {
                kernel.fact(attempt, Fact::Vanished("gone".into()), now).unwrap();
            }
        }
    }
}

#[test]
fn whoever_may_take_from_either_leaves_shared_cpus_to_others() {
    let partitions = divided(&[BTreeSet::from([0, 1, 2, 3]), BTreeSet::from([0, 1])]);
    let mut kernel = kernel(&partitions);
    let jobs = vec![spec(&partitions, "p0", 2, 60), spec(&partitions, "p1", 2, 60)];
    submit(&mut kernel, jobs, Time(0));
    let policy = Policy::default();
    let scene = kernel.scene(&policy, Time(0));
    let (started, stale, _) = kernel.start(&crate::kernel::policy::plan(policy, &scene), Time(0));
    assert_eq!((started, stale), (2, 0));
    let first = kernel.live()[&JobId(1)].state.allocation().unwrap().cpus().to_vec();
    assert_eq!(first, [CpuId(2), CpuId(3)]);
}

#[test]
fn jobs_of_a_partition_that_is_down_or_gone_wait_and_are_counted() {
    let cpus = BTreeSet::from([0, 1]);
    let list = vec![partition(0, &cpus), Partition { up: false, ..partition(1, &cpus) }];
    let partitions = Arc::new(Partitions::new(list, 0).unwrap());
    let mut kernel = kernel(&partitions);
    submit(&mut kernel, vec![spec(&partitions, "p1", 1, 60)], Time(0));
    assert_eq!(kernel.blocked(JobId(1), Time(0)), Some(Blocked::PartitionDown));
    assert!(kernel.scene(&Policy::default(), Time(0)).queue.is_empty());
    let berth = partitions.berth("p7");
    kernel.admit(vec![Queued { id: JobId(9), cpus: 1, berth, ..Queued::default() }]);
    assert_eq!(kernel.blocked(JobId(9), Time(0)), Some(Blocked::PartitionGone));
    assert!(!kernel.wants_a_plan());
    let now: Vec<(u64, u32, bool)> =
        kernel.partitions_now().iter().map(|one| (one.pending, one.free, one.up)).collect();
    assert_eq!(now, [(0, 2, true), (1, 2, false)]);
}
