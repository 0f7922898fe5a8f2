//! *Purpose*: the store keeps its promises on a real file.
//!
//! *Owns*: cases of fencing, guards, lost answers, a full disk, newer databases, schema.
//!
//! *Promises*: each guard is broken once and seen to fire.
//!
//! *Not here*: the kernel's own laws (`tests/kernel.rs`).

#![allow(clippy::unwrap_used)]

mod arrays;
mod attempt_usage;
mod batches;
pub(in crate::store) mod counts;
pub(in crate::store) mod ended;
pub(in crate::store) mod folded;
mod forgotten;
mod mend;
pub(in crate::store) mod orders;
pub(in crate::store) mod pages;
mod requeued;
mod samples;
mod used;

use std::sync::Arc;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use proptest::prelude::*;

use super::dialect;
use super::dialect::Database;
use super::load::load;
use super::read;
use super::write::OnlyWriter;
use crate::job::ids::{Attempt, CommitNo, CpuId, Epoch, EventId, JobId};
use crate::job::outcome::{Exit, ExitCode, Handle, Usage};
use crate::job::spec::{JobRequest, JobSpec};
use crate::job::state::StateWord;
use crate::kernel::access::Scope;
use crate::kernel::admission::Site;
use crate::kernel::change::{Change, IdempotencyKey, Step};
use crate::kernel::check;
use crate::kernel::commands::forget::Old;
use crate::kernel::outbox::{Commit, Outbox};
use crate::kernel::parts::eligibility::DependencySnapshot;
use crate::kernel::parts::rules::Rules;
use crate::kernel::state::Kernel;
use crate::kernel::testing::job::job;
use crate::kernel::testing::{KernelBuilder, exit};
use crate::kernel::transition::Fact;
use crate::policy::name::Policy;
use crate::policy::pass::plan;
use crate::policy::plan::Plan;
use crate::store::error::StoreError;
use crate::store::events::EventFilter;
use crate::store::filter::JobFilter;
use crate::store::read::{DbSnapshot, JobAndAllocation};
use crate::store::reader::Reader;
use crate::store::write::CommitError;
use crate::store::writer::Writer;
use crate::time::Time;

pub(in crate::store) struct World {
    #[allow(dead_code, reason = "a file of the database lies in it")]
    pub(in crate::store) dir: tempfile::TempDir,
    pub(in crate::store) writer: OnlyWriter,
    pub(in crate::store) kernel: Kernel,
    pub(in crate::store) outbox: Outbox<()>,
    database: Database,
}

pub(in crate::store) fn site() -> Site {
    Site { total_cpus: 4, kill_grace_s: 30, output_roots: Vec::new(), ..Site::default() }
}

pub(in crate::store) fn boot(writer: &mut OnlyWriter) -> (Kernel, Outbox<()>) {
    boot_over(writer, None)
}

/// The same on a server that hands out so much memory.
pub(in crate::store) fn boot_over(
    writer: &mut OnlyWriter,
    memory: Option<u64>,
) -> (Kernel, Outbox<()>) {
    let loaded = load(writer.connection().unwrap(), Rules::default()).unwrap();
    let kernel = KernelBuilder::of(loaded.memory).cpus(4).memory(memory).build();
    (kernel, Outbox::new(writer.epoch(), loaded.commit_no))
}

/// What a pass would start.
pub(in crate::store) fn planned(kernel: &Kernel) -> Plan {
    let policy = Policy::default();
    plan(policy, &kernel.input(&policy, Time(2)))
}

impl World {
    pub(in crate::store) fn new() -> Option<World> {
        let dir = tempfile::tempdir().unwrap();
        let database = dialect::for_test(dir.path())?;
        let mut writer = OnlyWriter::open(database.clone()).unwrap();
        let (kernel, outbox) = boot(&mut writer);
        Some(World { dir, writer, kernel, outbox, database })
    }

    pub(in crate::store) fn database(&self) -> Database {
        self.database.clone()
    }

    pub(in crate::store) fn next(&mut self, step: Step) -> Commit {
        self.outbox.push(step, true, ());
        self.outbox.take(&self.kernel).unwrap()
    }

    pub(in crate::store) fn commit(&mut self, step: Step) {
        let commit = self.next(step);
        self.writer.commit(&commit).unwrap();
        self.kernel.made_durable(self.outbox.settle(commit.no).effects);
    }

