//! *Purpose*: many people on one server: what the engine promises each of them, and against each.
//!
//! *Owns*: the cases, which are attacks, and the stage on which they are played: an engine of
//! root's, alice and bob, who are numbers without a name.
//!
//! *Promises*: where this is not root each case says `SKIPPED`, and fails where `CI` is set; every
//! wait looks at a state and has a deadline; nothing of a case lives on, no mount either.
//!
//! *Not here*: who may do what over HTTP (`tests/http`), scripts of the server's own user
//! (`tests/engine_conformance`).
#![allow(clippy::unwrap_used)]

mod becoming;
mod burden;
mod files;
mod house;
mod identity;
mod limits;
mod pages;
mod processes;
mod reading;
mod record;
mod rights;
mod tokens;

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use downbeat::engine::local::{LocalConfig, LocalEngine, Origin};
use downbeat::engine::{
    AttemptStatus, Control, Engine, ExitRecord, Handle, Key, OpenError, Order, Person, StreamFile,
};
use downbeat::job::ids::{Attempt, CpuId, JobId};
use downbeat::job::outcome::ExitCode;
use downbeat::job::spec::OpenMode;

/// Long enough for a loaded machine; no passing test waits for it.
const DEADLINE: Duration = Duration::from_secs(30);
/// Where a job looks for programs.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

fn alice() -> Person {
    Person { uid: 23_001, gid: 23_011, groups: vec![23_021, 23_011], name: "alice".to_owned() }
}

fn bob() -> Person {
    Person { uid: 23_002, gid: 23_012, groups: vec![23_012], name: "bob".to_owned() }
}

/// Plays a case; where nobody can become somebody else it is said that it was not.
fn play(case: &str, played: impl Future<Output = ()>) {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "{case}: it needs root");
        println!("SKIPPED {case}: it needs root");
        return;
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(played);
}

/// Each case by its name.
macro_rules! cases {
    ($($case:ident)*) => {$(
        #[test]
        fn $case() {
            crate::play(stringify!($case), cases::$case());
        }
    )*};
}
pub(crate) use cases;

/// An engine of root's, with a folder for each person.
struct Stage {
    engine: LocalEngine,
    home: tempfile::TempDir,
    next: AtomicI64,
}

