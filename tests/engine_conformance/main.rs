//! *Purpose*: what every engine promises, tried on each; and what the local one promises
//! beyond that.
//!
//! *Owns*: the cases, and the worlds (fake, local) in which they are played.
//!
//! *Promises*: every wait looks at a state, has a deadline and says the state when it fails.
//!
//! *Not here*: small parts of the local engine (tests beside their code).
#![allow(clippy::unwrap_used)]

mod devices;
mod measure;
mod memory;
mod scratch;
mod signals;
mod supervisors;
mod suspend;

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use downbeat::engine::fake::{FakeEngine, Plan};
use downbeat::engine::local::{LocalConfig, LocalEngine, Origin};
use downbeat::engine::{
    AttemptStatus, Control, Elsewhere, Engine, ExitRecord, Handle, Key, LimitWish, Order, Stop,
    StreamFile,
};
use downbeat::job::ids::{Attempt, CpuId, JobId};
use downbeat::job::outcome::ExitCode;
use downbeat::job::spec::OpenMode;
use rustix::process::{Pid, Signal};

/// Long enough for a loaded machine; no passing test waits for it.
const DEADLINE: Duration = Duration::from_secs(30);

fn play(case: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(case);
}

/// What a script of the common cases does.
#[derive(Clone, Copy)]
enum Does {
    Exits(u8),
    Sleeps,
    IgnoresTerm,
    NamesNoInterpreter,
}

/// A folder of its own, in which nothing lives on when the test is over.
struct Home(tempfile::TempDir);

impl Home {
    fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A place in which engines are tried.
struct Stage<E> {
    engine: E,
    home: Home,
    next: AtomicI64,
}

impl<E: Engine> Stage<E> {
    fn new(engine: impl FnOnce(&Path) -> E) -> Stage<E> {
        let home = Home(tempfile::tempdir().unwrap());
        fs::create_dir(home.path().join("work")).unwrap();
        let engine = engine(home.path());
        Stage { engine, home, next: AtomicI64::new(1) }
    }

    fn work(&self) -> PathBuf {
        self.home.path().canonicalize().unwrap().join("work")
    }

    fn order(&self, script: &str) -> Order {
        let job = JobId(self.next.fetch_add(1, Ordering::Relaxed));
        // Unique over all tests at once: by it processes are attributed.
        static NONCE: AtomicI64 = AtomicI64::new(1);
        let nonce = NONCE.fetch_add(1, Ordering::Relaxed);
        let nonce = format!("{}x{nonce}", std::process::id());
        let attempt = Attempt { job, n: 1 };
        let stream = |name: String| StreamFile { root: self.work(), path: name.into() };
        let path = std::env::var("PATH").unwrap();
        Order {
            key: Key { attempt, nonce, boot_id: Origin::here().unwrap().id().to_owned() },
            script: script.to_owned(),
            environment: BTreeMap::from([("PATH".to_owned(), path)]),
            own_folder: None,
            working_directory: self.work(),
            create_working_directory: false,
            stdout: stream(format!("{job}.out")),
            stderr: stream(format!("{job}.err")),
            limit_s: None,
            kill_grace_s: 20,
            finish_s: 0,
            confine_signals: false,
            output_bytes: None,
            cpus: vec![CpuId(0)],
            pin: false,
            memory_bytes: None,
            denied_devices: Vec::new(),
            signal: None,
            open_mode: OpenMode::Truncate,
            script_is_bytes: false,
            arguments: Vec::new(),
            standard_input: None,
            umask: None,
            limits: Default::default(),
            person: None,
        }
    }

    /// What standard output holds now.
    fn output(&self, order: &Order) -> String {
        fs::read_to_string(order.stdout.root.join(&order.stdout.path)).unwrap_or_default()
    }

    async fn launch(&self, order: &Order) {
        self.engine.launch(order.clone()).await.unwrap();
    }

    async fn see(&self, key: &Key, wanted: impl Fn(&AttemptStatus) -> bool) -> AttemptStatus {
        see(&self.engine, key, wanted).await
    }

    async fn end(&self, order: &Order) -> ExitRecord {
        self.launch(order).await;
        ended(&self.engine, &order.key).await
    }

    async fn running(&self, order: &Order) -> Handle {
        self.launch(order).await;
        match self.see(&order.key, |s| matches!(s, AttemptStatus::Running { .. })).await {
            AttemptStatus::Running { handle, .. } => handle,
            other => panic!("{other:?}"),
        }
    }

