//! *Purpose*: what a job is: the request, the checked specification, and how it ends.
//!
//! *Owns*: [`JobSpec::try_from`], the one door through which every job enters, and the bounds
//! behind it; the field's words for states.
//!
//! *Promises*: a [`JobSpec`] can be stored and launched: nothing in it is out of bounds, holds
//! a NUL byte, asks for more than the site has, or writes outside its roots (as text; links
//! are checked when the file is opened). A refusal names every bad field.
//!
//! *Not here*: JSON, `#SBATCH` lines and units (`api::wire`), the state machine
//! (`kernel::transition`).

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::ids::JobId;

/// Longest script, bytes: what users submit is kilobytes; larger data belongs in files.
pub const SCRIPT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest name, account, user or partition, characters (a file name's bound, for `%x`).
pub const NAME_CHARS_MAX: usize = 255;
/// One `NAME=value` entry, bytes: the kernel refuses an exec with a string of 128 KiB.
pub const ENVIRONMENT_ENTRY_BYTES_MAX: usize = 128 * 1024 - 1;
/// The whole environment, bytes: half of the usual limit for arguments and environment.
pub const ENVIRONMENT_BYTES_MAX: usize = 1024 * 1024;
/// A comment, bytes.
pub const COMMENT_BYTES_MAX: usize = 16 * 1024;
/// Labels of a job, and bytes of one key or value.
pub const LABELS_MAX: usize = 64;
/// See [`LABELS_MAX`].
pub const LABEL_BYTES_MAX: usize = 1024;
/// A path, bytes (`PATH_MAX`).
pub const PATH_BYTES_MAX: usize = 4095;
/// Longest time limit, seconds (ten years): beyond it the person means `UNLIMITED`.
pub const LIMIT_S_MAX: i64 = 10 * 366 * 86_400;
/// Longest grace between TERM and KILL, seconds (a day).
pub const GRACE_S_MAX: i64 = 86_400;

/// How many CPUs a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpusAsked {
    /// So many.
    Count(i64),
    /// All that the site has (`exclusive`).
    All,
}

/// Which time limit a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitAsked {
    /// The site's default.
    Default,
    /// None at all, said explicitly.
    Unlimited,
    /// So many seconds.
    Seconds(i64),
}

/// Through which door a job came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DataSource {
    /// A program, over REST.
    Api,
    /// `downbeat submit` and `downbeat run`.
    Cli,
    /// The web page.
    Web,
}

impl DataSource {
    /// The word in JSON and SQL.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            DataSource::Api => "API",
            DataSource::Cli => "CLI",
            DataSource::Web => "WEB",
        }
    }
}

/// A job as asked for: parsed, not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRequest {
    /// The script's text.
    pub script: String,
    /// Its name; `job` when absent.
    pub name: Option<String>,
    /// Whom to charge; empty when absent.
    pub account: Option<String>,
    /// Who submitted it.
    pub user: Option<String>,
    /// The partition; `default` when absent.
    pub partition: Option<String>,
    /// CPUs.
    pub cpus: CpusAsked,
    /// Memory in bytes, recorded.
    pub memory_bytes: Option<i64>,
    /// Time limit.
    pub limit: LimitAsked,
    /// Larger runs first.
    pub priority: i64,
    /// Where it runs; a folder of its own when absent.
    pub working_directory: Option<String>,
    /// Whether a missing working directory is created (the seed's form of body).
    pub create_working_directory: bool,
    /// Pattern of the file for standard output.
    pub standard_output: Option<String>,
    /// Pattern of the file for standard error.
    pub standard_error: Option<String>,
    /// Its environment.
    pub environment: BTreeMap<String, String>,
    /// Labels to find it by.
    pub labels: BTreeMap<String, String>,
    /// A remark.
    pub comment: Option<String>,
    /// Seconds between TERM and KILL; the site's when absent.
    pub kill_grace_s: Option<i64>,
    /// Which door it came through.
    pub data_source: DataSource,
    /// What was not honoured, one sentence each.
    pub warnings: Vec<String>,
}

impl JobRequest {
    /// A request with only a script; everything else is a default.
    #[must_use]
    pub fn new(script: impl Into<String>) -> JobRequest {
        JobRequest {
            script: script.into(),
            name: None,
            account: None,
            user: None,
            partition: None,
            cpus: CpusAsked::Count(1),
            memory_bytes: None,
            limit: LimitAsked::Default,
            priority: 0,
            working_directory: None,
            create_working_directory: false,
            standard_output: None,
            standard_error: None,
            environment: BTreeMap::new(),
            labels: BTreeMap::new(),
            comment: None,
            kill_grace_s: None,
            data_source: DataSource::Api,
            warnings: Vec::new(),
        }
    }
}

