//! *Purpose*: asks `nvidia-smi` what it knows.
//!
//! *Owns*: running it: for how long, how much it may say; reading its lines.
//!
//! *Promises*: a program that hangs, also in the kernel, keeps nobody for longer than
//! [`ANSWER_BOUND`], and only one of them is ever left behind; what it says is understood or an
//! error, never half of it.
//!
//! *Not here*: what follows (`usage`).

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::clock;
use crate::text::quote;

/// Where the driver's packages put it, below the root.
const PROGRAM: &str = "usr/bin/nvidia-smi";
/// How long it may take: without a resident driver (persistence) it wakes each card, which takes
/// seconds.
pub const ANSWER_BOUND: Duration = Duration::from_secs(10);
/// How long it is waited for once it is killed. One that is stuck in the kernel does not end.
const KILL_BOUND: Duration = Duration::from_secs(1);
/// The most that it may say: some 40 bytes for each process and card.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// What is repeated of an answer that is not understood, characters.
const REPEATED_CHARS: usize = 80;
/// What it says of a number that a card does not give.
const NO_NUMBER: [&str; 3] = ["[N/A]", "[Not Supported]", "N/A"];

/// What it told.
#[derive(Debug, Default)]
pub struct Told {
    /// Memory in use of each card, MiB, by UUID; `None` when the card does not say.
    pub memory_mib: BTreeMap<String, Option<u64>>,
    /// Who computes: the UUID of the card, the process.
    pub computing: Vec<(String, i32)>,
}

/// How busy a card is; `None` for each number that it does not give.
#[derive(Debug, PartialEq, Eq)]
pub struct Card {
    /// The vendor's name for it.
    pub uuid: String,
    /// Its memory, MiB.
    pub memory_mib: Option<u64>,
    /// Of that in use, MiB.
    pub used_mib: Option<u64>,
    /// How much of the time it computed lately, percent.
    pub percent: Option<u64>,
}

/// Whoever asks; keeps what could not be ended.
#[derive(Debug)]
pub struct Smi {
    /// How long it is waited for.
    pub bound: Duration,
    stuck: Option<Child>,
}

impl Default for Smi {
    fn default() -> Smi {
        Smi { bound: ANSWER_BOUND, stuck: None }
    }
}

impl Smi {
    /// Asks. `None` where there is no such program.
    ///
    /// # Errors
    /// A sentence that says why there is no answer.
    pub fn ask(&mut self, root: &Path) -> Option<Result<Told, String>> {
        let program = root.join(PROGRAM);
        program.exists().then(|| self.told(&program))
    }

    /// What it says to one question. `None` where there is no such program.
    ///
    /// # Errors
    /// A sentence that says why there is no answer.
    pub fn say(&mut self, root: &Path, question: &str) -> Option<Result<String, String>> {
        let program = root.join(PROGRAM);
        let until = clock::monotonic() + self.bound;
        program.exists().then(|| self.run(&program, &[question], until))
    }

    /// Whether nothing of it is left behind.
    #[cfg(test)]
    pub fn is_free(&self) -> bool {
        self.stuck.is_none()
    }

    /// How busy each card is. `None` where there is no such program.
    ///
    /// # Errors
    /// A sentence that says why there is no answer.
    pub fn cards(&mut self, root: &Path) -> Option<Result<Vec<Card>, String>> {
        let program = root.join(PROGRAM);
        program.exists().then(|| self.told_of_cards(&program))
    }

    fn told_of_cards(&mut self, program: &Path) -> Result<Vec<Card>, String> {
        self.end_of_stuck()?;
        let query = "--query-gpu=uuid,memory.total,memory.used,utilization.gpu";
        let until = clock::monotonic() + self.bound;
        let text = self.run(program, &[query, "--format=csv,noheader,nounits"], until)?;
        let card = |words: Vec<&str>| {
            let [uuid, memory, used, percent] = words.as_slice() else { return None };
            Some(Card {
                uuid: (*uuid).to_owned(),
                memory_mib: number(memory)?,
                used_mib: number(used)?,
                percent: number(percent)?,
            })
        };
        lines(&text).map(|words| card(words).ok_or_else(|| rubbish(&text))).collect()
    }

    /// Whether the last one that could not be ended is gone now.
    fn end_of_stuck(&mut self) -> Result<(), String> {
        if let Some(child) = &mut self.stuck {
            match child.try_wait() {
                Ok(Some(_)) => self.stuck = None,
                _ => return Err("an earlier nvidia-smi hangs and cannot be ended".to_owned()),
            }
        }
        Ok(())
    }

