//! *Purpose*: what signals mean to a server.
//!
//! *Owns*: [`Signals`]: those that stop it, the one that has it read its settings again, and those
//! that mean nothing here and must not end it.
//!
//! *Promises*: from the first moment only SIGTERM and SIGINT end a server, SIGKILL, and those that
//! tell of a bug (SIGSEGV and its like).
//!
//! *Not here*: what stopping and reading again are (`serve`, `serve::live`).

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{
    SIGALRM, SIGHUP, SIGIO, SIGPROF, SIGQUIT, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU, SIGXFSZ,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals whose default is to end a process, and that end no server. Without SIGXFSZ a write
/// beyond a limit of file sizes (`ulimit -f`) is an error, as one to a full disk.
const HARMLESS: [i32; 10] =
    [SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT, SIGXFSZ, SIGXCPU, SIGALRM, SIGVTALRM, SIGPROF, SIGIO];
/// Two more, SIGSTKFLT and SIGPWR, and those of the real-time range that the C library leaves to
/// programs.
const OTHERS: [std::ops::RangeInclusive<i32>; 3] = [16..=16, 30..=30, 34..=64];

/// Keeps harmless signals from ending this process, from now on.
pub(super) fn outlive_harmless_ones() -> io::Result<()> {
    HARMLESS.into_iter().chain(OTHERS.into_iter().flatten()).try_for_each(|number| {
        // Nobody looks at it: that somebody hears the signal is enough.
        let heard = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(number, heard).map(|_| ())
    })
}

/// What the running server hears.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What was heard.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    ReadAgain,
}

impl Signals {
    /// Heard from now on, not from the first wait.
    pub(super) fn listen() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Until one that stops the server.
    pub(super) async fn stop(&mut self) {
        while self.next().await != Heard::Stop {}
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.terminate.recv() => Heard::Stop,
            _ = self.interrupt.recv() => Heard::Stop,
            _ = self.hangup.recv() => Heard::ReadAgain,
        }
    }
}
