//! *Purpose*: a server of all users, over its socket and its port.
//!
//! *Owns*: [`House`], such a server with settings of its own, and requests of each user.
//!
//! *Promises*: whoever asks is that user to the kernel: a thread becomes him before it connects.
//! Where this is not root, or `tests/run` has made no users, each case says `SKIPPED`, and fails
//! where `CI` is set.
//!
//! *Not here*: the cases (`identity`, `rights`), what the engine promises (the others).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use downbeat::people::{Directory, NameService, Person};
use serde_json::Value;

/// Longest wait for an answer; no passing test waits so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Users that `tests/run` makes.
pub const ALICE: &str = "dbt-alice";
pub const BOB: &str = "dbt-bob";
pub const CAROL: &str = "dbt-carol";

/// A user of this system, if he is there.
fn user(name: &str) -> Option<Person> {
    let uid = NameService.uid_of(name).ok()??;
    NameService.by_uid(uid).ok()?
}

/// Plays a case where users can be become; says where they cannot.
pub fn play(case: &str, settings: &str, played: impl FnOnce(House)) {
    let why = match [ALICE, BOB, CAROL].iter().find(|name| user(name).is_none()) {
        _ if !rustix::process::geteuid().is_root() => Some("it needs root".to_owned()),
        Some(name) => Some(format!("there is no user {name}; tests/run makes one")),
        None => None,
    };
    match why {
        None => played(House::start(settings)),
        Some(why) => {
            assert!(std::env::var_os("CI").is_none(), "{case}: {why}");
            println!("SKIPPED {case}: {why}");
        }
    }
}

/// Each case by its name, with the settings of its house.
macro_rules! houses {
    ($($case:ident $settings:literal)*) => {$(
        #[test]
        fn $case() {
            $crate::house::play(stringify!($case), $settings, cases::$case);
        }
    )*};
}
pub(crate) use houses;

/// A server of all users.
pub struct House {
    pub home: tempfile::TempDir,
    pub url: String,
    pub settings: String,
    /// A library that the server is started with.
    pub preload: Option<PathBuf>,
    child: Option<Child>,
}

/// An answer: its status and its body, as JSON and as it came.
pub struct Answer {
    pub status: u16,
    pub json: Value,
    pub bytes: String,
}

impl Answer {
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.bytes);
        self.json
    }
}

impl House {
    fn start(settings: &str) -> House {
        let home = tempfile::tempdir().unwrap();
        super::mode(home.path(), 0o711);
        let settings = settings.to_owned();
        let mut house = House { home, url: String::new(), settings, preload: None, child: None };
        house.up();
        house
    }

    pub fn up(&mut self) {
        let (url, child) = self.start_as(&["--people", "system"]).unwrap();
        (self.url, self.child) = (url, Some(child));
    }

