//! *Purpose*: the first page.
//!
//! *Owns*: [`OverviewPage`], what stands in each of its regions.
//!
//! *Promises*: every number is one of `GET /overview` and `GET /samples`; nothing is shown of a job
//! that these do not show to whoever looks.
//!
//! *Not here*: bricks and cards of the machine (`web::machine`), the frame (`web::shell`).

use askama::Template;

use super::chart::{self, Scale, WIDTH};
use super::machine::{self, Card, NodeMap};
use super::region::{Page, Region};
use super::shell::Shell;
use super::words;
use crate::api::wire::forecast::{Earliest, Forecast};
use crate::api::wire::job::Job;
use crate::api::wire::overview::Overview;
use crate::api::wire::samples::Samples;
use crate::job::state::StateWord;
use crate::time::{SECOND_US, Time};

/// Rows of each list: what a screen shows.
const ROWS: usize = 12;
/// Jobs that ended.
const ENDED: usize = 8;
/// Own jobs.
const OWN: usize = 8;
/// Below so many percent a job of some age is idle.
const IDLE_PERCENT: u64 = 10;
/// From this age on, seconds: a job reads its input first.
const IDLE_AFTER_S: i64 = 300;
/// What part of a chart is the future: a third of the past.
const AHEAD: i64 = 3;

/// How far back a chart goes.
pub const SPANS: [&str; 3] = ["18h", "7d", "30d"];

struct Notice {
    head: String,
    body: String,
}

struct Number {
    name: &'static str,
    value: String,
    of: String,
    note: String,
}

struct Own {
    path: String,
    name: String,
    class: &'static str,
    state: &'static str,
    word: &'static str,
    note: String,
}

struct Ask {
    ask: String,
    now: bool,
    start: String,
    limit: String,
}

struct Runs {
    path: String,
    id: String,
    name: String,
    user: String,
    note: String,
    class: &'static str,
    colour: String,
    cpus: u32,
    memory: String,
    busy: Option<u64>,
    idle: bool,
    since: String,
    ran: String,
    ran_s: i64,
    limit: String,
    limit_s: i64,
    ends: String,
}

struct Ended {
    path: String,
    id: String,
    name: String,
    user: String,
    class: &'static str,
    state: &'static str,
    word: &'static str,
    code: String,
    ran: String,
    when: String,
    ago: String,
}

struct Waits {
    path: String,
    id: String,
    name: String,
    user: String,
    place: String,
    asks: String,
    start: String,
    reason: String,
    detail: String,
}

struct Person {
    name: String,
    query: String,
    cpus: u32,
    running: String,
    waiting: String,
}

#[derive(Default)]
struct Chart {
    top: String,
    label: String,
    path: String,
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
    spans: [&'static str; 3],
    span: &'static str,
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
    total_cpus: u32,
}

impl OverviewPage {
    /// How things stand.
    #[must_use]
    pub fn new(
        shell: Shell,
        all: &Overview,
        (samples, span): (&Samples, &'static str),
        now: Time,
    ) -> OverviewPage {
        let own = all.me.limits.is_some().then_some(all.me.user.as_str());
        let map = machine::nodes(all, own);
        let (gpus, gpu_kind) = machine::gpus(all);
        let charts = Charts::of(all, samples, now);
        let count = |state| all.counts.as_ref().map(|counts| counts.of(state));
        let live = count(StateWord::Running).zip(count(StateWord::Completing));
        let said = |n: Option<u64>| n.map(words::number).unwrap_or_default();
        OverviewPage {
            shell,
            notices: notices(all, now),
            numbers: numbers(all, now),
            own: all.own.iter().take(OWN).map(|job| own_job(job, now)).collect(),
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
            earliest: all.forecast.earliest.iter().map(|one| ask(one, now)).collect(),
            running_count: said(live.map(|(running, completing)| running + completing)),
            running: all.running.iter().take(ROWS).map(|job| runs(job, all, now)).collect(),
            ended: all.ended.iter().take(ENDED).map(|job| ended(job, now)).collect(),
            waiting_count: said(count(StateWord::Pending)),
            waiting: all.waiting.iter().take(ROWS).map(|job| waits(job, now)).collect(),
            people: people(all),
            total_cpus: all.resources.total_cpus,
        }
    }
}

impl Page for OverviewPage {
    fn document(&self) -> askama::Result<String> {
        self.render()
    }

    fn whole(&self) -> askama::Result<Region> {
        Region::of("main", self.as_main().render())
    }