    fn told(&mut self, program: &Path) -> Result<Told, String> {
        self.end_of_stuck()?;
        let until = clock::monotonic() + self.bound;
        let mut table = |query| self.run(program, &[query, "--format=csv,noheader,nounits"], until);
        let cards = table("--query-gpu=uuid,memory.used")?;
        let processes = table("--query-compute-apps=pid,gpu_uuid,used_memory")?;
        let mut told = Told::default();
        for words in lines(&cards) {
            let [uuid, memory] = words.as_slice() else { return Err(rubbish(&cards)) };
            let memory = number(memory).ok_or_else(|| rubbish(&cards))?;
            told.memory_mib.insert((*uuid).to_owned(), memory);
        }
        for words in lines(&processes) {
            let [pid, uuid, memory] = words.as_slice() else { return Err(rubbish(&processes)) };
            let pid = pid.parse().ok().filter(|pid| *pid > 0);
            // How much it holds is no matter, but a line without a number is none of that program.
            let is_understood = number(memory).is_some() || memory.starts_with('[');
            let pid = pid.filter(|_| is_understood).ok_or_else(|| rubbish(&processes))?;
            told.computing.push(((*uuid).to_owned(), pid));
        }
        Ok(told)
    }

    /// Runs it with this question; answers what it said.
    fn run(&mut self, program: &Path, words: &[&str], until: Instant) -> Result<String, String> {
        let failed = |e: io::Error| format!("nvidia-smi cannot be run: {e}");
        let mut child = Command::new(program)
            .args(words)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // What it starts ends with it.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let answer = answer(&mut child, until);
        if let Ok((status, text)) = &answer {
            if status.success() {
                return String::from_utf8(text.clone()).map_err(|_| rubbish("bytes"));
            }
            let text = String::from_utf8_lossy(text);
            return Err(format!("nvidia-smi failed ({status}): {}", repeated(&text)));
        }
        self.end(child);
        match answer {
            Err(e) if e.kind() == io::ErrorKind::TimedOut => {
                Err(format!("nvidia-smi did not answer within {:?}", self.bound))
            }
            Err(e) => Err(failed(e)),
            Ok(_) => Err(rubbish("")),
        }
    }

    /// Kills it, and remembers one that does not end by that.
    fn end(&mut self, mut child: Child) {
        let pid = Pid::from_child(&child);
        // It was not reaped, so the number is its own.
        let _gone_if_not = rustix::process::kill_process_group(pid, Signal::KILL);
        let ended = rustix::process::pidfd_open(pid, PidfdFlags::empty())
            .map_err(io::Error::from)
            .and_then(|pidfd| wait(pidfd.as_fd(), clock::monotonic() + KILL_BOUND));
        if ended.is_err() || !matches!(child.try_wait(), Ok(Some(_))) {
            self.stuck = Some(child);
        }
    }
}

/// All that it says, and how it ended.
fn answer(child: &mut Child, until: Instant) -> io::Result<(ExitStatus, Vec<u8>)> {
    let pidfd = rustix::process::pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let mut text = Vec::new();
    if let Some(mut out) = child.stdout.take() {
        let mut piece = [0; 4096];
        loop {
            wait(out.as_fd(), until)?;
            match out.read(&mut piece)? {
                0 => break,
                count => text.extend_from_slice(&piece[..count]),
            }
            if text.len() > ANSWER_BYTES_MAX {
                return Err(io::Error::other("it says more than it can have to say"));
            }
        }
    }
    wait(pidfd.as_fd(), until)?;
    Ok((child.wait()?, text))
}

/// Waits until it can be read.
fn wait(fd: BorrowedFd<'_>, until: Instant) -> io::Result<()> {
    loop {
        let left = until.saturating_duration_since(clock::monotonic());
        let left = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        match rustix::event::poll(&mut fds, Some(&left)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| line.split(',').map(str::trim).collect())
}

/// A number, or the word that there is none; `None` for anything else.
fn number(text: &str) -> Option<Option<u64>> {
    if NO_NUMBER.contains(&text) { Some(None) } else { text.parse().ok().map(Some) }
}

fn rubbish(text: &str) -> String {
    format!("nvidia-smi says what is not understood: {}", repeated(text))
}

fn repeated(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
    let cut: String = line.chars().take(REPEATED_CHARS).collect();
    quote::escaped(&cut, |_| false).into_owned()
}
