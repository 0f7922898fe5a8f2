//! *Purpose*: what the machine does by itself, and what goes wrong with it.
//!
//! *Owns*: steps of the step daemon and of supervisors; crashes, kills, reboots, clock jumps.
//!
//! *Promises*: nothing here happens once the faults have stopped, except that the world goes on.
//!
//! *Not here*: faults of the disk and of messages (`world`, where they are drawn).

use downbeat::job::ids::Attempt;
use downbeat::job::outcome::{ExitCode, Stop};
use downbeat::time::Time;

use super::count::Event;
use super::protocol::engine::Tree;
use super::protocol::server::{Flight, Server};
use super::world::{CPUS, World};

const DAY_US: i64 = 86_400_000_000;

impl World {
    /// Something happens below the server: to the daemon, or to one attempt.
    pub fn engine_step(&mut self) {
        if !self.engine.ready && self.rng.u8(..3) == 0 {
            for _ in 0..self.engine.daemon_is_ready() {
                self.count.happened(Event::LaunchLost);
            }
            return;
        }
        if !self.engine.orders.is_empty() && self.rng.bool() {
            return self.take_order();
        }
        let open: Vec<Attempt> = self.engine.under_way().map(|(attempt, _)| attempt).collect();
        if open.is_empty() {
            return;
        }
        let attempt = open[self.rng.usize(..open.len())];
        self.tree_step(attempt);
        self.hint(attempt);
    }

    fn take_order(&mut self) {
        let i = self.rng.usize(..self.engine.orders.len());
        if self.unlucky(10) {
            self.count.happened(Event::LaunchDoubled);
            self.engine.orders.push(self.engine.orders[i]);
        }
        self.count.happened_if(Event::OrderTakenByADyingDaemon, !self.engine.ready);
        let attempt = self.engine.take_order(i);
        self.hint(attempt);
    }

    /// Tells the executor to look, unless the hint is lost.
    fn hint(&mut self, attempt: Attempt) {
        if self.unlucky(6) {
            self.count.happened(Event::HintLost);
        } else if let Some(executor) = self.server.executors.get_mut(&attempt) {
            executor.awake = true;
        }
    }

    fn tree_step(&mut self, attempt: Attempt) {
        let folder = self.engine.spool[&attempt].clone();
        let own = if attempt.job.0 % 3 == 0 { 0 } else { (attempt.job.0 % 251) as u8 };
        let own = ExitCode { code: own, signal: 0 };
        if self.unlucky(25) {
            return self.kill_supervisor(attempt, own);
        }
        match folder.tree {
            Some(Tree::Launching) if !folder.cancel && self.rng.u8(..20) == 0 => {
                self.engine.fail_to_spawn(attempt, self.now);
            }
            Some(Tree::Launching) => self.engine.spawn(attempt, self.now),
            Some(Tree::Running(_)) if folder.cancel => match self.rng.u8(..5) {
                0 => {
                    self.count.happened(Event::ExitRacedCancel);
                    self.engine.exit(attempt, own, self.now);
                }
                1 => {
                    self.count.happened(Event::LimitRacedCancel);
                    self.engine.begin_stop(attempt, Stop::TimeLimit);
                }
                _ => self.engine.begin_stop(attempt, Stop::Cancelled),
            },
            Some(Tree::Running(_)) if self.rng.u8(..50) == 0 => {
                self.engine.begin_stop(attempt, Stop::TimeLimit);
            }
            Some(Tree::Running(_)) if self.rng.u8(..14) == 0 => {
                self.engine.exit(attempt, own, self.now);
            }
            Some(Tree::Stopping(..)) => {
                // It may have the last word, or be killed.
                let killed = ExitCode { code: 0, signal: 15 };
                let code = if self.rng.bool() { own } else { killed };
                self.engine.exit(attempt, code, self.now);
            }
            _ => {}
        }
    }

    fn kill_supervisor(&mut self, attempt: Attempt, own: ExitCode) {
        let runs =
            matches!(self.engine.spool[&attempt].tree, Some(Tree::Running(_) | Tree::Stopping(..)));
        if runs && self.rng.u8(..4) == 0 {
            self.count.happened(Event::RecordAtTheLastMoment);
            return self.engine.exit(attempt, own, self.now);
        }
        self.count.happened(Event::SupervisorKilled);
        self.engine.supervisor_dies(attempt);
    }

    /// One of the great faults.
    pub fn fault(&mut self) {
        match self.rng.u8(..10) {
            0..4 => self.jump(),
            4..7 => self.crash(),
            7..9 => {
                self.count.happened(Event::DaemonKilled);
                self.engine.daemon_dies();
            }
            9 if self.rng.bool() => {
                self.count.happened(Event::Rebooted);
                self.engine.reboot();
                self.crash();
            }
            _ => {}
        }
    }

    /// The clock is set: by seconds, by a day, or by years.
    fn jump(&mut self) {
        let reach = [60_000_000, DAY_US, 3_650 * DAY_US][self.rng.usize(..3)];
        let by = self.rng.i64(-reach..reach);
        self.count.happened(if by < 0 { Event::ClockSetBack } else { Event::ClockSetForward });
        self.now = Time(self.now.0 + by);
    }

    /// The server dies wherever it is.
    fn crash(&mut self) {
        let event = match &self.server.flight {
            Flight::None if self.server.outbox.is_empty() => Event::CrashIdle,
            Flight::None => Event::CrashBeforeItLeft,
            Flight::Sent(_) if self.rng.bool() => Event::CrashInTheWriterBeforeCommit,
            Flight::Sent(_) => Event::CrashInTheWriterAfterCommit,
            Flight::Answered(..) => Event::CrashAfterCommitBeforeTheAnswer,
            Flight::Pausing(_) => Event::CrashAfterAFailure,
        };
        if event == Event::CrashInTheWriterAfterCommit {
            self.server.write(&mut self.disk, super::protocol::disk::Luck::Fine);
            self.look_at_disk();
        }
        self.count.happened(event);
        self.start_again();
    }

    /// A new server over what is left. Its step daemon waits for the lock of the old one, which
    /// may still take the orders that it has.
    pub fn start_again(&mut self) {
        self.engine.daemon_dies();
        self.server = Server::boot(CPUS, &mut self.disk, &self.engine);
        self.writer_busy_until = self.steps;
        self.forget_reads();
        self.clients.check_stored(&self.disk);
    }
}
