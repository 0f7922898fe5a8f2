//! *Purpose*: one seed's world: server memory, disk, engine, messages, clock.
//!
//! *Owns*: the order of everything, drawn from the seed.
//!
//! *Promises*: after each step the shared invariants hold, and those that only an outsider can
//! see: no tree lives without CPUs, no job is lost, none starts twice, no code is invented.
//!
//! *Not here*: the invariants of the kernel itself (`kernel::check`).

use std::collections::BTreeSet;
use std::sync::Arc;

use downbeat::kernel::change::{Effect, Step};
use downbeat::kernel::check;
use downbeat::kernel::ids::{Attempt, CommitNo, CpuId, Epoch, JobId};
use downbeat::kernel::job::{CpusAsked, JobRequest, JobSpec, LimitAsked, Site, StateWord};
use downbeat::kernel::kernel::{Kernel, Reign};
use downbeat::kernel::outbox::{Commit, Outbox};
use downbeat::kernel::policy::plan;
use downbeat::kernel::time::Time;
use downbeat::kernel::transition::Refused;

use super::disk::Disk;
use super::engine::Engine;

const CPUS: u32 = 4;

#[derive(Debug)]
enum Ticket {
    Submission(Vec<JobId>),
    Other,
}

pub struct World {
    rng: fastrand::Rng,
    now: Time,
    disk: Disk,
    engine: Engine,
    kernel: Kernel,
    outbox: Outbox<Ticket>,
    /// Sent to the writer; once the disk has acted, whether it is durable is under way.
    commit: Option<(Commit, Option<bool>)>,
    acknowledged: BTreeSet<JobId>,
    faults: bool,
    pub steps: u64,
    pub crashes: u64,
    pub lost_answers: u64,
    pub refused_commits: u64,
}

fn site() -> Site {
    Site {
        total_cpus: CPUS,
        default_limit_s: None,
        max_limit_s: None,
        kill_grace_s: 30,
        output_roots: Vec::new(),
    }
}

fn boot(disk: &mut Disk) -> (Kernel, Outbox<Ticket>) {
    let memory = disk.boot();
    let reign = Reign { boot_id: "boot".into(), nonce: disk.epoch.to_string().into() };
    let kernel = Kernel::load((0..CPUS).map(CpuId), reign, memory).unwrap();
    (kernel, Outbox::new(Epoch(disk.epoch), CommitNo(disk.commit_no)))
}

impl World {
    pub fn new(seed: u64) -> World {
        let mut disk = Disk::default();
        let (kernel, outbox) = boot(&mut disk);
        World {
            rng: fastrand::Rng::with_seed(seed),
            now: Time(1_000_000_000_000),
            disk,
            engine: Engine::default(),
            kernel,
            outbox,
            commit: None,
            acknowledged: BTreeSet::new(),
            faults: true,
            steps: 0,
            crashes: 0,
            lost_answers: 0,
            refused_commits: 0,
        }
    }

    pub fn step(&mut self) {
        self.steps += 1;
        self.now = Time(self.now.0 + self.rng.i64(0..2_000_000));
        match self.rng.u8(..100) {
            0..8 if self.faults && self.kernel.queue().len() < 50 => self.submit(),
            8..12 if self.faults => self.cancel(),
            12..30 => self.schedule(),
            30..50 => self.flush(),
            50..70 => self.answer(),
            70..86 => self.engine.advance(&mut self.rng, self.now, self.faults),
            86..97 => self.observe_one(),
            97 if self.faults => self.jump(),
            98 if self.faults && self.rng.bool() => self.crash(),
            _ => {}
        }
        self.check();
    }

