//! *Purpose*: which pending jobs may start at all, and what people change about them.
//!
//! *Owns*: [`Elsewhere`], [`Edit`], and the kernel's dealing with [`Conditions`].
//!
//! *Promises*: a job whose conditions are not met is not shown to a pass, and one whose last
//! condition is met is, in the same step; an edit of a job that no longer waits changes nothing.
//!
//! *Not here*: what conditions there are (`kernel::conditions`), whose turn it is
//! (`kernel::policy`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::change::{Change, Queued, Step};
use super::conditions::{Answer, Blocked, Conditions, Standing};
use super::ids::JobId;
use super::job::{JobSpec, StateWord};
use super::kernel::Kernel;
use super::policy::Policy;
use super::time::{SECOND_US, Time};
use super::transition::EndState;
use super::view::{Explained, waiting};

/// What the database knows of jobs that a new one waits for, and the kernel may have forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elsewhere {
    /// Jobs that are over, and whether they COMPLETED.
    pub ended: HashMap<JobId, bool>,
    /// For each new job that is a singleton, by its place among the new ones: the jobs of its
    /// name and user that had not ended.
    pub kin: HashMap<usize, Vec<JobId>>,
}

/// What is to be different about a pending job; `None` leaves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// Whether it is held.
    pub held: Option<bool>,
    /// Its priority.
    pub priority: Option<i64>,
    /// Its time limit, seconds; `Some(None)` is unlimited.
    pub limit_s: Option<Option<u32>>,
    /// Not before; `Some(None)` is at once.
    pub begin: Option<Option<Time>>,
    /// Not after; `Some(None)` is never.
    pub deadline: Option<Option<Time>>,
}

impl Edit {
    /// The word for it in events.
    fn cause(&self) -> &'static str {
        let only_held = Edit { held: None, ..self.clone() } == Edit::default();
        match self.held {
            Some(true) if only_held => "held",
            Some(false) if only_held => "released",
            _ => "edited",
        }
    }
}

/// What became of an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edited {
    /// It is as asked for.
    Done,
    /// It has been started; only a pending job can be changed.
    Live,
    /// It is over, or never was. The database tells.
    NotLive,
}

/// Conditions of jobs that have not ended, and who waits for whom.
#[derive(Debug, Default)]
pub struct Eligibility {
    conditions: BTreeMap<JobId, Conditions>,
    waiters: BTreeMap<JobId, Vec<JobId>>,
    alarms: BTreeSet<(Time, JobId)>,
}

impl Eligibility {
    fn register(&mut self, job: JobId, conditions: Conditions) {
        for other in conditions.others() {
            self.waiters.entry(other).or_default().push(job);
        }
        let times = conditions.begin.into_iter().chain(conditions.deadline);
        self.alarms.extend(times.map(|time| (time, job)));
        self.conditions.insert(job, conditions);
    }

    /// Nothing keeps it any more, or it is gone. Whoever it waited for finds nobody.
    pub(super) fn forget(&mut self, job: JobId) {
        if let Some(conditions) = self.conditions.remove(&job) {
            for time in conditions.begin.into_iter().chain(conditions.deadline) {
                self.alarms.remove(&(time, job));
            }
            for other in conditions.others() {
                if let Some(waiters) = self.waiters.get_mut(&other) {
                    waiters.retain(|waiter| *waiter != job);
                    if waiters.is_empty() {
                        self.waiters.remove(&other);
                    }
                }
            }
        }
    }

    /// Why it may not start at that time.
    pub(super) fn blocked(&self, job: JobId, now: Time) -> Option<Blocked> {
        self.conditions.get(&job)?.blocked(now)
    }
}

impl Kernel {
    /// Jobs that new ones wait for, and of which neither this kernel nor `elsewhere` knows how they
    /// stand: one that ended a moment ago, or is just entering. The database will know.
    #[must_use]
    pub fn unknown_others(&self, specs: &[Arc<JobSpec>], elsewhere: &Elsewhere) -> bool {
        let known = |job: JobId| self.standing(job).is_some() || elsewhere.ended.contains_key(&job);
        let mut others = specs.iter().flat_map(|spec| &spec.dependencies.list);
        others.any(|one| !known(one.job))
    }

