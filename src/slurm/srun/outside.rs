//! *Purpose*: `srun` outside of a job: a job of its own, followed to its end.
//!
//! *Owns*: which of its options are the job's and which the step's.
//!
//! *Promises*: what is refused is refused as by `sbatch`; its exit code is that of its tasks; who
//! ends it ends the job.
//!
//! *Not here*: following (`cli::run`), the step within the job (`srun::step`), the terminal of
//! `--pty` (`slurm::terminal`).

use super::programs::{self, Programs};
use super::say::{COMMAND, error};
use super::step;
use crate::api::wire::body::SubmitBody;
use crate::api::wire::sbatch;
use crate::api::wire::slurm::facts::Facts;
use crate::api::wire::v1::Job;
use crate::cli::caller::Caller;
use crate::cli::client::Client;
use crate::cli::job_flags::JobFlags;
use crate::cli::run::{Manner, in_foreground};
use crate::cli::sbatch_options::SbatchOptions;
use crate::cli::submit;
use crate::slurm::failure::Failure;
use crate::slurm::getopt::Given;
use crate::slurm::jobs::Server;
use crate::slurm::terminal::{self, NearEnd};
use crate::slurm::voice::Voice;

/// How it speaks of a job that is not submitted.
const VOICE: Voice = Voice { command: COMMAND, failed: "Unable to allocate resources" };

/// Options of the step within the job.
const OF_THE_STEP: [&str; 20] = [
    "cpus-per-task",
    "disable-status",
    "error",
    "exact",
    "input",
    "kill-on-bad-exit",
    "label",
    "mpi",
    "multi-prog",
    "no-kill-on-hangup",
    "ntasks",
    "ntasks-per-node",
    "open-mode",
    "output",
    "overcommit",
    "overlap",
    "pty",
    "quiet",
    "unbuffered",
    "wait",
];
/// Those of them that the job has too: so many CPUs are needed.
const OF_BOTH: [&str; 4] = ["cpus-per-task", "ntasks", "ntasks-per-node", "overcommit"];

/// Runs the command as a job: its exit code.
///
/// # Errors
/// When it was not submitted, or could not be followed.
pub fn run(given: &Given) -> Result<u8, Failure> {
    if given.has("immediate") {
        let what = "--immediate is honoured within a job; here it waits, and Ctrl-C gives up";
        return Err(error(what));
    }
    let known: Vec<&str> = sbatch::options().map(|option| option.name).collect();
    let of_job = given.options.iter().filter(|(name, _)| {
        let is_of_step = OF_THE_STEP.contains(name) && !OF_BOTH.contains(name);
        !is_of_step && known.contains(name)
    });
    let flags: Vec<(String, Option<String>)> =
        of_job.map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let job = JobFlags::of(SbatchOptions::of(flags.clone()));
    VOICE.sensible(&sbatch::of_command_line(flags))?;
    // What is refused is refused before there is a job.
    let file = programs::file(given)?;
    if let Some((name, text)) = &file {
        Programs::several(name, text, step::tasks(given, 1)?)?;
    }
    let caller = Caller::here().map_err(|error| Failure::of(COMMAND, &error))?;
    let name = given.words.first().map(|word| Facts::short_name(word).to_owned());
    let body = job.body((script(given, file)?.into_bytes(), &[]), name, &caller);
    let body = body.map_err(|error| Failure::of(COMMAND, &error))?;
    let (body, near) = match given.has("pty") {
        true => with_terminal(body)?,
        false => (body, None),
    };
    let server = Server::of(COMMAND)?;
    let mut refused = None;
    let send = |client: &Client, body: &SubmitBody| {
        let sent = submit::sent(client, body, None);
        sent.map(|(job, _)| job).inspect_err(|error| refused = Some(VOICE.refused(error)))
    };
    let manner = Manner {
        waits: if given.has("quiet") { |_| None } else { waits },
        outlives_its_terminal: given.has("no-kill-on-hangup"),
    };
    let attended = near.map(|near| near.wait(terminal::Manner::Carried, || {}));
    let ended = in_foreground(&server.client, body, &manner, send);
    if let Some(attended) = attended {
        attended.finish();
    }
    ended.map_err(|error| refused.unwrap_or_else(|| Failure::of(COMMAND, &error)))
}

fn waits(job: &Job) -> Option<String> {
    Some(format!("{COMMAND}: job {} queued and waiting for resources", job.id))
}

/// A body of a job that finds the terminal at which its user sits.
fn with_terminal(body: SubmitBody) -> Result<(SubmitBody, Option<NearEnd>), Failure> {
    let near = NearEnd::open().map_err(|e| error(&format!("no terminal can be reached: {e}")))?;
    Ok((near.told(body, terminal::Manner::Carried), Some(near)))
}

/// The script of the job: the same command line again, as a step within it. A file of programs is
/// as it was when `srun` was called.
fn script(given: &Given, file: Option<(&str, String)>) -> Result<String, Failure> {
    let program = std::env::current_exe().map_err(|e| error(&format!("where is srun? {e}")))?;
    let program = program.to_str().ok_or_else(|| error("the path of srun is not UTF-8"))?;
    let mut words = vec![program.to_owned(), "slurm".to_owned(), COMMAND.to_owned()];
    let of_step = given.options.iter().filter(|(name, _)| OF_THE_STEP.contains(name));
    words.extend(of_step.map(|(name, value)| match value {
        Some(value) => format!("--{name}={value}"),
        None => format!("--{name}"),
    }));
    let mut streams = String::new();
    match file {
        Some((name, text)) => {
            let name = Facts::short_name(name);
            words.extend([format!("--job-name={name}"), "--".to_owned(), "/dev/fd/3".to_owned()]);
            streams = format!(" 3<<< {}", shell_words::quote(&text));
        }
        None => {
            words.push("--".to_owned());
            words.extend(given.words.iter().cloned());
        }
    }
    Ok(format!("#!/bin/bash\nexec -- {}{streams}\n", shell_words::join(words)))
}
