//! *Purpose*: that a job of several partitions starts in the one that has room first.
//!
//! *Owns*: small divided machines.
//!
//! *Promises*: the invariants are looked at after every pass.
//!
//! *Not here*: passes over one partition (`kernel::views::hold`).

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::job::ids::Attempt;
use crate::job::state::Hold;
use crate::kernel::change::Change;
use crate::kernel::check;
use crate::kernel::commands::cancel::Cancelled;
use crate::kernel::commands::requeue::Requeued;
use crate::kernel::parts::accounts::Accounts;
use crate::kernel::parts::rules::Rules;
use crate::kernel::testing::job::job;
use crate::kernel::testing::{KernelBuilder, exit, partition};
use crate::kernel::transition::Fact;
use crate::policy::name::Policy;
use crate::policy::pass::plan;
use crate::resources::partitions::{Partition, Partitions};

const NOW: Time = Time(0);

fn divided(list: Vec<Partition>) -> Arc<Partitions> {
    Arc::new(Partitions::new(list, 0).unwrap())
}

/// CPUs 0 and 1 are of `a`, 2 and 3 of `b`.
fn halves() -> Kernel {
    let partitions = divided(vec![partition("a", 0..2), partition("b", 2..4)]);
    KernelBuilder::new().cpus(4).partitions(&partitions).build()
}

fn submit(kernel: &mut Kernel, partitions: &str, cpus: u32) -> JobId {
    kernel.enter([job().partition(partitions).cpus(cpus).time_limit(60)], NOW)[0]
}

/// A pass; in which partitions it says that jobs of several were started.
fn pass(kernel: &mut Kernel) -> Vec<String> {
    let policy = Policy::default();
    kernel.seat(NOW);
    let plan = plan(policy, &kernel.input(&policy, NOW));
    let (_, stale, step) = kernel.start(&plan, NOW);
    assert_eq!((stale, check::all(kernel)), (0, Ok(())));
    let chosen = step.changes.into_iter().filter_map(|change| match change {
        Change::Granted { partition, .. } => partition.map(|name| name.to_string()),
        _ => None,
    });
    chosen.collect()
}

fn end(kernel: &mut Kernel, job: JobId) {
    let attempt = Attempt { job, n: kernel.live()[&job].job.attempts };
    kernel.fact(attempt, Fact::Exited(exit(0, NOW)), NOW).unwrap();
}

#[test]
fn it_starts_in_the_first_that_has_room() {
    let mut kernel = halves();
    assert_eq!(submit(&mut kernel, "a", 2), JobId(1));
    assert_eq!(pass(&mut kernel), [] as [&str; 0]);
    submit(&mut kernel, "a,b", 2);
    assert_eq!(pass(&mut kernel), ["b"]);
    let third = submit(&mut kernel, "b,a", 1);
    assert_eq!(pass(&mut kernel), [] as [&str; 0], "both are full");
    end(&mut kernel, JobId(1));
    assert_eq!(pass(&mut kernel), ["a"]);
    assert_eq!(kernel.live()[&third].job.placement.partition, 0);
}

#[test]
fn what_is_kept_for_another_in_one_keeps_it_from_none_of_the_others() {
    let mut kernel = halves();
    submit(&mut kernel, "a", 1);
    let wide = submit(&mut kernel, "a", 2);
    let either = kernel.enter([job().partition("a,b").time_limit(600)], NOW)[0];
    pass(&mut kernel);
    assert!(kernel.queue().get(wide).is_some());
    // A CPU of `a` is free and kept for the wide one, beyond whose start this would last.
    pass(&mut kernel);
    assert_eq!(kernel.live()[&either].job.placement.partition, 1);
}

#[test]
fn it_goes_back_to_all_that_it_lists() {
    let mut kernel = halves();
    let id = submit(&mut kernel, "a,b", 1);
    assert_eq!(pass(&mut kernel), ["a"]);
    let (asked, _) = kernel.requeue_asked(id, Hold::No, &"me".into(), NOW);
    assert_eq!(asked, Requeued::Stopping);
    let step = kernel.fact(Attempt { job: id, n: 1 }, Fact::Exited(exit(0, NOW)), NOW).unwrap();
    let back = step.changes.iter().find_map(|change| match change {
        Change::Requeued { partition, .. } => partition.clone(),
        _ => None,
    });
    assert_eq!(back.as_deref(), Some("a,b"));
    submit(&mut kernel, "a", 2);
    kernel.cancel(&[id], &"me".into(), NOW);
    assert_eq!(pass(&mut kernel), [] as [&str; 0]);
}

