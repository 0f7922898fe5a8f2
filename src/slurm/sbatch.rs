//! *Purpose*: `sbatch`.
//!
//! *Owns*: where the script comes from, `SBATCH_*` variables, and real Slurm's sentences about what
//! is refused.
//!
//! *Promises*: the command line goes before the variables, those before the script. Whoever has
//! been told a number finds the job with every other program. A submission whose answer is lost is
//! asked for again under its own key, and is stored once.
//!
//! *Not here*: what options mean (`api::wire::sbatch`), the body (`cli::job_flags`).
//!
//! Source: sbatch(1) of Slurm 22.05, and what it answered.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::failure::{FAILED, Failure};
use super::getopt::{Effect, Given, Grammar, Opt};
use super::help;
use super::jobs::Server;
use super::say::{output, remark};
use super::voice::Voice;
use crate::api::wire::body::SubmitBody;
use crate::api::wire::sbatch::{self, Directives};
use crate::api::wire::v1::Job;
use crate::cli::caller::Caller;
use crate::cli::job_flags::JobFlags;
use crate::cli::sbatch_options::{self, SbatchOptions};
use crate::cli::{submit, wait};
use crate::job::spec::SCRIPT_BYTES_MAX;

const COMMAND: &str = "sbatch";
/// Options that ask something of the program itself, or say where the script is.
const OWN: [&str; 9] =
    ["help", "parsable", "quiet", "test-only", "usage", "verbose", "version", "wait", "wrap"];
/// How it speaks.
const VOICE: Voice = Voice { command: COMMAND, failed: "Batch job submission failed" };

/// Variables that are options of everybody who submits with them.
const VARIABLES: &[(&str, &str)] = &[
    ("SBATCH_ACCOUNT", "account"),
    ("SBATCH_ARRAY_INX", "array"),
    ("SBATCH_CLUSTERS", "clusters"),
    ("SBATCH_COMMENT", "comment"),
    ("SBATCH_CONSTRAINT", "constraint"),
    ("SBATCH_ERROR", "error"),
    ("SBATCH_EXCLUSIVE", "exclusive"),
    ("SBATCH_EXPORT", "export"),
    ("SBATCH_GPUS", "gpus"),
    ("SBATCH_GPUS_PER_NODE", "gpus-per-node"),
    ("SBATCH_GPUS_PER_TASK", "gpus-per-task"),
    ("SBATCH_GRES", "gres"),
    ("SBATCH_INPUT", "input"),
    ("SBATCH_JOB_NAME", "job-name"),
    ("SBATCH_MEM_PER_CPU", "mem-per-cpu"),
    ("SBATCH_MEM_PER_GPU", "mem-per-gpu"),
    ("SBATCH_MEM_PER_NODE", "mem"),
    ("SBATCH_NO_REQUEUE", "no-requeue"),
    ("SBATCH_OPEN_MODE", "open-mode"),
    ("SBATCH_OUTPUT", "output"),
    ("SBATCH_OVERCOMMIT", "overcommit"),
    ("SBATCH_PARTITION", "partition"),
    ("SBATCH_QOS", "qos"),
    ("SBATCH_REQUEUE", "requeue"),
    ("SBATCH_RESERVATION", "reservation"),
    ("SBATCH_SIGNAL", "signal"),
    ("SBATCH_TIMELIMIT", "time"),
    ("SBATCH_WAIT", "wait"),
    ("SBATCH_WCKEY", "wckey"),
];

/// The options as the command line knows them: what becomes of each the one table says.
pub fn options() -> Vec<Opt> {
    let own = |sbatch::SbatchOption { name, letter, takes, said }| {
        let effect = match (OWN.contains(&name), said) {
            (true, _) => Effect::Does(of_the_program(name)),
            (false, sbatch::Said::Honoured) => Effect::Does(sbatch_options::line_of(name)),
            (false, sbatch::Said::Harmless(why)) => Effect::Nothing(why),
            // The sentence comes with the others.
            (false, sbatch::Said::Refused(why)) => Effect::Refused(why),
        };
        (name, letter, takes, effect)
    };
    sbatch::options().map(own).collect()
}

fn of_the_program(name: &str) -> &'static str {
    match name {
        "parsable" => "Print nothing but the number",
        "quiet" => "Say nothing of what was accepted without effect",
        "test-only" => "Only say when it could start",
        "usage" => "The shortest help",
        "verbose" => "Say what was accepted without effect",
        "version" => "Which version this is",
        "wait" => "Wait for its end, and end with its code",
        "wrap" => "A command line for /bin/sh instead of a script",
        _ => "This help",
    }
}

