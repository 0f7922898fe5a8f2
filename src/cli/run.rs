//! *Purpose*: `downbeat run -- CMD ARG…`: a command as a job, as if it ran here.
//!
//! *Owns*: the script made of the words, the two streams, Ctrl-C.
//!
//! *Promises*: ends with the command's own code; Ctrl-C cancels the job and waits for its end,
//! a second one leaves it to the server. When the reader of the output goes, the job is cancelled
//! and this ends as a command does that SIGPIPE ends. Whoever waits is told for what.
//!
//! *Not here*: codes (`cli::wait`), streams (`cli::logs`).

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM};
use signal_hook::iterator::Signals;

use super::caller::Caller;
use super::client::{Client, Connect};
use super::error::CliError;
use super::job_flags::JobFlags;
use super::logs::{Stream, follow};
use super::own_input::{self, OwnInput};
use super::print::remark;
use super::raw_mode;
use super::reader::when_gone;
use super::{submit, wait};
use crate::api::wire::body::SubmitBody;
use crate::api::wire::v1::{Job, JobId, StateWord};

/// Seconds within which a job that need not wait has started.
const AT_ONCE_S: u64 = 1;

/// What to run.
#[derive(clap::Args, Clone, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    flags: JobFlags,
    /// The command and its words
    #[arg(required = true, last = true, value_name = "CMD")]
    words: Vec<String>,
}

pub(super) fn run(args: &RunArgs) -> Result<u8, CliError> {
    if args.flags.is_array() {
        let message = "--array is for submit; run follows one job";
        return Err(CliError::Usage(message.to_owned()));
    }
    let client = Client::new(&args.connect)?;
    let caller = Caller::here()?;
    let name = args.words.first().and_then(|w| w.split('/').rfind(|part| !part.is_empty()));
    let name = name.map(str::to_owned);
    let body = args.flags.body((script(&args.words).into_bytes(), &[]), name, &caller)?;
    let send = |client: &Client, body: &SubmitBody| {
        submit::send(client, body, &args.flags, &caller).map(|(job, _)| job)
    };
    in_foreground(&client, body, &Manner::USUAL, send)
}

/// How somebody follows his job.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// What is said of a job that waits; perhaps nothing.
    pub waits: fn(&Job) -> Option<String>,
    /// Whether the job goes on when the terminal is gone at which he sits.
    pub outlives_its_terminal: bool,
}

impl Manner {
    /// That of `downbeat run`.
    pub const USUAL: Manner = Manner {
        waits: |job| {
            let reason = job.state_reason.as_deref().unwrap_or_default();
            let detail = job.state_detail.as_deref().unwrap_or_default();
            Some(format!("downbeat: job {} is queued: {reason}: {detail}", job.id))
        },
        outlives_its_terminal: false,
    };
}

/// Submits a job and follows it to its end: its exit code. Its output is printed, Ctrl-C cancels
/// it.
///
/// # Errors
/// See [`CliError`].
pub fn in_foreground(
    client: &Client,
    mut body: SubmitBody,
    manner: &Manner,
    send: impl FnOnce(&Client, &SubmitBody) -> Result<Job, CliError>,
) -> Result<u8, CliError> {
    if body.standard_input.is_none() {
        match own_input::look() {
            OwnInput::Nothing => {}
            OwnInput::File(path) => body.standard_input = Some(pattern_of(&path)),
            OwnInput::Stays => {
                remark("downbeat: standard input does not reach the job; name a file with --input")
            }
        }
    }
    let interrupt = Interrupt::listen(client.clone(), manner.outlives_its_terminal)?;
    let job = send(client, &body)?;
    interrupt.submitted(client, job.id);
    let waiter = client.clone();
    let waits = manner.waits;
    thread::spawn(move || say_that_it_waits(&waiter, job.id, waits));
    let leaver = client.clone();
    when_gone(move || leave(&leaver, job.id));
    let streams = [Stream::Stdout, Stream::Stderr].map(|stream| {
        let client = client.clone();
        thread::spawn(move || match stream {
            Stream::Stdout => follow(&client, job.id, stream, None, &mut io::stdout()),
            Stream::Stderr => follow(&client, job.id, stream, None, &mut io::stderr()),
        })
    });
    let mut failed = None;
    for stream in streams {
        match stream.join() {
            Ok(Ok(())) => {}
            Ok(Err(CliError::Pipe)) => leave(client, job.id),
            Ok(Err(error)) => failed = Some(error),
            Err(_) => failed = Some(CliError::Other("a stream ended in a panic".to_owned())),
        }
    }
    let job = wait::until_end(client, job.id)?.job;
    if let Some(error) = failed {
        remark(&format!("downbeat: some output of job {} was not shown: {error}", job.id));
    }
    if job.state != StateWord::Completed && (job.state != StateWord::Failed || job.error.is_some())
    {
        remark(&format!("downbeat: {}", wait::line(&job)));
    }
    Ok(wait::own_code(&job))
}

