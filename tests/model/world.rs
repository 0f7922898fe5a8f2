//! *Purpose*: the small world as a value, and every step that it can take.
//!
//! *Owns*: [`Bounds`], [`Act`], [`World`].
//!
//! *Promises*: a step is taken on a copy; two worlds that can only go on alike are one (event
//! and commit numbers grow with every step and decide nothing, so they are not compared); every
//! step uses something up (an order, a message, a step of a job's life, a fault), so no life
//! goes in circles and one that cannot go on is at its end.
//!
//! *Not here*: what a step does (`protocol`), what must be true (`main`).

use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use downbeat::job::ids::{Attempt, CommitNo, JobId};
use downbeat::job::outcome::{ExitCode, Stop};
use downbeat::job::retry_policy::{Cause, RetryPolicy};
use downbeat::job::spec::JobSpec;
use downbeat::job::state::StateWord;
use downbeat::kernel::change::Change;
use downbeat::kernel::outbox::Commit;
use downbeat::kernel::testing::job::job;
use downbeat::policy::name::Policy;
use downbeat::policy::pass::plan;
use downbeat::time::Time;

use super::protocol::checks;
use super::protocol::clients::Clients;
use super::protocol::disk::{Disk, Luck, Told};
use super::protocol::engine::{Engine, Tree};
use super::protocol::executor::Circumstances;
use super::protocol::server::{self, Flight, Reply, Server, Submission, memory};

/// Time stands still: order is explored, not duration.
const NOW: Time = Time(1);

/// How much of everything there is.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub cpus: u32,
    /// The CPUs of each job of each submission, in the order of submission.
    pub submissions: Vec<Vec<u32>>,
    pub faults: Faults,
}

/// What may still happen.
#[derive(Clone, Debug, Default, Hash, PartialEq, Eq)]
pub struct Faults {
    /// Crashes of the server.
    pub crashes: u8,
    /// Cancels by clients.
    pub cancels: u8,
    /// Commits that fail.
    pub refusals: u8,
    /// Step daemons killed.
    pub daemons: u8,
    /// Supervisors killed.
    pub supervisors: u8,
    /// Time limits that pass.
    pub limits: u8,
    /// Messages doubled.
    pub doubles: u8,
    /// Wishes to run a job again.
    pub requeues: u8,
    /// Retries of each job, after a limit, a loss or a failure.
    pub retries: u8,
    /// Whether the jobs of the last submission preempt the others.
    pub preempts: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Submit,
    Cancel(JobId),
    Requeue(JobId),
    Plan,
    Flush,
    Write(Luck),
    Answer,
    SendAgain,
    Sweep,
    Follow(Attempt),
    Hear(usize),
    HearTwice(usize),
    TakeOrder(usize),
    DaemonIsReady,
    Spawn(Attempt),
    Exit(Attempt),
    BeginStop(Attempt, Stop),
    /// The server dies.
    Crash,
    /// It dies after so many effects and answers of the commit that has come back.
    CrashAmid(usize),
    KillDaemon,
    KillSupervisor(Attempt),
}

#[derive(Clone)]
pub struct World {
    cpus: u32,
    /// What nobody has submitted yet, the next one last.
    to_submit: Vec<Vec<Arc<JobSpec>>>,
    left: Faults,
    crashed: bool,
    disk: Disk,
    engine: Engine,
    server: Server,
    clients: Clients,
    /// A living job was adopted by a new server.
    pub adopted: bool,
    /// The promise that was broken.
    pub broken: Option<String>,
}

fn spec(n: usize, width: u32, retries: u8, partition: Option<&str>) -> Arc<JobSpec> {
    let on = vec![Cause::Failed, Cause::Timeout, Cause::NodeFail];
    let policy = RetryPolicy { on, delay_s: 0, ..RetryPolicy::usual(retries.into()) };
    let job = job().named(format!("job {n}")).cpus(width).partition(partition);
    job.retry(Some(policy).filter(|_| retries > 0)).spec()
}

