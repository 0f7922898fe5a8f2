//! *Purpose*: `downbeat submit`.
//!
//! *Owns*: reading the script; [`send`], shared with `run`.
//!
//! *Promises*: a job is submitted once, also when the answer is lost on the way; what was not
//! honoured is said on stderr.
//!
//! *Not here*: the body (`cli::job_flags`).

use std::io::Read;
use std::path::PathBuf;

use super::client::{Client, Connect};
use super::job_flags::{Caller, JobFlags};
use super::{CliError, remark, say, wait};
use crate::api::wire::body::SubmitBody;
use crate::api::wire::v1::Job;

/// What to submit.
#[derive(clap::Args, Clone, Debug)]
pub struct SubmitArgs {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    flags: JobFlags,
    /// Wait for its end, and end with its code
    #[arg(long)]
    wait: bool,
    /// Print the job as JSON
    #[arg(long)]
    json: bool,
    /// The script; - reads it from standard input
    script: PathBuf,
}

pub(super) fn run(args: &SubmitArgs) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    let (script, name) = read_script(&args.script)?;
    let caller = Caller::here()?;
    let body = args.flags.body(script, name, &caller)?;
    let (job, text) = send(&client, &body, &args.flags, &caller)?;
    if !args.json {
        say(&format!("Submitted job {}", job.id))?;
    }
    if !args.wait {
        if args.json {
            say(&text)?;
        }
        return Ok(0);
    }
    let (job, text) = wait::until_end(&client, job.id)?;
    say(if args.json { text } else { wait::line(&job) }.as_str())?;
    Ok(wait::own_code(&job))
}

/// Submits a body under a key of its own, and passes warnings on.
pub(super) fn send(
    client: &Client,
    body: &SubmitBody,
    flags: &JobFlags,
    caller: &Caller,
) -> Result<(Job, String), CliError> {
    for name in &caller.left_behind {
        remark(&format!("downbeat: the variable {name} is not UTF-8 and stays behind"));
    }
    let key = flags.idempotency_key.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let text = serde_json::to_string(body)
        .map_err(|error| CliError::Other(format!("the job makes no JSON: {error}")))?;
    let answer = client.submit(&text, &key)?;
    let job: Job = answer.parse()?;
    for warning in &job.warnings {
        remark(&format!("downbeat: warning: {warning}"));
    }
    Ok((job, answer.text))
}

/// The script's text, and the name its job gets when nobody says.
fn read_script(path: &PathBuf) -> Result<(String, Option<String>), CliError> {
    let bytes = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    let shown = path.display();
    let bytes = bytes
        .map_err(|error| CliError::Usage(format!("the script {shown} cannot be read: {error}")))?;
    let script = String::from_utf8(bytes).map_err(|_| {
        CliError::Usage(format!("{shown} is not UTF-8 text; submit a script that runs it"))
    })?;
    let name = path.file_name().and_then(|n| n.to_str()).filter(|n| *n != "-");
    Ok((script, name.map(str::to_owned)))
}
