//! *Purpose*: the one place that changes the database.
//!
//! *Owns*: the writer's connection and every INSERT, UPDATE and DELETE.
//!
//! *Promises*: a commit is one transaction; it begins by moving `commit_no` from the number
//! before to its own under its own epoch, so a second server or a commit out of order is
//! fenced off; updates are guarded by the state they start from and touch exactly one row;
//! after an error it is known whether the commit is durable before anyone is told; nothing is
//! committed to a file that is no longer in its place, and nothing is answered that stands in a log
//! which somebody has deleted, replaced or cut off: it is moved into the database first.
//!
//! *Not here*: retries and their timing (`actors::resource_manager`).
//!
//! **Lists.** A commit is made lists of rows first (`store::writes`). A database to which each
//! statement is a way there and back takes a list as one. SQLite has no such way to save; what a
//! statement costs is its text, its plan and finding its place in each tree. So all are prepared
//! once (`dialect`), new rows of one table are inserted together, and each update is a statement.
//! An update's row count is its guard.

mod arrays;
mod attempt_usage;
mod attempts;
mod edit;
mod forget;
mod guard;
mod maintenance;
mod requeued;
mod rounds;
mod samples;
mod signals;
mod steps;
mod suspended;
mod tokens;
mod usage;

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::update;

use super::dialect::{Database, OpenDatabase};
use super::id_by_time::Latest;
use super::load;
use super::migrate;
use super::read;
use super::{Conn, Db, dialect};
use crate::fault::{self, Point};
use crate::job::ids::{Attempt, Epoch};
use crate::job::state::{EndReason, StateWord};
use crate::kernel::change::Change;
use crate::kernel::outbox::Commit;
use crate::resources::allocation::Released;
use crate::store::error::StoreError;
use crate::store::reader::Reader;
use crate::store::rows::{ClockStepRow, NewCount};
use crate::store::schema::{audit, idempotency_keys, meta};
use crate::store::write::{CommitError, KEY_KEPT_S, Launches};
use crate::store::writer::Writer;
use crate::store::writes::Writes;
use crate::time::Time;

/// Scripts and environments that are read with a commit; an executor that finds its own not among
/// them reads it.
const LAUNCH_BYTES_MAX: usize = 1024 * 1024;

/// Expired keys removed by one chore, so that it never holds the database for long.
const KEYS_PER_CHORE: i64 = 1_000;
/// How long a token is listed that has expired, seconds: so that whoever wonders finds out why.
const EXPIRED_KEPT_S: i64 = 30 * 86_400;
/// Requests that one chore forgets, likewise.
const ASKED_PER_CHORE: i64 = 10_000;

/// The writer.
pub struct OnlyWriter {
    database: OpenDatabase,
    epoch: Epoch,
    /// The last commit stands in a log that is not safe yet.
    in_doubt: bool,
    /// Of the submit times so far.
    latest: Latest,
    /// How many jobs ended in which way, as of the last commit.
    ended: BTreeMap<StateWord, u64>,
}

impl OnlyWriter {
    /// Opens and migrates the database and takes the next epoch.
    ///
    /// # Errors
    /// When the database cannot be opened, is damaged, or is newer than this program.
    pub fn open(database: Database) -> Result<OnlyWriter, StoreError> {
        let mut conn = database.session()?;
        migrate::run(&mut conn, &database)?;
        // SQL would go on from a number that is none as if it were 0.
        load::numbers(&mut conn).map_err(|e| e.at_start(&database.place()))?;
        let epoch = update(meta::table)
            .set(meta::epoch.eq(meta::epoch + 1))
            .returning(meta::epoch)
            .get_result::<i64>(&mut conn)
            .map_err(|e| StoreError::from(e).at_start(&database.place()))?;
        fault::point(fault::RECOVERY_EPOCH_TAKEN);
        let latest = Latest::read(&mut conn).map_err(|e| e.at_start(&database.place()))?;
        let ended = load::ended(&mut conn).map_err(|e| e.at_start(&database.place()))?;
        let (database, epoch) = (OpenDatabase::new(database, conn), Epoch(epoch));
        Ok(OnlyWriter { database, epoch, in_doubt: false, latest, ended })
    }

