//! *Purpose*: the composition: store, engine, actors and HTTP become a server.
//!
//! *Owns*: the order of boot and of shutdown.
//!
//! *Promises*: one server per installation; recovery is done by the same actors that serve; a
//! panic anywhere aborts, since boot is the repair; SIGTERM leaves jobs running and exits 0
//! within five seconds.
//!
//! *Not here*: settings (`config`), everything that is composed.
//!
//! **Order of boot.** The locks come first: a second server must not even start a step daemon,
//! for that would depose the first one's. They are close-on-exec, so the daemon never inherits
//! them. Then the engine, the store (migrate, next epoch, load), the actors, and last the socket.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{App as HttpApp, HttpServer, web};
use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::actors::order::{FromStore, OrderSite};
use crate::actors::retention::Retention;
use crate::actors::{self, Parts, System, messages};
use crate::api::wire::report::{Ability, SettingValue};
use crate::api::{self, App, Gate, Growth};
use crate::config::Config;
use crate::engine::local::{LocalConfig, LocalEngine, boot_id};
use crate::engine::{Engine, Key};
use crate::fault;
use crate::kernel::kernel::{Kernel, Reign};
use crate::kernel::places::Places;
use crate::kernel::text::escaped;
use crate::kernel::time::Time;
use crate::store::backend::Database;
use crate::store::examine::{Found, examine};
use crate::store::load::{AttemptKey, load};
use crate::store::lock::Lock;
use crate::store::migrate as migrations;
use crate::store::write::Writer;

/// HTTP workers: they parse and wait; the work is done by one arbiter and the writer.
const WORKERS: usize = 2;
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
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the server until SIGTERM or SIGINT.
///
/// # Errors
/// A sentence for the person who started it.
pub fn run(config: Config) -> Result<()> {
    log_lines(config.log_level);
    abort_on_panic();
    let soft_nofile = raise_nofile();
    make_folder(&config.data_dir)?;
    make_folder(&config.data_dir.join("jobs"))?;
    let mut locks = take_locks(&config)?;
    fault::point(fault::RECOVERY_LOCKED);
    let database = database(&config)?;
    let mut engine_config = LocalConfig::new(&config.data_dir);
    engine_config.soft_nofile = soft_nofile;
    let engine: Arc<dyn Engine> = Arc::new(LocalEngine::start(engine_config)?);
    fault::point(fault::RECOVERY_DAEMON_READY);
    let boot = Boot::load(&config, database)?;
    fault::point(fault::RECOVERY_LOADED);
    actix_rt::System::new().block_on(async move {
        forget_ended(&*engine, &boot.keys).await;
        fault::point(fault::RECOVERY_TIDIED);
        serve(config, boot, engine, &mut locks).await
    })
}

/// Brings the database to this program's form.
///
/// # Errors
/// A sentence for the person who asked.
pub fn migrate(config: &Config) -> Result<()> {
    make_folder(&config.data_dir)?;
    let _locks = take_locks(config)?;
    let database = database(config)?;
    let ran = migrations::run(&mut database.writer()?, &database)?;
    match ran.as_slice() {
        [] => println!("{} is up to date", database.path().display()),
        ran => println!("{}: ran {}", database.path().display(), ran.join(", ")),
    }
    Ok(())
}

/// What is known before the first actor starts.
struct Boot {
    kernel: Kernel,
    commit_no: crate::kernel::ids::CommitNo,
    /// When the last commit before this reign was.
    last_commit: Option<Time>,
    writer: Writer,
    database: Database,
    keys: Vec<AttemptKey>,
    reign: Reign,
}

impl Boot {
    fn load(config: &Config, database: Database) -> Result<Boot> {
        let mut writer = Writer::open(database.clone())?;
        let loaded =
            load(writer.connection()?, config.rules()).map_err(|e| e.at_start(database.path()))?;
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let boot_id = boot_id()?;
        let reign = Reign { boot_id: boot_id.as_str().into(), nonce: nonce.as_str().into() };
        let kernel = Kernel::load(config.cpus.iter().copied(), reign.clone(), loaded.memory)
            .context("the database gives one CPU to two jobs")?
            .with_memory(config.memory.total);
        let (commit_no, last_commit, keys) = (loaded.commit_no, loaded.last_commit, loaded.keys);
        Ok(Boot { kernel, commit_no, last_commit, writer, database, keys, reign })
    }
}

