//! *Purpose*: many changes in one commit leave the rows that each leaves alone.
//!
//! *Owns*: random days of a kernel, written twice; guards inside of lists.
//!
//! *Promises*: every column of every table is compared.
//!
//! *Not here*: what the rows of one life are (`store::tests`), what the kernel decides
//! (`tests/simulation`).

use std::collections::BTreeMap;

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::job::edit::Edit;
use crate::job::ids::CommitNo;
use crate::job::outcome::{Exit, Handle};
use crate::job::retry_policy::RetryPolicy;
use crate::job::spec::JobSpec;
use crate::job::state::Hold;
use crate::kernel::change::Step;
use crate::kernel::outbox::Commit;
use crate::kernel::state::Kernel;
use crate::kernel::testing::exit;
use crate::policy::name::Policy;
use crate::policy::pass::plan;
use crate::store::sqlite::body::tests::counts::Line;

/// What happens, with a number that picks the job.
#[derive(Clone, Copy, Debug)]
enum Event {
    Submit(usize),
    Start,
    Started(usize),
    Ended(usize, u8),
    StartedAndEnded(usize),
    Cancel(usize),
    Requeue(usize),
    Suspend(usize, bool),
    Rename(usize),
    Forget(usize),
    Commit,
}

fn happenings() -> impl Strategy<Value = Event> {
    let n = 0..64usize;
    prop_oneof![
        5 => n.clone().prop_map(Event::Submit),
        6 => Just(Event::Start),
        3 => n.clone().prop_map(Event::Started),
        4 => (n.clone(), 0..3u8).prop_map(|(n, code)| Event::Ended(n, code)),
        5 => n.clone().prop_map(Event::StartedAndEnded),
        2 => n.clone().prop_map(Event::Cancel),
        1 => n.clone().prop_map(Event::Requeue),
        1 => (n.clone(), any::<bool>()).prop_map(|(n, on)| Event::Suspend(n, on)),
        1 => n.clone().prop_map(Event::Rename),
        1 => n.prop_map(Event::Forget),
        3 => Just(Event::Commit),
    ]
}

/// The same decisions, written commit by commit and change by change.
struct Twice {
    together: World,
    alone: OnlyWriter,
    alone_dir: tempfile::TempDir,
    alone_no: i64,
    now: i64,
    /// Steps that wait for the next commit.
    waiting: Step,
    /// Jobs that are over, and whether that is durable.
    over: BTreeMap<JobId, (StateWord, bool)>,
}

impl Twice {
    fn new() -> Twice {
        let alone_dir = tempfile::tempdir().unwrap();
        let alone = OnlyWriter::open(Database::new(alone_dir.path().join("t.db"))).unwrap();
        let (together, over) = (World::new().unwrap(), BTreeMap::new());
        Twice { together, alone, alone_dir, alone_no: 0, now: 10, waiting: Step::default(), over }
    }

    fn decided(&mut self, step: Step) {
        for change in &step.changes {
            match change {
                Change::Ended { event, .. } => {
                    self.over.insert(event.job, (event.to, false));
                }
                Change::Forgotten { jobs } => self.over.retain(|job, _| !jobs.contains(job)),
                _ => {}
            }
        }
        self.waiting.changes.extend(step.changes);
        self.waiting.effects.extend(step.effects);
    }

    fn commit(&mut self) {
        if self.waiting.changes.is_empty() {
            return;
        }
        let commit = self.together.next(std::mem::take(&mut self.waiting));
        self.together.writer.commit(&commit).unwrap();
        for change in commit.steps.iter().flat_map(|step| step.iter()) {
            self.alone_no += 1;
            let steps = vec![Arc::new(vec![change.clone()])];
            let one = Commit { no: CommitNo(self.alone_no), steps, ..commit.clone() };
            self.alone.commit(&one).unwrap();
        }
        let settled = self.together.outbox.settle(commit.no);
        self.together.kernel.made_durable(settled.effects);
        self.over.values_mut().for_each(|(_, durable)| *durable = true);
    }

    fn live(&self, n: usize) -> Option<Attempt> {
        let live = self.together.kernel.live();
        live.values().nth(n % live.len().max(1)).map(|live| live.attempt())
    }

    /// A job that waits or lives.
    fn any(&self, n: usize) -> Option<JobId> {
        let kernel = &self.together.kernel;
        let mut jobs: Vec<JobId> = kernel.queue().iter().map(|job| job.id).collect();
        jobs.extend(kernel.live().keys());
        jobs.get(n % jobs.len().max(1)).copied()
    }

