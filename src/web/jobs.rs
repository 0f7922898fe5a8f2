//! *Purpose*: the page of jobs.
//!
//! *Owns*: [`JobsPage`]; which parameters of its address are those of `GET /jobs`.
//!
//! *Promises*: its filter is its address; a list stands still while it is read: rows change in
//! place, and new ones are offered.
//!
//! *Not here*: which jobs it shows (`web::listed`).

use askama::Template;

use super::listed::{Listed, ROWS, SINCE};
use super::region::page;
use super::rows::{self, Parts};
use super::shell::{Shell, encoded};
use super::words::{self, AsOf};
use crate::api::wire::array::TaskCounts;
use crate::api::wire::job::Job;
use crate::job::state::StateWord;
use crate::time::SECOND_US;

/// The parameters that a reader can set.
pub const ASKED: [&str; 10] =
    ["q", "state", "user", "account", "partition", "label", "since", "cursor", "sort", "open"];

struct Chip {
    href: String,
    class: &'static str,
    word: &'static str,
    count: String,
    current: bool,
}

/// One of the things that a filter can be set to.
struct Choice {
    value: String,
    word: String,
    current: bool,
}

struct Row {
    key: String,
    /// What opens or closes its tasks.
    toggle: String,
    is_open: bool,
    is_sub: bool,
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
    parts: Option<Parts>,
    /// What would go if it were cancelled, in words.
    goes: String,
    why: String,
    detail: String,
}

/// The page of jobs.
#[derive(Template)]
#[template(path = "jobs.html", blocks = ["main", "chips", "offer", "list"])]
pub struct JobsPage {
    shell: Shell,
    chips: Vec<Chip>,
    q: String,
    state: String,
    users: Vec<Choice>,
    accounts: Vec<Choice>,
    since: Vec<Choice>,
    /// Where the list is as it is now.
    anew: String,
    offer: String,
    jobs: Vec<Row>,
    nothing: &'static str,
    newest: String,
    older: String,
}

/// The parameters of a page's address.
#[derive(Clone, Copy)]
struct Asked<'a>(&'a [(String, String)]);

impl<'a> Asked<'a> {
    fn value(self, name: &str) -> &'a str {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap_or("")
    }

    /// The page with these parameters set, and without those others.
    fn address(self, without: &[&str], with: &[(&str, &str)]) -> String {
        let kept = self.0.iter().filter(|(key, _)| !without.contains(&key.as_str()));
        let set = with.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        address(&kept.cloned().chain(set).collect::<Vec<_>>())
    }

    fn chip(self, of: Option<StateWord>, counts: Option<&TaskCounts>) -> Chip {
        let (class, word) = of.map_or(("", "All"), words::state);
        let state = of.map(StateWord::word);
        let set = state.map(|state| ("state", state));
        let live = of.filter(|of| !of.is_final());
        let count = live.and_then(|of| Some(counts?.of(of)));
        Chip {
            href: self.address(&["state", "cursor", "sort", "open"], set.as_slice()),
            class,
            word,
            count: count.map(words::number).unwrap_or_default(),
            current: state.unwrap_or_default() == self.value("state"),
        }
    }

    /// The page with the tasks of this array shown, or shown no more.
    fn toggled(self, id: &str) -> String {
        let open: Vec<&str> = self.value("open").split(',').filter(|id| !id.is_empty()).collect();
        let mut next: Vec<&str> = open.iter().copied().filter(|one| *one != id).collect();
        if next.len() == open.len() {
            next.push(id);
        }
        let next = next.join(",");
        let set = Some(("open", next.as_str())).filter(|(_, ids)| !ids.is_empty());
        self.address(&["open"], set.as_slice())
    }

    /// What a parameter can be set to, the first for leaving it out.
    fn choices(self, name: &str, none: &str, all: Vec<(String, String)>) -> Vec<Choice> {
        let none = (String::new(), none.to_owned());
        let choice = |(value, word): (String, String)| Choice {
            current: value == self.value(name),
            value,
            word,
        };
        std::iter::once(none).chain(all).map(choice).collect()
    }

    fn users(self, me: &str) -> Vec<Choice> {
        let mine = (!me.is_empty()).then(|| (me.to_owned(), "Mine".to_owned()));
        let other = Some(self.value("user")).filter(|user| !user.is_empty() && *user != me);
        let other = other.map(|user| (user.to_owned(), user.to_owned()));
        self.choices("user", "Everybody’s", mine.into_iter().chain(other).collect())
    }

    /// Jobs, each followed by those of its tasks that are shown.
    fn rows(self, list: &Listed, at: AsOf) -> Vec<Row> {
        let mut rows = Vec::new();
        for job in &list.jobs {
            let tasks = list.tasks.get(&job.id);
            let mut own = row(job, at);
            if let Some(array) = &job.array {
                // Its own number may be that of one of its tasks by now.
                own.path = own.key.clone();
                own.id = match &job.array_tasks {
                    Some(_) => own.id,
                    None => format!("{} · {} tasks", own.key, words::number(array.total)),
                };
                own.toggle = self.toggled(&own.key);
                own.is_open = tasks.is_some();
            }
            rows.push(own);
            let tasks = tasks.into_iter().flatten();
            rows.extend(tasks.map(|task| task_row(task, at)));
        }
        rows
    }
}

