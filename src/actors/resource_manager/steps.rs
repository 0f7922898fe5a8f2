//! *Purpose*: what jobs say of their steps, on its way through the resource manager.
//!
//! *Owns*: the handler of [`NoteStep`].
//!
//! *Promises*: it is answered when it is durable.
//!
//! *Not here*: whose steps are noted (`kernel::commands::step`).

use actix::prelude::*;

use super::state::ResourceManagerActor;
use crate::actors::messages::{NotDurable, NoteStep};
use crate::job::ids::Attempt;

impl Handler<NoteStep> for ResourceManagerActor {
    type Result = ResponseFuture<Result<Option<Attempt>, NotDurable>>;

    fn handle(&mut self, message: NoteStep, ctx: &mut Self::Context) -> Self::Result {
        let NoteStep { job, attempt, step } = message;
        let (attempt, step) = self.kernel.note_step(job, attempt, &step);
        let noted = self.note(step, ctx);
        Box::pin(async move { noted.await.map(|()| attempt) })
    }
}
