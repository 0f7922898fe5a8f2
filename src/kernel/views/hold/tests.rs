//! *Purpose*: laws of divided machines, on a kernel.
//!
//! *Owns*: random partitions, accounts and weights, random jobs under them.
//!
//! *Promises*: each test is named after its law.
//!
//! *Not here*: regions by themselves (`resources::partitions`).
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use crate::kernel::check;
use crate::kernel::parts::accounts::Accounts;
use crate::kernel::parts::eligibility::DependencySnapshot;
use crate::kernel::parts::limits::{AccountRule, AccountRules};
use crate::kernel::parts::priority::Weights;
use crate::kernel::testing::job::{JobBuilder, job};
use crate::kernel::testing::{KernelBuilder, partition};
use crate::kernel::transition::Fact;
use crate::resources::partitions::Partitions;
use proptest::prelude::*;

use super::*;
use crate::job::ids::CpuId;
use crate::job::state::{Hold, StateWord};
use crate::kernel::change::Change;
use crate::kernel::commands::requeue::{EndedJob, Requeued};
use crate::kernel::parts::queue::pending::pointed;
use crate::kernel::parts::rules::{Rules, WHOLE};
use crate::policy::name::Policy;
use crate::policy::pass::{Planner, plan};
use crate::policy::plan::Plan;
use crate::resources::partitions::Partition;
use crate::time::SECOND_US;
use std::sync::Arc;

const CPUS: u32 = 8;

fn divided(sets: &[BTreeSet<u32>]) -> Arc<Partitions> {
    let one = |(n, cpus): (usize, &BTreeSet<u32>)| partition(&format!("p{n}"), cpus.clone());
    let list = sets.iter().enumerate().map(one).collect();
    Arc::new(Partitions::new(list, 0).unwrap())
}

fn kernel(partitions: &Arc<Partitions>) -> Kernel {
    KernelBuilder::new().cpus(CPUS).partitions(partitions).build()
}

fn asked(partition: &str, cpus: u32, limit_s: i64) -> JobBuilder {
    job().partition(partition).cpus(cpus).time_limit(limit_s)
}

/// CPUs and jobs that may run, of two that are named and of each other.
type Limits = [(u32, u32)];

fn limited(names: [&str; 2], limits: &Limits) -> Arc<AccountRules> {
    let rule = |(cpus, jobs): (u32, u32)| AccountRule {
        max_running_cpus: Some(cpus),
        max_running_jobs: Some(jobs),
        ..AccountRule::default()
    };
    let named = names.iter().zip(limits).map(|(name, limit)| ((*name).to_owned(), rule(*limit)));
    let others = limits.get(2).copied().map(rule);
    Arc::new(AccountRules { named: named.collect(), others })
}

/// A kernel that limits and weighs; the limits are of `a`, `b` and each other account, and of `u`,
/// `v` and each other user.
fn ruled(
    partitions: &Arc<Partitions>,
    (accounts, users): (&Limits, &Limits),
    weights: Weights,
) -> Kernel {
    let half_life_s = (weights.fair_share > 0).then_some(50);
    let accounts = Accounts::new(limited(["a", "b"], accounts), half_life_s);
    let users = Accounts::new(limited(["u", "v"], users), None);
    let rules = Rules { partitions: Arc::clone(partitions), accounts, users, weights };
    KernelBuilder::new().cpus(CPUS).rules(rules).build()
}

fn of(
    account: &str,
    (cpus, limit_s, priority): (u32, i64, i64),
    partitions: &Arc<Partitions>,
    at: usize,
) -> JobBuilder {
    let own = partitions.iter().nth(at);
    job()
        .account(account)
        .cpus(own.map_or(cpus, |own| cpus.min(own.total())))
        .partition(own.map(|own| &*own.name))
        .time_limit(limit_s)
        .priority(priority)
}

