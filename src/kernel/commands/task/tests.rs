//! *Purpose*: that every task of an array runs once, and never too many at a time.
//!
//! *Owns*: a world of arrays, and the rows that a database would hold of it.
//!
//! *Promises*: the invariants are looked at after every act; a restart takes up from the rows.
//!
//! *Not here*: the rows themselves (`store::arrays`), sets of tasks (`job::array_spec`).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::job::array_spec::{ArraySpec, JobRef};
use crate::kernel::change::Effect;
use crate::kernel::check;
use crate::kernel::parts::arrays::{ArrayProgress, OpenArray};
use crate::kernel::parts::conditions::{Blocked, Conditions};
use crate::kernel::parts::eligibility::{DependencySnapshot, remembered_answers};
use crate::kernel::restore::{PersistedAttempt, PersistedState};
use crate::kernel::testing::job::{JobBuilder, job};
use crate::kernel::testing::{KernelBuilder, exit};
use crate::kernel::transition::Fact;
use proptest::prelude::*;

use super::*;
use crate::job::array_spec::TaskSet;
use crate::job::dependency::DependencyState;
use crate::job::dependency::{Dependencies, Dependency, DependencyKind, Told};
use crate::job::edit::Edit;
use crate::job::ids::{Attempt, CpuId};
use crate::job::outcome::{Exit, Handle};
use crate::job::suspension::Suspension;
use crate::kernel::commands::cancel::Cancelled;
use crate::policy::name::{Backfill, Policy};
use crate::policy::pass::Planner;
use crate::time::SECOND_US;

const CPUS: u32 = 3;
const NOW: Time = Time(0);

/// A row of `jobs`, as far as arrays go.
#[derive(Clone, Debug)]
struct Row {
    queued: Queued,
    state: StateWord,
    held: bool,
    dependencies: Dependencies,
    of: Option<(JobId, Option<u32>)>,
    left: Option<ArraySpec>,
    cpus: Vec<CpuId>,
    started: bool,
    told: Told,
}

struct World {
    kernel: Kernel,
    rows: BTreeMap<JobId, Row>,
    specs: BTreeMap<JobId, ArraySpec>,
    /// How often each task was granted CPUs.
    ran: BTreeMap<(JobId, u32), u32>,
    planner: Planner,
    over: Vec<JobId>,
}

impl World {
    fn new(policy: Policy) -> World {
        let kernel = KernelBuilder::new().cpus(CPUS).build();
        let (rows, specs) = (BTreeMap::new(), BTreeMap::new());
        let planner = Planner::new(policy, SECOND_US);
        World { kernel, rows, specs, ran: BTreeMap::new(), planner, over: Vec::new() }
    }

    fn submit(&mut self, job: JobBuilder) -> JobId {
        let spec = job.spec();
        let elsewhere = self.elsewhere();
        assert!(!self.kernel.unknown_others(&[Arc::clone(&spec)], &elsewhere));
        let (ids, step) = self.kernel.submit(vec![spec], &elsewhere, &"me".into(), NOW);
        self.took(step);
        ids[0]
    }

    fn elsewhere(&self) -> DependencySnapshot {
        let over = |id: &&JobId| self.kernel.arrays.get(**id).is_none();
        let mut elsewhere = DependencySnapshot::default();
        for (id, spec) in self.specs.iter().filter(|(id, _)| over(id)) {
            let partner = self.partner(*id);
            elsewhere.ended.insert(*id, partner.completed.len() == partner.all.len());
            let tasks = spec.tasks.iter().map(|task| (task, partner.completed.contains(task)));
            elsewhere.tasks.extend(tasks.map(|(task, ok)| ((*id, task), ok)));
            elsewhere.partners.insert(*id, partner);
        }
        elsewhere
    }

    fn partner(&self, id: JobId) -> ArrayProgress {
        let mut partner =
            ArrayProgress { all: self.specs[&id].tasks.clone(), ..ArrayProgress::default() };
        for row in self.rows.values() {
            match (row.of, &row.left) {
                (Some((array, Some(task))), _) if array == id => {
                    match row.state {
                        StateWord::Completed => partner.completed.insert(task),
                        state if state.is_final() => false,
                        _ => partner.open.insert(task),
                    };
                }
                (Some((array, None)), Some(left)) if array == id => {
                    let waits = row.state == StateWord::Pending;
                    let left = left.tasks.iter().filter(|_| waits);
                    left.for_each(|task| assert!(partner.open.insert(task)));
                }
                _ => {}
            }
        }
        partner
    }

