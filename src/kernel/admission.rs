//! *Purpose*: the one door through which every job enters.
//!
//! *Owns*: [`JobSpec::try_from`] and the checks behind it; [`Site`], what they are made against.
//!
//! *Promises*: whatever passes can be stored and launched; a refusal names every bad field, so
//! that a person mends a request in one go.
//!
//! *Not here*: the bounds (`job::spec`), JSON (`api::wire`).

pub mod edit;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::job::faults::{Faults, FieldError, SpecRefused};
use crate::job::files::{NOWHERE, Piece, expand_site, pieces};
use crate::job::invocation::{ARGUMENTS_BYTES_MAX, ARGUMENTS_MAX, Invocation};
use crate::job::request::{CPU, MEMORY, RESOURCES_OF_A_JOB_MAX, Request, split};
use crate::job::retry_policy::RetryPolicy;
use crate::job::spec::{
    COMMENT_BYTES_MAX, CpusAsked, ENVIRONMENT_BYTES_MAX, ENVIRONMENT_ENTRY_BYTES_MAX, GRACE_S_MAX,
    JobRequest, JobSpec, LABEL_BYTES_MAX, LABELS_MAX, LIMIT_S_MAX, NAME_CHARS_MAX, PATH_BYTES_MAX,
    SCRIPT_BYTES_MAX,
};
use crate::kernel::parts::limits::{AccountRule, AccountRules, Payer};
use crate::kernel::parts::rules::WHOLE;
use crate::resources::inventory::{Inventory, amount};
use crate::resources::partitions::{Allows, Partition, Partitions, is_list, named_in};
use crate::text::quote::first_that_acts;
use crate::text::size::shown;
use crate::text::time_limit::LimitAsked;

/// Memory that a site hands out and assumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SiteMemory {
    /// Bytes to hand out; `None`: memory is not counted.
    pub total: Option<u64>,
    /// Bytes for each CPU of a job that asks for none; `None`: such a job holds none.
    pub per_cpu: Option<u64>,
}

/// What the site allows and assumes.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// CPUs there are.
    pub total_cpus: u32,
    /// Memory there is.
    pub memory: SiteMemory,
    /// All that there is, by name.
    pub inventory: Arc<Inventory>,
    /// Limit of a job that names none, seconds; `None` is unlimited.
    pub default_limit_s: Option<u32>,
    /// Longest limit, seconds; `None` is no bound.
    pub max_limit_s: Option<u32>,
    /// Grace between TERM and KILL, seconds.
    pub kill_grace_s: u32,
    /// Whether a job is cancelled when what it waits for can never be, unless it says otherwise.
    pub kill_on_invalid_dependency: bool,
    /// Absolute folders below which any job may write its output.
    pub output_roots: Vec<String>,
    /// This machine's name, its first part.
    pub host: String,
    /// What it is divided into.
    pub partitions: Arc<Partitions>,
    /// What accounts may have.
    pub accounts: Arc<AccountRules>,
    /// What users may have, where they are told apart.
    pub users: Arc<AccountRules>,
}

impl TryFrom<(JobRequest, &Site)> for JobSpec {
    type Error = SpecRefused;

