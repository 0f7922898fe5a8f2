//! *Purpose*: what a new server has to know, read once at boot.
//!
//! *Owns*: the queries behind [`PersistedState`] and the keys of live attempts.
//!
//! *Promises*: everything is of one commit.
//!
//! *Not here*: what becomes of live attempts (`actors::recovery`).

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;

use diesel::connection::DefaultLoadingMode;
use diesel::dsl::{not, sql};
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::arrays;
use super::dependencies;
use super::signals::signals;
use super::{Conn, dialect};
use crate::job::array_spec::TaskSet;
use crate::job::dependency::{DependencyKind, Told};
use crate::job::ids::{Attempt, CommitNo, EventId, JobId, Uid};
use crate::job::outcome::Handle;
use crate::job::request::MEMORY;
use crate::job::state::StateWord;
use crate::kernel::parts::accounts::{ACCOUNTS_KEPT, Accounts};
use crate::kernel::parts::arrays::ArrayProgress;
use crate::kernel::parts::conditions::Conditions;
use crate::kernel::parts::maintenance::Maintenance;
use crate::kernel::parts::queued::Queued;
use crate::kernel::parts::retries::{RetryProgress, RetryState};
use crate::kernel::parts::rules::Rules;
use crate::kernel::restore::{PersistedAttempt, PersistedState};
use crate::resources::allocation::{Held, Share};
use crate::store::arrays::OpenPart;
use crate::store::cell::{Cell, RowRef};
use crate::store::error::StoreError;
use crate::store::load::{AttemptKey, Loaded};
use crate::store::record::{AllocationRecord, JobRecord};
use crate::store::rows::{AllocationRow, JobRow, RestRow, UsualRow, get};
use crate::store::schema::{
    account_usage, events, job_counts, jobs, maintenance, meta, resource_allocations,
};
use crate::time::Time;

/// What boot reads of a job that has not ended: all of it, so that a value that cannot be read is
/// known before anything is started.
#[derive(Queryable, Selectable)]
#[diesel(table_name = jobs)]
struct OpenRow {
    #[diesel(embed)]
    job: JobRow,
    #[diesel(embed)]
    waits: WaitsRow,
}

/// What only boot reads.
#[derive(Default, Queryable, Selectable)]
#[diesel(table_name = jobs)]
struct WaitsRow {
    room_since: Cell,
    told: Cell,
}

/// The columns of [`RestRow`] and of [`WaitsRow`] are all empty. SQLite says so of a million rows
/// sooner than their values are taken out of them one by one.
const MORE: &str = "start_time, end_time, exit_code, error, completing, \
     process_id, user_cpu_us, system_cpu_us, max_rss_bytes, begin_time, deadline, dependency, \
     array_job_id, array_task_id, array_tasks, array_spec, suspend_time, \
     suspended_us, room_since, told";
/// Rows that one thread takes out of SQLite and another one reads, at a time: enough to make little
/// of the way between them, and some 100 KiB.
const PART: usize = 128;
/// Parts that the first may be ahead.
const PARTS_AHEAD: usize = 16;

/// The same, read.
struct OpenJob {
    job: JobRecord,
    /// Since when it has a claim to the room that was made for it.
    room_since: Option<Time>,
    /// What it was told of those that it waits for.
    told: Option<Told>,
}

impl TryFrom<OpenRow> for OpenJob {
    type Error = StoreError;

    fn try_from(row: OpenRow) -> Result<OpenJob, StoreError> {
        let OpenRow { job, waits } = row;
        let id = job.usual.id;
        let at = RowRef::job(&id);
        let (room_since, told) = (get!(at, waits.room_since), get!(at, waits.told));
        Ok(OpenJob { job: job.try_into()?, room_since, told })
    }
}

/// Jobs that have not ended, of others than the server's own user.
///
/// # Errors
/// What the database says.
pub fn jobs_of_others(conn: &mut Conn, own: Uid) -> Result<i64, StoreError> {
    let open = [StateWord::Pending, StateWord::Running, StateWord::Completing];
    let others = jobs::uid.is_not_null().and(jobs::uid.assume_not_null().ne(i64::from(own.0)));
    let open = jobs::state.eq_any(open.map(StateWord::word));
    Ok(jobs::table.filter(others).filter(open).count().get_result(conn)?)
}

