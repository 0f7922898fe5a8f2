//! *Purpose*: the page of one job.
//!
//! *Owns*: [`JobPage`].
//!
//! *Promises*: what is not the reader's business is not there; what is not known is said.
//!
//! *Not here*: its output, which the page's script reads from `/jobs/{id}/stdout`.

use askama::Template;

use super::chart::{self, Scale};
use super::life::{self, Life};
use super::region::page;
use super::rows;
use super::shell::Shell;
use super::why::{Waiting, Why};
use super::words::{self, AsOf, Clock};
use crate::api::wire::attempt::Attempt;
use crate::api::wire::dependents::Dependents;
use crate::api::wire::efficiency::Efficiency;
use crate::api::wire::job::{Event, Job};
use crate::api::wire::job_usage::JobUsage;
use crate::job::state::StateWord;
use crate::time::{SECOND_US, Time};

/// Those that are named of who waits for it.
const THEN: usize = 3;
/// Events that are shown, latest first.
const EVENTS: usize = 50;

struct Fact {
    name: &'static str,
    words: String,
    code: bool,
    clock: Clock,
}

/// Who waits for it.
struct Then {
    /// The address of each, its number and its name.
    jobs: Vec<(String, String, String)>,
    /// What is said behind them.
    rest: String,
}

struct Used {
    name: &'static str,
    words: String,
    path: String,
}

struct Happened {
    id: i64,
    time: String,
    clock: String,
    class: &'static str,
    word: &'static str,
    cause: String,
    who: String,
}

/// What is known of a job.
pub struct Known {
    /// Itself.
    pub job: Job,
    /// What it used; `None`: not the reader's business.
    pub usage: Option<JobUsage>,
    /// What it used of what it asked for; `None` likewise.
    pub efficiency: Option<Efficiency>,
    /// What happened to it, oldest first; empty likewise.
    pub events: Vec<Event>,
    /// Its runs, oldest first; empty likewise.
    pub attempts: Vec<Attempt>,
    /// Its script; `None` likewise, and where it is no text.
    pub script: Option<String>,
    /// Who waits for it; `None` likewise.
    pub then: Option<Dependents>,
    /// Whether the reader may change it.
    pub may_change: bool,
    /// What is known of its wait; `None` when it does not wait, and likewise.
    pub waits: Option<Waiting>,
}

impl Known {
    /// A job of which nothing else is the reader's business.
    #[must_use]
    pub fn of(job: Job) -> Known {
        Known {
            job,
            usage: None,
            efficiency: None,
            events: Vec::new(),
            attempts: Vec::new(),
            script: None,
            then: None,
            may_change: false,
            waits: None,
        }
    }
}

/// What a reader can do to a job.
#[derive(Default)]
struct Can {
    /// Give it more time.
    extend: bool,
    /// Change what it asks for, and hold it.
    change: bool,
    /// Let it go on waiting for its turn.
    release: bool,
    /// Run it once more.
    again: bool,
    /// Stop it.
    cancel: bool,
}

impl Can {
    fn of(job: &Job, may: bool) -> Can {
        if !may {
            return Can::default();
        }
        let waits = job.state == StateWord::Pending;
        let runs = job.state == StateWord::Running;
        Can {
            extend: runs && job.time_limit_s.is_some(),
            change: waits,
            release: waits && job.held,
            again: job.state.is_final() || runs,
            cancel: !job.state.is_final(),
        }
    }
}

/// The page of one job.
#[derive(Template)]
#[template(
    path = "job.html",
    blocks = ["main", "headline", "life", "why", "usage", "facts", "events"]
)]
pub struct JobPage {
    shell: Shell,
    job: Job,
    path: String,
    class: &'static str,
    word: &'static str,
    about: Vec<String>,
    can: Can,
    /// What would go if it were cancelled.
    goes: String,
    life: Option<Life>,
    why: Why,
    usage: Vec<Used>,
    usage_note: String,
    advice: Option<String>,
    facts: Vec<Fact>,
    then: Option<Then>,
    events: Vec<Happened>,
    script: Option<String>,
}

impl JobPage {
    /// How it stands.
    #[must_use]
    pub fn new(shell: Shell, known: Known, at: AsOf) -> JobPage {
        let Known { job, usage, efficiency, events, attempts, script, .. } = known;
        let Known { then, may_change, waits, .. } = known;
        let (class, word) = words::state(job.state);
        JobPage {
            shell,
            can: Can::of(&job, may_change),
            goes: rows::goes(&job),
            life: life::of(&job, &attempts, at).filter(|_| !job.redacted),
            why: Why::of(&job, waits.as_ref(), at),
            path: words::path(&job),
            class,
            word,
            about: about(&job),
            usage: used(&job, usage.as_ref().zip(efficiency.as_ref())),
            advice: efficiency.and_then(|of| of.advice),
            usage_note: usage
                .as_ref()
                .map(|usage| format!("attempt {}", usage.attempt))
                .filter(|_| job.attempt > 0)
                .unwrap_or_default(),
            facts: facts(&job, at),
            then: then.as_ref().and_then(who_waits),
            events: events.iter().rev().take(EVENTS).map(|one| happened(one, at.now)).collect(),
            script,
            job,
        }
    }
}

page!(JobPage {
    headline: as_headline,
    life: as_life,
    why: as_why,
    usage: as_usage,
    facts: as_facts,
    events: as_events,
});

