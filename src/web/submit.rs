//! *Purpose*: the page that submits a job.
//!
//! *Owns*: [`SubmitPage`], what it takes over of a job that is to be run again.
//!
//! *Promises*: what the script's own `#SBATCH` lines say is not said a second time by a field; what
//! a job has that no field shows is named.
//!
//! *Not here*: what becomes of it, which the page's script asks of `POST /jobs`.

use std::path::Path;

use askama::Template;
use serde_json::{Map, Value, json};

use super::region::page;
use super::shell::Shell;
use super::words;
use crate::api::App;
use crate::api::reads::{self, ApiError, Caller};
use crate::api::wire::accounts::AccountLine;
use crate::api::wire::asked_tasks::Shares;
use crate::api::wire::job::Job;
use crate::api::wire::partitions::Partition;
use crate::api::wire::sbatch::{self, Directives};
use crate::job::array_spec::JobRef;

/// What stands in the form before anything is written.
const EMPTY: &str = "#!/bin/bash\n\n";
/// What GPUs are called among resources.
const GPU: &str = "gpu";
/// Units of bytes, largest first, as fields take them.
const BYTES: [(i64, &str); 5] =
    [(1 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K"), (1, "B")];
/// Units of seconds, likewise.
const SECONDS: [(i64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];

/// A job that is to be run again, and its script.
pub struct Pattern {
    /// As it is named.
    pub of: JobRef,
    /// Itself.
    pub job: Job,
    /// Its script.
    pub script: String,
    /// Whether it names no folder to run in.
    pub in_own_folder: bool,
}

impl Pattern {
    /// This job.
    ///
    /// # Errors
    /// 404, 403, 400 for a script that is no text, and what the database says.
    pub async fn read(app: &App, caller: &Caller, of: JobRef) -> Result<Pattern, ApiError> {
        let job = reads::job(app, caller, of).await?;
        let (script, is_bytes) = reads::script(app, caller, of).await?;
        let script = String::from_utf8(script).ok().filter(|_| !is_bytes);
        let no_text = || ApiError::parameter("from", format!("the script of job {of} is no text"));
        let own = app.places.own_folder(job.id).join("work");
        let in_own_folder = job.working_directory.as_deref().is_some_and(|at| own == Path::new(at));
        Ok(Pattern { of, job, script: script.ok_or_else(no_text)?, in_own_folder })
    }
}

struct Recent {
    path: String,
    id: String,
    name: String,
}

#[derive(Default)]
struct Filled {
    name: String,
    cpus: String,
    gpus: String,
    memory: String,
    time_limit: String,
    partition: String,
    account: String,
    working_directory: String,
    array: String,
    retry: String,
}

/// The page that submits a job.
#[derive(Template)]
#[template(path = "submit.html", blocks = ["main"])]
pub struct SubmitPage {
    shell: Shell,
    from: String,
    from_name: String,
    recent: Vec<Recent>,
    script: String,
    filled: Filled,
    partitions: Vec<String>,
    accounts: Vec<String>,
    also: String,
    also_words: Vec<String>,
}

impl SubmitPage {
    /// Empty, or filled as this job was.
    #[must_use]
    pub fn new(
        shell: Shell,
        (pattern, caller): (Option<Pattern>, &Caller),
        recent: &[Job],
        (partitions, accounts): (&[Partition], &[AccountLine]),
    ) -> SubmitPage {
        let mut also = pattern.as_ref().map(|of| also(&of.job)).unwrap_or_default();
        let also_words = also.iter().map(said).collect();
        // Where one user is served jobs say whose they are, or are nobody's.
        if caller.who.acts_as.is_none() && caller.who.uid.is_some() {
            also.insert("user".to_owned(), json!(caller.who.name));
        }
        let of = pattern.as_ref().map(|pattern| pattern.of.to_string()).unwrap_or_default();
        let one = |job: &Job| Recent {
            path: words::path(job),
            id: job.shown_id(),
            name: job.name.clone(),
        };
        SubmitPage {
            shell,
            recent: recent.iter().map(one).filter(|one| one.path != of).collect(),
            from: of,
            from_name: pattern.as_ref().map(|of| of.job.name.clone()).unwrap_or_default(),
            filled: pattern.as_ref().map(|of| filled(of, partitions)).unwrap_or_default(),
            script: pattern.map_or_else(|| EMPTY.to_owned(), |pattern| pattern.script),
            partitions: partitions.iter().map(|one| one.name.clone()).collect(),
            accounts: accounts
                .iter()
                .map(|one| one.name.clone())
                .filter(|name| !name.is_empty())
                .collect(),
            also_words,
            also: Value::Object(also).to_string(),
        }
    }
}

// No part changes by itself: it is the reader's own.
page!(SubmitPage {});

/// What fields say of a job beyond its script's own lines.
fn filled(of: &Pattern, partitions: &[Partition]) -> Filled {
    let job = &of.job;
    let lines = sbatch::read(&of.script);
    let unless = |line: Option<&String>, own: &str| match line {
        Some(line) if line == own => String::new(),
        _ => own.to_owned(),
    };
    let text =
        |placed: &Option<sbatch::Placed<String>>| placed.as_ref().map(|one| one.value.clone());
    let usual = partitions.iter().any(|one| one.default && one.name == job.partition);
    let partition = if usual { "" } else { &job.partition };
    let folder = job.working_directory.as_deref().filter(|_| !of.in_own_folder);
    Filled {
        name: unless(text(&lines.job_name).as_ref(), &job.name),
        cpus: cpus(job, &lines),
        gpus: gpus(job, &lines),
        memory: memory(job, &lines),
        time_limit: match (job.time_limit_s, &lines.time) {
            (Some(limit), None) => exact(limit, &SECONDS),
            _ => String::new(),
        },
        partition: unless(text(&lines.partition).as_ref(), partition),
        account: unless(text(&lines.account).as_ref(), &job.account),
        working_directory: unless(text(&lines.chdir).as_ref(), folder.unwrap_or_default()),
        array: match (&job.array_tasks, &lines.array, job.array_task_id) {
            (Some(tasks), None, None) => tasks.clone(),
            _ => String::new(),
        },
        retry: match (&job.retry, &lines.requeue) {
            (Some(retry), None) => retry.max.to_string(),
            _ => String::new(),
        },
    }
}

fn cpus(job: &Job, lines: &Directives) -> String {
    let asked = Shares::of_lines(lines).counted_cpus();
    let is_said = lines.exclusive || (lines.speak_of_cpus() && asked == Some(job.cpus.into()));
    if is_said { String::new() } else { job.cpus.to_string() }
}

fn memory(job: &Job, lines: &Directives) -> String {
    let shares = [&lines.memory_bytes, &lines.memory_per_cpu_bytes, &lines.memory_per_gpu_bytes];
    let is_said = shares.into_iter().any(Option::is_some);
    job.memory_bytes.filter(|_| !is_said).map(|bytes| exact(bytes, &BYTES)).unwrap_or_default()
}

/// `2`, or `a100:2`.
fn gpus(job: &Job, lines: &Directives) -> String {
    let is_said = [&lines.gpus, &lines.gpus_per_task, &lines.gres].into_iter().any(Option::is_some);
    let typed = |name: &str| name.strip_prefix(GPU)?.strip_prefix(':').map(str::to_owned);
    let of_kind = job.resources.iter().find_map(|(name, n)| Some(format!("{}:{n}", typed(name)?)));
    let any = job.resources.get(GPU).map(ToString::to_string);
    of_kind.or(any).filter(|_| !is_said).unwrap_or_default()
}

/// In the largest unit that leaves no rest.
fn exact(n: i64, units: &[(i64, &str)]) -> String {
    let whole = units.iter().find(|(unit, _)| n >= *unit && n % unit == 0);
    whole.map_or_else(|| n.to_string(), |(unit, name)| format!("{}{name}", n / unit))
}

/// Parts of a job that go along and that no field shows.
fn also(job: &Job) -> Map<String, Value> {
    let mut also = Map::new();
    if !job.args.is_empty() {
        also.insert("args".to_owned(), json!(job.args));
    }
    if !job.labels.is_empty() {
        also.insert("labels".to_owned(), json!(job.labels));
    }
    if let Some(comment) = &job.comment {
        also.insert("comment".to_owned(), json!(comment));
    }
    also
}

fn said((name, value): (&String, &Value)) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let values = match value {
        Value::Array(all) => all.iter().map(text).collect::<Vec<_>>().join(" "),
        Value::Object(all) => {
            let pair = |(key, value): (&String, &Value)| format!("{key}={}", text(value));
            all.iter().map(pair).collect::<Vec<_>>().join(" ")
        }
        other => text(other),
    };
    format!("{name}: {values}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_said_exactly() {
        let bytes = [1_i64 << 30, 3 << 19, 1_000].map(|n| exact(n, &BYTES));
        assert_eq!(bytes, ["1G", "1536K", "1000B"]);
        assert_eq!([86_400, 5_400, 61].map(|n| exact(n, &SECONDS)), ["1d", "90m", "61s"]);
    }
}