    /// What a step leaves behind.
    fn took(&mut self, step: Step) {
        for change in step.changes {
            match change {
                Change::Submitted { event, spec } => {
                    let id = event.job;
                    self.specs.extend(spec.array.clone().map(|array| (id, array)));
                    let row = Row {
                        queued: Queued::submitted(id, &spec, NOW),
                        state: StateWord::Pending,
                        held: spec.held,
                        dependencies: spec.dependencies.clone(),
                        of: spec.array.as_ref().map(|_| (id, None)),
                        left: spec.array.clone(),
                        cpus: Vec::new(),
                        started: false,
                        told: Told::default(),
                    };
                    self.rows.insert(id, row);
                }
                Change::Split { event, array, task, left, .. } => {
                    let mut row = self.rows[&array].clone();
                    row.queued.id = event.job;
                    row.dependencies = row.dependencies.of_task(task);
                    row.told = Told::default();
                    (row.of, row.left) = (Some((array, Some(task))), None);
                    self.rows.get_mut(&array).unwrap().left = Some(left);
                    self.rows.insert(event.job, row);
                }
                Change::Granted { event, cpus, .. } => {
                    let row = self.rows.get_mut(&event.job).unwrap();
                    (row.state, row.cpus) = (StateWord::Running, cpus);
                    row.queued.attempts = event.attempt;
                    let (array, task) = row.of.unwrap_or((event.job, Some(0)));
                    *self.ran.entry((array, task.unwrap())).or_default() += 1;
                }
                Change::Started { event, .. } => {
                    self.rows.get_mut(&event.job).unwrap().started = true;
                }
                Change::Edited { event, edit } => {
                    let row = self.rows.get_mut(&event.job).unwrap();
                    row.held = edit.held.unwrap_or(row.held);
                }
                Change::Ended { event, .. } => {
                    self.rows.get_mut(&event.job).unwrap().state = event.to;
                }
                Change::Completing { event, .. } => {
                    self.rows.get_mut(&event.job).unwrap().state = event.to;
                }
                Change::Told { job, told } => {
                    self.rows.get_mut(&job).unwrap().told = told;
                }
                other => panic!("{other:?}"),
            }
        }
        for effect in step.effects {
            match effect {
                Effect::Stored(jobs) => self.kernel.stored(&jobs),
                Effect::Admit(jobs) => self.kernel.admit(jobs),
                Effect::Over(array) => self.over.push(array),
                _ => {}
            }
        }
        assert_eq!(check::all(&self.kernel), Ok(()));
        let pending = |row: &&Row| row.state == StateWord::Pending;
        let tasks = |row: &Row| row.left.as_ref().map_or(1, |left| left.tasks.len() as u64);
        let waiting: u64 = self.rows.values().filter(pending).map(tasks).sum();
        assert_eq!(self.kernel.snapshot().count(StateWord::Pending), waiting);
    }

    fn pass(&mut self) -> usize {
        let input = self.kernel.input(&self.planner.policy(), NOW);
        let plan = self.planner.pass(&input);
        let (started, _, step) = self.kernel.start(&plan, NOW);
        self.took(step);
        started as usize
    }

    fn live(&self) -> Vec<Attempt> {
        self.kernel.live().values().map(|live| live.attempt()).collect()
    }

    fn fact(&mut self, attempt: Attempt, fact: Fact) {
        if let Ok(step) = self.kernel.fact(attempt, fact, NOW) {
            self.took(step);
        }
    }

    fn end(&mut self, attempt: Attempt, code: u8) {
        let exit = Exit { handle: None, ..exit(code, NOW) };
        self.fact(attempt, Fact::Exited(exit));
    }

    fn job_of(&self, array: JobId, task: u32) -> JobId {
        let row = self.rows.iter().find(|(_, row)| row.of == Some((array, Some(task))));
        *row.unwrap_or_else(|| panic!("{array}_{task} is no job")).0
    }

    fn state(&self, array: JobId, task: u32) -> StateWord {
        self.rows[&self.job_of(array, task)].state
    }

    fn blocked(&self, job: JobId) -> Option<Blocked> {
        self.kernel.blocked(job, NOW)
    }

    /// Whether it waits for what will not happen, or for others that do.
    fn is_kept(&self, job: JobId) -> bool {
        match self.blocked(job) {
            Some(Blocked::Never(_) | Blocked::NeverTasks(..)) => true,
            Some(Blocked::Dependency(others)) => {
                others.iter().any(|other| self.kernel.arrays.get(*other).is_some())
            }
            _ => false,
        }
    }

