//! *Purpose*: signals for running jobs, on their way through the resource manager.
//!
//! *Owns*: the handlers of [`SignalJob`] and [`SignalsGiven`].
//!
//! *Promises*: whoever is told that a signal is sent can rely on it, whatever becomes of the
//! server.
//!
//! *Not here*: to whom it goes (`kernel::commands::signal`).

use actix::prelude::*;

use super::asked_more;
use super::state::ResourceManagerActor;
use crate::actors::messages::{NotDurable, SignalJob, SignalsGiven};
use crate::clock;
use crate::job::signal::name_of;
use crate::kernel::commands::signal::Signalled;

impl Handler<SignalJob> for ResourceManagerActor {
    type Result = ResponseFuture<Result<Signalled, NotDurable>>;

    fn handle(&mut self, message: SignalJob, ctx: &mut Self::Context) -> Self::Result {
        let (SignalJob { job, whole, signal, by }, now) = (message, clock::now());
        let (signalled, mut step) = self.kernel.signal(job, whole, signal, &by, now);
        let name = name_of(signal.number).unwrap_or_default();
        let detail = format!("{name} to {}", signal.to.word());
        asked_more(&mut step, (&by, "signal"), (Some(job), 1), now, detail);
        let noted = self.note(step, ctx);
        Box::pin(async move { noted.await.map(|()| signalled) })
    }
}

impl Handler<SignalsGiven> for ResourceManagerActor {
    type Result = ();

    fn handle(&mut self, given: SignalsGiven, _: &mut Self::Context) {
        self.kernel.signals_given(given.attempt, given.last);
    }
}
