//! *Purpose*: the page of jobs.
//!
//! *Owns*: [`JobsPage`]; which parameters of its address are those of `GET /jobs`.
//!
//! *Promises*: its filter is its address; a list stands still while it is read: rows change in
//! place, and new ones come when the page is asked for again.
//!
//! *Not here*: which jobs a filter finds (`api::jobs`).

use askama::Template;

use super::region::{Page, Region};
use super::shell::{Shell, encoded};
use super::words::{self, AsOf};
use crate::api::wire::job::{Job, JobList};
use crate::job::state::StateWord;
use crate::time::SECOND_US;

/// Rows of a page.
pub const ROWS: &str = "50";
/// The parameters that a reader can set.
pub const ASKED: [&str; 9] =
    ["q", "state", "user", "account", "partition", "label", "since", "cursor", "sort"];

struct Chip {
    href: String,
    class: &'static str,
    word: &'static str,
    current: bool,
}

struct Row {
    path: String,
    id: String,
    name: String,
    user: String,
    account: String,
    class: &'static str,
    state: &'static str,
    word: &'static str,
    asks: String,
    submitted: String,
    submitted_clock: String,
    waits_since: String,
    waited: String,
    since: String,
    ran: String,
    tasks: u64,
    tasks_over: u64,
    why: String,
    detail: String,
}

/// The page of jobs.
#[derive(Template)]
#[template(path = "jobs.html", blocks = ["main", "chips", "list"])]
pub struct JobsPage {
    shell: Shell,
    chips: Vec<Chip>,
    q: String,
    state: String,
    jobs: Vec<Row>,
    nothing: &'static str,
    newest: String,
    older: String,
}

impl JobsPage {
    /// These jobs, found by these parameters.
    #[must_use]
    pub fn new(shell: Shell, list: &JobList, asked: &[(String, String)], at: AsOf) -> JobsPage {
        let value = |name: &str| {
            let found = asked.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let without = |names: &[&str]| {
            asked.iter().filter(|(key, _)| !names.contains(&key.as_str())).cloned().collect()
        };
        let state = value("state");
        let chip = |of: Option<StateWord>| {
            let (class, word) = of.map_or(("", "All"), words::state);
            let mut kept: Vec<(String, String)> = without(&["state", "cursor", "sort"]);
            kept.extend(of.map(|of| ("state".to_owned(), of.word().to_owned())));
            let current = of.map_or(state.is_empty(), |of| of.word() == state);
            Chip { href: address(&kept), class, word, current }
        };
        let is_all = asked.iter().all(|(key, _)| key == "sort");
        let newest = if asked.iter().any(|(key, _)| key == "cursor") {
            address(&without(&["cursor"]))
        } else {
            String::new()
        };
        let older = list.next_cursor.as_ref().map(|cursor| {
            let mut next: Vec<(String, String)> = without(&["cursor"]);
            next.push(("cursor".to_owned(), cursor.clone()));
            address(&next)
        });
        JobsPage {
            shell,
            chips: std::iter::once(None)
                .chain(StateWord::ALL.iter().copied().map(Some))
                .map(chip)
                .collect(),
            q: value("q"),
            state,
            jobs: list.jobs.iter().map(|job| row(job, at)).collect(),
            nothing: match is_all {
                true => "There are no jobs. `downbeat submit FILE` makes one.",
                false => "No job is like that.",
            },
            newest,
            older: older.unwrap_or_default(),
        }
    }
}

impl Page for JobsPage {
    fn document(&self) -> askama::Result<String> {
        self.render()
    }

    fn whole(&self) -> askama::Result<Region> {
        Region::of("main", self.as_main().render())
    }

    fn regions(&self) -> askama::Result<Vec<Region>> {
        Ok(vec![Region::of("list", self.as_list().render())?])
    }
}

/// This page with these parameters.
#[must_use]
pub fn address(asked: &[(String, String)]) -> String {
    let pair = |(key, value): &(String, String)| format!("{key}={}", encoded(value));
    let pairs: Vec<String> = asked.iter().map(pair).collect();
    if pairs.is_empty() { "/jobs".to_owned() } else { format!("/jobs?{}", pairs.join("&")) }
}

fn row(job: &Job, at: AsOf) -> Row {
    let now = at.now;
    let (class, word) = words::state(job.state);
    let submitted = words::moment(Some(&job.submit_time));
    let start = words::moment(job.start_time.as_deref());
    let end = words::moment(job.end_time.as_deref());
    let waited =
        submitted.map(|from| start.or(end).unwrap_or(now).since_us(from).max(0) / SECOND_US);
    let (tasks, tasks_over) = tasks(job);
    let runs = matches!(job.state, StateWord::Running | StateWord::Completing);
    let (why, detail) = why(job, at);
    let since = match runs && job.suspend_time.is_none() {
        true => job.start_time.clone().unwrap_or_default(),
        false => String::new(),
    };
    let waits_since = match start.or(end) {
        Some(_) => String::new(),
        None => job.submit_time.clone(),
    };
    Row {
        path: words::path(job),
        id: job.shown_id(),
        name: job.name.clone(),
        user: job.user.clone(),
        account: job.account.clone(),
        class,
        state: job.state.word(),
        word,
        asks: words::asks(job),
        submitted: job.submit_time.clone(),
        submitted_clock: submitted.map(|at| words::clock_of(at, now)).unwrap_or_default(),
        waited: waited.map(|s| at.waited(&waits_since, s)).unwrap_or_default(),
        waits_since,
        ran: match (tasks, start, runs) {
            (0, Some(_), true) => at.ran(&since, job.elapsed_s),
            (0, Some(_), false) => words::duration(job.elapsed_s),
            (0, None, _) if job.state.is_final() => "not run".to_owned(),
            (0, None, _) => String::new(),
            (all, ..) => format!("{} of {}", words::number(tasks_over), words::number(all)),
        },
        since,
        tasks,
        tasks_over,
        why,
        detail,
    }
}

/// The tasks of an array, and those that ended.
fn tasks(job: &Job) -> (u64, u64) {
    let Some(array) = &job.array else { return (0, 0) };
    let finals = StateWord::ALL.iter().filter(|state| state.is_final());
    (array.total, finals.map(|state| array.states.of(*state)).sum())
}

/// Why it waits, or how it ended.
fn why(job: &Job, AsOf { now, .. }: AsOf) -> (String, String) {
    let start = words::moment(job.estimated_start_time.as_deref());
    let running = job.array.as_ref().map_or(0, |array| array.states.of(StateWord::Running));
    let reason = job.state_reason.clone().unwrap_or_default();
    match job.state {
        StateWord::Pending => {
            let start = start.map(|at| format!("starts by {}", words::clock_of(at, now)));
            let place = job.position.map(|n| format!("place {}", words::number(n)));
            let running = (running > 0).then(|| format!("{} run", words::number(running)));
            let known: Vec<String> = [running, start, place].into_iter().flatten().collect();
            let said = known.join("; ");
            let detail = || job.state_detail.clone().unwrap_or_default();
            (reason, if said.is_empty() { detail() } else { said })
        }
        StateWord::Running | StateWord::Completing => {
            (reason, job.state_detail.clone().unwrap_or_default())
        }
        _ => {
            let code = job.exit_code.clone();
            let code = code.unwrap_or_else(|| match job.start_time {
                Some(_) => "code unknown".to_owned(),
                None => String::new(),
            });
            (code, job.error.clone().unwrap_or_default())
        }
    }
}
