//! *Purpose*: `downbeat simulate TRACE`.
//!
//! *Owns*: the figures of a schedule as a block, several policies beside one another as a table,
//! JSON; the files of `--waits` and `--svg`.
//!
//! *Promises*: it asks no server; one policy is told in full, of several each has one row, beside
//! the first; `--json` holds every figure, and the hash by which another simulator can be compared.
//!
//! *Not here*: traces, simulated time and figures (`crate::simulate`).

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use comfy_table::Cell;
use serde::Serialize;

use super::error::CliError;
use super::print::{remark, say, say_json};
use super::progress::Progress;
use super::table;
use crate::clock;
use crate::simulate::curve::Curve;
use crate::simulate::picture;
use crate::simulate::replay::{Clock, Setting, replay};
use crate::simulate::summary::{Summary, TAU_S, waits_text};
use crate::simulate::swf::{self, STDIN, Trace};
use crate::text::duration::format_dhms;

/// Passes from one sign of progress to the next: a fraction of a second.
const PASSES_A_SIGN: u64 = 4_096;

/// Of which traces, under which policies.
#[derive(clap::Args, Clone, Debug)]
pub struct SimulateArgs {
    /// Traces in the Standard Workload Format, as they are or packed by gzip; `-` is stdin
    #[arg(value_name = "TRACE.swf[.gz]", required = true)]
    traces: Vec<PathBuf>,
    /// ORDER[+BACKFILL[:BFORDER]][@THRESHOLD][/tickS]; several (repeated, or with commas) are
    /// compared
    #[arg(long, value_delimiter = ',', default_values_t = [Setting::default()])]
    policy: Vec<Setting>,
    /// Processors of the machine [default: what the trace's header says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    cpus: Option<u32>,
    /// What follows what within one instant
    #[arg(long, value_enum, default_value_t = Mode::Batch)]
    mode: Mode,
    /// What the scheduler knows of run times
    #[arg(long, value_enum, default_value_t = Estimates::Request)]
    estimates: Estimates,
    /// Write a line `number wait` for each job to this file; `-` is stdout
    #[arg(long, value_name = "FILE")]
    waits: Option<PathBuf>,
    /// Draw the queue and the utilisation over time into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print JSON: an object, or an array for several traces or policies
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// Whatever ends, then whatever is submitted, then one pass
    Batch,
    /// A pass after each submission and each ending, as in the simulator pyss
    Sequential,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Estimates {
    /// What each job asked for
    Request,
    /// How long each job really ran
    Clairvoyant,
}

/// One schedule, as JSON has it.
#[derive(Serialize)]
struct Report<'a> {
    trace: &'a str,
    policy: String,
    mode: Mode,
    estimates: Estimates,
    #[serde(flatten)]
    summary: &'a Summary,
    seconds: f64,
    jobs_per_second: f64,
}

/// One schedule, and how long the simulation of it took.
struct Run {
    setting: Setting,
    summary: Summary,
    seconds: f64,
}

pub(super) fn run(args: &SimulateArgs) -> Result<u8, CliError> {
    args.check()?;
    let mut reports = Vec::new();
    for (n, path) in args.traces.iter().enumerate() {
        let trace = swf::read(path, args.cpus)?;
        if let Some((lines, first)) = trace.longer {
            remark(&format!(
                "{}: {lines} lines, the first of them line {first}, have more than the 18 fields \
                 of the format; what is behind these is not read",
                trace.name
            ));
        }
        let mut runs = Vec::new();
        for policy in &args.policy {
            runs.push(args.simulated(&trace, *policy)?);
        }
        if args.json {
            for run in &runs {
                reports.push(args.report(&trace, run)?);
            }
            continue;
        }
        let text = match runs.as_slice() {
            [only] => args.told(&trace, only),
            several => compared(&trace, several),
        };
        if args.waits_to_stdout() {
            // Whoever pipes the waits into a hash wants nothing else there.
            remark(text.trim_end());
        } else {
            say(&if n > 0 { format!("\n{text}") } else { text })?;
        }
    }
    match reports.as_slice() {
        [] => {}
        [only] => say_json(only)?,
        several => say_json(&format!("[{}]", several.join(",")))?,
    }
    Ok(0)
}

