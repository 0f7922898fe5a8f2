//! *Purpose*: who waits for a step, and for what.
//!
//! *Owns*: [`Ticket`], and the answer that it holds until the step is durable.
//!
//! *Promises*: whoever no longer waits is passed over.
//!
//! *Not here*: when a step is durable (`resource_manager::commits`).

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::actors::messages::{Applied, NotDurable, SubmitRefused, Submitted};
use crate::kernel::commands::cancel::Cancelled;

/// What whoever noted something waits for.
pub(super) type Noted = ResponseFuture<Result<(), NotDurable>>;

/// Who waits for a step, and for what.
pub(super) enum Ticket {
    Submitted(oneshot::Sender<Result<Submitted, SubmitRefused>>, Submitted),
    Cancelled(oneshot::Sender<Vec<Cancelled>>, Vec<Cancelled>),
    Applied(oneshot::Sender<Applied>, Applied),
    Noted(oneshot::Sender<()>),
}

impl Ticket {
    pub(super) fn done(self) {
        // Whoever no longer waits reads the row instead.
        let _gone = match self {
            Ticket::Submitted(reply, submitted) => reply.send(Ok(submitted)).is_err(),
            Ticket::Cancelled(reply, outcomes) => reply.send(outcomes).is_err(),
            Ticket::Applied(reply, applied) => reply.send(applied).is_err(),
            Ticket::Noted(reply) => reply.send(()).is_err(),
        };
    }

    /// What it waited for will not be.
    pub(super) fn dropped(self, why: &str) {
        let _gone = match self {
            Ticket::Submitted(reply, _) => {
                reply.send(Err(SubmitRefused::NothingStored(why.to_owned()))).is_err()
            }
            Ticket::Applied(reply, _) => reply.send(Applied::default()).is_err(),
            // Never given up.
            Ticket::Cancelled(..) | Ticket::Noted(_) => true,
        };
    }
}

/// Ends when what was noted is durable.
pub(super) fn durable(answer: oneshot::Receiver<()>) -> Noted {
    Box::pin(async { answer.await.map_err(|_| NotDurable) })
}
