//! *Purpose*: the flags that describe a job, and the body they make.
//!
//! *Owns*: [`JobFlags`], shared by `submit` and `run`; what of the caller goes along.
//!
//! *Promises*: a flag wins over a `#SBATCH` line, that over the caller's folder and variables;
//! `DOWNBEAT_*` never travels.
//!
//! *Not here*: how the server reads the body (`api::wire::submit`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::CliError;
use crate::api::wire::amount::Amount;
use crate::api::wire::body::SubmitBody;
use crate::api::wire::export::Export;
use crate::api::wire::sbatch;
use crate::api::wire::v1::{
    ArraySpec, DataSource, Dependencies, EarlySignal, OpenMode, RetryBody, acts,
};
use crate::job::request::{GPU, SCRATCH};
use crate::job::resource_list;
use crate::job::retry_policy::parse_causes;
use crate::text::{duration, size, time_limit, when};

/// What a job is to be.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct JobFlags {
    /// Name [default: the script's or command's]
    #[arg(long, short = 'J', visible_alias = "job-name")]
    pub name: Option<String>,
    /// CPUs [default: 1]
    #[arg(long, short, visible_alias = "cpus-per-task", value_name = "N")]
    pub cpus: Option<i64>,
    /// Memory: 512M, 2G; a bare number is MiB
    #[arg(long, visible_alias = "mem", value_name = "SIZE")]
    pub memory: Option<String>,
    /// GPUs: a count, or a type and a count, a100:2
    #[arg(long, short = 'G', visible_alias = "gpus-per-node", value_name = "[TYPE:]N")]
    pub gpus: Option<String>,
    /// GPUs of each task that the script's lines ask for
    #[arg(long, value_name = "[TYPE:]N", conflicts_with = "gpus")]
    pub gpus_per_task: Option<String>,
    /// Other resources: gpu:2, gpu:a100:2, NAME:N, with commas
    #[arg(long, value_name = "LIST")]
    pub gres: Option<String>,
    /// Licences: matlab, matlab:2, with commas
    #[arg(long, short = 'L', value_name = "LIST")]
    pub licenses: Option<String>,
    /// Another resource by its full name: NAME=N (repeatable)
    #[arg(long = "claim", value_name = "NAME=N", value_parser = resource_list::claim)]
    pub claims: Vec<(String, u64)>,
    /// Local disk space for the time of the job, where the server counts it: 10G; a bare number is
    /// MiB
    #[arg(long, value_name = "SIZE")]
    pub tmp: Option<String>,
    /// Time limit: minutes, H:M:S, D-H:M:S, 90s, 2h, UNLIMITED
    #[arg(long, short, value_name = "TIME")]
    pub time: Option<String>,
    /// File for standard output: %j is the id, %x the name, %A the array's id, %a the task
    /// [default: the server keeps it]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<String>,
    /// File for standard error [default: the one of --output, if that is given]
    #[arg(long, short, value_name = "FILE")]
    pub error: Option<String>,
    /// Where it runs [default: this folder]
    #[arg(long, short = 'D', value_name = "DIR")]
    pub chdir: Option<PathBuf>,
    /// Whom to charge
    #[arg(long, short = 'A')]
    pub account: Option<String>,
    /// Partition
    #[arg(long, short)]
    pub partition: Option<String>,
    /// Larger runs first [default: 0]
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    pub priority: Option<i64>,
    /// Label to find it by (repeatable)
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,
    /// A remark
    #[arg(long)]
    pub comment: Option<String>,
    /// Which of your variables it gets: ALL, NONE, NAME or NAME=VALUE, with commas [default: ALL]
    #[arg(long, value_name = "NAMES")]
    pub export: Option<String>,
    /// All CPUs of the server
    #[arg(long)]
    pub exclusive: bool,
    /// Time between TERM and KILL when it is stopped
    #[arg(long, value_name = "DURATION")]
    pub kill_grace: Option<String>,
    /// Wait until somebody releases it
    #[arg(long, short = 'H')]
    pub hold: bool,
    /// Not before: 2026-11-22T16:00:00Z, now+2h
    #[arg(long, short, value_name = "WHEN")]
    pub begin: Option<String>,
    /// Not after: whoever waits then is cancelled, whoever runs then is stopped
    #[arg(long, value_name = "WHEN")]
    pub deadline: Option<String>,
    /// Jobs to wait for: afterok:17:18,afterany:19; after, afternotok, aftercorr,
    /// singleton; "?" for any
    #[arg(long, short, value_name = "LIST")]
    pub dependency: Option<String>,
    /// An array of tasks: 0-99, 1,3,5-9:2; 0-99%4 runs four at a time
    #[arg(long, short, value_name = "TASKS")]
    pub array: Option<String>,
    /// Run it again by itself, at most so often
    #[arg(long, value_name = "N")]
    pub retry: Option<i64>,
    /// After which ends: failed, exit_code:75, exit_code:1-5, signal, signal:9, timeout, node_fail,
    /// out_of_memory, with commas [default: failed,node_fail]
    #[arg(long, value_name = "LIST", requires = "retry")]
    pub retry_on: Option<String>,
    /// Wait before the first retry; doubles with each [default: 10s]
    #[arg(long, value_name = "DURATION", requires = "retry")]
    pub retry_delay: Option<String>,
    /// Longest wait before a retry [default: 1h]
    #[arg(long, value_name = "DURATION", requires = "retry")]
    pub retry_max_delay: Option<String>,
    /// Signal before the time limit: USR1@60 for its processes, B:USR1@60 for the script
    #[arg(long, value_name = "[B:]SIGNAL[@SECONDS]")]
    pub signal: Option<String>,
    /// Output files: truncate, each attempt empties them; append, it writes behind what is there
    #[arg(long, value_name = "MODE")]
    pub open_mode: Option<String>,
    /// Submitting again with the same key gives the same job again
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