/// Which job of whom, where, in which of its runs.
fn about(job: &Job) -> Vec<String> {
    let attempt = match &job.retry {
        Some(retry) if job.attempt > 0 => {
            format!("attempt {} of {}", job.attempt, job.attempt + retry.max - retry.used)
        }
        _ if job.attempt > 1 => format!("attempt {}", job.attempt),
        _ => String::new(),
    };
    let parts = [
        job.shown_id(),
        job.user.clone(),
        job.account.clone(),
        format!("partition {}", job.partition),
        attempt,
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect()
}

fn happened(of: &Event, now: Time) -> Happened {
    let (class, word) = words::state(of.to);
    let at = words::moment(Some(&of.time));
    Happened {
        id: of.id.0,
        time: of.time.clone(),
        clock: at.map(|at| words::second_of(at, now)).unwrap_or_default(),
        class,
        word,
        cause: of.cause.clone(),
        who: of.principal.clone(),
    }
}

fn facts(job: &Job, at: AsOf) -> Vec<Fact> {
    let fact = |name, words, code| Fact { name, words, code, clock: Clock::default() };
    let plain = |name, words: Option<String>| words.map(|words| fact(name, words, false));
    let code = |name, words: &Option<String>| words.clone().map(|words| fact(name, words, true));
    let clock = |name, text: Option<&str>| {
        let clock = at.clock(text)?;
        Some(Fact { clock, ..fact(name, String::new(), false) })
    };
    let holds = job.allocation.as_ref().filter(|held| !held.released).map(|held| {
        let ids: Vec<String> = held.cpu_ids.iter().map(ToString::to_string).collect();
        format!("CPU {}", ids.join(", "))
    });
    let labels = job.labels.iter().map(|(key, value)| format!("{key}={value}"));
    let labels = Some(labels.collect::<Vec<_>>().join(" ")).filter(|all| !all.is_empty());
    let retries = job.retry.as_ref().map(|retry| {
        format!("{} of {} used, after {}", retry.used, retry.max, retry.on.join(", "))
    });
    [
        plain("Asks for", Some(words::asks(job))),
        plain("Holds", holds),
        clock("Submitted", Some(&job.submit_time)),
        clock("Started", job.start_time.as_deref()),
        clock("Ended", job.end_time.as_deref()),
        clock("Ends by", job.expected_end_time.as_deref()),
        plain("Exit code", job.exit_code.clone()),
        plain("Retries", retries),
        code("Waits for", &job.dependency),
        code("Early signal", &job.signal),
        code("Command", &job.command),
        code("Folder", &job.working_directory),
        code("Output", &job.stdout_path),
        code("Labels", &labels),
        plain("Comment", job.comment.clone()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The first of those that wait, and how many more there are.
fn who_waits(Dependents { jobs, has_more }: &Dependents) -> Option<Then> {
    let named = |job: &Job| (words::path(job), job.shown_id(), job.name.clone());
    let first: Vec<_> = jobs.iter().take(THEN).map(named).collect();
    let more = words::number(jobs.len().saturating_sub(THEN) as u64);
    let rest = match (jobs.len(), has_more) {
        (0, _) => return None,
        (_, true) => format!("and more than {more} more wait for it"),
        (1, false) => "waits for it".to_owned(),
        (n, false) if n > THEN => format!("and {more} more wait for it"),
        _ => "wait for it".to_owned(),
    };
    Some(Then { jobs: first, rest })
}

fn used(job: &Job, known: Option<(&JobUsage, &Efficiency)>) -> Vec<Used> {
    let Some((usage, of)) = known else {
        let words = "not shown to you".to_owned();
        return vec![Used { name: "CPU", words, path: String::new() }];
    };
    let start = words::moment(usage.start.as_deref()).map_or(0, |at| at.0 / SECOND_US);
    let step = i64::from(usage.step_s);
    let path = |values: Vec<Option<f64>>, top: f64| {
        let end = start + values.len() as i64 * step;
        let at = |(n, value): (usize, &Option<f64>)| (start + n as i64 * step, *value);
        let steps: Vec<_> = values.iter().enumerate().map(at).collect();
        chart::area(&steps, end, Scale { from: start, until: end, top })
    };
    let unknown = || "not known".to_owned();
    let now = job.usage_now.as_ref().and_then(|now| now.cpus_busy);
    let busy = now.map(|busy| (busy, "now")).or(of.cpu.used.map(|busy| (busy, "in the mean")));
    let busy = busy.map(|(busy, when)| format!("{busy:.1} of {} busy {when}", of.cpu.asked));
    let asked = of.memory.asked_bytes.and_then(|n| u64::try_from(n).ok());
    let most = of.memory.used_bytes;
    let memory = |most: u64| match asked {
        Some(asked) => format!("{} of {} at most", words::size(most), words::size(asked)),
        None => format!("{} at most", words::size(most)),
    };
    let top = asked.or(most).unwrap_or(1) as f64;
    let bytes = |one: &Option<u64>| one.map(|n| n as f64);
    let mut all = vec![
        Used {
            name: "CPU",
            words: busy.unwrap_or_else(unknown),
            path: path(usage.cpus_busy.clone(), f64::from(usage.cpus)),
        },
        Used {
            name: "Memory",
            words: most.map_or_else(unknown, memory),
            path: path(usage.rss_bytes.iter().map(bytes).collect(), top),
        },
    ];
    if let Some(gpu) = of.gpu {
        let loads = usage.gpu_load.iter().map(|one| one.map(f64::from)).collect();
        let busy = gpu.used.map(|used| format!("{used:.1} of {} busy in the mean", gpu.asked));
        let words = busy.unwrap_or_else(unknown);
        all.push(Used { name: "GPU", words, path: path(loads, 1_000.0) });
    }
    all
}
