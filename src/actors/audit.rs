//! *Purpose*: compares what three witnesses say about "now", and says what is to be done.
//!
//! *Owns*: the comparison of ledger (snapshot), database and processes.
//!
//! *Promises*: snapshot and database of the same commit are compared, never of neighbours. It fails
//! closed: the ledger is believed about live attempts, the database is believed that a job is
//! over only where no process of it lives, and every CPU in between is doubted.
//!
//! *Not here*: when it runs and who is told (`actors::recovery`), the mending
//! (`kernel::commands::repair`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::job::ids::{CommitNo, JobId, UnitId};
use crate::job::request::CPU;
use crate::job::state::StateWord;
use crate::kernel::commands::repair::Findings;
use crate::kernel::views::snapshot::Snapshot;
use crate::store::read::{DbSnapshot, PENDING_COUNTED_MAX};
use crate::text::cpu_list;
use crate::time::Time;

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// When.
    pub checked_at: Time,
    /// At which commit.
    pub commit_no: CommitNo,
    /// Every disagreement, a sentence each.
    pub drift: Vec<Drift>,
    /// What former sweeps found and acted upon, newest first.
    pub history: Vec<(Time, Drift)>,
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
    /// What the sweep does about it.
    pub remedy: Remedy,
}

/// What is done about a disagreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The CPUs are provably free: the database gives them back.
    Reclaimed,
    /// The ledger is right: the database is told again.
    Restored,
    /// Nobody knows: the CPUs are not handed out while that is so.
    HeldBack,
    /// A person is told.
    Reported,
}

impl Remedy {
    /// The word in `/audit`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Remedy::Reclaimed => "reclaimed",
            Remedy::Restored => "restored",
            Remedy::HeldBack => "held_back",
            Remedy::Reported => "reported",
        }
    }
}

/// Living processes of a job that holds no CPUs, and the CPUs its allocations once named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strangers {
    /// The processes.
    pub pids: Vec<i32>,
    /// The units that they may be using.
    pub units: BTreeSet<Unit>,
}

/// A unit of a resource.
pub type Unit = (Arc<str>, UnitId);

/// The units of a job, by each witness.
#[derive(Default)]
struct Claims {
    ledger: BTreeSet<Unit>,
    held: BTreeSet<Unit>,
    allocation: BTreeSet<Unit>,
}

/// Compares the three. `db` and `now` are of the same commit; `strangers` were seen before
/// and after.
#[must_use]
pub fn compare(
    now: &Snapshot,
    db: &DbSnapshot,
    strangers: &BTreeMap<JobId, Strangers>,
) -> (Vec<Drift>, Findings) {
    let mut audit = Audit::default();
    let live: BTreeSet<JobId> = db.live.iter().copied().collect();
    let claims = claims(now, db);
    for (job, of) in &claims {
        match (of.ledger.is_empty(), strangers.get(job)) {
            (false, _) => audit.live(*job, of, live.contains(job)),
            (true, None) if live.contains(job) => audit.unknown(*job, of),
            (true, None) => audit.orphan(*job, of),
            (true, Some(_)) => audit.not_over(*job, of),
        }
    }
    for (job, them) in strangers {
        audit.strangers(*job, them);
    }
    for job in live.iter().filter(|job| !claims.contains_key(job)) {
        audit.report("live_job_holds_nothing", Some(*job), "it is live without CPUs".to_owned());
    }
    let in_memory = now.count(StateWord::Running) + now.count(StateWord::Completing);
    if in_memory != live.len() as u64 {
        let detail = format!("{in_memory} live in memory, {} in the database", live.len());
        audit.report("live_count", None, detail);
    }
    if now.pending.min(PENDING_COUNTED_MAX) != db.pending {
        let detail = format!("{} pending in memory, {} in the database", now.pending, db.pending);
        audit.report("pending_count", None, detail);
    }
    (audit.drift, audit.findings)
}