impl JobsPage {
    /// These jobs, found by these parameters.
    #[must_use]
    pub fn new(shell: Shell, list: &Listed, asked: &[(String, String)], at: AsOf) -> JobsPage {
        let states = StateWord::ALL.iter().copied().map(Some);
        let is_all = asked.iter().all(|(key, _)| key == "sort");
        let asked = Asked(asked);
        let accounts = list.accounts.iter().map(|name| (name.clone(), name.clone())).collect();
        let since = SINCE.map(|(value, _, word)| (value.to_owned(), word.to_owned())).to_vec();
        let anew = asked.address(&["cursor", "open"], &[]);
        let older = list.next_cursor.as_ref();
        JobsPage {
            shell,
            chips: std::iter::once(None)
                .chain(states)
                .map(|of| asked.chip(of, list.counts.as_ref()))
                .collect(),
            q: asked.value("q").to_owned(),
            state: asked.value("state").to_owned(),
            users: asked.users(&list.me),
            accounts: asked.choices("account", "All accounts", accounts),
            since: asked.choices("since", "Any time", since),
            offer: offer(list),
            jobs: asked.rows(list, at),
            nothing: match is_all {
                true => "There are no jobs.",
                false => "No job is like that.",
            },
            newest: match asked.value("cursor") {
                "" => String::new(),
                _ => anew.clone(),
            },
            anew,
            older: older
                .map(|at| asked.address(&["cursor", "open"], &[("cursor", at)]))
                .unwrap_or_default(),
        }
    }
}

page!(JobsPage { chips: as_chips, offer: as_offer, list: as_list });

/// What a reader is offered whose list is no longer as it would be now.
fn offer(list: &Listed) -> String {
    let many = match list.more {
        0 => return String::new(),
        n if n >= ROWS => format!("{ROWS} or more"),
        n => n.to_string(),
    };
    match list.are_newer {
        true => format!("Show {many} newer jobs"),
        false => format!("Show the list as it is now, with {many} others"),
    }
}

/// This page with these parameters.
#[must_use]
pub fn address(asked: &[(String, String)]) -> String {
    let pair = |(key, value): &(String, String)| format!("{key}={}", encoded(value));
    let pairs: Vec<String> = asked.iter().map(pair).collect();
    if pairs.is_empty() { "/jobs".to_owned() } else { format!("/jobs?{}", pairs.join("&")) }
}

/// A task below its array, which may have the number of one of them.
fn task_row(task: &Job, at: AsOf) -> Row {
    Row { key: format!("task-{}", task.id), is_sub: true, ..row(task, at) }
}

fn row(job: &Job, at: AsOf) -> Row {
    let now = at.now;
    let (class, word) = words::state(job.state);
    let submitted = words::moment(Some(&job.submit_time));
    let start = words::moment(job.start_time.as_deref());
    let end = words::moment(job.end_time.as_deref());
    let waited =
        submitted.map(|from| start.or(end).unwrap_or(now).since_us(from).max(0) / SECOND_US);
    let parts = job.array.as_ref().map(rows::parts);
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
        key: job.id.to_string(),
        toggle: String::new(),
        is_open: false,
        is_sub: false,
        goes: rows::goes(job),
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
        ran: match (start, runs) {
            (Some(_), true) => at.ran(&since, job.elapsed_s),
            (Some(_), false) => words::duration(job.elapsed_s),
            (None, _) if job.state.is_final() => "not run".to_owned(),
            (None, _) => String::new(),
        },
        since,
        parts,
        why,
        detail,
    }
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