    fn happens(&mut self, event: Event) {
        self.now += 1;
        let (now, me) = (Time(self.now), "me".into());
        let picked = match event {
            Event::Submit(n)
            | Event::Started(n)
            | Event::Ended(n, _)
            | Event::StartedAndEnded(n)
            | Event::Cancel(n)
            | Event::Requeue(n)
            | Event::Suspend(n, _)
            | Event::Rename(n)
            | Event::Forget(n) => n,
            Event::Start | Event::Commit => 0,
        };
        let (live, any) = (self.live(picked), self.any(picked));
        let kernel = &mut self.together.kernel;
        let handle = Handle { pid: self.now as i32, start_time: now };
        let exited = |code| Fact::Exited(Exit { handle: Some(handle), ..exit(code, now) });
        let step = match event {
            Event::Submit(n) => kernel.submit(specs(n), &Default::default(), &me, now).1,
            Event::Start => {
                let policy = Policy::default();
                let plan = plan(policy, &kernel.input(&policy, now));
                kernel.start(&plan, now).2
            }
            Event::Started(_) => fact(kernel, live, [Fact::Started(handle)], now),
            Event::Ended(_, 2) => fact(kernel, live, [Fact::Vanished("gone".to_owned())], now),
            Event::Ended(n, code) => {
                let left_behind =
                    if n.is_multiple_of(5) { vec!["sleep".to_owned()] } else { Vec::new() };
                let end = Exit { handle: Some(handle), left_behind, ..exit(code, now) };
                fact(kernel, live, [Fact::Exited(end)], now)
            }
            Event::StartedAndEnded(n) => {
                let facts = [Fact::Started(handle), exited((n % 2) as u8)];
                fact(kernel, live, facts, now)
            }
            Event::Cancel(_) => {
                any.map(|job| kernel.cancel(&[job], &me, now).1).unwrap_or_default()
            }
            Event::Requeue(_) => {
                let mut again = |job| kernel.requeue_asked(job, Hold::No, &me, now).1;
                live.map(|one| again(one.job)).unwrap_or_default()
            }
            Event::Suspend(_, on) => {
                let mut suspended = |job| kernel.suspend((job, false), on, &me, now).1;
                live.map(|one| suspended(one.job)).unwrap_or_default()
            }
            Event::Rename(n) => {
                let edit = Edit { name: Some(format!("name {n}")), ..Edit::default() };
                let edited = |job| kernel.edit(job, edit, &Default::default(), &me, now).1;
                any.map(edited).unwrap_or_default()
            }
            Event::Forget(n) => {
                let old = self.over.iter().filter(|(_, (_, durable))| *durable);
                let old = old.map(|(job, (word, _))| Old { job: *job, word: *word, array: None });
                let old: Vec<Old> = old.skip(n % 4).take(2).collect();
                kernel.forget(&old)
            }
            Event::Commit => return self.commit(),
        };
        self.decided(step);
    }
}

fn fact(
    kernel: &mut Kernel,
    live: Option<Attempt>,
    facts: impl IntoIterator<Item = Fact>,
    now: Time,
) -> Step {
    let mut all = Step::default();
    let Some(attempt) = live else { return all };
    for fact in facts {
        if let Ok(step) = kernel.fact(attempt, fact, now) {
            all.changes.extend(step.changes);
            all.effects.extend(step.effects);
        }
    }
    all
}

/// Jobs of many kinds.
fn specs(n: usize) -> Vec<Arc<JobSpec>> {
    let one = |n: usize| {
        let job = job().named(format!("job {n}")).cpus(1 + (n % 2) as u32);
        let job = if n.is_multiple_of(3) { job.label("n", n.to_string()) } else { job };
        let job = if n % 4 == 1 { job.retry(RetryPolicy::usual(2)) } else { job };
        let job = if n % 7 == 3 { job.array("0-2%2") } else { job };
        job.spec()
    };
    (n..=n + n % 3).map(one).collect()
}

/// All rows of a database but the numbers of commits, table by table.
fn rows(path: &std::path::Path) -> Vec<(String, Vec<String>)> {
    let mut conn = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    let mut lines = |sql: String| -> Vec<String> {
        let found: Vec<Line> = diesel::sql_query(sql).load(&mut conn).unwrap();
        found.into_iter().map(|line| line.line).collect()
    };
    let tables = lines(
        "SELECT name AS line FROM sqlite_master WHERE type = 'table' AND name NOT IN \
         ('meta', '__diesel_schema_migrations') AND name NOT LIKE 'sqlite_%' ORDER BY name"
            .to_owned(),
    );
    assert!(tables.len() > 10, "{tables:?}");
    let mut all = Vec::new();
    for table in tables {
        let columns = lines(format!("SELECT name AS line FROM pragma_table_info('{table}')"));
        let quoted: Vec<String> = columns.iter().map(|c| format!("quote(\"{c}\")")).collect();
        let row = quoted.join(" || ',' || ");
        let found = lines(format!("SELECT {row} AS line FROM \"{table}\" ORDER BY line"));
        all.push((table, found));
    }
    all.push((
        "meta".to_owned(),
        lines("SELECT next_job_id || ' ' || next_event_id AS line FROM meta".to_owned()),
    ));
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_commit_of_many_changes_leaves_the_rows_of_each_alone(
        events in proptest::collection::vec(happenings(), 1..80),
    ) {
        let mut twice = Twice::new();
        for event in events {
            twice.happens(event);
        }
        twice.commit();
        let together = rows(&twice.together.dir.path().join("t.db"));
        let alone = rows(&twice.alone_dir.path().join("t.db"));
        for (together, alone) in together.into_iter().zip(alone) {
            prop_assert_eq!(together, alone);
        }
        // And they are what the kernel knows.
        let (kernel, _) = boot(&mut twice.together.writer);
        prop_assert_eq!(kernel.ledger().used(), twice.together.kernel.ledger().used());
        prop_assert_eq!(check::all(&kernel), Ok(()));
    }
}

