//! *Purpose*: wakes those who wait for events.
//!
//! *Owns*: a watch of the last event id and one list of waiters by job.
//!
//! *Promises*: it carries no events: who is woken reads them, so history and live are one path
//! and a slow client costs nothing.
//!
//! *Not here*: events themselves (`store::read`), streams (`api::events`).

use std::collections::HashMap;

use actix::prelude::*;
use tokio::sync::{oneshot, watch};

use super::messages::{Await, Changes, Publish};
use crate::kernel::ids::{EventId, JobId};

/// Mailbox: registrations of as many clients as a server has connections.
const MAILBOX: usize = 4_096;

/// The hub.
pub struct EventHub {
    last_event: watch::Sender<EventId>,
    waiters: HashMap<JobId, Vec<oneshot::Sender<()>>>,
}

impl EventHub {
    /// A hub that tells this watch.
    #[must_use]
    pub fn new(last_event: watch::Sender<EventId>) -> EventHub {
        EventHub { last_event, waiters: HashMap::new() }
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
        let (tell, told) = oneshot::channel();
        let waiters = self.waiters.entry(job).or_default();
        waiters.retain(|w| !w.is_closed());
        waiters.push(tell);
        Changes(told)
    }
}