    fn submit(&mut self) {
        let specs: Vec<Arc<JobSpec>> = (0..self.rng.u32(1..4))
            .map(|_| {
                let mut request = JobRequest::new("true");
                request.cpus = CpusAsked::Count(i64::from(self.rng.u32(1..=CPUS)));
                request.priority = self.rng.i64(0..3);
                if self.rng.bool() {
                    request.limit = LimitAsked::Seconds(self.rng.i64(1..600));
                }
                Arc::new(JobSpec::try_from((request, &site())).unwrap())
            })
            .collect();
        let (ids, step) = self.kernel.submit(specs, &"test".into(), self.now);
        self.outbox.push(step, true, Ticket::Submission(ids));
    }

    fn cancel(&mut self) {
        if self.acknowledged.is_empty() {
            return;
        }
        let newest = self.acknowledged.last().unwrap().0;
        let id = JobId((newest - self.rng.i64(0..20)).max(1));
        let (_, step) = self.kernel.cancel(&[id], &"test".into(), self.now);
        self.push(step);
    }

    fn schedule(&mut self) {
        let mut plan = plan(&self.kernel.view(), self.now);
        if self.faults && self.rng.u8(..10) == 0 {
            // A plan made of an old view: doubled, unknown and ended jobs.
            plan.start.extend(self.acknowledged.iter().rev().take(2));
            plan.start.push(JobId(i64::MAX));
        }
        let (_, _, step) = self.kernel.start(&plan, self.now);
        self.push(step);
    }

    /// A step without changes has nothing to wait for.
    fn push(&mut self, step: Step) {
        if !step.changes.is_empty() {
            self.outbox.push(step, false, Ticket::Other);
        }
    }

    /// The commit leaves, or the disk acts on the one that has left.
    fn flush(&mut self) {
        match &mut self.commit {
            None => self.commit = self.outbox.take(&self.kernel).map(|c| (c, None)),
            Some((commit, result @ None)) => {
                let durable = !(self.faults && self.rng.u8(..8) == 0);
                *result = Some(durable);
                self.refused_commits += u64::from(!durable);
                if durable {
                    self.disk.apply(commit);
                }
            }
            Some((_, Some(_))) => {}
        }
    }

    /// The writer's answer arrives. Where the answer of COMMIT itself was lost, the writer reads
    /// the commit number and answers as the disk has it, so what arrives is the truth, late.
    fn answer(&mut self) {
        if self.faults && self.rng.u8(..6) == 0 {
            self.lost_answers += u64::from(matches!(&self.commit, Some((_, Some(_)))));
            return;
        }
        let Some((commit, Some(durable))) = self.commit.take_if(|(_, result)| result.is_some())
        else {
            return;
        };
        if !durable {
            let dropped = self.outbox.give_up_submissions(commit.no);
            for ticket in dropped.tickets {
                let Ticket::Submission(ids) = ticket else { panic!("only submissions") };
                assert!(ids.iter().all(|id| !self.disk.rows.contains_key(id)), "nothing stored");
            }
            self.commit = dropped.retry.map(|commit| (commit, None));
            return;
        }
        let settled = self.outbox.settle(commit.no);
        let pending = self.disk.rows.values().filter(|r| r.state == StateWord::Pending).count();
        assert_eq!(settled.snapshot.pending, pending as u64, "the snapshot is the disk's truth");
        let held: usize = self.disk.rows.values().map(|r| r.cpus.len()).sum();
        assert_eq!(settled.snapshot.used_cpus as usize, held, "the snapshot is the disk's truth");
        for effect in settled.effects {
            self.cause(effect);
        }
        for ticket in settled.tickets {
            if let Ticket::Submission(ids) = ticket {
                self.acknowledged.extend(ids);
            }
        }
    }

    fn cause(&mut self, effect: Effect) {
        match effect {
            Effect::Admit(jobs) => self.kernel.admit(jobs),
            Effect::Launch(attempt) => self.engine.launch(attempt),
            Effect::Stop(attempt) => self.engine.stop(attempt),
            Effect::Retire(attempt) => {
                assert!(!self.engine.is_alive(attempt), "{attempt} retired alive");
            }
        }
    }

