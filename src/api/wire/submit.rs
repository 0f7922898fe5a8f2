//! *Purpose*: reads a submit body, flat or nested, with the `#SBATCH` lines of its script.
//!
//! *Owns*: [`parse_submit`], [`parse_batch`], and how the lines fill what the body leaves out.
//!
//! *Promises*: no body panics; all faults of a body are found at once; what a body says wins
//! over `#SBATCH` lines; a field is named as the body names it, in a batch with its index.
//!
//! *Not here*: bounds and paths (`kernel::admission`), status codes (`api`), how a refusal of the
//! kernel finds the body's words (`wire::submission`).

use std::collections::BTreeMap;

use base64::Engine;
use serde_json::{Map, Value};

use super::asked_resources;
use super::asked_tasks::{self, Shares};
use super::dialect::ApiDialect;
use super::fields::{Fields, kind};
use super::invocation;
use super::retry;
use super::sbatch::{self, Directives, Given, SCRIPT};
use super::submission::FieldOrigins;
pub use super::submission::Submission;
use super::values::{data_source, environment, kill_grace_s, limit, memory, time};
use super::warnings::Warnings;
use crate::job::array_spec::ArraySpec;
use crate::job::dependency::Dependencies;
use crate::job::faults::{Faults, FieldError};
use crate::job::files::{NOWHERE, Piece, pieces};
use crate::job::invocation::Invocation;
use crate::job::retry_policy::RetryPolicy;
use crate::job::script;
use crate::job::signal::EarlySignal;
use crate::job::spec::{DataSource, JobRequest, OpenMode};
use crate::text::time_limit::LimitAsked;
use crate::time::Time;

/// Most jobs of one batch.
pub const BATCH_JOBS_MAX: usize = 10_000;

/// Most values of one body: a batch of the most jobs with a hundred values each.
pub const VALUES_MAX: usize = 1_000_000;

/// Why a body was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyRefused {
    /// Not JSON at all (400).
    #[error("the body is not JSON: {0}")]
    Malformed(String),
    /// JSON that asks for something that cannot be (422).
    #[error("{0}")]
    Fields(Faults),
}

/// Reads a body of one job.
///
/// # Errors
/// [`BodyRefused`], with every fault in it.
pub fn parse_submit(body: &[u8], dialect: ApiDialect) -> Result<Submission, BodyRefused> {
    let mut errors = Faults::default();
    let submission = one(json(body)?, String::new(), dialect, &mut errors);
    match submission {
        Some(submission) if errors.is_empty() => Ok(submission),
        _ => Err(BodyRefused::Fields(errors)),
    }
}

/// Reads a body `{"jobs":[…]}`; all its jobs are good or none is returned.
///
/// # Errors
/// [`BodyRefused`], with the faults of all jobs.
pub fn parse_batch(body: &[u8]) -> Result<Vec<Submission>, BodyRefused> {
    let mut errors = Faults::default();
    let Value::Object(map) = json(body)? else {
        return Err(fault("body", "an object {\"jobs\": […]} is expected"));
    };
    let mut fields = Fields::new(map, "", &mut errors);
    let jobs = match fields.take("jobs") {
        Some(Value::Array(jobs)) if jobs.is_empty() => {
            Err("is empty; send at least one".to_owned())
        }
        Some(Value::Array(jobs)) if jobs.len() > BATCH_JOBS_MAX => {
            Err(format!("{} jobs; at most {BATCH_JOBS_MAX} in one batch", jobs.len()))
        }
        Some(Value::Array(jobs)) => Ok(jobs),
        Some(other) => Err(format!("is {}; a list of jobs is expected", kind(&other))),
        None => Err("is missing; send a list of jobs".to_owned()),
    };
    let jobs = jobs.unwrap_or_else(|message| {
        fields.refuse("jobs", message);
        Vec::new()
    });
    fields.finish();
    let mut submissions = Vec::with_capacity(jobs.len());
    for (index, job) in jobs.into_iter().enumerate() {
        let submission = one(job, format!("jobs[{index}]."), ApiDialect::V1, &mut errors);
        // Once there is a fault, the good ones are looked at and not kept.
        submissions.extend(submission.filter(|_| errors.is_empty()));
    }
    if errors.is_empty() { Ok(submissions) } else { Err(BodyRefused::Fields(errors)) }
}

fn json(body: &[u8]) -> Result<Value, BodyRefused> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(BodyRefused::Malformed("it is empty; send an object with a script".to_owned()));
    }
    bounded(body)
}

/// The fields of a body that is one object.
///
/// # Errors
/// [`BodyRefused`] when it is none.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, BodyRefused> {
    match bounded(body)? {
        Value::Object(map) => Ok(map),
        other => Err(fault("body", &format!("is {}; an object is expected", kind(&other)))),
    }
}

