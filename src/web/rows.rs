//! *Purpose*: jobs and people as rows of the first page.
//!
//! *Owns*: [`Own`], [`Runs`], [`Ended`], [`Waits`], [`Person`].
//!
//! *Promises*: what is not known is said or left out, and is never 0; tasks of one array that run
//! are one row.
//!
//! *Not here*: which jobs are shown (`web::overview`), markup (its template).

use std::collections::BTreeSet;

use super::board::Sight;
use super::machine;
use super::shell::encoded;
use super::slots::owner;
use super::words::{self, AsOf, Clock};
use crate::api::wire::accounts::AccountLine;
use crate::api::wire::array::ArrayCounts;
use crate::api::wire::job::Job;
use crate::job::array_spec::TaskSet;
use crate::job::state::StateWord;

/// Below so many percent a job of some age is idle.
const IDLE_PERCENT: u64 = 10;
/// From this age on, seconds: a job reads its input first.
const IDLE_AFTER_S: i64 = 300;

/// A job of whoever looks.
pub struct Own {
    /// Its page.
    pub path: String,
    /// What it is called.
    pub name: String,
    /// The class of its state.
    pub class: &'static str,
    /// The API's word of that.
    pub state: &'static str,
    /// The word for people.
    pub word: &'static str,
    /// What is said before a time.
    pub note: String,
    /// The time.
    pub clock: Clock,
    /// When it ended, to count from.
    pub since: String,
    /// How long ago that was.
    pub ago: String,
}

/// How the tasks of an array stand, as parts of a bar 100 wide.
pub struct Parts {
    /// In words.
    pub said: String,
    /// How many there are.
    pub of: String,
    /// The width of those that completed.
    pub ok: u64,
    /// Of those that ended in another way.
    pub bad: u64,
    /// Of those that run.
    pub run: u64,
}

/// A job that runs, or the tasks of an array that do.
pub struct Runs {
    /// Its page.
    pub path: String,
    /// Its number.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Whose it is.
    pub user: String,
    /// What else is to be said.
    pub note: String,
    /// When it is killed.
    pub kill: Clock,
    /// How long it has until then.
    pub left: String,
    /// The class of its state.
    pub class: &'static str,
    /// Its colour.
    pub colour: String,
    /// CPUs that it holds.
    pub cpus: u32,
    /// Memory that it holds.
    pub memory: String,
    /// How busy its CPUs are, percent.
    pub busy: Option<u64>,
    /// Whether it does nearly nothing.
    pub idle: bool,
    /// Since when it runs, to count from.
    pub since: String,
    /// How long it has run.
    pub ran: String,
    /// The same in seconds; `None` where it is counted.
    pub ran_s: Option<i64>,
    /// How long it may.
    pub limit: String,
    /// The same in seconds; 0 without one.
    pub limit_s: i64,
    /// How its tasks stand.
    pub parts: Option<Parts>,
    /// When it ends at the latest.
    pub ends: Clock,
}

/// A job that ended.
pub struct Ended {
    /// Its page.
    pub path: String,
    /// Its number.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Whose it was.
    pub user: String,
    /// The class of its state.
    pub class: &'static str,
    /// The API's word of that.
    pub state: &'static str,
    /// The word for people.
    pub word: &'static str,
    /// Its exit code.
    pub code: String,
    /// How long it ran.
    pub ran: String,
    /// When it ended, to count from.
    pub when: String,
    /// How long ago that was.
    pub ago: String,
}

/// A job that waits.
pub struct Waits {
    /// Its page.
    pub path: String,
    /// Its number.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Whose it is.
    pub user: String,
    /// Its place in the line.
    pub place: String,
    /// What it asks for.
    pub asks: String,
    /// When it starts at the latest.
    pub start: Clock,
    /// Why it waits, in a word.
    pub reason: String,
    /// In a sentence.
    pub detail: String,
}

/// Somebody who has jobs here.
pub struct Person {
    /// Who.
    pub name: String,
    /// The same as an address has it.
    pub query: String,
    /// CPUs that his jobs hold.
    pub cpus: u32,
    /// His jobs that run.
    pub running: String,
    /// His jobs that wait.
    pub waiting: String,
}

/// Jobs of whoever looks, newest first; of an array one, with how its tasks stand.
pub fn own_jobs(sight: &Sight, most: usize, at: AsOf) -> Vec<Own> {
    let mut seen = BTreeSet::new();
    let firsts = sight.overview.own.iter().filter(|job| seen.insert(owner(job)));
    let row = |job: &Job| match job.array_job_id.and_then(|array| sight.arrays.get(&array)) {
        Some(counts) => own_array(job, counts),
        None => own(job, at),
    };
    firsts.take(most).map(row).collect()
}