    async fn cancel(&self, order: &Order, kill_grace_s: Option<u32>) {
        let control = Control { cancel: true, kill_grace_s, ..Control::default() };
        self.engine.control(&order.key, control).await.unwrap();
    }
}

async fn see(
    engine: &impl Engine,
    key: &Key,
    wanted: impl Fn(&AttemptStatus) -> bool,
) -> AttemptStatus {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let seen = engine.reattach(key).await.unwrap();
        if wanted(&seen) {
            return seen;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let hint = tokio::time::timeout(left, engine.changed(key)).await;
        assert!(hint.is_ok(), "{} is still seen as {seen:?}", key.name());
    }
}

async fn ended(engine: &impl Engine, key: &Key) -> ExitRecord {
    match see(engine, key, |s| matches!(s, AttemptStatus::Exited(_))).await {
        AttemptStatus::Exited(record) => record,
        other => panic!("{other:?}"),
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

fn signalled(signal: u8) -> Option<ExitCode> {
    Some(ExitCode { code: 0, signal })
}

// ---- the cases every engine must pass ------------------------------------------------------

/// An engine that can be given the scripts of the common cases.
trait Common: Engine + Sized {
    fn script(&self, does: Does) -> &'static str;

    /// Waits until a running script of `Does::IgnoresTerm` has come so far as to ignore it.
    async fn deaf(stage: &Stage<Self>, order: &Order);
}

impl Common for FakeEngine {
    fn script(&self, does: Does) -> &'static str {
        self.plan_next(match does {
            Does::Exits(code) => Plan::Exits(ExitCode { code, signal: 0 }),
            Does::Sleeps => Plan::Runs,
            Does::IgnoresTerm => Plan::Stubborn,
            Does::NamesNoInterpreter => Plan::Fails("interpreter /no/such/bin not found".into()),
        });
        ""
    }

    async fn deaf(_: &Stage<FakeEngine>, _: &Order) {}
}

impl Common for LocalEngine {
    fn script(&self, does: Does) -> &'static str {
        match does {
            Does::Exits(0) => "true",
            Does::Exits(_) => "exit 3",
            Does::Sleeps => "exec sleep 600",
            Does::IgnoresTerm => "trap '' TERM; echo deaf; while :; do sleep 600; done",
            Does::NamesNoInterpreter => "#!/no/such/bin\n",
        }
    }

    async fn deaf(stage: &Stage<LocalEngine>, order: &Order) {
        until("deafness", || match stage.output(order) {
            text if text == "deaf\n" => Ok(()),
            text => Err(text),
        })
        .await;
    }
}

async fn codes_are_true<E: Common>(stage: &Stage<E>) {
    for code in [0, 3] {
        let record = stage.end(&stage.order(stage.engine.script(Does::Exits(code)))).await;
        assert_eq!((record.exit_code, record.stop), (exited(code), None), "{record:?}");
        assert_eq!((record.version, record.launch_error), (3, None));
        let handle = record.handle.unwrap();
        assert!(handle.pid > 1 && record.end_time >= handle.start_time);
    }
}

async fn a_cancelled_script_ends_by_the_signal<E: Common>(stage: &Stage<E>) {
    let order = stage.order(stage.engine.script(Does::Sleeps));
    let handle = stage.running(&order).await;
    stage.cancel(&order, None).await;
    let record = ended(&stage.engine, &order.key).await;
    assert_eq!((record.exit_code, record.stop), (signalled(15), Some(Stop::Cancelled)));
    assert_eq!(record.handle, Some(handle));
}

async fn a_cancel_before_the_start_means_that_nothing_starts<E: Common>(stage: &Stage<E>) {
    let order = stage.order(stage.engine.script(Does::Sleeps));
    stage.cancel(&order, None).await;
    assert_eq!(stage.engine.reattach(&order.key).await.unwrap(), AttemptStatus::NeverStarted);
    let record = stage.end(&order).await;
    assert_eq!((record.exit_code, record.stop), (None, Some(Stop::Cancelled)), "{record:?}");
    assert_eq!((record.handle, record.launch_error), (None, None));
}

async fn a_stop_is_seen_before_the_end<E: Common>(stage: &Stage<E>) {
    let order = stage.order(stage.engine.script(Does::IgnoresTerm));
    stage.running(&order).await;
    E::deaf(stage, &order).await;
    stage.cancel(&order, None).await;
    let stopping =
        |s: &AttemptStatus| matches!(s, AttemptStatus::Running { stopping: Some(_), .. });
    stage.see(&order.key, stopping).await;
}

async fn a_launch_failure_is_an_end_with_a_sentence<E: Common>(stage: &Stage<E>) {
    let order = stage.order(stage.engine.script(Does::NamesNoInterpreter));
    let record = stage.end(&order).await;
    assert_eq!(record.launch_error.as_deref(), Some("interpreter /no/such/bin not found"));
    assert_eq!((record.exit_code, record.handle), (None, None));
}

async fn an_ended_attempt_is_forgotten_on_demand<E: Common>(stage: &Stage<E>) {
    let order = stage.order(stage.engine.script(Does::Exits(0)));
    stage.end(&order).await;
    assert!(stage.engine.known().await.unwrap().contains(&order.key.name()));
    stage.engine.forget(&order.key).await;
    assert!(!stage.engine.known().await.unwrap().contains(&order.key.name()));
    assert_eq!(stage.engine.reattach(&order.key).await.unwrap(), AttemptStatus::NeverStarted);
}

macro_rules! every_engine {
    ($($case:ident)*) => {
        mod fake {
            $(#[test] fn $case() {
                super::play(async { super::$case(&super::Stage::new(|_| super::FakeEngine::new())).await });
            })*
        }
        mod on_this_machine {
            $(#[test] fn $case() {
                super::play(async { super::$case(&super::Stage::new(super::engine_in)).await });
            })*
        }
    };
}