    /// A message about an attempt arrives; it may be of any attempt, old or new, and come twice.
    fn observe_one(&mut self) {
        let known: Vec<Attempt> = self.engine.attempts.keys().copied().collect();
        let live = self.disk.live_attempts();
        let pool = if self.rng.u8(..5) == 0 { &known } else { &live };
        if pool.is_empty() {
            return;
        }
        let attempt = pool[self.rng.usize(..pool.len())];
        for _ in 0..if self.faults { self.rng.u8(1..3) } else { 1 } {
            self.observe(attempt);
        }
    }

    fn observe(&mut self, attempt: Attempt) {
        if !self.disk.live_attempts().contains(&attempt) && self.engine.look(attempt).is_none() {
            return;
        }
        let Some(fact) = self.engine.look(attempt) else {
            // NeverStarted after a crash: ordering it again is safe.
            self.engine.launch(attempt);
            return;
        };
        match self.kernel.fact(attempt, fact, self.now) {
            Ok(step) => self.outbox.push(step, false, Ticket::Other),
            Err(Refused::Stale) => {}
            Err(Refused::Illegal) => panic!("an illegal fact about {attempt}"),
        }
    }

    fn jump(&mut self) {
        self.now = Time(self.now.0 + self.rng.i64(-86_400_000_000..86_400_000_000));
    }

    fn crash(&mut self) {
        self.crashes += 1;
        if let Some((commit, None)) = &self.commit
            && self.rng.bool()
        {
            self.disk.apply(commit);
        }
        self.commit = None;
        (self.kernel, self.outbox) = boot(&mut self.disk);
        // Boot asks about each live attempt; a cancel that was committed is ordered again.
        for attempt in self.disk.live_attempts() {
            if self.disk.rows[&attempt.job].completing.is_some() {
                self.engine.stop(attempt);
            }
            self.engine.launch(attempt);
        }
    }

    fn check(&self) {
        check::all(&self.kernel).unwrap();
        for (attempt, n) in &self.engine.spawns {
            assert_eq!(*n, 1, "{attempt} started twice");
        }
        // A tree that lives holds its CPUs, in memory and on disk.
        let on_disk = self.disk.live_attempts();
        for attempt in self.engine.attempts.keys().filter(|a| self.engine.is_alive(**a)) {
            assert!(self.kernel.live().contains_key(&attempt.job), "{attempt} lives without CPUs");
            assert!(on_disk.contains(attempt), "{attempt} lives without CPUs on disk");
        }
    }

    /// The faults stop: every job ends, every CPU comes back, every code is true.
    pub fn come_to_rest(&mut self) {
        self.faults = false;
        let mut quiet = 0;
        while quiet < 50 {
            self.step();
            quiet += 1;
            let rest = self.kernel.queue().is_empty()
                && self.kernel.live().is_empty()
                && self.outbox.is_idle()
                && self.commit.is_none();
            if !rest {
                quiet = 0;
            }
            assert!(self.steps < 1_000_000, "the world does not come to rest");
        }
        assert_eq!(self.kernel.ledger().used(), 0);
        for id in &self.acknowledged {
            let row = self.disk.rows.get(id).unwrap_or_else(|| panic!("job {id} is lost"));
            let end = row.end.as_ref().unwrap_or_else(|| panic!("job {id} did not end"));
            let attempt = Attempt { job: *id, n: 1 };
            if let Some(code) = end.exit_code {
                assert_eq!(i64::from(code.code), id.0 % 251, "job {id} has an invented code");
                assert_eq!(self.engine.spawns.get(&attempt), Some(&1));
            }
            if end.word == StateWord::Completed {
                assert_eq!(end.exit_code.map(|c| c.code), Some(0));
            }
        }
    }

    pub fn jobs_acknowledged(&self) -> u64 {
        self.acknowledged.len() as u64
    }

    pub fn fingerprint(&self) -> String {
        format!("{:?}", (&self.disk, &self.engine, self.steps))
    }
}
