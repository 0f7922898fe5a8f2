//! *Purpose*: the tasks of a step, from their start until the last has ended.
//!
//! *Owns*: their processes, their streams, the signals that `srun` hears for them, what is said of
//! those that fail.
//!
//! *Promises*: each task leads a process group of its own, so that it hears a signal once: from the
//! job's supervisor, or from `srun`, to whom somebody else sent it. The highest code of a task is
//! that of the step, 128 and the signal's number where one ended it.
//!
//! *Not here*: what a step is (`srun::step`).

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{
    SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH,
};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::origin::WithOrigin;

use super::files::{Target, path};
use super::heard::Heard;
use super::place::Place;
use super::pty;
use super::say::{COMMAND, error};
use super::step::Step;
use crate::clock;
use crate::job::outcome::ExitCode;
use crate::slurm::failure::Failure;
use crate::slurm::say::remark;

/// Signals that go to the tasks.
const FORWARDED: [i32; 9] =
    [SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH];
/// How long tasks that are to end may take before they are killed, as Slurm's KillWait.
const KILL_WAIT: Duration = Duration::from_secs(30);
/// What shells say of a program that a signal ended: code 128 and its number.
const BY_SIGNAL: i32 = 128;
/// What a task reads and writes at a time.
const PART: usize = 64 * 1024;

/// How a step ended.
#[derive(Debug)]
pub struct End {
    /// The exit code of `srun`.
    pub code: u8,
    /// The same, as it is recorded.
    pub exit: ExitCode,
}

impl End {
    /// Of a step that could not be started as it was asked for.
    pub const NOT_STARTED: End = End { code: 1, exit: ExitCode { code: 1, signal: 0 } };
}

/// Starts all tasks and waits for them.
///
/// # Errors
/// When one could not be started; the others are ended then.
pub fn run(step: &Step, place: &Place, no: u32) -> Result<End, Failure> {
    let (told, heard) = channel();
    hear_signals(told.clone())?;
    let mut running = Running {
        step,
        node: &place.node,
        alive: HashMap::new(),
        worst: 0,
        exit: ExitCode { code: 0, signal: 0 },
        id: format!("{}.{no}", place.job),
        ending: false,
        kill_at: None,
        wait_at: None,
    };
    let mut files = Files { opened: BTreeMap::new(), step, place, no };
    let mut feeds = Vec::new();
    let mut printers = Vec::new();
    let mut terminal = None;
    for task in 0..step.tasks {
        let program = step.programs.of_task(task);
        let mut command = command(&program, step, place, (no, task));
        let given = match (step.terminal, task) {
            (Some(_), 0) => Ok(()),
            (Some(_), _) => {
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                Ok(())
            }
            (None, _) => files.give(&mut command, task),
        };
        if let Err(failure) = given {
            running.send(Signal::KILL);
            return Err(failure);
        }
        let spawned = match step.terminal.filter(|_| task == 0) {
            Some(hangup) => pty::start(command, hangup, &told).map(|(child, own)| {
                terminal = Some(own);
                child
            }),
            None => command.process_group(0).spawn(),
        };
        match spawned {
            Ok(mut child) => {
                feeds.extend(child.stdin.take());
                printers.extend(labelled(&mut child, task, step.tasks));
                running.started(task, child, &told);
            }
            Err(error) => running.not_started(&program[0], &error),
        }
    }
    drop(told);
    feed(feeds);
    let started = clock::monotonic();
    running.until_all_ended(&heard, step.limit.and_then(|limit| started.checked_add(limit)));
    if let Some(terminal) = terminal {
        terminal.finish();
    }
    // What tasks left running holds their pipes open: their lines are still theirs.
    for printer in printers {
        let _printed = printer.join();
    }
    let code = u8::try_from(running.worst).unwrap_or(u8::MAX);
    Ok(End { code, exit: running.exit })
}

