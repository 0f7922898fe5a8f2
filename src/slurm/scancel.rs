//! *Purpose*: `scancel`.
//!
//! *Owns*: which jobs a command line means, and what it says of each.
//!
//! *Promises*: as with real Slurm a job that is not there, or has ended, is no error, and nothing
//! is said of it unless `-v` is given; whoever may not cancel a job is told so.
//!
//! *Not here*: cancelling (the server).
//!
//! Source: scancel(1) of Slurm 22.05, and what it answered.

use std::collections::BTreeSet;
use std::ffi::OsString;

use super::facts::{Facts, me, user_named};
use super::failure::{FAILED, Failure};
use super::getopt::Effect::{Does, Nothing as NoEffect, Refused};
use super::getopt::{Given, Grammar, Opt};
use super::jobs::{Named, Server, ids, left, words as list};
use super::say::{ONE_CLUSTER, ONE_NODE, output, remark};
use super::{help, words};
use crate::api::wire::sbatch::Takes::{Nothing, Value};
use crate::api::wire::v1::{Job, JobRef, StateWord};
use crate::cli::CliError;

const COMMAND: &str = "scancel";
/// What ends a job: without a signal, and by this one.
const KILL: [&str; 3] = ["KILL", "SIGKILL", "9"];

#[rustfmt::skip]
const OPTIONS: &[Opt] = &[
    ("account", Some('A'), Value, Does("Jobs of this account")),
    ("batch", Some('b'), Nothing, NoEffect("signals but KILL cannot be sent")),
    ("clusters", Some('M'), Value, NoEffect(ONE_CLUSTER)),
    ("ctld", None, Nothing, NoEffect("the server is asked anyway")),
    ("cron", None, Nothing, NoEffect("there are no cron jobs")),
    ("full", Some('f'), Nothing, NoEffect("signals but KILL cannot be sent")),
    ("help", None, Nothing, Does("This help")),
    ("hurry", Some('H'), Nothing, NoEffect("there are no burst buffers")),
    ("interactive", Some('i'), Nothing, Refused("it asks at a terminal; name the jobs")),
    ("jobname", Some('n'), Value, Does("Jobs of this name")),
    ("me", None, Nothing, Does("My jobs")),
    ("name", None, Value, Does("Jobs of this name")),
    ("nodelist", Some('w'), Value, NoEffect(ONE_NODE)),
    ("partition", Some('p'), Value, Does("Jobs of this partition")),
    ("qos", Some('q'), Value, NoEffect("there is one quality of service")),
    ("quiet", Some('Q'), Nothing, Does("Say nothing of jobs that are not there")),
    ("reservation", Some('R'), Value, Refused("this server has no reservations")),
    ("sibling", None, Value, NoEffect(ONE_CLUSTER)),
    ("signal", Some('s'), Value, Does("KILL, which ends it; others are refused")),
    ("state", Some('t'), Value, Does("Jobs in this state")),
    ("usage", None, Nothing, Does("The shortest help")),
    ("user", Some('u'), Value, Does("Jobs of this user")),
    ("verbose", Some('v'), Nothing, Does("Say what is done")),
    ("version", Some('V'), Nothing, Does("Which version this is")),
    ("wckey", None, Value, NoEffect("no such keys are kept")),
];

/// The filters: the option, and the parameter that the server knows.
const FILTERS: [(&str, &str); 4] =
    [("account", "account"), ("jobname", "name"), ("name", "name"), ("partition", "partition")];

/// Words that name jobs, and what each of them means.
fn named(given: &Given) -> Result<Vec<(String, Vec<Named>)>, Failure> {
    let words = given.words.iter().flat_map(|word| list(word));
    let read = |word: &str| match ids(word) {
        Some(named) => Ok((word.to_owned(), named)),
        None => Err(Failure::error(COMMAND, &format!("Invalid job id {word}"))),
    };
    words.map(read).collect()
}

