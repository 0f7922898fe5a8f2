//! *Purpose*: what the demo prints.
//!
//! *Owns*: [`Screen`]: the live lines and the bar below them; the tables of the end.
//!
//! *Promises*: off a terminal plain lines and nothing else; a reader that went away stops no
//! demo, for it has a server to end.
//!
//! *Not here*: what is right and wrong (`verdict`).

use std::io::{IsTerminal, Write};

use comfy_table::Cell;
use indicatif::{ProgressBar, ProgressStyle};

use super::verdict::Evidence;
use crate::api::wire::v1::{AllocationRow, Event, Job, StateWord};
use crate::cli::table;
use crate::clock::parse_rfc3339;
use crate::time::Time;

/// Where the demo writes.
pub(super) struct Screen {
    bar: ProgressBar,
}

impl Screen {
    /// With a bar for so many jobs, on a terminal.
    pub fn start(jobs: usize) -> Screen {
        let screen = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        if !screen {
            return Screen { bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::new(jobs as u64);
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} [{bar:30}] {pos} of {len} jobs ended {msg}")
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(std::time::Duration::from_millis(120));
        Screen { bar }
    }

    /// A line above the bar.
    pub fn say(&self, text: &str) {
        self.bar.suspend(|| {
            let mut out = std::io::stdout().lock();
            let end = if text.ends_with('\n') { "" } else { "\n" };
            let _ = write!(out, "{text}{end}").and_then(|()| out.flush());
        });
    }

    /// A heading, set apart.
    pub fn heading(&self, text: &str) {
        self.say(&format!("\n== {text}"));
    }

    /// How far it is.
    pub fn ended(&self, jobs: usize, live: &[String]) {
        self.bar.set_position(jobs as u64);
        self.bar.set_message(match live {
            [] => String::new(),
            live => format!("- running: {}", live.join(", ")),
        });
    }

    /// No bar from here on.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// A transition in one line; those that tell nobody anything have none.
pub(super) fn transition(event: &Event, job: &Job, start: Time) -> Option<String> {
    let what = match event.to {
        StateWord::Pending => format!("asks for {}", counted(job.cpus)),
        // The grant goes before it by some milliseconds and says the same.
        StateWord::Running if event.cause != "started" => return None,
        StateWord::Running => match &job.allocation {
            Some(allocation) => format!("on {}", cpus(&allocation.cpu_ids)),
            None => String::new(),
        },
        StateWord::Completing => event.cause.replace('_', " "),
        _ => job.exit_code.clone().unwrap_or_default(),
    };
    let at = parse_rfc3339(&event.time).map_or(0, |time| time.0 - start.0);
    let (id, name, to) = (job.id, &job.name, event.to.word());
    Some(format!("{}  job {id:<3} {name:<12} {to:<11} {what}", seconds(at)).trim_end().to_owned())
}

/// The table of jobs.
pub(super) fn jobs(evidence: &Evidence) -> String {
    let rows = evidence.jobs.iter().map(|(example, job)| {
        let as_expected = if example.expected.is_met_by(job) {
            "yes".to_owned()
        } else {
            format!("NO: {} was due", example.expected)
        };
        vec![
            Cell::new(job.id),
            Cell::new(&job.name),
            table::state(job.state),
            Cell::new(job.exit_code.as_deref().unwrap_or("-")),
            Cell::new(job.cpus),
            Cell::new(span(job.start_time.as_deref(), job.end_time.as_deref())),
            Cell::new(as_expected),
        ]
    });
    let header = ["ID", "NAME", "STATE", "EXIT", "CPUS", "ELAPSED", "AS EXPECTED"];
    table::table(&header, rows.collect())
}

/// Who held which CPUs, oldest first, and what is held now.
pub(super) fn ledger(evidence: &Evidence) -> String {
    let mut rows: Vec<&AllocationRow> = evidence.allocations.iter().collect();
    rows.sort_by_key(|row| row.id);
    let rows = rows.into_iter().map(|row| {
        vec![
            Cell::new(row.job_id),
            Cell::new(cpus(&row.cpu_ids)),
            Cell::new(span(Some(&row.allocation_time), row.released_time.as_deref())),
            Cell::new(if row.released { "yes" } else { "NO" }),
        ]
    });
    let table = table::table(&["JOB", "HELD", "FOR", "RELEASED"], rows.collect());
    let resources = &evidence.resources;
    let free: Vec<String> = resources
        .cpus
        .iter()
        .map(|cpu| match cpu.job_id {
            None => format!("CPU {} free", cpu.id),
            Some(job) => format!("CPU {} held by job {job}", cpu.id),
        })
        .collect();
    let (used, total) = (resources.used_cpus, resources.total_cpus);
    format!("{table}\nledger: {used} of {total} CPUs in use: {}", free.join(", "))
}

/// The audit in a line.
pub(super) fn audit(evidence: &Evidence) -> String {
    let audit = &evidence.audit;
    match audit.consistent {
        true => format!(
            "audit: consistent; ledger, database and processes agree at commit {}",
            audit.commit_no
        ),
        false => format!("audit: NOT consistent; {} disagreements", audit.drift.len()),
    }
}

/// Seconds in a column.
pub(super) fn seconds(micros: i64) -> String {
    format!("{:>6.2} s", micros as f64 / 1e6)
}

fn span(since: Option<&str>, until: Option<&str>) -> String {
    match (since.and_then(parse_rfc3339), until.and_then(parse_rfc3339)) {
        (Some(since), Some(until)) => seconds(until.0 - since.0),
        _ => "-".to_owned(),
    }
}

fn counted(cpus: u32) -> String {
    if cpus == 1 { "1 CPU".to_owned() } else { format!("{cpus} CPUs") }
}

fn cpus<T: ToString>(ids: &[T]) -> String {
    let list: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!("{} {}", if ids.len() == 1 { "CPU" } else { "CPUs" }, list.join(","))
}
