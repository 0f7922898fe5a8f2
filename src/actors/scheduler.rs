//! *Purpose*: runs a scheduling pass when something may have become possible.
//!
//! *Owns*: the 5 s tick (a net; events wake it at once) and the rule of one plan in flight.
//!
//! *Promises*: every wake-up is answered by an `ApplyPlan`, empty if need be, since the resource
//! manager holds its commit back for it; many wake-ups during a pass become one. While the machine
//! cannot start what was granted, nothing more is; it goes on by itself.
//!
//! *Not here*: policy (`policy`), the queue (`kernel::parts::queue`).

use std::time::Duration;

use actix::prelude::*;
use futures_util::stream;
use tokio::sync::watch;

use super::dials::Dialled;
use super::messages::{ApplyPlan, GetPassInput, Wake};
use crate::engine::Trouble;
use crate::policy::pass::Planner;
use crate::policy::plan::Plan;
use crate::time::SECOND_US;

/// Mailbox: wake-ups come from one sender that sends at most one per answer; the rest is slack.
const MAILBOX: usize = 64;

/// Plans; see the module.
pub struct SchedulerActor {
    inputs: Recipient<GetPassInput>,
    plans: Recipient<ApplyPlan>,
    dials: Dialled,
    planner: Planner,
    tick: Duration,
    trouble: watch::Receiver<Trouble>,
    busy: bool,
    again: bool,
}

impl SchedulerActor {
    /// A scheduler that asks and proposes there, at least every `tick`.
    #[must_use]
    pub fn new(
        inputs: Recipient<GetPassInput>,
        plans: Recipient<ApplyPlan>,
        dials: Dialled,
        tick: Duration,
        trouble: watch::Receiver<Trouble>,
    ) -> SchedulerActor {
        let planner = Planner::new(dials.borrow().policy, SECOND_US);
        SchedulerActor { inputs, plans, dials, planner, tick, trouble, busy: false, again: false }
    }

    /// Looks again whenever the trouble is another.
    fn mind_trouble(&self, ctx: &mut Context<Self>) {
        let changes = stream::unfold(self.trouble.clone(), |mut trouble| async {
            trouble.changed().await.ok()?;
            let why = trouble.borrow_and_update().drains();
            Some((why, trouble))
        });
        let mut drained = false;
        let look = changes.into_actor(self).map(move |why, actor, ctx| {
            match &why {
                Some(why) if !drained => log::error!("DRAINED: {why}"),
                None if drained => log::warn!("Jobs can be started again"),
                _ => {}
            }
            drained = why.is_some();
            actor.pass(ctx);
        });
        ctx.spawn(look.finish());
    }

    fn pass(&mut self, ctx: &mut Context<Self>) {
        if self.busy {
            self.again = true;
            return;
        }
        self.busy = true;
        if self.trouble.borrow().drains().is_some() {
            return self.propose(Plan::default(), ctx);
        }
        let policy = self.dials.borrow().policy;
        if policy != self.planner.policy() {
            self.planner = Planner::new(policy, SECOND_US);
        }
        let input = self.inputs.send(GetPassInput { policy });
        ctx.spawn(input.into_actor(self).map(|input, actor, ctx| match input {
            Ok(input) => {
                let plan = actor.planner.pass(&input);
                actor.propose(plan, ctx);
            }
            Err(error) => log::debug!("no pass: the resource manager is gone ({error})"),
        }));
    }

    fn propose(&mut self, plan: Plan, ctx: &mut Context<Self>) {
        let applied = self.plans.send(ApplyPlan { plan });
        ctx.spawn(applied.into_actor(self).map(|applied, actor, ctx| {
            actor.busy = false;
            match applied {
                // The queue may hold more than one pass looked at, or the input was old.
                Ok(applied) => actor.again |= applied.started + applied.stale > 0,
                Err(error) => log::debug!("no plan: the resource manager is gone ({error})"),
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
        self.mind_trouble(ctx);
    }
}

impl Handler<Wake> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Self::Context) {
        self.pass(ctx);
    }
}
