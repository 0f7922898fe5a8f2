//! *Purpose*: `downbeat partitions`.
//!
//! *Owns*: the table of partitions.
//!
//! *Promises*: `--json` is the server's answer.
//!
//! *Not here*: setting them up (`config::partitions`).

use comfy_table::Cell;

use super::client::{Client, Connect};
use super::error::CliError;
use super::print::{say, say_json};
use super::table;
use crate::api::wire::v1::Partition;
use crate::text::cpu_list;
use crate::text::size::shown;
use crate::text::time_limit::format_limit;

/// Of which server.
#[derive(clap::Args, Clone, Debug)]
pub struct PartitionsArgs {
    #[command(flatten)]
    connect: Connect,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &PartitionsArgs) -> Result<u8, CliError> {
    let answer = Client::new(&args.connect)?.get("/api/v1/partitions")?;
    if args.json {
        say_json(&answer.text)?;
        return Ok(0);
    }
    let all: Vec<Partition> = answer.parse()?;
    let header =
        ["PARTITION", "STATE", "CPUS", "TOTAL", "FREE", "RUNNING", "PENDING", "LIMIT", "EACH JOB"];
    say(&table::table(&header, all.iter().map(row).collect()))?;
    Ok(0)
}

fn row(one: &Partition) -> Vec<Cell> {
    // As `sinfo` marks it.
    let star = if one.default { "*" } else { "" };
    let cpus = one.max_cpus_per_job.map(|n| match n {
        1 => "1 CPU".to_owned(),
        n => format!("{n} CPUs"),
    });
    let memory = one.max_memory_bytes_per_job.map(shown);
    let each: Vec<String> = cpus.into_iter().chain(memory).collect();
    vec![
        Cell::new(format!("{}{star}", one.name)),
        Cell::new(&one.state),
        Cell::new(cpu_list::format(one.cpu_ids.iter().map(|cpu| cpu.0))),
        Cell::new(one.total_cpus),
        Cell::new(one.available_cpus),
        Cell::new(one.running_jobs),
        Cell::new(one.pending_jobs),
        Cell::new(format_limit(one.max_time_limit_s.map(i64::from))),
        Cell::new(if each.is_empty() { "-".to_owned() } else { each.join(", ") }),
    ]
}