/// `sbatch`.
///
/// # Errors
/// What it says on standard error.
pub fn run(typed: Vec<OsString>) -> Result<u8, Failure> {
    // What is refused has a sentence of its own, whether it stands here or in the script.
    let known = |(name, letter, takes, _): Opt| (name, letter, takes, Effect::Does(""));
    let table = options();
    let options: Vec<Opt> = table.iter().copied().map(known).collect();
    let grammar = Grammar { command: COMMAND, options: &options, ends_with_a_word: true };
    let given = grammar.read(typed)?;
    if let Some(text) = help::asked(&Grammar { options: &table, ..grammar }, &given) {
        return output(COMMAND, &text).map(|()| 0);
    }
    let (script, name) = script(&given)?;
    let lines = sbatch::read(&String::from_utf8_lossy(&script));
    VOICE.sensible(&lines)?;
    let flags = flags(&given, &lines);
    let job_flags = JobFlags::of(SbatchOptions::of(flags.clone()));
    VOICE.sensible(&sbatch::of_command_line(flags))?;
    let caller = Caller::here().map_err(|error| Failure::of(COMMAND, &error))?;
    let arguments = given.words.get(1..).unwrap_or_default();
    let body = job_flags.body((script, arguments), Some(name), &caller);
    let mut body = body.map_err(|error| Failure::of(COMMAND, &error))?;
    body.command = given.words.first().and_then(|path| caller.path(Path::new(path)));
    let server = Server::of(COMMAND)?;
    if given.has("test-only") {
        return test_only(&server, &body);
    }
    let (job, _) =
        submit::sent(&server.client, &body, None).map_err(|error| VOICE.refused(&error))?;
    if given.has("verbose") && !given.has("quiet") {
        let warnings = job_flags.warnings().into_iter().chain(job.warnings);
        warnings.for_each(|warning| remark(&format!("{COMMAND}: {warning}")));
    }
    let said = match given.has("parsable") {
        true => format!("{}\n", job.id),
        false => format!("Submitted batch job {}\n", job.id),
    };
    output(COMMAND, &said)?;
    let waits = given.has("wait") || std::env::var_os("SBATCH_WAIT").is_some();
    if !waits {
        return Ok(0);
    }
    let ended = wait::until_end(&server.client, job.id);
    Ok(ended.map_err(|error| server.failed(&error))?.code)
}

/// The script, and what its job is called when nobody says.
fn script(given: &Given) -> Result<(Vec<u8>, String), Failure> {
    if let Some(command) = given.value("wrap") {
        if !given.words.is_empty() {
            let what = "Script arguments are not permitted with --wrap option";
            return Err(Failure::error(COMMAND, what));
        }
        let text = format!("#!/bin/sh\n# This script was created by sbatch --wrap.\n\n{command}\n");
        return Ok((text.into_bytes(), "wrap".to_owned()));
    }
    let mut script = Vec::new();
    // One byte more shows that there are too many: a device has no end.
    let most = SCRIPT_BYTES_MAX as u64 + 1;
    let (read, name) = match given.words.first() {
        Some(path) => {
            let opened = File::open(path);
            let file = opened.map_err(|error| {
                let failure = Failure::error(COMMAND, &format!("Unable to open file {path}"));
                failure.and(format!("{COMMAND}: error: {error}"))
            })?;
            (
                file.take(most).read_to_end(&mut script),
                crate::api::wire::slurm::facts::Facts::short_name(path),
            )
        }
        None => (std::io::stdin().lock().take(most).read_to_end(&mut script), COMMAND),
    };
    read.map_err(|error| Failure::error(COMMAND, &format!("the script cannot be read: {error}")))?;
    let said = |lines: &[&str]| {
        let lines = lines.iter().map(|line| format!("{COMMAND}: error: {line}"));
        Failure { lines: lines.collect(), code: FAILED }
    };
    if script.is_empty() {
        return Err(said(&["Batch script is empty!"]));
    }
    if script.len() > SCRIPT_BYTES_MAX {
        return Err(said(&[
            "Batch job submission failed: Pathname of a file, directory or other parameter too \
             long",
            &format!("a script has {SCRIPT_BYTES_MAX} bytes at the most"),
        ]));
    }
    if script.iter().all(u8::is_ascii_whitespace) {
        return Err(said(&["Batch script contains only whitespace!"]));
    }
    if !script.starts_with(b"#!") {
        return Err(said(&[
            "This does not look like a batch script.  The first",
            "line must start with #! followed by the path to an interpreter.",
            "For instance: #!/bin/sh",
        ]));
    }
    if script.windows(2).any(|pair| pair == b"\r\n") {
        return Err(said(&[
            "Batch script contains DOS line breaks (\\r\\n)",
            "instead of expected UNIX line breaks (\\n).",
        ]));
    }
    Ok((script, name.to_owned()))
}

/// The options beside the script: those of variables, then those that were typed.
fn flags(given: &Given, lines: &Directives) -> Vec<(String, Option<String>)> {
    let mut flags: Vec<(String, Option<String>)> = Vec::new();
    for (variable, option) in VARIABLES.iter().filter(|(_, option)| !OWN.contains(option)) {
        let Ok(value) = std::env::var(variable) else { continue };
        // Some are switches: that they are there is enough.
        let is_switch = ["no-requeue", "overcommit", "requeue"].contains(option);
        let value = Some(value).filter(|value| !is_switch && !value.is_empty());
        if value.is_some() || is_switch {
            flags.push(((*option).to_owned(), value));
        }
    }
    let typed = given.options.iter().filter(|(name, _)| !OWN.contains(name));
    flags.extend(typed.map(|(name, value)| ((*name).to_owned(), value.clone())));
    let is_said = |name: &str| flags.iter().any(|(own, _)| own == name);
    if !is_said("output") && lines.output.is_none() {
        let is_array = is_said("array") || lines.array.is_some();
        let usual = if is_array { "slurm-%A_%a.out" } else { "slurm-%j.out" };
        flags.push(("output".to_owned(), Some(usual.to_owned())));
    }
    flags
}

/// Says when it could start; nothing is submitted.
fn test_only(server: &Server, body: &SubmitBody) -> Result<u8, Failure> {
    let text = serde_json::to_string(body).map_err(|error| server.error(&error.to_string()))?;
    let answer = server.client.post("/api/v1/jobs?dry_run=true", &text, None);
    let answer = answer.map_err(|error| VOICE.refused(&error))?;
    let job: Job = answer.parse().map_err(|error| server.failed(&error))?;
    let start = crate::api::wire::slurm::words::moment(
        job.estimated_start_time.as_deref(),
        "a time nobody knows",
    );
    let (cpus, partition) = (job.cpus, &job.partition);
    remark(&format!(
        "{COMMAND}: Job 0 to start at {start} using {cpus} processors in partition {partition}"
    ));
    Ok(0)
}
