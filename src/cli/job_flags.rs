//! *Purpose*: the flags that describe a job, and the body they make.
//!
//! *Owns*: [`JobFlags`], shared by `submit` and `run`: the options of `sbatch` and our own.
//!
//! *Promises*: a flag wins over a `#SBATCH` line, that over the caller's folder and variables;
//! `DOWNBEAT_*` never travels.
//!
//! *Not here*: who submits (`cli::caller`), how the server reads the body (`api::wire::submit`).

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;

use super::caller::Caller;
use super::error::CliError;
use super::sbatch_options::SbatchOptions;
use crate::api::wire::amount::Amount;
use crate::api::wire::asked_tasks;
use crate::api::wire::body::SubmitBody;
use crate::api::wire::export::Export;
use crate::api::wire::sbatch::{self, Directives, Placed};
use crate::api::wire::v1::{DataSource, RetryBody, acts};
use crate::clock;
use crate::job::faults::Faults;
use crate::job::request::GPU;
use crate::job::resource_list;
use crate::job::retry_policy::parse_causes;
use crate::job::script;
use crate::job::spec::NAME_CHARS_MAX;
use crate::job::tasks::Tasks;
use crate::text::duration;
use crate::text::time_limit::LimitAsked;

/// What a job is to be.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct JobFlags {
    #[command(flatten)]
    sbatch: SbatchOptions,
    /// CPUs of all tasks together [default: those of its tasks]
    #[arg(long, value_name = "N")]
    cpus: Option<i64>,
    /// Another resource by its full name: NAME=N (repeatable)
    #[arg(long = "claim", value_name = "NAME=N", value_parser = resource_list::claim)]
    claims: Vec<(String, u64)>,
    /// Label to find it by (repeatable)
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Time between TERM and KILL when it is stopped
    #[arg(long, value_name = "DURATION")]
    kill_grace: Option<String>,
    /// Run it again by itself, at most so often
    #[arg(long, value_name = "N")]
    retry: Option<i64>,
    /// After which ends: failed, exit_code:75, exit_code:1-5, signal, signal:9, timeout, node_fail,
    /// out_of_memory, with commas [default: failed,node_fail]
    #[arg(long, value_name = "LIST", requires = "retry")]
    retry_on: Option<String>,
    /// Wait before the first retry; doubles with each [default: 10s]
    #[arg(long, value_name = "DURATION", requires = "retry")]
    retry_delay: Option<String>,
    /// Longest wait before a retry [default: 1h]
    #[arg(long, value_name = "DURATION", requires = "retry")]
    retry_max_delay: Option<String>,
    /// Whose the job is, and as whom it runs; only administrators of a server of all users may say
    /// so
    #[arg(long, value_name = "USER")]
    run_as: Option<String>,
    /// Submitting again with the same key gives the same job again
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
}

pub(super) fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

fn usage(flag: &str, message: String) -> CliError {
    CliError::Usage(format!("{flag}: {message}"))
}

fn refused(faults: Faults) -> Result<(), CliError> {
    if faults.is_empty() {
        return Ok(());
    }
    let said: Vec<String> =
        faults.listed().iter().map(|e| format!("{}: {}", e.field, e.message)).collect();
    Err(CliError::Usage(said.join("; ")))
}

fn value<T: Clone>(placed: &Option<Placed<T>>) -> Option<T> {
    placed.as_ref().map(|placed| placed.value.clone())
}

/// What goes along of whoever submits.
fn of(caller: &Caller) -> SubmitBody {
    SubmitBody {
        user: caller.user.clone(),
        umask: Some(caller.umask.to_string()),
        limits: Some(caller.limits.clone()).filter(|limits| !limits.is_empty()),
        submit_directory: caller.directory.to_str().map(str::to_owned),
        submit_host: Some(caller.host.clone()),
        data_source: Some(DataSource::Cli.word().to_owned()),
        ..SubmitBody::default()
    }
}

/// What a flag says, else the line.
fn first<'a, T>(flag: &'a Option<Placed<T>>, line: &'a Option<Placed<T>>) -> Option<&'a T> {
    flag.as_ref().or(line.as_ref()).map(|placed| &placed.value)
}