impl SimulateArgs {
    /// What cannot be asked for together.
    fn check(&self) -> Result<(), CliError> {
        let several = self.traces.len() > 1 || self.policy.len() > 1;
        for (flag, file) in [("--waits", &self.waits), ("--svg", &self.svg)] {
            if several && file.is_some() {
                return usage(format!("{flag} is for one schedule: give one trace and one policy"));
            }
        }
        let stdin = self.traces.iter().filter(|path| path.as_path() == Path::new(STDIN));
        if stdin.count() > 1 {
            return usage("stdin is one trace: give - once".to_owned());
        }
        if self.json && self.waits_to_stdout() {
            return usage("--waits - and --json both need stdout: give --waits a file".to_owned());
        }
        let ticking = self.policy.iter().find(|setting| setting.tick_s.is_some());
        match ticking.filter(|_| self.mode == Mode::Sequential) {
            None => Ok(()),
            Some(setting) => usage(format!(
                "{setting} makes its passes at set times, --mode sequential after each event: \
                 leave out one of the two"
            )),
        }
    }

    fn waits_to_stdout(&self) -> bool {
        self.waits.as_deref() == Some(Path::new("-"))
    }

    /// Simulates one schedule and writes its files.
    fn simulated(&self, trace: &Trace, policy: Setting) -> Result<Run, CliError> {
        let clock = match self.mode {
            Mode::Batch => Clock::Batch,
            Mode::Sequential => Clock::Sequential,
        };
        let clairvoyant = self.estimates == Estimates::Clairvoyant;
        let setting = Setting { clock, clairvoyant, ..policy };
        let what = format!("{}, {setting}", trace.name);
        let progress = Progress::start(what.clone());
        let mut curve = self.svg.as_ref().map(|_| Curve::default());
        let (mut passes, mut started) = (0_u64, 0);
        let begun = clock::monotonic();
        let outcome = replay(trace, setting, &mut |input, plan| {
            if let Some(curve) = &mut curve {
                curve.look(input);
            }
            (passes, started) = (passes + 1, started + plan.start.len());
            if passes.is_multiple_of(PASSES_A_SIGN) {
                progress.update(format!("{what}: {} %", started * 100 / trace.jobs.len()));
            }
        });
        let seconds = begun.elapsed().as_secs_f64();
        drop(progress);
        if self.waits_to_stdout() {
            say(&waits_text(trace, &outcome))?;
        } else if let Some(file) = &self.waits {
            write(file, &waits_text(trace, &outcome))?;
        }
        if let (Some(file), Some(curve)) = (&self.svg, &curve) {
            let drawn = picture::svg(curve, &what);
            write(file, &drawn.map_err(|error| CliError::Other(error.to_string()))?)?;
        }
        Ok(Run { setting, summary: Summary::of(trace, &outcome), seconds })
    }

    fn report(&self, trace: &Trace, run: &Run) -> Result<String, CliError> {
        let report = Report {
            trace: &trace.name,
            policy: run.setting.to_string(),
            mode: self.mode,
            estimates: self.estimates,
            summary: &run.summary,
            seconds: run.seconds,
            jobs_per_second: run.jobs_per_second(),
        };
        serde_json::to_string(&report).map_err(|error| CliError::Other(error.to_string()))
    }

