//! *Purpose*: named places at which a test may freeze this process, to kill what it likes.
//!
//! *Owns*: the table of fault points and the places of bugs that a test wants; with the feature
//! `fault-points` also a wall clock that a test may set and migrations of "a newer version".
//!
//! *Promises*: without the feature a point is nothing: no table, no variable and no file is
//! looked at; with it, a point that nobody armed only fails to remove a file; a script never
//! sees any of this.
//!
//! *Not here*: what is killed at which point and what must hold afterwards (`tests/faults`).
//!
//! **How a point freezes.** `DOWNBEAT_FAULT_DIR` names a folder. A test arms a point by an empty
//! file with the point's name. Whoever passes the point first takes that file away, so one
//! arming is one freeze, in whichever process. The frozen thread writes its process and the
//! name into the FIFO `hit` and reads the FIFO `go`: it waits in the kernel, polls nothing, and
//! goes on with one byte. Only plain file calls: this also runs in a freshly forked supervisor.

/// The table, from which constants and, for tests, the list are made.
macro_rules! points {
    ($($(#[doc = $what:literal])+ $constant:ident = $name:literal;)+) => {
        $($(#[doc = $what])+ pub const $constant: Point = Point($name);)+

        /// Every point, and where it is.
        #[cfg(feature = "fault-points")]
        pub const POINTS: &[(&str, &str)] = &[$(($name, concat!($($what),+))),+];
    };
}

/// In a handler, which owns no state.
pub const BUG_IN_HANDLER: Point = Point("bug.handler");
/// In a read of the database on a blocking thread.
pub const BUG_IN_READ: Point = Point("bug.read");
/// In the resource manager.
pub const BUG_IN_MANAGER: Point = Point("bug.manager");
/// The same while `top` shows something.
pub const BUG_IN_TOP: Point = Point("bug.top");

/// A named place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point(&'static str);

points! {
    /// server: a good request has come, the job has no number yet
    SUBMIT_RECEIVED = "submit.received";
    /// server: the job's rows are written, COMMIT is not
    SUBMIT_COMMITTING = "submit.committing";
    /// server: the job is durable, the client has no answer yet
    SUBMIT_COMMITTED = "submit.committed";
    /// server: the ledger has given CPUs away, in memory only
    ALLOCATE_PLANNED = "allocate.planned";
    /// server: allocation and state are written, COMMIT is not
    ALLOCATE_COMMITTING = "allocate.committing";
    /// server: the allocation is durable, nothing is launched
    ALLOCATE_COMMITTED = "allocate.committed";
    /// server: order and script are in the spool, the step daemon was not told
    LAUNCH_ORDER_WRITTEN = "launch.order-written";
    /// server: the step daemon was told
    LAUNCH_SENT = "launch.sent";
    /// step daemon: it has read the name and done nothing
    LAUNCH_TAKEN = "launch.taken";
    /// step daemon: `state` is there, locked by the daemon, no supervisor has it
    LAUNCH_STATE_LOCKED = "launch.state-locked";
    /// step daemon: a supervisor has the order and the lock
    LAUNCH_HANDED_OVER = "launch.handed-over";
    /// supervisor: it has the order and has not said who it is
    LAUNCH_UNNAMED = "launch.unnamed";
    /// supervisor: it knows the order, `control` is not read
    LAUNCH_READY = "launch.ready";
    /// supervisor: `control` is read, nothing is spawned
    LAUNCH_BEFORE_SPAWN = "launch.before-spawn";
    /// supervisor: the script runs, nobody was told
    LAUNCH_SPAWNED = "launch.spawned";
    /// supervisor: the script is in `state`, the hint is not sent
    STARTED_NOTED = "started.noted";
    /// server: the engine says that the script runs, the resource manager does not know
    STARTED_SEEN = "started.seen";
    /// server: the start is written, COMMIT is not
    STARTED_COMMITTING = "started.committing";
    /// server: the start is durable
    STARTED_COMMITTED = "started.committed";
    /// supervisor: every process of the job is reaped, no record is written
    EXITED_REAPED = "exited.reaped";
    /// supervisor: the record is there, the hint is not sent
    EXITED_RECORDED = "exited.recorded";
    /// server: the record is read, the resource manager does not know
    EXITED_SEEN = "exited.seen";
    /// server: final state and release are written, COMMIT is not
    RELEASE_COMMITTING = "release.committing";
    /// server: final state and release are durable, nobody was told
    RELEASE_COMMITTED = "release.committed";
    /// server: the spool of the ended attempt is about to go
    RELEASE_COLLECTING = "release.collecting";
    /// server: a cancel has come, the kernel does not know
    CANCEL_RECEIVED = "cancel.received";
    /// server: the cancel is written, COMMIT is not
    CANCEL_COMMITTING = "cancel.committing";
    /// server: the cancel is durable, nobody was told
    CANCEL_COMMITTED = "cancel.committed";
    /// server: `control` is in the spool, the supervisor is not poked
    CANCEL_WRITTEN = "cancel.written";
    /// supervisor: the wish is read, nothing is signalled
    CANCEL_READ = "cancel.read";
    /// supervisor: TERM is sent, the grace runs
    CANCEL_TERM_SENT = "cancel.term-sent";
    /// server: another time limit of a running job is written, COMMIT is not
    EDIT_COMMITTING = "edit.committing";
    /// server: another time limit of a running job is durable, nobody was told
    EDIT_COMMITTED = "edit.committed";
    /// server: the other limit is in the spool, the supervisor is not poked
    LIMIT_WRITTEN = "limit.written";
    /// supervisor: the other limit is read and not kept yet
    LIMIT_READ = "limit.read";
    /// server: that a job is suspended, or goes on, is written, COMMIT is not
    SUSPEND_COMMITTING = "suspend.committing";
    /// server: that a job is suspended, or goes on, is durable, nobody was told
    SUSPEND_COMMITTED = "suspend.committed";
    /// server: that wish is in the spool, the supervisor is not poked
    SUSPEND_WRITTEN = "suspend.written";
    /// supervisor: the wish is read, nobody is frozen
    SUSPEND_READ = "suspend.read";
    /// supervisor: every process of the job is frozen
    SUSPENDED = "suspend.frozen";
    /// supervisor: every process of the job goes on
    RESUMED = "suspend.thawed";
    /// server: a signal for a running job is written, COMMIT is not
    SIGNAL_COMMITTING = "signal.committing";
    /// server: a signal for a running job is durable, nobody was told
    SIGNAL_COMMITTED = "signal.committed";
    /// server: the signal is in the spool, the supervisor is not poked
    SIGNAL_WRITTEN = "signal.written";
    /// supervisor: the signal is taken from the spool and not sent
    SIGNAL_TAKEN = "signal.taken";
    /// supervisor: the time limit is over, nothing is signalled
    LIMIT_REACHED = "limit.reached";
    /// supervisor: TERM is sent for the limit, the grace runs
    LIMIT_TERM_SENT = "limit.term-sent";
    /// supervisor: the script has ended, others of its tree go on; nobody was told
    FINISH_BEGUN = "finish.begun";
    /// supervisor: what was left behind had its time, nothing is signalled
    FINISH_OVER = "finish.over";
    /// server: the step to COMPLETING for what was left behind is written, COMMIT is not
    FINISH_COMMITTING = "finish.committing";
    /// server: the step to COMPLETING for what was left behind is durable
    FINISH_COMMITTED = "finish.committed";
    /// server: the step to COMPLETING for the limit is written, COMMIT is not
    LIMIT_COMMITTING = "limit.committing";
    /// server: the step to COMPLETING for the limit is durable
    LIMIT_COMMITTED = "limit.committed";
    /// server: the wish to run a job again is written, COMMIT is not
    REQUEUE_COMMITTING = "requeue.committing";
    /// server: the wish to run a job again is durable, nobody was told
    REQUEUE_COMMITTED = "requeue.committed";
    /// server: release and the way back into the queue are written, COMMIT is not
    RETURN_COMMITTING = "return.committing";
    /// server: release and the way back into the queue are durable, nobody was told
    RETURN_COMMITTED = "return.committed";
    /// server: the supervisor was killed, and the server has its lock now
    LOST_LOCKED = "lost.locked";
    /// server: the step to COMPLETING for the loss is written, COMMIT is not
    LOST_COMMITTING = "lost.committing";
    /// server: the step to COMPLETING for the loss is durable
    LOST_COMMITTED = "lost.committed";
    /// server: it has looked at every process, and not yet told which are of a lost attempt
    LOST_LISTED = "lost.listed";
    /// server: what was left of a lost attempt is killed, its end is not told
    LOST_KILLED = "lost.killed";
    /// step daemon: it has its lock, the server does not know
    DAEMON_LOCKED = "daemon.locked";
    /// server: the locks are taken, nothing is started
    RECOVERY_LOCKED = "recovery.locked";
    /// server: the step daemon is ready, the database was not looked at
    RECOVERY_DAEMON_READY = "recovery.daemon-ready";
    /// server: the next epoch is durable
    RECOVERY_EPOCH_TAKEN = "recovery.epoch-taken";
    /// server: memory is as the database said
    RECOVERY_LOADED = "recovery.loaded";
    /// server: the spool of ended attempts is gone
    RECOVERY_TIDIED = "recovery.tidied";
    /// server: what the first audit mends is written, COMMIT is not
    RECOVERY_MENDING = "recovery.mending";
    /// server: what the first audit mends is durable, nothing is scheduled yet
    RECOVERY_MENDED = "recovery.mended";
    /// server: live attempts have executors, none has looked yet
    RECOVERY_ADOPTED = "recovery.adopted";
    /// server: an adopted attempt was looked at, nobody was told
    RECOVERY_LOOKED = "recovery.looked";
    /// server: migrations are known to be missing, none has begun
    MIGRATION_BEFORE = "migration.before";
    /// server: a migration's statements have run, its COMMIT has not
    MIGRATION_INSIDE = "migration.inside";
    /// server: all migrations are durable, no epoch is taken
    MIGRATION_DONE = "migration.done";
    /// server: SIGTERM was heard, nothing is drained
    STOP_ASKED = "stop.asked";
    /// server: everything decided is durable, the server is about to end
    STOP_DRAINED = "stop.drained";
}

#[cfg(not(feature = "fault-points"))]
mod off {
    use crate::fault::Point;

    /// Nothing.
    #[inline(always)]
    pub fn point(_: Point) {}

    /// Nothing; the names are never asked for.
    #[inline(always)]
    pub fn points(_: impl Iterator<Item = Point>) {}

    /// No bug.
    #[inline(always)]
    pub fn bug(_: Point) {}

    /// Nothing.
    pub fn environment() -> impl Iterator<Item = (&'static str, std::ffi::OsString)> {
        std::iter::empty()
    }

    /// The wall clock is right.
    #[inline(always)]
    #[must_use]
    pub fn clock_skew_us() -> i64 {
        0
    }
}

#[cfg(feature = "fault-points")]
mod on {
    use std::ffi::OsString;
    use std::fs::{self, OpenOptions};
    use std::io::{Read, Write};
    use std::path::{Path, PathBuf};
    use std::sync::OnceLock;

    use crate::fault::Point;

    /// The folder in which points are armed.
    const DIR: &str = "DOWNBEAT_FAULT_DIR";
    /// A file with the microseconds by which the wall clock is wrong.
    const SKEW: &str = "DOWNBEAT_CLOCK_SKEW_FILE";
    /// A folder of migrations that "a newer version" knows.
    const MIGRATIONS: &str = "DOWNBEAT_EXTRA_MIGRATIONS";

    fn variable(name: &str, once: &'static OnceLock<Option<PathBuf>>) -> Option<&'static Path> {
        once.get_or_init(|| std::env::var_os(name).map(PathBuf::from)).as_deref()
    }

    fn folder() -> Option<&'static Path> {
        static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
        variable(DIR, &FOLDER)
    }

    /// Freezes here if this point is armed.
    pub fn point(Point(name): Point) {
        let Some(folder) = folder() else { return };
        if fs::remove_file(folder.join(name)).is_err() {
            return;
        }
        let hit = format!("{} {name}\n", std::process::id());
        // A test that is gone has no FIFO, or nobody at its other end: then life goes on.
        if let Ok(mut fifo) = OpenOptions::new().write(true).open(folder.join("hit"))
            && fifo.write_all(hit.as_bytes()).is_ok()
            && let Ok(mut fifo) = OpenOptions::new().read(true).open(folder.join("go"))
        {
            drop(fifo.read(&mut [0]));
        }
    }

    /// Panics here if this place is armed.
    pub fn bug(Point(name): Point) {
        let Some(folder) = folder() else { return };
        if fs::remove_file(folder.join(name)).is_ok() {
            std::panic::panic_any(format!("a bug that a test wanted at {name}"));
        }
    }

    /// Passes several points.
    pub fn points(points: impl Iterator<Item = Point>) {
        points.for_each(point);
    }

    /// What the step daemon, whose environment is otherwise empty, is told of this.
    pub fn environment() -> impl Iterator<Item = (&'static str, OsString)> {
        [DIR, SKEW].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
    }

    /// By how much the wall clock is wrong; asked at each look at the clock.
    #[must_use]
    pub fn clock_skew_us() -> i64 {
        static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
        let text = variable(SKEW, &FILE).and_then(|file| fs::read_to_string(file).ok());
        text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    /// Migrations beyond those of this program.
    #[must_use]
    pub fn extra_migrations() -> Option<PathBuf> {
        std::env::var_os(MIGRATIONS).map(PathBuf::from)
    }
}

#[cfg(not(feature = "fault-points"))]
pub use off::{bug, clock_skew_us, environment, point, points};
#[cfg(feature = "fault-points")]
pub use on::{bug, clock_skew_us, environment, extra_migrations, point, points};
