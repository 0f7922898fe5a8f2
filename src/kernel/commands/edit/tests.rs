//! *Purpose*: that an edit does what it says, and never makes jobs wait for each other.
//!
//! *Owns*: a small world whose jobs are changed.
//!
//! *Promises*: the invariants are looked at after every act.
//!
//! *Not here*: whether an edit is allowed (`kernel::admission::edit`).

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::job::ids::Attempt;
use crate::job::outcome::Handle;
use crate::job::tasks::Tasks;
use crate::kernel::check;
use crate::kernel::parts::conditions::Blocked;
use crate::kernel::testing::job::{JobBuilder, job};
use crate::kernel::testing::{KernelBuilder, exit};
use crate::kernel::transition::Fact;
use crate::policy::name::Policy;
use crate::policy::pass::plan;

const NOW: Time = Time(0);

struct World {
    kernel: Kernel,
    ended: HashMap<JobId, bool>,
    open: Vec<(JobId, String)>,
}

impl World {
    fn new(cpus: u32) -> World {
        let kernel = KernelBuilder::new().cpus(cpus).build();
        World { kernel, ended: HashMap::new(), open: Vec::new() }
    }

    /// What a database would know.
    fn elsewhere(&self, name: &str) -> DependencySnapshot {
        let family = (name.to_owned(), String::new());
        let of_name = self.open.iter().filter(|(_, other)| other == name);
        let members = of_name.map(|(job, _)| *job).collect();
        DependencySnapshot {
            ended: self.ended.clone(),
            singletons: HashMap::from([(family, members)]),
            ..DependencySnapshot::default()
        }
    }

    fn submit(&mut self, job: JobBuilder) -> JobId {
        let spec = job.spec();
        let elsewhere = match spec.dependencies.singleton {
            true => self.elsewhere(&spec.name),
            false => DependencySnapshot { singletons: HashMap::new(), ..self.elsewhere("") },
        };
        let name = spec.name.clone();
        let (ids, step) = self.kernel.submit(vec![spec], &elsewhere, &"me".into(), NOW);
        self.kernel.made_durable(step.effects);
        self.open.push((ids[0], name));
        self.sound();
        ids[0]
    }

    fn edit(&mut self, job: JobId, edit: Edit) -> (Edited, Step) {
        let known = self.open.iter().find(|(id, _)| *id == job).map(|(_, name)| name.clone());
        let name = edit.name.clone().or(known).unwrap_or_default();
        let family = edit.dependencies.is_some() || edit.name.is_some();
        let family = family.then(|| (name.clone(), String::new()));
        let elsewhere = self.elsewhere(&name);
        let edit = Edit { family, ..edit };
        let done = self.kernel.edit(job, edit, &elsewhere, &"me".into(), NOW);
        if done.0 == Edited::Done {
            let of = self.open.iter_mut().find(|(id, _)| *id == job);
            of.into_iter().for_each(|(_, known)| known.clone_from(&name));
        }
        self.sound();
        done
    }

    fn waits(&mut self, job: JobId, dependencies: &str) -> Edited {
        let dependencies = Some(dependencies.parse().unwrap());
        self.edit(job, Edit { dependencies, ..Edit::default() }).0
    }

    fn renames(&mut self, job: JobId, name: &str) -> Edited {
        self.edit(job, Edit { name: Some(name.into()), ..Edit::default() }).0
    }

    fn pass(&mut self) -> Vec<JobId> {
        let policy = Policy::default();
        let plan = plan(policy, &self.kernel.input(&policy, NOW));
        self.kernel.start(&plan, NOW);
        self.sound();
        self.kernel.live().keys().copied().collect()
    }

    fn end(&mut self, job: JobId, code: u8) {
        let attempt = Attempt { job, n: self.kernel.live()[&job].job.attempts };
        self.kernel.fact(attempt, Fact::Exited(exit(code, NOW)), NOW).unwrap();
        self.ended.insert(job, code == 0);
        self.open.retain(|(id, _)| *id != job);
        self.sound();
    }

