//! *Purpose*: `scontrol`.
//!
//! *Owns*: its words, and what it says of each job it could not change.
//!
//! *Promises*: every job of a list is asked for, also after one that failed; then the exit code
//! is 1.
//!
//! *Not here*: what is shown (`slurm::show`), what a change does (the server).
//!
//! Source: scontrol(1) of Slurm 22.05, and what it answered.

use std::ffi::OsString;

use super::failure::{FAILED, Failure};
use super::getopt::Effect::{Does, Nothing as NoEffect, Refused};
use super::getopt::{Given, Grammar, Opt};
use super::jobs::{Named, Server, ids, words as list};
use super::machine;
use super::say::{ONE_CLUSTER, output};
use super::squeue::steps;
use super::{help, hostlist, show};
use crate::api::wire::amount::Amount;
use crate::api::wire::sbatch::Takes::{Nothing, Value};
use crate::api::wire::update::UpdateBody;
use crate::api::wire::v1::{Job, JobRef, StateWord, format_rfc3339};
use crate::cli::CliError;
use crate::text::size;
use crate::text::when::{self, Zone};

const COMMAND: &str = "scontrol";
/// What Slurm says of a number that no job has.
const NO_JOB: &str = "Invalid job id specified";

#[rustfmt::skip]
const OPTIONS: &[Opt] = &[
    ("all", Some('a'), Nothing, NoEffect("nothing is hidden")),
    ("clusters", Some('M'), Value, NoEffect(ONE_CLUSTER)),
    ("details", Some('d'), Nothing, NoEffect("nothing more is said")),
    ("federation", None, Nothing, NoEffect(ONE_CLUSTER)),
    ("future", Some('F'), Nothing, NoEffect("there are no nodes to come")),
    ("help", Some('h'), Nothing, Does("This help")),
    ("hide", None, Nothing, NoEffect("nothing is hidden")),
    ("local", None, Nothing, NoEffect(ONE_CLUSTER)),
    ("oneliner", Some('o'), Nothing, Does("Each record in one line")),
    ("quiet", Some('Q'), Nothing, Does("Say nothing of jobs that could not be changed")),
    ("sibling", None, Nothing, NoEffect(ONE_CLUSTER)),
    ("uid", Some('u'), Value, Refused("you are who you are; see downbeat token")),
    ("usage", None, Nothing, Does("The shortest help")),
    ("verbose", Some('v'), Nothing, NoEffect("nothing more is said")),
    ("version", Some('V'), Nothing, Does("Which version this is")),
];

/// `scontrol`.
///
/// # Errors
/// What it says on standard error.
pub fn run(typed: Vec<OsString>) -> Result<u8, Failure> {
    let grammar = Grammar { command: COMMAND, options: OPTIONS, ends_with_a_word: false };
    let given = grammar.read(typed)?;
    if let Some(text) = help::asked(&grammar, &given) {
        return output(COMMAND, &text).map(|()| 0);
    }
    let Some((word, rest)) = given.words.split_first() else {
        let what = format!("name what to do: {}", WORDS.join(", "));
        return Err(Failure::error(COMMAND, &what));
    };
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    match word.to_ascii_lowercase().as_str() {
        "show" => show_what(&rest, &given),
        "ping" => ping(),
        "hold" | "uhold" => each(&rest, "hold", "slurm_suspend error", &given),
        "release" => each(&rest, "release", "slurm_suspend error", &given),
        "suspend" => each(&rest, "suspend", "", &given),
        "resume" => each(&rest, "unsuspend", "", &given),
        "requeue" => each(&rest, "requeue", "", &given),
        "requeuehold" => each(&rest, "requeue?hold=true", "", &given),
        "update" => update(&rest),
        "version" => output(COMMAND, &help::version()).map(|()| 0),
        "help" => {
            let words = format!("{}\n", WORDS.join("\n"));
            output(COMMAND, &words).map(|()| 0)
        }
        other => Err(Failure::new(format!("invalid keyword: {other}"))),
    }
}

/// What it can do.
const WORDS: [&str; 11] = [
    "hold",
    "ping",
    "release",
    "requeue",
    "requeuehold",
    "resume",
    "show",
    "suspend",
    "uhold",
    "update",
    "version",
];

fn ping() -> Result<u8, Failure> {
    let server = Server::of(COMMAND)?;
    let node = machine::of(&server)?.resources.node;
    output(COMMAND, &format!("Slurmctld(primary) at {node} is UP\n")).map(|()| 0)
}

