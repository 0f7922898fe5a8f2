//! *Purpose*: wakes those who wait for events.
//!
//! *Owns*: a watch of the last event id and one list of waiters by job.
//!
//! *Promises*: it carries no events: who is woken reads them, so history and live are one path
//! and a slow client costs nothing; who has gone away is forgotten, also where nothing changes
//! any more.
//!
//! *Not here*: events themselves (`store::read`), streams (`api::events`).

use std::collections::HashMap;

use actix::prelude::*;
use tokio::sync::{oneshot, watch};

use super::messages::{Await, Changes, Publish};
use crate::job::ids::{EventId, JobId};

/// Mailbox: registrations of as many clients as a server has connections.
const MAILBOX: usize = 4_096;

/// The hub.
pub struct EventHub {
    last_event: watch::Sender<EventId>,
    waiters: HashMap<JobId, Vec<oneshot::Sender<()>>>,
    /// With so many jobs waited for, those that nobody waits for any more are looked for.
    tidy_at: usize,
}

/// As few jobs as that are not worth tidying.
const TIDY_MIN: usize = 64;

impl EventHub {
    /// A hub that tells this watch.
    #[must_use]
    pub fn new(last_event: watch::Sender<EventId>) -> EventHub {
        EventHub { last_event, waiters: HashMap::new(), tidy_at: TIDY_MIN }
    }
}

impl Actor for EventHub {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Publish> for EventHub {
    type Result = ();

    fn handle(&mut self, message: Publish, _: &mut Self::Context) {
        for job in message.changed {
            for waiter in self.waiters.remove(&job).into_iter().flatten() {
                // A waiter that went away meanwhile is what it is.
                let _gone = waiter.send(());
            }
        }
        self.last_event.send_replace(message.last_event);
    }
}

impl Handler<Await> for EventHub {
    type Result = Changes;

    fn handle(&mut self, Await { job }: Await, _: &mut Self::Context) -> Changes {
        // Who waits for a job that has ended already, or never was, reads its row and goes: no
        // change will ever clear him away. Doubling makes this cheap however many wait.
        if self.waiters.len() >= self.tidy_at {
            self.waiters.retain(|_, waiters| waiters.iter().any(|w| !w.is_closed()));
            self.tidy_at = TIDY_MIN.max(2 * self.waiters.len());
        }
        let (tell, told) = oneshot::channel();
        let waiters = self.waiters.entry(job).or_default();
        waiters.retain(|w| !w.is_closed());
        waiters.push(tell);
        Changes(told)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn who_went_away_is_forgotten_though_nothing_changes() {
        let mut hub = EventHub::new(watch::channel(EventId(0)).0);
        let mut ctx = Context::new();
        let _stays = hub.handle(Await { job: JobId(0) }, &mut ctx);
        for job in 1..10_000 {
            drop(hub.handle(Await { job: JobId(job) }, &mut ctx));
        }
        assert!(hub.waiters.len() <= TIDY_MIN, "{} are kept", hub.waiters.len());
        assert!(hub.waiters.contains_key(&JobId(0)));
    }
}
