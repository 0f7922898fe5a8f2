//! *Purpose*: follows one attempt as `actors::executor` does, a step at a time.
//!
//! *Owns*: what one executor remembers, and the [`News`] it sends.
//!
//! *Promises*: one message at a time, sent again until it is acknowledged; a spool folder is
//! forgotten only after the acknowledgement of the end.
//!
//! *Not here*: what a fact leads to (`kernel::transition`).

use downbeat::engine::{AttemptStatus, ExitRecord, Stopping};
use downbeat::job::ids::Attempt;
use downbeat::job::outcome::{Exit, Handle, Stop, Usage};
use downbeat::kernel::transition::Fact;
use downbeat::time::Time;

use super::disk::Disk;
use super::engine::Engine;

/// A fact on its way; unlike [`Fact`] it can be doubled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    Started(Handle),
    Exited(Exit),
    LaunchFailed(String),
    LimitReached,
    Lost,
    Vanished(&'static str),
}

impl News {
    pub fn fact(&self) -> Fact {
        match self.clone() {
            News::Started(handle) => Fact::Started(handle),
            News::Exited(exit) => Fact::Exited(exit),
            News::LaunchFailed(why) => Fact::LaunchFailed(why),
            News::LimitReached => Fact::LimitReached,
            News::Lost => Fact::Lost,
            News::Vanished(why) => Fact::Vanished(why.to_owned()),
        }
    }

    /// Whether the attempt is over with it.
    pub fn is_last(&self) -> bool {
        matches!(self, News::Exited(_) | News::LaunchFailed(_) | News::Vanished(_))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Executor {
    /// Granted just now: nobody can know it yet.
    pub fresh: bool,
    /// Something may have changed.
    pub awake: bool,
    pub stop: bool,
    /// A message is on its way or waits for durability.
    pub telling: bool,
    told_started: bool,
    told_limit: bool,
    /// Its end is durable, the last acknowledgement is not there yet.
    pub retired: bool,
}

/// What the world decides about one step of an executor.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    pub now: Time,
    /// Whether a wish to end the attempt arrives.
    pub control_arrives: bool,
    /// Whether processes that are killed die at once.
    pub killed_die: bool,
}

impl Executor {
    pub fn new(fresh: bool, stop: bool) -> Executor {
        Executor { fresh, stop, awake: true, ..Executor::default() }
    }

    /// Whether a step leads anywhere.
    pub fn can_step(&self, engine: &Engine) -> bool {
        self.awake && !self.telling && !self.retired && engine.ready
    }

    /// Looks, acts, and answers what it tells.
    pub fn step(
        &mut self,
        attempt: Attempt,
        disk: &Disk,
        engine: &mut Engine,
        given: Circumstances,
    ) -> Option<News> {
        // Its end may be durable already, the answer still on its way.
        let row = disk.live(attempt)?;
        self.awake = false;
        let status = match std::mem::take(&mut self.fresh) {
            true => AttemptStatus::NeverStarted,
            false => engine.reattach(attempt, &row.boot),
        };
        let news = match status {
            AttemptStatus::NeverStarted if self.stop => Some(News::Exited(never_ran(given.now))),
            AttemptStatus::NeverStarted => {
                self.awake = !engine.launch(attempt, row.cpus.clone());
                None
            }
            AttemptStatus::Launching => self.control(attempt, engine, given),
            AttemptStatus::Running { handle, .. } if !self.told_started => {
                (self.told_started, self.awake) = (true, true);
                Some(News::Started(handle))
            }
            AttemptStatus::Running { stopping: Some(Stopping::Told(Stop::TimeLimit)), .. }
                if !self.told_limit =>
            {
                (self.told_limit, self.awake) = (true, true);
                Some(News::LimitReached)
            }
            AttemptStatus::Running { .. } => self.control(attempt, engine, given),
            AttemptStatus::Exited(record) => Some(end_of(record)),
            AttemptStatus::Lost => self.lost(attempt, engine, given),
            AttemptStatus::Foreign(_) => Some(News::Vanished("the machine was restarted")),
        };
        self.telling = news.is_some();
        news
    }

    fn control(
        &mut self,
        attempt: Attempt,
        engine: &mut Engine,
        given: Circumstances,
    ) -> Option<News> {
        if self.stop && given.control_arrives {
            engine.cancel(attempt);
        }
        None
    }

    fn lost(
        &mut self,
        attempt: Attempt,
        engine: &mut Engine,
        given: Circumstances,
    ) -> Option<News> {
        if engine.kill_leftovers(attempt, given.killed_die) == 0 {
            return Some(News::Vanished("the supervisor was killed"));
        }
        self.awake = true;
        Some(News::Lost)
    }
}

fn never_ran(now: Time) -> Exit {
    Exit {
        exit_code: None,
        stop: Some(Stop::Cancelled),
        handle: None,
        end_time: now,
        usage: Usage::default(),
        out_of_memory: None,
        left_behind: Vec::new(),
    }
}

fn end_of(record: ExitRecord) -> News {
    match record.launch_error {
        Some(error) => News::LaunchFailed(error),
        None => News::Exited(Exit {
            exit_code: record.exit_code,
            stop: record.stop,
            handle: record.handle,
            end_time: record.end_time,
            usage: record.usage,
            out_of_memory: record.out_of_memory,
            left_behind: Vec::new(),
        }),
    }
}