    fn regions(&self) -> askama::Result<Vec<Region>> {
        [
            Region::of("notices", self.as_notices().render()),
            Region::of("numbers", self.as_numbers().render()),
            Region::of("yours", self.as_yours().render()),
            Region::of("cores", self.as_cores().render()),
            Region::of("chart", self.as_chart().render()),
            Region::of("forecast", self.as_forecast().render()),
            Region::of("running", self.as_running().render()),
            Region::of("ended", self.as_ended().render()),
            Region::of("waiting", self.as_waiting().render()),
            Region::of("people", self.as_people().render()),
        ]
        .into_iter()
        .collect()
    }
}

fn notices(all: &Overview, now: Time) -> Vec<Notice> {
    let mut said = Vec::new();
    let held_back = &all.resources.held_back_cpus;
    if !held_back.is_empty() {
        let head = format!("{} CPUs are held back.", held_back.len());
        let body = "An audit doubts that they are free; `downbeat audit` says why.".to_owned();
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
        });
    }
    if let (Some(total), Some(free)) = (held.total_memory_bytes, held.available_memory_bytes) {
        numbers.push(Number {
            name: "Memory held",
            value: words::size(held.used_memory_bytes),
            of: words::size(total),
            note: format!("{} free", words::size(free)),
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
    });
    let people = all.people.iter().filter(|person| person.waiting > 0).count();
    numbers.push(Number {
        name: "Waiting",
        value: words::number(held.pending_jobs),
        of: String::new(),
        note: if people > 1 { format!("of {people} people") } else { String::new() },
    });
    if let Some(counts) = &all.counts {
        let finals = StateWord::ALL.iter().filter(|state| state.is_final());
        let ended: u64 = finals.map(|state| counts.of(*state)).sum();
        let completed = counts.of(StateWord::Completed);
        numbers.push(Number {
            name: "Ended",
            value: words::number(ended),
            of: String::new(),
            note: format!("{} completed", words::number(completed)),
        });
    }
    numbers
}

/// How many CPUs are free, and how many of these are busy all the same.
fn free_note(all: &Overview) -> String {
    let held = &all.resources;
    let is_busy = |load: Option<u16>| load.is_some_and(|load| load >= machine::OUTSIDE_LOAD);
    let free = held.cpus.iter().filter(|cpu| cpu.job_id.is_none());
    match free.filter(|cpu| is_busy(cpu.load)).count() {
        0 => format!("{} free", held.available_cpus),
        n => format!("{} free, {n} of them busy from outside", held.available_cpus),
    }
}

fn own_job(job: &Job, now: Time) -> Own {
    let (class, word) = words::state(job.state);
    let clock = |text: Option<&str>| words::moment(text).map(|at| words::clock_of(at, now));
    let note = match job.state {
        StateWord::Pending => clock(job.estimated_start_time.as_deref())
            .map_or_else(|| job.state_reason.clone(), |at| Some(format!("starts by {at}"))),
        StateWord::Running => {
            clock(job.expected_end_time.as_deref()).map(|at| format!("ends by {at}"))
        }
        StateWord::Completing => Some("is being stopped".to_owned()),
        _ => {
            let ago = words::moment(job.end_time.as_deref()).map(|at| words::ago(at, now));
            let parts = [job.exit_code.clone(), ago];
            Some(parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
        }
    };
    Own {
        path: words::path(job),
        name: job.name.clone(),
        class,
        state: job.state.word(),
        word,
        note: note.unwrap_or_default(),
    }
}

fn ask(one: &Earliest, now: Time) -> Ask {
    let many =
        |n: u64, what: &str| if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") };
    let ask = match one.gpus {
        0 => many(one.cpus.into(), "CPU"),
        n => many(n, "GPU"),
    };
    let start = words::moment(one.start_time.as_deref());
    Ask {
        ask,
        now: start.is_some_and(|at| at <= now),
        start: start.map_or("not known".to_owned(), |at| words::clock_of(at, now)),
        limit: match (start, one.limit_s) {
            (None, _) => String::new(),
            (_, None) => "any".to_owned(),
            (_, Some(s)) => words::duration(s),
        },
    }
}

fn runs(job: &Job, all: &Overview, now: Time) -> Runs {
    let (class, _) = words::state(job.state);
    let clock = |text: Option<&str>| words::moment(text).map(|at| words::clock_of(at, now));
    let busy = machine::busy_percent(job, all);
    let note = match (job.state, words::moment(job.kill_time.as_deref())) {
        (StateWord::Completing, Some(kill)) => {
            let left = (kill.since_us(now) / SECOND_US).max(0);
            format!("being stopped, kill in {}", words::duration(left))
        }
        (StateWord::Completing, None) => "being stopped".to_owned(),
        _ if job.suspend_time.is_some() => "suspended".to_owned(),
        _ => String::new(),
    };
    Runs {
        path: words::path(job),
        id: job.shown_id(),
        name: job.name.clone(),
        user: job.user.clone(),
        note,
        class,
        colour: machine::colour(job),
        cpus: job.cpus,
        memory: job
            .memory_bytes
            .and_then(|n| u64::try_from(n).ok())
            .map(words::size)
            .unwrap_or_default(),
        busy,
        idle: busy.is_some_and(|busy| busy < IDLE_PERCENT) && job.elapsed_s >= IDLE_AFTER_S,
        since: match job.suspend_time {
            Some(_) => String::new(),
            None => job.start_time.clone().unwrap_or_default(),
        },
        ran: words::ran(job.elapsed_s),
        ran_s: job.elapsed_s,
        limit: job
            .time_limit_s
            .map_or("no limit".to_owned(), |s| format!("of {}", words::duration(s))),
        limit_s: job.time_limit_s.unwrap_or(0),
        ends: clock(job.expected_end_time.as_deref()).unwrap_or_default(),
    }
}

fn ended(job: &Job, now: Time) -> Ended {
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
        ago: end.map(|at| words::ago(at, now)).unwrap_or_default(),
    }
}

fn waits(job: &Job, now: Time) -> Waits {
    let start = words::moment(job.estimated_start_time.as_deref());
    Waits {
        path: words::path(job),
        id: job.shown_id(),
        name: job.name.clone(),
        user: job.user.clone(),
        place: job.position.map(|n| n.to_string()).unwrap_or_default(),
        asks: words::asks(job),
        start: start.map(|at| words::clock_of(at, now)).unwrap_or_default(),
        reason: job.state_reason.clone().unwrap_or_default(),
        detail: job.state_detail.clone().unwrap_or_default(),
    }
}

fn people(all: &Overview) -> Vec<Person> {
    let mut people: Vec<_> = all.people.iter().filter(|one| !one.name.is_empty()).collect();
    people.sort_by_key(|one| std::cmp::Reverse((one.cpus, one.running, one.waiting)));
    let person = |one: &&crate::api::wire::accounts::AccountLine| Person {
        name: one.name.clone(),
        query: super::shell::encoded(&one.name),
        cpus: one.cpus,
        running: words::number(one.running),
        waiting: words::number(one.waiting),
    };
    people.iter().take(ROWS).map(person).collect()
}

/// What the chart shows.
struct Charts {
    held: Chart,
    planned: Chart,
    waited: Chart,
    now_x: String,
    ticks: Vec<String>,
}

impl Charts {
    fn of(all: &Overview, samples: &Samples, now: Time) -> Charts {
        let start = words::moment(Some(&samples.start)).unwrap_or(now).0 / SECOND_US;
        let now_s = now.0 / SECOND_US;
        let until = now_s + (now_s - start) / AHEAD;
        let total = f64::from(all.resources.total_cpus);
        let held = steps(&samples.cpus_held, start, samples.step_s);
        let waited = steps(&samples.pending, start, samples.step_s);
        let most = waited.iter().filter_map(|(_, n)| *n).fold(1.0, f64::max);
        let scale = |top| Scale { from: start, until, top };
        let planned = planned(&all.forecast, all.resources.total_cpus, (now_s, until));
        let tick =
            |n: i64| words::clock_of(Time((start + (until - start) * n / 4) * SECOND_US), now);
        Charts {
            held: Chart {
                top: format!("{total}"),
                label: said("CPUs held", &held, all.resources.used_cpus.into()),
                path: chart::area(&held, now_s, scale(total)),
            },
            planned: Chart { path: chart::area(&planned, until, scale(total)), ..Chart::default() },
            waited: Chart {
                top: words::number(most.ceil() as u64),
                label: said("Jobs waiting", &waited, all.resources.pending_jobs),
                path: chart::area(&waited, now_s, scale(most)),
            },
            now_x: format!("{:.1}", scale(total).x(now_s).min(WIDTH)),
            ticks: (0..=4).map(tick).collect(),
        }
    }
}

fn steps(values: &[Option<f64>], start: i64, step_s: i64) -> Vec<(i64, Option<f64>)> {
    let at = |(n, value): (usize, &Option<f64>)| (start + n as i64 * step_s, *value);
    values.iter().enumerate().map(at).collect()
}

/// What is held when all that runs and waits lasts as long as it may.
fn planned(
    forecast: &Forecast,
    total: u32,
    (now_s, until_s): (i64, i64),
) -> Vec<(i64, Option<f64>)> {
    let step = |free: &crate::api::wire::forecast::FreeFrom| {
        let at = words::moment(Some(&free.time))?.0 / SECOND_US;
        Some((at.max(now_s), Some(f64::from(total.saturating_sub(free.cpus)))))
    };
    forecast.free.iter().filter_map(step).filter(|(at, _)| *at < until_s).collect()
}

/// A chart in a sentence, for who does not see it.
fn said(what: &str, steps: &[(i64, Option<f64>)], now: u64) -> String {
    let known = || steps.iter().filter_map(|(_, value)| *value);
    let least = known().fold(f64::INFINITY, f64::min);
    let most = known().fold(0.0, f64::max);
    if least > most {
        return format!("{what}: {now} now; what was before is not known");
    }
    format!("{what}: {least:.0} to {most:.0} in the time shown, {now} now")
}
