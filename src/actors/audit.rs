//! *Purpose*: compares what three witnesses say about "now".
//!
//! *Owns*: the comparison of ledger (snapshot), database (books) and processes.
//!
//! *Promises*: snapshot and books of the same commit are compared, never of neighbours; it
//! finds, it does not mend.
//!
//! *Not here*: when it runs and who is told (`actors::recovery`).

use std::collections::{BTreeMap, BTreeSet};

use crate::kernel::ids::{CommitNo, JobId};
use crate::kernel::job::StateWord;
use crate::kernel::time::Time;
use crate::kernel::view::Snapshot;
use crate::store::read::Books;

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// When.
    pub checked_at: Time,
    /// At which commit.
    pub commit_no: CommitNo,
    /// Every disagreement, a sentence each.
    pub drift: Vec<Drift>,
}

/// A disagreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// Which promise is broken, a short word.
    pub kind: &'static str,
    /// The job in question, if there is one.
    pub job: Option<JobId>,
    /// What disagrees, for a person.
    pub detail: String,
}

/// Living processes by job, as the engine sees them.
pub type Processes = BTreeMap<JobId, Vec<i32>>;

/// Compares the three. `books` and `now` are of the same commit; `strangers` are processes of
/// attempts that are not live, seen before and after.
#[must_use]
pub fn compare(now: &Snapshot, books: &Books, strangers: &Processes) -> Vec<Drift> {
    let mut drift = Vec::new();
    let mut say = |kind, job: Option<JobId>, detail: String| {
        drift.push(Drift { kind, job, detail });
    };
    let ledger: BTreeMap<i32, i64> =
        now.cpus.iter().filter_map(|(cpu, job)| Some((cpu.0 as i32, (*job)?.0))).collect();
    let held: BTreeMap<i32, i64> = books.held.iter().copied().collect();
    for (cpu, job) in held.iter().filter(|(cpu, job)| ledger.get(cpu) != Some(job)) {
        let detail = format!("the database gives CPU {cpu} to job {job}, the ledger does not");
        say("ledger_vs_held_cpus", Some(JobId(*job)), detail);
    }
    for (cpu, job) in ledger.iter().filter(|(cpu, job)| held.get(cpu) != Some(job)) {
        let detail = format!("the ledger gives CPU {cpu} to job {job}, the database does not");
        say("ledger_vs_held_cpus", Some(JobId(*job)), detail);
    }
    for (row, state) in &books.unreleased {
        if !matches!(state.as_str(), "RUNNING" | "COMPLETING") {
            let detail = format!("a {state} job holds {} CPUs", row.allocated_cpus);
            say("ended_job_holds_cpus", Some(JobId(row.job_id)), detail);
        }
        for cpu in row.cpus() {
            if held.get(&(cpu.0 as i32)) != Some(&row.job_id) {
                let detail = format!("its allocation names CPU {cpu}, held_cpus does not");
                say("allocation_vs_held_cpus", Some(JobId(row.job_id)), detail);
            }
        }
    }
    let holders: BTreeSet<i64> = books.unreleased.iter().map(|(row, _)| row.job_id).collect();
    for job in books.live.iter().filter(|job| !holders.contains(job)) {
        say("live_job_holds_nothing", Some(JobId(*job)), "it is live without CPUs".to_owned());
    }
    let live = now.count(StateWord::Running) + now.count(StateWord::Completing);
    if live != books.live.len() as u64 {
        say("live_count", None, format!("{live} live in memory, {} on disk", books.live.len()));
    }
    if now.pending != books.pending as u64 {
        let detail = format!("{} pending in memory, {} on disk", now.pending, books.pending);
        say("pending_count", None, detail);
    }
    for (job, pids) in strangers {
        let detail = format!("processes {pids:?} live though the job holds no CPUs");
        say("process_without_cpus", Some(*job), detail);
    }
    drift
}
