//! *Purpose*: jobs that are suspended or go on, on their way through the resource manager.
//!
//! *Owns*: the handler of [`SuspendJob`].
//!
//! *Promises*: whoever is told that a job is suspended can rely on it, whatever becomes of the
//! server.
//!
//! *Not here*: which jobs can be (`kernel::commands::suspend`).

use actix::prelude::*;

use super::asked_more;
use super::state::ResourceManagerActor;
use crate::actors::messages::{NotDurable, SuspendJob};
use crate::clock;
use crate::kernel::commands::suspend::Suspended;

impl Handler<SuspendJob> for ResourceManagerActor {
    type Result = ResponseFuture<Result<Suspended, NotDurable>>;

    fn handle(&mut self, message: SuspendJob, ctx: &mut Self::Context) -> Self::Result {
        let (SuspendJob { job, whole, suspend, by }, now) = (message, clock::now());
        let (suspended, mut step) = self.kernel.suspend((job, whole), suspend, &by, now);
        let verb = if suspend { "suspend" } else { "unsuspend" };
        asked_more(&mut step, (&by, verb), (Some(job), 1), now, String::new());
        let noted = self.note(step, ctx);
        Box::pin(async move { noted.await.map(|()| suspended) })
    }
}