impl World {
    pub fn new(bounds: &Bounds) -> World {
        let (mut disk, mut engine) = (Disk::default(), Engine::default());
        if bounds.faults.preempts {
            disk.partitions = server::divided(bounds.cpus);
        }
        engine.daemon_is_ready();
        let server = Server::boot(bounds.cpus, &mut disk, &engine);
        let mut names = 1..;
        let retries = bounds.faults.retries;
        let mut job = |width, partition| spec(names.next().unwrap_or(0), width, retries, partition);
        let mut to_submit: Vec<Vec<_>> = Vec::new();
        for (n, widths) in bounds.submissions.iter().enumerate() {
            let last = n + 1 == bounds.submissions.len();
            let partition = if last { "urgent" } else { "batch" };
            let partition = bounds.faults.preempts.then_some(partition);
            to_submit.insert(0, widths.iter().map(|width| job(*width, partition)).collect());
        }
        World {
            cpus: bounds.cpus,
            to_submit,
            left: bounds.faults.clone(),
            crashed: false,
            disk,
            engine,
            server,
            clients: Clients::default(),
            adopted: false,
            broken: None,
        }
    }

    /// Every step that can be taken; none after a promise was broken.
    pub fn acts(&self, acts: &mut Vec<Act>) {
        if self.broken.is_none() {
            self.progress(acts);
            self.accidents(acts);
        }
    }

    /// What happens if nothing goes wrong.
    fn progress(&self, acts: &mut Vec<Act>) {
        let server = &self.server;
        if !self.to_submit.is_empty() && !server.trouble {
            acts.push(Act::Submit);
        }
        if server.kernel.wants_a_plan() && self.plan_starts_something() {
            acts.push(Act::Plan);
        }
        match &server.flight {
            Flight::None if server.outbox.is_ready() => acts.push(Act::Flush),
            Flight::None => {}
            Flight::Sent(_) => acts.push(Act::Write(Luck::Fine)),
            Flight::Answered(..) => acts.push(Act::Answer),
            Flight::Pausing(_) => acts.push(Act::SendAgain),
        }
        if self.engine.ready && server.would_adopt() {
            acts.push(Act::Sweep);
        }
        let can_step = server.executors.iter().filter(|(_, e)| e.can_step(&self.engine));
        acts.extend(can_step.map(|(attempt, _)| Act::Follow(*attempt)));
        acts.extend((0..server.mail.len()).map(Act::Hear));
        acts.extend((0..self.engine.orders.len()).map(Act::TakeOrder));
        if !self.engine.ready {
            acts.push(Act::DaemonIsReady);
        }
        for (attempt, folder) in self.engine.under_way() {
            match folder.tree {
                Some(Tree::Launching) => acts.push(Act::Spawn(attempt)),
                Some(Tree::Running(_)) => {
                    acts.push(Act::Exit(attempt));
                    if folder.cancel {
                        acts.push(Act::BeginStop(attempt, Stop::Cancelled));
                    }
                }
                _ => acts.push(Act::Exit(attempt)),
            }
        }
    }

    fn plan_starts_something(&self) -> bool {
        let policy = Policy::default();
        let input = self.server.kernel.input(&policy, NOW);
        let plan = plan(policy, &input);
        !plan.start.is_empty() || plan.preempt.is_some()
    }

    fn accidents(&self, acts: &mut Vec<Act>) {
        let left = &self.left;
        if left.cancels > 0 {
            let open = |id: &&JobId| !self.disk.rows[id].state.is_final();
            acts.extend(self.clients.stored.keys().filter(open).map(|id| Act::Cancel(*id)));
        }
        if left.requeues > 0 {
            acts.extend(self.clients.stored.keys().map(|id| Act::Requeue(*id)));
        }
        if left.refusals > 0 && matches!(self.server.flight, Flight::Sent(_)) {
            let bad = [Luck::Refused, Luck::DurableBlind, Luck::RefusedBlind];
            acts.extend(bad.map(Act::Write));
        }
        if left.crashes > 0 {
            acts.push(Act::Crash);
            if let Flight::Answered(commit, Told::Durable) = &self.server.flight {
                // At most two effects and an answer for each step; the others are the same.
                acts.extend((1..=commit.steps.len() * 2).map(Act::CrashAmid));
            }
        }
        if left.daemons > 0 && self.engine.ready {
            acts.push(Act::KillDaemon);
        }
        if left.doubles > 0 {
            acts.extend((0..self.server.mail.len()).map(Act::HearTwice));
        }
        for (attempt, folder) in self.engine.under_way() {
            if left.supervisors > 0 {
                acts.push(Act::KillSupervisor(attempt));
            }
            if left.limits > 0 && matches!(folder.tree, Some(Tree::Running(_))) {
                acts.push(Act::BeginStop(attempt, Stop::TimeLimit));
            }
        }
    }

