//! *Purpose*: `downbeat audit`.
//!
//! *Owns*: nothing.
//!
//! *Promises*: exit 1 when ledger, database and processes disagree.
//!
//! *Not here*: the comparison (the server's).

use super::client::{Client, Connect};
use super::error::CliError;
use super::print::{say, say_json};
use crate::api::wire::v1::{Audit, Drift};

/// Of which server.
#[derive(clap::Args, Clone, Debug)]
pub struct AuditArgs {
    #[command(flatten)]
    connect: Connect,
    /// Print the server's JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &AuditArgs) -> Result<u8, CliError> {
    let answer = Client::new(&args.connect)?.get("/api/v1/audit")?;
    let audit: Audit = answer.parse()?;
    if args.json { say_json(&answer.text) } else { say(&told(&audit)) }?;
    Ok(u8::from(!audit.consistent))
}

fn told(audit: &Audit) -> String {
    let at = format!("at commit {} ({})", audit.commit_no, audit.checked_at);
    let mut text = match audit.drift.len() {
        0 => format!("consistent: ledger, database and processes agree {at}"),
        1 => format!("NOT consistent: 1 disagreement {at}"),
        n => format!("NOT consistent: {n} disagreements {at}"),
    };
    for drift in &audit.drift {
        text.push_str(&format!("\n  {}", line(drift)));
    }
    if !audit.history.is_empty() {
        text.push_str("\nfound before by the sweeps of this server:");
    }
    for past in &audit.history {
        text.push_str(&format!("\n  {} {}", past.found_at, line(&past.drift)));
    }
    text
}

fn line(drift: &Drift) -> String {
    let job = drift.job_id.map(|id| format!("job {id}: ")).unwrap_or_default();
    format!("{job}{} [{}: {}]", drift.message, drift.kind, drift.remedy)
}
