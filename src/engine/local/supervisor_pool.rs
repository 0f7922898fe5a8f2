//! *Purpose*: the supervisors of a step daemon: who is at work, who waits for an order, when
//! another is needed.
//!
//! *Owns*: the fork of every supervisor, the sockets over which each gets its orders.
//!
//! *Promises*: an order goes to one who has nothing else to do, and if there is none to a new one;
//! one spare supervisor is forked ahead, so that no launch waits for a fork; who dies over an
//! attempt is known by that attempt's name.
//!
//! *Not here*: what a supervisor does (`supervisor`), which attempts may be launched (`stepd`).

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, socketpair};
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Signal, kill_process};

use super::fd_passing;
use super::fitness::Fitness;
use super::served_attempt::SupervisorConfig;
use super::supervisor;
use super::sys;
use crate::job::outcome::ExitCode;

/// Pids read at a time from those that rest.
const PIDS_READ: usize = 64;

/// All supervisors that have not been reaped.
pub struct SupervisorPool {
    config: SupervisorConfig,
    /// Where they say that they rest, read only when somebody is needed: no wake-up for it.
    rested: OwnedFd,
    rested_out: OwnedFd,
    members: HashMap<i32, Member>,
    /// As this process was at first.
    born: Fitness,
    /// Those known to wait for an order; the last to come is the first to go, its memory is warm.
    idle: Vec<i32>,
}

struct Member {
    orders: OwnedFd,
    /// The attempt it was given last and has not been seen to rest from.
    at_work: Option<String>,
}

impl SupervisorPool {
    /// Nobody yet.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn new(config: SupervisorConfig) -> io::Result<SupervisorPool> {
        let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
        let (rested, rested_out) = rustix::pipe::pipe_with(flags)?;
        let (members, idle, born) = (HashMap::new(), Vec::new(), Fitness::now());
        Ok(SupervisorPool { config, rested, rested_out, members, idle, born })
    }

    /// Gives an attempt and its lock to a supervisor.
    ///
    /// # Errors
    /// When there is none to spare and the system refuses another.
    pub fn hand_over(&mut self, name: &str, state: &File) -> io::Result<()> {
        self.see_who_rests();
        // One whose rest is over takes no order; its end will be told.
        while let Some(pid) = self.idle.pop() {
            if self.give(pid, name, state).is_ok() {
                return Ok(());
            }
        }
        let pid = self.fork()?;
        self.give(pid, name, state)
    }

    /// Forks one ahead, if nobody waits for an order.
    ///
    /// # Errors
    /// When the system refuses; whoever is needed is then forked when needed.
    pub fn keep_a_spare(&mut self) -> io::Result<()> {
        self.see_who_rests();
        if self.idle.is_empty() {
            let pid = self.fork()?;
            self.idle.push(pid);
        }
        Ok(())
    }

    /// One has ended and was reaped. Answers with the attempt of whose end nobody was told.
    pub fn has_ended(&mut self, pid: i32, code: ExitCode) -> Option<String> {
        self.see_who_rests();
        self.idle.retain(|one| *one != pid);
        self.config.track.sweep();
        let told = code == ExitCode { code: supervisor::TOLD, signal: 0 };
        self.members.remove(&pid)?.at_work.filter(|_| !told)
    }

    fn see_who_rests(&mut self) {
        let mut pids = [0; PIDS_READ * size_of::<i32>()];
        while let Ok(count @ 1..) = rustix::io::read(&self.rested, &mut pids) {
            for pid in pids[..count].as_chunks().0 {
                let pid = i32::from_ne_bytes(*pid);
                if let Some(member) = self.members.get_mut(&pid)
                    && member.at_work.take().is_some()
                {
                    self.idle.push(pid);
                }
            }
        }
    }

    fn give(&mut self, pid: i32, name: &str, state: &File) -> io::Result<()> {
        let nobody = || io::Error::from(io::ErrorKind::NotFound);
        let member = self.members.get_mut(&pid).ok_or_else(nobody)?;
        // Its socket is empty, so this never waits.
        fd_passing::send(&member.orders, name, state.as_fd(), SendFlags::DONTWAIT)?;
        // A script may have stopped it while it rested. It is not reaped, so the number is its own.
        if let Some(pid) = Pid::from_raw(pid) {
            let _gone_if_not = kill_process(pid, Signal::CONT);
        }
        member.at_work = Some(name.to_owned());
        Ok(())
    }

    /// Whether supervisors that are forked from now on would be as the first one: a script may have
    /// changed this process (`renice`, `prlimit`), and they inherit it.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        Fitness::now() == self.born
    }

    fn fork(&mut self) -> io::Result<i32> {
        let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
        let (ours, orders) = socketpair(AddressFamily::UNIX, kind, flags, None)?;
        let (config, rested) = (&self.config, &self.rested_out);
        // The parent's copy of the child's end goes with this closure.
        let pid = sys::fork(move || supervisor::run(config, &orders, rested))?;
        self.members.insert(pid, Member { orders: ours, at_work: None });
        Ok(pid)
    }
}
