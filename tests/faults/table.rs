//! *Purpose*: which point is reached how, who lives there, and so which cases there are.
//!
//! *Owns*: [`ROWS`], [`Case`] and [`cases`].
//!
//! *Promises*: every set of victims that can be told apart at a point is a case; one that
//! cannot (a script before it was spawned) is none.
//!
//! *Not here*: how a case runs (`case`), how it must end (`expect`).

use std::fmt;

use Frozen::{Daemon, Server, Supervisor};
use Trigger::{
    Boot, Cancel, CancelEarly, End, Leave, Limit, Lost, Mend, Migrate, Requeue, Shorten, Signal,
    Stop, Submit, Suspend, Unsuspend,
};

/// How a point is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A job is submitted.
    Submit,
    /// A job is submitted, and cancelled while somebody is frozen on the way to its script.
    CancelEarly,
    /// A running job's script ends.
    End,
    /// A running job's script ends and leaves a process behind that does not end by itself.
    Leave,
    /// A running job is cancelled.
    Cancel,
    /// Somebody wants a running job to run again.
    Requeue,
    /// A running job has run for as long as it may.
    Limit,
    /// A running job without a limit gets one that has passed.
    Shorten,
    /// A running job's script is sent a signal.
    Signal,
    /// A running job is suspended, and later goes on.
    Suspend,
    /// The same, and the point is where it goes on.
    Unsuspend,
    /// A running job's supervisor is killed.
    Lost,
    /// The server is killed while a job runs, and started.
    Boot,
    /// The same, with a migration to be run.
    Migrate,
    /// The same, over books that say that a job nobody knows holds a CPU.
    Mend,
    /// SIGTERM.
    Stop,
}

/// Who passes a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frozen {
    Server,
    Daemon,
    Supervisor,
}

/// What there is of the job at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alive {
    /// Nothing that could be killed or could end without a server.
    Nothing,
    /// An order that the step daemon has.
    Order,
    /// A supervisor whose script is not there yet, or no longer.
    Supervisor,
    /// A script without a supervisor.
    Orphan,
    /// Both.
    Both,
}

/// A point.
pub struct Row {
    pub point: &'static str,
    pub trigger: Trigger,
    pub frozen: Frozen,
    pub alive: Alive,
}

const fn row(point: &'static str, trigger: Trigger, frozen: Frozen, alive: Alive) -> Row {
    Row { point, trigger, frozen, alive }
}

/// Every point of `downbeat::fault::POINTS`.
pub const ROWS: &[Row] = &[
    row("submit.received", Submit, Server, Alive::Nothing),
    row("submit.committing", Submit, Server, Alive::Nothing),
    row("submit.committed", Submit, Server, Alive::Nothing),
    row("allocate.planned", Submit, Server, Alive::Nothing),
    row("allocate.committing", Submit, Server, Alive::Nothing),
    row("allocate.committed", Submit, Server, Alive::Nothing),
    row("launch.order-written", Submit, Server, Alive::Nothing),
    row("launch.sent", Submit, Server, Alive::Both),
    row("launch.taken", Submit, Daemon, Alive::Order),
    row("launch.state-locked", Submit, Daemon, Alive::Order),
    row("launch.handed-over", Submit, Daemon, Alive::Both),
    row("launch.unnamed", Submit, Supervisor, Alive::Supervisor),
    row("launch.ready", Submit, Supervisor, Alive::Supervisor),
    row("launch.before-spawn", Submit, Supervisor, Alive::Supervisor),
    row("launch.spawned", Submit, Supervisor, Alive::Both),
    row("started.noted", Submit, Supervisor, Alive::Both),
    row("started.seen", Submit, Server, Alive::Both),
    row("started.committing", Submit, Server, Alive::Both),
    row("started.committed", Submit, Server, Alive::Both),
    row("launch.taken", CancelEarly, Daemon, Alive::Order),
    row("launch.state-locked", CancelEarly, Daemon, Alive::Order),
    row("launch.unnamed", CancelEarly, Supervisor, Alive::Supervisor),
    row("exited.reaped", End, Supervisor, Alive::Supervisor),
    row("exited.recorded", End, Supervisor, Alive::Supervisor),
    row("finish.begun", Leave, Supervisor, Alive::Supervisor),
    row("finish.committing", Leave, Server, Alive::Supervisor),
    row("finish.committed", Leave, Server, Alive::Supervisor),
    row("finish.over", Leave, Supervisor, Alive::Supervisor),
    row("exited.seen", End, Server, Alive::Nothing),
    row("release.committing", End, Server, Alive::Nothing),
    row("release.committed", End, Server, Alive::Nothing),
    row("release.collecting", End, Server, Alive::Nothing),
    row("cancel.received", Cancel, Server, Alive::Both),
    row("cancel.committing", Cancel, Server, Alive::Both),
    row("cancel.committed", Cancel, Server, Alive::Both),
    row("cancel.written", Cancel, Server, Alive::Both),
    row("cancel.read", Cancel, Supervisor, Alive::Both),
    row("cancel.term-sent", Cancel, Supervisor, Alive::Supervisor),
    row("limit.reached", Limit, Supervisor, Alive::Both),
    row("limit.term-sent", Limit, Supervisor, Alive::Supervisor),
    row("limit.committing", Limit, Server, Alive::Supervisor),
    row("limit.committed", Limit, Server, Alive::Supervisor),
    row("edit.committing", Shorten, Server, Alive::Both),
    row("edit.committed", Shorten, Server, Alive::Both),
    row("limit.written", Shorten, Server, Alive::Both),
    row("limit.read", Shorten, Supervisor, Alive::Both),
    row("signal.committing", Signal, Server, Alive::Both),
    row("signal.committed", Signal, Server, Alive::Both),
    row("signal.written", Signal, Server, Alive::Both),
    row("signal.taken", Signal, Supervisor, Alive::Both),
    row("suspend.committing", Suspend, Server, Alive::Both),
    row("suspend.committed", Suspend, Server, Alive::Both),
    row("suspend.written", Suspend, Server, Alive::Both),
    row("suspend.read", Suspend, Supervisor, Alive::Both),
    // Whoever is frozen may not die before he goes on.
    row("suspend.frozen", Suspend, Supervisor, Alive::Supervisor),
    row("suspend.thawed", Unsuspend, Supervisor, Alive::Both),
    row("requeue.committing", Requeue, Server, Alive::Both),
    row("requeue.committed", Requeue, Server, Alive::Both),
    row("return.committing", Requeue, Server, Alive::Nothing),
    row("return.committed", Requeue, Server, Alive::Nothing),
    row("lost.locked", Lost, Server, Alive::Orphan),
    row("lost.committing", Lost, Server, Alive::Orphan),
    row("lost.committed", Lost, Server, Alive::Orphan),
    row("lost.listed", Lost, Server, Alive::Orphan),
    row("lost.killed", Lost, Server, Alive::Nothing),
    row("daemon.locked", Boot, Daemon, Alive::Both),
    row("recovery.locked", Boot, Server, Alive::Both),
    row("recovery.daemon-ready", Boot, Server, Alive::Both),
    row("recovery.epoch-taken", Boot, Server, Alive::Both),
    row("recovery.loaded", Boot, Server, Alive::Both),
    row("recovery.tidied", Boot, Server, Alive::Both),
    row("recovery.mending", Mend, Server, Alive::Both),
    row("recovery.mended", Mend, Server, Alive::Both),
    row("recovery.adopted", Boot, Server, Alive::Both),
    row("recovery.looked", Boot, Server, Alive::Both),
    row("migration.before", Migrate, Server, Alive::Both),
    row("migration.inside", Migrate, Server, Alive::Both),
    row("migration.done", Migrate, Server, Alive::Both),
    row("stop.asked", Stop, Server, Alive::Both),
    row("stop.drained", Stop, Server, Alive::Both),
];