/// CPUs and memory that flags ask for, together with the lines that they do not speak of.
struct Shares {
    /// As the body says them; nothing when no flag speaks of tasks.
    tasks: Tasks,
    /// All CPUs, where they are not those of its tasks.
    cpus: Option<i64>,
    asked: asked_tasks::Shares,
}

impl Shares {
    fn of(flags: &Directives, lines: &Directives) -> Shares {
        let over = flags.over(lines);
        let asked = asked_tasks::Shares::of_lines(&over);
        if !flags.speak_of_cpus() {
            return Shares { tasks: Tasks::default(), cpus: None, asked };
        }
        let cpus = asked.counted_cpus().filter(|cpus| *cpus != asked.tasks.cpus());
        // What each task gets is said by the whole then.
        let each = asked.tasks.cpus_per_task.filter(|_| cpus.is_none());
        Shares { tasks: Tasks { cpus_per_task: each, ..asked.tasks }, cpus, asked }
    }

    /// Bytes.
    fn memory(&self, flags: &Directives) -> Result<Option<i64>, CliError> {
        let (each, count, of) = match (&flags.memory_per_cpu_bytes, &flags.memory_per_gpu_bytes) {
            _ if flags.memory_bytes.is_some() => return Ok(value(&flags.memory_bytes)),
            (Some(each), _) => (each, self.asked.counted_cpus(), "--exclusive asks for all CPUs"),
            (None, Some(each)) => (each, self.asked.gpus, "no GPUs are asked for"),
            (None, None) => return Ok(None),
        };
        match count {
            Some(count) => Ok(Some(each.value.saturating_mul(count))),
            None => Err(usage(&each.place, format!("{of}; use --mem"))),
        }
    }
}

impl JobFlags {
    /// Nothing but options of `sbatch`.
    #[must_use]
    pub fn of(sbatch: SbatchOptions) -> JobFlags {
        JobFlags { sbatch, ..JobFlags::default() }
    }

    /// The body to send. `name` is what the job is called when nobody says, `words` are the
    /// script's arguments.
    ///
    /// # Errors
    /// When a flag makes no sense; the server finds the rest.
    pub fn body(
        &self,
        (script, words): (Vec<u8>, &[String]),
        name: Option<String>,
        caller: &Caller,
    ) -> Result<SubmitBody, CliError> {
        let (script, is_bytes) = script::from_bytes(script);
        let lines = sbatch::read(&script);
        let mut flags = self.sbatch.read();
        refused(std::mem::take(&mut flags.errors))?;
        if let Some(grace) = &self.kill_grace {
            duration::parse_s(grace).map_err(|m| usage("--kill-grace", m))?;
        }
        let retry = self.retry(&flags, &lines)?;
        let shares = Shares::of(&flags, &lines);
        let export = first(&flags.export, &lines.export).cloned();
        let export = export.unwrap_or_else(Export::everything);
        let chdir = first(&flags.chdir, &lines.chdir).map(Path::new);
        let labels: BTreeMap<String, String> = self.labels.iter().cloned().collect();
        let is_named = flags.job_name.is_some() || lines.job_name.is_some();
        Ok(SubmitBody {
            name: value(&flags.job_name).or(name.filter(|_| !is_named).and_then(seen)),
            account: value(&flags.account),
            partition: value(&flags.partition),
            cpus: self.cpus.or(shares.cpus),
            cpus_per_task: shares.tasks.cpus_per_task.map(i64::from),
            ntasks: shares.tasks.ntasks.map(i64::from),
            ntasks_per_node: shares.tasks.ntasks_per_node.map(i64::from),
            exclusive: flags.exclusive.then_some(true),
            memory: shares.memory(&flags)?.map(Amount::Number),
            resources: self.resources(&flags, &shares)?,
            time_limit: value(&flags.time).map(|limit| match limit {
                LimitAsked::Seconds(s) => Amount::Text(format!("{s}s")),
                LimitAsked::Default | LimitAsked::Unlimited => Amount::Text("UNLIMITED".into()),
            }),
            working_directory: Some(directory(&caller.directory, chdir)?),
            standard_output: value(&flags.output),
            standard_error: value(&flags.error),
            standard_input: value(&flags.input),
            environment: Some(export.pick(caller.environment.iter().cloned())),
            priority: value(&flags.priority),
            labels: (!labels.is_empty()).then_some(labels),
            comment: value(&flags.comment),
            mail_type: value(&flags.mail_type),
            mail_user: value(&flags.mail_user),
            kill_grace: self.kill_grace.clone(),
            held: flags.hold.then_some(true),
            // A time in the script is of this place's clock, not of the server's.
            begin_time: first(&flags.begin, &lines.begin).map(|time| clock::rfc3339(*time)),
            deadline: first(&flags.deadline, &lines.deadline).map(|time| clock::rfc3339(*time)),
            dependency: value(&flags.dependency).map(|d| d.to_string()),
            kill_on_invalid_dependency: value(&flags.kill_on_invalid_dependency),
            array: value(&flags.array).map(|array| array.to_string()),
            retry,
            signal: value(&flags.signal).map(|signal| signal.to_string()),
            open_mode: value(&flags.open_mode).map(|mode| mode.word().to_owned()),
            args: words.to_vec(),
            script_base64: is_bytes.then(|| {
                let bytes = script::to_bytes(script.clone(), true);
                base64::engine::general_purpose::STANDARD.encode(bytes)
            }),
            script: if is_bytes { String::new() } else { script },
            user: self.run_as.clone().or_else(|| caller.user.clone()),
            ..of(caller)
        })
    }

