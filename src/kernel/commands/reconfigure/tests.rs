//! *Purpose*: laws of a kernel whose rules become others while it is at work.
//!
//! *Owns*: random rules between random steps.
//!
//! *Promises*: each test is named after its law.
//!
//! *Not here*: what rules do while they stay (`kernel::parts::rules`).
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::job::edit::Edit;
use crate::job::ids::Attempt;
use crate::job::outcome::Handle;
use crate::job::state::Hold;
use crate::kernel::access::Permitted;
use crate::kernel::change::{Change, Effect};
use crate::kernel::check;
use crate::kernel::parts::accounts::{Account, Accounts};
use crate::kernel::parts::conditions::Blocked;
use crate::kernel::parts::eligibility::DependencySnapshot;
use crate::kernel::parts::limits::{AccountRule, AccountRules};
use crate::kernel::parts::priority::Weights;
use crate::kernel::testing::job::{JobBuilder, job};
use crate::kernel::testing::{KernelBuilder, partition};
use crate::kernel::transition::Fact;
use crate::policy::name::Policy;
use crate::policy::pass::Planner;
use crate::policy::plan::Plan;
use crate::resources::partitions::{Allows, Partition, Partitions};
use crate::time::SECOND_US;

const CPUS: u32 = 6;

fn rules(
    partitions: Vec<Partition>,
    accounts: &[(&str, AccountRule)],
    half_life_s: Option<u32>,
) -> Rules {
    let accounts = Accounts::new(by_name(accounts), half_life_s);
    let fair_share = if half_life_s.is_some() { 100 } else { 0 };
    let weights = Weights { fair_share, ..Weights::default() };
    Rules {
        partitions: Arc::new(Partitions::new(partitions, 0).unwrap()),
        accounts,
        weights,
        ..Rules::default()
    }
}

fn by_name(rules: &[(&str, AccountRule)]) -> Arc<AccountRules> {
    let named = rules.iter().filter(|(name, _)| *name != "*");
    let named = named.map(|(name, rule)| ((*name).to_owned(), rule.clone())).collect();
    let others = rules.iter().find(|(name, _)| *name == "*").map(|(_, rule)| rule.clone());
    Arc::new(AccountRules { named, others })
}

fn kernel(rules: Rules) -> Kernel {
    KernelBuilder::new().cpus(CPUS).rules(rules).build()
}

fn asked((partition, account): (&str, &str), cpus: u32, limit_s: i64) -> JobBuilder {
    job().partition(partition).account(account).cpus(cpus).time_limit(limit_s).memory(100)
}

/// A job that passed under no rules at all: those of now may be others.
fn submit(kernel: &mut Kernel, job: JobBuilder, now: Time) -> (Vec<JobId>, Vec<Effect>) {
    let elsewhere = DependencySnapshot::default();
    let (ids, step) = kernel.submit(vec![job.spec()], &elsewhere, &"me".into(), now);
    (ids, step.effects)
}

fn pass(kernel: &mut Kernel, now: Time) -> (u32, u32) {
    let policy = Policy::default();
    let input = kernel.input(&policy, now);
    let (started, stale, _) = kernel.start(&Planner::new(policy, SECOND_US).pass(&input), now);
    (started, stale)
}

fn held(kernel: &Kernel) -> BTreeMap<JobId, Vec<CpuId>> {
    let cpus =
        |live: &crate::kernel::parts::live::Live| live.state.allocation().unwrap().cpus().to_vec();
    kernel.live().iter().map(|(id, live)| (*id, cpus(live))).collect()
}

fn over(kernel: &mut Kernel, attempt: Attempt, now: Time) {
    kernel.fact(attempt, Fact::Vanished("gone".into()), now).unwrap();
}

fn at(second: i64) -> Time {
    Time(second * SECOND_US)
}

/// What the kernel is told of a partition and of an account, at random.
type PartitionDraw = (usize, BTreeSet<u32>, (bool, i64, u64), Option<u32>, Option<u32>);
type AccountDraw = (usize, Option<u32>, Option<u32>, u32);

const PARTITIONS: [&str; 4] = ["p", "q", "r", "s"];
const ACCOUNTS: [&str; 4] = ["a", "b", "", "*"];
const USERS: [&str; 3] = ["u", "v", "*"];