async fn serve(
    config: Config,
    boot: Boot,
    engine: Arc<dyn Engine>,
    locks: &mut [Lock],
) -> Result<()> {
    let Boot { kernel, commit_no, last_commit, writer, database, keys, reign } = boot;
    let readers = database.readers()?;
    let places = Places {
        jobs: config.data_dir.join("jobs"),
        output_roots: config.output_roots.iter().map(Into::into).collect(),
    };
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let site = Arc::new(OrderSite {
        places: places.clone(),
        pin: config.pin,
        host: host.clone(),
        inherited: OrderSite::inherited(),
    });
    let orders = FromStore::new(readers.clone(), site, (reign.nonce, reign.boot_id), keys);
    let isolation = engine.isolation();
    let system = actors::start(Parts {
        kernel,
        commit_no,
        writer,
        readers,
        engine,
        orders: Arc::new(orders),
        policy: config.policy,
        tick: config.tick,
        retention: Retention { keep_s: config.retention_s, places: places.clone(), last_commit },
    });
    let app = web::Data::new(app(&config, system.clone(), places, host, isolation));
    let gate = web::Data::new(Gate {
        token: config.token.clone(),
        admin_token: config.admin_token.clone(),
        listen_host: config.listen_host.clone(),
    });
    let server = HttpServer::new(move || {
        HttpApp::new()
            .app_data(web::Data::clone(&app))
            .app_data(web::Data::clone(&gate))
            .wrap(from_fn(api::guard))
            .configure(api::configure)
    })
    .workers(WORKERS)
    .max_connections(connections_of_a_worker())
    .client_request_timeout(REQUEST_TIMEOUT)
    .shutdown_timeout(SHUTDOWN_S)
    .disable_signals()
    .bind(config.listen)
    .with_context(|| format!("cannot listen on {}; choose another --listen", config.listen))?;
    let address = server.addrs().first().copied().unwrap_or(config.listen);
    for lock in locks {
        lock.sign(&format!("process {} at http://{address}", std::process::id()))?;
    }
    // Heard from before the address is told: whoever reads it may send one at once.
    let stop_asked = stop_asked();
    announce(&config, address)?;
    let server = server.run();
    let handle = server.handle();
    actix_rt::spawn(async move {
        stop_asked.await;
        log::info!("Stopping: jobs go on under their supervisors");
        shut_down(&system, handle).await;
    });
    server.await.context("the HTTP server failed")
}

async fn shut_down(system: &System, server: actix_web::dev::ServerHandle) {
    fault::point(fault::STOP_ASKED);
    let drained = actix_rt::time::timeout(DRAIN, system.drain.send(messages::Drain)).await;
    if drained.is_err() {
        log::warn!("Not all decisions became durable in time; the next start repairs");
    }
    fault::point(fault::STOP_DRAINED);
    server.stop(true).await;
}

/// SIGTERM or SIGINT.
fn stop_asked() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    // Registered here, not at the first poll.
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async move {
        match signals {
            (Ok(mut terminate), Ok(mut interrupt)) => {
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            }
            _ => {
                log::warn!("Signals cannot be heard; only SIGKILL stops this server");
                std::future::pending::<()>().await;
            }
        }
    }
}

fn announce(config: &Config, address: std::net::SocketAddr) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for setting in config.effective() {
        writeln!(out, "{} = {} ({})", setting.name, setting.value, setting.source.word())?;
    }
    writeln!(out, "listening on http://{address}")?;
    out.flush()?;
    Ok(())
}

fn app(
    config: &Config,
    system: System,
    places: Places,
    host: String,
    isolation: BTreeMap<String, String>,
) -> App {
    let configuration = config
        .effective()
        .iter()
        .map(|s| {
            let source = s.source.word().to_owned();
            (s.name.to_owned(), SettingValue { value: s.value.clone(), source })
        })
        .collect();
    let growth = Growth::start();
    let mut isolation: Vec<Ability> =
        isolation.into_iter().map(|(name, detail)| Ability { name, detail }).collect();
    let detail = if growth.works() {
        "followed by inotify".to_owned()
    } else {
        format!("inotify is refused here; looked at every {:?}", api::LOOK_EVERY)
    };
    isolation.push(Ability { name: "followed logs".to_owned(), detail });
    App {
        system,
        policy: config.policy,
        site: config.site(),
        places,
        host,
        configuration,
        isolation,
        notes: config.warnings(),
        growth,
        streams: Arc::new(AtomicUsize::new(0)),
    }
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
            Ok(pids) if pids.is_empty() => engine.collect(&key).await,
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
    let database = Database::new(&config.database_file);
    if examine(&database)? == Found::Nothing && jobs_ran_in(&config.data_dir) {
        let (file, folder) = (database.path().display(), config.data_dir.display());
        bail!(
            "the database {file} is empty or missing, and {folder} holds files of jobs that ran; \
             put the database back, or move jobs/ and spool/ away to begin anew"
        );
    }
    // Only a file that is not there yet is made here, with the mode that SQLite would not give
    // it; afterwards nobody but SQLite opens it.
    let made =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&config.database_file);
    match made {
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(e) => {
            let path = config.database_file.display();
            return Err(e).with_context(|| format!("cannot make the database {path}"));
        }
    }
    Ok(database)
}

/// Whether this folder has seen jobs. Numbers that begin anew would mix old files with new ones,
/// and what still runs would be nobody's.
fn jobs_ran_in(data_dir: &Path) -> bool {
    let mut folders = [data_dir.join("jobs"), data_dir.join("spool")].into_iter();
    folders.any(|folder| std::fs::read_dir(folder).is_ok_and(|mut all| all.next().is_some()))
}

fn take_locks(config: &Config) -> Result<Vec<Lock>> {
    let data = config.data_dir.join("server.lock");
    let mut beside = config.database_file.clone().into_os_string();
    beside.push(".lock");
    Ok(vec![Lock::take(&data)?, Lock::take(Path::new(&beside))?])
}

fn make_folder(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(|| {
        format!("cannot make the folder {}; choose another --data-dir", path.display())
    })
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

/// As many as leave enough descriptors for the work itself; the next ones wait to be accepted.
fn connections_of_a_worker() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // One that follows a log holds the file too.
    let each = limit.saturating_sub(DESCRIPTORS_KEPT) / 2 / WORKERS as u64;
    usize::try_from(each).unwrap_or(usize::MAX).clamp(1, CONNECTIONS_MAX)
}

/// A panic in one actor would leave a server that answers and does not work.
fn abort_on_panic() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        default(panic);
        log::error!("A bug: {panic}. The server ends; jobs go on, the next start repairs.");
        std::process::abort();
    }));
}