fn show_what(words: &[&str], given: &Given) -> Result<u8, Failure> {
    let (entity, name) = match words {
        [] => ("", None),
        [one, rest @ ..] => match one.split_once('=') {
            Some((entity, name)) => (entity, Some(name)),
            None => (*one, rest.first().copied()),
        },
    };
    let in_one =
        given.has("oneliner") || words.iter().any(|word| ["-o", "--oneliner"].contains(word));
    let entity = entity.to_ascii_lowercase();
    if entity.starts_with("hostname") {
        return hostnames(name);
    }
    let server = Server::of(COMMAND)?;
    match entity.as_str() {
        "job" | "jobs" | "jobid" => show_jobs(&server, name, in_one),
        "step" | "steps" | "stepid" => show_steps(&server, name, in_one),
        "node" | "nodes" | "nodename" => {
            let machine = machine::of(&server)?;
            let own = &machine.resources.node;
            if let Some(other) = name.filter(|name| name != own) {
                return Err(Failure::new(format!("Node {other} not found")));
            }
            output(COMMAND, &show::node(&machine, in_one)).map(|()| 0)
        }
        "partition" | "partitions" | "partitionname" => {
            let machine = machine::of(&server)?;
            let is_it = |own: &str| name.is_none_or(|name| name == own);
            let found = machine.partitions.iter().filter(|one| is_it(&one.name));
            let text: String = found.map(|one| show::partition(&machine, one, in_one)).collect();
            match (text.is_empty(), name) {
                (true, Some(name)) => Err(Failure::new(format!("Partition {name} not found"))),
                _ => output(COMMAND, &text).map(|()| 0),
            }
        }
        "config" => {
            let node = machine::of(&server)?.resources.node;
            output(COMMAND, &show::config(&node)).map(|()| 0)
        }
        _ => Err(Failure::new(format!("invalid entity:{entity} for keyword:show "))),
    }
}

/// Each node of a list; of the job around without one.
fn hostnames(list: Option<&str>) -> Result<u8, Failure> {
    let own = ["SLURM_JOB_NODELIST", "SLURM_NODELIST"].iter().find_map(|n| std::env::var(n).ok());
    let Some(list) = list.map(str::to_owned).or(own) else {
        return Err(Failure::new("host list is empty"));
    };
    let unread = || Failure::new(format!("Invalid hostlist: {list}"));
    let nodes = hostlist::expand(&list).ok_or_else(unread)?;
    output(COMMAND, &format!("{}\n", nodes.join("\n"))).map(|()| 0)
}

fn show_jobs(server: &Server, name: Option<&str>, in_one: bool) -> Result<u8, Failure> {
    let jobs: Vec<Job> = match name {
        None => {
            let live = [StateWord::Pending, StateWord::Running, StateWord::Completing];
            let mut jobs = server.all(&live.map(|state| ("state", state.word().to_owned())), "")?;
            let since = crate::clock::now().plus_s(-super::squeue::MIN_JOB_AGE_S);
            jobs.extend(server.all(&[("ended_since", format_rfc3339(since))], "")?);
            jobs.sort_by_key(|job| job.id);
            jobs.dedup_by_key(|job| job.id);
            jobs
        }
        Some(name) => {
            let named = ids(name);
            let bad = || Failure::new(format!("scontrol_print_job error: {NO_JOB}"));
            let jobs = server.named(&named.ok_or_else(bad)?, "")?;
            if jobs.is_empty() {
                return Err(Failure::new(format!("slurm_load_jobs error: {NO_JOB}")));
            }
            jobs
        }
    };
    let text: String = match jobs.is_empty() {
        true => "No jobs in the system\n".to_owned(),
        false => jobs.iter().map(|job| show::job(job, in_one)).collect(),
    };
    output(COMMAND, &text).map(|()| 0)
}

/// Steps that run: all, those of a job, or one.
fn show_steps(server: &Server, name: Option<&str>, in_one: bool) -> Result<u8, Failure> {
    let name = name.filter(|name| !name.starts_with('-'));
    let (job, step) = match name.map(|name| name.split_once('.').unwrap_or((name, ""))) {
        Some((job, step)) => (Some(job), Some(step).filter(|step| !step.is_empty())),
        None => (None, None),
    };
    let bad = || Failure::new(format!("slurm_get_job_steps error: {NO_JOB}"));
    let named = job.map_or(Some(Vec::new()), ids).ok_or_else(bad)?;
    let mut rows = steps::of(server, &named)?.ok_or_else(bad)?;
    if let (Some(step), Some(name)) = (step, name) {
        rows.retain(|row| row.step.suffix == step);
        if rows.is_empty() {
            return Err(Failure::new(format!("Job step {name} not found")));
        }
    }
    let text: String = match rows.is_empty() {
        true => "No job steps in the system\n".to_owned(),
        false => rows.iter().map(|row| show::step(row, in_one)).collect(),
    };
    output(COMMAND, &text).map(|()| 0)
}

/// Jobs as they stand in lists: `17,18`, `17_4`, `jobid=17`.
fn listed(words: &[&str]) -> Result<Vec<Named>, Failure> {
    let mut named = Vec::new();
    for word in words.iter().flat_map(|word| list(word)) {
        let number = word.split_once('=').map_or(word, |(_, number)| number);
        named.extend(ids(number).ok_or_else(|| Failure::new(format!("{NO_JOB} for job {word}")))?);
    }
    match named.is_empty() {
        true => Err(Failure::new("too few arguments for keyword: name the jobs")),
        false => Ok(named),
    }
}