/// The same where nothing needs to be said: no body is an object without fields.
///
/// # Errors
/// Likewise.
pub(super) fn object_or_nothing(body: &[u8]) -> Result<Map<String, Value>, BodyRefused> {
    if body.is_empty() { Ok(Map::new()) } else { object(body) }
}

fn bounded(body: &[u8]) -> Result<Value, BodyRefused> {
    if let Some(values) = more_values_than(VALUES_MAX, body) {
        return Err(BodyRefused::Malformed(format!(
            "it has {values} values or more; at most {VALUES_MAX} in one request"
        )));
    }
    serde_json::from_slice(body).map_err(|error| BodyRefused::Malformed(error.to_string()))
}

/// How many values JSON has at least, if it has more than so many: what is read of one takes up to
/// a hundred times its two bytes. Only large bodies are looked through.
fn more_values_than(most: usize, body: &[u8]) -> Option<usize> {
    if body.len() <= most {
        return None;
    }
    let (mut values, mut in_string, mut escaped) = (1_usize, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b',' | b'[' | b'{' if !in_string => values += 1,
            _ => {}
        }
    }
    (values > most).then_some(values)
}

fn fault(field: &str, message: &str) -> BodyRefused {
    BodyRefused::Fields(FieldError::new(field, message).into())
}

/// One job of a body. `prefix` is what its fields are named below: `""` or `"jobs[1]."`.
fn one(
    value: Value,
    prefix: String,
    dialect: ApiDialect,
    errors: &mut Faults,
) -> Option<Submission> {
    let Value::Object(mut map) = value else {
        let field = if prefix.is_empty() { "body" } else { prefix.trim_end_matches('.') };
        let message = format!("is {}; an object with a script is expected", kind(&value));
        errors.push(FieldError::new(field, message));
        return None;
    };
    let Some(nested) = map.remove("job") else {
        let mut fields = Fields::new(map, prefix.clone(), errors);
        let script = taken(&mut fields);
        let (asked, given) = (Asked::read(fields, FLAT, dialect), Vec::new());
        return asked.into_submission((script?, given), prefix, errors);
    };
    let mut top = Fields::new(map, prefix.clone(), errors);
    let script = taken(&mut top);
    top.finish();
    let job = match nested {
        Value::Object(job) => job,
        Value::Null => Map::new(),
        other => {
            let message = format!("is {}; an object is expected", kind(&other));
            errors.push(FieldError::new(format!("{prefix}job"), message));
            return None;
        }
    };
    let fields = Fields::new(job, format!("{prefix}job."), errors);
    Asked::read(fields, NESTED, dialect).into_submission((script?, Vec::new()), prefix, errors)
}

/// A job whose body says in fields of other names what options of `sbatch` say: these win over the
/// `#SBATCH` lines of the script. `rest` is what no option says, by the nested form's names.
pub(super) fn of_options(
    script: String,
    given: Vec<Given>,
    (rest, path): (Map<String, Value>, String),
    errors: &mut Faults,
) -> Option<Submission> {
    let asked = Asked::read(Fields::new(rest, path, errors), NESTED, ApiDialect::V1);
    asked.into_submission(((script, false), given), String::new(), errors)
}

/// The script's text, and whether each of its characters stands for a byte.
fn taken(fields: &mut Fields<'_>) -> Option<(String, bool)> {
    let before = fields.errors().len();
    let text = fields.text("script").map(|text| (text, false));
    let bytes = fields.text("script_base64").and_then(|text| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.as_bytes());
        bytes.map_err(|e| fields.refuse("script_base64", format!("is not base64: {e}"))).ok()
    });
    if text.is_some() && bytes.is_some() {
        fields.refuse("script_base64", "script is there too; send one of them");
    }
    let script = text.or_else(|| bytes.map(script::from_bytes));
    if script.is_none() && fields.errors().len() == before {
        fields.refuse("script", "is missing; send the text of a shell script");
    }
    script
}

/// What the two shapes of body call the same thing.
#[derive(Clone, Copy)]
struct Shape {
    nested: bool,
    memory: &'static str,
    directory: &'static str,
}

const FLAT: Shape = Shape { nested: false, memory: "memory", directory: "working_directory" };
const NESTED: Shape =
    Shape { nested: true, memory: "memory_per_node", directory: "current_working_directory" };

