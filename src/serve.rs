//! *Purpose*: the composition: store, engine, actors and HTTP become a server.
//!
//! *Owns*: the order of boot and of shutdown; the process's own secrecy.
//!
//! *Promises*: one server per installation; recovery is done by the same actors that serve;
//! SIGTERM leaves jobs running and exits 0 within five seconds.
//!
//! *Not here*: settings (`config`), everything that is composed.
//!
//! **Order of boot.** The address comes first, taken and not yet listened on: where it is taken
//! already, nothing has been changed. Then the locks: a second server must not even start a step
//! daemon, for that would depose the first one's. They are close-on-exec, so the daemon never
//! inherits them. Then the store (migrate, next epoch) says whose it is, since only then the engine
//! knows which processes are ours; then the engine, what was stored, the actors, and last the
//! socket.

mod devices;
mod folder;
mod live;
mod numbers;
mod opener;
mod owners;
mod people;
mod signals;
mod socket;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::{NormalizePath, from_fn};
use actix_web::{App as HttpApp, HttpServer, web};
use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::watch;

use crate::actors::order::FromStore;
use crate::actors::retention::Retention;
use crate::actors::site::{JobGpus, OrderSite};
use crate::actors::usage_watch::UsageWatch;
use crate::actors::{self, Parts, System, messages};
use crate::api::wire::report::Ability;
use crate::api::{
    self, App, Auth, FileWatcher, Files, Intake, OwnersFiles, Refusals, Room, STREAMS_MAX, Served,
    Upkeep, WebSessions,
};
use crate::config::people::Mode;
use crate::config::{Config, DatabaseAt, ServeArgs};
use crate::engine::local::{LocalConfig, LocalEngine};
use crate::engine::{Engine, Key};
use crate::fault;
use crate::installation::Installation;
use crate::job::files::Places;
use crate::job::ids::Uid;
use crate::job::request::GPU;
use crate::kernel::state::{BootContext, Kernel};
use crate::machine::Watch;
use crate::store::backend::Database;
use crate::store::load::AttemptKey;
use crate::store::lock::{Lock, one_name};
use crate::store::sqlite::database::Database as File;
use crate::store::sqlite::preflight::{Found, examine};
use crate::store::writer::Writer;
use crate::text::quote::escaped;
use crate::threads;
use crate::time::Time;
use crate::web as pages;
use devices::MachineDevices;
use live::Settings;
use people::{crowd, open_to, owners_files, served, token_check};
use signals::{Heard, Signals};
use socket::{Local, Reserved};

/// HTTP workers: they parse and wait; the work is done by one arbiter and the writer.
const WORKERS: usize = 2;
/// Threads for work that waits, on files and the database: for so much at once the disk is the
/// bound.
const THREADS: usize = 64;
/// So many of them are there from the start: they do the work of all when no other can be had.
const THREADS_LEAST: usize = 4;
/// How long open answers may take after SIGTERM, seconds.
const SHUTDOWN_S: u64 = 2;
/// How long what was decided may take to become durable after SIGTERM.
const DRAIN: Duration = Duration::from_secs(2);
/// Connections of a worker at once: each costs a descriptor or two and a few KiB.
const CONNECTIONS_MAX: usize = 4_096;
/// Descriptors that connections never get: 37 are open in an idle server, readers add 6, and
/// launching, watching and ending jobs must go on whoever calls.
const DESCRIPTORS_KEPT: u64 = 64;
/// Longest wait for a request's head, so that silent connections do not pile up.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests that take their time (waits, streams, bodies under way) get this part of the
/// connections, each kind of them: there is always one left for a short question.
const PART: usize = 4;

