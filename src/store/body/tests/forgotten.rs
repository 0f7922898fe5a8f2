//! *Purpose*: that a job is told once how those ended that it waits for.
//!
//! *Owns*: parents that are forgotten, or run again, before a new server reads what is left.
//!
//! *Promises*: what kept a job, or let it go, is the same before and after.
//!
//! *Not here*: what each relation asks for (`kernel::parts::conditions`), when jobs are forgotten
//! (`actors::retention`).

use super::super::dependencies;
use super::*;
use crate::job::state::Hold;
use crate::kernel::access::Scope;
use crate::kernel::parts::conditions::Blocked;

const LATER: Time = Time(9);

impl World {
    pub(in crate::store) fn ends(&mut self, id: JobId, code: u8) {
        let step = self.fact(id, Fact::Exited(exit(code, Time(4))));
        self.commit(step);
    }

    fn behind(&mut self, dependency: &str, array: Option<&str>) -> JobId {
        let mut job = job().after(dependency);
        if let Some(tasks) = array {
            job = job.array(tasks);
        }
        let (spec, conn) = (job.spec(), self.writer.connection().unwrap());
        let elsewhere =
            dependencies::look_up(conn, &spec.dependencies.list, &Scope::SERVER).unwrap().elsewhere;
        let (ids, step) = self.kernel.submit(vec![spec], &elsewhere, &"me".into(), Time(1));
        self.commit(step);
        ids[0]
    }

    pub(in crate::store) fn forget(&mut self, jobs: &[JobId], array: Option<JobId>) {
        let old = |job: &JobId| Old { job: *job, word: StateWord::Failed, array };
        let step = self.kernel.forget(&jobs.iter().map(old).collect::<Vec<_>>());
        self.commit(step);
        assert!(jobs.iter().all(|job| self.job(*job).is_none()));
    }

    fn kept(&self, jobs: &[JobId]) -> Vec<Option<Blocked>> {
        jobs.iter().map(|job| self.kernel.blocked(*job, LATER)).collect()
    }

    /// The server dies, another reads the database: whatever keeps these jobs is the same.
    fn restarts_alike(&mut self, jobs: &[JobId]) {
        let before = self.kept(jobs);
        (self.kernel, self.outbox) = boot(&mut self.writer);
        assert_eq!(check::all(&self.kernel), Ok(()));
        assert_eq!(self.kept(jobs), before);
    }
}

#[test]
fn how_a_forgotten_job_ended_is_known_to_those_that_wait_for_it() {
    let Some(mut world) = World::new() else { return };
    let (bad, good) = (world.submit(), world.submit());
    let open = world.behind(&format!("afterany:{bad}"), None);
    world.start();
    let early: Vec<JobId> = ["afterok", "afternotok", "afterany", "after"]
        .iter()
        .flat_map(|word| [format!("{word}:{bad}"), format!("{word}:{good}")])
        .chain([format!("afterok:{bad}:{good}"), format!("afterok:{bad}?afternotok:{good}")])
        .chain([format!("afterok:{bad}?afterok:{good}"), format!("afterok:{good},afterok:{open}")])
        .map(|text| world.behind(&text, None))
        .collect();
    world.ends(bad, 3);
    world.ends(good, 0);
    let late: Vec<JobId> = ["afterok", "afternotok", "afterany"]
        .iter()
        .flat_map(|word| [format!("{word}:{bad}"), format!("{word}:{good}")])
        .map(|text| world.behind(&text, None))
        .collect();
    let all = [early, late].concat();
    let before = world.kept(&all);
    assert_eq!(before[0], Some(Blocked::Never(vec![bad])));
    assert_eq!(before[1], None, "the good one ended as it should");
    world.forget(&[bad, good], None);
    assert_eq!(world.kept(&all), before);
    world.restarts_alike(&all);
    world.restarts_alike(&all);
}