    pub(in crate::store) fn submission(&mut self, job: impl Into<JobRequest>) -> (JobId, Step) {
        self.submission_at(job, Time(1))
    }

    pub(in crate::store) fn submission_at(
        &mut self,
        job: impl Into<JobRequest>,
        now: Time,
    ) -> (JobId, Step) {
        let spec = Arc::new(JobSpec::try_from((job.into(), &site())).unwrap());
        let (ids, step) =
            self.kernel.submit(vec![spec], &DependencySnapshot::default(), &"me".into(), now);
        (ids[0], step)
    }

    pub(in crate::store) fn submit(&mut self) -> JobId {
        let (id, step) = self.submission(job());
        self.commit(step);
        id
    }

    pub(in crate::store) fn start(&mut self) {
        let (_, _, step) = self.kernel.start(&planned(&self.kernel), Time(2));
        self.commit(step);
    }

    pub(in crate::store) fn fact(&mut self, id: JobId, fact: Fact) -> Step {
        self.kernel.fact(Attempt { job: id, n: 1 }, fact, Time(4)).unwrap()
    }

    pub(in crate::store) fn batch(&mut self, sql: &str) {
        self.writer.connection().unwrap().batch_execute(sql).unwrap();
    }

    pub(in crate::store) fn job(&self, id: JobId) -> Option<JobAndAllocation> {
        self.database().readers().unwrap().read(|db| db.job(id)).unwrap().value
    }
}

pub(in crate::store) const HANDLE: Handle = Handle { pid: 77, start_time: Time(3) };

pub(in crate::store) fn exited() -> Fact {
    Fact::Exited(Exit {
        handle: Some(HANDLE),
        usage: Usage { user_us: 5, system_us: 6, max_rss_bytes: 7 },
        ..exit(3, Time(4))
    })
}

#[test]
fn a_life_is_remembered_and_the_end_gives_the_cpus_back_in_one_commit() {
    let Some(mut world) = World::new() else { return };
    let id = world.submit();
    world.start();
    let step = world.fact(id, Fact::Started(HANDLE));
    world.commit(step);
    let (row, allocation) = world.job(id).unwrap();
    assert_eq!(
        (row.state, row.start_time, row.process_id),
        (StateWord::Running, Some(Time(3)), Some(77))
    );
    assert!(!allocation.unwrap().released);
    let step = world.fact(id, exited());
    world.commit(step);
    let (row, allocation) = world.job(id).unwrap();
    let allocation = allocation.unwrap();
    let code = ExitCode { code: 3, signal: 0 };
    assert_eq!((row.state, row.exit_code), (StateWord::Failed, Some(code)));
    let usage = Usage { user_us: 5, system_us: 6, max_rss_bytes: 7 };
    assert_eq!((row.end_time, row.usage), (Some(Time(4)), Some(usage)));
    assert!(allocation.released && allocation.released_time == Some(Time(4)));
    let db = world.database().readers().unwrap().read(|db| db.db_snapshot()).unwrap().value;
    assert_eq!(db, DbSnapshot::default());
    let events =
        world.database().readers().unwrap().read(|db| db.events_of(id, EventId(0), 9)).unwrap();
    let causes: Vec<&str> = events.value.iter().map(|e| e.cause.as_str()).collect();
    assert_eq!(causes, ["submitted", "granted", "started", "exited"]);
}

#[test]
fn what_lives_is_taken_up_by_the_next_server() {
    let Some(mut world) = World::new() else { return };
    let running = world.submit();
    world.start();
    let step = world.fact(running, Fact::Started(HANDLE));
    world.commit(step);
    let waiting = world.submit();
    world.writer.lose_connection();
    let mut writer = OnlyWriter::open(world.database()).unwrap();
    let (kernel, _) = boot(&mut writer);
    assert_eq!(kernel.live()[&running].state.word(), StateWord::Running);
    assert_eq!(kernel.ledger().used(), 1);
    assert!(kernel.queue().get(waiting).is_some());
    assert_eq!(kernel.next_ids().0, JobId(waiting.0 + 1), "ids go on, also of ended jobs");
}