    /// A new server reads the rows.
    fn restart(&mut self) {
        let (next_job, next_event) = self.kernel.next_ids();
        let (next_job, next_event) = (next_job.0, next_event.0);
        let names = self.kernel.names.clone();
        let mut memory =
            PersistedState { next_job, next_event, names, ..PersistedState::default() };
        let mut open: BTreeMap<JobId, OpenArray> = BTreeMap::new();
        for (id, row) in self.rows.iter().filter(|(_, row)| !row.state.is_final()) {
            let live = row.state != StateWord::Pending;
            if let Some((array, task)) = row.of {
                let mut entry = open.remove(&array).unwrap_or_else(|| {
                    let mut entry = OpenArray::new(self.specs[&array].clone());
                    entry.left = TaskSet::default();
                    entry.completed = self.partner(array).completed;
                    entry
                });
                match task {
                    Some(task) => entry = entry.with((task, *id), live, row.started),
                    None => entry.left = row.left.clone().unwrap().tasks,
                }
                open.insert(array, entry);
            }
            if live {
                memory.live.push(PersistedAttempt {
                    suspension: Suspension::default(),
                    job: row.queued,
                    cpus: row.cpus.clone(),
                    rest: Vec::new(),
                    granted: NOW,
                    handle: row.started.then_some(Handle { pid: 1, start_time: NOW }),
                    completing: None,
                    signals: Vec::new(),
                });
                continue;
            }
            memory.pending.push(row.queued);
            let mut conditions = Conditions {
                held: row.held,
                dependencies: row.dependencies.clone(),
                ..Conditions::default()
            };
            conditions.answers =
                remembered_answers(&row.dependencies, &row.told, |one| self.standing(one));
            let followed = row.dependencies.list.iter();
            let followed = followed.filter(|one| one.relation == DependencyKind::AfterCorr);
            let followed: Vec<_> = followed.map(|one| (one.job, self.partner(one.job))).collect();
            memory.followed.push((*id, followed));
            memory.conditions.push((*id, conditions));
        }
        memory.conditions.retain(|(_, conditions)| !conditions.is_empty());
        memory.arrays = open.into_iter().collect();
        let before: Vec<(JobId, bool)> = self.shown();
        self.planner = Planner::new(self.planner.policy(), SECOND_US);
        self.kernel = KernelBuilder::of(memory).cpus(CPUS).build();
        assert_eq!(self.shown(), before, "a restart forgets nothing");
        self.took(Step::default());
    }

    fn standing(&self, one: &Dependency) -> Option<DependencyState> {
        let partner = self.partner(one.job);
        let task = one.task?;
        Some(match (partner.completed.contains(task), partner.open.contains(task)) {
            (true, _) => DependencyState::Ended { completed: true },
            (false, true) => DependencyState::Waiting,
            (false, false) => DependencyState::Ended { completed: false },
        })
    }

    fn shown(&self) -> Vec<(JobId, bool)> {
        let queue = &self.kernel.queue;
        queue.iter().map(|job| (job.id, queue.is_shown(job.id))).collect()
    }