    fn try_from((request, site): (JobRequest, &Site)) -> Result<JobSpec, SpecRefused> {
        let mut validator = Validator { errors: Faults::default() };
        validator.script(&request.script);
        let name = validator.word("name", request.name, "job");
        let account = validator.word("account", request.account, "");
        let user = validator.word("user", request.user, "");
        let partition = validator.partition(request.partition, site);
        let bounds = bounds(site, &partition, |validator, bounds| {
            let cpus = validator.cpus(request.cpus, bounds);
            validator.limit(request.limit, bounds);
            validator.memory(request.memory_bytes, cpus, bounds);
            validator.resources(&request.resources, bounds);
        });
        let cpus = validator.cpus(request.cpus, &bounds);
        if let Some(fault) = request.tasks.fault() {
            validator.refuse("ntasks", fault);
        }
        let owner = request.owner.map(|_| &*user);
        validator.payers_hold(&account, owner, (cpus, &request.resources), site);
        let limit_s = validator.limit(request.limit, &bounds);
        let kill_grace_s = validator.grace(request.kill_grace_s, site);
        let memory_bytes = validator.memory(request.memory_bytes, cpus, &bounds);
        validator.resources(&request.resources, &bounds);
        let working_directory = validator.working_directory(request.working_directory);
        let of_site = Of { user: &user, working_directory: &working_directory, site };
        let standard_output =
            validator.output("standard_output", request.standard_output, &of_site);
        let standard_error = validator.output("standard_error", request.standard_error, &of_site);
        let invocation = validator.invocation(request.invocation, &of_site);
        validator.environment(&request.environment);
        validator.labels(&request.labels);
        if let Some(comment) = &request.comment {
            validator.line("comment", comment, COMMENT_BYTES_MAX);
        }
        if let (Some(begin), Some(deadline)) = (request.begin, request.deadline)
            && begin >= deadline
        {
            validator.refuse("deadline", "is not after begin_time, so the job could never start");
        }
        if request.dependencies.follows() && request.array.is_none() {
            let message = "aftercorr is for the tasks of an array; this job is none";
            validator.refuse("dependency", message);
        }
        for (part, message) in request.retry.iter().flat_map(RetryPolicy::faults) {
            validator.refuse(&format!("retry.{part}"), message);
        }
        if !validator.errors.is_empty() {
            return Err(SpecRefused(validator.errors));
        }
        let mut warnings = request.warnings;
        if request.signal.is_some() && limit_s.is_none() && request.deadline.is_none() {
            warnings.push("signal is never sent: the job has no time limit.".to_owned());
        }
        Ok(JobSpec {
            script: request.script,
            name,
            account,
            user,
            owner: request.owner,
            partition,
            cpus,
            tasks: request.tasks,
            memory_bytes,
            resources: request.resources,
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
            held: request.held,
            begin: request.begin,
            deadline: request.deadline,
            dependencies: request.dependencies,
            kill_on_invalid_dependency: request
                .kill_on_invalid_dependency
                .unwrap_or(site.kill_on_invalid_dependency),
            array: request.array,
            retry: request.retry.map(Arc::new),
            signal: request.signal,
            open_mode: request.open_mode,
            invocation,
            data_source: request.data_source,
            warnings,
        })
    }
}

impl Site {
    /// The limit of a job of this partition that names none, and the longest there, seconds.
    #[must_use]
    pub fn limits_of(&self, partition: Option<&Partition>) -> (Option<u32>, Option<u32>) {
        let own = partition.and_then(|p| p.max_limit_s);
        let max = own.into_iter().chain(self.max_limit_s).min();
        let own = partition.and_then(|p| p.default_limit_s);
        // A server's default that is longer than the partition allows is cut, not refused.
        let cut = |s: u32| max.map_or(s, |max| s.min(max));
        (own.or(self.default_limit_s).map(cut), max)
    }
}

/// What patterns of files are read with.
struct Of<'a> {
    user: &'a str,
    working_directory: &'a Option<String>,
    site: &'a Site,
}

/// What a job of one partition may ask for, and gets if it asks for nothing.
struct Bounds<'a> {
    site: &'a Site,
    partition: Option<&'a Partition>,
    cpus: u32,
    max_cpus: u32,
    max_memory: Option<u64>,
    default_limit_s: Option<u32>,
    max_limit_s: Option<u32>,
}