every_engine! {
    codes_are_true
    a_cancelled_script_ends_by_the_signal
    a_cancel_before_the_start_means_that_nothing_starts
    a_stop_is_seen_before_the_end
    a_launch_failure_is_an_end_with_a_sentence
    an_ended_attempt_is_forgotten_on_demand
}

// ---- the local engine ----------------------------------------------------------------------

fn config_in(home: &Path) -> LocalConfig {
    LocalConfig {
        program: env!("CARGO_BIN_EXE_downbeat").into(),
        soft_nofile: Some(500),
        ..LocalConfig::new(home.join("data"))
    }
}

fn engine_in(home: &Path) -> LocalEngine {
    LocalEngine::start(config_in(home)).unwrap()
}

fn local() -> Stage<LocalEngine> {
    Stage::new(engine_in)
}

impl Drop for Home {
    /// No test leaves a process behind, whatever became of it.
    fn drop(&mut self) {
        let marks = [format!("{}/", self.path().display())];
        for pid in pids() {
            let text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let cwd = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
            let text = format!("{} {}/", String::from_utf8_lossy(&text), cwd.display());
            let stepd = text.starts_with(env!("CARGO_BIN_EXE_downbeat"));
            if !stepd && marks.iter().any(|m| text.contains(m.as_str())) {
                kill(pid, Signal::KILL);
                suspend::thaw(pid);
            }
        }
    }
}

fn pids() -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).collect()
}

fn kill(pid: i32, signal: Signal) {
    let _ = rustix::process::kill_process(Pid::from_raw(pid).unwrap(), signal);
}

/// Field of `/proc/<pid>/stat` after the name, counted from the state.
fn stat(pid: i32, field: usize) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(") ")?.1.split(' ').nth(field).map(str::to_owned)
}

fn alive(pid: i32) -> bool {
    stat(pid, 0).is_some_and(|state| state != "Z" && state != "X")
}

fn parent(pid: i32) -> i32 {
    stat(pid, 1).unwrap().parse().unwrap()
}

/// The pids a script wrote to its output, one a line, once there are so many.
async fn pids_told(stage: &Stage<LocalEngine>, order: &Order, count: usize) -> Vec<i32> {
    until("pids in the output", || {
        let text = stage.output(order);
        let pids: Vec<i32> = text.lines().filter_map(|l| l.parse().ok()).collect();
        if pids.len() >= count && text.ends_with('\n') { Ok(pids) } else { Err(text) }
    })
    .await
}

fn all_gone(pids: &[i32]) -> Result<(), String> {
    let left: Vec<&i32> = pids.iter().filter(|p| alive(**p)).collect();
    if left.is_empty() { Ok(()) } else { Err(format!("{left:?} alive")) }
}

/// A script whose descendants try to get away; it writes three pids.
const ESCAPING: &str = "
setsid sleep 601 & echo $!
( env -i setsid sleep 602 & echo $! ) &
wait $!
python3 - <<'END' 2>/dev/null || bash -c 'trap \"\" TERM HUP; (setsid sleep 603 & echo $!)'
raise SystemExit(1)
END
";

#[test]
fn a_script_that_kills_itself_ends_by_its_signal() {
    play(async {
        let stage = local();
        let record = stage.end(&stage.order("kill -TERM $$")).await;
        assert_eq!((record.exit_code, record.stop), (signalled(15), None));
        assert_eq!(record.exit_code.unwrap().to_string(), "0:15");
        let record = stage.end(&stage.order("exit 143")).await;
        assert_eq!(record.exit_code, exited(143));
    });
}