fn drawn_rules() -> impl Strategy<Value = Rules> {
    let partitions = prop::collection::vec(
        (
            0..4usize,
            prop::collection::btree_set(0..CPUS, 1..6),
            (prop::bool::weighted(0.8), 0..2i64, 0..8u64),
            prop::option::weighted(0.3, 1..4u32),
            prop::option::weighted(0.3, 20..90u32),
        ),
        0..4,
    );
    let few = || prop::option::weighted(0.6, 0..4u32);
    let drawn = || prop::collection::vec((0..4usize, few(), few(), 0..3u32), 0..4);
    (partitions, drawn(), drawn(), prop::option::of(20..200u32)).prop_filter_map(
        "too many regions",
        |(partitions, accounts, users, half_life_s)| {
            made(&partitions, &accounts, &users, half_life_s)
        },
    )
}

fn made(
    partitions: &[PartitionDraw],
    accounts: &[AccountDraw],
    users: &[AccountDraw],
    half_life_s: Option<u32>,
) -> Option<Rules> {
    let mut list: Vec<Partition> = Vec::new();
    for (name, cpus, (up, weight, preempts), max_cpus, max_limit_s) in partitions {
        let name = PARTITIONS[*name];
        if list.iter().all(|other| &*other.name != name) {
            // Those before it only, so that nobody preempts itself or its own preemptor.
            let preempts = preempts & ((1 << list.len()) - 1);
            let (max_cpus, max_limit_s) = (*max_cpus, *max_limit_s);
            let own = partition(name, cpus.iter().copied());
            list.push(Partition {
                up: *up,
                weight: *weight,
                preempts,
                max_cpus,
                max_limit_s,
                ..own
            });
        }
    }
    let rule = |(name, max_running_cpus, max_running_jobs, shares): &AccountDraw| {
        let (max_running_cpus, max_running_jobs) = (*max_running_cpus, *max_running_jobs);
        let shares = *shares;
        let rule =
            AccountRule { max_running_cpus, max_running_jobs, shares, ..AccountRule::default() };
        (*name, rule)
    };
    let accounts = accounts.iter().map(rule).map(|(name, rule)| (ACCOUNTS[name], rule));
    let accounts: Vec<(&str, AccountRule)> = accounts.collect();
    let users = users.iter().map(rule).map(|(name, rule)| (USERS[name % USERS.len()], rule));
    let users = Accounts::new(by_name(&users.collect::<Vec<_>>()), None);
    Partitions::new(list.clone(), 0).ok()?;
    Some(Rules { users, ..rules(list, &accounts, half_life_s) })
}

/// A step of the world between two sets of rules.
#[derive(Clone, Debug)]
enum Do {
    Submit(usize, usize, usize, u32, i64),
    /// The last submissions become durable.
    Admit,
    /// They never will be.
    Withdraw,
    Pass,
    Start(usize),
    End(usize),
    Requeue(usize),
    Cancel(usize),
    Edit(usize, i64),
    Rules(Box<Rules>),
}

fn steps() -> impl Strategy<Value = Vec<Do>> {
    let job = || 0..30usize;
    let one = prop_oneof![
        4 => (0..4usize, 0..3usize, 0..3usize, 1..5u32, 10..100i64)
            .prop_map(|(p, a, u, cpus, limit_s)| Do::Submit(p, a, u, cpus, limit_s)),
        3 => Just(Do::Admit),
        1 => Just(Do::Withdraw),
        4 => Just(Do::Pass),
        2 => job().prop_map(Do::Start),
        2 => job().prop_map(Do::End),
        1 => job().prop_map(Do::Requeue),
        1 => job().prop_map(Do::Cancel),
        1 => (job(), -2..3i64).prop_map(|(job, priority)| Do::Edit(job, priority)),
        3 => drawn_rules().prop_map(|rules| Do::Rules(Box::new(rules))),
    ];
    prop::collection::vec(one, 1..60)
}

struct World {
    kernel: Kernel,
    /// Submitted, not durable yet.
    entering: (Vec<JobId>, Vec<Effect>),
    now: Time,
}

impl World {
    fn attempt(&self, n: usize) -> Option<Attempt> {
        // An attempt is launched once it is durable.
        let unstored = self.kernel.unstored();
        let live = self.kernel.live().values().filter(|live| !unstored.contains(&live.job.id));
        let live: Vec<Attempt> = live.map(|live| live.attempt()).collect();
        live.get(n % live.len().max(1)).copied()
    }