/// Runs the server until SIGTERM or SIGINT.
///
/// # Errors
/// A sentence for the person who started it.
pub fn run(args: &ServeArgs, mut config: Config) -> Result<()> {
    log_lines(config.log_level);
    signals::outlive_harmless_ones().context("signals cannot be heard")?;
    let soft_nofile = raise_nofile();
    enough_descriptors()?;
    let reserved = Reserved::at(config.listen)?;
    folder::own(&config.data_dir, open_to(&config))?;
    folder::make(&config.data_dir.join("jobs"))?;
    folder::open(&config.data_dir.join("jobs"))?;
    folder::open(&config.data_dir.join("spool"))?;
    one_name_for(&mut config.database)?;
    let mut locks = take_locks(&config)?;
    fault::point(fault::RECOVERY_LOCKED);
    let local = Local::at(&config.people.socket, open_to(&config))?;
    let database = database(&config)?;
    let mut engine_config = LocalConfig::new(&config.data_dir);
    engine_config.soft_nofile = soft_nofile;
    engine_config.confine_signals = config.confine_signals;
    engine_config.people = config.people.mode == Mode::System;
    engine_config.floor = config.people.min_uid;
    engine_config.root_jobs = config.people.root_jobs;
    let mut writer = database.writer()?;
    let installation = installation(&config, &mut *writer)?;
    engine_config.origin = Some(installation.origin.clone());
    engine_config.elsewhere = installation.elsewhere;
    // Several servers may be told the same place, and each removes what it does not know.
    let scratch = |path: &PathBuf| path.join(format!("downbeat.{}", installation.id()));
    engine_config.scratch = config.scratch_path.as_ref().map(scratch);
    let engine: Arc<dyn Engine> = Arc::new(LocalEngine::start(engine_config)?);
    fault::point(fault::RECOVERY_DAEMON_READY);
    let boot = Boot::load(&config, database, writer, &installation)?;
    fault::point(fault::RECOVERY_LOADED);
    let runtime = threads::runtime("waiting-work", THREADS_LEAST, THREADS)
        .context("no threads can be started")?;
    threads::share(runtime.handle().clone());
    actix_rt::System::with_tokio_rt(move || runtime).block_on(async move {
        forget_ended(&*engine, &boot.keys).await;
        fault::point(fault::RECOVERY_TIDIED);
        serve((args, config), boot, engine, (reserved, local, &mut locks)).await
    })
}

/// Keeps other processes of the same user, jobs among them, from reading this one: its memory and
/// the environment that it was started with, which hold the tokens. Called before they are read.
pub fn conceal() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        log::warn!("Processes of the same user can read this one: {error}");
    }
}

/// Brings the database to this program's form.
///
/// # Errors
/// A sentence for the person who asked.
pub fn migrate(mut config: Config) -> Result<()> {
    folder::own(&config.data_dir, open_to(&config))?;
    one_name_for(&mut config.database)?;
    let _locks = take_locks(&config)?;
    let database = database(&config)?;
    let ran = database.migrate()?;
    let place = database.place();
    let mut out = std::io::stdout().lock();
    let said = match ran.as_slice() {
        [] => writeln!(out, "{place} is up to date"),
        ran => writeln!(out, "{place}: ran {}", ran.join(", ")),
    };
    said.context("the result cannot be printed")
}

/// What is known before the first actor starts.
struct Boot {
    kernel: Kernel,
    commit_no: crate::job::ids::CommitNo,
    /// When the last commit before this reign was.
    last_commit: Option<Time>,
    writer: Box<dyn Writer>,
    database: Database,
    keys: Vec<AttemptKey>,
    boot_context: BootContext,
}

impl Boot {
    fn load(
        config: &Config,
        database: Database,
        mut writer: Box<dyn Writer>,
        installation: &Installation,
    ) -> Result<Boot> {
        let loaded =
            writer.reader()?.loaded(config.rules()).map_err(|e| e.at_start(&database.place()))?;
        only_own_jobs(config, &mut *writer)?;
        let mut loaded = loaded;
        loaded.memory.next_job = numbers::next(&config.data_dir, loaded.memory.next_job);
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let boot_id = installation.origin.id().into();
        let boot_context = BootContext { boot_id, nonce: nonce.as_str().into() };
        let kernel = Kernel::load(config.inventory.clone(), boot_context.clone(), loaded.memory)
            .context("the database gives one unit to two jobs")?;
        let kernel = match MachineDevices::of(config) {
            Some(_) => kernel.with_looks(GPU),
            None => kernel,
        };
        let (commit_no, last_commit, keys) = (loaded.commit_no, loaded.last_commit, loaded.keys);
        Ok(Boot { kernel, commit_no, last_commit, writer, database, keys, boot_context })
    }
}

/// A server of one user would run the jobs of all others as that user.
fn only_own_jobs(config: &Config, writer: &mut dyn Writer) -> Result<()> {
    if config.people.mode == Mode::System {
        return Ok(());
    }
    let own = Uid(rustix::process::geteuid().as_raw());
    match writer.reader()?.jobs_of_others(own)? {
        0 => Ok(()),
        n => bail!(
            "{n} jobs of other users wait or run here, and --people one would run them as this \
             user; start with --people system, and cancel them or let them end first"
        ),
    }
}

