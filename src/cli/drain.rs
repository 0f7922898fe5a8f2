//! *Purpose*: `downbeat drain` and `downbeat resume`.
//!
//! *Owns*: their flags.
//!
//! *Promises*: what is printed is durable.
//!
//! *Not here*: what a window does (`kernel::commands::maintenance`).

use super::client::{Client, Connect};
use super::error::CliError;
use super::moment::as_sent;
use super::print::{say, say_json};
use crate::api::wire::maintenance::{Window, WindowBody};

/// When, and what for.
#[derive(clap::Args, Clone, Debug)]
pub struct DrainArgs {
    #[command(flatten)]
    connect: Connect,
    /// From when on no job may run: 2026-11-22T16:00:00Z, now+2h [default: now]
    #[arg(long, value_name = "WHEN")]
    from: Option<String>,
    /// Until when [default: until `downbeat resume`]
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Which windows.
#[derive(clap::Args, Clone, Debug)]
pub struct ResumeArgs {
    #[command(flatten)]
    connect: Connect,
    /// Only this window, also before it has begun [default: all that have begun]
    #[arg(value_name = "ID")]
    id: Option<i64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A window in a line.
pub(super) fn line(window: &Window) -> String {
    let until = window.end_time.as_deref().unwrap_or("`downbeat resume`");
    let why = if window.reason.is_empty() { "" } else { ": " };
    let Window { id, start_time, reason, .. } = window;
    format!("window {id}: no job may run from {start_time} until {until}{why}{reason}")
}

pub(super) fn drain(args: &DrainArgs) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    let body = WindowBody {
        start_time: as_sent("--from", args.from.as_deref(), "")?,
        end_time: as_sent("--until", args.until.as_deref(), "")?,
        reason: args.reason.clone(),
    };
    let body = serde_json::to_string(&body)
        .map_err(|error| CliError::Other(format!("the window makes no JSON: {error}")))?;
    let answer = client.post("/api/v1/maintenance", &body, None)?;
    if args.json {
        say_json(&answer.text)?;
        return Ok(0);
    }
    say(&line(&answer.parse()?))?;
    Ok(0)
}

pub(super) fn resume(args: &ResumeArgs) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    let path = match args.id {
        Some(id) => format!("/api/v1/maintenance/{id}"),
        None => "/api/v1/maintenance".to_owned(),
    };
    let answer = client.delete(&path)?;
    if args.json {
        say_json(&answer.text)?;
        return Ok(0);
    }
    let gone: Vec<Window> = answer.parse()?;
    if gone.is_empty() {
        say("the server was not drained")?;
    }
    for window in gone {
        say(&format!("window {} is over; jobs start again", window.id))?;
    }
    Ok(0)
}