    /// A server of these settings and this folder; why it did not start, if it did not.
    pub fn start_as(&self, more: &[&str]) -> Result<(String, Child), String> {
        let path = |name: &str| self.home.path().join(name);
        std::fs::write(path("settings.toml"), &self.settings).unwrap();
        let log = std::fs::File::create(path("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_downbeat"));
        command.arg("serve").args(more).args(["--listen", "127.0.0.1:0", "--cpus", "2"]);
        command.arg("--data-dir").arg(path("data")).arg("--socket").arg(self.socket());
        command.arg("--config").arg(path("settings.toml"));
        // As a shell of root's would have it: no job may ever see it.
        command.env_clear().env("PATH", "/root/bin:/usr/sbin:/usr/bin:/bin").env("SECRET", "root");
        if let Some(library) = &self.preload {
            command.env("LD_PRELOAD", library);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut url = None;
        for line in out.by_ref().lines().map_while(Result::ok) {
            if let Some(at) = line.strip_prefix("listening on http") {
                url = Some(format!("http{at}"));
            }
            if line.starts_with("listening on unix:") {
                break;
            }
        }
        let Some(url) = url else {
            let _ended = child.wait();
            return Err(std::fs::read_to_string(path("log")).unwrap());
        };
        std::thread::spawn(move || out.read_to_end(&mut Vec::new()));
        Ok((url, child))
    }

    /// Ends the server; jobs go on.
    pub fn down(&mut self) {
        if let Some(mut child) = self.child.take() {
            super::signal(child.id(), "TERM");
            let _ended = child.wait();
        }
    }

    /// Ends the server as a power cut would; jobs go on.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Has the server read its settings, as they are now.
    pub fn read_again(&self) {
        std::fs::write(self.home.path().join("settings.toml"), &self.settings).unwrap();
        let reads = || self.log().matches("The settings were read again").count();
        let before = reads();
        super::signal(self.child.as_ref().unwrap().id(), "HUP");
        super::until_now("the settings are read", || {
            if reads() > before { Ok(()) } else { Err(self.log()) }
        });
    }

    pub fn socket(&self) -> PathBuf {
        self.home.path().join("run.sock")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap()
    }

    /// Asks as this user, over the socket, with further headers.
    pub fn ask_with(&self, name: &str, request: &str, headers: &str, body: &str) -> Answer {
        let socket = self.socket();
        let raw = raw(request, headers, body);
        as_user(name, move || answer(UnixStream::connect(socket).unwrap(), &raw))
    }

    pub fn ask(&self, name: &str, request: &str) -> Answer {
        self.ask_with(name, request, "", "")
    }

    /// Posts a body as this user.
    pub fn post(&self, name: &str, path: &str, body: &Value) -> Answer {
        self.ask_with(name, &format!("POST {path}"), "", &body.to_string())
    }

    /// Asks over TCP, as root's test, with these headers.
    pub fn over_tcp(&self, request: &str, headers: &str, body: &str) -> Answer {
        let address = self.url.trim_start_matches("http://");
        answer(TcpStream::connect(address).unwrap(), &raw(request, headers, body))
    }

    /// Submits as this user; answers the job's number.
    #[track_caller]
    pub fn submit(&self, name: &str, body: Value) -> i64 {
        self.post(name, "/api/v1/jobs", &body).expect(201)["id"].as_i64().unwrap()
    }

    /// Waits until a job has ended.
    #[track_caller]
    pub fn ended(&self, name: &str, id: i64) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let path = format!("GET /api/v1/jobs/{id}/wait?timeout_s=30");
            let job = self.ask(name, &path).expect(200);
            if job["end_time"].is_string() {
                return job;
            }
            assert!(Instant::now() < deadline, "{job}");
        }
    }

    /// The command line, as this user.
    pub fn cli(&self, name: &str, words: &[&str]) -> Output {
        self.run(name, env!("CARGO_BIN_EXE_downbeat"), words)
    }

    /// A program, as this user.
    pub fn run(&self, name: &str, program: &str, words: &[&str]) -> Output {
        let person = user(name).unwrap();
        let mut command = Command::new(program);
        command.args(words).env_clear().env("PATH", super::PATH).env("USER", name);
        command.env("DOWNBEAT_SERVER", format!("unix:{}", self.socket().display()));
        command.current_dir("/").uid(person.uid.0).gid(person.gid);
        command.output().unwrap()
    }

    /// One value of the database.
    pub fn sql(&self, query: &str) -> String {
        use diesel::prelude::*;
        #[derive(QueryableByName)]
        struct Line {
            #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::Text>)]
            line: Option<String>,
        }
        let file = self.home.path().join("data/downbeat.db").display().to_string();
        let mut conn = diesel::SqliteConnection::establish(&file).unwrap();
        let lines: Vec<Line> = diesel::sql_query(query).load(&mut conn).unwrap();
        let lines = lines.into_iter().map(|row| row.line.unwrap_or_default());
        lines.collect::<Vec<_>>().join(" ")
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- log of the server ---\n{}", self.log());
        }
        self.down();
        for pid in super::processes_below(self.home.path()) {
            super::signal(pid, "KILL");
        }
    }
}

/// Does something as this user, in a thread that becomes him.
pub fn as_user<T: Send + 'static>(name: &str, act: impl FnOnce() -> T + Send + 'static) -> T {
    use rustix::process::{Gid, Uid};
    use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
    let person = user(name).unwrap();
    let become_him = move || {
        let (uid, gid) = (Uid::from_raw(person.uid.0), Gid::from_raw(person.gid));
        set_thread_groups(&[gid]).unwrap();
        set_thread_res_gid(gid, gid, gid).unwrap();
        set_thread_res_uid(uid, uid, uid).unwrap();
        act()
    };
    std::thread::spawn(become_him).join().unwrap()
}

fn raw(request: &str, headers: &str, body: &str) -> String {
    format!(
        "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

/// A body that came in chunks.
fn joined(mut chunks: &str) -> String {
    let mut all = String::new();
    while let Some((size, rest)) = chunks.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        all.push_str(&rest[..size]);
        chunks = rest.get(size + 2..).unwrap_or_default();
    }
    all
}

fn answer(mut stream: impl Read + Write, raw: &str) -> Answer {
    stream.write_all(raw.as_bytes()).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    let all = String::from_utf8_lossy(&all);
    let (head, body) = all.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{all:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let bytes = if is_chunked { joined(body) } else { body.to_owned() };
    let json = serde_json::from_str(&bytes).unwrap_or(Value::Null);
    Answer { status, json, bytes }
}
