//! *Purpose*: `downbeat submit`.
//!
//! *Owns*: reading the script; [`send`], shared with `run`.
//!
//! *Promises*: a job is submitted once, also when the answer is lost on the way; what was not
//! honoured is said on stderr.
//!
//! *Not here*: the body (`cli::job_flags`).

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use super::caller::Caller;
use super::client::{Client, Connect};
use super::error::CliError;
use super::job_flags::JobFlags;
use super::print::{remark, say, say_json};
use super::wait;
use crate::api::wire::body::SubmitBody;
use crate::api::wire::v1::Job;
use crate::job::spec::SCRIPT_BYTES_MAX;

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
    /// Only say whether it would be accepted, why it would wait and when it may start
    #[arg(long, conflicts_with = "wait")]
    test_only: bool,
    /// Print the job as JSON
    #[arg(long)]
    json: bool,
    /// Print nothing but the job's id
    #[arg(long, short = 'q', visible_alias = "quiet", conflicts_with = "json")]
    parsable: bool,
    /// A command line for /bin/sh instead of a script
    #[arg(long, value_name = "COMMAND", conflicts_with = "script")]
    wrap: Option<String>,
    /// The script; - or nothing reads it from standard input
    script: Option<PathBuf>,
    /// The script's arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

pub(super) fn run(args: &SubmitArgs) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    let (script, name) = match (&args.wrap, &args.script) {
        (Some(command), _) => {
            (format!("#!/bin/sh\n{command}\n").into_bytes(), Some("wrap".to_owned()))
        }
        (None, Some(path)) => read_script(path)?,
        (None, None) if std::io::stdin().is_terminal() => {
            let message = "no script is named; name one, or write it to standard input";
            return Err(CliError::Usage(message.to_owned()));
        }
        (None, None) => {
            let read = read_script(Path::new("-"))?;
            if read.0.trim_ascii().is_empty() {
                let message = "no script is named, and standard input is empty";
                return Err(CliError::Usage(message.to_owned()));
            }
            read
        }
    };
    let caller = Caller::here()?;
    let mut body = args.flags.body((script, &args.words), name, &caller)?;
    let file = args.script.as_deref().filter(|path| path.as_os_str() != "-");
    body.command = file.and_then(|path| caller.path(path));
    warn(&args.flags.warnings());
    if args.test_only {
        return test_only(&client, &body, args.json);
    }
    let (job, text) = send(&client, &body, &args.flags, &caller)?;
    match (args.json, args.parsable) {
        (true, _) => {}
        (false, true) => say(&job.id.to_string())?,
        (false, false) => say(&format!("Submitted job {}", job.id))?,
    }
    if !args.wait {
        if args.json {
            say_json(&text)?;
        }
        return Ok(0);
    }
    let ended = wait::until_end(&client, job.id)?;
    match (args.json, args.parsable) {
        (true, _) => say_json(&ended.text)?,
        (false, true) => {}
        (false, false) => say(&ended.line)?,
    }
    Ok(ended.code)
}

/// Says what was not honoured.
pub(super) fn warn(warnings: &[String]) {
    warnings.iter().for_each(|warning| remark(&format!("downbeat: warning: {warning}")));
}

/// Says what would become of it; nothing is submitted.
fn test_only(client: &Client, body: &SubmitBody, json: bool) -> Result<u8, CliError> {
    let text = serde_json::to_string(body)
        .map_err(|error| CliError::Other(format!("the job makes no JSON: {error}")))?;
    let answer = client.post("/api/v1/jobs?dry_run=true", &text, None)?;
    if json {
        say_json(&answer.text)?;
        return Ok(0);
    }
    let job: Job = answer.parse()?;
    warn(&job.warnings);
    let start = match (&job.estimated_start_time, &job.estimate_basis) {
        (Some(start), Some(basis)) => format!("would start by {start}, {basis}"),
        (None, Some(basis)) => format!("nobody can say when it would start: {basis}"),
        _ => "would wait".to_owned(),
    };
    let reason = job.state_reason.unwrap_or_default();
    let detail = job.state_detail.unwrap_or_default();
    say(&format!("The job is accepted and {start}\n{reason}: {detail}\nNothing was submitted."))?;
    Ok(0)
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
    let (job, text) = sent(client, body, flags.idempotency_key.clone())?;
    warn(&job.warnings);
    Ok((job, text))
}

/// Submits a body under this key, or one of its own: a lost answer never makes two jobs of it.
///
/// # Errors
/// When the server does not answer, or refuses.
pub fn sent(
    client: &Client,
    body: &SubmitBody,
    key: Option<String>,
) -> Result<(Job, String), CliError> {
    let key = key.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let text = serde_json::to_string(body)
        .map_err(|error| CliError::Other(format!("the job makes no JSON: {error}")))?;
    let answer = client.submit(&text, &key)?;
    Ok((answer.parse()?, answer.text))
}

/// The script, and the name its job gets when nobody says.
fn read_script(path: &Path) -> Result<(Vec<u8>, Option<String>), CliError> {
    // One byte more shows that there are too many: a device has no end.
    let most = SCRIPT_BYTES_MAX as u64 + 1;
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    let shown = path.display();
    read.map_err(|error| CliError::Usage(format!("the script {shown} cannot be read: {error}")))?;
    if bytes.len() > SCRIPT_BYTES_MAX {
        let said = format!(
            "{shown} is longer than a script may be ({SCRIPT_BYTES_MAX} bytes); submit a script \
             that runs it"
        );
        return Err(CliError::Usage(said));
    }
    let name = path.file_name().and_then(|n| n.to_str()).filter(|n| *n != "-");
    Ok((bytes, name.map(str::to_owned)))
}