/// What a body asks for, before the `#SBATCH` lines fill the gaps.
struct Asked {
    shape: Shape,
    path: String,
    name: Option<String>,
    account: Option<String>,
    user: Option<String>,
    partition: Option<String>,
    tasks: asked_tasks::Body,
    memory_bytes: Option<i64>,
    resources: asked_resources::Body,
    limit: Option<LimitAsked>,
    priority: Option<i64>,
    directory: Option<String>,
    standard_output: Option<String>,
    standard_error: Option<String>,
    environment: Option<BTreeMap<String, String>>,
    labels: Option<BTreeMap<String, String>>,
    comment: Option<String>,
    kill_grace_s: Option<i64>,
    held: Option<bool>,
    begin: Option<Time>,
    deadline: Option<Time>,
    dependencies: Option<Dependencies>,
    kill_on_invalid_dependency: Option<bool>,
    array: Option<ArraySpec>,
    retry: Option<RetryPolicy>,
    signal: Option<EarlySignal>,
    open_mode: Option<OpenMode>,
    invocation: Invocation,
    data_source: DataSource,
}

impl Asked {
    fn read(mut fields: Fields<'_>, shape: Shape, dialect: ApiDialect) -> Asked {
        let asked = Asked {
            shape,
            path: fields.path(""),
            name: fields.text("name"),
            account: fields.text("account"),
            user: fields.text("user"),
            partition: fields.text("partition"),
            tasks: asked_tasks::Body::read(&mut fields, shape.nested),
            memory_bytes: fields.parsed(shape.memory, memory),
            resources: asked_resources::Body::read(&mut fields),
            limit: fields.parsed("time_limit", |v| limit(v, dialect)),
            priority: fields.whole("priority"),
            directory: fields.text(shape.directory),
            standard_output: fields.text("standard_output"),
            standard_error: fields.text("standard_error"),
            environment: environment(&mut fields, shape.nested),
            labels: fields.strings("labels"),
            comment: fields.text("comment"),
            kill_grace_s: kill_grace_s(&mut fields),
            held: fields.flag("held"),
            begin: fields.parsed("begin_time", time),
            deadline: fields.parsed("deadline", time),
            dependencies: fields.text("dependency").and_then(|text| {
                let read = text.parse::<Dependencies>();
                read.map_err(|message| fields.refuse("dependency", message)).ok()
            }),
            kill_on_invalid_dependency: fields.flag("kill_on_invalid_dependency"),
            array: fields.text("array").and_then(|text| {
                let read = text.parse::<ArraySpec>();
                read.map_err(|message| fields.refuse("array", message)).ok()
            }),
            retry: retry::read(&mut fields),
            signal: fields.text("signal").and_then(|text| {
                text.parse().map_err(|message: String| fields.refuse("signal", message)).ok()
            }),
            open_mode: fields.text("open_mode").and_then(|text| {
                text.parse().map_err(|message: String| fields.refuse("open_mode", message)).ok()
            }),
            invocation: invocation::read(&mut fields),
            data_source: fields.parsed("data_source", data_source).unwrap_or(DataSource::Api),
        };
        fields.finish();
        asked
    }

    /// Fills the gaps from the script's `#SBATCH` lines, and before them from the options given.
    fn into_submission(
        self,
        ((script, is_bytes), given): ((String, bool), Vec<Given>),
        prefix: String,
        errors: &mut Faults,
    ) -> Option<Submission> {
        let mut lines = sbatch::read(&script);
        lines.then(given);
        let faults = std::mem::take(&mut lines.errors);
        if !faults.is_empty() {
            let named = |e: FieldError| match e.field == SCRIPT {
                true => FieldError::new(format!("{prefix}{SCRIPT}"), e.message),
                false => e,
            };
            errors.absorb(faults, named);
            return None;
        }
        let mut warnings = std::mem::take(&mut lines.warnings);
        let mut origins = FieldOrigins::new(self.path.clone(), prefix);
        let tasks = self.tasks.tasks(&lines);
        let resources = self.resources.with(&lines, tasks.count().into(), &mut origins);
        let shares = self.tasks.with(&lines, tasks, &resources, &mut origins);
        let memory_bytes = self.memory(&lines, &shares, &mut origins, &mut warnings);
        let shape = self.shape;
        let environment = filled(self.environment.unwrap_or_default(), &lines, &mut warnings);
        origins.say("environment", "environment");
        origins.say("labels", "labels");
        origins.say("kill_grace_s", "kill_grace_s");
        origins.say("user", "user");
        let request = JobRequest {
            name: origins.either("name", "name", self.name, lines.job_name),
            account: origins.either("account", "account", self.account, lines.account),
            user: self.user,
            partition: origins.either("partition", "partition", self.partition, lines.partition),
            cpus: shares.cpus,
            tasks: shares.tasks,
            memory_bytes,
            resources,
            limit: origins
                .either("time_limit", "time_limit", self.limit, lines.time)
                .unwrap_or(LimitAsked::Default),
            priority: origins
                .either("priority", "priority", self.priority, lines.priority)
                .unwrap_or(0),
            create_working_directory: shape.nested && self.directory.is_some(),
            working_directory: origins.either(
                "working_directory",
                shape.directory,
                self.directory,
                lines.chdir,
            ),
            standard_output: origins.either(
                "standard_output",
                "standard_output",
                self.standard_output,
                lines.output,
            ),
            standard_error: origins.either(
                "standard_error",
                "standard_error",
                self.standard_error,
                lines.error,
            ),
            environment,
            labels: self.labels.unwrap_or_default(),
            comment: origins.either("comment", "comment", self.comment, lines.comment),
            kill_grace_s: self.kill_grace_s,
            held: self.held.unwrap_or(lines.hold),
            begin: origins.either("begin_time", "begin_time", self.begin, lines.begin),
            deadline: origins.either("deadline", "deadline", self.deadline, lines.deadline),
            dependencies: origins
                .either("dependency", "dependency", self.dependencies, lines.dependency)
                .unwrap_or_default(),
            kill_on_invalid_dependency: origins.either(
                "kill_on_invalid_dependency",
                "kill_on_invalid_dependency",
                self.kill_on_invalid_dependency,
                lines.kill_on_invalid_dependency,
            ),
            array: origins.either("array", "array", self.array, lines.array),
            retry: origins.either("retry", "retry", self.retry, lines.requeue),
            signal: origins.either("signal", "signal", self.signal, lines.signal),
            open_mode: origins
                .either("open_mode", "open_mode", self.open_mode, lines.open_mode)
                .unwrap_or_default(),
            invocation: Invocation {
                standard_input: origins.either(
                    "standard_input",
                    "standard_input",
                    self.invocation.standard_input,
                    lines.input,
                ),
                mail_type: origins.either(
                    "mail_type",
                    "mail_type",
                    self.invocation.mail_type,
                    lines.mail_type,
                ),
                mail_user: origins.either(
                    "mail_user",
                    "mail_user",
                    self.invocation.mail_user,
                    lines.mail_user,
                ),
                script_is_bytes: is_bytes,
                ..self.invocation
            },
            data_source: self.data_source,
            warnings: warnings.listed(),
            ..JobRequest::new(script)
        };
        let request = with_shared_file_said(request);
        Some(origins.submission(request))
    }