/// An array, by one of its jobs.
fn own_array(job: &Job, counts: &ArrayCounts) -> Own {
    let has = |state: &StateWord| counts.states.of(*state) > 0;
    let live = [StateWord::Running, StateWord::Completing, StateWord::Pending];
    let bad = StateWord::ALL.iter().filter(|state| **state != StateWord::Completed);
    let state = live.iter().chain(bad).copied().find(has).unwrap_or(StateWord::Completed);
    let (class, word) = words::state(state);
    let Parts { said, of, .. } = parts(counts);
    Own {
        path: owner(job).to_string(),
        name: job.name.clone(),
        class,
        state: state.word(),
        word,
        note: format!("{said} of {of}"),
        clock: Clock::default(),
        since: String::new(),
        ago: String::new(),
    }
}

fn own(job: &Job, at: AsOf) -> Own {
    let (class, word) = words::state(job.state);
    let end = words::moment(job.end_time.as_deref());
    let (note, clock) = match job.state {
        StateWord::Pending => match at.clock(job.estimated_start_time.as_deref()) {
            Some(clock) => ("starts by".to_owned(), Some(clock)),
            None => (job.state_reason.clone().unwrap_or_default(), None),
        },
        StateWord::Running => match at.clock(job.expected_end_time.as_deref()) {
            Some(clock) => ("ends by".to_owned(), Some(clock)),
            None => ("without a limit".to_owned(), None),
        },
        StateWord::Completing => ("is being stopped".to_owned(), None),
        _ => {
            let code = job.exit_code.clone();
            (code.map(|code| format!("{code}, ")).unwrap_or_default(), None)
        }
    };
    Own {
        path: words::path(job),
        name: job.name.clone(),
        class,
        state: job.state.word(),
        word,
        note,
        clock: clock.unwrap_or_default(),
        since: end.and(job.end_time.clone()).unwrap_or_default(),
        ago: end.map(|end| at.ago(end)).unwrap_or_default(),
    }
}

/// What runs, soonest end first; tasks of an array stand where the first of them does.
pub fn running(sight: &Sight, most: usize, at: AsOf) -> Vec<Runs> {
    let mut groups: Vec<Vec<&Job>> = Vec::new();
    for job in &sight.overview.running {
        let same = |group: &&mut Vec<&Job>| {
            job.array_job_id.is_some() && group[0].array_job_id == job.array_job_id
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(job),
            None => groups.push(vec![job]),
        }
    }
    groups.iter().take(most).map(|group| runs(group, sight, at)).collect()
}

/// One job, or tasks of one array.
fn runs(group: &[&Job], sight: &Sight, at: AsOf) -> Runs {
    let job = group[0];
    let (class, _) = words::state(job.state);
    let busy = busy(group, sight);
    let parts = job.array_job_id.and_then(|array| sight.arrays.get(&array)).map(parts);
    let kill = at.clock(job.kill_time.as_deref()).unwrap_or_default();
    let note = match job.state {
        StateWord::Completing if kill.iso.is_empty() => "being stopped",
        StateWord::Completing => "being stopped, kill in",
        _ if job.suspend_time.is_some() => "suspended",
        _ => "",
    };
    let memory: i64 = group.iter().filter_map(|job| job.memory_bytes).sum();
    let since = match job.suspend_time {
        Some(_) => String::new(),
        None => job.start_time.clone().unwrap_or_default(),
    };
    Runs {
        path: words::path(job),
        id: id(group),
        name: job.name.clone(),
        user: job.user.clone(),
        note: note.to_owned(),
        left: words::moment(job.kill_time.as_deref()).map(|end| at.left(end)).unwrap_or_default(),
        kill,
        class,
        colour: sight.slots.class(owner(job)),
        cpus: group.iter().map(|job| job.cpus).sum(),
        memory: match u64::try_from(memory) {
            Ok(0) | Err(_) => String::new(),
            Ok(bytes) => words::size(bytes),
        },
        busy,
        idle: busy.is_some_and(|busy| busy < IDLE_PERCENT) && job.elapsed_s >= IDLE_AFTER_S,
        ran: at.ran(&since, job.elapsed_s),
        ran_s: (!at.is_live || since.is_empty()).then_some(job.elapsed_s),
        since,
        limit: job
            .time_limit_s
            .map_or("no limit".to_owned(), |s| format!("of {}", words::duration(s))),
        limit_s: job.time_limit_s.unwrap_or(0),
        parts,
        ends: at.clock(job.expected_end_time.as_deref()).unwrap_or_default(),
    }
}