    fn standing(&self, job: JobId) -> Option<Standing> {
        if self.queue.get(job).is_some() {
            return Some(Standing::Waiting);
        }
        let live = self.live.get(&job)?;
        let started = live.state.handle().is_some();
        Some(if started { Standing::Started } else { Standing::Waiting })
    }

    /// What a new job has to wait for; the jobs `before` it come with it.
    pub(super) fn conditions_of(
        &self,
        spec: &JobSpec,
        elsewhere: &Elsewhere,
        place: usize,
        before: &[(JobId, Arc<JobSpec>)],
    ) -> Conditions {
        let answers = spec.dependencies.list.iter().map(|one| {
            let ended = elsewhere.ended.get(&one.job);
            let ended = ended.map(|completed| Standing::Ended { completed: *completed });
            let standing = self.standing(one.job).or(ended).unwrap_or(Standing::Waiting);
            one.relation.answer(standing)
        });
        let mut kin = Vec::new();
        if spec.dependencies.singleton {
            let known = elsewhere.kin.get(&place).into_iter().flatten().copied();
            kin.extend(known.filter(|job| self.standing(*job).is_some()));
            let alike = |other: &JobSpec| other.name == spec.name && other.user == spec.user;
            kin.extend(before.iter().filter(|(_, other)| alike(other)).map(|(job, _)| *job));
        }
        Conditions {
            held: spec.held,
            begin: spec.begin,
            deadline: spec.deadline,
            dependencies: spec.dependencies.clone(),
            answers: answers.collect(),
            kin,
        }
    }

    /// From now on this job waits for these conditions.
    pub(super) fn register(&mut self, job: JobId, conditions: Conditions) {
        if !conditions.is_empty() {
            self.eligibility.register(job, conditions);
        }
    }

    /// Puts a pending job where a pass sees it, or where none does.
    pub(super) fn place(&mut self, job: Queued, now: Time) {
        let may_start = self.eligibility.blocked(job.id, now).is_none();
        self.queue.insert(job, may_start);
    }

    fn refresh(&mut self, job: JobId, now: Time) {
        let may_start = self.eligibility.blocked(job, now).is_none();
        self.queue.show(job, may_start);
    }

    /// Another job stands so now: whoever waits for that may go on.
    pub(super) fn hear(&mut self, job: JobId, standing: Standing, now: Time) {
        let over = matches!(standing, Standing::Ended { .. });
        let waiters = match over {
            true => self.eligibility.waiters.remove(&job),
            false => self.eligibility.waiters.get(&job).cloned(),
        };
        for waiter in waiters.unwrap_or_default() {
            if let Some(conditions) = self.eligibility.conditions.get_mut(&waiter) {
                conditions.hear(job, standing);
            }
            self.refresh(waiter, now);
        }
    }

    /// When [`Kernel::ring`] has something to do next.
    #[must_use]
    pub fn next_alarm(&self) -> Option<Time> {
        let first = self.eligibility.alarms.first().map(|(time, _)| *time);
        first.into_iter().chain(self.next_window_end()).min()
    }

    /// It is so late now: jobs whose time has come may start, those whose deadline has passed are
    /// cancelled, windows that have passed are forgotten.
    pub fn ring(&mut self, now: Time) -> Step {
        let mut step = self.pass_windows(now);
        while let Some((time, job)) = self.eligibility.alarms.first().copied() {
            if time > now {
                break;
            }
            self.eligibility.alarms.pop_first();
            let conditions = self.eligibility.conditions.get(&job);
            let late = conditions.and_then(|c| c.deadline).is_some_and(|deadline| deadline <= now);
            if late && let Some(queued) = self.queue.remove(job) {
                self.eligibility.forget(job);
                let error = "its deadline passed before it could start".to_owned();
                let end = EndState::without_script(StateWord::Cancelled, Some(error), now);
                self.end_pending(queued, end, ("deadline_reached", Arc::from("")), now, &mut step);
            } else {
                self.refresh(job, now);
            }
        }
        step
    }