/// What of the caller goes along with a job.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Where it stands.
    pub directory: PathBuf,
    /// Its variables.
    pub environment: Vec<(String, String)>,
    /// Its name.
    pub user: Option<String>,
    /// Variables that are not text and stay behind.
    pub left_behind: Vec<String>,
}

impl Caller {
    /// Whoever runs this program.
    ///
    /// # Errors
    /// When the current folder is gone.
    pub fn here() -> Result<Caller, CliError> {
        let directory = std::env::current_dir().map_err(|error| {
            CliError::Other(format!("the current folder is not there: {error}"))
        })?;
        let (mut environment, mut left_behind) = (Vec::new(), Vec::new());
        for (name, value) in std::env::vars_os() {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => environment.push((name, value)),
                (Ok(name), Err(_)) => left_behind.push(name),
                (Err(name), _) => left_behind.push(name.to_string_lossy().into_owned()),
            }
        }
        let user = ["USER", "LOGNAME"].iter().find_map(|n| std::env::var(n).ok());
        let user = user
            .filter(|u| !u.is_empty())
            .or_else(|| Some(format!("uid {}", rustix::process::getuid().as_raw())));
        Ok(Caller { directory, environment, user, left_behind })
    }
}

impl JobFlags {
    /// The body to send. `name` is what the job is called when nobody says.
    ///
    /// # Errors
    /// When a flag makes no sense; the server finds the rest.
    pub fn body(
        &self,
        script: String,
        name: Option<String>,
        caller: &Caller,
    ) -> Result<SubmitBody, CliError> {
        let lines = sbatch::read(&script);
        let usage = |flag: &str, message: String| CliError::Usage(format!("{flag}: {message}"));
        if let Some(time) = &self.time {
            time_limit::parse(time).map_err(|m| usage("--time", m))?;
        }
        if let Some(grace) = &self.kill_grace {
            duration::parse_s(grace).map_err(|m| usage("--kill-grace", m))?;
        }
        for (flag, when) in [("--begin", &self.begin), ("--deadline", &self.deadline)] {
            when.as_deref().map(when::parse).transpose().map_err(|m| usage(flag, m))?;
        }
        if let Some(list) = &self.dependency {
            list.parse::<Dependencies>().map_err(|m| usage("--dependency", m))?;
        }
        if let Some(array) = &self.array {
            array.parse::<ArraySpec>().map_err(|m| usage("--array", m))?;
        }
        if let Some(signal) = &self.signal {
            signal.parse::<EarlySignal>().map_err(|m| usage("--signal", m))?;
        }
        if let Some(mode) = &self.open_mode {
            mode.parse::<OpenMode>().map_err(|m| usage("--open-mode", m))?;
        }
        let retry = self.retry()?;
        let memory = match &self.memory {
            Some(text) => Some(size::parse_mib(text).map_err(|m| usage("--memory", m))?),
            None => None,
        };
        let export = match (&self.export, &lines.export) {
            (Some(text), _) => Export::parse(text).map_err(|m| usage("--export", m))?,
            (None, Some(line)) => line.value.clone(),
            (None, None) => Export::everything(),
        };
        let chdir = self.chdir.clone().or(lines.chdir.map(|line| PathBuf::from(line.value)));
        let labels: BTreeMap<String, String> = self.labels.iter().cloned().collect();
        Ok(SubmitBody {
            name: self.name.clone().or(name.filter(|_| lines.job_name.is_none()).map(seen)),
            account: self.account.clone(),
            user: caller.user.clone(),
            partition: self.partition.clone(),
            cpus: self.cpus,
            exclusive: self.exclusive.then_some(true),
            memory: memory.map(Amount::Number),
            gpus: self.gpus.clone().map(Amount::Text),
            gpus_per_task: self.gpus_per_task.clone().map(Amount::Text),
            resources: self.resources()?,
            time_limit: self.time.clone().map(Amount::Text),
            working_directory: Some(directory(&caller.directory, chdir.as_deref())?),
            standard_output: self.output.clone(),
            standard_error: self.error.clone(),
            environment: Some(export.pick(caller.environment.iter().cloned())),
            priority: self.priority,
            labels: (!labels.is_empty()).then_some(labels),
            comment: self.comment.clone(),
            kill_grace: self.kill_grace.clone(),
            held: self.hold.then_some(true),
            begin_time: self.begin.clone(),
            deadline: self.deadline.clone(),
            dependency: self.dependency.clone(),
            array: self.array.clone(),
            retry,
            signal: self.signal.clone(),
            open_mode: self.open_mode.clone(),
            data_source: Some(DataSource::Cli.word().to_owned()),
            script,
            ..SubmitBody::default()
        })
    }
}

