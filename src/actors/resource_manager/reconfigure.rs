//! *Purpose*: other settings, on their way through the resource manager.
//!
//! *Owns*: the handler of [`Reconfigure`].
//!
//! *Promises*: rules and dials change together or not at all; whoever asked is answered at once,
//! however long the disk takes to remember that a claim is gone.
//!
//! *Not here*: what other rules do (`kernel::commands::reconfigure`), reading settings (`config`).

use actix::prelude::*;
use tokio::sync::oneshot;

use super::state::ResourceManagerActor;
use super::ticket::Ticket;
use crate::actors::messages::Reconfigure;
use crate::clock;

impl Handler<Reconfigure> for ResourceManagerActor {
    type Result = MessageResult<Reconfigure>;

    fn handle(&mut self, message: Reconfigure, ctx: &mut Self::Context) -> Self::Result {
        let Reconfigure { rules, dials } = message;
        let step = match self.kernel.reconfigure(rules, clock::now()) {
            Ok(step) => step,
            Err(refused) => return MessageResult(Err(refused)),
        };
        self.outlets.dials.send_replace(dials);
        let (reply, _nobody_waits) = oneshot::channel();
        self.put(step, false, Ticket::Noted(reply), ctx);
        self.wake_again();
        MessageResult(Ok(()))
    }
}