/// What the site allows and assumes.
#[derive(Clone, Debug)]
pub struct Site {
    /// CPUs there are.
    pub total_cpus: u32,
    /// Limit of a job that names none, seconds; `None` is unlimited.
    pub default_limit_s: Option<u32>,
    /// Longest limit, seconds; `None` is no bound.
    pub max_limit_s: Option<u32>,
    /// Grace between TERM and KILL, seconds.
    pub kill_grace_s: u32,
    /// Absolute folders below which any job may write its output.
    pub output_roots: Vec<String>,
}

/// A job that was checked. Only [`JobSpec::try_from`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is documented at JobRequest")]
#[non_exhaustive]
pub struct JobSpec {
    pub script: String,
    pub name: String,
    pub account: String,
    pub user: String,
    pub partition: String,
    pub cpus: u32,
    pub memory_bytes: Option<i64>,
    pub limit_s: Option<u32>,
    pub priority: i64,
    pub working_directory: Option<String>,
    pub create_working_directory: bool,
    pub standard_output: Option<String>,
    pub standard_error: Option<String>,
    pub environment: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub comment: Option<String>,
    pub kill_grace_s: u32,
    pub data_source: DataSource,
    pub warnings: Vec<String>,
}

/// A field that is wrong, and why, in words for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field's name.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl FieldError {
    /// A field error.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> FieldError {
        FieldError { field: field.into(), message: message.into() }
    }
}

/// Every bad field of one request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", joined(.0))]
pub struct SpecRefused(pub Vec<FieldError>);

impl TryFrom<(JobRequest, &Site)> for JobSpec {
    type Error = SpecRefused;

    fn try_from((request, site): (JobRequest, &Site)) -> Result<JobSpec, SpecRefused> {
        let mut door = Door { errors: Vec::new() };
        door.script(&request.script);
        let name = door.word("name", request.name, "job");
        let account = door.word("account", request.account, "");
        let user = door.word("user", request.user, "");
        let partition = door.word("partition", request.partition, "default");
        let cpus = door.cpus(request.cpus, site);
        let limit_s = door.limit(request.limit, site);
        let kill_grace_s = door.grace(request.kill_grace_s, site);
        if request.memory_bytes.is_some_and(|m| m <= 0) {
            door.refuse("memory", "must be at least one byte");
        }
        let working_directory = door.working_directory(request.working_directory);
        let standard_output =
            door.output("standard_output", request.standard_output, &working_directory, site);
        let standard_error =
            door.output("standard_error", request.standard_error, &working_directory, site);
        door.environment(&request.environment);
        door.labels(&request.labels);
        if let Some(comment) = &request.comment {
            door.text("comment", comment, COMMENT_BYTES_MAX);
        }
        if !door.errors.is_empty() {
            return Err(SpecRefused(door.errors));
        }
        Ok(JobSpec {
            script: request.script,
            name,
            account,
            user,
            partition,
            cpus,
            memory_bytes: request.memory_bytes,
            limit_s,
            priority: request.priority,
            working_directory,
            create_working_directory: request.create_working_directory,
            standard_output,
            standard_error,
            environment: request.environment,
            labels: request.labels,
            comment: request.comment,
            kill_grace_s,
            data_source: request.data_source,
            warnings: request.warnings,
        })
    }
}

/// All bad fields in one sentence.
#[must_use]
pub fn joined(errors: &[FieldError]) -> String {
    let each: Vec<String> = errors.iter().map(|e| format!("{}: {}", e.field, e.message)).collect();
    each.join("; ")
}

/// Collects every refusal, so that a person mends a request in one go.
struct Door {
    errors: Vec<FieldError>,
}

impl Door {
    fn refuse(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(FieldError::new(field, message));
    }

    fn text(&mut self, field: &str, text: &str, bytes_max: usize) {
        if text.contains('\0') {
            self.refuse(field, "must not contain a NUL byte");
        }
        if text.len() > bytes_max {
            self.refuse(field, format!("is {} bytes long; at most {bytes_max}", text.len()));
        }
    }

    fn script(&mut self, script: &str) {
        if script.trim().is_empty() {
            self.refuse("script", "is blank; send the text of a shell script");
        }
        self.text("script", script, SCRIPT_BYTES_MAX);
    }

