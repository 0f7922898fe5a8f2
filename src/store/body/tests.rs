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
mod counts;
mod damage;
mod folded;
mod forgotten;
mod mend;
mod migrations;
mod orders;
mod pages;
mod requeued;
mod samples;
mod used;
mod writes;

use std::sync::Arc;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use proptest::prelude::*;

use super::events;
use super::load::load;
use super::read;
use super::write::Writer;
use super::{Conn, Db};
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
use crate::store::backend::Database;
use crate::store::error::StoreError;
use crate::store::events::EventFilter;
use crate::store::filter::JobFilter;
use crate::store::read::{DbSnapshot, JobAndAllocation};
use crate::store::write::CommitError;
use crate::time::Time;

struct World {
    dir: tempfile::TempDir,
    writer: Writer,
    kernel: Kernel,
    outbox: Outbox<()>,
}

fn site() -> Site {
    Site { total_cpus: 4, kill_grace_s: 30, output_roots: Vec::new(), ..Site::default() }
}

fn boot(writer: &mut Writer) -> (Kernel, Outbox<()>) {
    boot_over(writer, None)
}

/// The same on a server that hands out so much memory.
fn boot_over(writer: &mut Writer, memory: Option<u64>) -> (Kernel, Outbox<()>) {
    let loaded = load(writer.connection().unwrap(), Rules::default()).unwrap();
    let kernel = KernelBuilder::of(loaded.memory).cpus(4).memory(memory).build();
    (kernel, Outbox::new(writer.epoch(), loaded.commit_no))
}

/// What a pass would start.
fn planned(kernel: &Kernel) -> Plan {
    let policy = Policy::default();
    plan(policy, &kernel.input(&policy, Time(2)))
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(Database::new(dir.path().join("t.db"))).unwrap();
        let (kernel, outbox) = boot(&mut writer);
        World { dir, writer, kernel, outbox }
    }

    fn database(&self) -> Database {
        Database::new(self.dir.path().join("t.db"))
    }

    fn next(&mut self, step: Step) -> Commit {
        self.outbox.push(step, true, ());
        self.outbox.take(&self.kernel).unwrap()
    }

    fn commit(&mut self, step: Step) {
        let commit = self.next(step);
        self.writer.commit(&commit).unwrap();
        self.kernel.made_durable(self.outbox.settle(commit.no).effects);
    }

    fn submission(&mut self, job: impl Into<JobRequest>) -> (JobId, Step) {
        self.submission_at(job, Time(1))
    }

    fn submission_at(&mut self, job: impl Into<JobRequest>, now: Time) -> (JobId, Step) {
        let spec = Arc::new(JobSpec::try_from((job.into(), &site())).unwrap());
        let (ids, step) =
            self.kernel.submit(vec![spec], &DependencySnapshot::default(), &"me".into(), now);
        (ids[0], step)
    }

    fn submit(&mut self) -> JobId {
        let (id, step) = self.submission(job());
        self.commit(step);
        id
    }

    fn start(&mut self) {
        let (_, _, step) = self.kernel.start(&planned(&self.kernel), Time(2));
        self.commit(step);
    }

    fn fact(&mut self, id: JobId, fact: Fact) -> Step {
        self.kernel.fact(Attempt { job: id, n: 1 }, fact, Time(4)).unwrap()
    }

    fn batch(&mut self, sql: &str) {
        self.writer.connection().unwrap().batch_execute(sql).unwrap();
    }

    fn job(&self, id: JobId) -> Option<JobAndAllocation> {
        self.database().readers().unwrap().read(|db| db.job(id)).unwrap().value
    }
}

const HANDLE: Handle = Handle { pid: 77, start_time: Time(3) };

fn exited() -> Fact {
    Fact::Exited(Exit {
        handle: Some(HANDLE),
        usage: Usage { user_us: 5, system_us: 6, max_rss_bytes: 7 },
        ..exit(3, Time(4))
    })
}

#[test]
fn a_life_is_remembered_and_the_end_gives_the_cpus_back_in_one_commit() {
    let mut world = World::new();
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
    let mut world = World::new();
    let running = world.submit();
    world.start();
    let step = world.fact(running, Fact::Started(HANDLE));
    world.commit(step);
    let waiting = world.submit();
    let mut writer = Writer::open(world.database()).unwrap();
    let (kernel, _) = boot(&mut writer);
    assert_eq!(kernel.live()[&running].state.word(), StateWord::Running);
    assert_eq!(kernel.ledger().used(), 1);
    assert!(kernel.queue().get(waiting).is_some());
    assert_eq!(kernel.next_ids().0, JobId(waiting.0 + 1), "ids go on, also of ended jobs");
}

#[test]
fn the_memory_that_a_job_holds_outlives_the_server() {
    let mut world = World::new();
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
    let mut world = World::new();
    let newer = Writer::open(world.database()).unwrap();
    assert_eq!(newer.epoch(), Epoch(2));
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
    let mut world = World::new();
    let (_, step) = world.submission(job());
    let mut commit = world.next(step);
    commit.no = CommitNo(7);
    let refused = world.writer.commit(&commit).unwrap_err();
    assert!(matches!(refused, CommitError::Fatal(StoreError::Fenced { at: 0, .. })), "{refused}");
}

#[test]
fn a_job_that_is_not_as_the_kernel_knows_it_is_a_disagreement() {
    let mut world = World::new();
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
    let mut world = World::new();
    world.submit();
    world.batch("INSERT INTO held_units VALUES ('cpu', 0, 99)");
    let (_, _, step) = world.kernel.start(&planned(&world.kernel), Time(2));
    let commit = world.next(step);
    let refused = world.writer.commit(&commit).unwrap_err();
    assert!(matches!(refused, CommitError::Fatal(StoreError::Disagrees(_))), "{refused}");
}