    /// The world after a step; `None` when the step cuts nothing.
    pub fn after(&self, act: Act) -> Option<World> {
        let mut next = self.clone();
        let taken = catch_unwind(AssertUnwindSafe(|| {
            let taken = next.act(act);
            next.check();
            taken
        }));
        match taken {
            Ok(true) => Some(next),
            Ok(false) => None,
            Err(why) => {
                let text = why.downcast_ref::<String>().cloned();
                let text = text.or_else(|| why.downcast_ref::<&str>().map(|s| (*s).to_owned()));
                let broken = Some(text.unwrap_or_else(|| "a panic".to_owned()));
                Some(World { broken, ..self.clone() })
            }
        }
    }

    fn act(&mut self, act: Act) -> bool {
        match act {
            Act::Submit => self.submit(),
            Act::Cancel(job) => {
                self.left.cancels -= 1;
                self.clients.asked.insert(job);
                let reply = self.server.cancel(job, NOW);
                self.hear(reply);
            }
            Act::Requeue(job) => {
                self.left.requeues -= 1;
                let over = self.disk.over(job);
                self.clients.ask_again(job, over.is_some());
                let over = over.map(|over| (over, CommitNo(self.disk.commit_no)));
                let reply = self.server.requeue(job, over, NOW);
                self.hear(reply);
            }
            Act::Plan => {
                self.server.think(NOW);
                if let Some(plan) = self.server.plan.take() {
                    self.server.apply_plan(&plan, NOW);
                }
            }
            Act::Flush => drop(self.server.flush()),
            Act::Write(luck) => {
                self.left.refusals -= u8::from(luck != Luck::Fine);
                self.server.write(&mut self.disk, luck);
            }
            Act::SendAgain => self.server.send_again(),
            Act::Answer => return self.answer(None),
            Act::CrashAmid(cut) => return self.answer(Some(cut)),
            Act::Crash => self.crash(),
            Act::Sweep => {
                let alive =
                    self.engine.alive.keys().any(|a| !self.server.executors.contains_key(a));
                self.adopted |= self.server.sweep() > 0 && alive;
            }
            Act::Follow(attempt) => {
                let given = Circumstances { now: NOW, control_arrives: true, killed_die: true };
                self.server.follow(attempt, &self.disk, &mut self.engine, given);
            }
            Act::Hear(i) => drop(self.server.hear(i, false, &mut self.engine, NOW)),
            Act::HearTwice(i) => {
                self.left.doubles -= 1;
                self.server.hear(i, true, &mut self.engine, NOW);
            }
            other => self.engine_act(other),
        }
        true
    }

    fn engine_act(&mut self, act: Act) {
        let code = ExitCode { code: 0, signal: 0 };
        let attempt = match act {
            Act::TakeOrder(i) => self.engine.take_order(i),
            Act::Spawn(attempt) => {
                self.engine.spawn(attempt, NOW);
                attempt
            }
            Act::Exit(attempt) => {
                self.engine.exit(attempt, code, NOW);
                attempt
            }
            Act::BeginStop(attempt, why) => {
                self.left.limits -= u8::from(why == Stop::TimeLimit);
                self.engine.begin_stop(attempt, why);
                attempt
            }
            Act::KillSupervisor(attempt) => {
                self.left.supervisors -= 1;
                self.engine.supervisor_dies(attempt);
                attempt
            }
            Act::KillDaemon => {
                self.left.daemons -= 1;
                return self.engine.daemon_dies();
            }
            Act::DaemonIsReady => {
                // A new daemon is a reason to look: lost orders are seen.
                self.engine.daemon_is_ready();
                return self.server.executors.values_mut().for_each(|e| e.awake = true);
            }
            other => panic!("{other:?} is no act of the engine"),
        };
        if let Some(executor) = self.server.executors.get_mut(&attempt) {
            executor.awake = true;
        }
    }