/// The part of an array that a job is.
fn part(job: &JobRecord, live: bool) -> Option<OpenPart> {
    Some(OpenPart {
        job: job.id,
        array: job.array_job_id?,
        task: job.array_task_id,
        left: job.array_tasks.clone(),
        live,
        started: job.start_time.is_some(),
    })
}

/// What a job waits for, without what is known of it.
fn conditions(job: &JobRecord) -> Conditions {
    Conditions {
        held: job.held,
        by_operator: job.held && job.spec.held_by_operator,
        begin: job.begin_time,
        deadline: job.deadline,
        gives_up: job.spec.kill_on_invalid_dependency,
        dependencies: job.dependency.clone().unwrap_or_default(),
        ..Conditions::default()
    }
}

/// What a job goes back into the queue with; while it waits its conditions have the deadline.
fn retry_state(job: &JobRecord, is_live: bool) -> Option<RetryState> {
    let retry = job.spec.retry.clone().map(|policy| RetryProgress { policy, used: job.retries });
    let state = RetryState { retry, deadline: job.deadline.filter(|_| is_live) };
    Some(state).filter(|state| *state != RetryState::default())
}

/// A live attempt, with the CPUs that it holds.
fn attempt(
    job: &JobRecord,
    queued: Queued,
    allocation: &AllocationRecord,
) -> Result<PersistedAttempt, StoreError> {
    let at = RowRef::job(&job.id);
    // Both are said in one statement, and taken back in one.
    let handle = match (job.start_time, job.process_id) {
        (Some(start_time), Some(pid)) => Some(Handle { pid, start_time }),
        (None, None) => None,
        (Some(_), None) => return Err(at.damaged("process_id", &Cell::Null, "a process id")),
        (None, Some(_)) => return Err(at.damaged("start_time", &Cell::Null, "a time")),
    };
    if (job.state == StateWord::Completing) != job.completing.is_some() {
        let found = job.completing.map_or(Cell::Null, |why| Cell::Text(why.word().to_owned()));
        return Err(at.damaged("completing", &found, "why a job in this state is being ended"));
    }
    if allocation.cpus.len() != allocation.allocated_cpus as usize {
        let at = RowRef { table: "resource_allocations", what: "allocation", id: &allocation.id };
        let found = Cell::Int(i64::from(allocation.allocated_cpus));
        return Err(at.damaged("allocated_cpus", &found, "how many CPUs its cpu_ids name"));
    }
    Ok(PersistedAttempt {
        job: queued,
        rest: held(job, allocation),
        cpus: allocation.cpus.clone(),
        granted: allocation.allocation_time,
        handle,
        completing: job.completing,
        suspension: job.suspension,
        signals: Vec::new(),
    })
}

/// Reads it, for a server with these rules.
///
/// # Errors
/// What the database says.
pub fn load(conn: &mut Conn, rules: Rules) -> Result<Loaded, StoreError> {
    conn.transaction(|conn| {
        let Numbers { commit_no, next_job, next_event, .. } = numbers(conn)?;
        no_unknown_state(conn)?;
        let mut memory = PersistedState {
            next_job: next_job.0,
            next_event: next_event.0,
            rules,
            ended: ended(conn)?,
            ..PersistedState::default()
        };
        remember_usage(conn, &mut memory.rules.accounts)?;
        let (told, mut parts, singletons) = remember_pending(conn, &mut memory)?;
        let mut live = Vec::new();
        for state in [StateWord::Running, StateWord::Completing] {
            in_state(conn, state, |row| live.push(row.job))?;
        }
        parts.extend(live.iter().filter_map(|job| part(job, true)));
        memory.arrays = arrays::open(conn, &parts)?;
        let keys = remember_live(conn, &mut memory, &live)?;
        memory.maintenance = maintained(conn)?;
        for (job, conditions) in &mut memory.conditions {
            let told = told.get(job).cloned().unwrap_or_default();
            dependencies::remember(conn, conditions, &told)?;
            if conditions.dependencies.follows() {
                memory.followed.push((*job, followed(conn, conditions, &told)?));
            }
        }
        memory.singletons = dependencies::families(conn, &singletons)?;
        let last = events::table.order(events::id.desc()).select((events::id, events::time));
        let last_commit = match last.first::<(i64, Cell)>(conn).optional()? {
            None => None,
            Some((id, time)) => {
                let at = RowRef { table: "events", what: "event", id: &id };
                Some(at.read("time", time)?)
            }
        };
        Ok(Loaded { memory, commit_no, last_commit, keys })
    })
}

