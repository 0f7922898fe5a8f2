//! *Purpose*: the wiring: who talks to whom.
//!
//! *Owns*: [`start`], which makes the actors and hands each the few recipients he sends to, and
//! [`System`], the ends that the api holds.
//!
//! *Promises*: only the resource manager changes job or CPU state; there is one of it.
//!
//! *Not here*: policy, SQL, processes, HTTP.
//!
//! ```text
//!            SubmitJobs CancelJobs Drain          MakeDurable
//!   System ───────────────────────▶ Resource ────────────────▶ StoreWriter (own thread)
//!     │ Await      GetQueueView ▶    Manager  ◀─ LookAtAll ──┐      ▲ DoChores
//!     ▼            ApplyPlan ▶      │  │  │     Mend Forget  │      │
//!  EventHub ◀────── Publish ────────┘  │  └─ Stop Look ─▶ Recovery ─┘
//!            Scheduler ◀──── Wake ─────┘     Executor ── Observed ─▶ ResourceManager
//! ```

mod ask;
pub mod audit;
pub mod device_watch;
pub mod dials;
mod environment;
pub mod event_hub;
pub mod executor;
pub mod messages;
pub mod order;
pub mod owners;
pub mod recovery;
pub mod resource_manager;
pub mod retention;
pub mod scheduler;
pub mod site;
pub mod store_writer;
pub mod usage_watch;

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::watch;

use crate::engine::{Engine, Trouble};
use crate::job::ids::{CommitNo, Epoch, EventId};
use crate::kernel::state::Kernel;
use crate::kernel::views::snapshot::Snapshot;
use crate::observe::metrics::Metrics;
use crate::store::backend::Readers;
use crate::store::writer::Writer;

use device_watch::{DeviceWatchActor, LookAtDevices};
use dials::{Dialled, Dials};
use event_hub::EventHub;
use executor::{ExecutorActor, Tools};
use messages::{
    Await, CancelJobs, CancelTask, Drain, Explain, GetDependents, GetPartitions, GetPayers,
    GetRank, GetStanding, KeepUsage, Maintain, MakeToken, Move, NoteSignIn, NoteStep, Reconfigure,
    RequeueJob, Resume, RevokeToken, RunAudit, SignalJob, SplitTask, SubmitJobs, SuspendJob,
    TryUpdate, UpdateJob,
};
use order::Orders;
use recovery::{RecoveryActor, Told, Witnesses};
use resource_manager::state::{Outlets, ResourceManagerActor};
use retention::Retention;
use scheduler::SchedulerActor;
use store_writer::StoreWriter;

