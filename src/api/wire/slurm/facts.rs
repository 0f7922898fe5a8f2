//! *Purpose*: what Slurm says of a job, in its programs and in its answers.
//!
//! *Owns*: [`Facts`]: each fact once, in the form in which most programs write it.
//!
//! *Promises*: what is not known is the word that Slurm has for that, never invented.
//!
//! *Not here*: which facts stand in which column (`squeue`, `sacct`, `scontrol`) or field
//! (`slurm::jobs`), who owns a job by name and number, which the system has to be asked for.

use std::path::Path;

use super::words::{SUSPENDED, local, memory, seconds, short_span, span};
use crate::api::wire::job::Job;
use crate::clock::parse_rfc3339;
use crate::job::state::StateWord;
use crate::time::Time;

/// The name of the cluster that a server is to Slurm's clients.
pub const CLUSTER: &str = "downbeat";
/// What stands where nothing is.
pub const NULL: &str = "(null)";
/// The one quality of service there is.
pub const QOS: &str = "normal";

/// A job as Slurm sees it.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a>(pub &'a Job);

impl<'a> Facts<'a> {
    /// `17`, `17_4`, `17_[5-9%2]`.
    #[must_use]
    pub fn id(self) -> String {
        self.0.shown_id()
    }

    /// Its own number, also of a task.
    #[must_use]
    pub fn raw_id(self) -> String {
        self.0.id.to_string()
    }

    /// The number of its array, or its own.
    #[must_use]
    pub fn array_id(self) -> String {
        self.0.array_job_id.unwrap_or(self.0.id).to_string()
    }

    /// Which tasks of its array, if it is of one.
    #[must_use]
    pub fn tasks(self) -> Option<String> {
        let task = self.0.array_task_id.map(|task| task.to_string());
        task.or_else(|| self.0.array_tasks.clone())
    }

    /// What an empty text is to Slurm.
    #[must_use]
    pub fn or_null(text: Option<&str>) -> String {
        text.filter(|text| !text.is_empty()).unwrap_or(NULL).to_owned()
    }