/// The numbers that go on.
pub(super) struct Numbers {
    pub commit_no: CommitNo,
    pub epoch: i64,
    pub next_job: JobId,
    pub next_event: EventId,
}

/// Reads them.
///
/// # Errors
/// What the database says.
pub(super) fn numbers(conn: &mut Conn) -> Result<Numbers, StoreError> {
    let columns = (meta::commit_no, meta::epoch, meta::next_job_id, meta::next_event_id);
    let (commit_no, epoch, next_job, next_event) =
        meta::table.select(columns).first::<(Cell, Cell, Cell, Cell)>(conn)?;
    let at = RowRef::meta();
    Ok(Numbers {
        commit_no: CommitNo(at.read("commit_no", commit_no)?),
        epoch: at.read("epoch", epoch)?,
        next_job: at.read("next_job_id", next_job)?,
        next_event: at.read("next_event_id", next_event)?,
    })
}

/// A job in a state that is none would be in no queue, in no count and in no list by state. The
/// index of states is asked for what stands between the words, so history is not read.
///
/// # Errors
/// When there is such a job, or what the database says.
pub(super) fn no_unknown_state(conn: &mut Conn) -> Result<(), StoreError> {
    let mut words: Vec<&str> = StateWord::ALL.iter().map(|state| state.word()).collect();
    words.sort_unstable();
    let known = |found: QueryResult<(i64, Cell)>| match found.optional()? {
        Some((id, state)) => RowRef::job(&id).read::<StateWord>("state", state).map(|_| ()),
        None => Ok(()),
    };
    let columns = (jobs::id, jobs::state);
    if let (Some(first), Some(last)) = (words.first(), words.last()) {
        let before = jobs::table.filter(jobs::state.lt(first));
        known(before.select(columns).get_result(conn))?;
        let behind = jobs::table.filter(jobs::state.gt(last));
        known(behind.select(columns).get_result(conn))?;
    }
    for (one, next) in words.iter().zip(words.iter().skip(1)) {
        let between = jobs::table.filter(jobs::state.gt(one).and(jobs::state.lt(next)));
        known(between.select(columns).get_result(conn))?;
    }
    Ok(())
}

/// What each pending job was told, the parts of arrays among them, and the singletons.
type Pending = (BTreeMap<JobId, Told>, Vec<OpenPart>, Vec<i64>);

fn remember_pending(conn: &mut Conn, memory: &mut PersistedState) -> Result<Pending, StoreError> {
    let (mut told, mut parts, mut singletons) = Pending::default();
    waiting(conn, |row| {
        let job = &row.job;
        let conditions = conditions(job);
        told.extend(row.told.map(|answers| (job.id, answers)));
        if conditions.dependencies.singleton {
            singletons.push(job.id.0);
        }
        if !conditions.is_empty() {
            memory.conditions.push((job.id, conditions));
        }
        memory.claims.extend(row.room_since.map(|time| (time, job.id)));
        memory.retries.extend(retry_state(job, false).map(|state| (job.id, state)));
        parts.extend(part(job, false));
        let job = queued(job, memory);
        memory.pending.push(job);
    })?;
    memory.pending.sort_by_key(|job| job.id);
    Ok((told, parts, singletons))
}

