//! *Purpose*: `downbeat audit`.
//!
//! *Owns*: nothing.
//!
//! *Promises*: exit 1 when ledger, database and processes disagree.
//!
//! *Not here*: the comparison (the server's).

use super::client::{Client, Connect};
use super::{CliError, say};
use crate::api::wire::v1::Audit;

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
    say(if args.json { answer.text } else { told(&audit) }.as_str())?;
    Ok(u8::from(!audit.consistent))
}

fn told(audit: &Audit) -> String {
    let at = format!("at commit {} ({})", audit.commit_no, audit.checked_at);
    if audit.consistent {
        return format!("consistent: ledger, database and processes agree {at}");
    }
    let mut text = format!("NOT consistent: {} disagreements {at}\n", audit.drift.len());
    for drift in &audit.drift {
        let job = drift.job_id.map(|id| format!("job {id}: ")).unwrap_or_default();
        text.push_str(&format!("  {job}{} [{}]\n", drift.message, drift.kind));
    }
    text
}
