//! *Purpose*: reads what clients of Slurm's API send about a job: a new one, or what is to be
//! different about one.
//!
//! *Owns*: [`parse_submit`], [`parse_update`].
//!
//! *Promises*: all faults of a body are found at once and named as the body names them; a new job
//! is the one that the same words would make of `sbatch`.
//!
//! *Not here*: what the fields mean (`slurm::asked`), bounds and paths (`kernel::admission`).

use serde_json::{Map, Value, json};

use super::asked::{self, Asked};
use super::version::Version;
use crate::api::wire::asked_tasks::Shares;
use crate::api::wire::fields::kind;
use crate::api::wire::sbatch::{Directives, Given, Said, options};
use crate::api::wire::submission::Submission;
use crate::api::wire::submit::{BodyRefused, object, of_options};
use crate::api::wire::warnings::Warnings;
use crate::job::edit::EditRequest;
use crate::job::faults::{Faults, FieldError};
use crate::time::Time;

/// Options that can be changed of a job that is there.
const CHANGED: [&str; 16] = [
    "account",
    "begin",
    "comment",
    "cpus-per-task",
    "deadline",
    "dependency",
    "job-name",
    "mem",
    "mincpus",
    "nice",
    "nodes",
    "ntasks",
    "ntasks-per-node",
    "partition",
    "priority",
    "time",
];

/// What generated clients send with every description, for their documents ask for it or have a
/// default.
const SENT_ANYWAY: [&str; 2] = ["environment", "open_mode"];

/// What a body holds: the description, and what stands before the names of its fields.
struct Described {
    job: Map<String, Value>,
    path: String,
    script: Option<Value>,
}

/// Reads a body `{"script": …, "job": {…}}`, or `{"script": …, "jobs": [{…}]}`; the script may be
/// in the description as well.
///
/// # Errors
/// [`BodyRefused`], with every fault in it.
pub fn parse_submit(body: &[u8], version: Version) -> Result<Submission, BodyRefused> {
    let mut errors = Faults::default();
    let Described { mut job, path, script } = described(object(body)?)?;
    let script = match script.or_else(|| job.remove("script")) {
        Some(Value::String(script)) => script,
        Some(Value::Null) | None => {
            let message = "is missing; send the text of a shell script";
            return Err(fault("script", message));
        }
        Some(other) => {
            return Err(fault("script", &format!("is {}; a string is expected", kind(&other))));
        }
    };
    let mut rest = Map::new();
    for (own, name) in [("environment", "environment"), ("hold", "held")] {
        rest.extend(job.remove(own).map(|value| (name.to_owned(), value)));
    }
    rest.extend(arguments(job.remove("argv")).map(|list| ("args".to_owned(), list)));
    let early = early_signal(&mut job, &path, &mut errors);
    let requeue = requeue(&mut job, &path, &mut errors);
    let mut all = asked::given(&job, &path, &mut errors);
    all.options.extend(early.into_iter().chain(requeue));
    let said = unknown(&mut all, version, &mut errors);
    let mut faults = Faults::default();
    let submission = of_options(script, all.options, (rest, path.clone()), &mut faults);
    errors.absorb(faults, |fault| said_here(&path, fault));
    match submission {
        Some(mut submission) if errors.is_empty() => {
            let mut warnings = Warnings::default();
            let kept = std::mem::take(&mut submission.request.warnings);
            all.warnings.into_iter().chain(said).chain(kept).for_each(|one| warnings.push(one));
            submission.request.warnings = warnings.listed();
            Ok(submission)
        }
        _ => Err(BodyRefused::Fields(errors)),
    }
}

/// A fault of a field that this server calls otherwise, in the body's words.
fn said_here(path: &str, fault: FieldError) -> FieldError {
    let own = fault.field.strip_prefix(path).unwrap_or_default();
    let field = match own {
        "held" => format!("{path}hold"),
        own if own.starts_with("args") => format!("{path}{}", own.replacen("args", "argv", 1)),
        _ => fault.field,
    };
    FieldError { field, ..fault }
}

fn fault(field: &str, message: &str) -> BodyRefused {
    BodyRefused::Fields(FieldError::new(field, message).into())
}