/// The ends that the rest of the server holds.
#[derive(Clone)]
pub struct System {
    /// Submits.
    pub submit: Recipient<SubmitJobs>,
    /// Cancels.
    pub cancel: Recipient<CancelJobs>,
    /// Changes pending jobs.
    pub update: Recipient<UpdateJob>,
    /// Tells what would become of a change.
    pub try_update: Recipient<TryUpdate>,
    /// Cancels single tasks of arrays.
    pub cancel_task: Recipient<CancelTask>,
    /// Makes tasks of arrays jobs of their own.
    pub split: Recipient<SplitTask>,
    /// Sends signals.
    pub signal: Recipient<SignalJob>,
    /// Suspends jobs and lets them go on.
    pub suspend: Recipient<SuspendJob>,
    /// Notes steps.
    pub step: Recipient<NoteStep>,
    /// Runs jobs again.
    pub requeue: Recipient<RequeueJob>,
    /// Keeps jobs from running in a time.
    pub maintain: Recipient<Maintain>,
    /// Ends such a time.
    pub resume: Recipient<Resume>,
    /// Makes tokens.
    pub make_token: Recipient<MakeToken>,
    /// Revokes them.
    pub revoke_token: Recipient<RevokeToken>,
    /// Notes that a browser is let in.
    pub sign_in: Recipient<NoteSignIn>,
    /// Puts other settings into force.
    pub reconfigure: Recipient<Reconfigure>,
    /// Explains why jobs wait.
    pub explain: Recipient<Explain>,
    /// Tells where a job stands in the line.
    pub rank: Recipient<GetRank>,
    /// Tells who waits for a job.
    pub dependents: Recipient<GetDependents>,
    /// Tells how the partitions stand.
    pub partitions: Recipient<GetPartitions>,
    /// Tells what a user has, and may have.
    pub standing: Recipient<GetStanding>,
    /// Tells what accounts have, or users.
    pub payers: Recipient<GetPayers>,
    /// Whether the resource manager moves.
    pub manager_moves: Recipient<Move>,
    /// Whether the writer of the store moves.
    pub writer_moves: Recipient<Move>,
    /// Waits for a job's next change.
    pub await_job: Recipient<Await>,
    /// Audits now.
    pub audit: Recipient<RunAudit>,
    /// Has what attempts used while they ran kept.
    pub keep_usage: Recipient<KeepUsage>,
    /// Stops accepting and starting.
    pub drain: Recipient<Drain>,
    /// "Now".
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// What keeps scripts from being started.
    pub trouble: watch::Receiver<Trouble>,
    /// The last durable event.
    pub last_event: watch::Receiver<EventId>,
    /// What is in force of what they look up.
    pub dials: Dialled,
    /// History.
    pub readers: Readers,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// What the actors are made of.
pub struct Parts {
    /// As loaded at boot.
    pub kernel: Kernel,
    /// The commit it was loaded at.
    pub commit_no: CommitNo,
    /// The writer that loaded it.
    pub writer: Box<dyn Writer>,
    /// Its readers.
    pub readers: Readers,
    /// What runs scripts.
    pub engine: Arc<dyn Engine>,
    /// Where orders come from.
    pub orders: Arc<dyn Orders>,
    /// What is in force of the settings that change while they work.
    pub dials: watch::Sender<Dials>,
    /// The scheduler's net.
    pub tick: Duration,
    /// How long ended jobs are kept.
    pub retention: Retention,
    /// Who looks at devices before they are given; `None`: there are none to look at.
    pub devices: Option<Box<dyn LookAtDevices>>,
}

/// Starts all actors on the current arbiter, the writer on one of its own.
#[must_use]
pub fn start(parts: Parts) -> System {
    let Parts { kernel, commit_no, writer, readers, engine, orders, .. } = parts;
    let Parts { dials, tick, retention, devices, .. } = parts;
    let dialled = dials.subscribe();
    let in_force = dialled.clone();
    let metrics = Arc::new(Metrics::default());
    let (snapshot_sender, snapshot) = watch::channel(Arc::new(first_snapshot(&kernel, commit_no)));
    let (_, next_event) = kernel.next_ids();
    let (event_sender, last_event) = watch::channel(EventId(next_event.0 - 1));
    let epoch: Epoch = writer.epoch();
    let writer_thread = Arbiter::new();
    let writer =
        StoreWriter::start_in_arbiter(&writer_thread.handle(), |_| StoreWriter::new(writer));
    let hub = EventHub::new(event_sender).start();
    let manager = ResourceManagerActor::create(|ctx| {
        let manager = ctx.address();
        let scheduler = SchedulerActor::new(
            manager.clone().recipient(),
            manager.clone().recipient(),
            dialled,
            tick,
            engine.trouble(),
        )
        .start();
        let found = manager.clone().recipient();
        let look = devices.map(|devices| DeviceWatchActor::new(devices, found).start().recipient());
        let (observed, given) = (manager.clone().recipient(), manager.recipient());
        let tools = Arc::new(Tools { engine: Arc::clone(&engine), orders, observed, given });
        let outlets = Outlets {
            wake: scheduler.recipient(),
            durable: writer.clone().recipient(),
            look,
            publish: hub.clone().recipient(),
            make_executor: Box::new(move |attempt, known| {
                ExecutorActor::launch(attempt, known, Arc::clone(&tools))
            }),
            snapshot: snapshot_sender,
            dials,
            metrics: Arc::clone(&metrics),
        };
        ResourceManagerActor::new(kernel, epoch, commit_no, outlets)
    });
    let witnesses = Arc::new(Witnesses {
        snapshot: snapshot.clone(),
        readers: readers.clone(),
        engine,
        metrics: Arc::clone(&metrics),
    });
    let writer_moves = writer.clone().recipient();
    let told = Told {
        look: manager.clone().recipient(),
        mend: manager.clone().recipient(),
        forget: manager.clone().recipient(),
        chores: writer.recipient(),
    };
    let trouble = witnesses.engine.trouble();
    let recovery = RecoveryActor::new(told, witnesses, retention).start();
    System {
        submit: manager.clone().recipient(),
        cancel: manager.clone().recipient(),
        update: manager.clone().recipient(),
        try_update: manager.clone().recipient(),
        cancel_task: manager.clone().recipient(),
        split: manager.clone().recipient(),
        signal: manager.clone().recipient(),
        suspend: manager.clone().recipient(),
        step: manager.clone().recipient(),
        requeue: manager.clone().recipient(),
        maintain: manager.clone().recipient(),
        resume: manager.clone().recipient(),
        make_token: manager.clone().recipient(),
        revoke_token: manager.clone().recipient(),
        sign_in: manager.clone().recipient(),
        reconfigure: manager.clone().recipient(),
        explain: manager.clone().recipient(),
        rank: manager.clone().recipient(),
        dependents: manager.clone().recipient(),
        partitions: manager.clone().recipient(),
        standing: manager.clone().recipient(),
        payers: manager.clone().recipient(),
        manager_moves: manager.clone().recipient(),
        writer_moves,
        keep_usage: manager.clone().recipient(),
        drain: manager.recipient(),
        await_job: hub.recipient(),
        audit: recovery.recipient(),
        snapshot,
        trouble,
        last_event,
        dials: in_force,
        readers,
        metrics,
    }
}

/// What the last commit of the former server left behind.
fn first_snapshot(kernel: &Kernel, commit_no: CommitNo) -> Snapshot {
    let (_, next_event) = kernel.next_ids();
    Snapshot { commit_no, last_event: EventId(next_event.0 - 1), ..kernel.snapshot() }
}