    fn word(&mut self, field: &str, word: Option<String>, default: &str) -> String {
        let Some(word) = word else { return default.to_owned() };
        if word.is_empty() && !default.is_empty() {
            self.refuse(field, "is empty; leave it out for the default");
        }
        if word.chars().count() > NAME_CHARS_MAX {
            self.refuse(field, format!("is longer than {NAME_CHARS_MAX} characters"));
        }
        if word.chars().any(char::is_control) {
            self.refuse(field, "must not contain control characters");
        }
        word
    }

    fn cpus(&mut self, asked: CpusAsked, site: &Site) -> u32 {
        let CpusAsked::Count(count) = asked else { return site.total_cpus };
        if count < 1 {
            self.refuse("cpus", format!("is {count}; at least 1"));
        } else if count > i64::from(site.total_cpus) {
            self.refuse("cpus", format!("{count} asked for, this server has {}", site.total_cpus));
        }
        u32::try_from(count).unwrap_or(0)
    }

    fn limit(&mut self, asked: LimitAsked, site: &Site) -> Option<u32> {
        let limit = match asked {
            LimitAsked::Default => site.default_limit_s.map(i64::from),
            LimitAsked::Unlimited => None,
            LimitAsked::Seconds(s) if s < 1 => {
                self.refuse("time_limit", "must be at least a second; \"UNLIMITED\" for none");
                return None;
            }
            LimitAsked::Seconds(s) if s > LIMIT_S_MAX => {
                self.refuse("time_limit", "is longer than ten years; \"UNLIMITED\" for none");
                return None;
            }
            LimitAsked::Seconds(s) => Some(s),
        };
        match (limit, site.max_limit_s) {
            (Some(s), Some(max)) if s > i64::from(max) => {
                self.refuse("time_limit", format!("{s} s asked for, this server allows {max} s"));
            }
            // A default of "unlimited" under a maximum means the maximum.
            (None, Some(max)) if asked == LimitAsked::Default => return Some(max),
            (None, Some(max)) => {
                self.refuse("time_limit", format!("UNLIMITED; this server allows {max} s"));
            }
            _ => {}
        }
        limit.and_then(|s| u32::try_from(s).ok())
    }

    fn grace(&mut self, asked: Option<i64>, site: &Site) -> u32 {
        match asked {
            None => site.kill_grace_s,
            Some(s) if (0..=GRACE_S_MAX).contains(&s) => u32::try_from(s).unwrap_or(0),
            Some(s) => {
                self.refuse("kill_grace_s", format!("is {s}; from 0 to {GRACE_S_MAX}"));
                0
            }
        }
    }

    fn working_directory(&mut self, path: Option<String>) -> Option<String> {
        let path = path?;
        self.text("working_directory", &path, PATH_BYTES_MAX);
        if !Path::new(&path).is_absolute() {
            self.refuse("working_directory", format!("\"{path}\" is not an absolute path"));
        }
        Some(path)
    }

    fn output(
        &mut self,
        field: &str,
        pattern: Option<String>,
        working_directory: &Option<String>,
        site: &Site,
    ) -> Option<String> {
        let pattern = pattern?;
        self.text(field, &pattern, PATH_BYTES_MAX);
        if pattern.is_empty() || pattern.ends_with('/') {
            self.refuse(field, "names no file");
        }
        if let Some(bad) = bad_placeholder(&pattern) {
            self.refuse(field, format!("{bad} is not a placeholder; %j, %x and %% are"));
        }
        if Path::new(&pattern).components().any(|c| c == std::path::Component::ParentDir) {
            self.refuse(field, "must not contain \"..\"");
        }
        if Path::new(&pattern).is_absolute() {
            let roots = working_directory.iter().chain(&site.output_roots);
            if !roots.clone().any(|root| Path::new(&pattern).starts_with(root)) {
                let roots: Vec<&str> = roots.map(String::as_str).collect();
                let message = if roots.is_empty() {
                    "is absolute, and this job has no working directory; use a relative path"
                        .to_owned()
                } else {
                    format!("is outside of {}", roots.join(", "))
                };
                self.refuse(field, message);
            }
        }
        Some(pattern)
    }