    fn step(&mut self, step: Do) -> Result<(), TestCaseError> {
        let (now, me) = (self.now, Permitted::from("me"));
        let kernel = &mut self.kernel;
        match step {
            Do::Submit(p, a, u, cpus, limit_s) => {
                let job = asked((PARTITIONS[p], ACCOUNTS[a]), cpus, limit_s);
                let job = if u == 0 { job } else { job.of_user(USERS[u - 1], u as u32) };
                // Who waits for something enters the queue later, if only for what has been.
                let job = if limit_s % 2 == 0 { job.begin(at(-1)) } else { job };
                let (ids, effects) = submit(kernel, job, now);
                self.entering.0.extend(ids);
                self.entering.1.extend(effects);
            }
            Do::Admit => kernel.made_durable(std::mem::take(&mut self.entering).1),
            Do::Withdraw => {
                kernel.withdraw(&std::mem::take(&mut self.entering).0, now);
            }
            Do::Pass => {
                let (_, stale) = pass(kernel, now);
                prop_assert_eq!(stale, 0, "the kernel does what was planned of it");
            }
            Do::Start(n) => {
                let handle = Handle { pid: 1, start_time: now };
                if let Some(attempt) = self.attempt(n) {
                    let _late = self.kernel.fact(attempt, Fact::Started(handle), now);
                }
            }
            Do::End(n) => {
                if let Some(attempt) = self.attempt(n) {
                    over(&mut self.kernel, attempt, now);
                }
            }
            Do::Requeue(n) => {
                if let Some(attempt) = self.attempt(n) {
                    self.kernel.requeue_asked(attempt.job, Hold::No, &me, now);
                }
            }
            Do::Cancel(n) => drop(kernel.cancel(&[JobId(n as i64)], &me, now)),
            Do::Edit(n, priority) => {
                let edit = Edit { priority: Some(priority), ..Edit::default() };
                drop(kernel.edit(JobId(n as i64), edit, &DependencySnapshot::default(), &me, now));
            }
            Do::Rules(rules) => self.rules(*rules)?,
        }
        Ok(())
    }

    fn rules(&mut self, rules: Rules) -> Result<(), TestCaseError> {
        let before = (held(&self.kernel), self.waiting());
        let used = self.kernel.rules().accounts.usages(self.now);
        let shared = self.kernel.rules().accounts.share();
        self.kernel.reconfigure(rules, self.now).unwrap();
        prop_assert_eq!(&before, &(held(&self.kernel), self.waiting()), "nobody is lost");
        if shared && self.kernel.rules().accounts.share() {
            let after = self.kernel.rules().accounts.usages(self.now);
            for (name, cpu_us, _) in used {
                let (_, same, _) = after.iter().find(|(other, ..)| *other == name).unwrap();
                prop_assert!((cpu_us - same).abs() <= 1, "{name}: {cpu_us}, then {same}");
            }
        }
        Ok(())
    }

    fn waiting(&self) -> Vec<JobId> {
        self.kernel.queue().iter().map(|job| job.id).collect()
    }

    /// A kernel that begins with the rules of now, and reads who waits and who runs.
    fn restarted(&self) -> Kernel {
        KernelBuilder::of(self.kernel.remembered(self.now)).cpus(CPUS).build()
    }
}

proptest! {
    /// Rules come and go between all that happens: every law holds after each step, and a job
    /// waits, and is kept from starting, just as on a server that was started with the rules of
    /// now.
    #[test]
    fn rules_that_change_are_as_good_as_rules_from_the_start(
        first in drawn_rules(),
        steps in steps(),
    ) {
        let mut world = World { kernel: kernel(first), entering: Default::default(), now: at(0) };
        for (n, step) in steps.into_iter().enumerate() {
            world.now = at(n as i64 * 5);
            world.step(step)?;
            prop_assert_eq!(check::all(&world.kernel), Ok(()));
            let fresh = world.restarted();
            for id in world.waiting() {
                let kept = |kernel: &Kernel| kernel.blocked(id, world.now);
                prop_assert_eq!(kept(&world.kernel), kept(&fresh), "job {}", id);
            }
            let places = |kernel: &Kernel| kernel.partitions_now();
            prop_assert_eq!(places(&world.kernel), places(&fresh));
            let (here, there) = (world.kernel.rules(), fresh.rules());
            for (all, fresh) in [(&here.accounts, &there.accounts), (&here.users, &there.users)] {
                for one in fresh.all() {
                    let here = all.get(all.find(&one.name)).map(Account::quota);
                    prop_assert_eq!(here, Some(one.quota()), "{}", &one.name);
                }
            }
        }
    }
}