impl<'a> Bounds<'a> {
    fn of(site: &'a Site, partition: &str) -> Bounds<'a> {
        let partition = site.partitions.named(partition);
        let cpus = partition.map_or(site.total_cpus, Partition::total);
        let (default_limit_s, max_limit_s) = site.limits_of(partition);
        Bounds {
            site,
            partition,
            cpus,
            max_cpus: partition.and_then(|p| p.max_cpus).unwrap_or(cpus),
            max_memory: partition.and_then(|p| p.max.get(MEMORY).copied()),
            default_limit_s,
            max_limit_s,
        }
    }

    /// Who refuses, as a sentence says it.
    fn whose(&self) -> String {
        match self.partition {
            Some(partition) => format!("partition {}", partition.name),
            None => "this server".to_owned(),
        }
    }
}

/// The bounds of a job's partition; of several that it lists those of the first that would take the
/// job, or of the first if none would: then the others are of no use to it.
fn bounds<'a>(
    site: &'a Site,
    listed: &str,
    check: impl Fn(&mut Validator, &Bounds<'a>),
) -> Bounds<'a> {
    let takes = |name: &&str| {
        let mut validator = Validator { errors: Faults::default() };
        check(&mut validator, &Bounds::of(site, name));
        validator.errors.is_empty()
    };
    let taking = if is_list(listed) { named_in(listed).find(takes) } else { None };
    Bounds::of(site, taking.unwrap_or_else(|| named_in(listed).next().unwrap_or(listed)))
}

/// Collects every refusal, so that a person mends a request in one go.
struct Validator {
    errors: Faults,
}

impl Validator {
    fn refuse(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(FieldError::new(field, message));
    }

    fn length(&mut self, field: &str, text: &str, bytes_max: usize) {
        if text.len() > bytes_max {
            self.refuse(field, format!("is {} bytes long; at most {bytes_max}", text.len()));
        }
    }

    fn line(&mut self, field: &str, text: &str, bytes_max: usize) {
        self.plain(field, text);
        self.length(field, text, bytes_max);
    }

    /// Others will read it on a terminal.
    fn plain(&mut self, field: &str, text: &str) {
        if let Some(c) = first_that_acts(text) {
            let message = format!(
                "must not contain control characters, or marks that nobody sees or that turn the \
                 line round ({c})"
            );
            self.refuse(field, message);
        }
    }

    fn script(&mut self, script: &str) {
        if script.trim().is_empty() {
            self.refuse("script", "is blank; send the text of a shell script");
        }
        if script.contains('\0') {
            self.refuse("script", "must not contain a NUL byte");
        }
        self.length("script", script, SCRIPT_BYTES_MAX);
    }

    fn word(&mut self, field: &str, word: Option<String>, default: &str) -> String {
        let Some(word) = word else { return default.to_owned() };
        if word.is_empty() && !default.is_empty() {
            self.refuse(field, "is empty; leave it out for the default");
        }
        if word.chars().count() > NAME_CHARS_MAX {
            self.refuse(field, format!("is longer than {NAME_CHARS_MAX} characters"));
        }
        self.plain(field, &word);
        word
    }

    /// The partition's name, or several with commas: such as are there, where the machine is
    /// divided.
    fn partition(&mut self, name: Option<String>, site: &Site) -> String {
        let default = site.partitions.default_one().map_or(WHOLE, |partition| &partition.name);
        let name = self.word("partition", name, default);
        let mut listed: Vec<&str> = Vec::new();
        for one in named_in(&name).map(str::trim) {
            if !site.partitions.is_empty() && site.partitions.named(one).is_none() {
                let names = site.partitions.names();
                let message = format!("there is no partition \"{one}\"; there are: {names}");
                self.refuse("partition", message);
            }
            if !listed.contains(&one) {
                listed.push(one);
            }
        }
        listed.join(",")
    }

    fn cpus(&mut self, asked: CpusAsked, bounds: &Bounds<'_>) -> u32 {
        let count = match asked {
            CpusAsked::Count(count) => count,
            CpusAsked::All => bounds.cpus.into(),
        };
        let whose = || bounds.whose();
        if count < 1 {
            self.refuse("cpus", format!("is {count}; at least 1"));
        } else if count > i64::from(bounds.cpus) {
            self.refuse("cpus", format!("{count} asked for, {} has {}", whose(), bounds.cpus));
        } else if count > i64::from(bounds.max_cpus) {
            let max = bounds.max_cpus;
            self.refuse("cpus", format!("{count} asked for, {} allows {max} for one job", whose()));
        }
        u32::try_from(count).unwrap_or(0)
    }