impl JobFlags {
    /// All resources but CPUs, memory and what `--gpus` says.
    fn resources(&self) -> Result<Option<BTreeMap<String, Amount>>, CliError> {
        let usage = |flag: &str, message: String| CliError::Usage(format!("{flag}: {message}"));
        for (flag, gpus) in [("--gpus", &self.gpus), ("--gpus-per-task", &self.gpus_per_task)] {
            gpus.as_deref().map(resource_list::gpus).transpose().map_err(|m| usage(flag, m))?;
        }
        let lists = [
            ("--gres", self.gres.as_deref().map(resource_list::gres)),
            ("--licenses", self.licenses.as_deref().map(resource_list::licenses)),
        ];
        let mut all: BTreeMap<String, Amount> = BTreeMap::new();
        let mut take = |flag: &str, name: &str, amount: u64| {
            let amount = i64::try_from(amount).unwrap_or(i64::MAX);
            match all.insert(name.to_owned(), Amount::Number(amount)) {
                Some(_) => Err(usage(flag, format!("{name} is asked for twice"))),
                None => Ok(()),
            }
        };
        // Of the lines too nothing counts then.
        if self.gres.as_deref().is_some_and(|list| list.eq_ignore_ascii_case("none")) {
            take("--gres", GPU, 0)?;
        }
        for (flag, list) in lists {
            let Some(list) = list.transpose().map_err(|m| usage(flag, m))? else { continue };
            for (name, amount) in list.iter() {
                take(flag, name, amount)?;
            }
        }
        for (name, amount) in &self.claims {
            take("--claim", name, *amount)?;
        }
        if let Some(text) = &self.tmp {
            let bytes = size::parse_mib(text).map_err(|m| usage("--tmp", m))?;
            take("--tmp", SCRATCH, bytes.unsigned_abs())?;
        }
        Ok((!all.is_empty()).then_some(all))
    }

    fn retry(&self) -> Result<Option<RetryBody>, CliError> {
        let usage = |flag: &str, message: String| CliError::Usage(format!("{flag}: {message}"));
        let Some(max) = self.retry else { return Ok(None) };
        let on = self.retry_on.as_deref().map(parse_causes).transpose();
        let wait = |flag: &str, text: &Option<String>| {
            let seconds = text.as_deref().map(duration::parse_s).transpose();
            seconds.map(|s| s.map(Amount::Number)).map_err(|m| usage(flag, m))
        };
        Ok(Some(RetryBody {
            max,
            on: on.map_err(|m| usage("--retry-on", m))?,
            delay: wait("--retry-delay", &self.retry_delay)?,
            max_delay: wait("--retry-max-delay", &self.retry_max_delay)?,
        }))
    }
}

/// A name that nobody gave is of a file or a command: what of it nobody would see is an underscore.
fn seen(name: String) -> String {
    name.chars().map(|c| if acts(c) { '_' } else { c }).collect()
}