    fn memory(
        &self,
        lines: &Directives,
        shares: &Shares,
        origins: &mut FieldOrigins,
        warnings: &mut Warnings,
    ) -> Option<i64> {
        if self.memory_bytes.is_some() {
            origins.say("memory", self.shape.memory);
            return self.memory_bytes;
        }
        if let Some(line) = &lines.memory_bytes {
            origins.line("memory", &line.place);
            return Some(line.value);
        }
        let (line, count, of) = match (&lines.memory_per_cpu_bytes, &lines.memory_per_gpu_bytes) {
            (Some(line), _) => (line, shares.counted_cpus(), "with all CPUs asked for"),
            (None, Some(line)) => (line, shares.gpus, "without GPUs"),
            (None, None) => return None,
        };
        origins.line("memory", &line.place);
        if count.is_none() {
            warnings.push(format!("{}: {of}, no memory is recorded.", line.place));
        }
        Some(line.value.saturating_mul(count?))
    }
}

/// Tasks of an array that all write to one file are told so: each start empties it.
fn with_shared_file_said(mut request: JobRequest) -> JobRequest {
    let of_tasks = |pattern: &str| {
        let one = |piece| matches!(piece, Piece::Placeholder('a' | 'j' | 'J', _));
        pattern == NOWHERE || pieces(pattern).into_iter().any(one)
    };
    let files = [("output", &request.standard_output), ("error", &request.standard_error)];
    let shared = |(_, file): &(_, &Option<String>)| file.as_deref().is_some_and(|p| !of_tasks(p));
    let shared = files.into_iter().find(shared).map(|(name, _)| name);
    let appends = request.open_mode == OpenMode::Append;
    if let (Some(name), Some(_), false) = (shared, &request.array, appends) {
        let warning = "all tasks write to one file, and each empties it; put %a into its name";
        request.warnings.push(format!("standard {name}: {warning}."));
    }
    request
}

/// `#SBATCH --export=NAME=value` sets what the body leaves out. The server knows no caller's
/// environment: `ALL` and `NONE` are the client's to follow, and a bare name that the client
/// did not send is said.
fn filled(
    mut environment: BTreeMap<String, String>,
    lines: &Directives,
    warnings: &mut Warnings,
) -> BTreeMap<String, String> {
    let Some(export) = &lines.export else { return environment };
    for (name, value) in &export.value.names {
        match value {
            Some(value) => {
                environment.entry(name.clone()).or_insert_with(|| value.clone());
            }
            None if environment.contains_key(name) => {}
            None => warnings.push(format!(
                "{}={name}: the variable was not sent with the job, so it is not set.",
                export.place
            )),
        }
    }
    environment
}

#[cfg(test)]
#[path = "submit_tests.rs"]
mod tests;