    /// A job that its account, or its user, could never run would wait for ever.
    fn payers_hold(
        &mut self,
        account: &str,
        user: Option<&str>,
        asked: (u32, &Request),
        site: &Site,
    ) {
        let account = (Payer::Account(account), site.accounts.of(account));
        let user = user.map(|user| (Payer::User(user), site.users.of(user)));
        for (payer, rule) in [account].into_iter().chain(user) {
            if let Some(rule) = rule {
                self.payer_holds(payer, rule, asked);
            }
        }
    }

    fn payer_holds(&mut self, who: Payer<'_>, rule: &AccountRule, (cpus, rest): (u32, &Request)) {
        if let Some(max) = rule.max_running_cpus.filter(|max| cpus > *max) {
            self.refuse("cpus", format!("{cpus} asked for, {who} may hold {max} at a time"));
        }
        for (name, max) in rule.max_running.iter() {
            let asked = if name.contains(':') { rest.get(name) } else { rest.of(name) };
            if asked > max {
                let (asked, max) = (amount(name, asked), amount(name, max));
                let message =
                    format!("{asked} of {name} asked for, {who} may hold {max} at a time");
                self.refuse("resources", message);
            }
        }
    }

    /// What it asks for, or the site's default for so many CPUs.
    fn memory(&mut self, asked: Option<i64>, cpus: u32, bounds: &Bounds<'_>) -> Option<i64> {
        let site = bounds.site.memory;
        if asked.is_some_and(|bytes| bytes <= 0) {
            self.refuse("memory", "must be at least one byte");
            return asked;
        }
        let default = || Some(site.per_cpu?.saturating_mul(cpus.into()));
        let bytes = asked.and_then(|bytes| u64::try_from(bytes).ok()).or_else(default)?;
        if let Some(total) = site.total
            && bytes > total
        {
            let (bytes, total) = (shown(bytes), shown(total));
            let message = match site.per_cpu.filter(|_| asked.is_none()) {
                Some(each) => format!(
                    "{bytes} by default ({} for each CPU), this server has {total}; ask for less",
                    shown(each)
                ),
                None => format!("{bytes} asked for, this server has {total}"),
            };
            self.refuse("memory", message);
        } else if let Some(max) = bounds.max_memory.filter(|max| bytes > *max) {
            let (bytes, max, whose) = (shown(bytes), shown(max), bounds.whose());
            self.refuse("memory", format!("{bytes} asked for, {whose} allows {max} for one job"));
        }
        i64::try_from(bytes).ok()
    }

    /// Other resources: such as are here, and no more than there are or a limit allows.
    fn resources(&mut self, asked: &Request, bounds: &Bounds<'_>) {
        if asked.len() > RESOURCES_OF_A_JOB_MAX {
            let message = format!("{} are named; at most {RESOURCES_OF_A_JOB_MAX}", asked.len());
            return self.refuse("resources", message);
        }
        if let Some(name) = [CPU, MEMORY].into_iter().find(|name| asked.of(name) > 0) {
            let field = if name == CPU { "cpus" } else { name };
            return self.refuse("resources", format!("{name} is asked for as \"{field}\""));
        }
        if let Err(refused) = bounds.site.inventory.check(asked) {
            return self.refuse("resources", refused.to_string());
        }
        if let Some(Allows::Resource(name, max)) =
            bounds.partition.and_then(|partition| partition.forbids(0, asked, Some(0)))
        {
            let (asked, whose) = (amount(&name, asked.of(split(&name).0)), bounds.whose());
            let max = amount(&name, max);
            let message = format!("{asked} of {name} asked for, {whose} allows {max} for one job");
            self.refuse("resources", message);
        }
    }

