//! *Purpose*: that conditions keep jobs from a pass, and nothing else does.
//!
//! *Owns*: a small world of jobs that wait for one another.
//!
//! *Promises*: the invariants are looked at after every act.
//!
//! *Not here*: what a condition says (`kernel::parts::conditions`).

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::*;
use crate::job::edit::Edit;
use crate::job::ids::Attempt;
use crate::job::state::StateWord;
use crate::kernel::change::{Change, Step};
use crate::kernel::check;
use crate::kernel::commands::edit::Edited;
use crate::kernel::parts::conditions::Blocked;
use crate::kernel::parts::eligibility::DependencySnapshot;
use crate::kernel::testing::job::{JobBuilder, job};
use crate::kernel::testing::{KernelBuilder, exit};
use crate::kernel::transition::Fact;
use crate::policy::name::Policy;
use crate::policy::pass::plan;

const CPUS: u32 = 2;

struct World {
    kernel: Kernel,
    now: Time,
    ended: HashMap<JobId, bool>,
}

impl World {
    fn new() -> World {
        World {
            kernel: KernelBuilder::new().cpus(CPUS).build(),
            now: Time(0),
            ended: HashMap::new(),
        }
    }

    fn submit(&mut self, job: JobBuilder) -> JobId {
        let elsewhere =
            DependencySnapshot { ended: self.ended.clone(), ..DependencySnapshot::default() };
        let specs = vec![job.spec()];
        assert!(!self.kernel.unknown_others(&specs, &elsewhere));
        let (ids, step) = self.kernel.submit(specs, &elsewhere, &"me".into(), self.now);
        self.kernel.made_durable(step.effects);
        self.sound();
        ids[0]
    }

    fn after(&mut self, text: &str) -> JobId {
        self.submit(job().after(text))
    }

    /// Starts what a pass would; answers who runs.
    fn pass(&mut self) -> Vec<JobId> {
        let policy = Policy::default();
        let plan = plan(policy, &self.kernel.input(&policy, self.now));
        self.kernel.start(&plan, self.now);
        self.sound();
        self.kernel.live().keys().copied().collect()
    }

    fn end(&mut self, job: JobId, code: u8) {
        let n = self.kernel.live()[&job].job.attempts;
        let exit = exit(code, self.now);
        self.kernel.fact(Attempt { job, n }, Fact::Exited(exit), self.now).unwrap();
        self.ended.insert(job, code == 0);
        self.sound();
    }

    fn cancel(&mut self, job: JobId) {
        self.kernel.cancel(&[job], &"me".into(), self.now);
        self.ended.insert(job, false);
        self.sound();
    }

    fn edit(&mut self, job: JobId, edit: Edit) -> Edited {
        let (edited, _) =
            self.kernel.edit(job, edit, &DependencySnapshot::default(), &"me".into(), self.now);
        self.sound();
        edited
    }

    fn blocked(&self, job: JobId) -> Option<Blocked> {
        self.kernel.blocked(job, self.now)
    }

    fn sound(&self) {
        assert_eq!(check::all(&self.kernel), Ok(()));
    }
}

#[test]
fn a_job_waits_for_the_success_of_another() {
    let mut world = World::new();
    let first = world.submit(job());
    let second = world.after(&format!("afterok:{first}"));
    let not_ok = world.after(&format!("afternotok:{first}"));
    assert_eq!(world.pass(), [first]);
    assert_eq!(world.blocked(second), Some(Blocked::Dependency(vec![first])));
    world.end(first, 0);
    assert_eq!(world.blocked(not_ok), Some(Blocked::Never(vec![first])));
    assert_eq!(world.pass(), [second]);
    let late = world.after(&format!("afterok:{first}"));
    assert_eq!(world.pass(), [second, late], "what is over already counts at once");
}

#[test]
fn after_counts_from_the_start_and_a_cancel_is_an_end() {
    let mut world = World::new();
    let first = world.submit(job().held());
    let after = world.after(&format!("after:{first}"));
    let any = world.after(&format!("afterany:{first}"));
    assert_eq!(world.pass(), []);
    world.cancel(first);
    assert_eq!(world.pass(), [after, any]);
}

#[test]
fn a_singleton_runs_after_its_kin() {
    let mut world = World::new();
    let one = world.after("singleton");
    let family = job().spec().family();
    let elsewhere = DependencySnapshot {
        singletons: HashMap::from([(family, vec![one])]),
        ..Default::default()
    };
    let singleton = || job().after("singleton").spec();
    let specs = vec![singleton(), singleton()];
    let (ids, step) = world.kernel.submit(specs, &elsewhere, &"me".into(), world.now);
    world.kernel.made_durable(step.effects);
    assert_eq!(world.pass(), [one]);
    world.end(one, 1);
    assert_eq!(world.pass(), [ids[0]], "of a batch one after the other");
    world.end(ids[0], 0);
    assert_eq!(world.pass(), [ids[1]]);
}

#[test]
fn singletons_of_two_clients_at_one_instant_run_one_after_the_other() {
    let mut world = World::new();
    // Neither is in the database yet when the other asks there.
    let one = world.after("singleton");
    let two = world.after("singleton");
    assert_eq!(world.pass(), [one]);
    world.cancel(two);
    let three = world.after("singleton");
    assert_eq!(world.blocked(three), Some(Blocked::Dependency(vec![one])));
    world.end(one, 0);
    assert_eq!(world.pass(), [three]);
}

