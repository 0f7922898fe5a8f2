//! *Purpose*: `scancel`.
//!
//! *Owns*: which jobs a command line means, and what it says of each.
//!
//! *Promises*: as with real Slurm a job that is not there, or has ended, is no error, and nothing
//! is said of it unless `-v` is given or a signal was named; whoever may not cancel a job is told
//! so.
//!
//! *Not here*: cancelling and sending signals (the server).
//!
//! Source: scancel(1) of Slurm 22.05, and what it answered.

use std::collections::BTreeSet;
use std::ffi::OsString;

use super::failure::{FAILED, Failure};
use super::getopt::Effect::{Does, Nothing as NoEffect, Refused};
use super::getopt::{Given, Grammar, Opt};
use super::help;
use super::jobs::{Named, Server, ids, left, words as list};
use super::say::{ONE_CLUSTER, ONE_NODE, output, remark};
use crate::api::wire::sbatch::Takes::{Nothing, Value};
use crate::api::wire::slurm::facts::Facts;
use crate::api::wire::slurm::words;
use crate::api::wire::v1::{Job, JobRef, Recipients, SignalBody, StateWord};
use crate::cli::CliError;
use crate::job::signal::{name_of, number_of};
use crate::slurm::owner::{Owned, me, user_named};

const COMMAND: &str = "scancel";
/// The signal that ends a job as a cancel does.
const KILL: &str = "KILL";

#[rustfmt::skip]
const OPTIONS: &[Opt] = &[
    ("account", Some('A'), Value, Does("Jobs of this account")),
    ("batch", Some('b'), Nothing, Does("With --signal: to the script alone")),
    ("clusters", Some('M'), Value, NoEffect(ONE_CLUSTER)),
    ("ctld", None, Nothing, NoEffect("the server is asked anyway")),
    ("cron", None, Nothing, NoEffect("there are no cron jobs")),
    ("full", Some('f'), Nothing, Does("With --signal: to the script and all others")),
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
    ("signal", Some('s'), Value, Does("This one, to all but the script; KILL ends the job")),
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
    let state = state.transpose()?;
    let wanted: Vec<StateWord> = match state {
        None => live.to_vec(),
        Some(state) => words::ours(state).into_iter().collect(),
    };
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    pairs.extend(wanted.iter().map(|state| ("state", state.word().to_owned())));
    let jobs = server.all(&pairs, "user,array_job_id,array_task_id,array_tasks,suspend_time")?;
    let asked: BTreeSet<Named> = named.iter().copied().collect();
    let is_asked = |job: &Job| {
        user.as_ref().is_none_or(|user| *user == Facts(job).user())
            && state.is_none_or(|state| state == Facts(job).state())
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

/// What is sent, as the server reads it; `None` where the jobs are to end.
fn sent(given: &Given) -> Result<Option<String>, Failure> {
    let signal = given.value("signal").unwrap_or(KILL);
    let number = number_of(signal);
    let number = number.map_err(|_| Failure::new(format!("Unknown job signal: {signal}")))?;
    let to = match (given.has("batch"), given.has("full")) {
        (true, _) => Recipients::Script,
        (false, true) => Recipients::All,
        (false, false) => Recipients::Others,
    };
    if name_of(number) == Some(KILL) && to != Recipients::Script {
        return Ok(None);
    }
    let body = SignalBody { signal: number.to_string(), to };
    let body = serde_json::to_string(&body);
    body.map(Some).map_err(|error| Failure::error(COMMAND, &error.to_string()))
}

/// Ends one of them, or sends it this.
fn act(server: &Server, job: JobRef, sent: Option<&str>, given: &Given) -> Result<(), Failure> {
    let path = format!("/api/v1/jobs/{job}");
    let answer = match sent {
        None => server.client.delete(&path),
        Some(signal) => server.client.post(&format!("{path}/signal"), signal, None),
    };
    let is_named = given.has("signal") || given.has("batch");
    let failed = |why: &str| format!("Kill job error on job id {job}: {why}");
    match answer {
        Ok(answer) if is_named && answer.did.as_deref() == Some("over") => {
            Err(server.error(&failed("Invalid job id specified")))
        }
        Ok(_) => Ok(()),
        Err(CliError::Refused { status: status @ (404 | 409), .. }) => {
            let why = match status {
                404 => "Invalid job id specified",
                _ if sent.is_some() => unsignalled(server, &path),
                _ => "Job/step already completing or completed",
            };
            let what = failed(why);
            if is_named {
                return Err(server.error(&what));
            }
            if given.has("verbose") && !given.has("quiet") {
                remark(&format!("{COMMAND}: error: {what}"));
            }
            Ok(())
        }
        Err(CliError::Refused { status: 401 | 403, message, .. }) => {
            let what = failed("Access/permission denied");
            Err(server.error(&what).and(format!("{COMMAND}: error: {message}")))
        }
        Err(error) => Err(server.failed(&error)),
    }
}

/// Why a job was not sent a signal.
fn unsignalled(server: &Server, path: &str) -> &'static str {
    let job = server.client.get(path).and_then(|answer| answer.parse::<Job>());
    match job {
        Ok(Job { state: StateWord::Pending, .. }) => "Job can not be altered now, try again later",
        _ => "Invalid job id specified",
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
    let sent = sent(&given)?;
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
            let what = match (given.value("signal"), given.has("batch")) {
                (None, false) => "Terminating job".to_owned(),
                (signal, batch) => {
                    let number = number_of(signal.unwrap_or(KILL)).unwrap_or_default();
                    format!("Signal {number} to {}job", if batch { "batch " } else { "" })
                }
            };
            remark(&format!("{COMMAND}: {what} {word}"));
        }
        for job in jobs {
            if let Err(failure) = act(&server, job.reference(), sent.as_deref(), &given) {
                failures.extend(failure.lines);
            }
        }
    }
    match failures.is_empty() {
        true => Ok(0),
        false => Err(Failure { lines: failures, code: FAILED }),
    }
}