    fn limit(&mut self, asked: LimitAsked, bounds: &Bounds<'_>) -> Option<u32> {
        let limit = match asked {
            LimitAsked::Default => bounds.default_limit_s.map(i64::from),
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
        let whose = || bounds.whose();
        match (limit, bounds.max_limit_s) {
            (Some(s), Some(max)) if s > i64::from(max) => {
                self.refuse("time_limit", format!("{s} s asked for, {} allows {max} s", whose()));
            }
            // A default of "unlimited" under a maximum means the maximum.
            (None, Some(max)) if asked == LimitAsked::Default => return Some(max),
            (None, Some(max)) => {
                self.refuse("time_limit", format!("UNLIMITED; {} allows {max} s", whose()));
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
        self.line("working_directory", &path, PATH_BYTES_MAX);
        if !Path::new(&path).is_absolute() {
            self.refuse("working_directory", format!("\"{path}\" is not an absolute path"));
        }
        Some(path)
    }

    /// A pattern with user and machine put in, and nothing in it that cannot be.
    fn pattern(&mut self, field: &str, pattern: &str, of: &Of<'_>) -> String {
        self.line(field, pattern, PATH_BYTES_MAX);
        if pattern.is_empty() || pattern.ends_with('/') {
            self.refuse(field, "names no file");
        }
        for piece in pieces(pattern) {
            if let Piece::Unknown(bad) = piece {
                let message = format!(
                    "{bad} is not a placeholder; %j, %J, %x, %u, %N, %A, %a, %b, %n, %t, %s and \
                     %% are"
                );
                self.refuse(field, message);
            }
        }
        expand_site(pattern, of.user, &of.site.host)
    }

    fn output(&mut self, field: &str, pattern: Option<String>, of: &Of<'_>) -> Option<String> {
        let pattern = self.pattern(field, &pattern?, of);
        if pattern == NOWHERE {
            return Some(pattern);
        }
        if Path::new(&pattern).components().any(|c| c == std::path::Component::ParentDir) {
            self.refuse(field, "must not contain \"..\"");
        }
        if Path::new(&pattern).is_absolute() {
            let roots = of.working_directory.iter().chain(&of.site.output_roots);
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

    fn invocation(&mut self, invocation: Invocation, of: &Of<'_>) -> Invocation {
        let arguments = &invocation.arguments;
        if arguments.len() > ARGUMENTS_MAX {
            self.refuse("args", format!("{} of them; at most {ARGUMENTS_MAX}", arguments.len()));
        }
        if let Some(index) = arguments.iter().position(|argument| argument.contains('\0')) {
            self.refuse(&format!("args[{index}]"), "must not contain a NUL byte");
        }
        let bytes: usize = arguments.iter().map(|argument| argument.len() + 1).sum();
        if bytes > ARGUMENTS_BYTES_MAX {
            let message = format!("are {bytes} bytes in all; at most {ARGUMENTS_BYTES_MAX}");
            self.refuse("args", message);
        }
        let standard_input = invocation.standard_input.as_deref();
        let standard_input =
            standard_input.map(|pattern| self.pattern("standard_input", pattern, of));
        if let Some(path) = &invocation.submit_directory {
            self.line("submit_directory", path, PATH_BYTES_MAX);
        }
        if let Some(path) = &invocation.command {
            self.line("command", path, PATH_BYTES_MAX);
        }
        if let Some(user) = &invocation.mail_user {
            self.line("mail_user", user, COMMENT_BYTES_MAX);
        }
        let submit_host = invocation.submit_host.filter(|host| !host.is_empty());
        let submit_host = submit_host.map(|host| self.word("submit_host", Some(host), ""));
        Invocation { standard_input, submit_host, ..invocation }
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
            self.line(&field, key, LABEL_BYTES_MAX);
            self.line(&field, value, LABEL_BYTES_MAX);
        }
    }
}