/// The folder a job runs in: absolute, and text, as JSON must be.
fn directory(here: &Path, chdir: Option<&Path>) -> Result<String, CliError> {
    let folder = path_clean::clean(chdir.map_or(here.to_owned(), |chdir| here.join(chdir)));
    folder.to_str().map(str::to_owned).ok_or_else(|| {
        let shown = folder.display();
        CliError::Usage(format!("the folder {shown} is not UTF-8; name another with --chdir"))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::api::wire::dialect::ApiDialect;
    use crate::api::wire::submit::parse_submit;

    fn caller() -> Caller {
        let pairs = [("PATH", "/bin"), ("A", "1"), ("DOWNBEAT_TOKEN", "secret")];
        Caller {
            directory: "/home/me".into(),
            environment: pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec(),
            user: Some("me".into()),
            left_behind: vec![],
        }
    }

    fn body(flags: JobFlags, script: &str) -> SubmitBody {
        flags.body(script.to_owned(), Some("x.sh".into()), &caller()).unwrap()
    }

    #[test]
    fn the_caller_s_folder_and_variables_go_along_but_no_secret() {
        let body = body(JobFlags::default(), "true");
        assert_eq!(body.working_directory.as_deref(), Some("/home/me"));
        let environment = body.environment.unwrap();
        assert_eq!(environment.keys().collect::<Vec<_>>(), ["A", "PATH"]);
        assert_eq!(body.name.as_deref(), Some("x.sh"));
        let odd = Some("a\tb\u{200b}.sh".to_owned());
        let odd = JobFlags::default().body("true".into(), odd, &caller()).unwrap();
        assert_eq!(odd.name.as_deref(), Some("a_b_.sh"), "nobody gave that name");
        assert_eq!(body.data_source.as_deref(), Some("CLI"));
        assert_eq!((body.standard_output, body.user.as_deref()), (None, Some("me")));
    }

    #[test]
    fn a_script_s_own_lines_win_over_the_caller_and_flags_over_both() {
        let script = "#SBATCH -J inside -D sub --export=NONE\ntrue";
        let from_script = body(JobFlags::default(), script);
        assert_eq!(from_script.name, None);
        assert_eq!(from_script.working_directory.as_deref(), Some("/home/me/sub"));
        assert_eq!(from_script.environment, Some(BTreeMap::new()));
        let flags = JobFlags {
            name: Some("flag".into()),
            chdir: Some("/tmp/../w".into()),
            export: Some("A=2".into()),
            ..JobFlags::default()
        };
        let body = body(flags, script);
        assert_eq!(body.name.as_deref(), Some("flag"));
        assert_eq!(body.working_directory.as_deref(), Some("/w"));
        assert_eq!(body.environment.unwrap()["A"], "2");
    }

    #[test]
    fn what_the_flags_make_is_what_the_server_reads() {
        let flags = JobFlags {
            cpus: Some(2),
            memory: Some("100".into()),
            time: Some("90s".into()),
            priority: Some(-1),
            labels: vec![("k".into(), "v".into())],
            kill_grace: Some("5s".into()),
            exclusive: true,
            retry: Some(3),
            retry_on: Some("exit_code:75,node_fail".into()),
            retry_delay: Some("5s".into()),
            signal: Some("SIGUSR1@5".into()),
            ..JobFlags::default()
        };
        let json = serde_json::to_vec(&body(flags, "true")).unwrap();
        let request = parse_submit(&json, ApiDialect::V1).unwrap().request;
        assert_eq!(request.memory_bytes, Some(100 << 20));
        assert_eq!((request.priority, request.kill_grace_s), (-1, Some(5)));
        let retry = request.retry.unwrap();
        assert_eq!((retry.max, retry.on.len(), retry.delay_s), (3, 2, 5));
        assert_eq!(request.signal.unwrap().to_string(), "USR1@5");
    }

    #[test]
    fn a_flag_that_makes_no_sense_is_a_matter_of_usage() {
        for flags in [
            JobFlags { time: Some("0".into()), ..JobFlags::default() },
            JobFlags { memory: Some("much".into()), ..JobFlags::default() },
            JobFlags { export: Some("=".into()), ..JobFlags::default() },
            JobFlags { kill_grace: Some("soon".into()), ..JobFlags::default() },
            JobFlags { signal: Some("USR3".into()), ..JobFlags::default() },
            JobFlags { open_mode: Some("write".into()), ..JobFlags::default() },
            JobFlags { retry: Some(1), retry_on: Some("0".into()), ..JobFlags::default() },
            JobFlags { retry: Some(1), retry_delay: Some("x".into()), ..JobFlags::default() },
        ] {
            let error = flags.body("true".into(), None, &caller()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{error}");
        }
        assert!(label("a").is_err() && label("=a").is_err() && label("a=b=c").is_ok());
    }
}