fn claims(now: &Snapshot, db: &DbSnapshot) -> BTreeMap<JobId, Claims> {
    let mut claims: BTreeMap<JobId, Claims> = BTreeMap::new();
    let cpu: Arc<str> = CPU.into();
    for (unit, job) in now.cpus.iter().filter_map(|(unit, job)| Some((*unit, (*job)?))) {
        claims.entry(job).or_default().ledger.insert((Arc::clone(&cpu), unit));
    }
    for one in &now.others {
        for (unit, by) in one.units.iter().filter_map(|unit| Some((unit.unit, unit.holder?))) {
            claims.entry(by.job).or_default().ledger.insert((Arc::clone(&one.name), unit));
        }
    }
    for (resource, unit, job) in &db.held {
        claims.entry(*job).or_default().held.insert((Arc::clone(resource), *unit));
    }
    for row in &db.unreleased {
        claims.entry(row.attempt.job).or_default().allocation.extend(row.units());
    }
    claims
}

#[derive(Default)]
struct Audit {
    drift: Vec<Drift>,
    findings: Findings,
}

impl Audit {
    fn say(&mut self, kind: &'static str, job: Option<JobId>, detail: String, remedy: Remedy) {
        self.drift.push(Drift { kind, job, detail, remedy });
    }

    fn report(&mut self, kind: &'static str, job: Option<JobId>, detail: String) {
        self.say(kind, job, detail, Remedy::Reported);
    }

    /// A job of the ledger: the database must say the same, and is told again if it does not.
    fn live(&mut self, job: JobId, of: &Claims, live: bool) {
        if !live {
            let detail = "the ledger has it as live, the database does not".to_owned();
            return self.report("live_in_memory_only", Some(job), detail);
        }
        let mut wrong = Vec::new();
        if of.held != of.ledger {
            wrong.push(("ledger_vs_held_cpus", "held_units", &of.held));
        }
        if of.allocation != of.ledger {
            wrong.push(("ledger_vs_allocation", "its unreleased allocation", &of.allocation));
        }
        for (kind, who, theirs) in &wrong {
            let detail =
                format!("the ledger gives it {}, {who} has {}", named(&of.ledger), named(theirs));
            self.say(kind, Some(job), detail, Remedy::Restored);
        }
        if !wrong.is_empty() {
            self.findings.forgotten.push(job);
        }
    }

    /// The database has it as live, the ledger does not: the next start would take it up.
    fn unknown(&mut self, job: JobId, of: &Claims) {
        let units = both(of);
        let detail = format!("live in the database on {}, unknown to the ledger", named(&units));
        self.say("live_on_disk_only", Some(job), detail, Remedy::HeldBack);
        self.findings.doubted.extend(units);
    }

    /// Over, and nothing of it lives: what it holds is free.
    fn orphan(&mut self, job: JobId, of: &Claims) {
        let units = both(of);
        let detail = format!("is not live and holds {} in the database", named(&units));
        self.say("ended_job_holds_cpus", Some(job), detail, Remedy::Reclaimed);
        self.findings.orphans.insert(job, units.into_iter().collect());
    }

    /// It holds CPUs only in the database, and something of it lives.
    fn not_over(&mut self, job: JobId, of: &Claims) {
        let units = both(of);
        let detail = format!("lives, and holds {} only in the database", named(&units));
        self.say("ended_job_holds_cpus", Some(job), detail, Remedy::HeldBack);
        self.findings.doubted.extend(units);
    }

    fn strangers(&mut self, job: JobId, them: &Strangers) {
        let remedy = if them.units.is_empty() { Remedy::Reported } else { Remedy::HeldBack };
        let detail = format!(
            "processes {:?} live on {} though the job holds no CPUs",
            them.pids,
            named(&them.units)
        );
        self.say("process_without_cpus", Some(job), detail, remedy);
        self.findings.doubted.extend(them.units.iter().cloned());
    }
}

fn both(of: &Claims) -> BTreeSet<Unit> {
    of.held.union(&of.allocation).cloned().collect()
}

fn named(units: &BTreeSet<Unit>) -> String {
    cpu_list::units(units.iter().map(|(name, unit)| (&**name, unit.0)))
}

#[cfg(test)]
mod tests;