    fn submit(&mut self) {
        let Some(specs) = self.to_submit.pop() else { return };
        let asked = Submission { specs, key: None };
        self.clients.send(&asked.names());
        let reply = self.server.submit(asked, NOW);
        self.hear(reply);
    }

    fn hear(&mut self, replies: impl IntoIterator<Item = Reply>) {
        for reply in replies {
            self.clients.hear(reply, &self.disk);
        }
    }

    fn answer(&mut self, cut: Option<usize>) -> bool {
        match self.server.answer(&self.disk, &mut self.engine, cut, NOW) {
            Ok(replies) if cut.is_none() => self.hear(replies),
            Ok(_) => return false,
            Err((_, replies)) => {
                self.hear(replies);
                self.crash();
            }
        }
        true
    }

    fn crash(&mut self) {
        self.left.crashes -= 1;
        self.crashed = true;
        self.engine.daemon_dies();
        self.server = Server::boot(self.cpus, &mut self.disk, &self.engine);
        self.clients.check_stored(&self.disk);
    }

    /// What must be true after each step; when nothing more can happen, also what is promised
    /// for the end.
    fn check(&mut self) {
        checks::no_cpu_leaks(&self.server, &self.disk, &self.engine);
        checks::stops_follow_cancels(&self.server, &self.disk);
        self.clients.check_refused(&self.disk);
        checks::ends_are_true(&self.disk, &self.engine, &self.clients);
        self.disk.just_ended.clear();
        self.disk.just_past.clear();
    }

    /// If nothing more happens by itself, every job has ended, as was said, and all is free.
    pub fn rests_as_it_should(&self) -> bool {
        let mut acts = Vec::new();
        self.progress(&mut acts);
        if !acts.is_empty() || self.broken.is_some() {
            return true;
        }
        let ends = catch_unwind(AssertUnwindSafe(|| self.clients.check_ends(&self.disk)));
        ends.is_ok()
            && self.server.is_at_rest()
            && self.server.kernel.ledger().used() == 0
            && self.engine.alive.is_empty()
    }

    pub fn crashed(&self) -> bool {
        self.crashed
    }

    pub fn all_are(&self, word: StateWord) -> bool {
        self.to_submit.is_empty()
            && self.clients.stored.len() == self.disk.rows.len()
            && self.disk.rows.values().all(|row| row.state == word)
    }

    pub fn some_is(&self, word: StateWord) -> bool {
        self.disk.rows.values().any(|row| row.state == word)
    }

    /// It went back into the queue, and nobody had asked for that.
    pub fn retried(&self) -> bool {
        self.disk.rows.values().any(|row| row.retries > 0)
    }

    /// It ran twice because somebody asked.
    pub fn ran_again(&self) -> bool {
        let twice = |r: &super::protocol::disk::Row| r.retries == 0 && r.queued.attempts > 1;
        self.disk.rows.values().any(|row| twice(row) && row.state == StateWord::Completed)
    }

    /// Somebody wanted it to run again, and somebody wanted it to end.
    pub fn cancelled_on_its_way_back(&self) -> bool {
        let past = |r: &super::protocol::disk::Row| r.restarts > 0;
        self.disk.rows.values().any(|row| past(row) && row.state == StateWord::Cancelled)
    }

    pub fn cancelled_unstarted(&self) -> bool {
        let cancelled = |r: &super::protocol::disk::Row| r.state == StateWord::Cancelled;
        self.disk.rows.values().any(|row| cancelled(row) && row.queued.attempts == 0)
    }