fn described(mut map: Map<String, Value>) -> Result<Described, BodyRefused> {
    let (one, several) = (map.remove("job"), map.remove("jobs"));
    let script = map.remove("script").filter(|script| !script.is_null());
    if let Some(name) = map.keys().next() {
        return Err(fault(name, "is not a known field; known are script, job and jobs"));
    }
    let (job, path) = match (one, several) {
        (Some(_), Some(_)) => return Err(fault("jobs", "job is there too; send one of them")),
        (Some(job), None) => (job, "job."),
        (None, Some(Value::Array(mut jobs))) if jobs.len() == 1 => (jobs.remove(0), "jobs[0]."),
        // The parts of one job that lie on several nodes, to Slurm.
        (None, Some(Value::Array(jobs))) if jobs.len() > 1 => {
            return Err(fault("jobs", "a job has one part here; submit each by itself"));
        }
        (None, Some(other)) => {
            let message = format!("is {}; a list with one job is expected", kind(&other));
            return Err(fault("jobs", &message));
        }
        (None, None) => return Err(fault("job", "is missing; describe the job")),
    };
    match job {
        Value::Object(job) => Ok(Described { job, path: path.to_owned(), script }),
        other => {
            let message = format!("is {}; an object is expected", kind(&other));
            Err(fault(path.trim_end_matches('.'), &message))
        }
    }
}

/// The first of them is the script's name, in whose place Slurm puts the one of its own.
fn arguments(value: Option<Value>) -> Option<Value> {
    match value? {
        Value::Array(list) => Some(list.into_iter().skip(1).collect()),
        other => Some(other),
    }
}

/// `kill_warning_signal`, its seconds and its recipient as one option.
fn early_signal(map: &mut Map<String, Value>, path: &str, errors: &mut Faults) -> Option<Given> {
    let (signal, delay, flags) = (
        map.remove("kill_warning_signal"),
        map.remove("kill_warning_delay"),
        map.remove("kill_warning_flags"),
    );
    let own = "kill_warning_signal";
    let (delay, flags) = (delay.filter(is_set), flags.filter(is_set));
    let mut wrong = |field: &str, message: String| {
        errors.push(FieldError::new(format!("{path}{field}"), message));
        None
    };
    let signal = match signal.filter(is_set) {
        Some(Value::String(text)) => text,
        Some(other) => return wrong(own, format!("is {}; a string is expected", kind(&other))),
        None if delay.is_some() => {
            return wrong("kill_warning_delay", format!("{own} is missing beside it"));
        }
        None => return None,
    };
    let after = delay.map(|delay| format!("@{}", delay.get("number").unwrap_or(&delay)));
    let to = match flags {
        None => "",
        Some(flags) if [json!("BATCH_JOB"), json!(["BATCH_JOB"])].contains(&flags) => "B:",
        Some(_) => {
            let message = "BATCH_JOB alone is honoured here: the signal goes to the script";
            return wrong("kill_warning_flags", message.to_owned());
        }
    };
    let value = Some(format!("{to}{signal}{}", after.unwrap_or_default()));
    Some(Given { field: format!("{path}{own}"), option: "signal", value })
}

fn is_set(value: &Value) -> bool {
    !asked::is_unset(value)
}

fn requeue(map: &mut Map<String, Value>, path: &str, errors: &mut Faults) -> Option<Given> {
    let field = format!("{path}requeue");
    let option = match map.remove("requeue")? {
        Value::Null => return None,
        Value::Bool(true) => "requeue",
        Value::Bool(false) => "no-requeue",
        other => {
            let message = format!("is {}; true or false is expected", kind(&other));
            errors.push(FieldError::new(field, message));
            return None;
        }
    };
    Some(Given { field, option, value: None })
}

/// What no version knows is refused, or said to be looked at by nobody.
fn unknown(asked: &mut Asked, version: Version, errors: &mut Faults) -> Vec<String> {
    let all = std::mem::take(&mut asked.unknown);
    if version.refuses_unknown_fields() {
        all.iter().for_each(|field| errors.push(FieldError::new(field, "is not a known field")));
        return Vec::new();
    }
    all.iter().map(|field| format!("{field} is not a known field; nobody looks at it.")).collect()
}