#[test]
fn rules_with_a_cpu_from_nowhere_are_refused_and_change_nothing() {
    let before = rules(vec![partition("p", 0..3)], &[], None);
    let mut kernel = kernel(before);
    kernel.enter([asked(("p", "a"), 2, 60)], at(0));
    let limit = AccountRule { max_running_jobs: Some(0), ..AccountRule::default() };
    let bad = rules(vec![partition("q", 0..3), partition("p", 3..9)], &[("a", limit)], Some(9));
    let refused = kernel.reconfigure(bad, at(1)).unwrap_err();
    let cpu = CpuId(6);
    assert_eq!(refused, RulesRefused::StrangeCpu { partition: "p".to_owned(), cpu });
    assert_eq!(kernel.rules().partitions.names(), "p");
    assert!(!kernel.rules().accounts.share());
    assert_eq!(pass(&mut kernel, at(1)), (1, 0), "the old rules hold");
    assert_eq!(held(&kernel)[&JobId(1)], [CpuId(0), CpuId(1)]);
}

#[test]
fn a_lowered_limit_takes_nothing_from_whoever_runs_and_keeps_the_next() {
    let limit = |jobs| AccountRule { max_running_jobs: Some(jobs), ..AccountRule::default() };
    let mut kernel = kernel(Rules::default());
    kernel.enter([asked(("x", "a"), 2, 60), asked(("x", "a"), 2, 60)], at(0));
    assert_eq!(pass(&mut kernel, at(0)), (2, 0));
    kernel.enter([asked(("x", "a"), 1, 60), asked(("x", "b"), 1, 60)], at(1));
    let before = held(&kernel);
    kernel.reconfigure(rules(vec![], &[("a", limit(1))], None), at(1)).unwrap();
    assert_eq!(held(&kernel), before);
    assert_eq!(pass(&mut kernel, at(1)), (1, 0), "b is not limited");
    assert!(kernel.live().contains_key(&JobId(4)));
    for id in [1, 2] {
        let attempt = kernel.live()[&JobId(id)].attempt();
        over(&mut kernel, attempt, at(2));
        let starts = pass(&mut kernel, at(2));
        assert_eq!(starts, (u32::from(id == 2), 0), "one of a at a time");
    }
    kernel.reconfigure(Rules::default(), at(3)).unwrap();
    kernel.enter([asked(("x", "a"), 1, 60)], at(3));
    assert_eq!(pass(&mut kernel, at(3)), (1, 0), "nobody is limited any more");
    assert_eq!(check::all(&kernel), Ok(()));
}

#[test]
fn who_waits_for_more_than_its_partition_allows_by_now_is_told_so_until_it_allows_it() {
    let own = || partition("p", 0..4);
    let mut kernel = kernel(rules(vec![own()], &[], None));
    kernel.enter([asked(("p", ""), 2, 60)], at(0));
    let mut under = |own: Partition| {
        kernel.reconfigure(rules(vec![own], &[], None), at(1)).unwrap();
        kernel.blocked(JobId(1), at(1))
    };
    let allows = |what| Some(Blocked::PartitionAllows(what));
    assert_eq!(under(Partition { max_cpus: Some(1), ..own() }), allows(Allows::Cpus(1)));
    let max = [("memory".into(), 99)].into();
    let allowed = allows(Allows::Resource("memory".into(), 99));
    assert_eq!(under(Partition { max, ..own() }), allowed);
    assert_eq!(under(Partition { max_limit_s: Some(59), ..own() }), allows(Allows::Seconds(59)));
    assert_eq!(under(Partition { up: false, ..own() }), Some(Blocked::PartitionDown));
    assert_eq!(under(partition("other", 0..4)), Some(Blocked::PartitionGone));
    assert_eq!(under(Partition { max_cpus: Some(2), ..own() }), None);
    assert_eq!(pass(&mut kernel, at(2)), (1, 0));
}