    /// One schedule for people.
    fn told(&self, trace: &Trace, run: &Run) -> String {
        let s = &run.summary;
        let known = match self.estimates {
            Estimates::Request => "each job's request is known beforehand",
            Estimates::Clairvoyant => "each job's run time is known beforehand",
        };
        let mode = self.mode.to_possible_value();
        let mode = mode.as_ref().map_or("", |mode| mode.get_name());
        let lines = [
            ("trace", format!("{}, {} processors", trace.name, s.processors)),
            ("policy", format!("{}, {mode} mode, {known}", run.setting)),
            ("jobs", format!("{}, and {} dropped", grouped(s.jobs), grouped(s.dropped))),
            ("mean wait", span(s.wait_mean)),
            ("median wait", span(s.wait_median as f64)),
            ("95 % waited at most", span(s.wait_p95 as f64)),
            ("longest wait", span(s.wait_max as f64)),
            ("mean bounded slowdown", format!("{:.2}, tau {TAU_S} s", s.slowdown_mean)),
            ("utilisation", format!("{:.2} %", s.utilization * 100.0)),
            ("makespan", span(s.makespan as f64)),
            (
                "wide jobs",
                format!("{}, the widest 1 %: from {} processors on", s.wide_jobs, s.wide_at),
            ),
            ("their mean wait", span(s.wide_wait_mean)),
            ("their longest wait", span(s.wide_wait_max as f64)),
            ("SHA-256 of the waits", s.waits_sha256.clone()),
            ("simulated", format!("{} jobs/s", grouped(run.jobs_per_second().round()))),
        ];
        table::block(&lines.map(|(key, value)| (key, Some(value))))
    }
}

impl Run {
    fn jobs_per_second(&self) -> f64 {
        // A clock may tick slower than a short trace is simulated.
        self.summary.jobs as f64 / self.seconds.max(1e-9)
    }
}

const HEADER: [&str; 10] = [
    "POLICY",
    "MEAN WAIT",
    "MEDIAN",
    "P95",
    "LONGEST",
    "SLOWDOWN",
    "UTIL",
    "MAKESPAN",
    "WIDE MEAN",
    "WIDE LONGEST",
];

/// Several schedules of one trace for people.
fn compared(trace: &Trace, runs: &[Run]) -> String {
    let Some(first) = runs.first().map(|run| &run.summary) else { return String::new() };
    let row = |run: &Run| {
        let s = &run.summary;
        let beside = |shown: String, value: f64, first: f64| {
            Cell::new(if first > 0.0 { format!("{shown} ×{:.2}", value / first) } else { shown })
        };
        let seconds = |value: f64, first: f64| beside(grouped(value.round()), value, first);
        let slowdown = format!("{:.2}", s.slowdown_mean);
        vec![
            Cell::new(run.setting),
            seconds(s.wait_mean, first.wait_mean),
            Cell::new(grouped(s.wait_median)),
            Cell::new(grouped(s.wait_p95)),
            seconds(s.wait_max as f64, first.wait_max as f64),
            beside(slowdown, s.slowdown_mean, first.slowdown_mean),
            Cell::new(format!("{:.2}%", s.utilization * 100.0)),
            Cell::new(grouped(s.makespan)),
            seconds(s.wide_wait_mean, first.wide_wait_mean),
            seconds(s.wide_wait_max as f64, first.wide_wait_max as f64),
        ]
    };
    let rows = runs.iter().map(row).collect();
    format!(
        "{}: {} jobs on {} processors, {} dropped; times in seconds, × the first row's, wide: \
         the widest 1 %\n{}\n",
        trace.name,
        grouped(first.jobs),
        first.processors,
        grouped(first.dropped),
        table::figures(&HEADER, rows)
    )
}

/// Seconds, and as days and a time.
fn span(seconds: f64) -> String {
    let seconds = seconds.round();
    format!("{} s ({})", grouped(seconds), format_dhms(seconds as i64))
}

/// A whole number with a comma between thousands.
fn grouped(number: impl ToString) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn usage(sentence: String) -> Result<(), CliError> {
    Err(CliError::Usage(sentence))
}

fn write(file: &Path, text: &str) -> Result<(), CliError> {
    let failed = |error| CliError::Other(format!("{} cannot be written: {error}", file.display()));
    std::fs::write(file, text).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let said: Vec<String> = [0, 999, 1_000, 28_481, 1_119_587].map(grouped).into();
        assert_eq!(said, ["0", "999", "1,000", "28,481", "1,119,587"]);
    }

    #[test]
    fn a_span_is_told_in_seconds_and_in_days() {
        assert_eq!(span(93_784.4), "93,784 s (1-02:03:04)");
    }
}