/// The process of a task, its streams aside.
fn command(program: &[String], step: &Step, place: &Place, (no, task): (u32, u32)) -> Command {
    let mut command = Command::new(&program[0]);
    command.args(&program[1..]);
    if let Some(variables) = &step.variables {
        command.env_clear().envs(variables);
    }
    if let Some(folder) = &step.folder {
        command.current_dir(folder);
    }
    let all: Vec<String> = (0..step.tasks).map(|task| task.to_string()).collect();
    let (job, tasks) = (place.job.to_string(), step.tasks.to_string());
    let variables: [(&str, &str); 20] = [
        ("SLURM_GTIDS", &all.join(",")),
        ("SLURM_JOBID", &job),
        ("SLURM_JOB_ID", &job),
        ("SLURM_JOB_NODELIST", &place.node),
        ("SLURM_JOB_NUM_NODES", "1"),
        ("SLURM_LOCALID", &task.to_string()),
        ("SLURM_NNODES", "1"),
        ("SLURM_NODEID", "0"),
        ("SLURM_NODELIST", &place.node),
        ("SLURM_NPROCS", &tasks),
        ("SLURM_NTASKS", &tasks),
        ("SLURM_PROCID", &task.to_string()),
        ("SLURM_STEPID", &no.to_string()),
        ("SLURM_STEP_ID", &no.to_string()),
        ("SLURM_STEP_NODELIST", &place.node),
        ("SLURM_STEP_NUM_NODES", "1"),
        ("SLURM_STEP_NUM_TASKS", &tasks),
        ("SLURM_STEP_TASKS_PER_NODE", &tasks),
        ("SLURM_TASKS_PER_NODE", &tasks),
        ("SLURMD_NODENAME", &place.node),
    ];
    command.envs(variables);
    if let Some(cpus) = step.cpus_per_task {
        command.env("SLURM_CPUS_PER_TASK", cpus.to_string());
    }
    command
}

/// The files of a step. One that several tasks share is opened once.
struct Files<'a> {
    /// Those of the last task.
    opened: BTreeMap<PathBuf, File>,
    step: &'a Step,
    place: &'a Place,
    no: u32,
}

impl Files<'_> {
    /// Gives a task its streams.
    fn give(&mut self, command: &mut Command, task: u32) -> Result<(), Failure> {
        let [input, output, errors] = &self.step.streams;
        let own = [output, errors].map(|target| match target {
            Target::File(pattern) => Some(self.path(pattern, task)),
            _ => None,
        });
        // What only other tasks have need not be held open: there may be thousands.
        self.opened.retain(|path, _| own.iter().flatten().any(|own| own == path));
        command.stdin(match input {
            Target::File(pattern) => Stdio::from(self.read(pattern, task)?),
            // One task reads it itself; several are fed.
            Target::All if self.step.tasks > 1 => Stdio::piped(),
            input if input.is_ours(task) => Stdio::inherit(),
            _ => Stdio::null(),
        });
        command.stdout(self.written(output, task)?);
        command.stderr(self.written(errors, task)?);
        Ok(())
    }

    fn path(&self, pattern: &str, task: u32) -> PathBuf {
        let path = path(pattern, self.place, self.no, task);
        self.step.folder.as_ref().map_or(path.clone(), |folder| PathBuf::from(folder).join(path))
    }

    fn read(&self, pattern: &str, task: u32) -> Result<File, Failure> {
        let path = self.path(pattern, task);
        File::open(&path).map_err(|e| unopened(&path, &e))
    }

    fn written(&mut self, target: &Target, task: u32) -> Result<Stdio, Failure> {
        let Target::File(pattern) = target else {
            return Ok(match (target.is_ours(task), self.step.labels) {
                (true, true) => Stdio::piped(),
                (true, false) => Stdio::inherit(),
                (false, _) => Stdio::null(),
            });
        };
        let path = self.path(pattern, task);
        if !self.opened.contains_key(&path) {
            // Added to in any case: several tasks may write it.
            let mut options = OpenOptions::new();
            options.create(true).append(true);
            let file = options.open(&path).map_err(|e| unopened(&path, &e))?;
            if !self.step.appends {
                // A device or a pipe has no length.
                let _emptied = file.set_len(0);
            }
            self.opened.insert(path.clone(), file);
        }
        let file = self.opened[&path].try_clone().map_err(|e| unopened(&path, &e))?;
        Ok(file.into())
    }
}

fn unopened(path: &std::path::Path, why: &io::Error) -> Failure {
    error(&format!("Could not open file {}: {why}", path.display()))
}