#[test]
fn a_script_that_ignores_term_is_killed_after_its_grace() {
    play(async {
        let stage = local();
        let order = stage.order(stage.engine.script(Does::IgnoresTerm));
        stage.running(&order).await;
        LocalEngine::deaf(&stage, &order).await;
        let asked = Instant::now();
        stage.cancel(&order, Some(1)).await;
        let record = ended(&stage.engine, &order.key).await;
        assert_eq!((record.exit_code, record.stop), (signalled(9), Some(Stop::Cancelled)));
        assert!(asked.elapsed() >= Duration::from_secs(1), "killed after {:?}", asked.elapsed());
    });
}

#[test]
fn a_second_cancel_can_shorten_the_grace() {
    play(async {
        let stage = local();
        let order =
            Order { kill_grace_s: 3600, ..stage.order(stage.engine.script(Does::IgnoresTerm)) };
        stage.running(&order).await;
        LocalEngine::deaf(&stage, &order).await;
        stage.cancel(&order, None).await;
        stage
            .see(&order.key, |s| matches!(s, AttemptStatus::Running { stopping: Some(_), .. }))
            .await;
        stage.cancel(&order, Some(0)).await;
        assert_eq!(ended(&stage.engine, &order.key).await.exit_code, signalled(9));
    });
}

#[test]
fn a_time_limit_ends_a_script() {
    play(async {
        let stage = local();
        let order = Order { limit_s: Some(1), ..stage.order("exec sleep 600") };
        let asked = Instant::now();
        let record = stage.end(&order).await;
        assert_eq!((record.exit_code, record.stop), (signalled(15), Some(Stop::TimeLimit)));
        assert!(asked.elapsed() >= Duration::from_secs(1));
    });
}

#[test]
fn a_time_limit_is_changed_while_the_script_runs() {
    play(async {
        let stage = local();
        let longer = Order { limit_s: Some(1), ..stage.order("sleep 1.5; exit 4") };
        let shorter = Order { limit_s: None, ..stage.order("exec sleep 600") };
        let wish = |limit| Control { limit: Some(limit), ..Control::default() };
        for order in [&longer, &shorter] {
            stage.running(order).await;
        }
        stage.engine.control(&longer.key, wish(LimitWish::Unlimited)).await.unwrap();
        stage.engine.control(&shorter.key, wish(LimitWish::Seconds(1))).await.unwrap();
        let record = ended(&stage.engine, &shorter.key).await;
        assert_eq!((record.exit_code, record.stop), (signalled(15), Some(Stop::TimeLimit)));
        let record = ended(&stage.engine, &longer.key).await;
        assert_eq!((record.exit_code, record.stop), (exited(4), None));
    });
}

