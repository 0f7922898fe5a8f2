//! *Purpose*: looks who else uses a device before one is given to a job.
//!
//! *Owns*: [`DeviceWatchActor`], [`LookAtDevices`].
//!
//! *Promises*: one look at a time, on a thread that nothing waits for; what it found is told in
//! any case, and a look that fails finds that nothing is known.
//!
//! *Not here*: what follows from it (`kernel::outsiders`), how processes and devices are read
//! (`devices`).

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::prelude::*;

use super::messages::{LookAtUnits, Looked};
use crate::job::ids::{Attempt, UnitId};

/// Mailbox: the resource manager asks once for each pass at most; the rest is slack.
const MAILBOX: usize = 64;

/// Who looks at devices.
pub trait LookAtDevices: Send + Sync {
    /// The units that something else uses, or of which it is not known, and why they are not
    /// given. What a unit's own holder does with it is no use by others. May take seconds.
    fn look(&self, holders: &BTreeMap<UnitId, Attempt>) -> BTreeMap<UnitId, Arc<str>>;
}

/// Looks; see the module.
pub struct DeviceWatchActor {
    devices: Arc<dyn LookAtDevices>,
    found: Recipient<Looked>,
    looking: bool,
}

impl DeviceWatchActor {
    /// Looks so, and tells there.
    #[must_use]
    pub fn new(devices: Arc<dyn LookAtDevices>, found: Recipient<Looked>) -> DeviceWatchActor {
        DeviceWatchActor { devices, found, looking: false }
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

    fn handle(&mut self, LookAtUnits(holders): LookAtUnits, ctx: &mut Self::Context) {
        if self.looking {
            return;
        }
        self.looking = true;
        let devices = Arc::clone(&self.devices);
        let look = actix_rt::task::spawn_blocking(move || devices.look(&holders));
        ctx.spawn(look.into_actor(self).map(|found, actor, _| {
            actor.looking = false;
            match found {
                Ok(found) => actor.found.do_send(Looked(found)),
                Err(error) => log::error!("Nobody knows who uses the devices: {error}"),
            }
        }));
    }
}
