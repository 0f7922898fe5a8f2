//! *Purpose*: a wish to run a job again, on its way through the resource manager.
//!
//! *Owns*: the handler of [`RequeueJob`].
//!
//! *Promises*: a job that was over goes back only if nothing has changed it since it was read.
//!
//! *Not here*: what a requeue does (`kernel::commands::requeue`), which changes count
//! (`kernel::outbox`).

use actix::prelude::*;

use super::asked;
use super::state::ResourceManagerActor;
use crate::actors::messages::{NotDurable, RequeueAnswer, RequeueJob};
use crate::clock;
use crate::job::ids::JobId;
use crate::kernel::outbox::ReadFreshness;

impl ResourceManagerActor {
    fn is_open(&self, job: JobId) -> bool {
        self.kernel.queue().get(job).is_some() || self.kernel.live().contains_key(&job)
    }
}

impl Handler<RequeueJob> for ResourceManagerActor {
    type Result = ResponseFuture<Result<RequeueAnswer, NotDurable>>;

    fn handle(&mut self, message: RequeueJob, ctx: &mut Self::Context) -> Self::Result {
        let RequeueJob { job, over, hold, by } = message;
        if let Some((_, read_at)) = &over
            && !self.is_open(job)
            && let ReadFreshness::LookAgain(at) = self.outbox.check_over(job, *read_at)
        {
            return Box::pin(async move { Ok(RequeueAnswer::LookAgain(at)) });
        }
        let now = clock::now();
        let (requeued, mut step) = match over {
            Some((over, _)) => self.kernel.requeue_over(over, hold, &by, now),
            None => self.kernel.requeue_asked(job, hold, &by, now),
        };
        asked(&mut step, (&by, "requeue"), (Some(job), 1), now);
        let noted = self.note(step, ctx);
        self.set_alarm(ctx);
        Box::pin(async move { noted.await.map(|()| RequeueAnswer::Done(requeued)) })
    }
}
