//! *Purpose*: asks the kernel what to do when a job's time comes.
//!
//! *Owns*: the one timer, set for the next job whose time comes.
//!
//! *Promises*: a clock that is set meanwhile is noticed within a minute.
//!
//! *Not here*: which job is next, and what its time does (`kernel::commands::timers`).

use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::state::ResourceManagerActor;
use super::ticket::Ticket;
use crate::clock;

/// The longest sleep until a job's time, µs: the wall clock may be set meanwhile, so it is looked
/// at again after a minute.
const ALARM_US_MAX: i64 = 60_000_000;

impl ResourceManagerActor {
    /// Sets the clock for the next job whose time comes.
    pub(super) fn set_alarm(&mut self, ctx: &mut Context<Self>) {
        let next = self.kernel.next_alarm();
        if self.alarm.as_ref().map(|(time, _)| *time) == next {
            return;
        }
        if let Some((_, timer)) = self.alarm.take() {
            ctx.cancel_future(timer);
        }
        self.alarm = next.map(|time| {
            let left = time.since_us(clock::now()).clamp(0, ALARM_US_MAX).unsigned_abs();
            let ring = |actor: &mut Self, ctx: &mut Context<Self>| actor.ring(ctx);
            (time, ctx.run_later(Duration::from_micros(left), ring))
        });
    }

    pub(super) fn ring(&mut self, ctx: &mut Context<Self>) {
        self.alarm = None;
        if self.stopping {
            return;
        }
        let step = self.kernel.run_timers(clock::now());
        let (reply, _nobody_waits) = oneshot::channel();
        self.put(step, false, Ticket::Noted(reply), ctx);
        self.wake();
        self.set_alarm(ctx);
    }
}
