//! *Purpose*: has kept what was measured: each minute, and what attempts used.
//!
//! *Owns*: the timer of minutes, the handler of [`KeepUsage`].
//!
//! *Promises*: a minute is written with the next commit, or alone when it is over and nothing else
//! happens: one write a minute at most. While the database takes no commits none is kept for
//! later: it will be missing, and nothing piles up.
//!
//! *Not here*: adding up (`kernel::parts::samples`), rows (`store`).

use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::state::ResourceManagerActor;
use super::ticket::Ticket;
use crate::actors::messages::KeepUsage;
use crate::clock;
use crate::job::state::StateWord;
use crate::kernel::change::{Change, Step};
use crate::kernel::parts::samples::{Counts, MINUTE_US, Sample, minute_of};
use crate::kernel::views::sampled;

impl ResourceManagerActor {
    /// Adds up to now, and does so again when the minute is over.
    pub(super) fn sample(&mut self, ctx: &mut Context<Self>) {
        let levels = sampled::levels(&self.outlets.snapshot.borrow());
        let over = self.samples.at(clock::now(), levels, Counts::default());
        self.keep(over, ctx);
        let now = clock::now();
        let left = minute_of(now).0 + MINUTE_US - now.0;
        // A clock that was set meanwhile is read again then.
        ctx.run_later(Duration::from_micros(left.unsigned_abs()), |actor, ctx| actor.sample(ctx));
    }

    /// Puts minutes that are over into the outbox.
    pub(super) fn keep(&mut self, over: Vec<Sample>, ctx: &mut Context<Self>) {
        if over.is_empty() || self.stopping || self.trouble.is_some() {
            return;
        }
        let changes = over.into_iter().map(Change::Sampled).collect();
        let (reply, _nobody_waits) = oneshot::channel();
        self.put(Step { changes, effects: vec![] }, false, Ticket::Noted(reply), ctx);
    }
}

/// What these changes tell of. A start that is heard of with its end counts with that.
pub(super) fn counts<'a>(changes: impl Iterator<Item = &'a Change>) -> Counts {
    let mut counts = Counts::default();
    for change in changes {
        let waited_us = match change {
            Change::Started { waited_us, .. } => Some(*waited_us),
            Change::Ended { waited_us, .. } => *waited_us,
            _ => None,
        };
        if let Some(waited_us) = waited_us {
            counts.started += 1;
            counts.waited_us = counts.waited_us.saturating_add(waited_us.max(0));
        }
        if let Change::Ended { event, .. } = change {
            match event.to {
                StateWord::Completed => counts.ended_ok += 1,
                _ => counts.ended_not_ok += 1,
            }
        }
    }
    counts
}

impl Handler<KeepUsage> for ResourceManagerActor {
    type Result = ();

    fn handle(&mut self, message: KeepUsage, ctx: &mut Self::Context) {
        if self.stopping {
            return;
        }
        let KeepUsage { attempt, series } = message;
        let changes = vec![Change::UsageKept { attempt, series }];
        let (reply, _nobody_waits) = oneshot::channel();
        self.put(Step { changes, effects: vec![] }, false, Ticket::Noted(reply), ctx);
    }
}
