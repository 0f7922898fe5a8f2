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
use super::times;
use crate::api::wire::maintenance::{Window, WindowBody};
use crate::clock;
use crate::text::when::{self, Zone};

/// When, and what for.
#[derive(clap::Args, Clone, Debug)]
pub struct DrainArgs {
    #[command(flatten)]
    connect: Connect,
    /// From when on no job may run: 2026-11-22T16:00, 16:00, tomorrow, now+2h [default: now]
    #[arg(long, value_name = "WHEN", value_parser = ahead)]
    from: Option<String>,
    /// Until when [default: until `downbeat resume`]
    #[arg(long, value_name = "WHEN", value_parser = ahead)]
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

/// A time to come on the clock of this place, as the server reads it.
fn ahead(text: &str) -> Result<String, String> {
    when::parse(text, Zone::Local).map(clock::rfc3339)
}

/// A window in a line.
pub(super) fn line(window: &Window) -> String {
    let until = window.end_time.as_deref().map(times::here);
    let until = until.unwrap_or_else(|| "`downbeat resume`".to_owned());
    let why = if window.reason.is_empty() { "" } else { ": " };
    let Window { id, start_time, reason, .. } = window;
    let from = times::here(start_time);
    format!("window {id}: no job may run from {from} until {until}{why}{reason}")
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
    let left: Vec<Window> = client.get("/api/v1/maintenance")?.parse()?;
    for window in gone {
        say(&gone_by(&window, left.iter().find(|left| left.active)))?;
    }
    Ok(0)
}

/// What it means that a window is gone, while another may keep jobs from starting.
fn gone_by(window: &Window, left: Option<&Window>) -> String {
    let id = window.id;
    match (window.active, left) {
        (false, _) => format!("window {id} had not begun; it is taken back"),
        (true, Some(left)) => {
            format!("window {id} is over; jobs still wait, for {}", line(left))
        }
        (true, None) => format!("window {id} is over; jobs start again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_had_not_begun_is_not_over() {
        let window = |id, active| Window {
            id,
            start_time: "2026-11-22T03:42:17Z".to_owned(),
            end_time: None,
            reason: "disks".to_owned(),
            principal: "ann".to_owned(),
            active,
        };
        let (planned, now) = (window(1, false), window(2, true));
        assert_eq!(gone_by(&planned, None), "window 1 had not begun; it is taken back");
        assert_eq!(gone_by(&now, None), "window 2 is over; jobs start again");
        let still = gone_by(&now, Some(&window(3, true)));
        assert!(still.starts_with("window 2 is over; jobs still wait, for window 3: no job may"));
        assert!(still.ends_with(" until `downbeat resume`: disks"), "{still}");
    }
}