    /// Changes a pending job.
    pub fn edit(
        &mut self,
        id: JobId,
        edit: Edit,
        principal: &Arc<str>,
        now: Time,
    ) -> (Edited, Step) {
        let mut step = Step::default();
        let Some(mut job) = self.queue.remove(id) else {
            let live = self.live.contains_key(&id);
            return (if live { Edited::Live } else { Edited::NotLive }, step);
        };
        job.priority = edit.priority.unwrap_or(job.priority);
        job.limit_s = edit.limit_s.unwrap_or(job.limit_s);
        let mut conditions = self.eligibility.conditions.get(&id).cloned().unwrap_or_default();
        self.eligibility.forget(id);
        conditions.held = edit.held.unwrap_or(conditions.held);
        conditions.begin = edit.begin.unwrap_or(conditions.begin);
        conditions.deadline = edit.deadline.unwrap_or(conditions.deadline);
        self.register(id, conditions);
        self.place(job, now);
        let event = self.event(
            (id, job.attempts),
            (Some(StateWord::Pending), StateWord::Pending),
            (edit.cause(), Arc::clone(principal)),
            now,
        );
        step.changes.push(Change::Edited { event, edit });
        (Edited::Done, step)
    }

    /// Why a pending job may not start now whatever is free; `None` when it is a matter of turn.
    #[must_use]
    pub fn blocked(&self, job: JobId, now: Time) -> Option<Blocked> {
        self.queue.get(job)?;
        self.eligibility.blocked(job, now)
    }

    /// Adds what would be said of a job if it were submitted now under this id.
    pub fn explain_as_if(
        &self,
        explained: &mut Explained,
        (id, spec, elsewhere): (JobId, &JobSpec, &Elsewhere),
        policy: &Policy,
        now: Time,
    ) {
        let conditions = self.conditions_of(spec, elsewhere, 0, &[]);
        if let Some(blocked) = conditions.blocked(now) {
            explained.blocked.insert(id, blocked);
            return;
        }
        let job = waiting(&Queued::submitted(id, spec, now));
        let rule = policy.rule(SECOND_US);
        let place = rule.place(&job, now.0);
        let line = &mut explained.line.queue;
        let at = line.partition_point(|other| rule.place(other, now.0) < place);
        line.insert(at, job);
    }

    /// How a condition stands is what its answers say, and whoever may start is seen: answers one
    /// job of which that is not true at this time.
    pub(super) fn wrongly_placed(&self, now: Time) -> Option<JobId> {
        let wrong = |job: &&Queued| {
            let conditions = self.eligibility.conditions.get(&job.id);
            let waits_for_time = conditions.is_some_and(|c| c.begin.is_some());
            let may_start = self.eligibility.blocked(job.id, now).is_none();
            let shown = self.queue.is_shown(job.id);
            if waits_for_time { shown && !may_start } else { shown != may_start }
        };
        self.queue.iter().find(wrong).map(|job| job.id)
    }
}

