//! *Purpose*: the one place that changes the database.
//!
//! *Owns*: the writer's connection and every INSERT, UPDATE and DELETE.
//!
//! *Promises*: a commit is one transaction; it begins by moving `commit_no` from the number
//! before to its own under its own epoch, so a second server or a commit out of order is
//! fenced off; updates are guarded by the state they start from and touch exactly one row;
//! after an error it is known whether the commit is durable before anyone is told; nothing is
//! committed to a file that is no longer in its place.
//!
//! *Not here*: retries and their timing (`actors::resource_manager`).
//!
//! **Rows together, updates alone.** SQLite has no round trip to save; what a statement costs is
//! its text, its plan and finding its place in each tree. So all are prepared once (`write::kept`),
//! and rows of one table are inserted together. An update's row count is its guard.

mod kept;
mod new;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::dsl::not;
use diesel::prelude::*;
use diesel::{SqliteConnection, update};

use super::backend::Database;
use super::error::StoreError;
use super::log_room;
use super::migrate;
use super::read::{self, LaunchRows};
use super::rows::{
    AllocationRow, FallRow, HeldRow, JobRow, KeyRow, NewEvent, NewLabel, NewScript, from_json, json,
};
use super::schema::{
    events, held_cpus, idempotency_keys, job_labels, job_scripts, jobs, maintenance, meta,
    resource_allocations,
};
use super::submit_times::Latest;
use crate::fault::{self, Point};
use crate::kernel::change::{Change, Event};
use crate::kernel::eligible::Edit;
use crate::kernel::ids::{Attempt, CommitNo, CpuId, Epoch, JobId};
use crate::kernel::job::{JobSpec, StateWord};
use crate::kernel::outbox::Commit;
use crate::kernel::time::Time;
use crate::kernel::transition::{EndReason, EndState};

/// Scripts and environments of which is told ahead; whoever launches more reads them himself.
const LAUNCH_BYTES_MAX: usize = 1024 * 1024;
/// Changes the row of an event's job, which must be in the state that the event starts from.
macro_rules! change_job {
    ($conn:expr, $event:expr, $set:expr) => {
        one_row(kept::update(jobs::table, in_state($event), $set).execute($conn)?, || {
            disagreement($event)
        })
    };
}

/// How long idempotency keys are kept, seconds.
pub const KEY_KEPT_S: i64 = 86_400;
/// Expired keys removed by one chore, so that it never holds the database for long.
const KEYS_PER_CHORE: i64 = 1_000;

/// The writer.
pub struct Writer {
    database: Database,
    conn: Option<SqliteConnection>,
    epoch: Epoch,
    /// Which file this is: device and inode.
    file: Option<(u64, u64)>,
    /// Of the submit times so far.
    latest: Latest,
    ahead: Option<Ahead>,
}

/// Hears, before a commit is durable, what the launches that it grants will need.
pub type Ahead = Box<dyn FnMut(Attempt, LaunchRows) + Send>;

/// The file that this path names now.
fn file_at(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Why a commit did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Known not to be durable; may be tried again.
    #[error("not committed: {0}")]
    NotCommitted(StoreError),
    /// Not known whether it is durable; asking again (by committing again) is safe.
    #[error("outcome unknown: {0}")]
    Unknown(StoreError),
    /// Must not be tried again: the process has to end, boot repairs.
    #[error("{0}")]
    Fatal(StoreError),
}

impl Writer {
    /// Opens and migrates the database and takes the next epoch.
    ///
    /// # Errors
    /// When the database cannot be opened, is damaged, or is newer than this program.
    pub fn open(database: Database) -> Result<Writer, StoreError> {
        let mut conn = database.writer()?;
        migrate::run(&mut conn, &database)?;
        let epoch = update(meta::table)
            .set(meta::epoch.eq(meta::epoch + 1))
            .returning(meta::epoch)
            .get_result::<i64>(&mut conn)
            .map_err(|e| StoreError::from(e).at_start(database.path()))?;
        fault::point(fault::RECOVERY_EPOCH_TAKEN);
        log_room::make(&mut conn, database.path());
        let file = file_at(database.path());
        let latest = Latest::read(&mut conn)?;
        let (conn, epoch) = (Some(conn), Epoch(epoch));
        Ok(Writer { database, conn, epoch, file, latest, ahead: None })
    }