/// `17`, `17_4`, or `17_[4-7]` of some tasks.
fn id(group: &[&Job]) -> String {
    let [first, _, ..] = group else { return group[0].shown_id() };
    let mut tasks = TaskSet::default();
    for task in group.iter().filter_map(|job| job.array_task_id) {
        tasks.insert(task);
    }
    format!("{}_[{tasks}]", owner(first))
}

/// How busy the CPUs of all of them are.
fn busy(group: &[&Job], sight: &Sight) -> Option<u64> {
    let known: Vec<(u64, u64)> = group
        .iter()
        .filter_map(|job| {
            let busy = machine::busy_percent(job, &sight.overview)?;
            Some((busy * u64::from(job.cpus), u64::from(job.cpus)))
        })
        .collect();
    let cpus: u64 = known.iter().map(|(_, cpus)| cpus).sum();
    (cpus > 0).then(|| known.iter().map(|(busy, _)| busy).sum::<u64>() / cpus)
}

/// How the tasks of an array stand.
pub fn parts(counts: &ArrayCounts) -> Parts {
    let of = |state| counts.states.of(state);
    let ok = of(StateWord::Completed);
    let finals: u64 =
        StateWord::ALL.iter().filter(|state| state.is_final()).map(|state| of(*state)).sum();
    let bad = finals.saturating_sub(ok);
    let run = of(StateWord::Running) + of(StateWord::Completing);
    let part = |n: u64| n * 100 / counts.total.max(1);
    let said = match bad {
        0 => format!("{} done", words::number(ok)),
        n => format!("{} done, {} not well", words::number(ok), words::number(n)),
    };
    Parts { said, of: words::number(counts.total), ok: part(ok), bad: part(bad), run: part(run) }
}

/// What would go if it were cancelled: `4151 vit-huge`, or `85 waiting and 4 running tasks of
/// sweep-lr`.
pub fn goes(job: &Job) -> String {
    let Some(array) = &job.array else { return format!("{} {}", job.shown_id(), job.name) };
    let of = |state| array.states.of(state);
    let parts = [
        (of(StateWord::Pending), "waiting"),
        (of(StateWord::Running) + of(StateWord::Completing), "running"),
    ];
    let said = parts.into_iter().filter(|(n, _)| *n > 0);
    let said: Vec<String> = said.map(|(n, word)| format!("{} {word}", words::number(n))).collect();
    match said.is_empty() {
        true => format!("no task of {}", job.name),
        false => format!("{} tasks of {}", said.join(" and "), job.name),
    }
}

/// A job that ended.
pub fn ended(job: &Job, at: AsOf) -> Ended {
    let (class, word) = words::state(job.state);
    let end = words::moment(job.end_time.as_deref());
    Ended {
        path: words::path(job),
        id: job.shown_id(),
        name: job.name.clone(),
        user: job.user.clone(),
        class,
        state: job.state.word(),
        word,
        code: job.exit_code.clone().unwrap_or_else(|| "unknown".to_owned()),
        ran: match job.start_time {
            Some(_) => words::duration(job.elapsed_s),
            None => "not run".to_owned(),
        },
        when: job.end_time.clone().unwrap_or_default(),
        ago: end.map(|end| at.ago(end)).unwrap_or_default(),
    }
}

/// A job that waits.
pub fn waits(job: &Job, at: AsOf) -> Waits {
    Waits {
        path: words::path(job),
        id: job.shown_id(),
        name: job.name.clone(),
        user: job.user.clone(),
        place: job.position.map(|n| n.to_string()).unwrap_or_default(),
        asks: words::asks(job),
        start: at.clock(job.estimated_start_time.as_deref()).unwrap_or_default(),
        reason: job.state_reason.clone().unwrap_or_default(),
        detail: job.state_detail.clone().unwrap_or_default(),
    }
}

/// Those who hold most first; none where users are not told apart.
pub fn people(lines: &[AccountLine], most: usize) -> Vec<Person> {
    let mut people: Vec<_> = lines.iter().filter(|one| !one.name.is_empty()).collect();
    people.sort_by_key(|one| std::cmp::Reverse((one.cpus, one.running, one.waiting)));
    let person = |one: &&AccountLine| Person {
        name: one.name.clone(),
        query: encoded(&one.name),
        cpus: one.cpus,
        running: words::number(one.running),
        waiting: words::number(one.waiting),
    };
    people.iter().take(most).map(person).collect()
}