#[test]
fn the_database_refuses_a_second_unreleased_allocation_of_a_job() {
    let mut world = World::new();
    let id = world.submit();
    world.batch(&format!(
        "INSERT INTO resource_allocations (id, job_id, attempt, allocated_cpus, cpu_ids, released, \
         allocation_time, nonce, boot_id) VALUES (99, {id}, 9, 1, '[3]', 0, 0, '', '')"
    ));
    let (_, _, step) = world.kernel.start(&planned(&world.kernel), Time(2));
    let commit = world.next(step);
    assert!(matches!(world.writer.commit(&commit), Err(CommitError::Fatal(_))));
}

#[test]
fn a_commit_whose_answer_was_lost_succeeds_when_it_is_asked_again() {
    let mut world = World::new();
    let (id, step) = world.submission(job());
    let commit = world.next(step);
    world.writer.commit(&commit).unwrap();
    world.writer.lose_connection();
    world.writer.commit(&commit).unwrap();
    assert!(world.job(id).is_some());
}

#[test]
fn a_full_disk_stores_nothing_and_passes() {
    let mut world = World::new();
    world.submit();
    let pages = "SELECT page_count AS n FROM pragma_page_count";
    #[derive(QueryableByName)]
    struct N {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        n: i64,
    }
    let conn = world.writer.connection().unwrap();
    let now = diesel::sql_query(pages).get_result::<N>(conn).unwrap().n;
    world.batch(&format!("PRAGMA max_page_count = {now}"));
    let (id, step) = world.submission(JobRequest::new("#".repeat(1 << 20)));
    let commit = world.next(step);
    let refused = world.writer.commit(&commit).unwrap_err();
    assert!(
        matches!(&refused, CommitError::NotCommitted(e) if e.to_string().contains("full")),
        "{refused}"
    );
    assert!(world.job(id).is_none());
    // The writer has a new connection by now, which is not bound to that size.
    world.writer.commit(&commit).unwrap();
    assert!(world.job(id).is_some());
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let mut world = World::new();
    world.batch("INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')");
    let refused = Writer::open(world.database()).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("newer Downbeat"), "{refused}");
    assert!(refused.to_string().contains("t.db"), "{refused}");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    std::fs::write(&path, "my diary, not a database, long enough to be read as a header").unwrap();
    let refused = Writer::open(Database::new(&path)).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("t.db"), "{refused}");
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("my diary"));
}

#[test]
fn readers_cannot_write() {
    let world = World::new();
    let readers = world.database().readers().unwrap();
    let refused = readers.within(|c| Ok(c.batch_execute("DELETE FROM jobs")?)).unwrap_err();
    assert!(refused.to_string().contains("readonly"), "{refused}");
}

#[test]
fn keys_are_found_and_forgotten_after_a_day() {
    let mut world = World::new();
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
    let mut world = World::new();
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

/// `print_schema` would say the same as `schema.rs`: names, order and types.
#[test]
fn the_schema_file_is_the_migrated_database() {
    #[derive(QueryableByName)]
    struct Column {
        #[diesel(sql_type = diesel::sql_types::Text)]
        line: String,
    }
    let mut world = World::new();
    let file = include_str!("../schema.rs");
    let conn = world.writer.connection().unwrap();
    for table in [
        "meta",
        "jobs",
        "job_scripts",
        "resource_allocations",
        "held_units",
        "job_counts",
        "events",
        "idempotency_keys",
        "job_labels",
        "submit_time_falls",
        "audit",
    ] {
        let columns: Vec<Column> = diesel::sql_query(format!(
            "SELECT name || ' -> ' || CASE \"notnull\" WHEN 0 THEN 'Nullable<' ELSE '' END || \
             CASE WHEN pk AND type = 'INTEGER' THEN 'BigInt' WHEN type = 'BIGINT' THEN 'BigInt' \
             WHEN type = 'INTEGER' THEN 'Integer' WHEN type = 'TEXT' THEN 'Text' \
             WHEN type = 'BOOLEAN' THEN 'Bool' ELSE type END || \
             CASE \"notnull\" WHEN 0 THEN '>' ELSE '' END || ',' AS line \
             FROM pragma_table_info('{table}') ORDER BY cid"
        ))
        .load(conn)
        .unwrap();
        let begin = file.find(&format!("    {table} (")).unwrap();
        let body = &file[begin..begin + file[begin..].find("    }\n").unwrap()];
        let lines: Vec<&str> = body.lines().skip(1).map(str::trim).collect();
        let migrated: Vec<&str> = columns.iter().map(|c| c.line.as_str()).collect();
        assert_eq!(lines, migrated, "{table}");
    }
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
        let mut world = World::new();
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

#[test]
fn a_log_that_was_given_room_is_read_after_a_crash() {
    let mut world = World::new();
    let log = world.dir.path().join("t.db-wal");
    let length = std::fs::metadata(&log).unwrap().len();
    assert!(length >= 4_000 * 4_096, "the log has its full length at once: {length}");
    let jobs: Vec<JobId> = (0..3).map(|_| world.submit()).collect();
    assert_eq!(std::fs::metadata(&log).unwrap().len(), length, "commits do not lengthen it");
    // As a killed server leaves it: nobody has closed the database.
    let after = tempfile::tempdir().unwrap();
    for name in ["t.db", "t.db-wal"] {
        std::fs::copy(world.dir.path().join(name), after.path().join(name)).unwrap();
    }
    let mut writer = Writer::open(Database::new(after.path().join("t.db"))).unwrap();
    let (kernel, _) = boot(&mut writer);
    assert_eq!(kernel.queue().iter().map(|job| job.id).collect::<Vec<_>>(), jobs);
}