    fn blocked(&self, job: JobId) -> Option<Blocked> {
        self.kernel.blocked(job, NOW)
    }

    fn sound(&self) {
        assert_eq!(check::all(&self.kernel), Ok(()));
    }
}

#[test]
fn a_waiting_job_takes_any_shape() {
    let mut world = World::new(2);
    let wide = world.submit(job().cpus(2));
    let narrow = world.submit(job().cpus(2));
    assert_eq!(world.pass(), [wide]);
    let shape = Edit {
        cpus: Some((1, Tasks::default())),
        memory_bytes: Some(Some(7)),
        limit_s: Some(Some(60)),
        account: Some("a".into()),
        ..Edit::default()
    };
    let (edited, step) = world.edit(narrow, shape.clone());
    assert_eq!(edited, Edited::Done);
    let [Change::Edited { event, edit }] = &step.changes[..] else { unreachable!("{step:?}") };
    assert_eq!((event.cause, &**edit), ("edited", &shape));
    let queued = *world.kernel.queue().get(narrow).unwrap();
    assert_eq!((queued.cpus, queued.limit_s), (1, Some(60)));
    assert_eq!(world.kernel.requests().get(queued.rest).unwrap().of(MEMORY), 7);
    world.end(wide, 0);
    assert_eq!(world.pass(), [narrow]);
    assert_eq!(world.kernel.ledger().free(), 1);
}

#[test]
fn of_a_running_job_the_end_is_changed_and_its_supervisor_told() {
    let mut world = World::new(1);
    let id = world.submit(job().time_limit(60));
    world.pass();
    let attempt = Attempt { job: id, n: 1 };
    world.kernel.fact(attempt, Fact::Started(Handle { pid: 7, start_time: NOW }), NOW).unwrap();
    let longer = Edit { limit_s: Some(Some(600)), ..Edit::default() };
    let (edited, step) = world.edit(id, longer);
    assert_eq!((edited, &step.effects[..]), (Edited::Done, &[Effect::Adjust(attempt)][..]));
    assert_eq!(world.kernel.live()[&id].job.limit_s, Some(600));
    let event = step.changes[0].event().unwrap();
    assert_eq!((event.from, event.to), (Some(StateWord::Running), StateWord::Running));
    let remark = Edit { comment: Some(Some("c".into())), ..Edit::default() };
    assert_eq!(world.edit(id, remark).1.effects, []);
    let wider = Edit { cpus: Some((2, Tasks::default())), ..Edit::default() };
    assert_eq!(world.edit(id, wider).0, Edited::Live);
    world.kernel.cancel(&[id], &"me".into(), NOW);
    let limit = Edit { limit_s: Some(None), ..Edit::default() };
    assert_eq!(world.edit(id, limit.clone()).0, Edited::Live, "it is being ended");
    world.end(id, 0);
    assert_eq!(world.edit(id, limit).0, Edited::NotLive);
}

#[test]
fn what_a_job_waits_for_is_replaced_and_taken_away() {
    let mut world = World::new(3);
    let failed = world.submit(job());
    let waiting = world.submit(job().after(&format!("afterok:{failed}")));
    world.pass();
    world.end(failed, 1);
    assert_eq!(world.blocked(waiting), Some(Blocked::Never(vec![failed])));
    assert_eq!(world.waits(waiting, &format!("afterany:{failed}")), Edited::Done);
    assert_eq!(world.blocked(waiting), None);
    let never = world.submit(job().after(&format!("afterok:{failed}")));
    let away = Edit { dependencies: Some(Default::default()), ..Edit::default() };
    assert_eq!(world.edit(never, away).0, Edited::Done);
    assert_eq!(world.pass(), [waiting, never]);
}