/// A file's name as a pattern that stands for nothing else.
fn pattern_of(path: &Path) -> String {
    path.display().to_string().replace('%', "%%")
}

/// Says what a job waits for that has not started at once.
fn say_that_it_waits(client: &Client, id: JobId, waits: fn(&Job) -> Option<String>) {
    let path = format!("/api/v1/jobs/{id}/wait?timeout_s={AT_ONCE_S}");
    let answer = client.get_within(&path, Duration::from_secs(AT_ONCE_S));
    // Whoever follows the job sees that the server does not answer.
    let Ok(job) = answer.and_then(|answer| answer.parse::<Job>()) else { return };
    if job.state == StateWord::Pending
        && let Some(said) = waits(&job)
    {
        remark(&said);
    }
}

/// A script that becomes the command.
fn script(words: &[String]) -> String {
    // The first word is a command, whatever it begins with.
    format!("#!/bin/bash\nexec -- {}\n", shell_words::join(words))
}

/// Listens for Ctrl-C from before the submission on, so that none is lost in between.
struct Interrupt {
    job: AtomicI64,
    asked: AtomicBool,
}

impl Interrupt {
    fn listen(client: Client, outlives_terminal: bool) -> Result<Arc<Interrupt>, CliError> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
            .map_err(|error| CliError::Other(format!("signals cannot be caught: {error}")))?;
        let interrupt =
            Arc::new(Interrupt { job: AtomicI64::new(0), asked: AtomicBool::new(false) });
        let shared = Arc::clone(&interrupt);
        thread::spawn(move || {
            for signal in &mut signals {
                if signal == SIGHUP && outlives_terminal {
                    exit(signal);
                }
                if shared.asked.swap(true, Ordering::SeqCst) {
                    remark("downbeat: leaving; the server stops the job");
                    exit(signal);
                }
                match shared.job.load(Ordering::SeqCst) {
                    0 => remark("downbeat: cancelling as soon as the job is submitted"),
                    id => cancel(&client, JobId(id)),
                }
            }
        });
        Ok(interrupt)
    }

    /// The job has a number now; a Ctrl-C that came earlier is made good. When both see it, it
    /// is cancelled twice, which is the same as once.
    fn submitted(&self, client: &Client, id: JobId) {
        self.job.store(id.0, Ordering::SeqCst);
        if self.asked.load(Ordering::SeqCst) {
            cancel(client, id);
        }
    }
}

/// The reader has gone: so does a command in a pipe, and its job with it.
fn leave(client: &Client, id: JobId) -> ! {
    if let Err(error) = client.post(&format!("/api/v1/jobs/{id}/cancel"), "", None) {
        remark(&format!("downbeat: job {id} could not be cancelled: {error}"));
    }
    exit(SIGPIPE)
}

/// Ends this process as that signal would; the terminal is as it was.
fn exit(signal: i32) -> ! {
    raw_mode::restore();
    std::process::exit(128 + signal)
}

fn cancel(client: &Client, id: JobId) {
    remark(&format!("downbeat: cancelling job {id}; once more to leave without waiting"));
    if let Err(error) = client.post(&format!("/api/v1/jobs/{id}/cancel"), "", None) {
        remark(&format!("downbeat: job {id} could not be cancelled: {error}"));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_command_as_they_were_typed() {
        let words = ["printf", "%s\n", "a b", "$HOME", "it's", "", "*"].map(str::to_owned);
        let script = script(&words);
        let line = script.strip_prefix("#!/bin/bash\nexec -- ").unwrap();
        assert_eq!(shell_words::split(line).unwrap(), words);
        assert!(line.contains("'$HOME'") && line.contains("'*'"), "{line}");
    }
}