    pub(in crate::store) fn connection(&mut self) -> Result<&mut Conn, StoreError> {
        self.database.connection()
    }

    fn make_durable(
        &mut self,
        commit: &Commit,
        clock_steps: &[ClockStepRow],
    ) -> Result<Launches, CommitError> {
        if let Err(error) = self.look_after() {
            if !error.may_pass() {
                return Err(CommitError::Fatal(error));
            }
            // Without a connection the outcome of the last try is still open.
            let known = self.database.is_open() && !self.in_doubt;
            let say = if known { CommitError::NotCommitted } else { CommitError::Unknown };
            return Err(say(error));
        }
        let open = std::mem::take(&mut self.in_doubt) || !self.database.is_open();
        if open && self.is_durable(commit)? {
            return Ok(Launches::new());
        }
        let before = std::mem::take(&mut self.ended);
        let result = match self.connection() {
            Ok(conn) => transaction(conn, commit, clock_steps, &before),
            Err(error) => Err(error),
        };
        self.ended = before;
        let error = match result {
            Err(error) => error,
            Ok(launches) => {
                // The log may have gone in between.
                let kept = self.look_after().map_err(|error| {
                    self.in_doubt = true;
                    if error.may_pass() {
                        CommitError::Unknown(error)
                    } else {
                        CommitError::Fatal(error)
                    }
                });
                return kept.map(|()| launches);
            }
        };
        if !error.may_pass() {
            return Err(CommitError::Fatal(error));
        }
        // The answer of COMMIT itself may be what was lost: only a new look can tell.
        self.database.close();
        match self.is_durable(commit)? {
            true => Ok(Launches::new()),
            false => Err(CommitError::NotCommitted(error)),
        }
    }

    fn is_durable(&mut self, commit: &Commit) -> Result<bool, CommitError> {
        let look = |conn: &mut Conn| {
            load::numbers(conn).map(|numbers| (numbers.commit_no.0, numbers.epoch))
        };
        let (at, epoch) = match self.connection() {
            Ok(conn) => look(conn),
            Err(error) => Err(error),
        }
        .map_err(|e| {
            self.database.close();
            if e.may_pass() { CommitError::Unknown(e) } else { CommitError::Fatal(e) }
        })?;
        match (epoch == self.epoch.0, at - commit.no.0) {
            (true, 0) => Ok(true),
            (true, -1) => Ok(false),
            _ => Err(CommitError::Fatal(StoreError::Fenced { at, epoch })),
        }
    }

    #[cfg(test)]
    pub(in crate::store) fn lose_connection(&mut self) {
        self.database.close();
    }
}

impl Writer for OnlyWriter {
    fn installation(&mut self) -> Result<String, StoreError> {
        Ok(meta::table.select(meta::installation).get_result(self.connection()?)?)
    }

    fn belongs_to(&mut self, installation: &str) -> Result<(), StoreError> {
        let set = update(meta::table).set(meta::installation.eq(installation));
        set.execute(self.connection()?)?;
        Ok(())
    }

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn reader(&mut self) -> Result<&mut dyn Reader, StoreError> {
        let conn: &mut Conn = self.connection()?;
        Ok(conn)
    }

    fn look_after(&mut self) -> Result<(), StoreError> {
        self.database.look_after()
    }

    fn wipe(&mut self) -> Result<(), StoreError> {
        self.database.wipe()
    }

