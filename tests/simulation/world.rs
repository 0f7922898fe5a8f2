//! *Purpose*: one seed's world: clients, server, disk, engine, clock.
//!
//! *Owns*: the order of everything, drawn from the seed.
//!
//! *Promises*: after each step the kernel's invariants hold and those that only an outsider can
//! see (`protocol::checks`, `protocol::clients`); when the faults stop, everything comes to rest.
//!
//! *Not here*: what a step does (`protocol`), faults (`faults`).

use std::cmp::Reverse;
use std::sync::Arc;

use downbeat::job::ids::{Attempt, CommitNo, JobId};
use downbeat::job::retry_policy::{Cause, RetryPolicy};
use downbeat::job::spec::JobSpec;
use downbeat::job::state::StateWord;
use downbeat::kernel::admission::Site;
use downbeat::kernel::change::{PREEMPTED, REQUEUED};
use downbeat::kernel::commands::cancel::Cancelled;
use downbeat::kernel::commands::requeue::{EndedJob, Requeued};
use downbeat::kernel::parts::accounts::Accounts;
use downbeat::kernel::parts::limits::{AccountRule, AccountRules};
use downbeat::kernel::parts::rules::Rules;
use downbeat::kernel::testing::job::job;
use downbeat::resources::partitions::{Partition, Partitions};
use downbeat::time::Time;

use super::count::{Count, Event};
use super::protocol::checks;
use super::protocol::clients::Clients;
use super::protocol::disk::{Disk, Luck, Told};
use super::protocol::engine::{Engine, Tree};
use super::protocol::executor::Circumstances;
use super::protocol::server::{
    Edge, Flight, MEMORY, Reply, Server, Submission, divided, inventory,
};

pub const CPUS: u32 = 4;
/// Beyond so many waiting jobs nothing is submitted: a longer queue shows nothing new.
const QUEUE_MAX: usize = 50;
/// A commit of so many steps gathered them while another one was slow.
const MANY_STEPS: usize = 8;
/// How often jobs behind the head may be granted while one job stays the head, before that is
/// starvation: 23 is the most that a run has shown, 59 with a policy that forgets reservations.
const OVERTAKEN_MAX: u32 = 40;
/// Steps within which a world without faults must come to rest: many times what it takes.
const REST_MAX: u64 = 200_000;

/// No reader has looked for this key in the reign of this server.
const NEVER_READ: CommitNo = CommitNo(-1);

pub struct World {
    pub rng: fastrand::Rng,
    pub now: Time,
    pub disk: Disk,
    pub engine: Engine,
    pub server: Server,
    pub clients: Clients,
    pub faults: bool,
    pub steps: u64,
    pub count: Count,
    /// Until when the writer is busy.
    pub writer_busy_until: u64,
    names: u64,
    /// Submissions with a key that may be sent again, and what their reader saw.
    keyed: Vec<Submission>,
    /// A job that somebody will want to run again, as a reader found it at a commit.
    read: Option<(JobId, Option<EndedJob>, CommitNo)>,
    /// The head of the queue and how often it was overtaken.
    head: (Option<JobId>, u32),
    pub overtaken_max: u32,
}

fn site() -> Site {
    let partitions = divided(CPUS);
    Site {
        partitions,
        total_cpus: CPUS,
        inventory: Arc::new(inventory(CPUS)),
        kill_grace_s: 30,
        ..Site::default()
    }
}

impl World {
    pub fn new(seed: u64) -> World {
        let (mut disk, mut engine) = (Disk::default(), Engine::default());
        disk.partitions = divided(CPUS);
        // Some laws hold only as long as the rules stay.
        disk.other_rules = seed.is_multiple_of(2);
        engine.daemon_is_ready();
        let server = Server::boot(CPUS, &mut disk, &engine);
        World {
            rng: fastrand::Rng::with_seed(seed),
            now: Time(1_000_000_000_000),
            disk,
            engine,
            server,
            clients: Clients::default(),
            faults: true,
            steps: 0,
            count: Count::default(),
            writer_busy_until: 0,
            names: 0,
            keyed: Vec::new(),
            read: None,
            head: (None, 0),
            overtaken_max: 0,
        }
    }