    /// Until nothing moves.
    fn finish(&mut self) {
        for job in self.rows.keys().copied().collect::<Vec<_>>() {
            let edit = Edit { held: Some(false), ..Edit::default() };
            let (_, step) =
                self.kernel.edit(job, edit, &DependencySnapshot::default(), &"me".into(), NOW);
            self.took(step);
        }
        loop {
            let started = self.pass();
            let live = self.live();
            for attempt in &live {
                self.end(*attempt, 0);
            }
            if started == 0 && live.is_empty() {
                break;
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Act {
    Submit(usize),
    Follow(usize, usize),
    Pass,
    Start(usize),
    End(usize, bool),
    Cancel(usize),
    CancelTask(usize, u32),
    Hold(usize, u32),
    Restart,
}

const ARRAYS: [&str; 6] = ["0-5", "0-3%1", "1,3,5-9:2%2", "7", "0-8%3", "2-4,0"];

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let which = 0..6_usize;
    let act = prop_oneof![
        2 => which.clone().prop_map(Act::Submit),
        1 => (which.clone(), 0..4_usize).prop_map(|(a, b)| Act::Follow(a, b)),
        6 => Just(Act::Pass),
        4 => which.clone().prop_map(Act::Start),
        6 => (which.clone(), prop::bool::weighted(0.8)).prop_map(|(a, ok)| Act::End(a, ok)),
        1 => which.clone().prop_map(Act::Cancel),
        2 => (which.clone(), 0..10_u32).prop_map(|(a, task)| Act::CancelTask(a, task)),
        2 => (which, 0..10_u32).prop_map(|(a, task)| Act::Hold(a, task)),
        1 => Just(Act::Restart),
    ];
    prop::collection::vec(act, 1..60)
}

impl World {
    fn nth(&self, n: usize) -> Option<JobId> {
        self.specs.keys().copied().nth(n % self.specs.len().max(1))
    }

    fn act(&mut self, act: Act) {
        let live = self.live();
        let attempt = |n: usize| live.get(n % live.len().max(1)).copied();
        match act {
            Act::Submit(n) => drop(self.submit(job().array(ARRAYS[n]))),
            Act::Follow(n, other) => {
                if let Some(other) = self.nth(other) {
                    self.submit(job().array(ARRAYS[n]).after(&format!("aftercorr:{other}")));
                }
            }
            Act::Pass => drop(self.pass()),
            Act::Start(n) => {
                if let Some(attempt) = attempt(n) {
                    self.fact(attempt, Fact::Started(Handle { pid: 1, start_time: NOW }));
                }
            }
            Act::End(n, ok) => {
                if let Some(attempt) = attempt(n) {
                    self.end(attempt, u8::from(!ok));
                }
            }
            Act::Cancel(n) => {
                if let Some(array) = self.nth(n) {
                    let (_, step) = self.kernel.cancel(&[array], &"me".into(), NOW);
                    self.took(step);
                    self.live().into_iter().for_each(|attempt| self.end_cancelled(attempt));
                }
            }
            Act::CancelTask(n, task) => {
                if let Some(array) = self.nth(n) {
                    let (_, step) = self.kernel.cancel_task((array, task), &"me".into(), NOW);
                    self.took(step);
                    self.live().into_iter().for_each(|attempt| self.end_cancelled(attempt));
                }
            }
            Act::Hold(n, task) => {
                if let Some(array) = self.nth(n) {
                    let (job, step) = self.kernel.split_off((array, task), &"me".into(), NOW);
                    self.took(step);
                    let edit = Edit { held: Some(true), ..Edit::default() };
                    let edited = job.map(|job| {
                        self.kernel.edit(
                            job,
                            edit,
                            &DependencySnapshot::default(),
                            &"me".into(),
                            NOW,
                        )
                    });
                    self.took(edited.map(|(_, step)| step).unwrap_or_default());
                }
            }
            Act::Restart => self.restart(),
        }
    }

    fn end_cancelled(&mut self, attempt: Attempt) {
        if self.kernel.live()[&attempt.job].state.is_being_cancelled() {
            self.end(attempt, 1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn every_task_runs_once_or_is_cancelled_whatever_happens(
        acts in acts(),
        backfill in prop::sample::select(&[
            Backfill::None,
            Backfill::Easy(None),
            Backfill::Conservative,
        ][..]),
    ) {
        let mut world = World::new(Policy { backfill, ..Policy::default() });
        for act in acts {
            world.act(act);
        }
        world.finish();
        prop_assert!(world.ran.values().all(|times| *times == 1), "{:?}", world.ran);
        let left = world.kernel.arrays.iter().map(|(id, _)| id).collect::<Vec<_>>();
        for (id, spec) in &world.specs {
            let own = &world.rows[id];
            for task in spec.tasks.iter() {
                if own.left.as_ref().is_some_and(|left| left.tasks.contains(task)) {
                    let kept = world.is_kept(*id);
                    prop_assert!(own.state == StateWord::Cancelled || kept, "{id}_{task} is left");
                    continue;
                }
                let state = world.state(*id, task);
                let ran = world.ran.contains_key(&(*id, task));
                let held_back = world.is_kept(world.job_of(*id, task));
                let cancelled = state == StateWord::Cancelled;
                prop_assert!(ran || cancelled || held_back, "{id}_{task} {state}");
            }
            prop_assert_eq!(left.contains(id), !world.over.contains(id), "array {}", id);
        }
    }
}

#[test]
fn one_array_becomes_a_job_for_each_task_and_the_last_keeps_its_id() {
    let mut world = World::new(Policy::default());
    let array = world.submit(job().array("0-3%2"));
    assert_eq!(world.pass(), 2);
    assert_eq!(world.job_of(array, 0), JobId(array.0 + 1), "lowest first, with the next id");
    assert_eq!(world.blocked(array), Some(Blocked::TaskLimit(2)));
    assert_eq!(world.pass(), 0, "two at a time");
    world.end(world.live()[0], 0);
    assert_eq!(world.pass(), 1);
    world.live().into_iter().for_each(|attempt| world.end(attempt, 0));
    assert_eq!(world.pass(), 1);
    assert_eq!(world.job_of(array, 3), array);
    assert_eq!(world.over, []);
    world.end(world.live()[0], 0);
    assert_eq!(world.over, [array]);
    assert!(world.rows.values().all(|row| row.state == StateWord::Completed));
}

#[test]
fn a_dependency_on_an_array_waits_for_all_its_tasks() {
    let mut world = World::new(Policy::default());
    let array = world.submit(job().array("0-2"));
    let ok = world.submit(job().after(&format!("afterok:{array}")));
    let any = world.submit(job().after(&format!("afterany:{array}")));
    let started = world.submit(job().after(&format!("after:{array}")));
    let one = world.submit(job().after(&format!("afterok:{array}_1")));
    world.pass();
    for attempt in world.live() {
        assert_eq!(world.blocked(started), Some(Blocked::Dependency(vec![array])));
        world.fact(attempt, Fact::Started(Handle { pid: 1, start_time: NOW }));
    }
    assert_eq!(world.blocked(started), None);
    let live = world.live();
    for attempt in live {
        assert_eq!(world.blocked(any), Some(Blocked::Dependency(vec![array])));
        let of_one = world.blocked(one).is_none();
        assert_eq!(of_one, world.state(array, 1) == StateWord::Completed);
        world.end(attempt, u8::from(attempt.job == array));
    }
    assert_eq!((world.blocked(any), world.blocked(one)), (None, None));
    assert_eq!(world.blocked(ok), Some(Blocked::Never(vec![array])));
}

#[test]
fn tasks_follow_those_of_another_array_one_by_one() {
    let mut world = World::new(Policy::default());
    let first = world.submit(job().array("0-2"));
    let second = world.submit(job().array("1-4").after(&format!("aftercorr:{first}")));
    world.pass();
    assert_eq!(world.blocked(second), Some(Blocked::Dependency(vec![first])));
    let of = |world: &World, task| Attempt { job: world.job_of(first, task), n: 1 };
    world.end(of(&world, 2), 0);
    assert_eq!(world.pass(), 1);
    assert_eq!(world.state(second, 2), StateWord::Running, "its partner has completed");
    let why = |world: &World, task| {
        world.kernel.task_blocked(JobRef { job: second, task: Some(task) }, NOW)
    };
    assert_eq!(why(&world, 2), None, "it is no longer one of those that are left");
    assert_eq!(why(&world, 1), Some(Blocked::Dependency(vec![first])));
    assert_eq!(why(&world, 4), Some(Blocked::NeverTasks(1, vec![first])), "has no partner");
    world.end(of(&world, 1), 1);
    world.end(of(&world, 0), 0);
    assert_eq!(world.blocked(second), Some(Blocked::NeverTasks(3, vec![first])));
    world.restart();
    assert_eq!(world.blocked(second), Some(Blocked::NeverTasks(3, vec![first])));
}

#[test]
fn an_array_that_is_cancelled_ends_with_all_its_tasks() {
    let mut world = World::new(Policy::default());
    let array = world.submit(job().array("0-999999"));
    world.pass();
    let (outcomes, step) = world.kernel.cancel(&[array], &"me".into(), NOW);
    world.took(step);
    assert_eq!(outcomes, [Cancelled::Stopping]);
    assert_eq!(world.rows[&array].state, StateWord::Cancelled);
    world.live().into_iter().for_each(|attempt| world.end_cancelled(attempt));
    assert_eq!(world.over, [array]);
    assert_eq!(world.rows.len(), 1 + CPUS as usize);
}

#[test]
fn a_task_that_lives_for_its_array_alone_is_noticed() {
    let mut world = World::new(Policy::default());
    let array = world.submit(job().array("0-3%2"));
    world.pass();
    let broken = |world: &World| check::arrays_are_kept(&world.kernel).unwrap_err().0;
    world.kernel.arrays.take(array, (3, JobId(99)), true);
    assert!(broken(&world).contains("counts 3 live"));
}