#[test]
fn an_array_follows_other_tasks_from_then_on() {
    let mut world = World::new(4);
    let first = world.submit(job().array("0-1"));
    let second = world.submit(job().array("0-1").held());
    assert_eq!(world.waits(second, &format!("aftercorr:{first}")), Edited::Done);
    world.edit(second, Edit { held: Some(false), ..Edit::default() });
    assert_eq!(world.blocked(second), Some(Blocked::Dependency(vec![first])));
    let live = world.pass();
    world.end(live[0], 1);
    world.end(live[1], 0);
    assert_eq!(world.pass().len(), 1, "the partner of the other did not complete");
    assert_eq!(world.blocked(second), Some(Blocked::NeverTasks(1, vec![first])));
    let away = Edit { dependencies: Some(Default::default()), ..Edit::default() };
    world.edit(second, away);
    assert_eq!(world.pass().len(), 2);
}

#[test]
fn no_edit_makes_jobs_wait_for_each_other() {
    let mut world = World::new(1);
    let one = world.submit(job().named("x"));
    let two = world.submit(job().after(&format!("afterok:{one}")));
    let three = world.submit(job().named("y").after("singleton"));
    assert_eq!(world.waits(one, &format!("afterany:{one}")), Edited::WaitsForItself);
    assert_eq!(world.waits(one, &format!("afterany:{two}")), Edited::WaitsForItself);
    assert_eq!(world.waits(one, &format!("afterok:{three}")), Edited::Done);
    let circle = world.renames(one, "y");
    assert_eq!(circle, Edited::WaitsForItself, "{three} would wait for {one}");
    assert_eq!(world.renames(two, "y"), Edited::WaitsForItself, "by way of {one}");
    assert_eq!(world.pass(), [three], "what is refused has changed nothing");
}

#[test]
fn a_singleton_waits_for_whoever_takes_its_name_and_no_longer_for_whoever_leaves() {
    let mut world = World::new(1);
    let busy = world.submit(job().named("busy"));
    world.pass();
    let other = world.submit(job().named("other").held());
    let single = world.submit(job().named("x").after("singleton"));
    assert_eq!(world.blocked(single), None);
    assert_eq!(world.renames(other, "x"), Edited::Done);
    assert_eq!(world.blocked(single), Some(Blocked::Dependency(vec![other])));
    assert_eq!(world.renames(other, "z"), Edited::Done);
    assert_eq!(world.blocked(single), None);
    assert_eq!(world.renames(busy, "x"), Edited::Done, "one that runs too");
    assert_eq!(world.blocked(single), Some(Blocked::Dependency(vec![busy])));
    world.end(busy, 0);
    assert_eq!(world.pass(), [single]);
}

proptest! {
    #[test]
    fn whatever_is_edited_nobody_waits_for_ever_for_others_that_wait(
        acts in prop::collection::vec((0..6u8, 0..8usize, 0..8usize, 0..3usize), 1..60),
    ) {
        let mut world = World::new(2);
        let mut jobs: Vec<JobId> = Vec::new();
        let names = ["x", "y", "z"];
        for (kind, at, other, name) in acts {
            let pick = |n: usize| jobs.get(n % jobs.len().max(1)).copied();
            match (kind, pick(at), pick(other)) {
                (0, _, _) | (_, None, _) | (_, _, None) => {
                    jobs.push(world.submit(job().named(names[name]).held()));
                }
                (1, _, _) => jobs.push(world.submit(job().named(names[name]).after("singleton"))),
                (2, Some(job), Some(other)) => {
                    drop(world.waits(job, &format!("afterany:{other}")));
                }
                (3, Some(job), Some(other)) => {
                    drop(world.waits(job, &format!("singleton,after:{other}")));
                }
                (4, Some(job), _) => drop(world.renames(job, names[name])),
                (_, Some(job), _) => {
                    drop(world.edit(job, Edit { held: Some(false), ..Edit::default() }));
                }
            }
        }
        for job in jobs.clone() {
            world.edit(job, Edit { held: Some(false), ..Edit::default() });
        }
        for _ in 0..jobs.len() {
            for job in world.pass() {
                world.end(job, 0);
            }
        }
        let left = jobs.iter().filter_map(|job| Some((*job, world.blocked(*job)?)));
        let left: Vec<_> = left.collect();
        prop_assert_eq!(left, vec![]);
        prop_assert!(world.kernel.queue().is_empty());
    }
}