/// Reads what is to be different.
///
/// # Errors
/// [`BodyRefused`], with every fault in it.
pub fn parse_update(
    body: &[u8],
    version: Version,
    now: Time,
) -> Result<(EditRequest, Vec<String>), BodyRefused> {
    let mut errors = Faults::default();
    let mut map = object(body)?;
    let mut path = "";
    // Newer clients put it below a name as in a submission.
    if let Some(Value::Object(job)) = map.get("job") {
        (map, path) = (job.clone(), "job.");
    }
    let held = match map.remove("hold") {
        Some(Value::Bool(held)) => Some(held),
        Some(Value::Null) | None => None,
        Some(other) => {
            let message = format!("is {}; true or false is expected", kind(&other));
            errors.push(FieldError::new(format!("{path}hold"), message));
            None
        }
    };
    let (mut stays, mut said) = (Vec::new(), Vec::new());
    for name in ["script", "argv", "requeue"] {
        stays.extend(
            map.remove(name).filter(|value| !value.is_null()).map(|_| path.to_owned() + name),
        );
    }
    for name in SENT_ANYWAY {
        let value = map.remove(name).filter(|value| !value.is_null());
        said.extend(value.map(|_| format!("{path}{name} of a job that is there stays as it is.")));
    }
    let mut all = asked::given(&map, path, &mut errors);
    said.extend(unknown(&mut all, version, &mut errors));
    let others = all.options.iter().filter(|one| !CHANGED.contains(&one.option));
    // What changes nothing of a new job changes nothing of this one.
    let others = others.filter(|one| !is_harmless(one.option));
    stays.extend(others.map(|one| one.field.clone()));
    for field in stays {
        let message = "of a job that is there it cannot be changed; submit it again";
        errors.push(FieldError::new(field, message));
    }
    let mut lines = Directives::default();
    lines.then(all.options);
    errors.absorb(std::mem::take(&mut lines.errors), |fault| fault);
    said.extend(all.warnings);
    said.extend(std::mem::take(&mut lines.warnings).listed());
    let edit = edit_of(lines, held);
    if edit.deadline.flatten().is_some_and(|deadline| deadline <= now) {
        let message = "has passed already; cancel the job instead";
        errors.push(FieldError::new(format!("{path}deadline"), message));
    }
    if errors.is_empty() && edit == EditRequest::default() {
        let message = "changes nothing; send time_limit, priority, hold, begin_time, deadline, \
                       name, partition, account, tasks, memory_per_node, dependency or comment";
        errors.push(FieldError::new("body", message));
    }
    if errors.is_empty() { Ok((edit, said)) } else { Err(BodyRefused::Fields(errors)) }
}

fn is_harmless(name: &str) -> bool {
    options().any(|one| one.name == name && matches!(one.said, Said::Harmless(_)))
}

fn edit_of(lines: Directives, held: Option<bool>) -> EditRequest {
    let cpus = lines.speak_of_cpus().then(|| Shares::of_lines(&lines).counted_cpus()).flatten();
    EditRequest {
        held,
        priority: lines.priority.map(|placed| placed.value),
        limit: lines.time.map(|placed| placed.value),
        begin: lines.begin.map(|placed| Some(placed.value)),
        deadline: lines.deadline.map(|placed| Some(placed.value)),
        name: lines.job_name.map(|placed| placed.value),
        account: lines.account.map(|placed| placed.value),
        partition: lines.partition.map(|placed| placed.value),
        cpus,
        memory_bytes: lines.memory_bytes.map(|placed| Some(placed.value)),
        dependencies: lines.dependency.map(|placed| placed.value),
        labels: None,
        comment: lines.comment.map(|placed| Some(placed.value)),
    }
}

/// The field of a change as a body of this API names it.
#[must_use]
pub fn changed_field(own: &str) -> &str {
    match own {
        "cpus" => "tasks",
        "memory" => "memory_per_node",
        "held" => "hold",
        other => other,
    }
}

/// Reads a body that names jobs: `{"jobs": ["17", "18_4"], "signal": "USR1"}`; a signal is a name
/// or a number.
///
/// # Errors
/// [`BodyRefused`], with every fault in it.
pub fn parse_jobs(body: &[u8], most: usize) -> Result<(Vec<String>, Option<String>), BodyRefused> {
    let map = object(body)?;
    let signal = match map.get("signal") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        // A default would cancel what was only to be told something.
        Some(other) => {
            let message = format!("is {}; the name of a signal is expected", kind(other));
            return Err(fault("signal", &message));
        }
    };
    let Some(Value::Array(jobs)) = map.get("jobs") else {
        return Err(fault("jobs", "is missing; a list of jobs is expected"));
    };
    if jobs.len() > most {
        return Err(fault("jobs", &format!("{} jobs; at most {most} at a time", jobs.len())));
    }
    let one = |job: &Value| match job {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(fault("jobs", &format!("holds {}; ids are expected", kind(other)))),
    };
    // What would pick others too must not be passed over.
    if let Some(name) = map.keys().find(|name| !["jobs", "signal"].contains(&name.as_str())) {
        let is_unset = [json!(""), json!([]), Value::Null].contains(&map[name]);
        if !is_unset {
            return Err(fault(name, "cannot pick jobs here; name them in jobs"));
        }
    }
    Ok((jobs.iter().map(one).collect::<Result<_, _>>()?, signal))
}