#[test]
fn a_job_that_gets_more_time_is_told_again_that_its_limit_is_near() {
    play(async {
        let stage = local();
        let script = "n=0; trap 'n=$((n+1)); echo $n' USR1; while [ $n -lt 2 ]; do sleep 0.02; \
                      done; exit 4";
        let signal = Some("B:USR1@1".parse().unwrap());
        let order = Order { limit_s: Some(2), signal, ..stage.order(script) };
        stage.running(&order).await;
        let out = order.stdout.full();
        until("the first signal", || match fs::read_to_string(&out) {
            Ok(text) if text == "1\n" => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        let limit = Some(LimitWish::Seconds(5));
        stage.engine.control(&order.key, Control { limit, ..Control::default() }).await.unwrap();
        let record = ended(&stage.engine, &order.key).await;
        assert_eq!((record.exit_code, record.stop), (exited(4), None));
    });
}

#[test]
fn no_descendant_outlives_its_script_however_it_left() {
    play(async {
        let stage = local();
        let order = stage.order(&format!("{ESCAPING}\nexit 7"));
        let record = stage.end(&order).await;
        assert_eq!(record.exit_code, exited(7));
        let pids = pids_told(&stage, &order, 3).await;
        assert_eq!(all_gone(&pids), Ok(()), "the record says that the tree is gone");

        let order = stage.order(&format!("{ESCAPING}\nsleep 600"));
        stage.running(&order).await;
        let pids = pids_told(&stage, &order, 3).await;
        assert!(pids.iter().all(|p| alive(*p)));
        let processes = stage.engine.processes(&order.key).await.unwrap();
        assert!(pids.iter().all(|p| processes.contains(p)), "{pids:?} in {processes:?}");
        stage.cancel(&order, Some(5)).await;
        ended(&stage.engine, &order.key).await;
        assert_eq!(all_gone(&pids), Ok(()));
    });
}

#[test]
fn a_storm_of_forks_is_won() {
    play(async {
        let stage = local();
        // Forty chains; each link leaves its session and is replaced by its child at once.
        let link = "#!/bin/bash\necho $$ >>\"$1\"\nsetsid /bin/bash \"$0\" \"$1\" &\n";
        let file = stage.work().join("link");
        fs::write(&file, link).unwrap();
        let (file, count) = (file.display(), stage.work().join("count"));
        let script = format!(
            "for i in {{1..40}}; do setsid /bin/bash {file} {} & done; sleep 600",
            count.display()
        );
        let order = stage.order(&script);
        stage.running(&order).await;
        let links = || fs::read_to_string(&count).unwrap_or_default().lines().count();
        until("a storm", || if links() > 400 { Ok(()) } else { Err(links().to_string()) }).await;
        stage.cancel(&order, Some(0)).await;
        let record = ended(&stage.engine, &order.key).await;
        assert_eq!(record.stop, Some(Stop::Cancelled));
        let told = fs::read_to_string(&count).unwrap();
        let pids: Vec<i32> = told.lines().filter_map(|l| l.parse().ok()).collect();
        assert_eq!(all_gone(&pids), Ok(()), "after {} links", pids.len());
        assert_eq!(links(), pids.len(), "nobody is left to write");
    });
}

#[test]
fn a_working_directory_that_cannot_be_entered_is_named() {
    play(async {
        let stage = local();
        let missing = stage.work().join("missing");
        let order = Order { working_directory: missing.clone(), ..stage.order("true") };
        let sentence = format!("working directory {}: not found", missing.display());
        assert_eq!(stage.end(&order).await.launch_error, Some(sentence));

        let file = stage.work().join("file");
        fs::write(&file, "").unwrap();
        let order = Order { working_directory: file.clone(), ..stage.order("true") };
        let sentence = format!("working directory {}: not a folder", file.display());
        assert_eq!(stage.end(&order).await.launch_error, Some(sentence));

        let order = Order {
            working_directory: missing.join("deep"),
            create_working_directory: true,
            ..stage.order("pwd")
        };
        assert_eq!(stage.end(&order).await.exit_code, exited(0));
        assert_eq!(stage.output(&order).trim(), missing.join("deep").to_str().unwrap());
    });
}

#[test]
fn streams_are_emptied_shared_and_their_folders_made() {
    play(async {
        let stage = local();
        let mut order = stage.order("echo one; echo two >&2; echo three");
        order.stdout.path = "a/b/c.out".into();
        order.stderr = order.stdout.clone();
        assert_eq!(stage.end(&order).await.exit_code, exited(0));
        assert_eq!(stage.output(&order), "one\ntwo\nthree\n");

        let again = Order { stdout: order.stdout.clone(), ..stage.order("echo new; echo err >&2") };
        assert_eq!(stage.end(&again).await.exit_code, exited(0));
        assert_eq!(stage.output(&again), "new\n");
        let errors = again.stderr.root.join(&again.stderr.path);
        assert_eq!(fs::read_to_string(errors).unwrap(), "err\n");
    });
}

#[test]
fn streams_that_are_appended_to_keep_what_is_there_and_are_made_when_missing() {
    play(async {
        let stage = local();
        let mut order = stage.order("echo new; echo newer >&2");
        order.open_mode = OpenMode::Append;
        fs::write(order.stdout.root.join(&order.stdout.path), "old\n").unwrap();
        assert_eq!(stage.end(&order).await.exit_code, exited(0));
        assert_eq!(stage.output(&order), "old\nnew\n");
        let errors = fs::read_to_string(order.stderr.root.join(&order.stderr.path)).unwrap();
        assert_eq!(errors, "newer\n");
    });
}

#[test]
fn a_stream_never_leaves_its_root() {
    play(async {
        let stage = local();
        let outside = stage.home.path().canonicalize().unwrap().join("outside");
        fs::create_dir(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, stage.work().join("way-out")).unwrap();
        for path in ["way-out/x", "way-out/deep/x"] {
            let mut order = stage.order("echo escaped");
            order.stdout.path = path.into();
            let sentence = stage.end(&order).await.launch_error.unwrap();
            assert!(sentence.contains("a link leads out of"), "{sentence}");
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);

        fs::create_dir(stage.work().join("inside")).unwrap();
        std::os::unix::fs::symlink("inside", stage.work().join("way-in")).unwrap();
        let mut order = stage.order("echo fine");
        order.stdout.path = "way-in/x".into();
        assert_eq!(stage.end(&order).await.exit_code, exited(0));
        assert_eq!(stage.output(&order), "fine\n");
    });
}

#[test]
fn only_regular_files_are_streams() {
    play(async {
        let stage = local();
        let pipe = stage.work().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
        fs::create_dir(stage.work().join("folder")).unwrap();
        for (name, says) in [("pipe", "is not a regular file"), ("folder", "is a folder")] {
            let mut order = stage.order("echo lost");
            order.stdout.path = name.into();
            let sentence = stage.end(&order).await.launch_error.unwrap();
            assert!(sentence.ends_with(says), "{sentence}");
        }
    });
}

#[test]
fn a_script_is_pinned_to_its_cpus_and_only_the_script() {
    play(async {
        let stage = local();
        let script = "taskset -cp $$ 2>/dev/null || grep Cpus_allowed_list /proc/$$/status";
        let order = Order { pin: true, cpus: vec![CpuId(0)], ..stage.order(script) };
        assert_eq!(stage.end(&order).await.exit_code, exited(0));
        let says = stage.output(&order);
        assert_eq!(says.rsplit([':', '\t', ' ']).next().unwrap().trim(), "0", "{says}");
        // A CPU that the machine does not have pins nothing and breaks nothing.
        let order = Order { pin: true, cpus: vec![CpuId(1023)], ..stage.order("true") };
        assert_eq!(stage.end(&order).await.exit_code, exited(0));
    });
}

#[test]
fn a_script_inherits_nothing_but_its_order() {
    play(async {
        let stage = local();
        let script = "env -0 | sort -z | tr '\\0' '\\n' | grep -v -e ^_= -e ^SHLVL= -e ^PWD=
ls /proc/self/fd | tr '\\n' ' '; echo
ulimit -Sn; readlink /proc/$$/fd/0
ps -o pgid= -p $$ | tr -d ' '; echo $$";
        let mut order = stage.order(&format!("#!/bin/bash --norc\n{script}"));
        order.environment.insert("GREETING".into(), "hello you".into());
        order.environment.insert("DOWNBEAT_KEY".into(), "forged".into());
        assert_eq!(stage.end(&order).await.exit_code, exited(0));
        let says = stage.output(&order);
        let lines: Vec<&str> = says.lines().collect();
        let path = format!("PATH={}", std::env::var("PATH").unwrap());
        let key = format!("DOWNBEAT_KEY={}", order.key.name());
        assert_eq!(lines[..3], [&*key, "GREETING=hello you", &*path], "{says}");
        assert!(lines[3].starts_with("TMPDIR=/") && lines[3].contains("/scratch/"), "{says}");
        // 3 is the folder that ls reads.
        assert_eq!(lines[4].trim(), "0 1 2 3", "{says}");
        assert_eq!(lines[5..7], ["500", "/dev/null"], "{says}");
        assert_eq!(lines[7], lines[8], "its own process group: {says}");
    });
}

#[test]
fn a_script_starts_with_no_signal_blocked_or_ignored() {
    play(async {
        let stage = local();
        // Not a shell, which has habits of its own.
        let order = stage.order("#!/usr/bin/env -S grep -h ^Sig /proc/self/status\n");
        assert_eq!(stage.end(&order).await.exit_code, exited(0));
        let says = stage.output(&order);
        let mask = |name: &str| {
            let line = says.lines().find_map(|l| l.strip_prefix(name)).unwrap();
            // The C library keeps 32 and 33 to itself.
            u64::from_str_radix(line.trim(), 16).unwrap() & 0x7fff_ffff
        };
        assert_eq!((mask("SigBlk:"), mask("SigIgn:")), (0, 0), "{says}");
    });
}

#[test]
fn an_interpreter_gets_its_one_argument() {
    play(async {
        let stage = local();
        let order = stage.order("#!/bin/bash -e\nfalse\necho unreachable");
        assert_eq!(stage.end(&order).await.exit_code, exited(1));
        let order = stage.order("#!/usr/bin/env -S bash -u\necho \"$0\" $UNSET\n");
        assert_ne!(stage.end(&order).await.exit_code, exited(0));
        let order = stage.order("#!/bin/bash\r\ntrue\r\n");
        let sentence = stage.end(&order).await.launch_error.unwrap();
        assert!(sentence.contains("carriage returns"), "{sentence}");
        let order = stage.order("#!/etc/passwd\ntrue\n");
        let sentence = stage.end(&order).await.launch_error.unwrap();
        assert_eq!(sentence, "interpreter /etc/passwd cannot be executed: permission denied");
    });
}

#[test]
fn an_attempt_launched_twice_runs_once() {
    play(async {
        let stage = local();
        let order = stage.order("echo ran >>runs; sleep 0.2");
        for _ in 0..5 {
            stage.launch(&order).await;
        }
        assert_eq!(ended(&stage.engine, &order.key).await.exit_code, exited(0));
        stage.launch(&order).await;
        let other = stage.end(&stage.order("true")).await;
        assert_eq!(other.exit_code, exited(0), "the daemon has passed all that was sent before");
        assert_eq!(fs::read_to_string(stage.work().join("runs")).unwrap(), "ran\n");
    });
}

#[test]
fn usage_is_that_of_the_whole_tree() {
    play(async {
        let stage = local();
        let busy = "i=0; while (( i < 40000 )); do (( i += 1 )); done";
        let record =
            stage.end(&stage.order(&format!("({busy}) & setsid bash -c '{busy}' & wait"))).await;
        assert!(record.usage.user_us > 20_000, "{record:?}");
        assert!(record.usage.max_rss_bytes > 1_000_000, "{record:?}");
    });
}

#[test]
fn a_lost_attempt_leaves_nothing_once_its_remains_are_killed() {
    play(async {
        let stage = local();
        let order = stage.order(&format!("{ESCAPING}\necho $$; sleep 600"));
        let handle = stage.running(&order).await;
        let pids = pids_told(&stage, &order, 4).await;
        let stranger = stage.order("exec sleep 600");
        let stranger_pid = stage.running(&stranger).await.pid;
        kill(parent(handle.pid), Signal::KILL);
        stage.see(&order.key, |s| *s == AttemptStatus::Lost).await;
        assert!(pids.iter().any(|p| alive(*p)), "losing a supervisor kills no script");
        let mut rounds = Vec::new();
        loop {
            rounds.push(stage.engine.kill_leftovers(&order.key).await.unwrap());
            if rounds.last() == Some(&0) {
                break;
            }
            assert!(rounds.len() < 20, "{rounds:?}");
        }
        // How many are still seen alive is open: a control group may have killed them at once.
        assert_eq!(all_gone(&pids), Ok(()), "{rounds:?}");
        assert!(alive(stranger_pid), "another attempt is none of its business");
        assert_eq!(stage.engine.reattach(&order.key).await.unwrap(), AttemptStatus::Lost);
        stage.engine.forget(&order.key).await;
        stage.cancel(&stranger, Some(0)).await;
        ended(&stage.engine, &stranger.key).await;
    });
}

#[test]
fn a_killed_step_daemon_costs_no_job() {
    play(async {
        let stage = local();
        let order = stage.order("echo up; while [ ! -e go ]; do sleep 0.02; done; exit 4");
        let handle = stage.running(&order).await;
        let first = stage.engine.step_daemon().unwrap();
        kill(first, Signal::KILL);
        // At once, so that some launches meet the dead daemon.
        let after = stage.order("echo ran >>runs; exit 5");
        loop {
            stage.launch(&after).await;
            let seen = |s: &AttemptStatus| {
                matches!(s, AttemptStatus::NeverStarted | AttemptStatus::Exited(_))
            };
            // An order that died with the daemon is said to, and is launched again.
            if let AttemptStatus::Exited(record) = stage.see(&after.key, seen).await {
                assert_eq!(record.exit_code, exited(5));
                break;
            }
        }
        assert_eq!(fs::read_to_string(stage.work().join("runs")).unwrap(), "ran\n");
        assert_ne!(stage.engine.step_daemon(), Some(first));
        assert!(alive(handle.pid));
        let seen = stage.engine.reattach(&order.key).await.unwrap();
        assert_eq!(seen, AttemptStatus::Running { handle, stopping: None });
        fs::write(stage.work().join("go"), "").unwrap();
        assert_eq!(ended(&stage.engine, &order.key).await.exit_code, exited(4));
    });
}

#[test]
fn a_new_server_finds_what_runs_and_what_ended_meanwhile() {
    play(async {
        let mut stage = local();
        let runs = stage.order("while [ ! -e go ]; do sleep 0.02; done; exit 6");
        let limited = Order { limit_s: Some(1), ..stage.order("exec sleep 600") };
        let ends = stage.order("echo $$; sleep 0.3; exit 9");
        let deaf = Order { limit_s: Some(600), ..stage.order("exec sleep 600") };
        let never = stage.order("true");
        let handle = stage.running(&runs).await;
        for order in [&limited, &ends, &deaf] {
            stage.running(order).await;
        }
        drop(stage.engine);
        let limited_record =
            stage.home.path().join("data/spool").join(limited.key.name()).join("exit");
        until("the limit, kept without a server", || {
            limited_record.exists().then_some(()).ok_or("no record".to_owned())
        })
        .await;
        stage.engine = engine_in(stage.home.path());
        let engine = &stage.engine;
        let seen = engine.reattach(&runs.key).await.unwrap();
        assert_eq!(seen, AttemptStatus::Running { handle, stopping: None });
        let record = ended(engine, &limited.key).await;
        assert_eq!((record.exit_code, record.stop), (signalled(15), Some(Stop::TimeLimit)));
        assert_eq!(ended(engine, &ends.key).await.exit_code, exited(9));
        assert_eq!(engine.reattach(&never.key).await.unwrap(), AttemptStatus::NeverStarted);
        let mut known = engine.known().await.unwrap();
        known.sort();
        let names = [&runs, &limited, &ends, &deaf].map(|o| o.key.name());
        assert_eq!(known, names);
        // Adopted attempts can be cancelled, and their ends arrive.
        stage.cancel(&deaf, None).await;
        let record = ended(engine, &deaf.key).await;
        assert_eq!((record.exit_code, record.stop), (signalled(15), Some(Stop::Cancelled)));
        fs::write(stage.work().join("go"), "").unwrap();
        assert_eq!(ended(engine, &runs.key).await.exit_code, exited(6));
    });
}

#[test]
fn a_stopped_supervisor_hears_a_cancel() {
    play(async {
        let stage = local();
        let order = stage.order("exec sleep 600");
        let handle = stage.running(&order).await;
        kill(parent(handle.pid), Signal::STOP);
        stage.cancel(&order, None).await;
        assert_eq!(ended(&stage.engine, &order.key).await.stop, Some(Stop::Cancelled));
    });
}

#[test]
fn a_supervisor_heeds_no_signal_of_strangers() {
    play(async {
        let stage = local();
        let order = stage.order("while [ ! -e go ]; do sleep 0.02; done; exit 8");
        let boss = parent(stage.running(&order).await.pid);
        for signal in [
            Signal::TERM,
            Signal::INT,
            Signal::HUP,
            Signal::QUIT,
            Signal::ALARM,
            Signal::USR2,
            Signal::USR1,
        ] {
            kill(boss, signal);
        }
        fs::write(stage.work().join("go"), "").unwrap();
        let record = ended(&stage.engine, &order.key).await;
        assert_eq!((record.exit_code, record.stop), (exited(8), None));
    });
}

#[test]
fn an_attempt_of_another_boot_is_said_to_be_one() {
    play(async {
        let stage = local();
        let mut order = stage.order("exec sleep 600");
        stage.running(&order).await;
        let true_key = order.key.clone();
        order.key.boot_id = "another".into();
        assert_eq!(
            stage.engine.reattach(&order.key).await.unwrap(),
            AttemptStatus::Foreign(Elsewhere::Boot)
        );
        assert_eq!(stage.engine.kill_leftovers(&order.key).await.unwrap(), 0);
        order.key = true_key;
        stage.cancel(&order, Some(0)).await;
        let record = ended(&stage.engine, &order.key).await;
        order.key.boot_id = "another".into();
        assert_eq!(stage.engine.reattach(&order.key).await.unwrap(), AttemptStatus::Exited(record));
    });
}

#[test]
fn a_torn_record_reads_as_lost() {
    play(async {
        let stage = local();
        let order = stage.order("true");
        stage.end(&order).await;
        let exit = stage.home.path().join("data/spool").join(order.key.name()).join("exit");
        fs::write(exit, "{\"version\":1,\"exit_c").unwrap();
        stage.see(&order.key, |s| *s == AttemptStatus::Lost).await;
    });
}

#[test]
fn a_step_daemon_that_hangs_is_replaced() {
    play(async {
        let mut stage = local();
        let order = stage.order("exec sleep 600");
        let handle = stage.running(&order).await;
        kill(stage.engine.step_daemon().unwrap(), Signal::STOP);
        drop(stage.engine);
        stage.engine = engine_in(stage.home.path());
        let seen = stage.engine.reattach(&order.key).await.unwrap();
        assert_eq!(seen, AttemptStatus::Running { handle, stopping: None });
        assert_eq!(stage.end(&stage.order("exit 2")).await.exit_code, exited(2));
    });
}

#[test]
fn an_engine_that_cannot_start_its_daemon_says_so() {
    let home = tempfile::tempdir().unwrap();
    let program = PathBuf::from("/no/such/program");
    let config = LocalConfig { program, ..LocalConfig::new(home.path()) };
    let error = LocalEngine::start(config).unwrap_err().to_string();
    assert!(error.starts_with("step daemon: No such file"), "{error}");
    let config = LocalConfig { program: "/bin/false".into(), ..LocalConfig::new(home.path()) };
    let error = LocalEngine::start(config).unwrap_err().to_string();
    assert!(error.contains("did not get ready"), "{error}");
}
