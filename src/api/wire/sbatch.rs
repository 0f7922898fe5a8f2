//! *Purpose*: the options of `sbatch`: of `#SBATCH` lines, of a command line, and under the names
//! that a body has for them.
//!
//! *Owns*: [`read`], which collects the options before the first command of a script, as `sbatch`
//! does; [`of_command_line`]; [`Given`], one of a body; [`options`], all that there are.
//!
//! *Promises*: an option that is not honoured, and changes nothing here, is a warning that names
//! option and line; every other is refused with both; a bad value of one that is honoured names its
//! line; a later line wins over an earlier one.
//!
//! *Not here*: what becomes of each option (`sbatch::table`), how a body wins over these lines
//! (`wire::submit`).

mod header;
mod table;

use table::Fate;
pub use table::Takes;

use super::export::Export;
use super::warnings::Warnings;
use crate::host;
use crate::job::array_spec::ArraySpec;
use crate::job::dependency::Dependencies;
use crate::job::faults::{Faults, FieldError};
use crate::job::invocation::mail_types;
use crate::job::request::{Request, SCRATCH};
use crate::job::resource_list;
use crate::job::retry_policy::RetryPolicy;
use crate::job::signal::EarlySignal;
use crate::job::spec::OpenMode;
use crate::text::quote::shorten;
use crate::text::time_limit::LimitAsked;
use crate::text::when::Zone;
use crate::text::{size, time_limit, when};
use crate::time::Time;

/// What `--nice` without a number takes away from the priority, as in Slurm.
const NICE: i64 = 100;

/// What can be done about an option that is refused.
const TAKE_OUT: &str = "take the line out, or write ##SBATCH";
/// The same on a command line.
const LEAVE_OUT: &str = "leave it out";

/// With what the place of a line begins.
pub(super) const LINE: &str = "line ";
/// The field of what is wrong with a line.
pub(super) const SCRIPT: &str = "script";

/// Where an option stands.
#[derive(Clone, Copy, Debug)]
enum At<'a> {
    /// In this line of a script, from 1.
    Line(usize),
    /// On a command line.
    CommandLine,
    /// In this field of a body.
    Field(&'a str),
}

impl At<'_> {
    fn place(self) -> String {
        match self {
            At::Line(number) => format!("{LINE}{number}"),
            At::CommandLine => "the command line".to_owned(),
            At::Field(name) => name.to_owned(),
        }
    }

    fn option(self, name: &str) -> String {
        match self {
            At::Line(number) => format!("{LINE}{number}, --{name}"),
            At::CommandLine => format!("--{name}"),
            At::Field(name) => name.to_owned(),
        }
    }

    fn advice(self) -> &'static str {
        match self {
            At::Line(_) => TAKE_OUT,
            At::CommandLine | At::Field(_) => LEAVE_OUT,
        }
    }

    fn not_honoured(self, name: &str, why: &str) -> String {
        match self {
            At::Line(number) => {
                format!("line {number}: #SBATCH --{name} is not honoured here: {why}")
            }
            At::CommandLine => format!("--{name} is not honoured here: {why}"),
            At::Field(name) => format!("{name} is not honoured here: {why}"),
        }
    }
}

/// An option, as a command line is to know it.
#[derive(Clone, Copy, Debug)]
pub struct SbatchOption {
    /// Its long name.
    pub name: &'static str,
    /// Its letter.
    pub letter: Option<char>,
    /// Whether it takes a value.
    pub takes: Takes,
    /// What becomes of it.
    pub said: Said,
}

/// What becomes of an option, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It does what it does in Slurm.
    Honoured,
    /// It changes nothing here, and why.
    Harmless(&'static str),
    /// It is refused, and why; perhaps but for some values.
    Refused(&'static str),
}

impl SbatchOption {
    /// Whether it does here what it does in Slurm.
    #[must_use]
    pub fn is_honoured(&self) -> bool {
        self.said == Said::Honoured
    }
}

/// Every option that there is.
pub fn options() -> impl Iterator<Item = SbatchOption> {
    table::TABLE.iter().map(|&(name, letter, takes, fate)| {
        let said = match fate {
            Fate::Honoured | Fate::As(_) => Said::Honoured,
            Fate::Refused(why) | Fate::RefusedUnless(_, why) => Said::Refused(why),
            Fate::Harmless(why) => Said::Harmless(why),
        };
        SbatchOption { name, letter, takes, said }
    })
}

/// Reads the options of a command line, in their order. The field of an error is the option.
#[must_use]
pub fn of_command_line(given: impl IntoIterator<Item = (String, Option<String>)>) -> Directives {
    let mut directives = Directives::default();
    for (name, value) in given {
        directives.found(At::CommandLine, table::by_name(&name), value);
    }
    directives
}

/// An option that a field of a body stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The field, with all that stands before it.
    pub field: String,
    /// The option.
    pub option: &'static str,
    /// Its value, if it takes one.
    pub value: Option<String>,
}

