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
use super::print::{print, say, say_json};
use super::{table, times};
use crate::api::wire::v1::{UsageLine, UsageReport};
use crate::clock;
use crate::text::duration::short;
use crate::text::when;

/// By what, and when.
#[derive(clap::Args, Clone, Debug)]
pub struct UsageArgs {
    #[command(flatten)]
    connect: Connect,
    /// By what to add up
    #[arg(long, value_name = "WHAT", default_value = "user", value_parser = ["user", "account"])]
    by: String,
    /// From when on: today, yesterday, 2026-11-22, now-7days
    #[arg(long, value_name = "WHEN", default_value = "today", value_parser = passed)]
    since: String,
    /// Until when [default: now]
    #[arg(long, value_name = "WHEN", value_parser = passed)]
    until: Option<String>,
    /// Print CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print the server's JSON
    #[arg(long)]
    json: bool,
}

/// A time that has passed, as the server reads it.
fn passed(text: &str) -> Result<String, String> {
    when::parse_past(text).map(clock::rfc3339)
}

pub(super) fn run(args: &UsageArgs) -> Result<u8, CliError> {
    let mut pairs = vec![("by", args.by.clone()), ("since", args.since.clone())];
    pairs.extend(args.until.iter().map(|until| ("until", until.clone())));
    let path = format!("/api/v1/usage{}", query(&pairs));
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
    let header = [
        by.as_str(),
        "CPU HOURS",
        "GPU HOURS",
        "JOBS",
        "COMPLETED",
        "FAILED",
        "CANCELLED",
        "RUNNING",
        "MEAN WAIT",
    ];
    say(&table::table(&header, report.lines.iter().map(row).collect()))?;
    Ok(0)
}

fn row(one: &UsageLine) -> Vec<Cell> {
    let name = if one.name.is_empty() { "-" } else { &one.name };
    let wait = one.mean_wait_s.map_or_else(|| "-".to_owned(), |s| short(s.round() as i64));
    let mut cells = vec![
        Cell::new(name),
        Cell::new(format!("{:.2}", one.cpu_hours)),
        Cell::new(format!("{:.2}", one.gpu_hours)),
    ];
    cells.extend([one.jobs, one.completed, one.failed, one.cancelled, one.running].map(Cell::new));
    cells.push(Cell::new(wait));
    cells
}

fn csv(report: &UsageReport) -> Result<String, CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::Other(format!("no CSV: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Its head is there for nobody's usage too.
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
    ];
    writer.write_record(head).map_err(|error| failed(&error))?;
    for one in &report.lines {
        let wait = one.mean_wait_s.map(|s| format!("{s:.3}")).unwrap_or_default();
        let hours = [one.cpu_hours, one.gpu_hours].map(|hours| format!("{hours:.6}"));
        let counts = [one.jobs, one.completed, one.failed, one.cancelled, one.running];
        let counts = counts.map(|n| n.to_string());
        let name = std::slice::from_ref(&one.name);
        let all = name.iter().chain(&hours).chain(&counts).chain([&wait]);
        writer.write_record(all).map_err(|error| failed(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}
