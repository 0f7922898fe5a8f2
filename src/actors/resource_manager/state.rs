//! *Purpose*: what the resource manager keeps, and whom it talks to.
//!
//! *Owns*: kernel, outbox, the executors of live attempts, the snapshot that answers "now".
//!
//! *Promises*: a new one has counted itself before anybody can ask, and knows which stops it owes.
//!
//! *Not here*: what changes any of it (`actors::resource_manager`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::{oneshot, watch};

use super::ticket::Ticket;
use crate::actors::dials::Dials;
use crate::actors::executor::Known;
use crate::actors::messages::{ExecutorAddr, LookAtUnits, MakeDurable, Publish, Wake};
use crate::job::ids::{Attempt, CommitNo, Epoch};
use crate::kernel::outbox::Outbox;
use crate::kernel::parts::live::Live;
use crate::kernel::parts::samples::Samples;
use crate::kernel::state::Kernel;
use crate::kernel::views::snapshot::Snapshot;
use crate::observe::metrics::Metrics;
use crate::time::Time;

/// Makes an executor for an attempt.
pub type MakeExecutor = Box<dyn Fn(Attempt, Known) -> ExecutorAddr>;

/// Everyone the resource manager talks to.
pub struct Outlets {
    /// The scheduler.
    pub wake: Recipient<Wake>,
    /// The store's writer.
    pub durable: Recipient<MakeDurable>,
    /// Who looks at devices, where there are any.
    pub look: Option<Recipient<LookAtUnits>>,
    /// The event hub.
    pub publish: Recipient<Publish>,
    /// Makes executors.
    pub make_executor: MakeExecutor,
    /// Where the snapshot appears.
    pub snapshot: watch::Sender<Arc<Snapshot>>,
    /// Where other settings appear.
    pub dials: watch::Sender<Dials>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// The resource manager.
pub struct ResourceManagerActor {
    pub(super) kernel: Kernel,
    pub(super) outbox: Outbox<Ticket>,
    pub(super) outlets: Outlets,
    pub(super) executors: HashMap<Attempt, ExecutorAddr>,
    /// Attempts whose cancel or requeue is durable and whose executor has not been made yet (it
    /// comes with the first sweep). The kernel may know of wishes that are not durable.
    pub(super) owed_stops: HashSet<Attempt>,
    /// A wake-up was sent whose plan has not come yet.
    pub(super) plan_due: bool,
    /// A plan has come and its step is not durable yet: the scheduler waits for the answer and
    /// will not propose another, so a flush must not wait for one.
    pub(super) plan_unanswered: bool,
    pub(super) flush_due: bool,
    /// No audit has been heard of yet: nothing is handed out that it might doubt.
    pub(super) unaudited: bool,
    /// Why the last commit failed and how long to wait, while it is being tried again.
    pub(super) trouble: Option<(String, Duration)>,
    /// When a job's time comes next, and the timer for it.
    pub(super) alarm: Option<(Time, SpawnHandle)>,
    /// What was held, waited and ran lately.
    pub(super) samples: Samples,
    pub(super) stopping: bool,
    pub(super) drained: Vec<oneshot::Sender<()>>,
}

impl ResourceManagerActor {
    /// Takes up the kernel as loaded at boot, after the commit `last`.
    #[must_use]
    pub fn new(kernel: Kernel, epoch: Epoch, last: CommitNo, outlets: Outlets) -> Self {
        // Here and not when it starts: whoever asks first shall find it.
        outlets.metrics.resource_managers.fetch_add(1, Ordering::SeqCst);
        let told = kernel.live().values().filter(|live| live.state.is_told_to_stop());
        ResourceManagerActor {
            owed_stops: told.map(Live::attempt).collect(),
            kernel,
            outbox: Outbox::new(epoch, last),
            outlets,
            executors: HashMap::new(),
            plan_due: false,
            plan_unanswered: false,
            flush_due: false,
            unaudited: true,
            trouble: None,
            alarm: None,
            samples: Samples::default(),
            stopping: false,
            drained: Vec::new(),
        }
    }
}