/// What the first option that makes no sense is about, for whoever says it in other words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misread {
    /// Nobody knows it; as it was written.
    Unknown(String),
    /// It has no value; its name.
    NoValue(&'static str),
    /// It takes no value and has one; its name.
    NeedlessValue(&'static str),
    /// It is no option; as it was written.
    NoOption(String),
    /// Its value makes no sense; its name, and the value.
    Value(&'static str, String),
    /// It is refused whatever it says; its name.
    Refused(&'static str),
    /// The script itself cannot be read as it is meant.
    Script,
}

/// A value and the place it was written: `line 3, --time`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub place: String,
}

/// What the `#SBATCH` lines of a script say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is the option of sbatch it is named after")]
pub struct Directives {
    pub time: Option<Placed<LimitAsked>>,
    pub job_name: Option<Placed<String>>,
    pub partition: Option<Placed<String>>,
    pub input: Option<Placed<String>>,
    pub output: Option<Placed<String>>,
    pub error: Option<Placed<String>>,
    pub cpus_per_task: Option<Placed<u32>>,
    pub cpus_per_gpu: Option<Placed<u32>>,
    pub mincpus: Option<Placed<u32>>,
    pub ntasks: Option<Placed<u32>>,
    pub ntasks_per_node: Option<Placed<u32>>,
    pub ntasks_per_gpu: Option<Placed<u32>>,
    pub memory_bytes: Option<Placed<i64>>,
    pub memory_per_cpu_bytes: Option<Placed<i64>>,
    pub memory_per_gpu_bytes: Option<Placed<i64>>,
    pub gpus: Option<Placed<Request>>,
    pub gpus_per_task: Option<Placed<Request>>,
    pub gres: Option<Placed<Request>>,
    pub licenses: Option<Placed<Request>>,
    pub tmp: Option<Placed<Request>>,
    pub account: Option<Placed<String>>,
    pub export: Option<Placed<Export>>,
    pub chdir: Option<Placed<String>>,
    pub comment: Option<Placed<String>>,
    pub mail_type: Option<Placed<String>>,
    pub mail_user: Option<Placed<String>>,
    pub exclusive: bool,
    pub hold: bool,
    pub overcommit: bool,
    pub priority: Option<Placed<i64>>,
    pub begin: Option<Placed<Time>>,
    pub deadline: Option<Placed<Time>>,
    pub dependency: Option<Placed<Dependencies>>,
    pub kill_on_invalid_dependency: Option<Placed<bool>>,
    pub array: Option<Placed<ArraySpec>>,
    pub requeue: Option<Placed<RetryPolicy>>,
    pub no_requeue: bool,
    pub signal: Option<Placed<EarlySignal>>,
    pub open_mode: Option<Placed<OpenMode>>,
    /// What was not honoured, one sentence each.
    pub warnings: Warnings,
    /// Bad values, all of the field `script`.
    pub errors: Faults,
    /// What the first of them is about.
    pub misread: Option<Misread>,
}

/// Reads the `#SBATCH` lines before the first command of `script`.
#[must_use]
pub fn read(script: &str) -> Directives {
    let mut directives = Directives::default();
    for (index, line) in script.lines().enumerate() {
        let trimmed = line.trim_start();
        if !trimmed.is_empty() && !trimmed.starts_with('#') {
            break;
        }
        let Some(rest) = line.strip_prefix("#SBATCH") else { continue };
        if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
            continue;
        }
        match shell_words::split(rest) {
            Ok(words) => directives.line(At::Line(index + 1), words),
            Err(_) => {
                directives.misreads(Misread::Script);
                directives.refuse(&format!("line {}", index + 1), "a quotation mark is not closed");
            }
        }
    }
    match header::misread(script) {
        Some((line, why)) => {
            directives.misread = Some(Misread::Script);
            directives.refuse(&At::Line(line).place(), &why);
        }
        None => header::unread(script).into_iter().for_each(|one| directives.warnings.push(one)),
    }
    directives
}

impl Directives {
    /// Reads what a body says too; it wins over all before it. The field of an error is its own.
    pub fn then(&mut self, given: Vec<Given>) {
        for Given { field, option, value } in given {
            self.found(At::Field(&field), table::by_name(option), value);
        }
    }

    /// What these say of CPUs and GPUs, and where they say nothing those below.
    #[must_use]
    pub fn over(&self, below: &Directives) -> Directives {
        fn first<T: Clone>(
            own: &Option<Placed<T>>,
            below: &Option<Placed<T>>,
        ) -> Option<Placed<T>> {
            own.clone().or_else(|| below.clone())
        }
        let (own, is_counted) = (self, self.ntasks.is_some() || self.ntasks_per_node.is_some());
        let of_gpus = [&own.gpus, &own.gpus_per_task, &own.gres].into_iter().any(Option::is_some);
        let none = Directives::default();
        let (tasks, gpus) =
            (if is_counted { &none } else { below }, if of_gpus { &none } else { below });
        Directives {
            cpus_per_task: first(&own.cpus_per_task, &below.cpus_per_task),
            cpus_per_gpu: first(&own.cpus_per_gpu, &below.cpus_per_gpu),
            mincpus: first(&own.mincpus, &below.mincpus),
            ntasks: first(&own.ntasks, &tasks.ntasks),
            ntasks_per_node: first(&own.ntasks_per_node, &tasks.ntasks_per_node),
            ntasks_per_gpu: first(&own.ntasks_per_gpu, &tasks.ntasks_per_gpu),
            overcommit: own.overcommit || below.overcommit,
            exclusive: own.exclusive || below.exclusive,
            gpus: first(&own.gpus, &gpus.gpus),
            gpus_per_task: first(&own.gpus_per_task, &gpus.gpus_per_task),
            gres: first(&own.gres, &gpus.gres),
            ..none
        }
    }

    /// Whether anything here changes the number of CPUs or tasks.
    #[must_use]
    pub fn speak_of_cpus(&self) -> bool {
        let counts = [
            &self.cpus_per_task,
            &self.cpus_per_gpu,
            &self.mincpus,
            &self.ntasks,
            &self.ntasks_per_node,
            &self.ntasks_per_gpu,
        ];
        self.overcommit || counts.into_iter().any(Option::is_some)
    }

    /// The first one counts.
    fn misreads(&mut self, what: Misread) {
        self.misread.get_or_insert(what);
    }

    fn refuse(&mut self, place: &str, message: &str) {
        let error = match place.starts_with(LINE) {
            true => FieldError::new(SCRIPT, format!("{place}: {message}")),
            false => FieldError::new(place, message),
        };
        self.errors.push(error);
    }

    fn line(&mut self, at: At<'_>, words: Vec<String>) {
        let mut words = words.into_iter().peekable();
        while let Some(word) = words.next() {
            let next = || words.next_if(|word| !word.starts_with('-'));
            if let Some(long) = word.strip_prefix("--") {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (long, None),
                };
                let found = table::by_name(name);
                if found.is_err() {
                    self.misreads(Misread::Unknown(word.clone()));
                }
                // Behind an option that nobody knows the next word may be its value.
                let takes = found.as_ref().map_or(Takes::Value, |(_, _, takes, _)| *takes);
                let value = if takes == Takes::Value { value.or_else(next) } else { value };
                self.found(at, found, value);
            } else if let Some(letters) = word.strip_prefix('-').filter(|w| !w.is_empty()) {
                self.letters(at, letters, next);
            } else {
                let shown = shorten(&word);
                self.refuse(&at.place(), &format!("\"{shown}\" is not an option"));
                self.misreads(Misread::NoOption(word));
            }
        }
    }

    /// Options of one letter: `-c4`, `-c 4`, `-HJ name`.
    fn letters(&mut self, at: At<'_>, word: &str, mut next: impl FnMut() -> Option<String>) {
        for (begin, letter) in word.char_indices() {
            let found = table::by_letter(letter);
            if found.is_err() {
                self.misreads(Misread::Unknown(format!("-{letter}")));
            }
            let rest = Some(&word[begin + letter.len_utf8()..]).filter(|rest| !rest.is_empty());
            let rest = rest.map(str::to_owned);
            match found.as_ref().map_or(Takes::Value, |(_, _, takes, _)| *takes) {
                Takes::Nothing => self.found(at, found, None),
                Takes::Maybe => return self.found(at, found, rest),
                Takes::Value => return self.found(at, found, rest.or_else(&mut next)),
            }
        }
    }

    fn found(
        &mut self,
        at: At<'_>,
        found: Result<&'static table::Entry, String>,
        value: Option<String>,
    ) {
        let (name, _, takes, fate) = match found {
            Ok(entry) => *entry,
            Err(unknown) => return self.refuse(&at.place(), &unknown),
        };
        let name = if let Fate::As(name) = fate { name } else { name };
        let place = at.option(name);
        if takes == Takes::Nothing && value.is_some() {
            self.misreads(Misread::NeedlessValue(name));
            return self.refuse(&place, "takes no value");
        }
        match fate {
            Fate::Honoured | Fate::As(_) => self.honour(name, value, place),
            Fate::Refused(why) => {
                self.misreads(Misread::Refused(name));
                self.refuse(&place, &format!("{why} ({})", at.advice()));
            }
            Fate::RefusedUnless(values, why) => {
                if !value.as_deref().is_some_and(|value| values.contains(&value)) {
                    self.misreads(Misread::Refused(name));
                    self.refuse(&place, &format!("{why} ({})", at.advice()));
                }
            }
            Fate::Harmless(why) => self.warnings.push(at.not_honoured(name, why)),
        }
    }

    fn honour(&mut self, name: &'static str, value: Option<String>, place: String) {
        match name {
            "exclusive" if value.is_none() => return self.exclusive = true,
            "hold" => return self.hold = true,
            "overcommit" => return self.overcommit = true,
            "nice" if value.is_none() => {
                return self.priority = Some(Placed { value: -NICE, place });
            }
            "requeue" => {
                let value = RetryPolicy::after_node_failures();
                self.no_requeue = false;
                return self.requeue = Some(Placed { value, place });
            }
            "no-requeue" => {
                self.no_requeue = true;
                return self.requeue = None;
            }
            _ => {}
        }
        let Some(value) = value.filter(|v| !v.is_empty()) else {
            self.misreads(Misread::NoValue(name));
            return self.refuse(&place, "has no value");
        };
        if let Err(message) = self.set(name, value.clone(), &place) {
            self.misreads(Misread::Value(name, value));
            self.refuse(&place, &message);
        }
    }

    fn set(&mut self, name: &str, value: String, place: &str) -> Result<(), String> {
        fn at<T>(value: T, place: &str) -> Option<Placed<T>> {
            Some(Placed { value, place: place.to_owned() })
        }
        match name {
            "time" if is_zero(&value) => self.time = at(LimitAsked::Unlimited, place),
            "time" => self.time = at(time_limit::parse(&value)?, place),
            "job-name" => self.job_name = at(value, place),
            "partition" => self.partition = at(value, place),
            "input" => self.input = at(value, place),
            "output" => self.output = at(value, place),
            "error" => self.error = at(value, place),
            "account" => self.account = at(value, place),
            "chdir" => self.chdir = at(value, place),
            "comment" => self.comment = at(value, place),
            "mail-type" => {
                self.mail_type = at(mail_types(&value)?, place);
                self.warnings.push(format!("{place} is kept with the job; no mail is sent."));
            }
            "mail-user" => self.mail_user = at(value, place),
            "export" => self.export = at(Export::parse(&value)?, place),
            "cpus-per-task" => self.cpus_per_task = at(count(&value)?, place),
            "ntasks" => self.ntasks = at(count(&value)?, place),
            "ntasks-per-node" => self.ntasks_per_node = at(count(&value)?, place),
            "ntasks-per-gpu" => self.ntasks_per_gpu = at(count(&value)?, place),
            "cpus-per-gpu" => self.cpus_per_gpu = at(count(&value)?, place),
            "mincpus" => self.mincpus = at(count(&value)?, place),
            "priority" => self.priority = at(whole(&value)?, place),
            "nice" => self.priority = at(-whole(&value)?, place),
            "mem" if value.starts_with('0') && size::parse_mib(&value) == Ok(0) => {
                self.warnings.push(format!("{place}=0: all memory is meant; none is recorded."));
            }
            "mem" => self.memory_bytes = at(size::parse_mib(&value)?, place),
            "mem-per-cpu" => self.memory_per_cpu_bytes = at(size::parse_mib(&value)?, place),
            "mem-per-gpu" => self.memory_per_gpu_bytes = at(size::parse_mib(&value)?, place),
            "gpus" => self.gpus = at(resource_list::gpus(&value)?, place),
            "gpus-per-task" => self.gpus_per_task = at(resource_list::gpus(&value)?, place),
            "gres" => self.gres = at(resource_list::gres(&value)?, place),
            "licenses" => self.licenses = at(resource_list::licenses(&value)?, place),
            "tmp" => {
                let bytes = size::parse_mib(&value)?.unsigned_abs();
                self.tmp = at(Request::default().with(SCRATCH, bytes), place);
            }
            "nodes" => one_node(&value)?,
            "nodelist" => this_node(&value)?,
            "exclude" => not_this_node(&value)?,
            "begin" => self.begin = at(when::parse(&value, Zone::Local)?, place),
            "deadline" => self.deadline = at(when::parse(&value, Zone::Local)?, place),
            "dependency" => self.dependency = at(value.parse()?, place),
            "kill-on-invalid-dep" => {
                self.kill_on_invalid_dependency = at(yes_or_no(&value)?, place);
            }
            "array" => self.array = at(value.parse()?, place),
            "signal" => self.signal = at(value.parse()?, place),
            "open-mode" => self.open_mode = at(value.parse()?, place),
            "exclusive" => {
                let value = shorten(&value);
                return Err(format!("\"{value}\" is not known here; --exclusive is all CPUs"));
            }
            other => return Err(format!("--{other} cannot be read here")),
        }
        Ok(())
    }
}