    /// Whether a fault with this chance happens now.
    pub fn unlucky(&mut self, one_in: u32) -> bool {
        self.faults && self.rng.u32(..one_in) == 0
    }

    pub fn step(&mut self) {
        self.steps += 1;
        self.now = Time(self.now.0 + self.rng.i64(0..2_000_000));
        match self.rng.u8(..100) {
            0..4 if self.faults => self.submit(),
            4..6 if self.faults => self.cancel(),
            6 if self.faults => self.requeue(),
            7..14 => self.server.think(self.now),
            14..22 => self.apply_plan(),
            22..31 => self.flush(),
            31..41 => self.write(),
            41..51 => self.answer(),
            51..65 => self.follow(),
            65..75 => self.deliver(),
            75..96 => self.engine_step(),
            96..98 => self.sweep(),
            98 if self.faults => self.fault(),
            99 if self.faults && self.disk.other_rules => self.other_rules(),
            _ => {}
        }
        checks::no_cpu_leaks(&self.server, &self.disk, &self.engine);
        checks::stops_follow_cancels(&self.server, &self.disk);
    }

    fn submit(&mut self) {
        if self.server.kernel.queue().len() >= QUEUE_MAX {
            return;
        }
        let again = !self.keyed.is_empty() && self.rng.u8(..4) == 0;
        let asked = if again { self.old_submission() } else { Some(self.new_submission()) };
        let Some(asked) = asked else { return };
        self.clients.send(&asked.names());
        if let Some(reply) = self.server.submit(asked, self.now) {
            self.hear(vec![reply]);
        }
    }

    fn new_submission(&mut self) -> Submission {
        let specs = (0..self.rng.u32(1..4)).map(|_| self.spec()).collect();
        let key = (self.rng.u8(..3) == 0)
            .then(|| (format!("key {}", self.names), CommitNo(self.server.snapshot.commit_no.0)));
        let asked = Submission { specs, key };
        if asked.key.is_some() {
            self.keyed.push(asked.clone());
        }
        asked
    }

    fn spec(&mut self) -> Arc<JobSpec> {
        self.names += 1;
        let mut job = job()
            .named(format!("job {}", self.names))
            .cpus(self.rng.u32(1..=CPUS))
            .priority(self.rng.i64(0..3));
        let urgent = self.rng.u8(..4) == 0;
        job = job.partition(urgent.then_some("urgent"));
        if self.rng.bool() {
            job = job.time_limit(self.rng.i64(1..600));
        }
        if self.rng.bool() {
            job = job.memory(self.rng.i64(1..=MEMORY as i64));
        }
        if self.rng.u8(..3) == 0 {
            let all = [("gpu", 3), ("gpu:a", 1), ("gpu:b", 1), ("license/m", 2)];
            let (name, most) = all[self.rng.usize(..all.len())];
            job = job.asks(name, self.rng.u64(1..=most));
        }
        if self.rng.u8(..6) == 0 {
            let causes = [Cause::Failed, Cause::Timeout, Cause::NodeFail];
            let on = vec![causes[self.rng.usize(..causes.len())]];
            // Nobody rings here, so nobody waits for a time.
            let usual = RetryPolicy::usual(self.rng.u32(1..4));
            job = job.retry(RetryPolicy { on, delay_s: 0, ..usual });
        }
        job.spec_on(&site())
    }

    /// A client sends a keyed submission again. Its reader looks first, now or some time ago.
    fn old_submission(&mut self) -> Option<Submission> {
        let i = self.rng.usize(..self.keyed.len());
        let (key, read_at) = self.keyed[i].key.clone()?;
        if read_at == NEVER_READ || self.rng.bool() {
            self.keyed[i].key = Some((key.clone(), self.server.snapshot.commit_no));
            if self.disk.keys.contains_key(&key) {
                // Answered from the table.
                self.count.happened(Event::KeyFoundStored);
                self.keyed.swap_remove(i);
                return None;
            }
        }
        self.count.happened(Event::KeySentAgain);
        Some(self.keyed[i].clone())
    }