    /// From now on this hears of grants ahead of their commit, as far as that is not too much:
    /// here the rows are at hand, elsewhere they cost a transaction and a thread.
    pub fn tell_ahead(&mut self, ahead: Ahead) {
        self.ahead = Some(ahead);
    }

    /// This reign.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The connection, for loading at boot.
    ///
    /// # Errors
    /// When it cannot be opened again.
    pub fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        if self.conn.is_none() {
            self.in_place()?;
            self.conn = Some(self.database.writer()?);
        }
        self.conn.as_mut().ok_or_else(|| StoreError::Transient("no connection".to_owned()))
    }

    /// Makes a commit durable. Committing a number again that is durable already succeeds.
    ///
    /// # Errors
    /// [`CommitError`] says what is known.
    pub fn commit(&mut self, commit: &Commit) -> Result<(), CommitError> {
        let (falls, latest) = self.latest.through(commit);
        self.make_durable(commit, &falls)?;
        self.latest = latest;
        Ok(())
    }

    fn make_durable(&mut self, commit: &Commit, falls: &[FallRow]) -> Result<(), CommitError> {
        if let Err(error) = self.in_place() {
            // Without a connection the outcome of the last try is still open.
            let known = self.conn.is_some();
            let say = if known { CommitError::NotCommitted } else { CommitError::Unknown };
            return Err(say(error));
        }
        if self.conn.is_none() && self.is_durable(commit)? {
            return Ok(());
        }
        let mut ahead = self.ahead.take();
        let result = match self.connection() {
            Ok(conn) => transaction(conn, commit, falls, ahead.as_mut()),
            Err(error) => Err(error),
        };
        self.ahead = ahead;
        let Err(error) = result else { return Ok(()) };
        if !error.may_pass() {
            return Err(CommitError::Fatal(error));
        }
        // The answer of COMMIT itself may be what was lost: only a new look can tell.
        self.conn = None;
        if self.is_durable(commit)? { Ok(()) } else { Err(CommitError::NotCommitted(error)) }
    }

    /// SQLite goes on writing to a file that was deleted or moved, and nobody would find again
    /// what it was told there.
    fn in_place(&self) -> Result<(), StoreError> {
        let path = self.database.path();
        if self.file.is_none() || file_at(path) == self.file {
            return Ok(());
        }
        let path = path.display();
        Err(StoreError::Transient(format!("{path} was moved, deleted or replaced; put it back")))
    }

    fn is_durable(&mut self, commit: &Commit) -> Result<bool, CommitError> {
        let look = |conn: &mut SqliteConnection| {
            meta::table.select((meta::commit_no, meta::epoch)).get_result::<(i64, i64)>(conn)
        };
        let (at, epoch) = match self.connection() {
            Ok(conn) => look(conn).map_err(StoreError::from),
            Err(error) => Err(error),
        }
        .map_err(|e| {
            self.conn = None;
            if e.may_pass() { CommitError::Unknown(e) } else { CommitError::Fatal(e) }
        })?;
        match (epoch == self.epoch.0, at - commit.no.0) {
            (true, 0) => Ok(true),
            (true, -1) => Ok(false),
            _ => Err(CommitError::Fatal(StoreError::Fenced { at, epoch })),
        }
    }

    #[cfg(test)]
    pub(super) fn lose_connection(&mut self) {
        self.conn = None;
    }

    /// Forgets idempotency keys that are older than a day. A chore: idempotent, small.
    ///
    /// # Errors
    /// When the database refuses; the next chore tries again.
    pub fn forget_old_keys(&mut self, now: Time) -> Result<usize, StoreError> {
        let old = idempotency_keys::table
            .filter(idempotency_keys::time.lt(now.plus_s(-KEY_KEPT_S).0))
            .select(idempotency_keys::key)
            .limit(KEYS_PER_CHORE);
        let delete = diesel::delete(idempotency_keys::table)
            .filter(idempotency_keys::key.eq_any(old.into_boxed::<diesel::sqlite::Sqlite>()));
        Ok(delete.execute(self.connection()?)?)
    }
}