fn yes_or_no(value: &str) -> Result<bool, String> {
    match &*value.to_ascii_lowercase() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(format!("\"{}\" is neither yes nor no", shorten(value))),
    }
}

/// No time at all, in any form: in Slurm that asks for no limit.
fn is_zero(time: &str) -> bool {
    time.contains('0') && time.chars().all(|c| matches!(c, '0' | ':' | '-'))
}

fn whole(value: &str) -> Result<i64, String> {
    // The smallest number has no opposite.
    let whole = value.parse().ok().filter(|n| *n > i64::MIN);
    whole.ok_or_else(|| format!("\"{}\" is not a whole number", shorten(value)))
}

fn count(value: &str) -> Result<u32, String> {
    match whole(value)? {
        n if n < 1 => Err(format!("is {n}; at least 1")),
        n => u32::try_from(n).map_err(|_| format!("is {n}; at most {}", u32::MAX)),
    }
}

/// This machine's names: the whole one, and its first part.
fn names_of_this_node() -> [String; 2] {
    [host::name(), host::short_name()]
}

fn this_node(list: &str) -> Result<(), String> {
    let own = names_of_this_node();
    match list.split(',').find(|name| !own.iter().any(|own| own == name)) {
        Some(other) => Err(format!("{} is not here; this server is {}", shorten(other), own[1])),
        None => Ok(()),
    }
}

fn not_this_node(list: &str) -> Result<(), String> {
    let own = names_of_this_node();
    match list.split(',').find(|name| own.iter().any(|own| own == name)) {
        Some(own) => Err(format!("{own} is the only node there is")),
        None => Ok(()),
    }
}

/// `1`, or a range like `1-4` that one node satisfies.
fn one_node(value: &str) -> Result<(), String> {
    let least = value.split_once('-').map_or(value, |(least, _)| least);
    match count(least)? {
        1 => Ok(()),
        n => Err(format!("{n} nodes asked for; this server is one node")),
    }
}

#[cfg(test)]
#[path = "sbatch/header_tests.rs"]
mod header_tests;

#[cfg(test)]
#[path = "sbatch/tests.rs"]
#[allow(clippy::unwrap_used)]
mod tests;