#[test]
fn a_job_that_was_accepted_while_its_parent_was_being_forgotten_knows_its_end() {
    let Some(mut world) = World::new() else { return };
    let (bad, good) = (world.submit(), world.submit());
    world.start();
    world.ends(bad, 3);
    world.ends(good, 0);
    let spec = job().after(&format!("afterok:{good}?afterok:{bad}")).spec();
    let conn = world.writer.connection().unwrap();
    let elsewhere =
        dependencies::look_up(conn, &spec.dependencies.list, &Scope::SERVER).unwrap().elsewhere;
    world.forget(&[bad, good], None);
    let (ids, step) = world.kernel.submit(vec![spec], &elsewhere, &"me".into(), Time(1));
    world.commit(step);
    assert_eq!(world.kept(&ids), [None]);
    world.restarts_alike(&ids);
}

#[test]
fn of_a_parent_of_which_nothing_is_kept_nobody_says_that_it_went_well_or_did_not() {
    let Some(mut world) = World::new() else { return };
    let parent = world.submit();
    let words = ["afterok", "afternotok", "afterany", "after"];
    let jobs: Vec<JobId> =
        words.iter().map(|word| world.behind(&format!("{word}:{parent}"), None)).collect();
    // As an older Downbeat left it.
    world.batch(&format!("DELETE FROM events WHERE job_id = {parent}"));
    world.batch(&format!("DELETE FROM jobs WHERE id = {parent}"));
    (world.kernel, world.outbox) = boot(&mut world.writer);
    let never = Some(Blocked::Never(vec![parent]));
    assert_eq!(world.kept(&jobs), [never.clone(), never, None, None]);
    let answer = dependencies::look_up(
        world.writer.connection().unwrap(),
        &format!("afterok:{parent}").parse::<crate::job::dependency::Dependencies>().unwrap().list,
        &Scope::SERVER,
    );
    assert_eq!(answer.unwrap().missing.len(), 1, "the door knows no such job");
}

#[test]
fn tasks_that_follow_those_of_a_forgotten_array_know_which_of_them_completed() {
    let Some(mut world) = World::new() else { return };
    let (array, step) = world.submission(job().array("0-3"));
    world.commit(step);
    world.start();
    let tasks: Vec<JobId> = world.kernel.live().keys().copied().collect();
    let early = world.behind(&format!("aftercorr:{array}"), Some("0-5"));
    for (n, task) in tasks.iter().enumerate() {
        // The one of the array's own number is the last task.
        world.ends(*task, u8::from(n == 1) * 3);
    }
    let late = world.behind(&format!("aftercorr:{array}"), Some("0-5"));
    let one = world.behind(&format!("afterok:{array}_0"), None);
    let all = world.behind(&format!("afterok:{array}"), None);
    // One task of an array may wait by itself.
    let (own, step) = world.kernel.split_off((late, 0), &"me".into(), Time(5));
    world.commit(step);
    let (lost, step) = world.kernel.split_off((early, 4), &"me".into(), Time(5));
    world.commit(step);
    let jobs = [early, late, one, all, own.unwrap(), lost.unwrap()];
    let ready = |world: &World| world.kernel.input(&Policy::default(), LATER).queue;
    let before = ready(&world);
    world.forget(&tasks, Some(array));
    world.restarts_alike(&jobs);
    assert_eq!(ready(&world), before, "as many tasks may start");
    world.restarts_alike(&jobs);
}

#[test]
fn whoever_was_told_stays_told_when_the_other_runs_again() {
    let Some(mut world) = World::new() else { return };
    let (bad, good, runs) = (world.submit(), world.submit(), world.submit());
    world.start();
    let text = format!("afterok:{good},afternotok:{bad},after:{runs}");
    let told = world.behind(&text, None);
    let never = world.behind(&format!("afterok:{bad}"), None);
    let started = world.fact(runs, Fact::Started(HANDLE));
    world.commit(started);
    world.ends(bad, 3);
    world.ends(good, 0);
    assert_eq!(world.kept(&[told, never]), [None, Some(Blocked::Never(vec![bad]))]);
    for job in [bad, good] {
        let over = world.job(job).unwrap().0.if_over().unwrap();
        let (_, step) = world.kernel.requeue_over(over, Hold::ByUser, &"me".into(), Time(6));
        world.commit(step);
    }
    let (_, step) = world.kernel.requeue_asked(runs, Hold::ByUser, &"me".into(), Time(6));
    world.commit(step);
    world.ends(runs, 1);
    world.restarts_alike(&[told, never]);
    assert_eq!(world.kept(&[told]), [None]);
}
