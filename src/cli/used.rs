//! *Purpose*: `downbeat usage`.
//!
//! *Owns*: its flags, its table, its CSV.
//!
//! *Promises*: `--json` is the server's answer; `--csv` has a head, and quotes what needs it.
//!
//! *Not here*: adding up (the server's).

use comfy_table::Cell;

use super::client::{Client, Connect, query};
use super::error::CliError;
use super::print::{print, remark, say, say_json};
use super::{table, times};
use crate::api::wire::v1::{UsageLine, UsageReport};
use crate::clock::{self, LocalTime};
use crate::text::duration::short;
use crate::text::when;
use crate::time::Time;

/// By what, and when.
#[derive(clap::Args, Clone, Debug)]
pub struct UsageArgs {
    #[command(flatten)]
    connect: Connect,
    /// By what to add up
    #[arg(long, value_name = "WHAT", default_value = "user",
        value_parser = ["user", "account", "name", "day"])]
    by: String,
    /// From when on: today, yesterday, 2026-11-22, now-7days [default: today; by day seven days]
    #[arg(long, value_name = "WHEN", value_parser = passed)]
    since: Option<Time>,
    /// Until when [default: now]
    #[arg(long, value_name = "WHEN", value_parser = passed)]
    until: Option<Time>,
    /// Print CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print the server's JSON
    #[arg(long)]
    json: bool,
}

/// Days that are shown where no time is named, this one among them.
const DAYS: u64 = 7;
/// The most days that the server tells apart.
const DAYS_MAX: u64 = 366;

/// A time that has passed.
fn passed(text: &str) -> Result<Time, String> {
    when::parse_past(text)
}

/// What the server is asked for. Days are those of the calendar here: where a clock is set forward
/// or back they are shorter or longer.
fn pairs(args: &UsageArgs) -> Result<Vec<(&'static str, String)>, CliError> {
    let is_by_day = args.by == "day";
    let until = args.until.unwrap_or_else(clock::now);
    let (now, last) = (LocalTime::of(clock::now()), LocalTime::of(until));
    let midnight = |of: LocalTime| LocalTime { hour: 0, minute: 0, second: 0, ..of };
    let first = midnight(now).minus_days(if is_by_day { DAYS - 1 } else { 0 });
    let since = args.since.or_else(|| first.and_then(LocalTime::moment));
    let since = since.ok_or_else(|| CliError::Usage("--since: say a time".to_owned()))?;
    let mut pairs = vec![("by", args.by.clone()), ("since", clock::rfc3339(since))];
    pairs.extend(args.until.map(|until| ("until", clock::rfc3339(until))));
    if is_by_day {
        let back = |n: u64| midnight(last).minus_days(n).and_then(LocalTime::moment);
        let days = (0..DAYS_MAX).map_while(back).take_while(|day| *day > since);
        let mut days: Vec<String> = days.map(clock::rfc3339).collect();
        days.reverse();
        if !days.is_empty() {
            pairs.push(("days", days.join(",")));
        }
    }
    Ok(pairs)
}

pub(super) fn run(args: &UsageArgs) -> Result<u8, CliError> {
    let path = format!("/api/v1/usage{}", query(&pairs(args)?));
    let answer = Client::new(&args.connect)?.get(&path)?;
    if args.json {
        say_json(&answer.text)?;
        return Ok(0);
    }
    let report: UsageReport = answer.parse()?;
    if args.csv {
        print(&csv(&report)?)?;
        return Ok(0);
    }
    let (since, until) = (times::here(&report.since), times::here(&report.until));
    if report.lines.is_empty() {
        say(&format!("nothing was used from {since} to {until}"))?;
        return Ok(0);
    }
    say(&format!("from {since} to {until}"))?;
    let by = report.by.to_uppercase();
    let header =
        [by.as_str(), "CPU H", "USED H", "EFF", "GPU H", "GIB H", "JOBS", "FAILED", "RUN", "WAIT"];
    say(&table::figures(&header, report.lines.iter().map(|one| row(&report.by, one)).collect()))?;
    if report.left_off > 0 {
        remark(&format!("{} more lines are left off", report.left_off));
    }
    Ok(0)
}

/// The name of a line as people say it; a day as its date.
fn named(by: &str, name: &str) -> String {
    match (by, clock::parse_rfc3339(name)) {
        ("day", Some(day)) => {
            let day = LocalTime::of(day);
            format!("{}-{:02}-{:02}", day.year, day.month, day.day)
        }
        _ => name.to_owned(),
    }
}

fn row(by: &str, one: &UsageLine) -> Vec<Cell> {
    let name = if one.name.is_empty() { "-".to_owned() } else { named(by, &one.name) };
    let unknown = || "-".to_owned();
    let wait = one.mean_wait_s.map_or_else(unknown, |s| short(s.round() as i64));
    let part = one.cpu_efficiency.map_or_else(unknown, |part| format!("{:.0}%", 100.0 * part));
    // In 80 columns: a hundredth of a thousand hours is no news.
    let hours = |hours: f64| Cell::new(format!("{hours:.*}", if hours < 100.0 { 2 } else { 0 }));
    let mut cells = vec![Cell::new(name), hours(one.cpu_hours), hours(one.cpu_used_hours)];
    cells.extend([Cell::new(part), hours(one.gpu_hours), hours(one.memory_gib_hours)]);
    cells.extend([one.jobs, one.failed, one.running].map(Cell::new));
    cells.push(Cell::new(wait));
    cells
}

fn csv(report: &UsageReport) -> Result<String, CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::Other(format!("no CSV: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Its head is there for nobody's usage too; what came later stands behind.
    let head = [
        report.by.as_str(),
        "cpu_hours",
        "gpu_hours",
        "jobs",
        "completed",
        "failed",
        "cancelled",
        "running",
        "mean_wait_s",
        "cpu_used_hours",
        "cpu_efficiency",
        "memory_gib_hours",
    ];
    writer.write_record(head).map_err(|error| failed(&error))?;
    for one in &report.lines {
        let part = |value: Option<f64>| value.map(|s| format!("{s:.3}")).unwrap_or_default();
        let hours = |hours: f64| format!("{hours:.6}");
        let counts = [one.jobs, one.completed, one.failed, one.cancelled, one.running];
        let mut all = vec![named(&report.by, &one.name), hours(one.cpu_hours)];
        all.push(hours(one.gpu_hours));
        all.extend(counts.map(|n| n.to_string()));
        all.extend([part(one.mean_wait_s), hours(one.cpu_used_hours)]);
        all.extend([part(one.cpu_efficiency), hours(one.memory_gib_hours)]);
        writer.write_record(&all).map_err(|error| failed(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}
