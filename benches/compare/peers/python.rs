//! *Purpose*: peers whose client is a Python library.
//!
//! *Owns*: a Python process that keeps the client open: one JSON line in, one out.
//!
//! *Promises*: an error there is an error here.
//!
//! *Not here*: the drivers (`hyperqueue.py`, `rq.py`).

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

use super::home::BOUND;
use super::{Home, Peer};

/// Where the library may be installed, beside the interpreter that is found by name.
const VENV: &str = "/opt/compare/bin/python";

/// The interpreter.
pub fn interpreter() -> &'static str {
    if Path::new(VENV).exists() { VENV } else { "python3" }
}

/// The version of a distribution, when that can be imported.
pub fn version(module: &str) -> Option<String> {
    let text = format!(
        "import {module}, importlib.metadata as m; print('{module} ' + m.version('{module}'))"
    );
    let said = Command::new(interpreter()).args(["-c", &text]).output().ok()?;
    let text = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    (said.status.success() && !text.is_empty()).then_some(text)
}

/// A driver that runs.
pub struct Driver {
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Driver {
    /// Starts a driver in `home` and waits until it is ready.
    pub fn start(home: &mut Home, name: &str, text: &str) -> Result<Driver, String> {
        let path = home.file(name, text);
        let mut command = home.command(interpreter());
        command.arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let log = std::fs::File::options().create(true).append(true).open(home.at("log"));
        command.stderr(log.map_err(|e| e.to_string())?);
        let mut child = command.spawn().map_err(|e| e.to_string())?;
        let (to, from) = (child.stdin.take(), child.stdout.take());
        home.keep(child);
        let (Some(to), Some(from)) = (to, from) else { return Err("no pipe".to_owned()) };
        let mut driver = Driver { to, from: BufReader::new(from) };
        driver.answer()?;
        Ok(driver)
    }

    fn ask(&mut self, question: &Value) -> Result<(), String> {
        writeln!(self.to, "{question}").map_err(|e| e.to_string())?;
        self.answer()
    }

    fn answer(&mut self) -> Result<(), String> {
        loop {
            let mut line = String::new();
            if self.from.buffer().is_empty() && !self.says_something() {
                return Err(format!("its driver did not answer within {BOUND:?}"));
            }
            let read = self.from.read_line(&mut line).map_err(|e| e.to_string())?;
            match line.trim() {
                _ if read == 0 => return Err("its driver ended".to_owned()),
                "ok" => return Ok(()),
                // Libraries print what they like.
                _ => {}
            }
        }
    }
}

impl Driver {
    /// Waits for a line, or for the driver's end.
    fn says_something(&self) -> bool {
        let bound = Timespec { tv_sec: BOUND.as_secs() as i64, tv_nsec: 0 };
        poll(&mut [PollFd::new(self.from.get_ref(), PollFlags::IN)], Some(&bound)) == Ok(1)
    }
}

impl Peer for Driver {
    fn run(&mut self, _: &Home, scripts: &[PathBuf]) -> Result<Duration, String> {
        let before = Instant::now();
        self.ask(&json!({ "run": scripts }))?;
        Ok(before.elapsed())
    }

    fn submit(&mut self, _: &Home, script: &Path) -> Result<(), String> {
        self.ask(&json!({ "submit": script }))
    }
}