/// By hand, since a full disk makes SQLite roll back by itself, and diesel would then report its
/// own failing ROLLBACK in place of the reason. Whoever gets an error drops the connection,
/// which rolls back whatever is left.
fn transaction(
    conn: &mut SqliteConnection,
    commit: &Commit,
    falls: &[FallRow],
    ahead: Option<&mut Ahead>,
) -> Result<(), StoreError> {
    conn.batch_execute("BEGIN IMMEDIATE")?;
    apply(conn, commit)?;
    kept::insert(conn, falls.iter().copied())?;
    if let Some(ahead) = ahead {
        tell_of_launches(conn, commit, ahead)?;
    }
    fault::points(edges(commit).map(|(before, _)| before));
    conn.batch_execute("COMMIT")?;
    fault::points(edges(commit).map(|(_, after)| after));
    Ok(())
}

/// The rows of the jobs that this commit starts, until they are too many bytes.
fn tell_of_launches(
    conn: &mut SqliteConnection,
    commit: &Commit,
    ahead: &mut Ahead,
) -> Result<(), StoreError> {
    let mut bytes = 0;
    for change in commit.steps.iter().flat_map(|step| step.iter()) {
        let Change::Granted { event, cpus, .. } = change else { continue };
        if bytes > LAUNCH_BYTES_MAX {
            break;
        }
        let launch = read::launch_on(conn, event.job, cpus.clone())?;
        bytes += launch.script.script.len() + launch.script.environment.len();
        ahead(Attempt { job: event.job, n: event.attempt }, launch);
    }
    Ok(())
}

/// The places just before and just after COMMIT, of each kind of change that it carries.
fn edges(commit: &Commit) -> impl Iterator<Item = (Point, Point)> + '_ {
    commit.steps.iter().flat_map(|step| step.iter()).filter_map(|change| match change {
        Change::Key(_) | Change::Maintained(_) | Change::Resumed(_) | Change::Forgotten { .. } => {
            None
        }
        Change::Reclaimed { .. } | Change::Restored { .. } => {
            Some((fault::RECOVERY_MENDING, fault::RECOVERY_MENDED))
        }
        Change::Submitted { .. } => Some((fault::SUBMIT_COMMITTING, fault::SUBMIT_COMMITTED)),
        Change::Granted { .. } => Some((fault::ALLOCATE_COMMITTING, fault::ALLOCATE_COMMITTED)),
        Change::Started { .. } => Some((fault::STARTED_COMMITTING, fault::STARTED_COMMITTED)),
        Change::Edited { .. } => None,
        Change::Completing { reason, .. } => Some(match reason {
            EndReason::Cancelled => (fault::CANCEL_COMMITTING, fault::CANCEL_COMMITTED),
            EndReason::TimeLimit => (fault::LIMIT_COMMITTING, fault::LIMIT_COMMITTED),
            EndReason::Lost => (fault::LOST_COMMITTING, fault::LOST_COMMITTED),
        }),
        // A pending job that is cancelled gives nothing back.
        Change::Ended { released_cpus: 0, .. } => {
            Some((fault::CANCEL_COMMITTING, fault::CANCEL_COMMITTED))
        }
        Change::Ended { .. } => Some((fault::RELEASE_COMMITTING, fault::RELEASE_COMMITTED)),
    })
}

fn one_row(touched: usize, what: impl FnOnce() -> String) -> Result<(), StoreError> {
    if touched == 1 { Ok(()) } else { Err(StoreError::Disagrees(what())) }
}