#[test]
fn of_those_that_do_not_let_it_start_none_is_chosen() {
    let down = Partition { up: false, ..partition("a", 0..2) };
    let small = Partition { max_cpus: Some(1), ..partition("b", 2..4) };
    let rules = |list| Rules {
        partitions: divided(list),
        accounts: Accounts::new(Arc::default(), None),
        ..Rules::default()
    };
    let list = vec![down.clone(), small.clone(), partition("c", 4..6)];
    let mut kernel = KernelBuilder::new().cpus(6).rules(rules(list)).build();
    let wide = submit(&mut kernel, "a,b", 2);
    assert_eq!(pass(&mut kernel), [] as [&str; 0]);
    assert_eq!(kernel.blocked(wide, NOW), Some(Blocked::PartitionDown), "of the first it is told");
    let other = submit(&mut kernel, "a,b,c", 2);
    assert_eq!(pass(&mut kernel), ["c"]);
    let up = vec![partition("c", 4..6), partition("a", 0..2), small];
    kernel.reconfigure(rules(up), NOW).unwrap();
    assert_eq!(check::all(&kernel), Ok(()));
    assert_eq!(kernel.live()[&other].job.placement.partition, 0, "it stays in c");
    assert_eq!(pass(&mut kernel), ["a"]);
    let again = kernel.remembered(NOW);
    let kernel = KernelBuilder::of(again).cpus(6).build();
    assert_eq!(check::all(&kernel), Ok(()));
    assert_eq!(kernel.live()[&other].job.placement.partition, 0, "a restart forgets nothing");
}

#[test]
fn tasks_of_an_array_spread_over_all_that_it_lists() {
    let mut kernel = halves();
    kernel.enter([job().partition("a,b").array("0-9")], NOW);
    assert_eq!(pass(&mut kernel), ["a", "a"]);
    assert_eq!(pass(&mut kernel), ["b", "b"]);
    assert_eq!(pass(&mut kernel), [] as [&str; 0]);
}

proptest! {
    #[test]
    fn each_runs_once_in_a_partition_that_it_lists(
        sets in prop::collection::vec(prop::collection::btree_set(0..6u32, 1..5), 1..4),
        jobs in prop::collection::vec(
            (prop::collection::vec(0..4usize, 1..4), 1..4u32, 0..3u8), 1..25),
        policy in prop::sample::select(vec!["fcfs+easy", "fcfs+none", "fcfs+cons"]),
    ) {
        let one = |(n, cpus): (usize, &BTreeSet<u32>)| partition(&format!("p{n}"), cpus.clone());
        let partitions = divided(sets.iter().enumerate().map(one).collect());
        let mut kernel = KernelBuilder::new().cpus(6).partitions(&partitions).build();
        let mut planner = crate::policy::pass::Planner::new(
            policy.parse().unwrap(), crate::time::SECOND_US);
        let mut ran: BTreeSet<JobId> = BTreeSet::new();
        let mut listed = Vec::new();
        let fits = |list: &[usize], cpus: u32| {
            list.iter().any(|n| sets[*n].len() >= cpus as usize)
        };
        for (list, cpus, act) in jobs {
            let mut list: Vec<usize> = list.into_iter().map(|n| n % sets.len()).collect();
            list.dedup();
            if fits(&list, cpus) {
                let names: Vec<String> = list.iter().map(|n| format!("p{n}")).collect();
                let id = submit(&mut kernel, &names.join(","), cpus);
                listed.push((id, list));
            }
            if act == 0 && let Some((id, _)) = listed.last()
                && kernel.cancel(&[*id], &"me".into(), NOW).0 == [Cancelled::Ended]
            {
                listed.pop();
            }
            if act == 1 && let Some(id) = kernel.live().keys().next().copied() {
                end(&mut kernel, id);
            }
            run(&mut kernel, &mut planner, &mut ran);
        }
        for _ in 0..200 {
            let live: Vec<JobId> = kernel.live().keys().copied().collect();
            live.into_iter().for_each(|id| end(&mut kernel, id));
            run(&mut kernel, &mut planner, &mut ran);
        }
        for (id, list) in &listed {
            prop_assert!(ran.contains(id), "{id} of {list:?} never ran");
        }
    }
}

fn run(kernel: &mut Kernel, planner: &mut crate::policy::pass::Planner, ran: &mut BTreeSet<JobId>) {
    kernel.seat(NOW);
    let input = kernel.input(&planner.policy(), NOW);
    kernel.start(&planner.pass(&input), NOW);
    assert_eq!(check::all(kernel), Ok(()));
    for (id, live) in kernel.live() {
        ran.insert(*id);
        let own = kernel.rules().partitions.at(live.job.placement.partition).unwrap();
        let cpus = live.state.allocation().unwrap().cpus();
        assert!(cpus.iter().all(|cpu| own.cpus.contains(cpu)), "{cpus:?} of {}", own.name);
    }
}