    /// Its state in Slurm's word.
    #[must_use]
    pub fn state(self) -> &'static str {
        match self.0.suspend_time {
            Some(_) => SUSPENDED,
            None => self.0.state.word(),
        }
    }

    /// Since when it is suspended, and how long it had run when that began, seconds.
    #[must_use]
    pub fn suspended(self) -> Option<(&'a str, i64)> {
        Some((self.0.suspend_time.as_deref()?, self.0.elapsed_s))
    }

    /// Why it waits, or ended as it did, in a word; `None` as Slurm says it.
    #[must_use]
    pub fn reason(self) -> String {
        let job = self.0;
        let word = match job.state {
            StateWord::Pending => job.state_reason.as_deref().unwrap_or("None"),
            StateWord::Failed if job.exit_code.is_none() => "JobLaunchFailure",
            StateWord::Failed => "NonZeroExitCode",
            StateWord::Timeout => "TimeLimit",
            StateWord::OutOfMemory => "OutOfMemory",
            StateWord::NodeFail => "NodeDown",
            _ => "None",
        };
        word.to_owned()
    }

    /// Its node; nothing before it has one.
    #[must_use]
    pub fn nodes(self) -> String {
        self.0.node.clone().unwrap_or_default()
    }

    /// Its node, or in brackets why it has none, or why it failed.
    #[must_use]
    pub fn nodes_or_reason(self) -> String {
        let says_why = matches!(
            self.0.state,
            StateWord::Pending | StateWord::Failed | StateWord::Timeout | StateWord::NodeFail
        );
        match self.0.node.as_ref().filter(|_| !says_why) {
            Some(node) => node.clone(),
            None => format!("({})", self.reason()),
        }
    }

    /// The code of the job itself: 0:0 of one that was ended from outside.
    #[must_use]
    pub fn exit_code(self) -> String {
        match self.0.state {
            StateWord::Cancelled | StateWord::Timeout | StateWord::NodeFail => "0:0".to_owned(),
            _ => self.script_code(),
        }
    }

    /// The code of its script, as `scontrol` and the row of the batch step have it.
    #[must_use]
    pub fn script_code(self) -> String {
        /// Real Slurm's for output that cannot be opened, and for whatever else never started.
        const NOT_LAUNCHED: &str = "0:53";
        const OUT_OF_MEMORY: &str = "0:125";
        match (self.0.state, &self.0.exit_code) {
            (StateWord::OutOfMemory, _) => OUT_OF_MEMORY.to_owned(),
            (_, Some(code)) => code.clone(),
            (StateWord::Failed, None) => NOT_LAUNCHED.to_owned(),
            (_, None) => "0:0".to_owned(),
        }
    }

    /// Its state in the row of its batch step: what was ended from outside was cancelled.
    #[must_use]
    pub fn script_state(self) -> &'static str {
        match self.0.state {
            StateWord::Timeout => StateWord::Cancelled.word(),
            _ => self.state(),
        }
    }

    /// When it ended, or will at the latest.
    #[must_use]
    pub fn end(self, unknown: &str) -> String {
        self.end_time().map_or_else(|| unknown.to_owned(), local)
    }

    /// The same in seconds since 1970; 0 where nobody knows.
    #[must_use]
    pub fn end_s(self) -> i64 {
        self.end_time().map_or(0, seconds)
    }

    fn end_time(self) -> Option<Time> {
        let job = self.0;
        if let Some(end) = &job.end_time {
            return parse_rfc3339(end);
        }
        let start = job.start_time.as_deref().and_then(parse_rfc3339);
        start.zip(job.time_limit_s).map(|(start, limit)| start.plus_s(limit))
    }

    /// When it started, or is expected to.
    #[must_use]
    pub fn start(self, unknown: &str) -> String {
        self.start_time().map_or_else(|| unknown.to_owned(), local)
    }

    /// The same in seconds since 1970; 0 where nobody knows.
    #[must_use]
    pub fn start_s(self) -> i64 {
        self.start_time().map_or(0, seconds)
    }

    fn start_time(self) -> Option<Time> {
        let job = self.0;
        // Whoever is cancelled while he waits starts and ends at once, to Slurm.
        let never = job.end_time.as_deref().filter(|_| job.state.is_final());
        let known = job.start_time.as_deref().or(job.estimated_start_time.as_deref()).or(never);
        known.and_then(parse_rfc3339)
    }

    /// `UNLIMITED`, or the limit as this form writes it.
    #[must_use]
    pub fn limit(self, form: fn(i64) -> String) -> String {
        self.0.time_limit_s.map_or_else(|| "UNLIMITED".to_owned(), form)
    }

    /// What is left of the limit.
    #[must_use]
    pub fn time_left(self) -> String {
        match self.0.time_limit_s {
            Some(limit) => short_span(limit - self.0.elapsed_s),
            None => "UNLIMITED".to_owned(),
        }
    }

    /// Memory that was asked for: `100M`, else 0.
    #[must_use]
    pub fn memory(self) -> String {
        let bytes = self.0.memory_bytes.and_then(|bytes| u64::try_from(bytes).ok());
        memory(bytes.unwrap_or(0))
    }

    /// Tasks: 1 when nobody said.
    #[must_use]
    pub fn tasks_count(self) -> u32 {
        self.0.ntasks.unwrap_or(1)
    }

    /// CPUs of each task.
    #[must_use]
    pub fn cpus_per_task(self) -> u32 {
        let each = self.0.cpus / self.tasks_count().max(1);
        self.0.cpus_per_task.unwrap_or(each).max(1)
    }

    /// Other resources as `--gres` writes them: `gpu:2`.
    #[must_use]
    pub fn gres(self) -> String {
        let all = self.0.resources.iter().filter(|(name, _)| !name.starts_with("license/"));
        let all: Vec<String> = all.map(|(name, n)| format!("gres:{name}:{n}")).collect();
        if all.is_empty() { "N/A".to_owned() } else { all.join(",") }
    }

    /// Licences as `--licenses` writes them.
    #[must_use]
    pub fn licenses(self) -> String {
        let all = self.0.resources.iter();
        let all = all.filter_map(|(name, n)| Some((name.strip_prefix("license/")?, n)));
        let all: Vec<String> = all.map(|(name, n)| format!("{name}:{n}")).collect();
        if all.is_empty() { NULL.to_owned() } else { all.join(",") }
    }

    /// `cpu=4,mem=100M,node=1,billing=4,gres/gpu=2`.
    #[must_use]
    pub fn tres(self) -> String {
        let cpus = self.0.cpus;
        let memory = self.0.memory_bytes.map(|_| format!(",mem={}", self.memory()));
        let mut all = format!("cpu={cpus}{},node=1,billing={cpus}", memory.unwrap_or_default());
        for (name, count) in &self.0.resources {
            let kind = if name.contains('/') { "" } else { "gres/" };
            all.push_str(&format!(",{kind}{name}={count}"));
        }
        all
    }

    /// A file of output, or where there is none.
    #[must_use]
    pub fn file(path: Option<&str>) -> String {
        path.unwrap_or("/dev/null").to_owned()
    }

    /// The folder that it runs in.
    #[must_use]
    pub fn folder(self) -> String {
        Facts::or_null(self.0.working_directory.as_deref())
    }

    /// CPU seconds that it was given: CPUs times the time it ran.
    #[must_use]
    pub fn cpu_s(self) -> i64 {
        i64::from(self.0.cpus).saturating_mul(self.0.elapsed_s)
    }

    /// CPU seconds that it used; 0 before its end.
    #[must_use]
    pub fn used_cpu_s(self) -> f64 {
        self.0.usage.map_or(0.0, |usage| usage.user_cpu_s + usage.system_cpu_s)
    }

    /// The name of a file without its folder.
    #[must_use]
    pub fn short_name(path: &str) -> &str {
        Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path)
    }

    /// How long it has run, as `scontrol` writes it.
    #[must_use]
    pub fn run_time(self) -> String {
        span(self.0.elapsed_s)
    }
}