fn apply(conn: &mut SqliteConnection, commit: &Commit) -> Result<(), StoreError> {
    fence(conn, commit)?;
    let changes = || commit.steps.iter().flat_map(|step| step.iter());
    submitted(conn, || {
        changes().filter_map(|change| match change {
            Change::Submitted { event, spec } => Some((event, &**spec)),
            _ => None,
        })
    })?;
    for change in changes() {
        match change {
            Change::Submitted { .. } => {}
            Change::Key(key) => kept::insert(conn, [KeyRow::from(key)])?,
            Change::Granted { event, cpus, nonce, boot_id } => {
                granted(conn, event, cpus, nonce, boot_id)?;
            }
            Change::Started { event, handle, .. } => {
                let set = (
                    jobs::state.eq(event.to.word()),
                    jobs::start_time.eq(handle.start_time.0),
                    jobs::process_id.eq(handle.pid),
                );
                change_job!(conn, event, set)?;
                let set = resource_allocations::process_id.eq(handle.pid);
                let held = unreleased(event);
                kept::update(resource_allocations::table, held, set).execute(conn)?;
            }
            Change::Edited { event, edit } => edited(conn, event, edit)?,
            Change::Completing { event, reason } => {
                let set = (jobs::state.eq(event.to.word()), jobs::completing.eq(reason.word()));
                change_job!(conn, event, set)?;
            }
            Change::Ended { event, end, released_cpus, .. } => {
                ended(conn, event, end, *released_cpus)?;
            }
            Change::Reclaimed { job, time, .. } => reclaimed(conn, *job, *time)?,
            Change::Restored { attempt, cpus } => restored(conn, *attempt, cpus)?,
            Change::Forgotten { jobs } => forgotten(conn, jobs)?,
            Change::Maintained(window) => {
                let row = (
                    maintenance::id.eq(window.id),
                    maintenance::start_time.eq(window.start.0),
                    maintenance::end_time.eq(window.end.map(|end| end.0)),
                    maintenance::reason.eq(&*window.reason),
                    maintenance::principal.eq(&*window.principal),
                );
                diesel::insert_into(maintenance::table).values(row).execute(conn)?;
            }
            Change::Resumed(ids) => {
                let over = maintenance::table.filter(maintenance::id.eq_any(ids));
                diesel::delete(over).execute(conn)?;
            }
        }
    }
    kept::insert(conn, changes().filter_map(Change::event).map(NewEvent::from))?;
    Ok(())
}

/// One row as a person changed it. Edits are rare, so it is read and written whole.
fn edited(conn: &mut SqliteConnection, event: &Event, edit: &Edit) -> Result<(), StoreError> {
    type Columns = (i64, Option<i64>, i64, Option<bool>, Option<i64>, Option<i64>);
    let (priority, limit, submitted, held, begin, deadline): Columns = jobs::table
        .find(event.job.0)
        .select((
            jobs::priority,
            jobs::time_limit_s,
            jobs::submit_time,
            jobs::held,
            jobs::begin_time,
            jobs::deadline,
        ))
        .first(conn)?;
    let us = |time: Option<Time>| time.map(|time| time.0);
    let begin = edit.begin.map_or(begin, us);
    let set = (
        jobs::priority.eq(edit.priority.unwrap_or(priority)),
        jobs::time_limit_s.eq(edit.limit_s.map_or(limit, |s| s.map(i64::from))),
        jobs::eligible_time.eq(begin.map_or(submitted, |begin| begin.max(submitted))),
        jobs::held.eq(edit.held.map_or(held, |held| held.then_some(true))),
        jobs::begin_time.eq(begin),
        jobs::deadline.eq(edit.deadline.map_or(deadline, us)),
    );
    change_job!(conn, event, set)
}

fn fence(conn: &mut SqliteConnection, commit: &Commit) -> Result<(), StoreError> {
    let CommitNo(no) = commit.no;
    let ours = meta::commit_no.eq(no - 1).and(meta::epoch.eq(commit.epoch.0));
    let ended = |word| commit.ended.get(&word).map_or(0, |n| *n as i64);
    let set = (
        meta::commit_no.eq(no),
        meta::next_job_id.eq(commit.next_job.0),
        meta::next_event_id.eq(commit.next_event.0),
        meta::completed.eq(ended(StateWord::Completed)),
        meta::failed.eq(ended(StateWord::Failed)),
        meta::cancelled.eq(ended(StateWord::Cancelled)),
        meta::timeout.eq(ended(StateWord::Timeout)),
        meta::out_of_memory.eq(ended(StateWord::OutOfMemory)),
        meta::node_fail.eq(ended(StateWord::NodeFail)),
    );
    if kept::update(meta::table, ours, set).execute(conn)? == 1 {
        return Ok(());
    }
    let (at, epoch) = meta::table.select((meta::commit_no, meta::epoch)).get_result(conn)?;
    Err(StoreError::Fenced { at, epoch })
}

