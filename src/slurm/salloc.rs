//! *Purpose*: `salloc`.
//!
//! *Owns*: its options; the job whose program is a shell of the user, or a command; the program
//! within that job.
//!
//! *Promises*: the shell runs in the job, so it has the job's CPUs and memory, and nothing of it is
//! left when the job has ended. The job ends with the shell, and when nobody waits for it any more.
//!
//! *Not here*: following (`cli::run`), the terminal (`slurm::terminal`), what options mean
//! (`api::wire::sbatch`).
//!
//! Source: salloc(1) of Slurm 22.05, and what it answered.

mod within;

use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use self::within::COMMAND;
use super::failure::Failure;
use super::getopt::{Effect, Given, Grammar, Opt};
use super::help;
use super::jobs::Server;
use super::say::{output, remark};
use super::terminal::{Manner, NearEnd};
use super::voice::Voice;
use crate::api::wire::body::SubmitBody;
use crate::api::wire::sbatch::{self, Takes};
use crate::api::wire::slurm::facts::Facts;
use crate::api::wire::v1::{Job, JobId};
use crate::cli::caller::Caller;
use crate::cli::client::Client;
use crate::cli::job_flags::JobFlags;
use crate::cli::run::{self, in_foreground};
use crate::cli::sbatch_options::{self, SbatchOptions};
use crate::cli::submit;

/// How it speaks of a job that is not submitted.
const VOICE: Voice = Voice { command: COMMAND, failed: "Job submit/allocate failed" };
/// What the job is called whose program is a shell.
const SHELL_NAME: &str = "interactive";
/// The shell of somebody who says of none which it is.
const SHELL: &str = "/bin/sh";

/// Options of `sbatch` that are about a script, its files, or about `sbatch` itself.
const OF_SBATCH: [&str; 24] = [
    "array",
    "batch",
    "container-id",
    "error",
    "export",
    "export-file",
    "extra",
    "help",
    "ignore-pbs",
    "input",
    "no-requeue",
    "open-mode",
    "output",
    "parsable",
    "propagate",
    "quiet",
    "requeue",
    "test-only",
    "usage",
    "verbose",
    "version",
    "wait",
    "wait-all-nodes",
    "wrap",
];
/// Options of its own.
#[rustfmt::skip]
const OWN: &[Opt] = &[
    ("bell", None, Takes::Nothing, Effect::Nothing("a sentence says when it starts")),
    ("help", None, Takes::Nothing, Effect::Does("This help")),
    ("immediate", Some('I'), Takes::Maybe, Effect::Refused("it waits; Ctrl-C gives up")),
    ("kill-command", Some('K'), Takes::Maybe, Effect::Nothing("it ends with its job anyway")),
    ("no-bell", None, Takes::Nothing, Effect::Nothing("no bell is rung")),
    ("no-shell", None, Takes::Nothing, Effect::Refused("CPUs would be held for nobody")),
    ("quiet", Some('Q'), Takes::Nothing, Effect::Does("Say nothing of the allocation")),
    ("usage", None, Takes::Nothing, Effect::Does("The shortest help")),
    ("verbose", Some('v'), Takes::Nothing, Effect::Does("Say what was accepted without effect")),
    ("version", Some('V'), Takes::Nothing, Effect::Does("Which version this is")),
];

/// Its options: those of jobs as `sbatch` has them, and its own.
fn options() -> Vec<Opt> {
    let of_job = sbatch::options().filter(|option| !OF_SBATCH.contains(&option.name));
    let of_job = of_job.map(|sbatch::SbatchOption { name, letter, takes, said }| {
        let effect = match said {
            sbatch::Said::Honoured => Effect::Does(sbatch_options::line_of(name)),
            sbatch::Said::Harmless(why) => Effect::Nothing(why),
            sbatch::Said::Refused(why) => Effect::Refused(why),
        };
        (name, letter, takes, effect)
    });
    let mut all: Vec<Opt> = of_job.chain(OWN.iter().copied()).collect();
    all.sort_by_key(|(name, ..)| *name);
    all
}