    /// What a reader of a former server saw is not carried to the next: the request died with it.
    pub fn forget_reads(&mut self) {
        self.read = None;
        for (_, read_at) in self.keyed.iter_mut().filter_map(|asked| asked.key.as_mut()) {
            *read_at = NEVER_READ;
        }
    }

    fn cancel(&mut self) {
        let Some(id) = self.a_job_to_cancel() else { return };
        self.clients.asked.insert(id);
        // Impatient clients ask twice.
        for _ in 0..self.rng.u8(1..3) {
            if let Some(reply) = self.server.cancel(id, self.now) {
                self.hear(vec![reply]);
            }
        }
    }

    /// Somebody wants a job to run again. Its reader looked now, or some time ago.
    fn requeue(&mut self) {
        let Some(id) = self.a_job_to_cancel() else { return };
        let read = (id, self.disk.over(id), CommitNo(self.disk.commit_no));
        let late = self.rng.u8(..3) == 0;
        let now = if late { self.read.replace(read) } else { Some(read) };
        let Some((id, over, read_at)) = now else { return };
        self.clients.ask_again(id, over.is_some());
        let over = over.map(|over| (over, read_at));
        if let Some(reply) = self.server.requeue(id, over, self.now) {
            self.hear(vec![reply]);
        }
    }

    /// One that runs, or one of the newest: waiting, starting, or ended long ago.
    fn a_job_to_cancel(&mut self) -> Option<JobId> {
        let alive: Vec<JobId> = self.engine.alive.keys().map(|attempt| attempt.job).collect();
        let id = if !alive.is_empty() && self.rng.bool() {
            alive[self.rng.usize(..alive.len())]
        } else {
            JobId(self.clients.stored.last_key_value()?.0.0 - self.rng.i64(0..15))
        };
        self.clients.stored.contains_key(&id).then_some(id)
    }

    pub fn hear(&mut self, replies: Vec<Reply>) {
        for reply in replies {
            match &reply {
                Reply::Submitted(_, ids) => {
                    for _ in ids {
                        self.count.happened(Event::JobAcknowledged);
                    }
                }
                Reply::NothingStored(_) => self.count.happened(Event::SubmissionRefused),
                Reply::LookAgain(_) => self.count.happened(Event::ToldToLookAgain),
                Reply::Cancelled(_, Cancelled::NotLive) => {}
                Reply::Cancelled(..) => self.count.happened(Event::CancelAcknowledged),
                Reply::Requeued(_, None) => self.count.happened(Event::RequeueToldToLookAgain),
                Reply::Requeued(_, Some(Requeued::Stopping)) => {
                    self.count.happened(Event::RequeueAcknowledged);
                }
                Reply::Requeued(_, Some(Requeued::Waiting)) => {
                    self.count.happened(Event::Revived);
                }
                Reply::Requeued(_, Some(Requeued::Cancelling)) => {
                    self.count.happened(Event::RequeueAfterCancel);
                }
                Reply::Requeued(..) => {}
            }
            self.clients.hear(reply, &self.disk);
        }
    }

    fn first_in_line(&self) -> Option<JobId> {
        let waiting = self.server.kernel.queue().iter();
        waiting.min_by_key(|job| (Reverse(job.priority), job.id)).map(|job| job.id)
    }