async fn serve(
    (args, config): (&ServeArgs, Config),
    boot: Boot,
    engine: Arc<dyn Engine>,
    (reserved, local, locks): (Reserved, Option<Local>, &mut [Lock]),
) -> Result<()> {
    let Boot { kernel, commit_no, last_commit, writer, database, keys, boot_context } = boot;
    let readers = database.readers()?;
    let places = Places {
        jobs: config.data_dir.join("jobs"),
        output_roots: config.output_roots.iter().map(Into::into).collect(),
    };
    let dials = watch::Sender::new(live::dials(&config));
    let retention = Retention { dials: dials.subscribe(), places: places.clone(), last_commit };
    let host = crate::host::name();
    let in_force = live::in_force(&config);
    let (served, owners) = served(&config, in_force.subscribe())
        .context("no thread can be started for questions about users")?;
    let owners_files = owners_files(&served, &engine);
    let uid = rustix::process::geteuid().as_raw();
    let site = Arc::new(OrderSite {
        places: places.clone(),
        pin: config.pin,
        confine_signals: config.confine_signals,
        dials: dials.subscribe(),
        host: crate::host::short_name(),
        server: match config.people.mode {
            Mode::One => reserved.url(),
            // Over TCP a job would need a token of its owner's.
            Mode::System => format!("unix:{}", config.people.socket.display()),
        },
        user: crate::people::name(uid).unwrap_or_else(|| uid.to_string()),
        uid,
        owners,
        inherited: OrderSite::inherited(),
        gpus: JobGpus {
            all: config.gpus.list.clone(),
            by_uuid: config.gpus.by_uuid,
            are_denied: engine.denies_devices(),
        },
    });
    let orders =
        FromStore::new(readers.clone(), site, (boot_context.nonce, boot_context.boot_id), keys);
    let isolation = (engine.isolation(), engine.cannot_suspend());
    let system = actors::start(Parts {
        kernel,
        commit_no,
        writer,
        readers,
        engine: Arc::clone(&engine),
        orders: Arc::new(orders),
        dials,
        tick: config.tick,
        retention,
        devices: MachineDevices::of(&config).map(|all| Box::new(all) as _),
    });
    let machine = Arc::new(devices::watch(&config, &system));
    let used = devices::usage(&machine, &system, engine);
    let settings = Settings::new(args, &config, in_force, system.reconfigure.clone());
    let crowd = crowd(&served, connections_of_a_worker() * WORKERS);
    let sessions = Arc::new(WebSessions::at(reserved.url()));
    let auth = web::Data::new(Auth {
        in_force: settings.in_force(),
        listen_host: config.listen_host.clone(),
        public_hosts: config.public_hosts.clone(),
        host: host.clone(),
        served: served.clone(),
        tokens: token_check(&served, &system.readers),
        web: Arc::clone(&sessions),
        crowd: crowd.clone(),
        refusals: Refusals::new(Arc::clone(&system.metrics)),
        intake: Intake::new(a_part_of_the_connections()),
        parameters: api::parameters(),
        rights: api::rights(pages::PAGES),
    });
    let app = web::Data::new(app(
        (&settings, served, owners_files, sessions),
        (system.clone(), machine, used.clone()),
        (places, config.database.file().cloned()),
        host,
        isolation,
    )?);
    let board = web::Data::new(pages::Board::default());
    let server = HttpServer::new(move || {
        HttpApp::new()
            .app_data(web::Data::clone(&app))
            .app_data(web::Data::clone(&auth))
            .app_data(web::Data::clone(&board))
            .wrap(from_fn(api::guard))
            .wrap(from_fn(pages::for_browsers))
            // Before everything else: a slash at the end is no other path.
            .wrap(NormalizePath::trim())
            // Before the pages: `/jobs/submit` is no page of a job.
            .configure(api::configure)
            .configure(pages::configure)
    })
    .workers(WORKERS)
    .max_connections(connections_of_a_worker())
    .client_request_timeout(REQUEST_TIMEOUT)
    // Whoever has closed his side is gone: his wait, stream or body ends, and its connection.
    .h1_allow_half_closed(false)
    .shutdown_timeout(SHUTDOWN_S)
    .disable_signals()
    .on_connect(move |io, known| api::connected(crowd.as_deref(), io, known))
    .listen(reserved.listen()?)
    .context("cannot listen")?;
    let address = server.addrs().first().copied().unwrap_or(config.listen);
    let path = config.people.socket.clone();
    let (server, local) = match local {
        Some(local) => (server.listen_uds(local.listen()?).context("cannot listen")?, Some(&*path)),
        None => (server, None),
    };
    for lock in locks {
        lock.sign(&format!("process {} at http://{address}", std::process::id()))?;
    }
    // Heard from before the address is told: whoever reads it may send one at once.
    let mut signals = Signals::listen().context("signals cannot be heard")?;
    announce(&config, address, local);
    let server = server.run();
    let handle = server.handle();
    actix_rt::spawn(async move {
        while signals.next().await == Heard::ReadAgain {
            // Files that do not answer must not keep a server from stopping.
            tokio::select! {
                () = settings.read_again() => {}
                () = signals.stop() => break,
            }
        }
        log::info!("Stopping: jobs go on under their supervisors");
        shut_down(&system, &used.keep_all, handle).await;
    });
    let served = server.await.context("the HTTP server failed");
    if let Some(Err(error)) = local.map(std::fs::remove_file) {
        log::debug!("The socket stays: {error}");
    }
    served
}