#[test]
fn the_memory_that_a_job_holds_outlives_the_server() {
    let Some(mut world) = World::new() else { return };
    for _ in 0..2 {
        let (_, step) = world.submission(job().memory(60));
        world.commit(step);
    }
    world.start();
    let (kernel, _) = boot_over(&mut world.writer, Some(130));
    assert_eq!((kernel.ledger().used_memory(), kernel.ledger().free_memory()), (120, Some(10)));
    assert_eq!(check::all(&kernel), Ok(()));
    let (kernel, _) = boot_over(&mut world.writer, Some(100));
    assert_eq!(kernel.snapshot().available_memory, Some(0), "less is configured than is held");
}

#[test]
fn an_older_server_is_fenced_off_by_the_next_epoch() {
    let Some(mut world) = World::new() else { return };
    world.writer.lose_connection();
    let mut newer = OnlyWriter::open(world.database()).unwrap();
    assert_eq!(newer.epoch(), Epoch(2));
    newer.lose_connection();
    let (_, step) = world.submission(job());
    let commit = world.next(step);
    let refused = world.writer.commit(&commit).unwrap_err();
    assert!(
        matches!(refused, CommitError::Fatal(StoreError::Fenced { epoch: 2, .. })),
        "{refused}"
    );
}

#[test]
fn a_commit_out_of_order_is_fenced_off() {
    let Some(mut world) = World::new() else { return };
    let (_, step) = world.submission(job());
    let mut commit = world.next(step);
    commit.no = CommitNo(7);
    let refused = world.writer.commit(&commit).unwrap_err();
    assert!(matches!(refused, CommitError::Fatal(StoreError::Fenced { at: 0, .. })), "{refused}");
}

#[test]
fn a_job_that_is_not_as_the_kernel_knows_it_is_a_disagreement() {
    let Some(mut world) = World::new() else { return };
    let id = world.submit();
    world.batch("UPDATE jobs SET state = 'FAILED'");
    let (_, _, step) = world.kernel.start(&planned(&world.kernel), Time(2));
    let commit = world.next(step);
    let refused = world.writer.commit(&commit).unwrap_err();
    assert!(refused.to_string().contains(&format!("job {id}")), "{refused}");
    assert!(matches!(refused, CommitError::Fatal(StoreError::Disagrees(_))));
}

#[test]
fn the_database_refuses_a_second_holder_of_a_cpu() {
    let Some(mut world) = World::new() else { return };
    world.submit();
    world.batch("INSERT INTO held_units VALUES ('cpu', 0, 99)");
    let (_, _, step) = world.kernel.start(&planned(&world.kernel), Time(2));
    let commit = world.next(step);
    let refused = world.writer.commit(&commit).unwrap_err();
    assert!(matches!(refused, CommitError::Fatal(StoreError::Disagrees(_))), "{refused}");
}

#[test]
fn the_database_refuses_a_second_unreleased_allocation_of_a_job() {
    let Some(mut world) = World::new() else { return };
    let id = world.submit();
    world.batch(&format!(
        "INSERT INTO resource_allocations (id, job_id, attempt, allocated_cpus, cpu_ids, released, \
         allocation_time, nonce, boot_id) VALUES (99, {id}, 9, 1, '[3]', FALSE, 0, '', '')"
    ));
    let (_, _, step) = world.kernel.start(&planned(&world.kernel), Time(2));
    let commit = world.next(step);
    assert!(matches!(world.writer.commit(&commit), Err(CommitError::Fatal(_))));
}

#[test]
fn a_commit_whose_answer_was_lost_succeeds_when_it_is_asked_again() {
    let Some(mut world) = World::new() else { return };
    let (id, step) = world.submission(job());
    let commit = world.next(step);
    world.writer.commit(&commit).unwrap();
    world.writer.lose_connection();
    world.writer.commit(&commit).unwrap();
    assert!(world.job(id).is_some());
}

#[test]
fn keys_are_found_and_forgotten_after_a_day() {
    let Some(mut world) = World::new() else { return };
    let (first, mut step) = world.submission(job());
    let key =
        IdempotencyKey { key: "k".into(), body_hash: "h".into(), first, count: 1, time: Time(1) };
    step.changes.push(Change::Key(key));
    world.commit(step);
    let readers = world.database().readers().unwrap();
    let found = |key: &'static str| readers.read(move |db| db.key(key)).unwrap().value;
    assert_eq!(found("k").map(|row| row.first), Some(first));
    assert_eq!(world.writer.forget_old_keys(Time(1).plus_s(86_400)).unwrap(), 0);
    assert_eq!(world.writer.forget_old_keys(Time(2).plus_s(86_400)).unwrap(), 1);
    assert_eq!(found("k"), None);
}

