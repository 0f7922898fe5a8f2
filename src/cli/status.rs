//! *Purpose*: `downbeat status`.
//!
//! *Owns*: the server in a few lines.
//!
//! *Promises*: `--json` is the server's `/resources` with `health` and `job_stats` added.
//!
//! *Not here*: single jobs (`cli::queue`).

use serde_json::{Map, Value, json};

use super::client::{Client, Connect};
use super::error::CliError;
use super::print::{say, say_json};
use super::table;
use crate::api::wire::maintenance::Window;
use crate::api::wire::resources::ResourceState;
use crate::api::wire::seed::Dashboard;
use crate::api::wire::v1::Resources;
use crate::resources::inventory;
use crate::text::size::shown;

/// Of which server.
#[derive(clap::Args, Clone, Debug)]
pub struct StatusArgs {
    #[command(flatten)]
    connect: Connect,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `gpu 1 of 4 held, 1 held back`.
fn other(one: &ResourceState) -> String {
    let amount = |n: u64| inventory::amount(&one.name, n);
    let held_back = one.units.iter().filter(|unit| unit.held_back.is_some()).count();
    let held_back = if held_back > 0 { format!(", {held_back} held back") } else { String::new() };
    match one.total {
        Some(total) => {
            format!("{} {} of {} held{held_back}", one.name, amount(one.used), amount(total))
        }
        None => format!("{} {} held, not counted", one.name, amount(one.used)),
    }
}

pub(super) fn run(args: &StatusArgs) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    let health = match client.get("/health/ready") {
        Ok(_) => "ready".to_owned(),
        Err(CliError::Refused { message, .. }) => format!("not ready: {message}"),
        Err(error) => return Err(error),
    };
    let answer = client.get("/api/v1/resources")?;
    let dashboard: Dashboard = client.get("/api/v1/dashboard")?.parse()?;
    let stats = dashboard.job_stats;
    if args.json {
        let mut all: Map<String, Value> = answer.parse()?;
        all.insert("health".to_owned(), json!(health));
        all.insert("job_stats".to_owned(), json!(stats));
        say_json(&Value::Object(all).to_string())?;
        return Ok(0);
    }
    let resources: Resources = answer.parse()?;
    let cpus = format!(
        "{} of {} in use ({:.1} %)",
        resources.used_cpus, resources.total_cpus, resources.utilization
    );
    let used = shown(resources.used_memory_bytes);
    let memory = match resources.total_memory_bytes {
        Some(total) => format!("{used} of {} held", shown(total)),
        None => format!("{used} held, not counted"),
    };
    let others: Vec<String> = resources.resources.iter().map(other).collect();
    let jobs = format!(
        "{} running, {} pending, {} completed, {} failed, {} cancelled, {} in all",
        stats.running, stats.pending, stats.completed, stats.failed, stats.cancelled, stats.total
    );
    let windows: Vec<Window> = client.get("/api/v1/maintenance")?.parse()?;
    let windows: Vec<String> = windows.iter().map(super::drain::line).collect();
    say(&table::block(&[
        ("server", Some(client.server().to_owned())),
        ("health", Some(health)),
        ("cpus", Some(cpus)),
        ("memory", Some(memory)),
        ("resources", (!others.is_empty()).then(|| others.join("; "))),
        ("jobs", Some(jobs)),
        ("maintenance", (!windows.is_empty()).then(|| windows.join("; "))),
    ]))?;
    Ok(0)
}
