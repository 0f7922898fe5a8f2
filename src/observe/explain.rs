//! *Purpose*: why a job waits, in the field's word and a plain sentence, and when it may start.
//!
//! *Owns*: the reasons of PENDING jobs.
//!
//! *Promises*: a pending job always has a reason.
//!
//! *Not here*: who may start and when (`policy`), conditions (`kernel::parts::conditions`).

use std::collections::HashMap;

use super::missing::{Asked, Here, amount_of, counted, missing, unavailable};
use super::openings::FORETOLD_S_MAX;
use crate::clock::rfc3339;
use crate::job::ids::JobId;
use crate::job::request::{MEMORY, split};
use crate::kernel::parts::accounts::Account;
use crate::kernel::parts::conditions::Blocked;
use crate::kernel::parts::limits::Payer;
use crate::kernel::parts::maintenance::Maintenance;
use crate::kernel::views::explain::Explained;
use crate::kernel::views::partitions::PartitionNow;
use crate::kernel::views::snapshot::Snapshot;
use crate::policy::forecast::{Forecast, ForecastReason, forecast};
use crate::policy::input::{Barred, PassInput, QuotaOf, Window};
use crate::policy::name::Policy;
use crate::resources::partitions::Allows;
use crate::time::{SECOND_US, Time};

/// The word for a job that nothing keeps.
pub const STARTS: &str = "None";

/// Why a job waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Why {
    /// Slurm's word.
    pub word: &'static str,
    /// A plain sentence.
    pub sentence: String,
    /// Its place in the line, from 1.
    pub position: Option<usize>,
    /// When it is expected to start.
    pub start: Option<Time>,
    /// What that rests on, or why nobody can say.
    pub basis: Option<String>,
}

/// What is known of everybody who waits.
#[derive(Clone, Debug, Default)]
pub struct Reasons {
    explained: Explained,
    foretold: HashMap<JobId, Forecast>,
}

impl Reasons {
    /// What follows from how things stand.
    #[must_use]
    pub fn new(policy: Policy, explained: Explained) -> Reasons {
        let foretold = forecast(policy, &explained.line);
        Reasons { explained, foretold }
    }

    fn partition_of(&self, job: JobId) -> Option<&PartitionNow> {
        let place = self.explained.placements.get(&job)?;
        self.explained.partitions.get(usize::from(*place))
    }

    /// Why this job waits, which asks for this.
    #[must_use]
    pub fn why(&self, job: JobId, asked: Asked<'_>, now: &Snapshot) -> Why {
        let Explained { accounts, users, .. } = &self.explained;
        let now = &Here::of(self.partition_of(job), now, (accounts, users));
        let foretold = self.foretold.get(&job);
        let (word, sentence) = match (self.explained.blocked.get(&job), foretold) {
            (Some(blocked), _) => blocked_reason(job, blocked),
            (None, Some(foretold)) => {
                let (word, sentence) =
                    turn_reason(foretold.verdict, job, asked, (now, &self.explained.line));
                let claims = self.explained.line.claims.iter().any(|claim| claim.job == job);
                let room = if claims { "; room is being made for it" } else { "" };
                (word, format!("{sentence}{room}"))
            }
            (None, None) => unavailable(asked, now).unwrap_or_else(|| {
                let first = self.explained.line.queue.first().map_or(job, |first| first.job);
                turn_reason(
                    ForecastReason::Priority(first),
                    job,
                    asked,
                    (now, &self.explained.line),
                )
            }),
        };
        let mut why = Why { word, sentence, ..Why::default() };
        why.position = foretold.map(|f| f.position).or(self.explained.position);
        if let Some(foretold) = foretold {
            let horizon = self.explained.line.now.saturating_add(FORETOLD_S_MAX * SECOND_US);
            why.start = foretold.start.filter(|at| *at < horizon).map(Time);
            why.basis = Some(match (foretold.start, why.start) {
                (_, Some(_)) => "if all before it run as long as their limits".to_owned(),
                (Some(_), None) => "a job that it waits for has no time limit".to_owned(),
                (None, None) => "it is too far behind, or kept by a limit".to_owned(),
            });
        }
        why
    }
}