/// The attempts that hold CPUs, and their keys.
fn remember_live(
    conn: &mut Conn,
    memory: &mut PersistedState,
    live: &[JobRecord],
) -> Result<Vec<AttemptKey>, StoreError> {
    let rows: Vec<AllocationRow> = resource_allocations::table
        .filter(not(resource_allocations::released))
        .select(AllocationRow::as_select())
        .load(conn)?;
    let mut allocations = BTreeMap::new();
    for row in rows {
        let allocation = AllocationRecord::try_from(row)?;
        allocations.insert(allocation.attempt.job, allocation);
    }
    let mut keys = Vec::with_capacity(live.len());
    for job in live {
        let Some(allocation) = allocations.get(&job.id) else {
            return Err(StoreError::Disagrees(format!("job {} lives without CPUs", job.id)));
        };
        let queued = queued(job, memory);
        memory.retries.extend(retry_state(job, true).map(|state| (job.id, state)));
        let (nonce, boot_id) = (allocation.nonce.as_str(), allocation.boot_id.as_str());
        keys.push((Attempt { job: job.id, n: job.attempt }, nonce.into(), boot_id.into()));
        let known = Attempt { job: job.id, n: job.attempt };
        let signals = signals(conn, known, EventId(0))?;
        let signals = signals.into_iter().map(|signal| signal.no).collect();
        memory.live.push(PersistedAttempt { signals, ..attempt(job, queued, allocation)? });
    }
    Ok(keys)
}

/// The times in which no job may run.
fn maintained(conn: &mut Conn) -> Result<Vec<Maintenance>, StoreError> {
    type Window = (i64, Cell, Cell, Cell, Cell);
    let windows: Vec<Window> = maintenance::table.order(maintenance::id).load(conn)?;
    let each = windows.into_iter().map(|(id, start, end, reason, principal)| {
        let at = RowRef { table: "maintenance", what: "window", id: &id };
        Ok(Maintenance {
            id,
            start: at.read("start_time", start)?,
            end: at.read("end_time", end)?,
            reason: at.read::<String>("reason", reason)?.into(),
            principal: at.read::<String>("principal", principal)?.into(),
        })
    });
    each.collect()
}

/// The arrays that the tasks of one follow. Of one that was forgotten, only what was told counts.
fn followed(
    conn: &mut Conn,
    conditions: &Conditions,
    told: &Told,
) -> Result<Vec<(JobId, ArrayProgress)>, StoreError> {
    let mut followed = Vec::new();
    let list = conditions.dependencies.list.iter();
    for one in list.filter(|one| one.relation == DependencyKind::AfterCorr) {
        let mut partner = arrays::partner(conn, one.job)?.unwrap_or_default();
        for task in told.done.get(&one.job).into_iter().flat_map(TaskSet::iter) {
            partner.completed.insert(task);
        }
        followed.push((one.job, partner));
    }
    Ok(followed)
}

/// Row by row, since a million may wait: in the order of the index, which is that of the ids.
fn in_state(
    conn: &mut Conn,
    state: StateWord,
    mut take: impl FnMut(OpenJob),
) -> Result<(), StoreError> {
    let query = jobs::table.filter(jobs::state.eq(state.word())).select(OpenRow::as_select());
    for row in query.load_iter::<OpenRow, DefaultLoadingMode>(conn)? {
        take(row?.try_into()?);
    }
    Ok(())
}

