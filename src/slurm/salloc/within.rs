//! *Purpose*: what `salloc` runs in its job: a shell, or a command.
//!
//! *Owns*: its start, on a terminal or not; what becomes of it when nobody waits for it any more.
//!
//! *Promises*: it ends as the shell does. A shell whose caller is gone is told so, and is killed
//! when it goes on for [`KILL_WAIT`].
//!
//! *Not here*: the caller (`salloc`).

use std::io;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::slurm::failure::Failure;
use crate::slurm::terminal::{self, Carrying, Manner};

/// The program.
pub const COMMAND: &str = "salloc";
/// How long a shell may take whose caller is gone, as Slurm's KillWait.
const KILL_WAIT: Duration = Duration::from_secs(30);
/// What shells say of a program that a signal ended: code 128 and its number.
const BY_SIGNAL: i32 = 128;
/// What shells end with when there is no such command.
const NOT_STARTED: u8 = 127;

/// What is heard.
enum Heard {
    Ended(io::Result<ExitStatus>),
    /// Who has the terminal, if there is one, has to hear of it.
    CallerGone(Option<Pid>),
}

/// The line to the caller, when this process was called by `salloc` in its job.
///
/// # Errors
/// When the caller is gone.
pub fn called() -> Result<Option<(UnixStream, Manner)>, Failure> {
    terminal::given().map_err(|_| Failure::error(COMMAND, "nobody waits for this allocation"))
}

/// Runs the command to its end: its exit code.
///
/// # Errors
/// When it cannot be started.
pub fn run(words: &[String], line: (UnixStream, Manner)) -> Result<u8, Failure> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Failure::error(COMMAND, "no command"));
    };
    let mut command = Command::new(program);
    command.args(arguments);
    let (told, heard) = channel();
    let gone = {
        let told = told.clone();
        move |has_terminal| {
            // Only when all is over nobody listens.
            let _heard = told.send(Heard::CallerGone(has_terminal));
        }
    };
    let (child, carrying) = start(command, line, gone).map_err(|error| {
        let why = error.to_string();
        let why = why.split(" (os error").next().unwrap_or_default();
        Failure::error(COMMAND, &format!("{program}: {why}")).with_code(NOT_STARTED)
    })?;
    let leader = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    wait(child, told);
    let status = ended(&heard, leader);
    carrying.finish();
    let code = match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, signal) => BY_SIGNAL + signal.unwrap_or_default(),
    };
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

fn start(
    mut command: Command,
    (line, manner): (UnixStream, Manner),
    gone: impl FnOnce(Option<Pid>) + Send + 'static,
) -> io::Result<(Child, Carrying)> {
    match manner {
        Manner::Carried => {
            let (child, far) = terminal::start(command, line)?;
            Ok((child, far.attend(gone)?))
        }
        Manner::Silent => {
            terminal::is_of_nobody_else(&mut command);
            let child = command.process_group(0).spawn()?;
            Ok((child, Carrying::of_nothing(line, gone)?))
        }
    }
}

fn wait(mut child: Child, told: Sender<Heard>) {
    thread::spawn(move || {
        let _heard = told.send(Heard::Ended(child.wait()));
    });
}

fn ended(heard: &Receiver<Heard>, leader: Option<Pid>) -> ExitStatus {
    let send = |group: Option<Pid>, signal| {
        // Gone is as good as told.
        let _gone = group.map(|group| kill_process_group(group, signal));
    };
    let mut within = Duration::MAX;
    loop {
        match heard.recv_timeout(within) {
            Ok(Heard::Ended(status)) => return status.unwrap_or_default(),
            Ok(Heard::CallerGone(has_terminal)) => {
                for group in [has_terminal.filter(|_| has_terminal != leader), leader] {
                    send(group, Signal::HUP);
                    send(group, Signal::CONT);
                }
                within = KILL_WAIT;
            }
            Err(RecvTimeoutError::Timeout) => {
                send(leader, Signal::KILL);
                within = Duration::MAX;
            }
            Err(RecvTimeoutError::Disconnected) => return ExitStatus::default(),
        }
    }
}
