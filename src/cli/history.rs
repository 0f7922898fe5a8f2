//! *Purpose*: `downbeat history`.
//!
//! *Owns*: its flags and its table.
//!
//! *Promises*: the newest stands last, as in a shell's history; `--json` is the server's answer,
//! newest first.
//!
//! *Not here*: who may read it (the server's).

use comfy_table::Cell;

use super::client::{Client, Connect, query};
use super::error::CliError;
use super::print::{say, say_json};
use super::{table, times};
use crate::api::wire::v1::HistoryEntry;

/// Whose, and about what.
#[derive(clap::Args, Clone, Debug)]
pub struct HistoryArgs {
    #[command(flatten)]
    connect: Connect,
    /// What this user asked for
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// What was asked for about this job
    #[arg(long, value_name = "ID")]
    job: Option<i64>,
    /// At most so many, the newest; 1 to 1000
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    limit: u32,
    /// Print the server's JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &HistoryArgs) -> Result<u8, CliError> {
    let mut pairs = vec![("limit", args.limit.to_string())];
    pairs.extend(args.user.iter().map(|user| ("user", user.clone())));
    pairs.extend(args.job.iter().map(|job| ("job", job.to_string())));
    let path = format!("/api/v1/history{}", query(&pairs));
    let answer = Client::new(&args.connect)?.get(&path)?;
    if args.json {
        say_json(&answer.text)?;
        return Ok(0);
    }
    let mut all: Vec<HistoryEntry> = answer.parse()?;
    if all.is_empty() {
        say("nobody has asked for anything that is remembered")?;
        return Ok(0);
    }
    all.reverse();
    let header = ["TIME", "USER", "ROLE", "VIA", "WHAT", "JOBS", "FROM"];
    say(&table::table(&header, all.iter().map(row).collect()))?;
    Ok(0)
}

fn row(one: &HistoryEntry) -> Vec<Cell> {
    let user = match one.uid {
        Some(uid) => format!("{} ({uid})", one.user),
        None => one.user.clone(),
    };
    let what = match &*one.detail {
        "" => one.verb.clone(),
        detail => format!("{} ({detail})", one.verb),
    };
    let jobs = match (one.job_id, one.count) {
        (None, _) => "-".to_owned(),
        (Some(job), 0 | 1) => job.to_string(),
        (Some(job), n) => format!("{job}-{}", job.0 + i64::from(n) - 1),
    };
    let process = one.process_id.map(|pid| format!("process {pid}"));
    let from = one.token.clone().or(process).or_else(|| one.remote.clone());
    let from = from.unwrap_or_else(|| "-".to_owned());
    let texts = [times::here(&one.time), user, one.role.clone(), one.via.clone(), what, jobs, from];
    texts.into_iter().map(Cell::new).collect()
}