    /// Somebody has the settings read again. They are the first ones again after a crash.
    fn other_rules(&mut self) {
        let mut list: Vec<Partition> = self.disk.partitions.iter().cloned().collect();
        let (batch, urgent) = list.split_at_mut(1);
        match self.rng.u8(..8) {
            0 => batch[0].up = false,
            1 => batch[0].max_cpus = Some(self.rng.u32(1..CPUS)),
            2 => urgent[0].max_limit_s = Some(self.rng.u32(1..600)),
            3 => urgent[0].preempts = 0,
            4 => batch[0].cpus.retain(|_| self.rng.bool()),
            _ => {}
        }
        // The names of those that wait and run find no partition, or theirs again.
        list.truncate(if self.rng.u8(..8) == 0 { 1 } else { 2 });
        let few = |rng: &mut fastrand::Rng| (rng.u8(..4) == 0).then(|| rng.u32(..CPUS));
        let (cpus, jobs) = (few(&mut self.rng), few(&mut self.rng));
        let (max_running_cpus, max_running_jobs) = (cpus, jobs);
        let rule = AccountRule { max_running_cpus, max_running_jobs, ..AccountRule::default() };
        let others = (cpus.is_some() || jobs.is_some()).then_some(rule);
        let rules = AccountRules { others, ..AccountRules::default() };
        self.server.reconfigure(
            Rules {
                partitions: Arc::new(Partitions::new(list, 0).unwrap()),
                accounts: Accounts::new(Arc::new(rules), None),
                ..Rules::default()
            },
            self.now,
        );
        self.count.happened(Event::OtherRules);
    }

    fn first_rules(&mut self) {
        let partitions = Arc::clone(&self.disk.partitions);
        self.server.reconfigure(Rules { partitions, ..Rules::default() }, self.now);
    }

    /// Nobody is kept by rules that somebody changed.
    fn has_first_rules(&self) -> bool {
        Arc::ptr_eq(&self.server.kernel.rules().partitions, &self.disk.partitions)
    }

    fn apply_plan(&mut self) {
        let Some(mut plan) = self.server.plan.take() else { return };
        if self.unlucky(10) {
            // Doubled, unknown and ended jobs.
            plan.start.extend(self.clients.stored.keys().rev().take(2));
            plan.start.push(JobId(i64::MAX));
            self.server.plan = Some(plan.clone());
        }
        let head = self.first_in_line().filter(|_| self.has_first_rules());
        let (started, stale) = self.server.apply_plan(&plan, self.now);
        self.count.happened_if(Event::PlanStale, stale > 0);
        if head != self.head.0 {
            self.head = (head, 0);
        }
        if head.is_some() && self.first_in_line() == head {
            self.head.1 += started;
            self.overtaken_max = self.overtaken_max.max(self.head.1);
            assert!(self.head.1 <= OVERTAKEN_MAX, "job {head:?} starves");
        }
    }

    fn flush(&mut self) {
        let steps = self.server.flush();
        self.count.happened_if(Event::ManyStepsInOneCommit, steps >= MANY_STEPS);
        if steps == 0 {
            self.server.send_again();
            return;
        }
        self.writer_busy_until = self.steps;
        if self.unlucky(12) {
            self.count.happened(Event::SlowCommit);
            self.writer_busy_until += self.rng.u64(20..150);
        }
    }

    fn write(&mut self) {
        if self.steps < self.writer_busy_until {
            return;
        }
        let luck = self.luck();
        let Flight::Sent(commit) = &self.server.flight else { return };
        let (no, before) = (commit.no.0, self.disk.commit_no);
        match self.server.write(&mut self.disk, luck) {
            Some(Told::NotCommitted) => self.count.happened(Event::CommitRefused),
            Some(Told::Durable) if before == no => self.count.happened(Event::FoundDurableAtRetry),
            Some(Told::Durable) => {
                self.count.happened_if(Event::CommitAnswerLost, luck == Luck::AnswerLost);
            }
            Some(Told::Unknown) if self.disk.commit_no == no => {
                self.count.happened(Event::OutcomeUnknownDurable);
            }
            Some(Told::Unknown) => self.count.happened(Event::OutcomeUnknownNotDurable),
            None => {}
        }
        self.look_at_disk();
    }

