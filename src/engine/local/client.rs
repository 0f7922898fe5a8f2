//! *Purpose*: the server's end of the step daemon.
//!
//! *Owns*: the thread that starts the daemon, listens to it, and starts it again when it dies;
//! the socket over which orders go.
//!
//! *Promises*: nobody is told of a socket before the daemon behind it said `Ready`; a dead
//! daemon is replaced by the same act that started it; nothing is sent again blindly: whoever
//! sent an order hears that its daemon is gone and looks.
//!
//! *Not here*: what the daemon does (`stepd`), whom a notice wakes (`attempts`).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType};
use rustix::process::Signal;

use super::attempts::{Attempts, held};
use super::devices::Wall;
use super::fd_passing::{self, DATAGRAM_BYTES_MAX};
use super::freezer::Freezer;
use super::memory::MemoryControl;
use super::notice::Notice;
use super::origin::Origin;
use super::persons::Persons;
use super::proc;
use super::proctrack::ProcTrack;
use super::stepd::{self, NOFILE_WORD};
use crate::fault;

/// How long a new daemon waits for the lock of an old one before that one is killed: an old
/// one ends within milliseconds of its server unless it hangs.
const READY_BOUND: Duration = Duration::from_secs(10);
/// How long an order waits for a daemon: longer than replacing a hanging one takes.
pub const DAEMON_BOUND: Duration = Duration::from_secs(25);
/// How long a daemon may take to read an order before that counts as hanging.
const SEND_BOUND: Duration = Duration::from_secs(10);
/// Between two tries to start a daemon that will not start or dies at once.
const RESTART_PAUSE: Duration = Duration::from_millis(500);
/// After so many failures in a row the first start is given up: one that somebody killed is
/// worth another try, one that cannot be executed is not worth a long silence.
const FIRST_TRIES: u32 = 3;

/// How to start a daemon.
#[derive(Debug)]
pub struct DaemonCommand {
    /// The program whose `stepd` subcommand is the daemon.
    pub program: PathBuf,
    /// The data folder, absolute.
    pub data_dir: PathBuf,
    /// The soft limit of open files for scripts.
    pub soft_nofile: Option<u64>,
    /// What keeps jobs below their memory.
    pub memory: MemoryControl,
    /// Where supervisors have control groups.
    pub track: ProcTrack,
    /// What suspends jobs.
    pub freezer: Freezer,
    /// What keeps jobs from devices.
    pub wall: Wall,
    /// As whom scripts may run.
    pub persons: Persons,
    /// What attempts of this server bear.
    pub origin: Origin,
    /// The pipe of all supervisors, where they write; the same for every daemon.
    pub notices_out: OwnedFd,
}

#[derive(Debug, Default)]
struct State {
    /// Set while a daemon is ready.
    socket: Option<Arc<OwnedFd>>,
    /// The daemon's pid, while it is ready.
    pid: Option<i32>,
    /// Counts daemons that became ready.
    generation: u64,
    closing: bool,
    /// Why there is none.
    failure: Option<String>,
    /// How often in a row that was so.
    failures: u32,
}

/// The server's end. One per engine, shared with its thread.
#[derive(Debug)]
pub struct DaemonClient {
    command: DaemonCommand,
    attempts: Arc<Attempts>,
    state: Mutex<State>,
    moved: Condvar,
}

impl DaemonClient {
    /// Starts the thread and waits until the first daemon is ready.
    ///
    /// # Errors
    /// When it cannot be started or an old one cannot be removed.
    pub fn start(command: DaemonCommand, attempts: Arc<Attempts>) -> io::Result<Arc<DaemonClient>> {
        let client = Arc::new(DaemonClient {
            command,
            attempts,
            state: Mutex::default(),
            moved: Condvar::new(),
        });
        let own = Arc::clone(&client);
        std::thread::Builder::new().name("stepd-link".to_owned()).spawn(move || own.run())?;
        match client.ready(0, crate::clock::monotonic() + DAEMON_BOUND) {
            Ok(_) => Ok(client),
            Err(e) => {
                client.close();
                Err(e)
            }
        }
    }