fn listed(jobs: &[JobId]) -> String {
    match jobs {
        [] => "others".to_owned(),
        [one] => format!("job {one}"),
        [one, two] => format!("jobs {one} and {two}"),
        [first, second, rest @ ..] => {
            format!("jobs {first}, {second} and {} more", rest.len())
        }
    }
}

/// Why a job waits that is run again by itself: which attempt of how many ended how, and when the
/// next may begin.
#[must_use]
pub fn retries(
    (attempt, of): (u32, u32),
    (state, exit_code): (&str, Option<&str>),
    at: Time,
) -> String {
    let how = match exit_code {
        Some(code) if state == "FAILED" => format!("with {code}"),
        _ => format!("as {state}"),
    };
    format!("attempt {attempt} of {of} ended {how}; tries again at {}", rfc3339(at))
}

/// Why a job waits whose owner nobody could name when its turn came.
#[must_use]
pub fn user_unknown(user: &str, why: &str, at: Time) -> String {
    format!("nobody could say who {user} is ({why}); tries again at {}", rfc3339(at))
}

fn blocked_reason(job: JobId, blocked: &Blocked) -> (&'static str, String) {
    match blocked {
        Blocked::Held => ("JobHeldUser", format!("is held; `downbeat release {job}` lets it go")),
        Blocked::HeldByOperator => {
            ("JobHeldAdmin", "is held by an operator, who alone can release it".to_owned())
        }
        Blocked::BeginTime(time) => {
            let time = rfc3339(*time);
            ("BeginTime", format!("may not start before {time}"))
        }
        Blocked::Dependency(others) => ("Dependency", format!("waits for {}", listed(others))),
        Blocked::TaskLimit(limit) => (
            "JobArrayTaskLimit",
            format!("as many tasks of its array run as may at a time, {limit}"),
        ),
        Blocked::NeverTasks(tasks, others) => (
            "DependencyNeverSatisfied",
            format!(
                "{tasks} tasks follow tasks of {} that did not complete or do not exist, so they \
                 can never start; `downbeat cancel {job}`",
                listed(others)
            ),
        ),
        Blocked::PartitionDown => (
            "PartitionDown",
            "its partition is down; it starts once whoever runs this server sets it up again"
                .to_owned(),
        ),
        Blocked::PartitionGone => (
            "PartitionConfig",
            format!(
                "its partition is no longer one of this server; put it back into downbeat.toml \
                 and send the server SIGHUP, or `downbeat cancel {job}`"
            ),
        ),
        Blocked::PartitionAllows(allows) => partition_reason(job, allows),
        Blocked::Never(others) => (
            "DependencyNeverSatisfied",
            format!(
                "{} did not end as it asked for, so it can never start; `downbeat cancel {job}`",
                listed(others)
            ),
        ),
    }
}

/// Somebody lowered what the partition allows while the job waited.
fn partition_reason(job: JobId, allows: &Allows) -> (&'static str, String) {
    let (word, most) = match allows {
        Allows::Cpus(max) => ("PartitionNodeLimit", counted(*max)),
        Allows::Resource(name, max) if &**name == MEMORY => {
            ("MaxMemPerLimit", amount_of(name, *max))
        }
        Allows::Resource(name, max) => ("PartitionConfig", amount_of(name, *max)),
        Allows::Seconds(max) => ("PartitionTimeLimit", format!("a time limit of {max} s")),
    };
    let way_out = match allows {
        Allows::Seconds(max) => format!("`downbeat update --time {max}s {job}` shortens it"),
        Allows::Cpus(_) | Allows::Resource(..) => {
            format!("submit it with less, `downbeat cancel {job}`")
        }
    };
    (word, format!("asks for more than its partition now allows one job, {most}; {way_out}"))
}