async fn shut_down(
    system: &System,
    used: &actix::Recipient<messages::KeepAllUsage>,
    server: actix_web::dev::ServerHandle,
) {
    fault::point(fault::STOP_ASKED);
    let drained = actix_rt::time::timeout(DRAIN, async {
        // First: a manager that stops takes nothing more.
        let _gone = used.send(messages::KeepAllUsage).await;
        system.drain.send(messages::Drain).await
    })
    .await;
    if drained.is_err() {
        log::warn!("Not all decisions became durable in time; the next start repairs");
    }
    fault::point(fault::STOP_DRAINED);
    server.stop(true).await;
}

/// Tells the settings and the addresses. That nobody can read it ends no server.
fn announce(config: &Config, address: std::net::SocketAddr, local: Option<&Path>) {
    let mut out = std::io::stdout().lock();
    let told = config.effective().iter().try_for_each(|setting| {
        writeln!(out, "{} = {} ({})", setting.name, setting.value, setting.source.word())
    });
    let told = told.and_then(|()| writeln!(out, "listening on http://{address}"));
    let told = told.and_then(|()| match local {
        Some(path) => writeln!(out, "listening on unix:{}", path.display()),
        None => Ok(()),
    });
    if let Err(error) = told.and_then(|()| out.flush()) {
        log::warn!("Standard output cannot be written ({error}); listening on http://{address}");
    }
}

fn app(
    (settings, served, owners_files, web): (
        &Settings,
        Served,
        Option<Arc<dyn OwnersFiles>>,
        Arc<WebSessions>,
    ),
    (system, machine, usage): (System, Arc<Watch>, UsageWatch),
    (places, database): (Places, Option<PathBuf>),
    host: String,
    (isolation, cannot_suspend): (BTreeMap<String, String>, Option<String>),
) -> Result<App> {
    let file_watcher = FileWatcher::start();
    let mut isolation: Vec<Ability> =
        isolation.into_iter().map(|(name, detail)| Ability { name, detail }).collect();
    let detail = if file_watcher.works() {
        "followed by inotify".to_owned()
    } else {
        format!("inotify is refused here; looked at every {:?}", api::LOOK_EVERY)
    };
    isolation.push(Ability { name: "followed logs".to_owned(), detail });
    isolation.push(Ability { name: "users".to_owned(), detail: crate::people::SOURCE.to_owned() });
    Ok(App {
        system,
        in_force: settings.in_force(),
        served,
        web,
        owners_files,
        places,
        host,
        machine,
        usage,
        upkeep: Upkeep::begin(database),
        isolation,
        cannot_suspend,
        files: Files::start().context("no thread can be started for the files of jobs")?,
        file_watcher,
        streams: Room::new("streams", STREAMS_MAX.min(a_part_of_the_connections())),
        waits: Room::new("waits", a_part_of_the_connections()),
    })
}

/// Removes what the engine still holds of attempts whose end is committed.
async fn forget_ended(engine: &dyn Engine, live: &[AttemptKey]) {
    let live: BTreeSet<String> = live.iter().map(|key| engine_key(key).name()).collect();
    let known = match engine.known().await {
        Ok(known) => known,
        Err(error) => return log::warn!("The spool cannot be tidied: {error}"),
    };
    for key in known.iter().filter(|name| !live.contains(*name)).filter_map(|n| Key::parse(n)) {
        match engine.processes(&key).await {
            Ok(pids) if pids.is_empty() => engine.forget(&key).await,
            Ok(pids) => log::warn!("Ended attempt {} has processes {pids:?}", key.name()),
            Err(error) => log::warn!("The spool of {} cannot be read: {error}", key.name()),
        }
    }
}