    /// The script was over before the wish to end it came through.
    pub fn saw_code_of_cancelled(&self) -> bool {
        self.disk.rows.values().any(|row| {
            let record = self.engine.records.get(&row.attempt());
            row.state == StateWord::Cancelled
                && record.is_some_and(|r| r.stop.is_none() && r.exit_code.is_some())
        })
    }

    /// A job has made room for another.
    pub fn made_room(&self) -> bool {
        self.disk.rows.values().any(|row| !row.victims.is_empty())
    }

    pub fn unknown_is_durable(&self) -> bool {
        let durable = |commit: &Commit| commit.no.0 == self.disk.commit_no;
        matches!(&self.server.flight, Flight::Pausing(Some(commit)) if durable(commit))
    }

    /// All that decides how it goes on, as text.
    fn essence(&self) -> String {
        let mut text = String::with_capacity(4_096);
        let server = &self.server;
        let _ = write!(text, "{:?}", (&self.left, self.to_submit.len(), self.adopted));
        let _ = write!(text, "{:?}{:?}", self.crashed, &self.broken);
        for row in self.disk.rows.values() {
            let end = row.end.as_ref().map(|e| e.exit_code);
            let started = row.handle.is_some();
            let _ = write!(text, "{:?}", (row.state, &row.cpus, started, row.completing, end));
            let _ = write!(text, "{:?}", (row.attempt(), row.retries, row.restarts));
            let _ = write!(text, "{:?}{:?}", row.room_since, row.victims);
        }
        let memory = memory(&server.kernel);
        let _ = write!(text, "{:?}{:?}", memory.pending, memory.next_job);
        let _ = write!(text, "{:?}", server.kernel.unstored());
        let _ = write!(text, "{:?}{:?}", memory.retries, memory.claims);
        for live in memory.live {
            let started = live.handle.is_some();
            let _ = write!(text, "{:?}", (live.job, live.cpus, started, live.completing));
        }
        let is_durable = |no: i64| no == self.disk.commit_no;
        let _ = match &server.flight {
            Flight::None => write!(text, "none"),
            Flight::Sent(commit) => write!(text, "sent {}", is_durable(commit.no.0)),
            Flight::Answered(_, told) => write!(text, "answered {told:?}"),
            Flight::Pausing(commit) => {
                let durable = commit.as_ref().map(|commit| is_durable(commit.no.0));
                write!(text, "pausing {durable:?}")
            }
        };
        let _ = write!(text, "{}{}", server.outbox.len(), server.trouble);
        for (changes, ticket) in server.outbox.steps() {
            let _ = write!(text, "{ticket:?}");
            for change in changes {
                let event = change.event().map(|e| (e.job, e.to, e.cause));
                let end = match change {
                    Change::Ended { end, .. } => end.exit_code,
                    Change::Requeued { past: Some(past), .. } => past.end.exit_code,
                    _ => None,
                };
                let _ = write!(text, "{:?}", (event, end));
            }
        }
        let _ = write!(text, "{:?}{:?}", server.executors, server.mail);
        let _ = write!(text, "{:?}{:?}", server.snapshot.cpus, self.clients);
        let engine = &self.engine;
        for (attempt, folder) in &engine.spool {
            let tree = match &folder.tree {
                Some(Tree::Ended(_)) => "ended".to_owned(),
                tree => format!("{tree:?}"),
            };
            let _ = write!(text, "{attempt}{}{}{tree}", folder.order.is_some(), folder.cancel);
        }
        for (attempt, record) in &engine.records {
            let _ = write!(text, "{attempt}{:?}{:?}", record.exit_code, record.stop);
        }
        let _ = write!(text, "{}{:?}{:?}", engine.ready, engine.orders, engine.alive);
        let _ = write!(text, "{:?}", engine.spawned);
        text
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.essence().as_bytes());
    }
}

impl PartialEq for World {
    fn eq(&self, other: &World) -> bool {
        self.essence() == other.essence()
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.broken {
            Some(broken) => write!(f, "broken: {broken}"),
            None => {
                let states: Vec<_> = self.disk.rows.values().map(|row| row.state).collect();
                write!(f, "{states:?}, {:?}, alive {:?}", self.server.flight, self.engine.alive)
            }
        }
    }
}