fn turn_reason(
    verdict: ForecastReason,
    job: JobId,
    asked: Asked<'_>,
    (now, line): (&Here<'_>, &PassInput),
) -> (&'static str, String) {
    let next = || match (missing(now, asked), line.claims.iter().find(|claim| claim.job != job)) {
        (Some((word, short)), _) => (word, format!("is next; {short}")),
        (None, Some(claim)) if verdict != ForecastReason::Starts => {
            let free = "all that it needs is free, and kept for";
            ("Resources", format!("is next; {free} job {}, which room is made for", claim.job))
        }
        // As Slurm says of a job that nothing keeps.
        (None, _) => {
            (STARTS, "is next; all that it needs is free, so it starts at once".to_owned())
        }
    };
    match verdict {
        ForecastReason::Starts | ForecastReason::Resources => next(),
        ForecastReason::Priority(first) if first == job => next(),
        ForecastReason::Priority(first) => (
            "Priority",
            format!(
                "job {first} is first in the queue; this one may start earlier only where it \
                 does not delay it"
            ),
        ),
        ForecastReason::Barred(Barred::TooLarge) => unavailable(asked, now).unwrap_or_else(next),
        ForecastReason::Barred(Barred::Quota(QuotaOf::Account(at))) => {
            let account = now.accounts.get(at as usize);
            limit_reason(account.map(|account| (Payer::Account(&account.name), account)), asked)
        }
        ForecastReason::Barred(Barred::Quota(QuotaOf::User(at))) => {
            let user = now.users.get(at as usize);
            limit_reason(user.map(|user| (Payer::User(&user.name), user)), asked)
        }
        ForecastReason::Barred(Barred::Window(window)) => {
            ("ReqNodeNotAvail", kept_out(window, now.maintenance(window), Time(line.now)))
        }
    }
}

/// What keeps a job out of a window, which may have begun.
fn kept_out(window: Window, of: Option<&Maintenance>, now: Time) -> String {
    let why = of.map(|one| &one.reason).filter(|reason| !reason.is_empty());
    let why = why.map(|reason| format!(" ({reason})")).unwrap_or_default();
    let (from, until) = (Time(window.start), of.and_then(|one| one.end));
    match (from <= now, until) {
        (true, None) => format!(
            "the server is drained{why} since {}; `downbeat resume` lets jobs start again",
            rfc3339(from)
        ),
        (true, Some(until)) => {
            format!("the server is drained{why} from {} until {}", rfc3339(from), rfc3339(until))
        }
        (false, _) => format!(
            "would run into maintenance{why} from {}; a shorter time limit may let it start",
            rfc3339(from)
        ),
    }
}

/// Slurm's words: an account's limits are those of an association, a user's those of a quality of
/// service for each user (squeue(1), JOB REASON CODES).
struct LimitWords {
    cpus: &'static str,
    jobs: &'static str,
    others: &'static str,
}

const OF_ACCOUNT: LimitWords =
    LimitWords { cpus: "AssocGrpCpuLimit", jobs: "AssocGrpJobsLimit", others: "AssocGrpGRES" };
const OF_USER: LimitWords = LimitWords {
    cpus: "QOSMaxCpuPerUserLimit",
    jobs: "QOSMaxJobsPerUserLimit",
    others: "QOSMaxGRESPerUser",
};

fn limit_reason(
    limited: Option<(Payer<'_>, &Account)>,
    (cpus, rest): Asked<'_>,
) -> (&'static str, String) {
    let Some((name, account)) = limited else {
        return (OF_ACCOUNT.cpus, "its account has as much as it may have".to_owned());
    };
    let words = if matches!(name, Payer::User(_)) { OF_USER } else { OF_ACCOUNT };
    let held = account.running_cpus;
    let of_jobs = account.rule.max_running_jobs;
    let jobs_left = of_jobs.is_none_or(|max| account.running_jobs < max);
    let cpus_left = account.rule.max_running_cpus.is_none_or(|max| held + cpus <= max);
    if jobs_left && cpus_left {
        let limits = account.rule.max_running.iter();
        let mut short = limits.filter(|(limit, _)| rest.of(split(limit).0) > 0);
        if let Some((limit, max)) = short.next() {
            let most = amount_of(limit, max);
            return (words.others, format!("{name} may hold {most} at a time, and does"));
        }
    }
    match (of_jobs.filter(|max| account.running_jobs >= *max), account.rule.max_running_cpus) {
        (None, Some(max)) => (
            words.cpus,
            format!("{name} holds {held} of at most {}, this needs {cpus}", counted(max)),
        ),
        (max, _) => {
            let (now, max) = (account.running_jobs, max.or(of_jobs).unwrap_or(0));
            (words.jobs, format!("{name} runs {now} of at most {max} jobs"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::job::request::Request;
    use crate::policy::input::{PendingJob, Running};
    use crate::resources::capacity::Capacity;
    use crate::resources::capacity::RegionSet;

    fn waiting(id: i64, cpus: u32) -> PendingJob {
        PendingJob { job: JobId(id), cpus, request: 60 * SECOND_US, ..PendingJob::default() }
    }

    /// Two of four CPUs are free; the others come back after ten seconds.
    fn reasons(queue: Vec<PendingJob>, blocked: BTreeMap<JobId, Blocked>) -> Reasons {
        let held = Capacity::of(2);
        let line = PassInput {
            now: SECOND_US,
            free: held,
            total: Capacity::of(4),
            running: vec![Running { job: JobId(99), end: 11 * SECOND_US, held }],
            queue,
            ..PassInput::default()
        };
        let position = Some(7);
        Reasons::new(
            Policy::default(),
            Explained { blocked, line, position, ..Explained::default() },
        )
    }

    fn now() -> Snapshot {
        Snapshot { total_cpus: 4, available_cpus: 2, ..Snapshot::default() }
    }

    #[test]
    fn a_waiting_job_always_has_a_reason() {
        let reasons = reasons(vec![waiting(1, 3), waiting(2, 2)], BTreeMap::new());
        let first = reasons.why(JobId(1), (3, &Request::default()), &now());
        assert_eq!((first.word, first.position), ("Resources", Some(1)));
        assert_eq!(first.sentence, "is next; needs 3 CPUs, 2 of 4 are free");
        assert_eq!(first.start, Some(Time(11 * SECOND_US)));
        let second = reasons.why(JobId(2), (2, &Request::default()), &now());
        assert_eq!((second.word, second.position), ("Priority", Some(2)));
        assert!(second.sentence.starts_with("job 1 is first"), "{}", second.sentence);
        assert_eq!(second.start, Some(Time(71 * SECOND_US)), "it would outlast the first's start");
        let far = reasons.why(JobId(8), (1, &Request::default()), &now());
        assert_eq!((far.word, far.position, far.start), ("Priority", Some(7), None));
    }

    #[test]
    fn a_job_whose_needs_are_free_is_not_said_to_lack_any() {
        let reasons = reasons(vec![waiting(1, 2)], BTreeMap::new());
        let why = reasons.why(JobId(1), (2, &Request::default()), &now());
        assert_eq!((why.word, why.position), (STARTS, Some(1)));
        assert_eq!(why.sentence, "is next; all that it needs is free, so it starts at once");
        // What was free a moment ago is said to be as it is now.
        let taken = Snapshot { available_cpus: 0, ..now() };
        let why = reasons.why(JobId(1), (2, &Request::default()), &taken);
        assert_eq!(
            (why.word, &*why.sentence),
            ("Resources", "is next; needs 2 CPUs, 0 of 4 are free")
        );
    }

    #[test]
    fn a_window_that_has_begun_drains_and_one_to_come_may_be_run_ahead_of() {
        let said = |start: i64, end: Option<i64>| {
            let one = Maintenance {
                id: 1,
                start: Time(start * SECOND_US),
                end: end.map(|end| Time(end * SECOND_US)),
                reason: "disks".into(),
                principal: "ann".into(),
            };
            kept_out(one.window(), Some(&one), Time(SECOND_US))
        };
        let now = "1970-01-01T00:00:01.000000Z";
        assert_eq!(
            said(1, None),
            format!(
                "the server is drained (disks) since {now}; `downbeat resume` lets jobs start \
                     again"
            )
        );
        assert_eq!(
            said(1, Some(9)),
            format!("the server is drained (disks) from {now} until 1970-01-01T00:00:09.000000Z")
        );
        assert!(said(2, Some(9)).starts_with("would run into maintenance (disks) from 1970"));
        let unknown = Window { start: 0, end: i64::MAX, regions: RegionSet::ALL };
        assert!(kept_out(unknown, None, Time(1)).starts_with("the server is drained since 1970"));
    }

    #[test]
    fn what_cannot_be_had_is_said() {
        let reasons = reasons(Vec::new(), BTreeMap::new());
        let wide = reasons.why(JobId(2), (8, &Request::default()), &now());
        assert_eq!(wide.word, "PartitionConfig");
        assert!(wide.sentence.starts_with("needs 8 CPUs, this server now has 4"));
        let doubted = Snapshot { held_back: vec![crate::job::ids::CpuId(0)], ..now() };
        let doubted = reasons.why(JobId(1), (4, &Request::default()), &doubted);
        assert_eq!(doubted.word, "ReqNodeNotAvail");
        assert!(doubted.sentence.starts_with("needs 4 CPUs, 1 of 4 are held back"));
    }

    #[test]
    fn whoever_waits_for_memory_reads_so() {
        let now =
            Snapshot { total_memory: Some(8 << 30), available_memory: Some(512 << 20), ..now() };
        let reasons = reasons(vec![waiting(1, 3)], BTreeMap::new());
        let asks = |bytes| Request::default().with(MEMORY, bytes);
        let said = |cpus, bytes| reasons.why(JobId(1), (cpus, &asks(bytes)), &now).sentence;
        let of_memory = "needs 2 GiB of memory, 512 MiB of 8 GiB are free";
        assert_eq!(said(1, 2 << 30), format!("is next; {of_memory}"));
        let both = format!("is next; needs 3 CPUs, 2 of 4 are free; {of_memory}");
        assert_eq!(said(3, 2 << 30), both);
        assert_eq!(said(3, 1 << 20), "is next; needs 3 CPUs, 2 of 4 are free");
        let never = reasons.why(JobId(7), (1, &asks(9 << 30)), &now);
        assert_eq!(never.word, "PartitionConfig");
        assert!(never.sentence.starts_with("needs 9 GiB of memory, this server now has 8 GiB"));
    }

    #[test]
    fn conditions_come_before_the_turn() {
        let (one, two) = (JobId(1), JobId(2));
        let blocked = BTreeMap::from([
            (one, Blocked::Held),
            (two, Blocked::Dependency(vec![JobId(5), JobId(6), JobId(7)])),
            (JobId(3), Blocked::Never(vec![JobId(5)])),
            (JobId(4), Blocked::BeginTime(Time(0))),
            (JobId(5), Blocked::PartitionAllows(Allows::Cpus(1))),
            (JobId(6), Blocked::PartitionAllows(Allows::Seconds(60))),
        ]);
        let reasons = reasons(Vec::new(), blocked);
        let why = |job| reasons.why(job, (1, &Request::default()), &now());
        assert_eq!(why(one).word, "JobHeldUser");
        assert_eq!(why(one).sentence, "is held; `downbeat release 1` lets it go");
        assert_eq!(why(two).word, "Dependency");
        assert_eq!(why(JobId(5)).word, "PartitionNodeLimit");
        assert_eq!(
            why(JobId(5)).sentence,
            "asks for more than its partition now allows one job, 1 CPU; submit it with less, \
             `downbeat cancel 5`"
        );
        assert_eq!(why(JobId(6)).word, "PartitionTimeLimit");
        assert!(why(JobId(6)).sentence.ends_with("`downbeat update --time 60s 6` shortens it"));
        assert_eq!(why(two).sentence, "waits for jobs 5, 6 and 1 more");
        assert_eq!(why(JobId(3)).word, "DependencyNeverSatisfied");
        assert!(why(JobId(3)).sentence.starts_with("job 5 did not end as it asked for"));
        assert_eq!(why(JobId(4)).sentence, "may not start before 1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn behind_a_job_without_a_limit_nobody_can_say_when() {
        let endless = PendingJob { request: 366 * 86_400 * SECOND_US, ..waiting(1, 4) };
        let second = PendingJob { request: 366 * 86_400 * SECOND_US, ..waiting(2, 4) };
        let reasons = reasons(vec![endless, second], BTreeMap::new());
        let why = reasons.why(JobId(2), (4, &Request::default()), &now());
        assert_eq!(why.start, None);
        assert_eq!(why.basis.as_deref(), Some("a job that it waits for has no time limit"));
    }
}
