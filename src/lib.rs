//! Downbeat, a batch-job scheduler: **the kernel decides, the store remembers, then and only
//! then the world is touched.**
//!
//! *Purpose*: the map of the rooms.
//!
//! *Owns*: nothing.
//!
//! *Promises*: no import points upward; `tests/tidy` holds the rooms to it.
//!
//! *Not here*: the rooms in full, and why they are so (`docs/architecture.md`,
//! `docs/decisions.md`).
//!
//! # The picture
//!
//! ```text
//!   cli ──HTTP──▶ api ──commands──▶ actors ──▶ kernel      decides: changes and effects
//!                  ▲                  │  │
//!                  │ reads            │  └────▶ store       remembers: one transaction
//!               store, observe        │ after the commit
//!                                     └───────▶ engine      runs: supervisor ──▶ script
//! ```
//!
//! On the ground stand [`text`] (what people write), [`job`] (what a job is), [`resources`]
//! (what there is to hand out) and [`devices`] (which GPUs there are), [`machine`] (how
//! busy it is); [`policy`] plans. [`kernel`]
//! knows no clock, no file and no framework; [`store`] has one writer; [`engine`] runs scripts
//! under supervisors that outlive the server; [`actors`] carry between these three; [`api`] and
//! [`cli`] speak with people and programs; [`observe`] shows; [`simulate`] replays traces by the
//! server's own policy. [`serve`] puts a server together.
//!
//! # The walks
//!
//! **Submit.** [`api`] reads and checks a body, the kernel numbers the job, one transaction
//! stores it, then it enters the queue and 201 leaves.
//!
//! **Run.** The scheduler plans by a pure function, the kernel checks the plan again and takes
//! CPUs, one transaction, then the engine is told. The supervisor writes an exit record; the
//! kernel makes it the final state and gives the CPUs back in one step, one transaction.
//!
//! **Crash.** Supervisors and scripts go on. The next server loads what was stored and asks the
//! engine of each live attempt the same question as in daily life.
//!
//! # As a library
//!
//! The whole house without HTTP and without processes: [`actors::start`] over an empty database
//! and the fake engine, whose scripts end as a test says (feature `test-support`).
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use downbeat::actors::dials::Dials;
//! use downbeat::actors::messages::SubmitJobs;
//! use downbeat::actors::order::FromStore;
//! use downbeat::actors::site::{JobGpus, OrderSite};
//! use downbeat::actors::retention::Retention;
//! use downbeat::actors::{Parts, start};
//! use downbeat::engine::fake::{FakeEngine, Plan};
//! use downbeat::job::files::Places;
//! use downbeat::job::ids::CpuId;
//! use downbeat::job::outcome::ExitCode;
//! use downbeat::job::spec::{JobRequest, JobSpec};
//! use downbeat::job::state::StateWord;
//! use downbeat::kernel::admission::Site;
//! use downbeat::kernel::parts::eligibility::DependencySnapshot;
//! use downbeat::kernel::state::{BootContext, Kernel};
//! use downbeat::store::backend::Database;
//! use tokio::sync::watch;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! actix_rt::System::new().block_on(async {
//!     // What the store remembers: nothing yet.
//!     let database = Database::file(folder.path().join("downbeat.db"));
//!     let mut writer = database.writer()?;
//!     let loaded = writer.reader()?.loaded(Default::default())?;
//!     let readers = database.readers()?;
//!
//!     // Four CPUs, and a machine that started once.
//!     let boot = BootContext { boot_id: "boot".into(), nonce: writer.epoch().to_string().into() };
//!     let ids = (boot.nonce.clone(), boot.boot_id.clone());
//!     let kernel = Kernel::load((0..4).map(CpuId), boot, loaded.memory)?;
//!
//!     let dials = watch::Sender::new(Dials::default());
//!     let places = Places { jobs: folder.path().join("jobs"), output_roots: Vec::new() };
//!     let site = Arc::new(OrderSite {
//!         places: places.clone(),
//!         pin: false,
//!         confine_signals: false,
//!         dials: dials.subscribe(),
//!         host: "here".into(),
//!         server: "http://127.0.0.1:8000".into(),
//!         user: "me".into(),
//!         uid: 1000,
//!         owners: None,
//!         inherited: OrderSite::inherited(),
//!         gpus: JobGpus::default(),
//!     });
//!     let engine = FakeEngine::with_plan(Plan::Exits(ExitCode { code: 0, signal: 0 }));
//!     let system = start(Parts {
//!         kernel,
//!         commit_no: loaded.commit_no,
//!         writer,
//!         readers: readers.clone(),
//!         engine: Arc::new(engine.clone()),
//!         orders: Arc::new(FromStore::new(readers, site, ids, loaded.keys)),
//!         tick: Duration::from_secs(5),
//!         retention: Retention { dials: dials.subscribe(), places, last_commit: None },
//!         dials,
//!         devices: None,
//!     });
//!
//!     // A job: checked, stored, run, and its CPUs given back.
//!     let site = Site { total_cpus: 4, kill_grace_s: 30, ..Site::default() };
//!     let spec = Arc::new(JobSpec::try_from((JobRequest::new("true"), &site))?);
//!     let elsewhere = DependencySnapshot::default();
//!     let submit = SubmitJobs { specs: vec![spec], elsewhere, key: None, by: "me".into() };
//!     system.submit.send(submit).await?.map_err(|refused| format!("{refused:?}"))?;
//!     let mut now = system.snapshot.clone();
//!     let end = now.wait_for(|snapshot| snapshot.count(StateWord::Completed) == 1).await?;
//!     assert_eq!((end.used_cpus, engine.launches().len()), (0, 1));
//!     Ok(())
//! })
//! # }
//! ```

pub mod actors;
pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod devices;
pub mod engine;
pub mod fault;
pub mod host;
pub mod installation;
pub mod job;
pub mod kernel;
pub mod machine;
pub mod observe;
pub mod panics;
pub mod peer;
pub mod people;
pub mod policy;
pub mod resources;
pub mod serve;
pub mod simulate;
pub mod slurm;
pub mod store;
pub mod text;
pub mod threads;
pub mod time;
pub mod trees;
pub mod ulimits;
pub mod web;
