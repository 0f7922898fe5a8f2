//! *Purpose*: a real server in a folder of its own, for tests that stand outside.
//!
//! *Owns*: [`Server`]: start, SIGKILL, start again, ask over HTTP; level-triggered waits.
//!
//! *Promises*: a port of its own, no state left behind, no server, step daemon or job left
//! running; a wait that fails prints what it last saw.
//!
//! *Not here*: what is tested.

#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used)]

use std::fmt::Debug;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longest wait for anything: far beyond what a loaded machine needs.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Looks until `look` answers something; panics with what it last saw.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if Instant::now() > end => panic!("waited for {what}; last saw {seen}"),
            Err(_) => std::thread::sleep(LOOK),
        }
    }
}

thread_local! {
    /// What this test asked servers for: method and path.
    static ASKED: std::cell::RefCell<Vec<(String, String)>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Notes a request that does not go through [`Server::send`].
pub fn note(method: &str, path: &str) {
    let path = path.split('?').next().unwrap_or_default().to_owned();
    ASKED.with_borrow_mut(|asked| asked.push((method.to_owned(), path)));
}

/// What this test asked for so far.
pub fn asked() -> Vec<(String, String)> {
    ASKED.with_borrow(Clone::clone)
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    pub headers: ureq::http::HeaderMap,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

/// What a program said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    #[track_caller]
    pub fn ends(self, code: i32) -> Said {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// Runs a command, whose outputs are pipes, to its end, with this on its standard input.
pub fn finish(mut command: Command, input: &str) -> Said {
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().unwrap();
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).unwrap();
    }
    let done = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) }
}

/// A server.
pub struct Server {
    pub dir: tempfile::TempDir,
    /// The binary; another one may take over.
    pub program: PathBuf,
    pub url: String,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    /// What starts the binary, if not we: a shell that sets a limit first and then execs.
    pub wrap: Vec<String>,
    /// The token that requests come with.
    pub bearer: Option<String>,
    child: Option<Child>,
    agent: ureq::Agent,
}

impl Server {
    /// Four CPUs, whatever the machine has.
    pub fn start() -> Server {
        Server::with(&["--cpus", "4"])
    }

    pub fn with(args: &[&str]) -> Server {
        let mut server = Server::unstarted(args);
        server.up();
        server
    }