    /// The generation of the daemon that is ready; of the last one when none is.
    #[must_use]
    pub fn generation(&self) -> u64 {
        held(&self.state).generation
    }

    /// The step daemon's process, while there is one.
    #[must_use]
    pub fn daemon(&self) -> Option<i32> {
        held(&self.state).pid
    }

    /// Lets the daemon end after the orders it was sent. Jobs go on.
    pub fn close(&self) {
        let mut state = held(&self.state);
        state.closing = true;
        if let Some(socket) = state.socket.take() {
            let _ = rustix::net::shutdown(&socket, Shutdown::Both);
        }
        self.moved.notify_all();
    }

    /// Sends the name of an order; when the daemon has just died, to the next one.
    /// `before` is told the generation before each try. Blocks, so it belongs on the blocking pool.
    ///
    /// # Errors
    /// When there is no daemon within [`DAEMON_BOUND`] or it does not read.
    pub fn send(&self, name: &str, before: impl Fn(u64)) -> io::Result<()> {
        let deadline = crate::clock::monotonic() + DAEMON_BOUND;
        let mut after = 0;
        loop {
            let (socket, generation) = self.ready(after, deadline)?;
            before(generation);
            let sent = rustix::io::retry_on_intr(|| {
                rustix::net::send(&socket, name.as_bytes(), SendFlags::NOSIGNAL)
            });
            match sent {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => after = generation,
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Sends a word with a file to the daemon that is there. Blocks, so it belongs on the blocking
    /// pool.
    ///
    /// # Errors
    /// When there is no daemon within [`DAEMON_BOUND`] or it does not read.
    pub fn send_file(&self, word: &str, file: &OwnedFd) -> io::Result<()> {
        let (socket, _) = self.ready(0, crate::clock::monotonic() + DAEMON_BOUND)?;
        let send = || fd_passing::send(&socket, word, file.as_fd(), SendFlags::empty());
        Ok(rustix::io::retry_on_intr(send)?)
    }

    /// Waits for a ready daemon of a generation later than `after`.
    fn ready(&self, after: u64, deadline: Instant) -> io::Result<(Arc<OwnedFd>, u64)> {
        let mut state = held(&self.state);
        loop {
            if let Some(socket) = state.socket.as_ref().filter(|_| state.generation > after) {
                return Ok((Arc::clone(socket), state.generation));
            }
            let left = deadline.saturating_duration_since(crate::clock::monotonic());
            // At the start failure is an answer; later the thread tries again and so do we.
            let hopeless = state.generation == 0 && state.failures >= FIRST_TRIES;
            if state.closing || hopeless || left.is_zero() {
                let why = state.failure.clone().unwrap_or_else(|| "it is not running".to_owned());
                return Err(io::Error::other(why));
            }
            let waited = self.moved.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The thread: a daemon after the other, until the engine closes.
    fn run(&self) {
        loop {
            let began = crate::clock::monotonic();
            match self.raise() {
                Ok((mut child, socket)) => {
                    self.install(&child, &socket);
                    self.listen(&socket);
                    let closing = self.uninstall();
                    if !closing {
                        log::error!("the step daemon is gone; starting another, jobs go on");
                        drop(child.kill());
                    }
                    drop(child.wait());
                }
                Err(e) => {
                    log::error!("the step daemon cannot be started: {e}");
                    self.fail(e.to_string());
                }
            }
            let mut state = held(&self.state);
            if began.elapsed() < RESTART_PAUSE {
                let closed = |s: &mut State| !s.closing;
                let waited = self.moved.wait_timeout_while(state, RESTART_PAUSE, closed);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            if state.closing {
                return;
            }
        }
    }

    fn fail(&self, why: String) {
        let mut state = held(&self.state);
        state.failure = Some(why);
        state.failures += 1;
        self.moved.notify_all();
    }

    fn install(&self, child: &Child, socket: &Arc<OwnedFd>) {
        {
            let mut state = held(&self.state);
            self.install_in(&mut state, child, socket);
        }
        // Orders that the former daemon took with it are known as such from now on.
        self.attempts.hint_all();
    }

    fn install_in(&self, state: &mut State, child: &Child, socket: &Arc<OwnedFd>) {
        state.generation += 1;
        state.pid = i32::try_from(child.id()).ok();
        state.failure = None;
        state.failures = 0;
        if state.closing {
            let _ = rustix::net::shutdown(socket, Shutdown::Both);
        } else {
            state.socket = Some(Arc::clone(socket));
        }
        self.moved.notify_all();
    }

    /// Answers whether the engine is closing.
    fn uninstall(&self) -> bool {
        let closing = {
            let mut state = held(&self.state);
            state.socket = None;
            state.pid = None;
            state.closing
        };
        self.attempts.hint_all();
        closing
    }

    /// Starts a daemon and waits until it is ready.
    fn raise(&self) -> io::Result<(Child, Arc<OwnedFd>)> {
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let mut child = Command::new(&self.command.program)
            // The program is opened by a name that says nothing to whoever reads `ps -ef`.
            .arg0("downbeat")
            .arg("stepd")
            .arg("--data-dir")
            .arg(&self.command.data_dir)
            .env_clear()
            .envs(fault::environment())
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::from(self.command.notices_out.try_clone()?))
            .stderr(Stdio::null())
            .spawn()?;
        match self.await_ready(&ours) {
            Ok(()) => Ok((child, Arc::new(ours))),
            Err(e) => {
                drop(child.kill());
                drop(child.wait());
                Err(e)
            }
        }
    }

    fn await_ready(&self, socket: &OwnedFd) -> io::Result<()> {
        let soft = self.command.soft_nofile.map(|soft| soft.to_string()).unwrap_or_default();
        let DaemonCommand { memory, track, wall, origin, persons, freezer, .. } = &self.command;
        let groups = [memory.line(), track.line(), wall.line(), freezer.line()].join("\n");
        let lines = format!("{groups}\n{}\n{}", origin.word(), persons.line());
        let greeting = format!("{NOFILE_WORD}{soft}\n{lines}");
        // One that is gone already is heard of below.
        let _sent = rustix::net::send(socket, greeting.as_bytes(), SendFlags::NOSIGNAL);
        set_socket_timeout(socket, Timeout::Send, Some(SEND_BOUND))?;
        set_socket_timeout(socket, Timeout::Recv, Some(READY_BOUND))?;
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        let mut first = rustix::net::recv(socket, &mut buffer, RecvFlags::empty());
        if first.is_err() && self.kill_holder() {
            first = rustix::net::recv(socket, &mut buffer, RecvFlags::empty());
        }
        let count = match first {
            Ok((count, _)) => count,
            // Gone before it read anything.
            Err(rustix::io::Errno::CONNRESET) => 0,
            Err(e) => return Err(e.into()),
        };
        let line = String::from_utf8_lossy(&buffer[..count]);
        if Notice::parse(line.trim_end()) != Some(Notice::Ready) {
            let log = self.command.data_dir.join("stepd.log");
            return Err(io::Error::other(format!("it did not get ready; see {}", log.display())));
        }
        set_socket_timeout(socket, Timeout::Recv, None)?;
        Ok(())
    }

    /// Kills a step daemon that keeps its lock without a server; answers whether it was there.
    fn kill_holder(&self) -> bool {
        let Some((holder, boot_id)) = stepd::holder(&self.command.data_dir) else { return false };
        let is_ours = self.command.origin.is_of(&boot_id);
        let killed = is_ours && proc::signal(holder, Signal::KILL);
        if killed {
            log::warn!("killed the former step daemon {}, which did not end", holder.pid);
        }
        killed
    }

    /// Hears notices until the daemon is gone.
    fn listen(&self, socket: &OwnedFd) {
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        loop {
            match rustix::net::recv(socket, &mut buffer, RecvFlags::empty()) {
                Ok((0, _)) => return,
                Ok((count, _)) => {
                    for line in String::from_utf8_lossy(&buffer[..count]).lines() {
                        if let Some(notice) = Notice::parse(line) {
                            self.attempts.hear(notice);
                        }
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}