/// New jobs, table by table: rows of one table go in together.
fn submitted<'a, I: Iterator<Item = (&'a Event, &'a JobSpec)>>(
    conn: &mut SqliteConnection,
    new: impl Fn() -> I,
) -> Result<(), StoreError> {
    kept::insert(conn, new().map(|(event, spec)| JobRow::submitted(event.job, event.time, spec)))?;
    kept::insert(conn, new().map(|(event, spec)| NewScript::submitted(event.job, spec)))?;
    kept::insert(conn, new().flat_map(|(event, spec)| NewLabel::submitted(event.job, spec)))?;
    Ok(())
}

fn granted(
    conn: &mut SqliteConnection,
    event: &Event,
    cpus: &[CpuId],
    nonce: &str,
    boot_id: &str,
) -> Result<(), StoreError> {
    let set = (jobs::state.eq(event.to.word()), jobs::attempt.eq(event.attempt as i32));
    change_job!(conn, event, set)?;
    let allocation = AllocationRow {
        id: event.id.0,
        job_id: event.job.0,
        attempt: event.attempt as i32,
        allocated_cpus: cpus.len() as i32,
        cpu_ids: json(&cpus),
        released: false,
        allocation_time: event.time.0,
        released_time: None,
        process_id: None,
        nonce: nonce.to_owned(),
        boot_id: boot_id.to_owned(),
    };
    kept::insert(conn, [allocation])?;
    let held = |cpu: &CpuId| HeldRow { cpu_id: i64::from(cpu.0), job_id: event.job.0 };
    kept::insert(conn, cpus.iter().map(held))?;
    Ok(())
}

fn ended(
    conn: &mut SqliteConnection,
    event: &Event,
    end: &EndState,
    released_cpus: u32,
) -> Result<(), StoreError> {
    // An end that nobody saw has no usage, rather than one of zero.
    let measured = end.exit_code.is_some();
    let set = (
        jobs::state.eq(event.to.word()),
        jobs::end_time.eq(end.end_time.0),
        jobs::exit_code.eq(end.exit_code.map(|c| c.to_string())),
        jobs::error.eq(&end.error),
        jobs::start_time.eq(end.handle.map(|h| h.start_time.0)),
        jobs::process_id.eq(end.handle.map(|h| h.pid)),
        jobs::user_cpu_us.eq(measured.then_some(end.usage.user_us)),
        jobs::system_cpu_us.eq(measured.then_some(end.usage.system_us)),
        jobs::max_rss_bytes.eq(measured.then_some(end.usage.max_rss_bytes)),
    );
    change_job!(conn, event, set)?;
    if released_cpus == 0 {
        return Ok(());
    }
    let set = (
        resource_allocations::released.eq(true),
        resource_allocations::released_time.eq(event.time.0),
        resource_allocations::process_id.eq(end.handle.map(|h| h.pid)),
    );
    let given_back = kept::update(resource_allocations::table, unreleased(event), set);
    one_row(given_back.execute(conn)?, || disagreement(event))?;
    let held = held_cpus::table.filter(held_cpus::job_id.eq(event.job.0));
    let freed = diesel::delete(held).execute(conn)?;
    if freed == released_cpus as usize {
        return Ok(());
    }
    Err(StoreError::Disagrees(format!("job {} gave back {freed} CPUs", event.job)))
}