fn engine_key((attempt, nonce, boot_id): &AttemptKey) -> Key {
    Key { attempt: *attempt, nonce: nonce.to_string(), boot_id: boot_id.to_string() }
}

/// One line for each thing that is said, whatever those wrote of whom it is said.
fn log_lines(level: log::LevelFilter) {
    let mut builder = env_logger::Builder::new();
    builder.filter_level(level).parse_default_env().format(|out, record| {
        let (time, said) = (out.timestamp(), record.args().to_string());
        let (level, target) = (record.level(), record.target());
        writeln!(out, "[{time} {level:<5} {target}] {}", escaped(&said, |c| c == '\t'))
    });
    builder.init();
}

/// The database, looked at and not yet written to.
fn database(config: &Config) -> Result<Database> {
    let path = match &config.database {
        DatabaseAt::File(path) => path,
        DatabaseAt::Postgres(address) => return Ok(Database::postgres(address.clone())),
    };
    folder::is_no_link(path)?;
    let file = File::new(path);
    if examine(&file)? == Found::Nothing && jobs_ran_in(&config.data_dir) {
        let (file, folder) = (file.place(), config.data_dir.display());
        bail!(
            "the database {file} is empty or missing, and {folder} holds files of jobs that ran; \
             put the database back, or move jobs/ and spool/ away to begin anew"
        );
    }
    // Only a file that is not there yet is made here, with the mode that SQLite would not give
    // it; afterwards nobody but SQLite opens it.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(e) => {
            return Err(e).with_context(|| format!("cannot make the database {}", path.display()));
        }
    }
    Ok(Database::Sqlite(file))
}

/// Which installation this is. A copy gets a name of its own before anything else happens.
fn installation(config: &Config, writer: &mut dyn Writer) -> Result<Installation> {
    let database_says = writer.installation()?;
    let installation = Installation::find(&config.data_dir, &database_says, config.adopt)?;
    if installation.is_copy {
        log::warn!(
            "{} is a copy of an installation, or was moved from another disk: jobs that ran under \
             the original end NODE_FAIL here, and nothing of them is signalled. If the original is \
             gone and they are to be this server's, stop it and put the original back, or start \
             the next copy with --adopt",
            config.data_dir.display()
        );
    }
    if database_says != installation.id() {
        writer.belongs_to(installation.id())?;
    }
    installation.keep()?;
    Ok(installation)
}

/// Whether this folder has seen jobs. Numbers that begin anew would mix old files with new ones,
/// and what still runs would be nobody's.
fn jobs_ran_in(data_dir: &Path) -> bool {
    let mut folders = [data_dir.join("jobs"), data_dir.join("spool")].into_iter();
    folders.any(|folder| std::fs::read_dir(folder).is_ok_and(|mut all| all.next().is_some()))
}

fn take_locks(config: &Config) -> Result<Vec<Lock>> {
    let data = config.data_dir.join("server.lock");
    let mut locks = vec![Lock::take(&data)?];
    // A schema has a lock of its own, inside.
    if let Some(file) = config.database.file() {
        let mut beside = file.clone().into_os_string();
        beside.push(".lock");
        locks.push(Lock::take(Path::new(&beside))?);
    }
    Ok(locks)
}

/// Whatever links name the file: two servers must meet at one lock.
fn one_name_for(database: &mut DatabaseAt) -> Result<()> {
    if let DatabaseAt::File(path) = database {
        *path = one_name(path)?;
    }
    Ok(())
}

/// Followers and connections need descriptors; jobs get back what the server was started with.
fn raise_nofile() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        log::warn!("The limit of open files stays at {:?}: {error}", limit.current);
    }
    limit.current
}

/// A server that can open nothing more would listen and never answer.
fn enough_descriptors() -> Result<()> {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let least = DESCRIPTORS_KEPT + 4 * WORKERS as u64;
    if limit < least {
        bail!("at most {limit} files may be open (ulimit -n); a server needs {least}");
    }
    Ok(())
}

/// As many as leave enough descriptors for the work itself; the next ones wait to be accepted.
fn connections_of_a_worker() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // One that follows a log holds the file too.
    let each = limit.saturating_sub(DESCRIPTORS_KEPT) / 2 / WORKERS as u64;
    usize::try_from(each).unwrap_or(usize::MAX).clamp(1, CONNECTIONS_MAX)
}

/// How many requests of one slow kind there may be at once.
fn a_part_of_the_connections() -> usize {
    (connections_of_a_worker() * WORKERS / PART).max(1)
}
