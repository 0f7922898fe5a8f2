//! *Purpose*: times in which no job may run.
//!
//! *Owns*: [`Windows`], [`Maintenance`].
//!
//! *Promises*: a window has one number as long as it stands; there are at most [`WINDOWS_MAX`].
//!
//! *Not here*: how a pass heeds a window (`policy::input`), what becomes durable of it
//! (`kernel::commands::maintenance`).
//!
//! A drained server is in a window that began when it was drained and has no end.

use std::sync::Arc;

use crate::policy::input::Window;
use crate::resources::capacity::RegionSet;
use crate::time::Time;

/// Most windows at a time: they are made by hand.
pub const WINDOWS_MAX: usize = 100;

/// A time in which no job may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintenance {
    /// Its number.
    pub id: i64,
    /// Its first instant.
    pub start: Time,
    /// The first instant after it; `None` until somebody ends it.
    pub end: Option<Time>,
    /// What it is for.
    pub reason: Arc<str>,
    /// Who wants it.
    pub principal: Arc<str>,
}

impl Maintenance {
    /// As a pass sees it.
    #[must_use]
    pub fn window(&self) -> Window {
        let end = self.end.map_or(i64::MAX, |end| end.0);
        Window { start: self.start.0, end, regions: RegionSet::ALL }
    }
}

/// Why there is no such window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaintenanceRefused {
    /// It would be over before it begins, or is over already.
    #[error("it would end before it begins, or has ended already")]
    Over,
    /// There are too many.
    #[error("there are {WINDOWS_MAX} windows already; end some with `downbeat resume`")]
    TooMany,
}

/// The windows that stand, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub struct Windows(Vec<Maintenance>);

impl Windows {
    /// Those that the database remembers.
    #[must_use]
    pub fn new(windows: Vec<Maintenance>) -> Windows {
        Windows(windows)
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Maintenance] {
        &self.0
    }

    /// From `start` to `end` no job may run.
    ///
    /// # Errors
    /// When that time is over, or there are too many.
    pub fn add(
        &mut self,
        (start, end): (Time, Option<Time>),
        reason: &Arc<str>,
        principal: &Arc<str>,
        now: Time,
    ) -> Result<Maintenance, MaintenanceRefused> {
        if end.is_some_and(|end| end <= start || end <= now) {
            return Err(MaintenanceRefused::Over);
        }
        if self.0.len() >= WINDOWS_MAX {
            return Err(MaintenanceRefused::TooMany);
        }
        let id = self.0.last().map_or(1, |last| last.id + 1);
        let (reason, principal) = (Arc::clone(reason), Arc::clone(principal));
        let window = Maintenance { id, start, end, reason, principal };
        self.0.push(window.clone());
        Ok(window)
    }

    /// Takes out those that are over, and answers them.
    pub fn end(&mut self, over: impl Fn(&Maintenance) -> bool) -> Vec<Maintenance> {
        let mut gone = Vec::new();
        self.0.retain(|window| {
            let over = over(window);
            gone.extend(over.then(|| window.clone()));
            !over
        });
        gone
    }

    /// When the next window is over.
    #[must_use]
    pub fn next_end(&self) -> Option<Time> {
        self.0.iter().filter_map(|window| window.end).min()
    }
}
