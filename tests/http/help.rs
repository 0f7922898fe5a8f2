//! *Purpose*: what several cases need: problems, field sets, bare sockets, open streams.
//!
//! *Owns*: [`problem`], [`keys`], [`bare`], [`Stream`], [`Gate`].
//!
//! *Promises*: an error that is not a whole problem document fails the case.
//!
//! *Not here*: starting servers (`common`).

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::common::{Answer, PATIENCE, Server, note};

/// The fields of a Job, as the contract lists them.
pub const JOB: &str = "id name account user partition state state_reason state_detail priority \
    cpus memory_bytes time_limit_s working_directory standard_output standard_error labels \
    comment data_source submit_time eligible_time start_time end_time elapsed_s exit_code error \
    warnings attempt allocation usage position estimated_start_time estimate_basis held held_by \
    begin_time deadline dependency array_job_id array_task_id array_tasks retry restart_count \
    signal kill_on_invalid_dependency open_mode resources ntasks cpus_per_task args \
    standard_input submit_directory command mail_type mail_user exit_status exit_signal suspend_time \
    suspended_s expected_end_time kill_time array stdout_path stderr_path kept_until node \
    uid redacted usage_now";
/// The fields of its `allocation`.
pub const ALLOCATION: &str = "cpu_ids process_id allocation_time released released_time resources";
/// The fields of its `usage`.
pub const USAGE: &str = "user_cpu_s system_cpu_s max_rss_bytes";

/// Holds an object to its exact set of fields.
#[track_caller]
pub fn keys(value: &Value, words: &str) {
    let has: BTreeSet<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(has, words.split_whitespace().collect(), "{value}");
}

/// Holds a Job to the contract's form.
#[track_caller]
pub fn is_job(job: &Value) {
    keys(job, JOB);
    if !job["allocation"].is_null() {
        keys(&job["allocation"], ALLOCATION);
    }
    if !job["usage"].is_null() {
        keys(&job["usage"], USAGE);
    }
    for time in ["submit_time", "eligible_time", "start_time", "end_time"] {
        if !job[time].is_null() {
            is_time(&job[time]);
        }
    }
}

/// `2026-11-22T03:42:17.123456Z`
#[track_caller]
pub fn is_time(value: &Value) {
    let text = value.as_str().unwrap();
    let form: String = text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert_eq!(form, "9999-99-99T99:99:99.999999Z", "{text}");
}

/// An error of this status as a whole problem document.
#[track_caller]
pub fn problem(answer: Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let request_id = answer.header("x-request-id").map(str::to_owned);
    let problem = answer.json();
    let with = if problem["errors"].is_null() { "" } else { " errors" };
    keys(&problem, &format!("type title status code detail request_id{with}"));
    assert_eq!(problem["status"], status, "{problem}");
    assert_eq!(problem["request_id"].as_str(), request_id.as_deref(), "{problem}");
    for text in ["type", "title", "code", "detail", "request_id"] {
        assert!(problem[text].as_str().is_some_and(|t| !t.is_empty()), "{text}: {problem}");
    }
    problem
}

/// An error of this kind, which has this status.
#[track_caller]
pub fn is_kind(answer: Answer, (status, code): (u16, &str)) -> Value {
    let problem = problem(answer, status);
    assert_eq!(problem["code"], code, "{problem}");
    problem
}

/// The fields that a problem names.
pub fn fields(problem: &Value) -> Vec<String> {
    let errors = problem["errors"].as_array().cloned().unwrap_or_default();
    for error in &errors {
        keys(error, "field message");
        assert!(error["message"].as_str().is_some_and(|m| !m.is_empty()), "{problem}");
    }
    errors.iter().map(|e| e["field"].as_str().unwrap().to_owned()).collect()
}

/// Sends a request head as it stands, with what follows, and answers status and whole answer.
/// For heads that no honest client makes.
pub fn bare(server: &Server, head: &[&str], body: &str) -> (u16, String) {
    let mut words = head[0].split(' ');
    note(words.next().unwrap(), words.next().unwrap());
    let mut socket = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = head.join("\r\n");
    write!(socket, "{head}\r\nConnection: close\r\n\r\n{body}").unwrap();
    let mut answer = Vec::new();
    // A server that refuses without reading on may reset behind its answer.
    let _cut = socket.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok());
    (status.unwrap_or_else(|| panic!("no status in {text:?}")), text)
}

/// An answer whose body is still open.
pub struct Stream {
    reader: BufReader<Box<dyn Read>>,
}

/// One server-sent event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub id: i64,
    pub event: String,
    pub data: String,
}

impl Stream {
    #[track_caller]
    pub fn open(server: &Server, path: &str, headers: &[(&str, &str)]) -> Stream {
        note("GET", path);
        let agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build();
        let mut request = agent.new_agent().get(server.at(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.call().unwrap();
        Stream { reader: BufReader::new(Box::new(answer.into_body().into_reader())) }
    }

    /// As server-sent events, resumed behind an id.
    #[track_caller]
    pub fn events(server: &Server, path: &str, behind: Option<i64>) -> Stream {
        let behind = behind.map(|id| id.to_string());
        let mut headers = vec![("accept", "text/event-stream")];
        headers.extend(behind.iter().map(|id| ("last-event-id", id.as_str())));
        Stream::open(server, path, &headers)
    }

    /// The next line, with its end; empty at the end.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line
    }

    pub fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.reader.read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// The next event; comments are skipped.
    pub fn sent(&mut self) -> Option<Sent> {
        let mut sent = Sent { id: -1, event: String::new(), data: String::new() };
        let mut data: Vec<String> = Vec::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                return None;
            }
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                if data.is_empty() {
                    continue;
                }
                sent.data = data.join("\n");
                return Some(sent);
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                "id" => sent.id = value.parse().unwrap(),
                "event" => sent.event = value.to_owned(),
                "data" => data.push(value.to_owned()),
                _ => {}
            }
        }
    }
}

/// A file that scripts wait for.
pub struct Gate(PathBuf);

impl Gate {
    pub fn new(server: &Server) -> Gate {
        Gate(server.dir.path().join("gate"))
    }

    /// The script's words that wait for it.
    pub fn wait(&self) -> String {
        format!("until [ -e '{}' ]; do sleep 0.02; done", self.0.display())
    }

    pub fn open(&self) {
        std::fs::write(&self.0, "").unwrap();
    }

    /// A job that holds all CPUs until the gate opens.
    #[track_caller]
    pub fn blocker(&self, server: &Server) -> i64 {
        let id = server.submit(&json!({"script": self.wait(), "exclusive": true}));
        server.started(id);
        id
    }
}
