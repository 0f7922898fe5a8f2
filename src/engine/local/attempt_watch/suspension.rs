//! *Purpose*: suspends a script with all that it started, and lets it go on.
//!
//! *Owns*: when it does so, and what of its time counts.
//!
//! *Promises*: only a script that runs is suspended; what is about to end goes on first; the time
//! in which it stood still counts neither for its limit nor for the signal before that; what cannot
//! be done now is said, and tried again.
//!
//! *Not here*: how processes are frozen (`freezer`).

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{AttemptWatch, Phase, due};
use crate::clock;
use crate::engine::local::freezer;
use crate::engine::local::served_attempt::{note, say};
use crate::engine::local::state::State;
use crate::fault;

impl AttemptWatch<'_, '_> {
    /// Now, as its limit counts: while it is suspended that stands still.
    pub(super) fn counted_now(&self) -> Instant {
        self.suspended.unwrap_or_else(clock::monotonic)
    }

    /// What the server wishes; answers nothing, since it wishes until it is done.
    pub(super) fn suspend_or_resume(&mut self, wished: bool) {
        let may = matches!(self.phase, Phase::Running { .. }) && self.exit_code.is_none();
        match self.suspended {
            None if wished && may => self.suspend(),
            Some(_) if !wished => self.resume(),
            _ => {}
        }
    }

    fn suspend(&mut self) {
        fault::point(fault::SUSPEND_READ);
        let since = clock::monotonic();
        let group = match self.group_to_freeze_in() {
            Ok(group) => group,
            Err(e) => return self.cannot("suspended", &e),
        };
        if let Err(e) = freezer::freeze(&group, self.me) {
            let _as_it_was = freezer::thaw(&group);
            return self.cannot("suspended", &e);
        }
        self.suspended = Some(since);
        fault::point(fault::SUSPENDED);
        self.tell_change();
    }

    /// Lets it go on, if it is suspended.
    pub(super) fn resume(&mut self) {
        let (Some(since), Some(group)) = (self.suspended, &self.attempt.frozen) else { return };
        if let Err(e) = freezer::thaw(group) {
            return self.cannot("resumed", &e);
        }
        self.suspended = None;
        self.count_on(clock::monotonic().saturating_duration_since(since));
        fault::point(fault::RESUMED);
        self.tell_change();
    }

    /// It stood still for so long.
    fn count_on(&mut self, stood: Duration) {
        self.started += stood;
        if let Some((at, _)) = &mut self.early {
            *at += stood;
        }
        if let Phase::Running { .. } = self.phase {
            self.phase = Phase::Running { limit: due(self.started, self.limit) };
        }
    }

    /// Its group; `state` names it before it is made, so that it is found if we are killed.
    fn group_to_freeze_in(&mut self) -> io::Result<PathBuf> {
        if let Some(group) = &self.attempt.frozen {
            // While nobody was in it, a server that starts may have removed it.
            freezer::make(group)?;
            return Ok(group.clone());
        }
        let name = &self.attempt.name;
        let group = self.attempt.config.freezer.group_of(self.script.pid, name)?;
        note(self.attempt, &State::group_line(&group));
        freezer::make(&group)?;
        self.attempt.frozen = Some(group.clone());
        Ok(group)
    }

    fn cannot(&self, what: &str, why: &io::Error) {
        say(self.attempt, &format!("the job cannot be {what}: {why}"));
    }
}
