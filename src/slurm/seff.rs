//! *Purpose*: `seff`: how much of what it had a job has used.
//!
//! *Owns*: the words of the two efficiencies.
//!
//! *Promises*: of a job that still runs it says so, since its usage is known at its end.
//!
//! *Not here*: the numbers (`GET /jobs/{id}/efficiency`), how usage is measured (`engine`).

use std::ffi::OsString;

use super::failure::Failure;
use super::getopt::Effect::Does;
use super::getopt::{Grammar, Opt};
use super::help;
use super::jobs::{Server, ids};
use super::say::output;
use crate::api::wire::sbatch::Takes::Nothing;
use crate::api::wire::slurm::facts::{CLUSTER, Facts};
use crate::api::wire::slurm::words::span;
use crate::api::wire::v1::{Efficiency, Job};
use crate::job::efficiency::percent;
use crate::slurm::owner::Owned;

const COMMAND: &str = "seff";
#[rustfmt::skip]
const OPTIONS: &[Opt] = &[
    ("help", Some('h'), Nothing, Does("This help")),
    ("version", Some('V'), Nothing, Does("Which version this is")),
];

/// `seff ID`.
///
/// # Errors
/// What it says on standard error.
pub fn run(typed: Vec<OsString>) -> Result<u8, Failure> {
    let grammar = Grammar { command: COMMAND, options: OPTIONS, ends_with_a_word: false };
    let given = grammar.read(typed)?;
    if let Some(text) = help::asked(&grammar, &given) {
        return output(COMMAND, &text).map(|()| 0);
    }
    let Some(named) = given.words.first().and_then(|word| ids(word)) else {
        return Err(Failure::new("Usage: seff JOBID"));
    };
    let server = Server::of(COMMAND)?;
    let jobs = server.named(&named, "")?;
    if jobs.is_empty() {
        return Err(Failure::new("Job not found."));
    }
    let report = |job: &Job| Ok(report(job, efficiency(&server, job)?));
    let text: Vec<String> = jobs.iter().map(report).collect::<Result<_, Failure>>()?;
    output(COMMAND, &text.join("\n")).map(|()| 0)
}

/// What it used of what it asked for, once it has ended.
fn efficiency(server: &Server, job: &Job) -> Result<Option<Efficiency>, Failure> {
    if job.usage.is_none() {
        return Ok(None);
    }
    let answer = server.client.get(&format!("/api/v1/jobs/{}/efficiency", job.id));
    let read = answer.and_then(|answer| answer.parse().map(Some));
    read.map_err(|error| server.failed(&error))
}

/// A size as people say it.
fn size(bytes: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];
    let step = UNITS.iter().enumerate().rev().find(|(n, _)| bytes >= 1024_f64.powi(*n as i32));
    let (n, unit) = step.map_or((0, "B"), |(n, unit)| (n, *unit));
    format!("{:.2} {unit}", bytes / 1024_f64.powi(n as i32))
}

fn report(job: &Job, efficiency: Option<Efficiency>) -> String {
    let f = Facts(job);
    let mut text = format!(
        "Job ID: {}\nCluster: {CLUSTER}\nUser/Group: {user}/{user}\nState: {} (exit code {})\n\
         Cores: {}\n",
        f.id(),
        f.state(),
        f.script_code().split(':').next().unwrap_or("0"),
        job.cpus,
        user = f.user(),
    );
    let Some(Efficiency { cpu, memory, .. }) = efficiency else {
        text.push_str("Its usage is known when it has ended.\n");
        return text;
    };
    let of_cpus = cpu.used.and_then(|used| percent(used, f64::from(cpu.asked)));
    text.push_str(&format!(
        "CPU Utilized: {}\nCPU Efficiency: {:.2}% of {} core-walltime\nJob Wall-clock time: {}\n",
        span(cpu.used_s.unwrap_or(0.0).round() as i64),
        of_cpus.unwrap_or(0.0),
        span(f.cpu_s()),
        f.run_time(),
    ));
    let used = memory.used_bytes.unwrap_or(0) as f64;
    text.push_str(&format!("Memory Utilized: {}\n", size(used)));
    if let Some(asked) = memory.asked_bytes {
        let asked = asked as f64;
        let part = percent(used, asked).unwrap_or(0.0);
        text.push_str(&format!("Memory Efficiency: {part:.2}% of {}\n", size(asked)));
    }
    text
}
