//! *Purpose*: runs a scheduling pass when something may have become possible.
//!
//! *Owns*: the 5 s tick (a net; events wake it at once) and the rule of one plan in flight.
//!
//! *Promises*: every wake-up is answered by an `ApplyPlan`, empty if need be, since the resource
//! manager holds its commit back for it; many wake-ups during a pass become one.
//!
//! *Not here*: policy (`kernel::policy`), the queue (`kernel::queue`).

use std::time::Duration;

use actix::prelude::*;

use super::messages::{ApplyPlan, GetQueueView, Wake};
use crate::clock;
use crate::kernel::policy;

/// Mailbox: wake-ups come from one sender that sends at most one per answer; the rest is slack.
const MAILBOX: usize = 64;

/// Plans; see the module.
pub struct SchedulerActor {
    views: Recipient<GetQueueView>,
    plans: Recipient<ApplyPlan>,
    tick: Duration,
    busy: bool,
    again: bool,
}

impl SchedulerActor {
    /// A scheduler that asks and proposes there, at least every `tick`.
    #[must_use]
    pub fn new(
        views: Recipient<GetQueueView>,
        plans: Recipient<ApplyPlan>,
        tick: Duration,
    ) -> SchedulerActor {
        SchedulerActor { views, plans, tick, busy: false, again: false }
    }

    fn pass(&mut self, ctx: &mut Context<Self>) {
        if self.busy {
            self.again = true;
            return;
        }
        self.busy = true;
        let (views, plans) = (self.views.clone(), self.plans.clone());
        let pass = async move {
            let view = views.send(GetQueueView).await?;
            let plan = policy::plan(&view, clock::now());
            plans.send(ApplyPlan { plan }).await
        };
        ctx.spawn(pass.into_actor(self).map(|result, actor, ctx| {
            actor.busy = false;
            match result {
                // The queue may hold more than one pass looked at, or the view was old.
                Ok(applied) => actor.again |= applied.started + applied.stale > 0,
                Err(error) => log::debug!("no pass: the resource manager is gone ({error})"),
            }
            if std::mem::take(&mut actor.again) {
                actor.pass(ctx);
            }
        }));
    }
}

impl Actor for SchedulerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        ctx.run_interval(self.tick, |actor, ctx| actor.pass(ctx));
    }
}

impl Handler<Wake> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Self::Context) {
        self.pass(ctx);
    }
}