    fn commit(&mut self, commit: &Commit) -> Result<Launches, CommitError> {
        let (clock_steps, latest) = self.latest.through(commit);
        let launches = self.make_durable(commit, &clock_steps)?;
        (self.latest, self.ended) = (latest, commit.ended.clone());
        let mut changes = commit.steps.iter().flat_map(|step| step.iter());
        if changes.any(|change| matches!(change, Change::Forgotten { .. })) {
            self.database.wipe_soon();
        }
        Ok(launches)
    }

    fn forget_old_keys(&mut self, now: Time) -> Result<usize, StoreError> {
        let old = idempotency_keys::table
            .filter(idempotency_keys::time.lt(now.plus_s(-KEY_KEPT_S).0))
            .select(idempotency_keys::key)
            .limit(KEYS_PER_CHORE);
        let delete = diesel::delete(idempotency_keys::table)
            .filter(idempotency_keys::key.eq_any(old.into_boxed::<Db>()));
        Ok(delete.execute(self.connection()?)?)
    }

    fn forget_old_tokens(&mut self, now: Time) -> Result<usize, StoreError> {
        tokens::forget(self.connection()?, now.plus_s(-EXPIRED_KEPT_S))
    }

    fn forget_old_signals(&mut self) -> Result<usize, StoreError> {
        signals::forget(self.connection()?)
    }

    fn fold_samples(&mut self, now: Time) -> Result<usize, StoreError> {
        // What an error left of a transaction goes with the connection.
        samples::fold(self.connection()?, now).inspect_err(|_| self.database.close())
    }

    fn forget_old_samples(&mut self, before: Time) -> Result<usize, StoreError> {
        samples::forget(self.connection()?, before)
    }

    fn forget_old_requests(&mut self, before: Time) -> Result<usize, StoreError> {
        // By their numbers, in which they came: times have no index.
        let oldest = audit::table.order(audit::id.asc()).select((audit::id, audit::time));
        let first: Option<(i64, i64)> = oldest.first(self.connection()?).optional()?;
        let Some((first, _)) = first.filter(|(_, time)| *time < before.0) else { return Ok(0) };
        let delete = diesel::delete(audit::table)
            .filter(audit::id.lt(first + ASKED_PER_CHORE))
            .filter(audit::time.lt(before.0));
        Ok(delete.execute(self.connection()?)?)
    }
}

/// By hand, since a full disk makes SQLite roll back by itself, and diesel would then report its
/// own failing ROLLBACK in place of the reason. Whoever gets an error drops the connection,
/// which rolls back whatever is left.
fn transaction(
    conn: &mut Conn,
    commit: &Commit,
    clock_steps: &[ClockStepRow],
    ended_before: &BTreeMap<StateWord, u64>,
) -> Result<Launches, StoreError> {
    conn.batch_execute(dialect::BEGIN)?;
    rounds::write(conn, &Writes::of(commit))?;
    counted(conn, ended_before, &commit.ended)?;
    dialect::insert(conn, clock_steps)?;
    let launches = launches(conn, commit)?;
    fault::points(edges(commit).map(|(before, _)| before));
    conn.batch_execute("COMMIT")?;
    fault::points(edges(commit).map(|(_, after)| after));
    Ok(launches)
}

/// The rows of the jobs that this commit starts, until they are too many bytes.
fn launches(conn: &mut Conn, commit: &Commit) -> Result<Launches, StoreError> {
    let (mut launches, mut bytes) = (Launches::new(), 0);
    for change in commit.steps.iter().flat_map(|step| step.iter()) {
        let Change::Granted { event, cpus, rest, .. } = change else { continue };
        if bytes > LAUNCH_BYTES_MAX {
            break;
        }
        let launch = match read::launch_on(conn, event.job, cpus.clone(), rest.clone()) {
            // Its executor reads it again, and then that launch has failed, not this commit.
            Err(StoreError::Damaged { .. }) => continue,
            launch => launch?,
        };
        bytes += launch.script.size();
        launches.push((Attempt { job: event.job, n: event.attempt }, launch));
    }
    Ok(launches)
}