/// Live jobs that the filters leave, and that are among those named, if any are.
fn filtered(given: &Given, server: &Server, named: &[Named]) -> Result<Vec<Named>, Failure> {
    let mut pairs: Vec<(&str, String)> = Vec::new();
    for (option, parameter) in FILTERS {
        pairs.extend(given.value(option).map(|value| (parameter, value.to_owned())));
    }
    let me = given.has("me").then(me);
    let user = me.or_else(|| given.value("user").map(user_named));
    let state = given.value("state").map(|word| {
        let what = format!("Invalid job state specified: {word}");
        words::asked(word).ok_or_else(|| server.error(&what))
    });
    let live = [StateWord::Pending, StateWord::Running, StateWord::Completing];
    let wanted: Vec<StateWord> = match state.transpose()? {
        None => live.to_vec(),
        Some(state) => state.into_iter().collect(),
    };
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    pairs.extend(wanted.iter().map(|state| ("state", state.word().to_owned())));
    let jobs = server.all(&pairs, "user,array_job_id,array_task_id,array_tasks")?;
    let asked: BTreeSet<Named> = named.iter().copied().collect();
    let is_asked = |job: &Job| {
        user.as_ref().is_none_or(|user| *user == Facts(job).user())
            && (asked.is_empty() || Named::of(job).any(|name| asked.contains(&name)))
    };
    let is_whole = live.iter().all(|state| wanted.contains(state));
    Ok(jobs.iter().filter(|job| is_asked(job)).flat_map(|job| meant(job, is_whole)).collect())
}

/// What this row is, and no more: the number of an array means all its tasks, also those that are
/// in another state than the row of what is left of it.
fn meant(job: &Job, is_whole: bool) -> Vec<Named> {
    let task = |job: &Job| {
        let id = job.array_job_id.filter(|_| job.array_task_id.is_some());
        Named { id: id.unwrap_or(job.id), task: job.array_task_id }
    };
    let left = if is_whole { Vec::new() } else { left(job) };
    if left.is_empty() { vec![task(job)] } else { left.iter().map(task).collect() }
}

/// Ends one of them.
fn end(server: &Server, job: JobRef, given: &Given) -> Result<(), Failure> {
    match server.client.delete(&format!("/api/v1/jobs/{job}")) {
        Ok(_) => Ok(()),
        Err(CliError::Refused { status: status @ (404 | 409), .. }) => {
            if given.has("verbose") && !given.has("quiet") {
                let why = match status {
                    404 => "Invalid job id specified",
                    _ => "Job/step already completing or completed",
                };
                let what = format!("Kill job error on job id {job}: {why}");
                remark(&format!("{COMMAND}: error: {what}"));
            }
            Ok(())
        }
        Err(CliError::Refused { status: 401 | 403, message, .. }) => {
            let what = format!("Kill job error on job id {job}: Access/permission denied");
            Err(server.error(&what).and(format!("{COMMAND}: error: {message}")))
        }
        Err(error) => Err(server.failed(&error)),
    }
}

/// `scancel`.
///
/// # Errors
/// What it says on standard error.
pub fn run(typed: Vec<OsString>) -> Result<u8, Failure> {
    let grammar = Grammar { command: COMMAND, options: OPTIONS, ends_with_a_word: false };
    let given = grammar.read(typed)?;
    if let Some(text) = help::asked(&grammar, &given) {
        return output(COMMAND, &text).map(|()| 0);
    }
    let named = named(&given)?;
    let is_filtered = ["account", "jobname", "me", "name", "partition", "state", "user"];
    let is_filtered = is_filtered.iter().any(|name| given.has(name));
    if named.is_empty() && !is_filtered {
        return Err(Failure::error(COMMAND, "No job identification provided"));
    }
    let signal = given.value("signal").filter(|name| !KILL.contains(name));
    if let Some(signal) = signal {
        let what = format!("signal {signal} cannot be sent to a running job here");
        return Err(Failure::error(COMMAND, &what));
    }
    let server = Server::of(COMMAND)?;
    let all: Vec<Named> = named.iter().flat_map(|(_, named)| named.iter().copied()).collect();
    let jobs: Vec<(String, Vec<Named>)> = match is_filtered {
        true => {
            let jobs = filtered(&given, &server, &all)?;
            jobs.into_iter().map(|job| (job.reference().to_string(), vec![job])).collect()
        }
        false => named,
    };
    let mut failures = Vec::new();
    for (word, jobs) in jobs {
        if given.has("verbose") {
            remark(&format!("{COMMAND}: Terminating job {word}"));
        }
        for job in jobs {
            if let Err(failure) = end(&server, job.reference(), &given) {
                failures.extend(failure.lines);
            }
        }
    }
    match failures.is_empty() {
        true => Ok(0),
        false => Err(Failure { lines: failures, code: FAILED }),
    }
}