#[test]
fn what_could_not_be_stored_keeps_nobody_waiting() {
    let mut world = World::new();
    let singleton = || job().after("singleton").spec();
    let (lost, _) = world.kernel.submit(
        vec![singleton()],
        &DependencySnapshot::default(),
        &"me".into(),
        world.now,
    );
    world.kernel.withdraw(&lost, world.now);
    let next = world.after("singleton");
    assert_eq!(world.pass(), [next]);
}

#[test]
fn a_held_job_waits_for_its_release_and_an_edit_counts_at_once() {
    let mut world = World::new();
    let job = world.submit(job().held());
    assert_eq!(world.pass(), []);
    let release = Edit { held: Some(false), priority: Some(7), ..Edit::default() };
    assert_eq!(world.edit(job, release), Edited::Done);
    assert_eq!(world.kernel.queue().get(job).unwrap().priority, 7);
    assert_eq!(world.pass(), [job]);
    let hold = Edit { held: Some(true), ..Edit::default() };
    assert_eq!(world.edit(job, hold.clone()), Edited::Live);
    world.end(job, 0);
    assert_eq!(world.edit(job, hold), Edited::NotLive);
}

#[test]
fn a_plan_made_before_a_hold_starts_nothing() {
    let mut world = World::new();
    let job = world.submit(job());
    let policy = Policy::default();
    let plan = plan(policy, &world.kernel.input(&policy, world.now));
    world.edit(job, Edit { held: Some(true), ..Edit::default() });
    let (started, stale, _) = world.kernel.start(&plan, world.now);
    assert_eq!((started, stale), (0, 1));
}

#[test]
fn times_ring_and_a_passed_deadline_cancels_whoever_waits() {
    let mut world = World::new();
    let early = world.submit(job().begin(Time(50)));
    let late = world.submit(job().held().deadline(Time(90)));
    let follower = world.after(&format!("afterany:{late}"));
    assert_eq!(world.kernel.next_alarm(), Some(Time(50)));
    assert_eq!(world.kernel.run_timers(Time(49)), Step::default());
    assert_eq!(world.pass(), []);
    world.now = Time(50);
    assert_eq!(world.kernel.run_timers(world.now), Step::default());
    assert_eq!(world.pass(), [early]);
    world.now = Time(90);
    let step = world.kernel.run_timers(world.now);
    let [Change::Ended { event, end, .. }] = &step.changes[..] else { panic!("{step:?}") };
    assert_eq!(
        (event.job, event.cause, end.word),
        (late, "deadline_reached", StateWord::Cancelled)
    );
    assert_eq!(world.kernel.next_alarm(), None);
    assert_eq!(world.pass(), [early, follower]);
}

#[test]
fn a_job_that_ended_a_moment_ago_has_to_be_looked_up_again() {
    let mut world = World::new();
    let first = world.submit(job());
    let dependent = || job().after(&format!("afterok:{first}")).spec();
    assert!(!world.kernel.unknown_others(&[dependent()], &DependencySnapshot::default()));
    world.cancel(first);
    assert!(world.kernel.unknown_others(&[dependent()], &DependencySnapshot::default()));
    let elsewhere =
        DependencySnapshot { ended: world.ended.clone(), ..DependencySnapshot::default() };
    assert!(!world.kernel.unknown_others(&[dependent()], &elsewhere));
}

proptest! {
    /// Whatever people do, invariants hold after each act, nobody starts before whom he waits
    /// for, and in the end everybody who can be released has run.
    #[test]
    fn nobody_starts_before_whom_he_waits_for(
        acts in prop::collection::vec((0..6u8, 0..12i64, 0..3u8), 1..60),
    ) {
        let mut world = World::new();
        let words = ["afterok", "afterany", "afternotok"];
        let mut waits: BTreeMap<JobId, (u8, JobId)> = BTreeMap::new();
        for (act, n, kind) in acts {
            let other = JobId(n + 1);
            let open = world.kernel.standing(other).is_some();
            let known = open || world.ended.contains_key(&other);
            match act {
                0 => drop(world.submit(job())),
                1 if known => {
                    let job = world.after(&format!("{}:{other}", words[kind as usize]));
                    waits.insert(job, (kind, other));
                }
                2 => drop(world.edit(other, Edit { held: Some(kind > 0), ..Edit::default() })),
                3 if world.kernel.queue().get(other).is_some() => world.cancel(other),
                4 => {
                    for job in world.pass() {
                        let Some((kind, other)) = waits.get(&job) else { continue };
                        let as_asked = match kind {
                            0 => world.ended.get(other) == Some(&true),
                            1 => world.ended.contains_key(other),
                            _ => world.ended.get(other) == Some(&false),
                        };
                        prop_assert!(as_asked, "{job} started before {other}");
                    }
                }
                5 if world.kernel.live().contains_key(&other) => world.end(other, kind),
                _ => {}
            }
        }
        let held: Vec<JobId> = world.kernel.queue().iter().map(|job| job.id).collect();
        for job in held {
            world.edit(job, Edit { held: Some(false), ..Edit::default() });
        }
        while !world.pass().is_empty() {
            let live: Vec<JobId> = world.kernel.live().keys().copied().collect();
            live.into_iter().for_each(|job| world.end(job, 0));
        }
        for job in world.kernel.queue().iter() {
            let blocked = world.blocked(job.id);
            prop_assert!(matches!(blocked, Some(Blocked::Never(_) | Blocked::Dependency(_))));
        }
    }
}
