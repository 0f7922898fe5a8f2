//! *Purpose*: what the engine keeps in memory of attempts: whom to wake when one may have a new
//! answer.
//!
//! *Owns*: of each attempt its kept hint, through which step daemon it was sent, the lock of a lost
//! one.
//!
//! *Promises*: a hint that comes while nobody waits is kept; forgetting all of this (a new
//! server) loses no truth.
//!
//! *Not here*: the truth (`spool`), the socket that hints come from (`client`).

use std::collections::HashMap;
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::notice::Notice;
use super::state::State;
use crate::engine::{EngineError, ExitRecord, LimitWish, Trouble};

/// A mutex whose holder cannot leave half a change behind: its poison says nothing.
pub fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is kept of one attempt.
#[derive(Debug, Default)]
pub struct Entry {
    /// The kept hint.
    pub hint: Notify,
    /// The lock of a lost attempt, so that nobody else takes it.
    pub lost: Mutex<Option<File>>,
    /// What its `state` said last, for when that is taken away.
    pub seen: Mutex<Option<State>>,
    /// The number of its user, if that is not the server's own.
    pub owner: OnceLock<u32>,
    /// Whether an order is being written and sent.
    pub under_way: AtomicBool,
    /// Why the last order could not be written or sent.
    pub failure: Mutex<Option<EngineError>>,
    /// Whether its end was reported, or found: without a record it is lost.
    pub over: AtomicBool,
    /// Whether its supervisor said so: its record is true.
    pub told: AtomicBool,
    /// Since when its supervisor has been seen to live without the lock.
    pub unlocked_since: Mutex<Option<Instant>>,
    /// That record, if it came with the word.
    pub record: Mutex<Option<Box<ExitRecord>>>,
    /// How long it may live.
    pub overtime: Mutex<Overtime>,
    sent: AtomicU64,
}

/// When the supervisor of an attempt must have ended it, by the clock of this server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overtime {
    /// Since when it has been seen running.
    pub since: Option<Instant>,
    /// How long it may run by its order.
    pub limit: Option<Duration>,
    /// How long it may run by what this server wished since.
    pub wished: Option<LimitWish>,
    /// Since when it is suspended, which does not count.
    pub suspended: Option<Instant>,
    /// How long it may take to end then, or after a cancel.
    pub grace: Duration,
    /// When it was first told to end.
    pub stop_asked: Option<Instant>,
}

impl Overtime {
    /// From now on it is suspended, or is not.
    pub fn suspend(&mut self, suspend: bool, now: Instant) {
        match self.suspended {
            None if suspend => self.suspended = Some(now),
            Some(then) if !suspend => {
                let passed = now.saturating_duration_since(then);
                self.since = self.since.and_then(|since| since.checked_add(passed));
                self.suspended = None;
            }
            _ => {}
        }
    }

    /// Whether it should have ended by now, `late` included.
    #[must_use]
    pub fn is_over(&self, now: Instant, late: Duration) -> bool {
        let passed = |from: Instant, time: Duration| {
            from.checked_add(time + self.grace + late).is_some_and(|due| now > due)
        };
        let limit = self.wished.map_or(self.limit, LimitWish::time);
        let counts = self.suspended.is_none();
        let by_limit = self.since.zip(limit).filter(|_| counts);
        let by_limit = by_limit.is_some_and(|(since, limit)| passed(since, limit));
        by_limit || self.stop_asked.is_some_and(|asked| passed(asked, Duration::ZERO))
    }
}

impl Entry {
    /// Through which generation of step daemon the order was sent; 0 for none of this server.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }

    /// See [`Entry::sent`].
    pub fn set_sent(&self, generation: u64) {
        self.sent.store(generation, Ordering::Release);
    }
}

/// All attempts the engine has been asked about, by key name, and what some of them wait for.
#[derive(Debug, Default)]
pub struct Attempts {
    entries: Mutex<HashMap<String, Arc<Entry>>>,
    trouble: watch::Sender<Trouble>,
}

impl Attempts {
    /// The entry of this name, made when missing.
    #[must_use]
    pub fn entry(&self, name: &str) -> Arc<Entry> {
        let mut map = held(&self.entries);
        if let Some(entry) = map.get(name) {
            return Arc::clone(entry);
        }
        Arc::clone(map.entry(name.to_owned()).or_default())
    }

    /// The entry of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Entry>> {
        held(&self.entries).get(name).cloned()
    }

    /// Forgets this name and gives up its lock.
    pub fn forget(&self, name: &str) {
        self.begin_anew(name);
        self.is_out_of_trouble(name);
    }

    /// The same for one that is about to be ordered again: what it waits for stays known.
    pub fn begin_anew(&self, name: &str) {
        held(&self.entries).remove(name);
    }

    /// What attempts wait for, as it changes.
    #[must_use]
    pub fn trouble(&self) -> watch::Receiver<Trouble> {
        self.trouble.subscribe()
    }

    fn is_in_trouble(&self, name: &str, why: &str) {
        self.trouble.send_if_modified(|trouble| {
            let before = trouble.0.insert(name.to_owned(), why.to_owned());
            let is_news = before.as_deref() != Some(why);
            if is_news {
                log::warn!("Attempt {name} waits, and is tried again: {why}");
            }
            is_news
        });
    }

    fn is_out_of_trouble(&self, name: &str) {
        self.trouble.send_if_modified(|trouble| trouble.0.remove(name).is_some());
    }

    /// Wakes, or keeps the hint for, whoever waits for what this notice names.
    pub fn hear(&self, notice: Notice) {
        let name = match &notice {
            Notice::Ready => return,
            Notice::NotTaken(name, why)
            | Notice::GivenBack(name, why)
            | Notice::Trouble(name, why) => {
                self.is_in_trouble(name, why);
                name
            }
            Notice::Changed(name) | Notice::Ended(name, _) | Notice::Died(name) => {
                self.is_out_of_trouble(name);
                name
            }
        };
        // An attempt that is unknown here was forgotten: a late hint about it is no news.
        if let Some(entry) = self.get(name) {
            match notice {
                Notice::NotTaken(..) => entry.set_sent(0),
                // Nothing has become of it.
                Notice::Trouble(..) => return,
                Notice::Ended(_, record) => {
                    *held(&entry.record) = record;
                    entry.told.store(true, Ordering::Release);
                    entry.over.store(true, Ordering::Release);
                }
                Notice::GivenBack(..) => {
                    entry.told.store(true, Ordering::Release);
                    entry.over.store(true, Ordering::Release);
                }
                Notice::Died(_) => entry.over.store(true, Ordering::Release),
                Notice::Changed(_) | Notice::Ready => {}
            }
            entry.hint.notify_one();
        }
    }

    /// Wakes everybody: a step daemon is gone, with it orders it had not taken and the deaths of
    /// supervisors that it would have told.
    pub fn hint_all(&self) {
        for entry in held(&self.entries).values() {
            entry.hint.notify_one();
        }
    }
}