    pub fn unstarted(args: &[&str]) -> Server {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build();
        Server {
            dir: tempfile::tempdir().unwrap(),
            program: env!("CARGO_BIN_EXE_downbeat").into(),
            url: String::new(),
            args: args.iter().map(ToString::to_string).collect(),
            env: Vec::new(),
            wrap: Vec::new(),
            bearer: None,
            child: None,
            agent: config.new_agent(),
        }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn database(&self) -> PathBuf {
        self.data().join("downbeat.db")
    }

    pub fn command(&self) -> Command {
        let wrap = self.wrap.iter().map(std::ffi::OsStr::new);
        let mut words = wrap.chain([self.program.as_os_str()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        command.args(["serve", "--data-dir"]).arg(self.data());
        if !self.args.iter().any(|arg| arg == "--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.args(&self.args).stdin(Stdio::null());
        for name in ["DOWNBEAT_TOKEN", "DOWNBEAT_ADMIN_TOKEN", "DOWNBEAT_SERVER", "RUST_LOG"] {
            command.env_remove(name);
        }
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        command
    }

    /// Starts it (again) and waits until it listens. Its log goes to `log` in its folder.
    pub fn up(&mut self) {
        self.spawn();
        assert!(self.listens(), "the server ended before it listened: {}", self.log());
    }

    /// Starts it (again) and does not wait.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("log"))
            .unwrap();
        self.child = Some(self.command().stdout(Stdio::piped()).stderr(log).spawn().unwrap());
    }

    /// Waits until a spawned server listens; false when it ends before.
    pub fn listens(&mut self) -> bool {
        let child = self.child.as_mut().expect("it was spawned");
        let mut out = BufReader::new(child.stdout.take().expect("asked once"));
        let mut line = String::new();
        loop {
            line.clear();
            if out.read_line(&mut line).unwrap() == 0 {
                return false;
            }
            if let Some(url) = line.trim().strip_prefix("listening on ") {
                self.url = url.to_owned();
                break;
            }
        }
        // Kept open, so that a later line does not hit a closed pipe.
        std::thread::spawn(move || {
            let mut sink = String::new();
            while out.read_line(&mut sink).is_ok_and(|n| n > 0) {
                sink.clear();
            }
        });
        true
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// SIGKILL, as a power cut of the server alone.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Waits for its death by another's hand; answers the signal.
    pub fn died_of(&mut self) -> Option<i32> {
        use std::os::unix::process::ExitStatusExt;
        let mut child = self.child.take().expect("it runs");
        child.wait().unwrap().signal()
    }

    /// SIGTERM; answers the exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("it runs");
        signal(child.id(), "TERM");
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(LOOK);
        }
        // Killed with everything else of this test.
        self.child = Some(child);
        panic!("the server does not stop");
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.try_send(method, path, headers, body)
            .unwrap_or_else(|e| panic!("{method} {path}: {e}\n{}", self.log()))
    }

    /// The same for a server that may die over it.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, ureq::Error> {
        note(method, path);
        let mut request = ureq::http::Request::builder().method(method).uri(self.at(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.bearer {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut answer = self.agent.run(request.body(body).unwrap())?;
        Ok(Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.body_mut().with_config().limit(1 << 30).read_to_vec()?,
        })
    }

    /// For threads of their own; the server may die meanwhile.
    pub fn agent(&self) -> ureq::Agent {
        self.agent.clone()
    }

    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let json = [("content-type", "application/json")];
        self.send("POST", path, &json, body.to_string().as_bytes())
    }

    /// Submits a flat body, 201; answers the id.
    #[track_caller]
    pub fn submit(&self, body: &Value) -> i64 {
        self.post("/api/v1/jobs", body).expect(201).json()["id"].as_i64().unwrap()
    }

    #[track_caller]
    pub fn run(&self, script: &str) -> i64 {
        self.submit(&json!({ "script": script }))
    }

    pub fn job(&self, id: i64) -> Value {
        self.get(&format!("/api/v1/jobs/{id}")).expect(200).json()
    }

    /// Waits until a job is in a state.
    #[track_caller]
    pub fn reaches(&self, id: i64, state: &str) -> Value {
        until(&format!("job {id} to be {state}"), || {
            let job = self.job(id);
            if job["state"] == state { Ok(job) } else { Err(job.to_string()) }
        })
    }

    /// Waits until the script was spawned.
    #[track_caller]
    pub fn started(&self, id: i64) -> Value {
        until(&format!("job {id} to start"), || {
            let job = self.job(id);
            if job["start_time"].is_string() { Ok(job) } else { Err(job.to_string()) }
        })
    }

    /// Waits until CPUs were given to a job for good.
    #[track_caller]
    pub fn granted(&self, id: i64) -> Value {
        until(&format!("CPUs for job {id}"), || {
            let job = self.job(id);
            if job["state"] == "PENDING" { Err(job.to_string()) } else { Ok(job) }
        })
    }

    /// Waits until a job has ended.
    #[track_caller]
    pub fn ended(&self, id: i64) -> Value {
        until(&format!("job {id} to end"), || {
            let job = self.job(id);
            if job["end_time"].is_string() { Ok(job) } else { Err(job.to_string()) }
        })
    }

    pub fn stdout(&self, id: i64) -> String {
        self.get(&format!("/api/v1/jobs/{id}/stdout")).expect(200).text()
    }

    /// Waits until the standard output of a job is this: its script has come so far.
    #[track_caller]
    pub fn says(&self, id: i64, text: &str) {
        until(&format!("job {id} to say {text:?}"), || match self.stdout(id) {
            said if said == text => Ok(()),
            said => Err(format!("{said:?}")),
        });
    }

    /// The three witnesses agree and no CPU is held.
    #[track_caller]
    pub fn is_clean(&self) {
        let audit = self.get("/api/v1/audit").expect(200).json();
        assert_eq!(audit["consistent"], true, "{audit}");
        let now = self.get("/api/v1/resources").expect(200).json();
        assert_eq!(now["used_cpus"], 0, "{now}");
        assert_eq!(now["resource_managers"], 1, "{now}");
    }

    /// A query in the database, by another program's eyes: tab-separated rows.
    pub fn sql(&self, query: &str) -> String {
        sql(&self.database(), query)
    }

    /// Waits until no process of this installation is left but the server, its step daemon and
    /// supervisors that have nothing to do.
    pub fn is_at_rest(&self) {
        let daemon = self.step_daemon();
        until("only those to be left who wait for work", || {
            let mut left = processes_of(&self.data());
            let idlers = children(daemon);
            left.retain(|pid| ![self.pid(), daemon].contains(pid));
            left.retain(|pid| !(idlers.contains(pid) && self.has_nothing_to_do(*pid)));
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        });
    }

    /// Whether this supervisor has neither a script nor the files of an attempt.
    fn has_nothing_to_do(&self, supervisor: u32) -> bool {
        let files = std::fs::read_dir(format!("/proc/{supervisor}/fd")).into_iter().flatten();
        let mut files = files.flatten().filter_map(|fd| std::fs::read_link(fd.path()).ok());
        children(supervisor).is_empty() && !files.any(|file| file.starts_with(self.data()))
    }

    /// The step daemon's process id.
    pub fn step_daemon(&self) -> u32 {
        until("the step daemon", || {
            let children = children(self.pid());
            children.first().copied().ok_or_else(|| "no child".to_owned())
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the server ---\n{}", self.log());
        }
        if let Some(child) = &mut self.child {
            let _dead = child.kill();
            let _reaped = child.wait();
        }
        // Jobs outlive their server by design; not their test.
        for pid in processes_of(&self.data()) {
            signal(pid, "KILL");
        }
    }
}

/// Sends a signal by name.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("/bin/kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(sent.is_ok(), "kill is missing");
}

/// Children of a process, whichever of its threads started them.
pub fn children(pid: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts = threads.map(|t| std::fs::read_to_string(t.path().join("children")));
    let all = texts.map(Result::unwrap_or_default).collect::<Vec<_>>().join(" ");
    all.split_whitespace().filter_map(|p| p.parse().ok()).collect()
}

/// Every living process whose command line or environment names this folder.
pub fn processes_of(folder: &Path) -> Vec<u32> {
    let needle = folder.to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        if pid == std::process::id() {
            continue;
        }
        let holds = |file: &str| {
            std::fs::read(entry.path().join(file))
                .is_ok_and(|b| String::from_utf8_lossy(&b).contains(&needle))
        };
        if holds("cmdline") || holds("environ") {
            found.push(pid);
        }
    }
    found
}

/// A read of a SQLite file by another connection than the server's.
pub fn sql(path: &Path, query: &str) -> String {
    use diesel::prelude::*;
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::Text>)]
        line: Option<String>,
    }
    let mut conn = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
    let rows: Vec<Line> = diesel::sql_query(query).load(&mut conn).unwrap();
    rows.into_iter().map(|r| r.line.unwrap_or_default()).collect::<Vec<_>>().join("\n")
}