#[test]
fn pages_follow_one_another_and_filters_hold() {
    let Some(mut world) = World::new() else { return };
    for n in 0..5 {
        let account = if n % 2 == 0 { "even" } else { "odd" };
        let job = job().account(account).label("a.b \"c\"", n.to_string());
        let (_, step) = world.submission(job);
        world.commit(step);
    }
    let readers = world.database().readers().unwrap();
    let page = |filter: JobFilter| -> Vec<i64> {
        let found = readers.read(|db| db.jobs(&filter, &Scope::SERVER)).unwrap().value;
        found.jobs.into_iter().map(|(row, _)| row.id.0).collect()
    };
    let all = JobFilter { limit: 2, ..JobFilter::default() };
    assert_eq!(page(all.clone()), [5, 4]);
    assert_eq!(page(JobFilter { after: Some(JobId(4).into()), ..all.clone() }), [3, 2]);
    assert_eq!(
        page(JobFilter { ascending: true, after: Some(JobId(4).into()), ..all.clone() }),
        [5]
    );
    let even = JobFilter { accounts: vec!["even".to_owned()], limit: 9, ..JobFilter::default() };
    assert_eq!(page(even), [5, 3, 1]);
    let labels = vec![("a.b \"c\"".to_owned(), "3".to_owned())];
    assert_eq!(page(JobFilter { labels, limit: 9, ..JobFilter::default() }), [4]);
    let states = vec![StateWord::Failed];
    assert_eq!(page(JobFilter { states, limit: 9, ..JobFilter::default() }), [] as [i64; 0]);
    let last = readers
        .read(|db| db.events(EventId(3), 9, &EventFilter::default(), &Scope::SERVER))
        .unwrap();
    assert_eq!(last.events.iter().map(|e| e.id.0).collect::<Vec<_>>(), [4, 5]);
}

fn requests() -> impl Strategy<Value = JobRequest> {
    let text = "\\PC{0,40}";
    (
        ("\\PC{1,200}", text, text, 0i64..6),
        proptest::collection::btree_map("[A-Za-z_]{1,8}", text, 0..4),
        proptest::collection::btree_map("\\PC{1,10}", text, 0..4),
        proptest::option::of("\\PC{0,200}"),
        (any::<i64>(), proptest::option::of(1i64..i64::MAX), proptest::option::of("/\\PC{0,30}")),
    )
        .prop_map(|((script, name, account, cpus), environment, labels, comment, rest)| {
            let mut request = JobRequest::new(script);
            request.name = Some(name);
            request.account = Some(account);
            request.cpus = crate::job::spec::CpusAsked::Count(cpus);
            request.environment = environment;
            request.labels = labels;
            request.comment = comment;
            (request.priority, request.memory_bytes, request.working_directory) = rest;
            request
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// No poisoned batch: whatever passes the door commits.
    #[test]
    fn whatever_passes_the_door_commits(requests in proptest::collection::vec(requests(), 1..8)) {
        let Some(mut world) = World::new() else { return Ok(()) };
        let specs: Vec<Arc<JobSpec>> = requests
            .into_iter()
            .filter_map(|r| JobSpec::try_from((r, &site())).ok().map(Arc::new))
            .collect();
        prop_assume!(!specs.is_empty());
        let (elsewhere, me) = (DependencySnapshot::default(), "me".into());
        let (ids, step) = world.kernel.submit(specs.clone(), &elsewhere, &me, Time(1));
        world.commit(step);
        for (id, spec) in ids.iter().zip(&specs) {
            let (row, _) = world.job(*id).unwrap();
            prop_assert_eq!(&row.name, &spec.name);
            let id = *id;
            let script = world.database().readers().unwrap().read(|db| db.script(id)).unwrap();
            let script = script.unwrap();
            prop_assert_eq!(&script.script, &spec.script);
            prop_assert_eq!(&script.environment, &spec.environment);
        }
    }
}