    /// Another disk image: what was told to anyone, and what has ended, is true.
    pub fn look_at_disk(&mut self) {
        self.clients.check_refused(&self.disk);
        checks::ends_are_true(&self.disk, &self.engine, &self.clients);
        for (_, past) in std::mem::take(&mut self.disk.just_past) {
            self.count.happened(match past.state {
                REQUEUED => Event::WaitsAgain,
                PREEMPTED => Event::Preempted,
                _ => Event::Retried,
            });
        }
        for job in std::mem::take(&mut self.disk.just_ended) {
            let row = &self.disk.rows[&job];
            self.count.happened(match row.state {
                StateWord::Completed => Event::Completed,
                StateWord::Failed => Event::Failed,
                StateWord::Cancelled => Event::Cancelled,
                StateWord::Timeout => Event::TimedOut,
                _ => Event::LostToTheNode,
            });
            let times = row.end.as_ref().and_then(|e| Some((e.handle?.start_time, e.end_time)));
            self.count.happened_if(Event::EndedBeforeItStarted, times.is_some_and(|(s, e)| e < s));
        }
    }

    fn luck(&mut self) -> Luck {
        match self.rng.u8(..if self.faults { 30 } else { 1 }) {
            29 => Luck::Refused,
            28 => Luck::AnswerLost,
            27 => Luck::DurableBlind,
            26 => Luck::RefusedBlind,
            _ => Luck::Fine,
        }
    }

    fn answer(&mut self) {
        let cut = self.unlucky(25).then(|| self.rng.usize(..4));
        match self.server.answer(&self.disk, &mut self.engine, cut, self.now) {
            Ok(replies) => self.hear(replies),
            Err((edge, replies)) => {
                self.hear(replies);
                self.count.happened(match edge {
                    Edge::BeforeEffects => Event::CrashBeforeEffects,
                    Edge::AmongEffects => Event::CrashAmongEffects,
                    Edge::BeforeReplies => Event::CrashBeforeReplies,
                    Edge::AmongReplies => Event::CrashAmongReplies,
                });
                self.start_again();
            }
        }
    }

    fn follow(&mut self) {
        let attempts: Vec<Attempt> =
            self.server.executors.iter().filter(|(_, e)| e.awake).map(|(a, _)| *a).collect();
        if attempts.is_empty() {
            return;
        }
        let attempt = attempts[self.rng.usize(..attempts.len())];
        let stop_is_lost = self.unlucky(4);
        let given = Circumstances {
            now: self.now,
            control_arrives: !stop_is_lost,
            killed_die: !self.unlucky(3),
        };
        let executor = &self.server.executors[&attempt];
        let stops = executor.stop && executor.can_step(&self.engine);
        let alive = self.engine.alive.contains_key(&attempt);
        self.count.happened_if(Event::StopLost, stops && alive && stop_is_lost);
        self.server.follow(attempt, &self.disk, &mut self.engine, given);
        let lost = self.engine.spool.get(&attempt).is_some_and(|f| f.tree == Some(Tree::Lost));
        self.count.happened_if(Event::KilledTwice, lost && alive && !given.killed_die);
    }

    fn deliver(&mut self) {
        if self.server.mail.is_empty() {
            return;
        }
        let i = self.rng.usize(..self.server.mail.len());
        if self.unlucky(20) {
            self.count.happened(Event::MailLost);
            self.server.lose_mail(i);
            return;
        }
        // The first of twenty copies is dropped in the end: mail is not kept for ever.
        let doubled = self.server.mail.len() < 20 && self.unlucky(5);
        self.count.happened_if(Event::MailDoubled, doubled);
        let stale = self.server.hear(i, doubled, &mut self.engine, self.now);
        self.count.happened_if(Event::StaleFact, stale);
    }

    fn sweep(&mut self) {
        for _ in 0..self.server.sweep() {
            self.count.happened(Event::Adopted);
        }
    }

    /// The faults stop: every job ends, every CPU comes back, every code is true.
    pub fn come_to_rest(&mut self) {
        self.faults = false;
        self.first_rules();
        let end = self.steps + REST_MAX;
        while !self.server.is_at_rest() || !self.engine.alive.is_empty() {
            self.step();
            assert!(self.steps < end, "the world does not come to rest");
        }
        assert_eq!(self.server.kernel.ledger().used(), 0);
        self.clients.check_ends(&self.disk);
    }

    pub fn fingerprint(&self) -> String {
        format!("{:?}", (&self.disk, &self.engine, &self.clients, &self.count, self.steps))
    }
}