/// `salloc`.
///
/// # Errors
/// What it says on standard error.
pub fn run(typed: Vec<OsString>) -> Result<u8, Failure> {
    let table = options();
    let is_own = |name: &str| OWN.iter().any(|(own, ..)| *own == name);
    // What is refused of the job has a sentence of its own.
    let known = table.iter().map(|&(name, letter, takes, effect)| {
        (name, letter, takes, if is_own(name) { effect } else { Effect::Does("") })
    });
    let options: Vec<Opt> = known.collect();
    let grammar = Grammar { command: COMMAND, options: &options, ends_with_a_word: true };
    let given = grammar.read(typed)?;
    if let Some(text) = help::asked(&Grammar { options: &table, ..grammar }, &given) {
        return output(COMMAND, &text).map(|()| 0);
    }
    if let Some(line) = within::called()? {
        return within::run(&given.words, line);
    }
    let of_job = given.options.iter().filter(|(name, _)| !is_own(name));
    let flags: Vec<(String, Option<String>)> =
        of_job.map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let job_flags = JobFlags::of(SbatchOptions::of(flags.clone()));
    VOICE.sensible(&sbatch::of_command_line(flags))?;
    let caller = Caller::here().map_err(|error| Failure::of(COMMAND, &error))?;
    let name = given.words.first().map_or(SHELL_NAME, |word| Facts::short_name(word)).to_owned();
    let body = job_flags.body((script(&given)?.into_bytes(), &[]), Some(name), &caller);
    let body = body.map_err(|error| Failure::of(COMMAND, &error))?;
    if given.has("verbose") && !given.has("quiet") {
        let warnings = job_flags.warnings();
        warnings.into_iter().for_each(|warning| remark(&format!("{COMMAND}: {warning}")));
    }
    follow(body, given.has("quiet"))
}

/// The script: this program again, within the job.
fn script(given: &Given) -> Result<String, Failure> {
    let unknown = |why: String| Failure::error(COMMAND, &format!("where is salloc? {why}"));
    let program = std::env::current_exe().map_err(|e| unknown(e.to_string()))?;
    let program = program.to_str().ok_or_else(|| unknown("its path is not UTF-8".to_owned()))?;
    let mut words = [program, "slurm", COMMAND, "--"].map(str::to_owned).to_vec();
    match given.words.as_slice() {
        [] => words.push(std::env::var("SHELL").unwrap_or_else(|_| SHELL.to_owned())),
        command => words.extend(command.iter().cloned()),
    }
    Ok(format!("#!/bin/bash\nexec -- {}\n", shell_words::join(words)))
}

/// Whether it was said that the job waits.
static WAITED: AtomicBool = AtomicBool::new(false);

/// Submits the job and follows it to its end.
fn follow(body: SubmitBody, quiet: bool) -> Result<u8, Failure> {
    let server = Server::of(COMMAND)?;
    let unreachable = |e| Failure::error(COMMAND, &format!("no terminal can be reached: {e}"));
    let near = NearEnd::open().map_err(unreachable)?;
    let has_terminal = rustix::termios::isatty(rustix::stdio::stdin())
        && rustix::termios::isatty(rustix::stdio::stdout());
    let manner = if has_terminal { Manner::Carried } else { Manner::Silent };
    let body = near.told(body, manner);
    let submitted = Arc::new(OnceLock::<JobId>::new());
    let attended = near.wait(manner, {
        let submitted = Arc::clone(&submitted);
        // The job may have begun before its submission is answered.
        move || granted(*submitted.wait(), quiet)
    });
    let mut refused = None;
    let send = |client: &Client, body: &SubmitBody| {
        let sent = submit::sent(client, body, None);
        let sent = sent.inspect_err(|error| refused = Some(VOICE.refused(error)));
        let (job, _) = sent?;
        let _first = submitted.set(job.id);
        Ok(job)
    };
    let manner = run::Manner { waits: if quiet { |_| None } else { waits }, ..run::Manner::USUAL };
    let ended = in_foreground(&server.client, body, &manner, send);
    attended.finish();
    if let Some(id) = submitted.get().filter(|_| !quiet) {
        remark(&format!("{COMMAND}: Relinquishing job allocation {id}"));
    }
    ended.map_err(|error| refused.unwrap_or_else(|| Failure::of(COMMAND, &error)))
}

fn waits(job: &Job) -> Option<String> {
    WAITED.store(true, Ordering::SeqCst);
    let id = job.id;
    Some(format!(
        "{COMMAND}: Pending job allocation {id}\n\
         {COMMAND}: job {id} queued and waiting for resources"
    ))
}

fn granted(id: JobId, quiet: bool) {
    if quiet {
        return;
    }
    if WAITED.load(Ordering::SeqCst) {
        remark(&format!("{COMMAND}: job {id} has been allocated resources"));
    }
    remark(&format!("{COMMAND}: Granted job allocation {id}"));
}