/// Does this to each; `behind` is what real Slurm says once more at the end.
fn each(words: &[&str], what: &str, behind: &str, given: &Given) -> Result<u8, Failure> {
    let named = listed(words)?;
    let server = Server::of(COMMAND)?;
    let mut failed = Failure { lines: Vec::new(), code: 0 };
    for job in named {
        let job = job.reference();
        let error = match server.client.post(&format!("/api/v1/jobs/{job}/{what}"), "", None) {
            Ok(_) => continue,
            Err(error @ CliError::Refused { .. }) => error,
            Err(error) => return Err(server.failed(&error)),
        };
        failed.code = FAILED;
        let why = match &error {
            CliError::Refused { status: 404, .. } => NO_JOB.to_owned(),
            CliError::Refused { status: 401 | 403, .. } => "Access/permission denied".to_owned(),
            CliError::Refused { status: 409, .. } => {
                in_slurms_words(&server, job, what).unwrap_or_else(|| error.to_string())
            }
            other => other.to_string(),
        };
        failed.lines.push(format!("{why} for job {job}"));
        failed.lines.extend((!behind.is_empty()).then(|| format!("{behind}: {why}")));
    }
    if given.has("quiet") {
        failed.lines.clear();
    }
    if failed.code == 0 { Ok(0) } else { Err(failed) }
}

/// Why this could not be done with a job as it stands, where Slurm has a sentence for it.
fn in_slurms_words(server: &Server, job: JobRef, what: &str) -> Option<String> {
    let (job, _) = server.client.job(job).ok()?;
    let pauses = ["suspend", "unsuspend"].contains(&what);
    let sentence = match job.state {
        StateWord::Pending if pauses => "Job is pending execution",
        StateWord::Running if pauses => "Job is not suspended",
        _ if pauses => "Job/step already completing or completed",
        state if state.is_final() => "Job has already finished",
        _ => return None,
    };
    Some(sentence.to_owned())
}

/// What is to be different, by Slurm's name for it.
fn change(body: &mut UpdateBody, (key, value): (&str, &str)) -> Result<(), Failure> {
    let senseless = |why: String| {
        Failure::new(format!("Invalid {key} value: {value}"))
            .and(format!("{COMMAND}: error: {why}"))
    };
    let number = || value.parse::<i64>().map_err(|e| senseless(e.to_string()));
    let instant = || when::parse(value, Zone::Local).map(format_rfc3339).map_err(senseless);
    let text = Some(value.to_owned());
    match key.to_ascii_lowercase().as_str() {
        "timelimit" => body.time_limit = Some(time_limit(value)),
        "jobname" | "name" => body.name = text,
        "partition" => body.partition = text,
        "account" => body.account = text,
        "comment" => body.comment = text,
        "dependency" => body.dependency = text.filter(|t| !t.is_empty()).or(Some("none".into())),
        "numcpus" => body.cpus = Some(number()?),
        "priority" => body.priority = Some(number()?),
        "nice" => body.priority = Some(number()?.saturating_neg()),
        "minmemorynode" => {
            body.memory = Some(Amount::Number(size::parse_mib(value).map_err(senseless)?));
        }
        "starttime" | "eligibletime" => body.begin_time = Some(instant()?),
        "deadline" => body.deadline = Some(instant()?),
        _ => {
            let what = format!("Update of this parameter is not supported: {key}={value}");
            return Err(Failure::new(what));
        }
    }
    Ok(())
}

/// `scontrol update JobId=17 TimeLimit=5 …`.
fn update(words: &[&str]) -> Result<u8, Failure> {
    let mut body = UpdateBody::default();
    let mut named: Vec<Named> = Vec::new();
    for word in words {
        let Some((key, value)) = word.split_once('=') else {
            return Err(Failure::new(format!("Invalid input: {word}")));
        };
        match key.eq_ignore_ascii_case("jobid") || key.eq_ignore_ascii_case("job") {
            true => named = listed(&[value])?,
            false => change(&mut body, (key, value))?,
        }
    }
    if named.is_empty() {
        return Err(Failure::new("No valid entity in update command"));
    }
    let text = serde_json::to_string(&body);
    let server = Server::of(COMMAND)?;
    let text = text.map_err(|error| server.error(&error.to_string()))?;
    let mut failures = Vec::new();
    for job in named {
        let job = job.reference();
        match server.client.patch(&format!("/api/v1/jobs/{job}"), &text) {
            Ok(_) => {}
            Err(CliError::Refused { status: 404, .. }) => {
                failures.push(format!("slurm_update error: {NO_JOB}"));
            }
            Err(CliError::Refused { status: 401 | 403, message, .. }) => {
                failures.push("slurm_update error: Access/permission denied".to_owned());
                failures.push(format!("{COMMAND}: error: {message}"));
            }
            Err(error) => failures.extend(server.failed(&error).lines),
        }
    }
    match failures.is_empty() {
        true => Ok(0),
        false => Err(Failure { lines: failures, code: FAILED }),
    }
}

/// Minutes and the other forms of Slurm; 0 and `infinite` are none.
fn time_limit(value: &str) -> Amount {
    match value.to_ascii_lowercase().as_str() {
        "0" | "infinite" | "unlimited" | "-1" => Amount::Text("UNLIMITED".to_owned()),
        _ => Amount::Text(value.to_owned()),
    }
}
