//! *Purpose*: the first page.
//!
//! *Owns*: [`OverviewPage`], what stands in each of its regions.
//!
//! *Promises*: every number is one of `GET /overview` and `GET /samples`; nothing is shown of a job
//! that these do not show to whoever looks.
//!
//! *Not here*: bricks and cards of the machine (`web::machine`), the frame (`web::shell`).

use askama::Template;

use super::board::Sight;
use super::charts::{Chart, Charts, SPANS, Span};
use super::machine::{self, Card, NodeMap};
use super::region::page;
use super::rows::{self, Ended, Own, Person, Runs, Waits};
use super::shell::Shell;
use super::words::{self, AsOf, Clock};
use crate::api::wire::forecast::Earliest;
use crate::api::wire::overview::{EndedToday, Overview};
use crate::api::wire::samples::Samples;
use crate::job::state::StateWord;
use crate::time::Time;

/// Rows of each list: what a screen shows.
const ROWS: usize = 12;
/// Jobs that ended.
const ENDED: usize = 8;
/// Own jobs.
const OWN: usize = 8;
struct Notice {
    head: String,
    body: String,
}

struct Number {
    name: &'static str,
    value: String,
    of: String,
    note: String,
    marks: Vec<Mark>,
}

/// How many are in a state.
struct Mark {
    class: &'static str,
    word: &'static str,
    n: String,
}

struct Ask {
    ask: String,
    now: bool,
    start: Clock,
    limit: String,
}

/// The first page.
#[derive(Template)]
#[template(
    path = "overview.html",
    blocks = [
        "main", "notices", "numbers", "yours", "cores", "chart", "forecast", "running", "ended",
        "waiting", "people"
    ]
)]
pub struct OverviewPage {
    shell: Shell,
    notices: Vec<Notice>,
    numbers: Vec<Number>,
    own: Vec<Own>,
    nodes: Vec<NodeMap>,
    gpus: Vec<Card>,
    gpu_kind: String,
    spans: [Span; 3],
    span: Span,
    held: Chart,
    planned: Chart,
    waited: Chart,
    now_x: String,
    ticks: Vec<String>,
    earliest: Vec<Ask>,
    running_count: String,
    running: Vec<Runs>,
    ended: Vec<Ended>,
    waiting_count: String,
    waiting: Vec<Waits>,
    people: Vec<Person>,
    told_apart: bool,
    total_cpus: u32,
    /// How wide bricks are drawn: those of a small machine have room for their names.
    few: &'static str,
}

impl OverviewPage {
    /// How things stand.
    #[must_use]
    pub fn new(
        shell: Shell,
        sight: &Sight,
        (samples, span): (&Samples, Span),
        at: AsOf,
    ) -> OverviewPage {
        let (all, now) = (&sight.overview, at.now);
        let own = all.me.limits.is_some().then_some(all.me.user.as_str());
        let map = machine::nodes(sight, own);
        let (gpus, gpu_kind) = machine::gpus(sight);
        let charts = Charts::of(all, samples, now);
        let count = |state| all.counts.as_ref().map(|counts| counts.of(state));
        let live = count(StateWord::Running).zip(count(StateWord::Completing));
        let said = |n: Option<u64>| n.map(words::number).unwrap_or_default();
        OverviewPage {
            shell,
            notices: notices(all, now),
            numbers: numbers(all, now),
            own: rows::own_jobs(sight, OWN, at),
            nodes: map,
            gpus,
            gpu_kind,
            spans: SPANS,
            span,
            held: charts.held,
            planned: charts.planned,
            waited: charts.waited,
            now_x: charts.now_x,
            ticks: charts.ticks,
            earliest: all.forecast.earliest.iter().map(|one| ask(one, at)).collect(),
            running_count: said(live.map(|(running, completing)| running + completing)),
            running: rows::running(sight, ROWS, at),
            ended: all.ended.iter().take(ENDED).map(|job| rows::ended(job, at)).collect(),
            waiting_count: said(count(StateWord::Pending)),
            waiting: all.waiting.iter().take(ROWS).map(|job| rows::waits(job, at)).collect(),
            people: rows::people(&all.people, ROWS),
            told_apart: all.me.limits.is_some(),
            total_cpus: all.resources.total_cpus,
            few: match all.resources.total_cpus {
                0..=4 => " few four",
                5..=8 => " few",
                _ => "",
            },
        }
    }
}

page!(OverviewPage {
    notices: as_notices,
    numbers: as_numbers,
    yours: as_yours,
    cores: as_cores,
    chart: as_chart,
    forecast: as_forecast,
    running: as_running,
    ended: as_ended,
    waiting: as_waiting,
    people: as_people,
});