/// Who is killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Victims {
    pub server: bool,
    pub daemon: bool,
    pub supervisor: bool,
    pub script: bool,
}

impl fmt::Display for Victims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.server, "server"),
            (self.daemon, "daemon"),
            (self.supervisor, "supervisor"),
            (self.script, "script"),
        ];
        let names: Vec<&str> = all.iter().filter(|(dies, _)| *dies).map(|(_, n)| *n).collect();
        f.pad(&names.join("+"))
    }
}

/// When a killed server is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// It was not killed.
    None,
    /// While the job is as it was at the point.
    AtOnce,
    /// When the job has ended without a server.
    AfterTheEnd,
    /// While the step daemon is still frozen: the new server must get rid of it.
    BesideAHangingDaemon,
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Restart::None => "-",
            Restart::AtOnce => "at once",
            Restart::AfterTheEnd => "after the end",
            Restart::BesideAHangingDaemon => "daemon hangs",
        })
    }
}

/// One line of the matrix.
pub struct Case {
    pub row: &'static Row,
    pub victims: Victims,
    pub restart: Restart,
}

/// Whose deaths can be told apart at this point: letters of server, daemon, supervisor, script.
fn sets(row: &Row) -> Vec<&'static str> {
    let mut sets = vec!["s"];
    // A server before its step daemon, or at its end, has none to lose.
    let before = ["recovery.locked", "recovery.epoch-taken"].contains(&row.point);
    let daemonless = before || matches!(row.trigger, Trigger::Stop | Trigger::Migrate);
    if !daemonless {
        sets.extend(["d", "sd"]);
    }
    match row.alive {
        Alive::Nothing | Alive::Order => {}
        Alive::Supervisor => sets.extend(["v", "sv", "sdv"]),
        Alive::Orphan => sets.extend(["j", "sj", "sdj"]),
        Alive::Both => sets.extend(["v", "j", "vj", "sv", "svj", "sdvj"]),
    }
    sets
}

/// All cases.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for row in ROWS {
        for set in sets(row) {
            let has = |letter| set.contains(letter);
            let victims = Victims {
                server: has('s'),
                daemon: has('d'),
                supervisor: has('v'),
                script: has('j'),
            };
            let mut add = |restart| cases.push(Case { row, victims, restart });
            if !victims.server {
                // SIGTERM ends a server that is not killed.
                if row.trigger != Trigger::Stop {
                    add(Restart::None);
                }
                continue;
            }
            add(Restart::AtOnce);
            if can_end_alone(row, victims) {
                add(Restart::AfterTheEnd);
            }
            if row.frozen == Frozen::Daemon && row.trigger == Trigger::Submit && set == "s" {
                add(Restart::BesideAHangingDaemon);
            }
        }
    }
    cases
}

/// Whether the job can go on and end when these are dead.
fn can_end_alone(row: &Row, victims: Victims) -> bool {
    let told = ["suspend.written", "suspend.read", "suspend.frozen"];
    if told.contains(&row.point) {
        // It stands still, or will.
        return false;
    }
    match row.alive {
        Alive::Nothing => false,
        Alive::Order => !victims.daemon,
        Alive::Supervisor => !victims.supervisor,
        // A script may end without its supervisor: then nobody knows how.
        Alive::Orphan | Alive::Both => !victims.script,
    }
}