    fn environment(&mut self, environment: &BTreeMap<String, String>) {
        let mut total = 0;
        for (name, value) in environment {
            let field = format!("environment.{name}");
            if name.is_empty() || name.contains('=') || name.contains('\0') {
                self.refuse(&field, "a variable's name is not empty, without \"=\" and NUL");
            }
            if value.contains('\0') {
                self.refuse(&field, "must not contain a NUL byte");
            }
            let bytes = name.len() + 1 + value.len();
            if bytes > ENVIRONMENT_ENTRY_BYTES_MAX {
                let max = ENVIRONMENT_ENTRY_BYTES_MAX;
                self.refuse(&field, format!("is {bytes} bytes long; at most {max}"));
            }
            total += bytes + 1;
        }
        if total > ENVIRONMENT_BYTES_MAX {
            let message = format!("is {total} bytes in all; at most {ENVIRONMENT_BYTES_MAX}");
            self.refuse("environment", message);
        }
    }

    fn labels(&mut self, labels: &BTreeMap<String, String>) {
        if labels.len() > LABELS_MAX {
            self.refuse("labels", format!("{} labels; at most {LABELS_MAX}", labels.len()));
        }
        for (key, value) in labels {
            let field = format!("labels.{}", key.chars().take(64).collect::<String>());
            if key.is_empty() || key.contains(':') {
                self.refuse(&field, "a label's key is not empty and without \":\"");
            }
            self.text(&field, key, LABEL_BYTES_MAX);
            self.text(&field, value, LABEL_BYTES_MAX);
        }
    }
}

fn bad_placeholder(pattern: &str) -> Option<String> {
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c == '%' {
            match chars.next() {
                Some('j' | 'x' | '%') => {}
                Some(other) => return Some(format!("%{other}")),
                None => return Some("% at the end".to_owned()),
            }
        }
    }
    None
}

/// Puts a job's id and name into an output pattern: `%j`, `%x`, `%%`. A slash in the name
/// becomes `_`, so that a name never leads into another folder.
#[must_use]
pub fn expand_pattern(pattern: &str, id: JobId, name: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('j') => out.push_str(&id.to_string()),
            Some('x') => out.push_str(&name.replace('/', "_")),
            _ => out.push('%'),
        }
    }
    out
}

/// How a script ended, as Slurm writes it: `code:signal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitCode {
    /// The code the script exited with, 0 when a signal ended it.
    pub code: u8,
    /// The signal that ended it, 0 when it exited.
    pub signal: u8,
}

impl fmt::Display for ExitCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.code, self.signal)
    }
}

impl std::str::FromStr for ExitCode {
    type Err = ();
    fn from_str(text: &str) -> Result<ExitCode, ()> {
        let (code, signal) = text.split_once(':').ok_or(())?;
        Ok(ExitCode {
            code: code.parse().map_err(|_| ())?,
            signal: signal.parse().map_err(|_| ())?,
        })
    }
}

/// What the process tree of an attempt used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time in user mode, µs.
    pub user_us: i64,
    /// CPU time in the kernel, µs.
    pub system_us: i64,
    /// Resident set of the largest single process, bytes.
    pub max_rss_bytes: i64,
}

/// The words for a job's state that users see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "Slurm's words, explained in the README")]
pub enum StateWord {
    Pending,
    Running,
    Completing,
    Completed,
    Failed,
    Cancelled,
    Timeout,
    OutOfMemory,
    NodeFail,
}

impl StateWord {
    /// Every word, in the order of a job's life.
    pub const ALL: [StateWord; 9] = [
        StateWord::Pending,
        StateWord::Running,
        StateWord::Completing,
        StateWord::Completed,
        StateWord::Failed,
        StateWord::Cancelled,
        StateWord::Timeout,
        StateWord::OutOfMemory,
        StateWord::NodeFail,
    ];

    /// The word in JSON and SQL.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            StateWord::Pending => "PENDING",
            StateWord::Running => "RUNNING",
            StateWord::Completing => "COMPLETING",
            StateWord::Completed => "COMPLETED",
            StateWord::Failed => "FAILED",
            StateWord::Cancelled => "CANCELLED",
            StateWord::Timeout => "TIMEOUT",
            StateWord::OutOfMemory => "OUT_OF_MEMORY",
            StateWord::NodeFail => "NODE_FAIL",
        }
    }

    /// Whether a job in this state has ended.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, StateWord::Pending | StateWord::Running | StateWord::Completing)
    }
}

impl fmt::Display for StateWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl std::str::FromStr for StateWord {
    type Err = String;
    fn from_str(text: &str) -> Result<StateWord, String> {
        StateWord::ALL.into_iter().find(|s| s.word().eq_ignore_ascii_case(text)).ok_or_else(|| {
            let words: Vec<&str> = StateWord::ALL.iter().map(|s| s.word()).collect();
            format!("\"{text}\" is not a state; one of {}", words.join(", "))
        })
    }
}