/// Tells what signals this process hears from now on.
fn hear_signals(told: Sender<Heard>) -> Result<(), Failure> {
    let signals = SignalsInfo::<WithOrigin>::new(FORWARDED);
    let mut signals = signals.map_err(|e| error(&format!("signals cannot be heard: {e}")))?;
    thread::spawn(move || {
        for origin in &mut signals {
            let from = origin.process.map(|process| process.pid);
            if told.send(Heard::Signal(origin.signal, from)).is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// Gives each of these tasks all of standard input.
fn feed(mut tasks: Vec<ChildStdin>) {
    if tasks.is_empty() {
        return;
    }
    thread::spawn(move || {
        let (mut input, mut part) = (io::stdin().lock(), vec![0; PART]);
        while !tasks.is_empty() {
            match input.read(&mut part) {
                Ok(0) => return,
                // A task that reads no more is none that could be fed.
                Ok(count) => tasks.retain_mut(|task| task.write_all(&part[..count]).is_ok()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    });
}

/// Prints the lines of a task behind its number.
fn labelled(child: &mut Child, task: u32, tasks: u32) -> Vec<thread::JoinHandle<()>> {
    let width = tasks.saturating_sub(1).to_string().len();
    let label = format!("{task:>width$}: ").into_bytes();
    let output = child.stdout.take().map(|stream| printer(stream, label.clone(), io::stdout));
    let errors = child.stderr.take().map(|stream| printer(stream, label, io::stderr));
    output.into_iter().chain(errors).collect()
}

fn printer<W: Write + 'static>(
    stream: impl Read + Send + 'static,
    label: Vec<u8>,
    to: fn() -> W,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut lines = BufReader::with_capacity(PART, stream);
        loop {
            let mut line = label.clone();
            // A line without an end is printed in parts.
            let part = (&mut lines).take(PART as u64).read_until(b'\n', &mut line);
            if part.is_ok_and(|count| count > 0) {
                if !line.ends_with(b"\n") {
                    line.push(b'\n');
                }
                let mut to = to();
                if to.write_all(&line).and_then(|()| to.flush()).is_ok() {
                    continue;
                }
            }
            return;
        }
    })
}

/// The tasks that run.
struct Running<'a> {
    step: &'a Step,
    node: &'a str,
    id: String,
    /// By task, its process, which leads its group.
    alive: HashMap<u32, Pid>,
    worst: i32,
    exit: ExitCode,
    ending: bool,
    kill_at: Option<Instant>,
    wait_at: Option<Instant>,
}

impl Running<'_> {
    fn started(&mut self, task: u32, mut child: Child, told: &Sender<Heard>) {
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            self.alive.insert(task, pid);
        }
        let told = told.clone();
        thread::spawn(move || {
            // Only when the step is over nobody listens.
            let _heard = told.send(Heard::Ended(task, child.wait()));
        });
    }

    /// As Slurm: the code is the number of the error.
    fn not_started(&mut self, program: &str, why: &io::Error) {
        let code = why.raw_os_error().unwrap_or(1);
        let said = why.to_string();
        let said = said.split(" (os error").next().unwrap_or_default();
        remark(&format!("{COMMAND}: error: execve(): {program}: {said}"));
        self.count(code, ExitCode { code: u8::try_from(code).unwrap_or(1), signal: 0 });
    }

    fn count(&mut self, code: i32, exit: ExitCode) {
        if code > self.worst {
            (self.worst, self.exit) = (code, exit);
        }
    }

    fn until_all_ended(&mut self, heard: &Receiver<Heard>, limit: Option<Instant>) {
        let mut limit = limit;
        while !self.alive.is_empty() {
            let due = [limit, self.kill_at, self.wait_at].into_iter().flatten().min();
            let next = match due {
                None => heard.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => heard.recv_timeout(due.saturating_duration_since(clock::monotonic())),
            };
            match next {
                Ok(Heard::Ended(task, status)) => self.ended(task, status),
                Ok(Heard::Signal(signal, from)) => self.signalled(signal, from),
                Ok(Heard::HungUp(group)) => self.hung_up(group),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    let now = clock::monotonic();
                    let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
                    if is_due(self.kill_at) {
                        self.kill_at = None;
                        self.send(Signal::KILL);
                    } else if is_due(limit) {
                        limit = None;
                        self.end_all("CANCELLED DUE TO TIME LIMIT");
                    } else if is_due(self.wait_at) {
                        self.wait_at = None;
                        self.end_all("CANCELLED");
                    }
                }
            }
        }
    }

    fn ended(&mut self, task: u32, status: io::Result<ExitStatus>) {
        self.alive.remove(&task);
        let Ok(status) = status else { return };
        let (code, signal) = (status.code().unwrap_or(0), status.signal().unwrap_or(0));
        let worth = if signal > 0 { BY_SIGNAL + signal } else { code };
        let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
        self.count(worth, ExitCode { code: byte(code), signal: byte(signal) });
        if worth != 0 && !self.step.quiet {
            let how = match status.signal() {
                Some(signal) => signal_says(signal, status.core_dumped()),
                None => format!("Exited with exit code {code}"),
            };
            remark(&format!("{COMMAND}: error: {}: task {task}: {how}", self.node));
        }
        if worth != 0 && self.step.kills {
            self.end_all("CANCELLED");
        }
        if let Some(wait) = self.step.wait {
            let at = clock::monotonic().checked_add(wait);
            self.wait_at = self.wait_at.or(at).filter(|_| !self.ending);
        }
    }

    /// A signal is for the tasks. Those of the supervisor reach them without us.
    fn signalled(&mut self, number: i32, from: Option<i32>) {
        if matches!(number, SIGTERM | SIGQUIT | SIGINT) && self.kill_at.is_none() {
            self.kill_at = clock::monotonic().checked_add(KILL_WAIT).filter(|_| number != SIGINT);
        }
        if from.is_some_and(|pid| Some(pid) == supervisor()) {
            return;
        }
        if let Some(signal) = Signal::from_named_raw(number) {
            self.send(signal);
        }
    }

    /// As a terminal does that is gone; who does not care is killed.
    fn hung_up(&mut self, had_terminal: Option<Pid>) {
        if self.alive.is_empty() {
            return;
        }
        self.kill_at = self.kill_at.or(clock::monotonic().checked_add(KILL_WAIT));
        // A shell that waits for a program of its own hears it only when that is over.
        let had_terminal = had_terminal.filter(|had| !self.alive.values().any(|own| own == had));
        for signal in [Signal::HUP, Signal::CONT] {
            let _gone = had_terminal.map(|group| kill_process_group(group, signal));
            self.send(signal);
        }
    }

    /// The step is to end.
    fn end_all(&mut self, why: &str) {
        if std::mem::replace(&mut self.ending, true) || self.alive.is_empty() {
            return;
        }
        if !self.step.quiet {
            remark(&format!("{COMMAND}: error: *** STEP {} {why} ***", self.id));
        }
        self.kill_at = clock::monotonic().checked_add(KILL_WAIT);
        self.send(Signal::TERM);
        self.send(Signal::CONT);
    }

    fn send(&self, signal: Signal) {
        for leader in self.alive.values() {
            // Gone is as good as told.
            let _gone = kill_process_group(*leader, signal);
        }
    }
}