/// What a job that is over holds is given back. Not guarded: how much it is, is what was doubted.
fn reclaimed(conn: &mut SqliteConnection, job: JobId, now: Time) -> Result<(), StoreError> {
    let rows = resource_allocations::table
        .filter(resource_allocations::job_id.eq(job.0))
        .filter(not(resource_allocations::released));
    let set =
        (resource_allocations::released.eq(true), resource_allocations::released_time.eq(now.0));
    update(rows).set(set).execute(conn)?;
    diesel::delete(held_cpus::table.filter(held_cpus::job_id.eq(job.0))).execute(conn)?;
    Ok(())
}

/// A live attempt holds exactly these CPUs, whatever the database said.
fn restored(
    conn: &mut SqliteConnection,
    attempt: Attempt,
    cpus: &[CpuId],
) -> Result<(), StoreError> {
    let ids = cpus.iter().map(|cpu| i64::from(cpu.0));
    let wrong = held_cpus::job_id.eq(attempt.job.0).or(held_cpus::cpu_id.eq_any(ids.clone()));
    diesel::delete(held_cpus::table.filter(wrong)).execute(conn)?;
    kept::insert(conn, ids.map(|id| HeldRow { cpu_id: id, job_id: attempt.job.0 }))?;
    let row = resource_allocations::table
        .filter(resource_allocations::job_id.eq(attempt.job.0))
        .filter(resource_allocations::attempt.eq(attempt.n as i32));
    let set = (
        resource_allocations::released.eq(false),
        resource_allocations::released_time.eq(None::<i64>),
        resource_allocations::allocated_cpus.eq(cpus.len() as i32),
        resource_allocations::cpu_ids.eq(json(&cpus)),
    );
    update(row).set(set).execute(conn)?;
    Ok(())
}

/// Ended jobs leave every table. Those that have not ended stay, whoever asks.
fn forgotten(conn: &mut SqliteConnection, asked: &[JobId]) -> Result<(), StoreError> {
    let rows: Vec<(i64, String)> = jobs::table
        .filter(jobs::id.eq_any(asked.iter().map(|job| job.0)))
        .filter(jobs::end_time.is_not_null())
        .select((jobs::id, jobs::labels))
        .load(conn)?;
    for (id, labels) in &rows {
        unlabelled(conn, *id, from_json(labels))?;
    }
    let over: Vec<i64> = rows.into_iter().map(|(id, _)| id).collect();
    let events = events::table.filter(events::job_id.eq_any(&over));
    diesel::delete(events).execute(conn)?;
    let allocations =
        resource_allocations::table.filter(resource_allocations::job_id.eq_any(&over));
    diesel::delete(allocations).execute(conn)?;
    let scripts = job_scripts::table.filter(job_scripts::job_id.eq_any(&over));
    diesel::delete(scripts).execute(conn)?;
    diesel::delete(jobs::table.filter(jobs::id.eq_any(&over))).execute(conn)?;
    Ok(())
}

/// The table of labels is sorted by label, so a job's are found by what they say.
fn unlabelled(
    conn: &mut SqliteConnection,
    job: i64,
    labels: BTreeMap<String, String>,
) -> Result<(), StoreError> {
    for label in labels {
        let row = job_labels::table.find((label.0, label.1, job));
        diesel::delete(row).execute(conn)?;
    }
    Ok(())
}

fn disagreement(event: &Event) -> String {
    let from = event.from.map_or("", StateWord::word);
    format!("job {} is not {from} or holds nothing ({})", event.job, event.cause)
}

#[diesel::dsl::auto_type(no_type_alias)]
fn in_state<'a>(event: &'a Event) -> _ {
    let from: &'a str = event.from.map_or("", StateWord::word);
    let id: i64 = event.job.0;
    jobs::id.eq(id).and(jobs::state.eq(from))
}

/// `NOT released` as text, not as a parameter: a parameter that decides whether the partial index
/// may be used makes SQLite prepare the statement anew at each run.
#[diesel::dsl::auto_type(no_type_alias)]
fn unreleased(event: &Event) -> _ {
    let job: i64 = event.job.0;
    let attempt: i32 = event.attempt as i32;
    resource_allocations::job_id
        .eq(job)
        .and(resource_allocations::attempt.eq(attempt))
        .and(not(resource_allocations::released))
}