impl Stage {
    fn new() -> Stage {
        Stage::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut LocalConfig)) -> Stage {
        let home = tempfile::tempdir().unwrap();
        mode(home.path(), 0o711);
        for person in [alice(), bob()] {
            let own = home.path().join(&person.name);
            fs::create_dir(&own).unwrap();
            mode(&own, 0o700);
            give(&own, &person);
        }
        let mut config = LocalConfig {
            program: env!("CARGO_BIN_EXE_downbeat").into(),
            people: true,
            root_jobs: true,
            ..LocalConfig::new(home.path().join("data"))
        };
        change(&mut config);
        let engine = LocalEngine::start(config).unwrap();
        Stage { engine, home, next: AtomicI64::new(1) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn jobs(&self) -> PathBuf {
        self.path("data/jobs")
    }

    /// An order of this person, which runs in the person's folder and keeps its streams with the
    /// server.
    fn order(&self, person: &Person, script: &str) -> Order {
        let job = JobId(self.next.fetch_add(1, Ordering::Relaxed));
        // Unique over all tests at once: by it processes are attributed.
        static NONCE: AtomicI64 = AtomicI64::new(1);
        let nonce = NONCE.fetch_add(1, Ordering::Relaxed);
        let nonce = format!("{}p{nonce}", std::process::id());
        let own = self.jobs().join(job.to_string());
        let stream = |name: &str| StreamFile { root: own.clone(), path: name.into() };
        Order {
            key: Key {
                attempt: Attempt { job, n: 1 },
                nonce,
                boot_id: Origin::here().unwrap().id().to_owned(),
            },
            script: script.to_owned(),
            script_is_bytes: false,
            environment: BTreeMap::from([
                ("PATH".to_owned(), PATH.to_owned()),
                ("LC_ALL".to_owned(), "C".to_owned()),
            ]),
            own_folder: Some(own.clone()),
            working_directory: self.path(&person.name),
            create_working_directory: false,
            stdout: stream("stdout"),
            stderr: stream("stderr"),
            limit_s: None,
            kill_grace_s: 5,
            finish_s: 0,
            confine_signals: false,
            output_bytes: None,
            cpus: vec![CpuId(0)],
            pin: false,
            memory_bytes: None,
            denied_devices: Vec::new(),
            signal: None,
            open_mode: OpenMode::Truncate,
            arguments: Vec::new(),
            standard_input: None,
            umask: None,
            limits: Default::default(),
            person: Some(person.clone()),
        }
    }

    /// The same order with its standard output in a file that its person names.
    fn writing_to(&self, person: &Person, path: &Path, script: &str) -> Order {
        let stream = StreamFile { root: self.path(&person.name), path: path.to_owned() };
        Order { stdout: stream.clone(), stderr: stream, ..self.order(person, script) }
    }

    async fn launch(&self, order: &Order) {
        self.engine.launch(order.clone()).await.unwrap();
    }

    async fn end(&self, order: &Order) -> ExitRecord {
        self.launch(order).await;
        self.ended(order).await
    }

    /// What a script of this person says that ends well.
    async fn said(&self, person: &Person, script: &str) -> String {
        let order = self.order(person, script);
        let record = self.end(&order).await;
        let said = [&order.stdout, &order.stderr].map(|stream| text(&stream.full()));
        assert_eq!(record.exit_code, exited(0), "{record:?} {said:?}");
        said.concat()
    }

    /// Why no script was started.
    async fn refused(&self, order: &Order) -> String {
        let record = self.end(order).await;
        let why = record.launch_error.clone();
        assert_eq!((record.exit_code, record.handle), (None, None), "{record:?}");
        why.unwrap_or_else(|| panic!("{record:?}"))
    }

    async fn ended(&self, order: &Order) -> ExitRecord {
        match self.see(order, |s| matches!(s, AttemptStatus::Exited(_))).await {
            AttemptStatus::Exited(record) => record,
            other => panic!("{other:?}"),
        }
    }

    async fn running(&self, order: &Order) -> Handle {
        self.launch(order).await;
        match self.see(order, |s| matches!(s, AttemptStatus::Running { .. })).await {
            AttemptStatus::Running { handle, .. } => handle,
            other => panic!("{other:?}"),
        }
    }

    async fn cancel(&self, order: &Order) {
        let control = Control { cancel: true, ..Control::default() };
        self.engine.control(&order.key, control).await.unwrap();
    }

    async fn see(&self, order: &Order, wanted: impl Fn(&AttemptStatus) -> bool) -> AttemptStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let seen = self.engine.reattach(&order.key).await.unwrap();
            if wanted(&seen) {
                return seen;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let hint = tokio::time::timeout(left, self.engine.changed(&order.key)).await;
            assert!(hint.is_ok(), "{} is still seen as {seen:?}", order.key.name());
        }
    }

    /// Waits until a script has said this.
    async fn says(&self, order: &Order, line: &str) {
        until(line, || match text(&order.stdout.full()) {
            said if said.lines().any(|said| said == line) => Ok(()),
            said => Err(said),
        })
        .await;
    }
}

/// Waits until something that nobody reports is so.
async fn until<T>(what: &str, look: impl Fn() -> Result<T, String>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => assert!(Instant::now() < deadline, "waited for {what}, saw {seen}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn exited(code: u8) -> Option<ExitCode> {
    Some(ExitCode { code, signal: 0 })
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn give(path: &Path, person: &Person) {
    chown(path, Some(person.uid), Some(person.gid)).unwrap();
}

/// Owner, group and rights.
fn rights(path: &Path) -> (u32, u32, u32) {
    let about = fs::symlink_metadata(path).unwrap();
    (about.uid(), about.gid(), about.mode() & 0o7777)
}

/// The same, where nothing else goes on in this thread.
#[track_caller]
fn until_now<T>(what: &str, look: impl Fn() -> Result<T, String>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => assert!(Instant::now() < deadline, "waited for {what}, saw {seen}"),
        }
        std::thread::yield_now();
    }
}

fn signal(pid: u32, name: &str) {
    let _gone =
        std::process::Command::new("kill").args([format!("-{name}"), pid.to_string()]).status();
}

/// Processes whose working folder, or first words, are below this folder.
fn processes_below(folder: &Path) -> Vec<u32> {
    let folder = folder.display().to_string();
    let is_below = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&folder)
    };
    let all = fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(is_below).filter(|pid| *pid != std::process::id()).collect()
}