/// Those that wait. Of those that have nothing beside what every job has no more is read; they come
/// first, and the others are looked for only if there are any.
fn waiting(conn: &mut Conn, mut take: impl FnMut(OpenJob)) -> Result<(), StoreError> {
    let pending = jobs::table.filter(jobs::state.eq(StateWord::Pending.word()));
    let mut left: i64 = pending.count().get_result(conn)?;
    thread::scope(|scope| {
        let (sender, parts) = mpsc::sync_channel(PARTS_AHEAD);
        let rows = scope.spawn(|| usual_rows(conn, sender));
        for usual in parts.into_iter().flatten() {
            let job = JobRow { usual, rest: RestRow::default() };
            take(OpenRow { job, waits: WaitsRow::default() }.try_into()?);
            left -= 1;
        }
        rows.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    if left > 0 {
        let others = pending
            .filter(not(sql::<Bool>(&dialect::nothing_in(MORE))))
            .select(OpenRow::as_select());
        for row in others.load_iter::<OpenRow, DefaultLoadingMode>(conn)? {
            take(row?.try_into()?);
        }
    }
    Ok(())
}

/// Takes the usual ones out of the database, some at a time, until nobody wants any more.
fn usual_rows(conn: &mut Conn, parts: mpsc::SyncSender<Vec<UsualRow>>) -> Result<(), StoreError> {
    let pending = jobs::table.filter(jobs::state.eq(StateWord::Pending.word()));
    let usual = pending.filter(sql::<Bool>(&dialect::nothing_in(MORE))).order(jobs::id.asc());
    let usual = usual.select(UsualRow::as_select());
    // Fused: asked once more after the last row, SQLite begins again.
    let mut rows = usual.load_iter::<UsualRow, dialect::RowByRow>(conn)?.fuse();
    loop {
        let part: Vec<UsualRow> = rows.by_ref().take(PART).collect::<QueryResult<_>>()?;
        if part.is_empty() || parts.send(part).is_err() {
            return Ok(());
        }
    }
}

fn queued(job: &JobRecord, memory: &mut PersistedState) -> Queued {
    let PersistedState { rules, names, requests, .. } = memory;
    // It is not known yet who has jobs.
    let seat = rules.certain_seat((&job.partition, &job.account, job.counted_user()));
    seat.of(Queued {
        rest: requests.number(&job.beside_cpus()),
        names: names.number(job.listed_partitions(), &job.account, job.counted_user()),
        ..job.queued()
    })
}

/// What it holds beside CPUs.
fn held(job: &JobRecord, allocation: &AllocationRecord) -> Vec<Share> {
    let memory = job.memory_bytes.filter(|bytes| *bytes > 0);
    let memory = memory.map(|bytes| Share { resource: MEMORY.into(), held: Held::Amount(bytes) });
    allocation.rest.iter().cloned().chain(memory).collect()
}

/// What accounts had used: of too many, those that were charged last.
fn remember_usage(conn: &mut Conn, accounts: &mut Accounts) -> Result<(), StoreError> {
    let rows = account_usage::table.order(account_usage::as_of.desc()).limit(ACCOUNTS_KEPT as i64);
    for (name, cpu_us, as_of) in rows.load::<(String, Cell, Cell)>(conn)? {
        let at = RowRef { table: "account_usage", what: "account", id: &name };
        accounts.remember(&name, at.read("cpu_us", cpu_us)?, at.read("as_of", as_of)?);
    }
    Ok(())
}

/// Ended jobs by final state, as each commit counts them: history is not read.
pub(super) fn ended(conn: &mut Conn) -> Result<BTreeMap<StateWord, u64>, StoreError> {
    let mut ended = BTreeMap::new();
    for (word, n) in job_counts::table.load::<(String, Cell)>(conn)? {
        let at = RowRef { table: "job_counts", what: "count of", id: &word };
        let state: StateWord = at.read("state", Cell::Text(word.clone()))?;
        ended.insert(state, at.read("n", n)?);
    }
    ended.retain(|_, n| *n > 0);
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use diesel::debug_query;

    use super::super::Db;
    use super::*;

    #[test]
    fn no_column_is_left_out_unasked() {
        let columns = jobs::table.select((RestRow::as_select(), WaitsRow::as_select()));
        let select = debug_query::<Db, _>(&columns).to_string().replace(['`', '"'], "");
        let left_out: Vec<&str> = select
            .split("jobs.")
            .skip(1)
            .filter_map(|rest| rest.split([',', ' ']).next())
            .collect();
        let asked: Vec<&str> = MORE.split(", ").collect();
        assert_eq!(left_out, asked);
        assert!(!asked.is_empty());
    }
}
