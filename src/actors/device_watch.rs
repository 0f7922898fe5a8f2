//! *Purpose*: looks who else uses a device before one is given to a job.
//!
//! *Owns*: [`DeviceWatchActor`], [`LookAtDevices`].
//!
//! *Promises*: one look at a time, on a thread that nothing waits for; what it found is told in
//! any case, and a look that fails finds that nothing is known.
//!
//! *Not here*: what follows from it (`kernel::commands::looks`), how processes and devices are read
//! (`devices`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actix::prelude::*;

use super::messages::{LookAtUnits, Looked};
use crate::job::ids::UnitId;

/// Mailbox: the resource manager asks once for each pass at most; the rest is slack.
const MAILBOX: usize = 64;

/// Who looks at devices.
pub trait LookAtDevices: Send {
    /// Of the units that are not held by jobs, those that something uses, or of which that is not
    /// known, and why they are not given. May take seconds.
    fn look(&mut self, held: &BTreeSet<UnitId>) -> BTreeMap<UnitId, Arc<str>>;
}

/// Looks; see the module.
pub struct DeviceWatchActor {
    /// `None`: a look is under way.
    devices: Option<Box<dyn LookAtDevices>>,
    found: Recipient<Looked>,
}

impl DeviceWatchActor {
    /// Looks so, and tells there.
    #[must_use]
    pub fn new(devices: Box<dyn LookAtDevices>, found: Recipient<Looked>) -> DeviceWatchActor {
        DeviceWatchActor { devices: Some(devices), found }
    }
}

impl Actor for DeviceWatchActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<LookAtUnits> for DeviceWatchActor {
    type Result = ();

    fn handle(&mut self, LookAtUnits(held): LookAtUnits, ctx: &mut Self::Context) {
        let Some(mut devices) = self.devices.take() else { return };
        let found = self.found.clone();
        let look = async move {
            let looked = actix_rt::task::spawn_blocking(move || {
                let found = devices.look(&held);
                (devices, found)
            });
            let (devices, seen) = looked.await?;
            // A resource manager that has ended needs no answer.
            let _gone = found.send(Looked(seen)).await;
            Ok::<_, actix_rt::task::JoinError>(devices)
        };
        ctx.spawn(look.into_actor(self).map(|looked, actor, _| match looked {
            Ok(devices) => actor.devices = Some(devices),
            Err(error) => log::error!("Nobody knows who uses the devices any more: {error}"),
        }));
    }
}