/// What a pass over every job that may start would do, were it not for the buckets.
fn without_buckets(kernel: &Kernel, policy: Policy, now: Time) -> Plan {
    let points = kernel.rules.points(now);
    let shown = kernel.queue().iter().filter(|job| kernel.queue().is_shown(job.id));
    let queue = shown.map(|job| pointed(job, &points)).collect();
    plan(policy, &crate::policy::input::PassInput { queue, ..kernel.input(&policy, now) })
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
            let jobs = jobs.into_iter().map(|(at, cpus, limit_s)| {
                let at = at % sets.len();
                let cpus = cpus.min(sets[at].len() as u32);
                asked(&format!("p{at}"), cpus, limit_s)
            });
            kernel.enter(jobs, now);
            let input = kernel.input(&policy, now);
            prop_assert_eq!(input.total.all_cpus() as usize, partitions.region_of().len());
            let (_, stale, _) = kernel.start(&planner.pass(&input), now);
            prop_assert_eq!(stale, 0, "the ledger had what was planned");
            prop_assert_eq!(check::all(&kernel), Ok(()));
            for live in kernel.live().values() {
                let own = &sets[usize::from(live.job.placement.partition)];
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
    kernel.enter([asked("p0", 2, 60), asked("p1", 2, 60)], Time(0));
    let policy = Policy::default();
    let input = kernel.input(&policy, Time(0));
    let (started, stale, _) = kernel.start(&plan(policy, &input), Time(0));
    assert_eq!((started, stale), (2, 0));
    let first = kernel.live()[&JobId(1)].state.allocation().unwrap().cpus().to_vec();
    assert_eq!(first, [CpuId(2), CpuId(3)]);
}

#[test]
fn jobs_of_a_partition_that_is_down_or_gone_wait_and_are_counted() {
    let down = Partition { up: false, ..partition("p1", 0..2) };
    let list = vec![partition("p0", 0..2), down];
    let partitions = Arc::new(Partitions::new(list, 0).unwrap());
    let mut kernel = kernel(&partitions);
    kernel.enter([asked("p1", 1, 60)], Time(0));
    assert_eq!(kernel.blocked(JobId(1), Time(0)), Some(Blocked::PartitionDown));
    assert!(kernel.input(&Policy::default(), Time(0)).queue.is_empty());
    let placement = partitions.placement("p7");
    kernel.admit(vec![Queued { id: JobId(9), cpus: 1, placement, ..Queued::default() }]);
    assert_eq!(kernel.blocked(JobId(9), Time(0)), Some(Blocked::PartitionGone));
    assert!(!kernel.wants_a_plan());
    let now: Vec<(u64, u32, bool)> =
        kernel.partitions_now().iter().map(|one| (one.pending, one.free, one.up)).collect();
    assert_eq!(now, [(0, 2, true), (1, 2, false)]);
}

proptest! {
    /// Limits hold after every step, even against a plan that knows nothing of them; and a pass
    /// over what the buckets give starts what a pass over all jobs would, so that whoever stands
    /// behind a job that is barred is not held up.
    #[test]
    fn nobody_has_more_than_its_limits_and_nobody_behind_is_held_up(
        sets in prop::option::of(sets()),
        limits in prop::collection::vec((0..7u32, 0..4u32), 0..4),
        of_users in prop::collection::vec((0..7u32, 0..4u32), 0..4),
        weights in (0..3u32, 1..100u32, 0..3u32),
        policy in policies().prop_filter("reservations for all", |p| p.to_string() != "fcfs+cons"),
        waves in prop::collection::vec(
            (
                prop::collection::vec(
                    ((0..4usize, 0..4usize), 0..3usize, 1..7u32, 1..90i64, 0..3i64),
                    0..9,
                ),
                0..4usize,
            ),
            1..7,
        ),
    ) {
        let partitions = sets.map(|sets| divided(&sets)).unwrap_or_default();
        let (age, max_age_s, fair_share) = weights;
        let weights = Weights { age: age * 50, max_age_s, fair_share: fair_share * 50 };
        let mut kernel = ruled(&partitions, (&limits, &of_users), weights);
        let places = partitions.iter().count().max(1);
        for (n, (jobs, ends)) in waves.into_iter().enumerate() {
            let now = Time(n as i64 * 20 * SECOND_US);
            let jobs = jobs.into_iter().map(|((who, user), at, cpus, limit_s, priority)| {
                let account = ["a", "b", "c", ""][who];
                let job = of(account, (cpus, limit_s, priority), &partitions, at % places);
                match ["u", "v", "w"].get(user) {
                    Some(name) => job.of_user(name, 1_000 + user as u32),
                    None => job,
                }
            });
            kernel.enter(jobs, now);
            let input = kernel.input(&policy, now);
            let planned = plan(policy, &input);
            prop_assert_eq!(&planned.start, &without_buckets(&kernel, policy, now).start);
            let (_, stale, _) = kernel.start(&planned, now);
            prop_assert_eq!(stale, 0);
            within_limits(&kernel)?;
            let everybody = kernel.queue().iter().map(|job| job.id).collect();
            kernel.start(&Plan { start: everybody, ..Plan::default() }, now);
            within_limits(&kernel)?;
            let over: Vec<_> = kernel.live().values().take(ends).map(|l| l.attempt()).collect();
            for attempt in over {
                kernel.fact(attempt, Fact::Vanished("gone".into()), now).unwrap();
            }
            prop_assert_eq!(check::all(&kernel), Ok(()));
        }
    }
}

fn within_limits(kernel: &Kernel) -> Result<(), TestCaseError> {
    prop_assert_eq!(check::all(kernel), Ok(()));
    for account in kernel.rules.accounts.all().iter().chain(kernel.rules.users.all()) {
        let within = |max: Option<u32>, now: u32| max.is_none_or(|max| now <= max);
        prop_assert!(within(account.rule.max_running_cpus, account.running_cpus), "{account:?}");
        prop_assert!(within(account.rule.max_running_jobs, account.running_jobs), "{account:?}");
    }
    Ok(())
}

#[test]
fn what_is_under_way_counts_as_waiting_until_it_is_durable_or_burnt() {
    let rule = AccountRule { max_queued_jobs: Some(2), ..AccountRule::default() };
    let mut kernel = KernelBuilder::new().cpus(CPUS).account("a", rule).build();
    let one = |account| job().account(account);
    let too_many = |kernel: &Kernel, n| {
        let specs: Vec<_> = (0..n).map(|_| one("a").spec()).collect();
        kernel.too_many(&specs).map(|(place, _)| place)
    };
    assert_eq!((too_many(&kernel, 2), too_many(&kernel, 3)), (None, Some(2)));
    let (both, elsewhere) = (vec![one("a").spec(); 2], DependencySnapshot::default());
    let (ids, _) = kernel.submit(both, &elsewhere, &"me".into(), Time(0));
    assert_eq!(too_many(&kernel, 1), Some(0), "not durable yet, and counted");
    assert!(kernel.too_many(&[one("b").spec()]).is_none());
    kernel.withdraw(&ids, Time(0));
    assert_eq!(too_many(&kernel, 2), None, "nothing was stored");
    kernel.enter([one("a"), one("a")], Time(0));
    assert_eq!(too_many(&kernel, 1), Some(0));
    kernel.cancel(&[JobId(3)], &"me".into(), Time(1));
    assert_eq!((too_many(&kernel, 1), too_many(&kernel, 2)), (None, Some(1)));
}

#[test]
fn a_user_has_only_so_many_bytes_waiting_in_whatever_account() {
    let rule = AccountRule { max_queued_bytes: Some(100), ..AccountRule::default() };
    let mut kernel = KernelBuilder::new().cpus(1).user("u", rule).build();
    let script = |bytes| job().script_of(bytes).account("a").of_user("u", 1_000);
    let refused = |kernel: &Kernel, jobs: Vec<JobBuilder>| {
        let specs: Vec<_> = jobs.into_iter().map(JobBuilder::spec).collect();
        kernel.too_many(&specs).map(|(place, why)| (place, why.field, why.sentence))
    };
    assert_eq!(refused(&kernel, vec![script(60), script(40)]), None);
    let sentence = "user u may have 100 bytes of scripts and environments waiting \
         (max_queued_bytes), has 0 bytes and sent 101 bytes more; wait until some have started, or \
         send fewer";
    let both = refused(&kernel, vec![script(60), script(41)]);
    assert_eq!(both, Some((1, "user", sentence.to_owned())));
    // Its tasks share one script.
    kernel.enter([script(60), script(30).array("1-5")], Time(0));
    assert_eq!(refused(&kernel, vec![script(10)]), None);
    assert!(refused(&kernel, vec![script(11).account("b")]).is_some());
    assert_eq!(refused(&kernel, vec![script(101).of_user("v", 1_001)]), None, "another's");
    let label = job().script_of(101);
    assert_eq!(refused(&kernel, vec![label]), None, "where users are not told apart");
    kernel.start(&Plan { start: vec![JobId(2)], ..Plan::default() }, Time(0));
    assert!(refused(&kernel, vec![script(11)]).is_some(), "four tasks need the script still");
    kernel.cancel(&[JobId(2)], &"me".into(), Time(1));
    assert_eq!(refused(&kernel, vec![script(40)]), None);
    assert_eq!(check::all(&kernel), Ok(()));
}

#[test]
fn a_job_that_is_over_waits_again_only_if_its_user_may_have_it_waiting() {
    let rule = AccountRule { max_queued_jobs: Some(1), ..AccountRule::default() };
    let mut kernel = KernelBuilder::new().cpus(1).user("u", rule).build();
    let mine = || job().of_user("u", 1_000);
    kernel.enter([mine()], Time(0));
    kernel.start(&Plan { start: vec![JobId(1)], ..Plan::default() }, Time(0));
    let (queued, attempt) = (kernel.live()[&JobId(1)].job, kernel.live()[&JobId(1)].attempt());
    kernel.fact(attempt, Fact::Vanished("gone".into()), Time(1)).unwrap();
    kernel.enter([mine()], Time(1));
    let over = || EndedJob {
        job: queued,
        rest: Request::default(),
        word: StateWord::Failed,
        held: Hold::No,
        begin: None,
        deadline: None,
        retry: None,
        partition: WHOLE.to_owned(),
        account: String::new(),
        user: "u".to_owned(),
        task: None,
    };
    let (told, step) = kernel.requeue_over(over(), Hold::No, &"me".into(), Time(2));
    assert!(matches!(&told, Requeued::TooMany(why) if why.field == "user"), "{told:?}");
    assert!(step.changes.is_empty());
    kernel.cancel(&[JobId(2)], &"me".into(), Time(3));
    let (told, _) = kernel.requeue_over(over(), Hold::No, &"me".into(), Time(4));
    assert_eq!((told, check::all(&kernel)), (Requeued::Waiting, Ok(())));
    assert!(kernel.too_many(&[mine().spec()]).is_some(), "it counts again");
}

#[test]
fn ends_are_charged_only_where_usage_is_shared() {
    let charges = |weights| {
        let mut kernel = ruled(&Arc::default(), (&[(9, 9)], &[]), weights);
        kernel.enter([job().account("a").cpus(3).time_limit(60)], Time(0));
        let policy = Policy::default();
        let planned = plan(policy, &kernel.input(&policy, Time(0)));
        kernel.start(&planned, Time(0));
        let attempt = kernel.live()[&JobId(1)].attempt();
        let now = Time(2 * SECOND_US);
        let step = kernel.fact(attempt, Fact::Vanished("gone".into()), now).unwrap();
        step.changes.into_iter().find_map(|change| match change {
            Change::Charged { account, cpu_us, at } => Some((account, cpu_us, at == now)),
            _ => None,
        })
    };
    assert_eq!(charges(Weights::default()), None);
    let (account, cpu_us, now) = charges(Weights { fair_share: 1, ..Weights::default() }).unwrap();
    assert_eq!((&*account, now), ("a", true));
    assert!((5_800_000..6_000_000).contains(&cpu_us), "three CPUs for two seconds: {cpu_us}");
}

#[test]
fn whose_account_used_less_goes_first_and_age_makes_up_for_it() {
    let weights = Weights { age: 100, max_age_s: 100, fair_share: 100 };
    let mut kernel = ruled(&Arc::default(), (&[], &[]), weights);
    let one = |account| job().account(account).cpus(8).time_limit(60);
    kernel.enter([one("greedy")], Time(0));
    let policy = Policy::default();
    let at = |second| Time(second * SECOND_US);
    kernel.start(&Plan { start: vec![JobId(1)], ..Plan::default() }, Time(0));
    kernel.enter([one("greedy")], at(1));
    kernel.enter([one("modest")], at(10));
    let rank = |kernel: &Kernel, job, second| kernel.rank(JobId(job), &policy, at(second)).unwrap();
    assert_eq!(rank(&kernel, 2, 10).position, Some(2));
    assert_eq!(rank(&kernel, 3, 10).parts.fair_share, 100);
    assert_eq!(rank(&kernel, 2, 51).parts.age, 50);
    assert_eq!(rank(&kernel, 2, 51).parts.fair_share, 25, "all by one of two");
    assert_eq!(rank(&kernel, 3, 9).parts.age, 0, "a clock that was set back");
    assert_eq!(kernel.line(&policy, at(51)).queue[0].job, JobId(3));
}