fn notices(all: &Overview, now: Time) -> Vec<Notice> {
    let mut said = Vec::new();
    let held_back = &all.resources.held_back_cpus;
    if !held_back.is_empty() {
        let (head, body) = match held_back.len() {
            1 => ("One CPU is held back.".to_owned(), "An audit doubts that it is free."),
            n => (format!("{n} CPUs are held back."), "An audit doubts that they are free."),
        };
        let body = format!("{body} Its findings stand on the page Admin.");
        said.push(Notice { head, body });
    }
    for window in &all.maintenance {
        let at = |text: Option<&str>| words::moment(text).map(|at| words::clock_of(at, now));
        let start = at(Some(&window.start_time)).unwrap_or_default();
        let until = at(window.end_time.as_deref());
        let until = until.map_or("until somebody ends it".to_owned(), |end| format!("to {end}"));
        let head = match window.active {
            true => format!("Drained {until}: nothing starts."),
            false => format!("Maintenance {start} {until}."),
        };
        said.push(Notice { head, body: window.reason.clone() });
    }
    said
}

fn numbers(all: &Overview, now: Time) -> Vec<Number> {
    let held = &all.resources;
    let mut numbers = vec![Number {
        name: "CPUs held",
        value: held.used_cpus.to_string(),
        of: held.total_cpus.to_string(),
        note: free_note(all),
        marks: Vec::new(),
    }];
    if let Some(gpu) = held.resources.iter().find(|one| one.name == "gpu") {
        let outside = held.gpus.iter().filter(|gpu| gpu.outside.is_some()).count();
        numbers.push(Number {
            name: "GPUs held",
            value: gpu.used.to_string(),
            of: gpu.total.map(|n| n.to_string()).unwrap_or_default(),
            note: match outside {
                0 => format!("{} free", gpu.available.unwrap_or(0)),
                n => format!("{n} used from outside the queue"),
            },
            marks: Vec::new(),
        });
    }
    if let (Some(total), Some(free)) = (held.total_memory_bytes, held.available_memory_bytes) {
        numbers.push(Number {
            name: "Memory held",
            value: words::size(held.used_memory_bytes),
            of: words::size(total),
            note: format!("{} free", words::size(free)),
            marks: Vec::new(),
        });
    }
    let ends = all.running.iter().filter_map(|job| words::moment(job.expected_end_time.as_deref()));
    numbers.push(Number {
        name: "Running",
        value: words::number(held.running_jobs),
        of: String::new(),
        note: ends.min().map_or("no end is known".to_owned(), |end| {
            format!("next end by {}", words::clock_of(end, now))
        }),
        marks: Vec::new(),
    });
    let people = all.people.iter().filter(|person| person.waiting > 0).count();
    numbers.push(Number {
        name: "Waiting",
        value: words::number(held.pending_jobs),
        of: String::new(),
        note: if people > 1 { format!("of {people} people") } else { String::new() },
        marks: Vec::new(),
    });
    numbers.extend(all.ended_today.as_ref().map(ended_today));
    numbers
}

/// Of more than are counted nobody knows how all of them ended.
fn ended_today(ended: &EndedToday) -> Number {
    let mark = |class, word, n| Mark { class, word, n: words::number(n) };
    let (value, marks) = match (words::number(ended.completed + ended.other), ended.is_more) {
        (all, true) => (format!("more than {all}"), Vec::new()),
        (all, false) => {
            let completed = mark("completed", "completed", ended.completed);
            (all, vec![completed, mark("failed", "not completed", ended.other)])
        }
    };
    let (of, note) = (String::new(), String::new());
    Number { name: "Ended today", value, of, note, marks }
}

/// How many CPUs are free, and how many of these are busy all the same.
fn free_note(all: &Overview) -> String {
    let held = &all.resources;
    let is_busy = |load: Option<u16>| load.is_some_and(|load| load >= machine::OUTSIDE_LOAD);
    let free = held.cpus.iter().filter(|cpu| cpu.job_id.is_none());
    let free = free.filter(|cpu| !held.held_back_cpus.contains(&cpu.id));
    match free.filter(|cpu| is_busy(cpu.load)).count() {
        0 => format!("{} free", held.available_cpus),
        n => format!("{} free, {n} of them busy from outside", held.available_cpus),
    }
}

fn ask(one: &Earliest, at: AsOf) -> Ask {
    let many =
        |n: u64, what: &str| if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") };
    let ask = match one.gpus {
        0 => many(one.cpus.into(), "CPU"),
        n => many(n, "GPU"),
    };
    let start = words::moment(one.start_time.as_deref());
    Ask {
        ask,
        now: start.is_some_and(|start| start <= at.now),
        start: at.clock(one.start_time.as_deref()).unwrap_or_default(),
        limit: match (start, one.limit_s) {
            (None, _) => String::new(),
            (_, None) => "any".to_owned(),
            (_, Some(s)) => words::duration(s),
        },
    }
}