/// What is known of the others when a database is read: those that are not in it were forgotten
/// long after they had ended.
#[must_use]
pub fn remembered_answers(
    conditions: &Conditions,
    standing: impl Fn(JobId) -> Option<Standing>,
) -> Vec<Answer> {
    let gone = Standing::Ended { completed: true };
    let list = conditions.dependencies.list.iter();
    list.map(|one| one.relation.answer(standing(one.job).unwrap_or(gone))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::check;
    use super::super::ids::{Attempt, CpuId};
    use super::super::job::{ExitCode, JobRequest, Site, Usage};
    use super::super::kernel::{Memory, Reign};
    use super::super::policy::plan;
    use super::super::transition::{Exit, Fact, Handle};
    use super::*;

    const CPUS: u32 = 2;

    fn kernel() -> Kernel {
        let reign = Reign { boot_id: "b".into(), nonce: "n".into() };
        Kernel::load((0..CPUS).map(CpuId), reign, Memory::default()).unwrap()
    }

    fn spec(make: impl FnOnce(&mut JobRequest)) -> Arc<JobSpec> {
        let site = Site {
            total_cpus: CPUS,
            default_limit_s: None,
            max_limit_s: None,
            kill_grace_s: 30,
            output_roots: vec![],
            memory: crate::kernel::job::SiteMemory::default(),
        };
        let mut request = JobRequest::new("true");
        make(&mut request);
        Arc::new(JobSpec::try_from((request, &site)).unwrap())
    }

    struct World {
        kernel: Kernel,
        now: Time,
        ended: HashMap<JobId, bool>,
    }

    impl World {
        fn new() -> World {
            World { kernel: kernel(), now: Time(0), ended: HashMap::new() }
        }

        fn submit(&mut self, make: impl FnOnce(&mut JobRequest)) -> JobId {
            let elsewhere = Elsewhere { ended: self.ended.clone(), ..Elsewhere::default() };
            let specs = vec![spec(make)];
            assert!(!self.kernel.unknown_others(&specs, &elsewhere));
            let (ids, step) = self.kernel.submit(specs, &elsewhere, &"me".into(), self.now);
            for effect in step.effects {
                if let super::super::change::Effect::Admit(jobs) = effect {
                    self.kernel.admit(jobs);
                }
            }
            self.sound();
            ids[0]
        }

        fn after(&mut self, text: &str) -> JobId {
            let dependencies = text.parse().unwrap();
            self.submit(|request| request.dependencies = dependencies)
        }

        /// Starts what a pass would; answers who runs.
        fn pass(&mut self) -> Vec<JobId> {
            let policy = Policy::default();
            let plan = plan(policy, &self.kernel.scene(&policy, self.now));
            self.kernel.start(&plan, self.now);
            self.sound();
            self.kernel.live().keys().copied().collect()
        }

        fn end(&mut self, job: JobId, code: u8) {
            let n = self.kernel.live()[&job].job.attempts;
            let exit = Exit {
                exit_code: Some(ExitCode { code, signal: 0 }),
                stop: None,
                handle: Some(Handle { pid: 1, start_time: self.now }),
                end_time: self.now,
                usage: Usage::default(),
                out_of_memory: None,
            };
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
            let (edited, _) = self.kernel.edit(job, edit, &"me".into(), self.now);
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
        let first = world.submit(|_| ());
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
        let first = world.submit(|request| request.held = true);
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
        let elsewhere = Elsewhere { kin: HashMap::from([(0, vec![one])]), ..Default::default() };
        let singleton = || spec(|request| request.dependencies = "singleton".parse().unwrap());
        let specs = vec![singleton(), singleton()];
        let (ids, step) = world.kernel.submit(specs, &elsewhere, &"me".into(), world.now);
        for effect in step.effects {
            if let super::super::change::Effect::Admit(jobs) = effect {
                world.kernel.admit(jobs);
            }
        }
        assert_eq!(world.pass(), [one]);
        world.end(one, 1);
        assert_eq!(world.pass(), [ids[0]], "of a batch one after the other");
        world.end(ids[0], 0);
        assert_eq!(world.pass(), [ids[1]]);
    }

    #[test]
    fn a_held_job_waits_for_its_release_and_an_edit_counts_at_once() {
        let mut world = World::new();
        let job = world.submit(|request| request.held = true);
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
        let job = world.submit(|_| ());
        let policy = Policy::default();
        let plan = plan(policy, &world.kernel.scene(&policy, world.now));
        world.edit(job, Edit { held: Some(true), ..Edit::default() });
        let (started, stale, _) = world.kernel.start(&plan, world.now);
        assert_eq!((started, stale), (0, 1));
    }

    #[test]
    fn times_ring_and_a_passed_deadline_cancels_whoever_waits() {
        let mut world = World::new();
        let early = world.submit(|request| request.begin = Some(Time(50)));
        let late = world.submit(|request| {
            request.held = true;
            request.deadline = Some(Time(90));
        });
        let follower = world.after(&format!("afterany:{late}"));
        assert_eq!(world.kernel.next_alarm(), Some(Time(50)));
        assert_eq!(world.kernel.ring(Time(49)), Step::default());
        assert_eq!(world.pass(), []);
        world.now = Time(50);
        assert_eq!(world.kernel.ring(world.now), Step::default());
        assert_eq!(world.pass(), [early]);
        world.now = Time(90);
        let step = world.kernel.ring(world.now);
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
        let first = world.submit(|_| ());
        let dependent = || spec(|r| r.dependencies = format!("afterok:{first}").parse().unwrap());
        assert!(!world.kernel.unknown_others(&[dependent()], &Elsewhere::default()));
        world.cancel(first);
        assert!(world.kernel.unknown_others(&[dependent()], &Elsewhere::default()));
        let elsewhere = Elsewhere { ended: world.ended.clone(), ..Elsewhere::default() };
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
                    0 => drop(world.submit(|_| ())),
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
}
