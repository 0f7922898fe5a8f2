//! *Purpose*: what remembering costs: whole lives of jobs through the writer, durable, in batches
//! of 1 to 1,000, and the largest submission; beside it the bare `fdatasync` of the same disk.
//!
//! *Owns*: criterion benches of commits.
//!
//! *Promises*: a real file with `synchronous=FULL`, in the temporary folder.
//!
//! *Not here*: actors and processes (`benches/compare`).

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::Write;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use downbeat::job::ids::{Attempt, CommitNo, Epoch, JobId};
use downbeat::job::outcome::{Exit, Handle};
use downbeat::kernel::change::Step;
use downbeat::kernel::outbox::Outbox;
use downbeat::kernel::parts::eligibility::DependencySnapshot;
use downbeat::kernel::state::Kernel;
use downbeat::kernel::testing::job::job;
use downbeat::kernel::testing::{KernelBuilder, exit};
use downbeat::kernel::transition::Fact;
use downbeat::policy::plan::Plan;
use downbeat::store::backend::Database;
use downbeat::store::writer::Writer;
use downbeat::time::Time;

/// CPUs: enough for the largest batch to run at once.
const CPUS: u32 = 1_000;
/// Jobs of the largest submission.
const BATCH: usize = 10_000;

struct World {
    kernel: Kernel,
    outbox: Outbox<()>,
    writer: Box<dyn Writer>,
    _dir: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let writer = Database::file(dir.path().join("bench.db")).writer().unwrap();
        let kernel = KernelBuilder::new().cpus(CPUS).build();
        let outbox = Outbox::new(Epoch(1), CommitNo(0));
        World { kernel, outbox, writer, _dir: dir }
    }

    fn commit(&mut self, step: Step) {
        self.outbox.push(step, false, ());
        let commit = self.outbox.take(&self.kernel).unwrap();
        self.writer.commit(&commit).unwrap();
        self.kernel.made_durable(self.outbox.settle(commit.no).effects);
    }

    /// One durable submission of so many jobs.
    fn submit(&mut self, batch: usize) -> Vec<JobId> {
        let specs = vec![job().spec(); batch];
        let (ids, step) =
            self.kernel.submit(specs, &DependencySnapshot::default(), &"bench".into(), Time(0));
        self.commit(step);
        ids
    }

    /// Submit; grant; start and end: three commits for `batch` lives.
    fn lives(&mut self, batch: usize) {
        let ids = self.submit(batch);
        let (_, _, step) =
            self.kernel.start(&Plan { start: ids.clone(), ..Plan::default() }, Time(1));
        self.commit(step);
        let mut both = Step::default();
        for id in ids {
            let attempt = Attempt { job: id, n: 1 };
            let handle = Handle { pid: 1, start_time: Time(2) };
            let exit = Exit { handle: Some(handle), ..exit(0, Time(3)) };
            for fact in [Fact::Started(handle), Fact::Exited(exit)] {
                both.changes.extend(self.kernel.fact(attempt, fact, Time(3)).unwrap().changes);
            }
        }
        self.commit(both);
    }
}

fn benches(c: &mut Criterion) {
    let mut group = c.benchmark_group("lives, three durable commits");
    group.sample_size(20);
    for batch in [1, 10, 100, 1_000] {
        let mut world = World::new();
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(format!("batch of {batch}"), |b| b.iter(|| world.lives(batch)));
    }
    group.finish();
    let mut group = c.benchmark_group("submission, one durable commit");
    group.sample_size(10).throughput(Throughput::Elements(BATCH as u64));
    let mut world = World::new();
    group.bench_function(format!("{BATCH} jobs"), |b| b.iter(|| world.submit(BATCH)));
    group.finish();
    let mut file = tempfile::tempfile().unwrap();
    c.bench_function("bare append and fdatasync of 4 KiB", |b| {
        b.iter(|| {
            file.write_all(&[0; 4096]).unwrap();
            file.sync_data().unwrap();
        });
    });
}

criterion_group!(group, benches);
criterion_main!(group);