    /// What of the flags is not honoured, one sentence each; the server says so of the script.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.sbatch.read().warnings.listed()
    }

    /// Whether it is to be an array.
    #[must_use]
    pub fn is_array(&self) -> bool {
        self.sbatch.read().array.is_some()
    }

    /// All resources but CPUs and memory.
    fn resources(
        &self,
        flags: &Directives,
        shares: &Shares,
    ) -> Result<Option<BTreeMap<String, Amount>>, CliError> {
        let mut all: BTreeMap<String, Amount> = BTreeMap::new();
        let mut take = |flag: &str, name: &str, amount: u64| {
            let amount = i64::try_from(amount).unwrap_or(i64::MAX);
            match all.insert(name.to_owned(), Amount::Number(amount)) {
                Some(_) => Err(usage(flag, format!("{name} is asked for twice"))),
                None => Ok(()),
            }
        };
        let lists = [
            (&flags.gpus, 1),
            (&flags.gpus_per_task, shares.tasks.count()),
            (&flags.gres, 1),
            (&flags.licenses, 1),
            (&flags.tmp, 1),
        ];
        for (list, times) in lists {
            let Some(Placed { value, place }) = list else { continue };
            // Of the lines too nothing counts then.
            if value.is_empty() && place != "--licenses" {
                take(place, GPU, 0)?;
            }
            for (name, amount) in value.iter() {
                take(place, name, amount.saturating_mul(times.into()))?;
            }
        }
        for (name, amount) in &self.claims {
            take("--claim", name, *amount)?;
        }
        Ok((!all.is_empty()).then_some(all))
    }

    fn retry(&self, flags: &Directives, lines: &Directives) -> Result<Option<RetryBody>, CliError> {
        let Some(max) = self.retry else {
            let asked = flags.requeue.as_ref().map(|placed| &placed.value);
            if asked.is_none() && flags.no_requeue && lines.requeue.is_some() {
                let message = "the script asks for --requeue; take that line out";
                return Err(usage("--no-requeue", message.to_owned()));
            }
            return Ok(asked.map(|policy| RetryBody {
                max: policy.max.into(),
                on: Some(policy.on.iter().map(ToString::to_string).collect()),
                delay: Some(Amount::Number(policy.delay_s.into())),
                max_delay: Some(Amount::Number(policy.max_delay_s.into())),
            }));
        };
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

/// A name that nobody gave is of a file or a command: what of it nobody would see is an underscore,
/// and no more of it is taken than a name may have. It is never the reason of a refusal.
fn seen(name: String) -> Option<String> {
    let seen = name.chars().map(|c| if acts(c) { '_' } else { c });
    Some(seen.take(NAME_CHARS_MAX).collect::<String>()).filter(|name| !name.is_empty())
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
    use clap::Parser;

    use super::*;
    use crate::api::wire::dialect::ApiDialect;
    use crate::api::wire::submit::parse_submit;
    use crate::job::invocation::{Ulimit, Umask};
    use crate::job::spec::{CpusAsked, JobRequest};

    fn caller() -> Caller {
        let pairs = [("PATH", "/bin"), ("A", "1"), ("DOWNBEAT_TOKEN", "secret")];
        Caller {
            directory: "/home/me".into(),
            environment: pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec(),
            user: Some("me".into()),
            left_behind: vec![],
            umask: Umask::of_bits(0o27).unwrap(),
            limits: [("nofile".to_owned(), Amount::Number(99))].into(),
            host: "login".into(),
        }
    }

    #[derive(clap::Parser)]
    struct Typed {
        #[command(flatten)]
        flags: JobFlags,
    }

    fn made(words: &str, script: &str) -> Result<SubmitBody, CliError> {
        let words = std::iter::once("x").chain(words.split_whitespace());
        let Typed { flags } = Typed::try_parse_from(words).unwrap();
        flags.body((script.into(), &[]), Some("x.sh".into()), &caller())
    }

    fn body(words: &str, script: &str) -> SubmitBody {
        made(words, script).unwrap()
    }

    /// What the server reads of it.
    fn request(words: &str, script: &str) -> JobRequest {
        let json = serde_json::to_vec(&body(words, script)).unwrap();
        parse_submit(&json, ApiDialect::V1).unwrap().request
    }

    #[test]
    fn the_caller_s_folder_and_variables_go_along_but_no_secret() {
        let one = body("", "true");
        assert_eq!(one.working_directory.as_deref(), Some("/home/me"));
        let environment = one.environment.unwrap();
        assert_eq!(environment.keys().collect::<Vec<_>>(), ["A", "PATH"]);
        assert_eq!(one.name.as_deref(), Some("x.sh"));
        let odd = Some("a\tb\u{200b}.sh".to_owned());
        let odd = JobFlags::default().body(("true".into(), &[]), odd, &caller()).unwrap();
        assert_eq!(odd.name.as_deref(), Some("a_b_.sh"), "nobody gave that name");
        assert_eq!(seen("x".repeat(300)).unwrap().len(), 255);
        assert_eq!(seen(String::new()), None);
        assert_eq!(one.data_source.as_deref(), Some("CLI"));
        assert_eq!((one.standard_output, one.user.as_deref()), (None, Some("me")));
    }

    #[test]
    fn mask_limits_and_the_place_of_the_command_go_along() {
        let words = ["a b".to_owned(), "-c".to_owned()];
        let flags = JobFlags::default();
        let body = flags.body(("true".into(), &words), None, &caller()).unwrap();
        let json = serde_json::to_vec(&body).unwrap();
        let called = parse_submit(&json, ApiDialect::V1).unwrap().request.invocation;
        assert_eq!(called.arguments, words);
        assert_eq!(called.umask, Umask::of_bits(0o27));
        assert_eq!(called.limits.0, [(Ulimit::Nofile, Some(99))].into());
        assert_eq!(called.submit_directory.as_deref(), Some("/home/me"));
        assert_eq!(called.submit_host.as_deref(), Some("login"));
    }

    #[test]
    fn a_script_s_own_lines_win_over_the_caller_and_flags_over_both() {
        let script = "#SBATCH -J inside -D sub --export=NONE\ntrue";
        let from_script = body("", script);
        assert_eq!(from_script.name, None);
        assert_eq!(from_script.working_directory.as_deref(), Some("/home/me/sub"));
        assert_eq!(from_script.environment, Some(BTreeMap::new()));
        let body = body("--name flag --chdir /tmp/../w --export A=2", script);
        assert_eq!(body.name.as_deref(), Some("flag"));
        assert_eq!(body.working_directory.as_deref(), Some("/w"));
        assert_eq!(body.environment.unwrap()["A"], "2");
    }

    #[test]
    fn what_the_flags_make_is_what_the_server_reads() {
        let words = "--cpus 2 --memory 100 -t 90s --priority -1 --label k=v --kill-grace 5s \
                     --exclusive --retry 3 --retry-on exit_code:75,node_fail --retry-delay 5s \
                     --signal SIGUSR1@5 -i in --open-mode a -d afterok:7 -a 0-3";
        let request = request(words, "true");
        assert_eq!((request.cpus, request.memory_bytes), (CpusAsked::All, Some(100 << 20)));
        assert_eq!((request.priority, request.kill_grace_s), (-1, Some(5)));
        let retry = request.retry.unwrap();
        assert_eq!((retry.max, retry.on.len(), retry.delay_s), (3, 2, 5));
        assert_eq!(request.signal.unwrap().to_string(), "USR1@5");
        assert_eq!(request.limit, LimitAsked::Seconds(90));
        assert_eq!(request.invocation.standard_input.as_deref(), Some("in"));
        assert_eq!(request.dependencies.to_string(), "afterok:7");
        assert_eq!(request.array.unwrap().to_string(), "0-3");
    }

    #[test]
    fn tasks_of_flags_and_lines_are_one_model() {
        let (own, line) = ("#SBATCH -n 2 -c 3\ntrue", "true");
        for (words, script, cpus, said) in [
            ("-n 2 -c 1", line, 2, (Some(2), Some(1))),
            ("-n 2", line, 2, (Some(2), None)),
            ("-c 4", line, 4, (None, Some(4))),
            ("--cpus 4", line, 4, (None, None)),
            ("--cpus 4 -n 2", line, 4, (Some(2), None)),
            ("", own, 6, (Some(2), Some(3))),
            ("-n 4", own, 12, (Some(4), Some(3))),
            ("-c 1", own, 2, (Some(2), Some(1))),
            ("--cpus 8", own, 8, (Some(2), None)),
            ("-n 8 -O", line, 1, (Some(8), None)),
            ("--mincpus 5", own, 6, (Some(2), Some(3))),
            ("--mincpus 7", own, 7, (Some(2), None)),
            ("-G 2 --cpus-per-gpu 3", line, 6, (None, None)),
            ("-G 2 --ntasks-per-gpu 2", line, 4, (Some(4), None)),
        ] {
            let request = request(words, script);
            assert_eq!(request.cpus, CpusAsked::Count(cpus), "{words} {script}");
            let tasks = request.tasks;
            assert_eq!((tasks.ntasks, tasks.cpus_per_task), said, "{words} {script}");
        }
        assert_eq!(request("--mem-per-cpu 10 -n 3", line).memory_bytes, Some(30 << 20));
        assert_eq!(request("--mem-per-cpu 10", own).memory_bytes, Some(60 << 20));
        assert_eq!(request("--mem-per-gpu 10 -G 2", line).memory_bytes, Some(20 << 20));
        let each = request("--gpus-per-task a100:2 -n 3", line).resources;
        assert_eq!(each.get("gpu:a100"), 6);
    }

    #[test]
    fn a_time_is_of_the_clock_where_the_command_is_given() {
        let at =
            |text: &str| crate::text::when::parse(text, crate::text::when::Zone::Local).unwrap();
        let wanted = at("2030-05-05T12:00");
        assert_eq!(request("--begin 2030-05-05T12:00", "true").begin, Some(wanted));
        let line = "#SBATCH --begin=2030-05-05T12:00\ntrue";
        assert_eq!(body("", line).begin_time, Some(clock::rfc3339(wanted)));
        let later = request("--begin 2031-05-05 --deadline 2032-05-05", line);
        assert_eq!(later.begin, Some(at("2031-05-05")));
        assert_eq!(later.deadline, Some(at("2032-05-05")));
    }

    #[test]
    fn a_flag_that_makes_no_sense_is_a_matter_of_usage() {
        for words in [
            "--time soon",
            "--memory much",
            "--export =",
            "--kill-grace soon",
            "--signal USR3",
            "--open-mode write",
            "--retry 1 --retry-on 0",
            "--retry 1 --retry-delay x",
            "--gpus 2 --gres gpu:1",
            "--mem-per-cpu 1G --exclusive",
            "--bb x",
            "-N 2",
        ] {
            let error = made(words, "true").unwrap_err();
            assert_eq!(error.exit_code(), 2, "{words}: {error}");
            let flag = words.split(' ').next().unwrap();
            let named = error.to_string().contains("--");
            assert!(named, "{flag}: {error}");
        }
        assert!(made("--no-requeue", "#SBATCH --requeue\ntrue").is_err());
        assert!(label("a").is_err() && label("=a").is_err() && label("a=b=c").is_ok());
    }
}