/// Four that run.
fn four() -> (World, Vec<JobId>) {
    let mut world = World::new().unwrap();
    let ids: Vec<JobId> = (0..4).map(|_| world.submit()).collect();
    world.start();
    (world, ids)
}

fn all(steps: impl IntoIterator<Item = Step>) -> Step {
    let changes = steps.into_iter().flat_map(|step| step.changes).collect();
    Step { changes, ..Step::default() }
}

fn refused(world: &mut World, step: Step) -> String {
    let commit = world.next(step);
    let refused = world.writer.commit(&commit).unwrap_err();
    assert!(matches!(refused, CommitError::Fatal(StoreError::Disagrees(_))), "{refused}");
    refused.to_string()
}

#[test]
fn one_job_of_a_list_that_disagrees_is_named() {
    let (mut world, ids) = four();
    world.batch(&format!("UPDATE jobs SET state = 'PENDING' WHERE id = {}", ids[2]));
    let steps: Vec<Step> = ids.iter().map(|id| world.fact(*id, exited())).collect();
    let said = refused(&mut world, all(steps));
    assert!(said.contains(&format!("job {} is not RUNNING", ids[2])), "{said}");

    let (mut world, ids) = four();
    world.batch(&format!("UPDATE jobs SET state = 'PENDING' WHERE id = {}", ids[1]));
    let both =
        |world: &mut World, id| [world.fact(id, Fact::Started(HANDLE)), world.fact(id, exited())];
    let steps: Vec<Step> = ids.iter().flat_map(|id| both(&mut world, *id)).collect();
    let said = refused(&mut world, all(steps));
    assert!(said.contains(&format!("job {} is not RUNNING", ids[1])), "a start and an end: {said}");
}

#[test]
fn one_of_a_list_that_holds_nothing_or_less_is_named() {
    let (mut world, ids) = four();
    world.batch(&format!("UPDATE resource_allocations SET released = 1 WHERE job_id = {}", ids[3]));
    let steps: Vec<Step> = ids.iter().map(|id| world.fact(*id, exited())).collect();
    let said = refused(&mut world, all(steps));
    assert!(said.contains(&format!("job {} is not RUNNING or holds nothing", ids[3])), "{said}");

    let (mut world, ids) = four();
    world.batch(&format!("DELETE FROM held_units WHERE job_id = {}", ids[1]));
    let steps: Vec<Step> = ids.iter().map(|id| world.fact(*id, exited())).collect();
    let said = refused(&mut world, all(steps));
    assert!(said.contains(&format!("job {} gave back 0 units, not 1", ids[1])), "{said}");
}

#[test]
fn a_unit_goes_from_hand_to_hand_within_a_commit() {
    let (mut world, ids) = four();
    let waiting: Vec<JobId> = (0..8).map(|_| world.submit()).collect();
    let mut steps = Vec::new();
    let mut running = ids;
    for next in waiting.chunks(4) {
        // All four CPUs come back, and are granted again.
        let ends: Vec<Step> = running.iter().map(|id| world.fact(*id, exited())).collect();
        steps.extend(ends);
        let (started, _, step) = world.kernel.start(&planned(&world.kernel), Time(5));
        assert_eq!(started, 4);
        steps.push(step);
        running = next.to_vec();
    }
    world.commit(all(steps));
    for id in running {
        assert!(!world.job(id).unwrap().1.unwrap().released);
    }
    let (kernel, _) = boot(&mut world.writer);
    assert_eq!((kernel.ledger().used(), kernel.live().len()), (4, 4));
    assert_eq!(check::all(&kernel), Ok(()));
}

#[test]
fn a_submission_that_is_granted_at_once_is_a_row_that_runs() {
    let mut world = World::new().unwrap();
    let (id, submission) = world.submission(job());
    let (started, _, start) = world.kernel.start(&planned(&world.kernel), Time(2));
    assert_eq!(started, 1);
    world.commit(all([submission, start]));
    let (row, allocation) = world.job(id).unwrap();
    assert_eq!((row.state, row.attempt), (StateWord::Running, 1));
    assert!(!allocation.unwrap().released);
    let events = world.database().readers().unwrap();
    let events = events.read(|db| db.events_of(id, EventId(0), 9)).unwrap().value;
    let causes: Vec<&str> = events.iter().map(|e| e.cause.as_str()).collect();
    assert_eq!(causes, ["submitted", "granted"]);
}