/// The places just before and just after COMMIT, of each kind of change that it carries.
fn edges(commit: &Commit) -> impl Iterator<Item = (Point, Point)> + '_ {
    commit.steps.iter().flat_map(|step| step.iter()).filter_map(|change| match change {
        Change::Asked(_)
        | Change::Key(_)
        | Change::Charged { .. }
        | Change::Told { .. }
        | Change::StepNoted { .. }
        | Change::Claimed { .. }
        | Change::Maintained(_)
        | Change::Resumed(_)
        | Change::TokenMade(_)
        | Change::TokensRevoked(_)
        | Change::Sampled(_)
        | Change::UsageKept { .. }
        | Change::Forgotten { .. } => None,
        Change::Reclaimed { .. } | Change::Restored { .. } => {
            Some((fault::RECOVERY_MENDING, fault::RECOVERY_MENDED))
        }
        Change::Submitted { .. } => Some((fault::SUBMIT_COMMITTING, fault::SUBMIT_COMMITTED)),
        Change::Granted { .. } => Some((fault::ALLOCATE_COMMITTING, fault::ALLOCATE_COMMITTED)),
        Change::Started { .. } => Some((fault::STARTED_COMMITTING, fault::STARTED_COMMITTED)),
        Change::Edited { event, edit } if event.to == StateWord::Running && edit.changes_end() => {
            Some((fault::EDIT_COMMITTING, fault::EDIT_COMMITTED))
        }
        Change::Edited { .. } | Change::Split { .. } => None,
        Change::Suspended { .. } => Some((fault::SUSPEND_COMMITTING, fault::SUSPEND_COMMITTED)),
        Change::Signalled { .. } => Some((fault::SIGNAL_COMMITTING, fault::SIGNAL_COMMITTED)),
        Change::Completing { reason, .. } => Some(match reason {
            EndReason::Cancelled => (fault::CANCEL_COMMITTING, fault::CANCEL_COMMITTED),
            EndReason::TimeLimit => (fault::LIMIT_COMMITTING, fault::LIMIT_COMMITTED),
            EndReason::Lost => (fault::LOST_COMMITTING, fault::LOST_COMMITTED),
            EndReason::Finishing => (fault::FINISH_COMMITTING, fault::FINISH_COMMITTED),
            EndReason::OutputLimit => (fault::LIMIT_COMMITTING, fault::LIMIT_COMMITTED),
            EndReason::Requeued { .. } | EndReason::Preempted => {
                (fault::REQUEUE_COMMITTING, fault::REQUEUE_COMMITTED)
            }
        }),
        Change::Requeued { past: None, .. } => {
            Some((fault::REQUEUE_COMMITTING, fault::REQUEUE_COMMITTED))
        }
        Change::Requeued { past: Some(_), .. } => {
            Some((fault::RETURN_COMMITTING, fault::RETURN_COMMITTED))
        }
        // A pending job that is cancelled gives nothing back.
        Change::Ended { released: Released { units: 0, .. }, .. } => {
            Some((fault::CANCEL_COMMITTING, fault::CANCEL_COMMITTED))
        }
        Change::Ended { .. } => Some((fault::RELEASE_COMMITTING, fault::RELEASE_COMMITTED)),
    })
}

/// How many jobs ended in which way: the rows that this commit changes, whichever states there are.
fn counted(
    conn: &mut Conn,
    before: &BTreeMap<StateWord, u64>,
    now: &BTreeMap<StateWord, u64>,
) -> Result<(), StoreError> {
    let none = before.keys().filter(|state| !now.contains_key(state)).map(|state| (state, &0));
    for (state, n) in now.iter().chain(none) {
        if before.get(state) == Some(n) {
            continue;
        }
        let row = [NewCount { state: state.word(), n: n.cast_signed() }];
        if dialect::update_all(conn, &row)?.is_some() {
            dialect::insert(conn, &row)?;
        }
    }
    Ok(())
}