#[test]
fn a_machine_is_divided_and_put_together_again_under_those_who_wait() {
    let mut kernel = kernel(Rules::default());
    kernel.enter([asked(("x", ""), 4, 60)], at(0));
    assert_eq!(pass(&mut kernel, at(0)), (1, 0));
    kernel.enter([asked(("q", ""), 2, 60), asked(("x", ""), 2, 60)], at(0));
    let two = vec![partition("p", 0..3), partition("q", 3..6)];
    kernel.reconfigure(rules(two, &[], None), at(1)).unwrap();
    assert_eq!(kernel.blocked(JobId(3), at(1)), Some(Blocked::PartitionGone));
    assert_eq!(pass(&mut kernel, at(1)), (1, 0));
    assert_eq!(held(&kernel)[&JobId(2)], [CpuId(4), CpuId(5)], "what is free of its own");
    let attempt = kernel.live()[&JobId(1)].attempt();
    over(&mut kernel, attempt, at(2));
    assert_eq!(pass(&mut kernel, at(2)), (0, 0), "job 3 has no partition");
    kernel.reconfigure(Rules::default(), at(3)).unwrap();
    assert_eq!(pass(&mut kernel, at(3)), (1, 0));
    assert_eq!(check::all(&kernel), Ok(()));
}

#[test]
fn what_was_submitted_under_old_rules_enters_under_the_new_ones() {
    let limit = AccountRule { max_queued_jobs: Some(1), ..AccountRule::default() };
    let mut kernel = kernel(Rules::default());
    let (_, entering) = submit(&mut kernel, asked(("q", "a"), 1, 60), at(0));
    let two = vec![partition("p", 0..3), partition("q", 3..6)];
    kernel.reconfigure(rules(two, &[("a", limit)], None), at(1)).unwrap();
    let one = [asked(("q", "a"), 1, 60).spec()];
    assert!(kernel.too_many(&one).is_some(), "what is entering counts");
    kernel.made_durable(entering);
    assert!(kernel.too_many(&one).is_some(), "what waits counts");
    assert_eq!(pass(&mut kernel, at(2)), (1, 0));
    assert_eq!(held(&kernel)[&JobId(1)], [CpuId(3)]);
    assert!(kernel.too_many(&one).is_none());
    assert_eq!(check::all(&kernel), Ok(()));
}

#[test]
fn usage_is_kept_while_it_is_not_shared_and_decays_on() {
    let mut kernel = kernel(rules(vec![], &[], Some(100)));
    kernel.enter([asked(("x", "a"), 6, 60)], at(0));
    assert_eq!(pass(&mut kernel, at(0)), (1, 0));
    let used = |kernel: &Kernel, second| kernel.rules().accounts.usages(at(second))[0].1;
    let before = used(&kernel, 10);
    let step = kernel.reconfigure(Rules::default(), at(10)).unwrap();
    let (account, cpu_us) = (Arc::from("a"), before);
    assert_eq!(step.changes, [Change::Charged { account, cpu_us, at: at(10) }], "also on disk");
    let attempt = kernel.live()[&JobId(1)].attempt();
    over(&mut kernel, attempt, at(20));
    let step = kernel.reconfigure(rules(vec![], &[], None), at(50)).unwrap();
    assert_eq!(step.changes, []);
    kernel.reconfigure(rules(vec![], &[], Some(100)), at(60)).unwrap();
    let (now, half) = (used(&kernel, 110), before / 2);
    assert!((now - half).abs() <= 2, "{before} has a half of {half}, and {now} is left");
}

#[test]
fn a_claim_ends_with_the_right_to_preempt() {
    let both = |preempts| {
        vec![partition("batch", 0..6), Partition { preempts, ..partition("urgent", 0..6) }]
    };
    let mut kernel = kernel(rules(both(1), &[], None));
    kernel.enter([asked(("batch", ""), 6, 60)], at(0));
    assert_eq!(pass(&mut kernel, at(0)), (1, 0));
    kernel.enter([asked(("urgent", ""), 6, 60)], at(1));
    let plan = Plan { preempt: Some((JobId(2), vec![JobId(1)])), ..Plan::default() };
    kernel.start(&plan, at(1));
    assert_eq!(kernel.claims().len(), 1);
    let step = kernel.reconfigure(rules(both(0), &[], None), at(2)).unwrap();
    assert_eq!(step.changes, [Change::Claimed { job: JobId(2), since: None }]);
    assert!(kernel.claims().is_empty());
}