/// The job's supervisor: the process that is not of the job, above all that are.
fn supervisor() -> Option<i32> {
    let mut pid = std::process::id().cast_signed();
    // Deeper than any tree of processes that a job has.
    for _ in 0..1_024 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        if name == SUPERVISOR {
            return Some(pid);
        }
        pid = rest.split_whitespace().nth(1)?.parse().ok()?;
    }
    None
}

/// What supervisors call themselves (`engine::local::supervisor`).
const SUPERVISOR: &str = "downbeat-superv";

/// A signal as strsignal(3) has it.
fn signal_says(number: i32, has_core: bool) -> String {
    let says = match number {
        1 => "Hangup",
        2 => "Interrupt",
        3 => "Quit",
        4 => "Illegal instruction",
        5 => "Trace/breakpoint trap",
        6 => "Aborted",
        7 => "Bus error",
        8 => "Floating point exception",
        9 => "Killed",
        10 => "User defined signal 1",
        11 => "Segmentation fault",
        12 => "User defined signal 2",
        13 => "Broken pipe",
        14 => "Alarm clock",
        15 => "Terminated",
        24 => "CPU time limit exceeded",
        25 => "File size limit exceeded",
        _ => return format!("Signal {number}"),
    };
    format!("{says}{}", if has_core { " (core dumped)" } else { "" })
}
