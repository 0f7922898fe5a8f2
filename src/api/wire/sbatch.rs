//! *Purpose*: `#SBATCH` lines of a script.
//!
//! *Owns*: [`read`], which collects the options before the first command, as `sbatch` does.
//!
//! *Promises*: an option that is not honoured is a warning that names option and line; a bad
//! value of one that is names its line; a later line wins over an earlier one.
//!
//! *Not here*: how a body wins over these lines (`wire::submit`).

use super::export::Export;
use super::submit::Door;
use super::warnings::Warnings;
use super::{memory, time_limit, when};
use crate::kernel::conditions::Dependencies;
use crate::kernel::early::EarlySignal;
use crate::kernel::job::faults::Faults;
use crate::kernel::job::{FieldError, LimitAsked};
use crate::kernel::retry::RetryPolicy;
use crate::kernel::tasks::ArraySpec;
use crate::kernel::time::Time;

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
    pub output: Option<Placed<String>>,
    pub error: Option<Placed<String>>,
    pub cpus_per_task: Option<Placed<i64>>,
    pub ntasks: Option<Placed<i64>>,
    pub ntasks_per_node: Option<Placed<i64>>,
    pub memory_bytes: Option<Placed<i64>>,
    pub memory_per_cpu_bytes: Option<Placed<i64>>,
    pub account: Option<Placed<String>>,
    pub export: Option<Placed<Export>>,
    pub chdir: Option<Placed<String>>,
    pub comment: Option<Placed<String>>,
    pub exclusive: bool,
    pub hold: bool,
    pub begin: Option<Placed<Time>>,
    pub deadline: Option<Placed<Time>>,
    pub dependency: Option<Placed<Dependencies>>,
    pub array: Option<Placed<ArraySpec>>,
    pub requeue: Option<Placed<RetryPolicy>>,
    pub signal: Option<Placed<EarlySignal>>,
    /// What was not honoured, one sentence each.
    pub warnings: Warnings,
    /// Bad values, all of the field `script`.
    pub errors: Faults,
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
            Ok(words) => directives.line(index + 1, words),
            Err(_) => {
                directives.refuse(&format!("line {}", index + 1), "a quotation mark is not closed")
            }
        }
    }
    directives
}

/// The long name of a short option that is honoured.
fn long_name(short: char) -> Option<&'static str> {
    Some(match short {
        't' => "time",
        'J' => "job-name",
        'p' => "partition",
        'o' => "output",
        'e' => "error",
        'c' => "cpus-per-task",
        'n' => "ntasks",
        'N' => "nodes",
        'A' => "account",
        'D' => "chdir",
        'b' => "begin",
        'd' => "dependency",
        'a' => "array",
        'H' => "hold",
        _ => return None,
    })
}

/// Options of sbatch that take no value, so that the next word is not eaten with them.
const BARE: [&str; 12] = [
    "hold",
    "requeue",
    "no-requeue",
    "contiguous",
    "overcommit",
    "oversubscribe",
    "parsable",
    "quiet",
    "verbose",
    "wait",
    "reboot",
    "spread-job",
];

impl Directives {
    fn refuse(&mut self, place: &str, message: &str) {
        self.errors.push(FieldError::new("script", format!("{place}: {message}")));
    }

    fn line(&mut self, number: usize, words: Vec<String>) {
        let mut words = words.into_iter().peekable();
        while let Some(word) = words.next() {
            let (name, mut value) = if let Some(long) = word.strip_prefix("--") {
                match long.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                    None => (long.to_owned(), None),
                }
            } else if let Some(short) = word.strip_prefix('-').and_then(|w| w.chars().next()) {
                let rest = &word[1 + short.len_utf8()..];
                let name = long_name(short).map_or_else(|| short.to_string(), str::to_owned);
                (name, (!rest.is_empty()).then(|| rest.to_owned()))
            } else {
                self.refuse(&format!("line {number}"), &format!("\"{word}\" is not an option"));
                continue;
            };
            // `--exclusive` takes a value only after "=", as sbatch has it; the rest takes the
            // next word unless that is an option itself.
            let bare = name == "exclusive" || BARE.contains(&name.as_str());
            if value.is_none() && !bare && words.peek().is_some_and(|w| !w.starts_with('-')) {
                value = words.next();
            }
            self.option(number, &name, value);
        }
    }

    fn option(&mut self, number: usize, name: &str, value: Option<String>) {
        let place = format!("line {number}, --{name}");
        if name == "exclusive" {
            match value {
                None => self.exclusive = true,
                Some(v) => self.warnings.push(format!(
                    "line {number}: #SBATCH --exclusive={v} is not honoured; only --exclusive is."
                )),
            }
            return;
        }
        if name == "hold" {
            self.hold = true;
            return;
        }
        if name == "requeue" {
            self.requeue = Some(Placed { value: RetryPolicy::after_node_failures(), place });
            return;
        }
        if name == "no-requeue" {
            self.requeue = None;
            return;
        }
        if !is_honoured(name) {
            let dashes = if name.chars().count() == 1 { "-" } else { "--" };
            self.warnings
                .push(format!("line {number}: #SBATCH {dashes}{name} is not honoured here."));
            return;
        }
        let Some(value) = value.filter(|v| !v.is_empty()) else {
            return self.refuse(&place, "has no value");
        };
        if let Err(message) = self.set(name, value, &place) {
            self.refuse(&place, &message);
        }
    }

    fn set(&mut self, name: &str, value: String, place: &str) -> Result<(), String> {
        fn at<T>(value: T, place: &str) -> Option<Placed<T>> {
            Some(Placed { value, place: place.to_owned() })
        }
        match name {
            "time" => self.time = at(time_limit::parse(&value, Door::V1)?, place),
            "job-name" => self.job_name = at(value, place),
            "partition" => self.partition = at(value, place),
            "output" => self.output = at(value, place),
            "error" => self.error = at(value, place),
            "account" => self.account = at(value, place),
            "chdir" => self.chdir = at(value, place),
            "comment" => self.comment = at(value, place),
            "export" => self.export = at(Export::parse(&value)?, place),
            "cpus-per-task" => self.cpus_per_task = at(count(&value)?, place),
            "ntasks" => self.ntasks = at(count(&value)?, place),
            "ntasks-per-node" => self.ntasks_per_node = at(count(&value)?, place),
            "mem" if value.starts_with('0') && memory::parse_mib(&value) == Ok(0) => {
                self.warnings.push(format!("{place}=0: all memory is meant; none is recorded."));
            }
            "mem" => self.memory_bytes = at(memory::parse_mib(&value)?, place),
            "mem-per-cpu" => self.memory_per_cpu_bytes = at(memory::parse_mib(&value)?, place),
            "nodes" => one_node(&value)?,
            "begin" => self.begin = at(when::parse(&value)?, place),
            "deadline" => self.deadline = at(when::parse(&value)?, place),
            "dependency" => self.dependency = at(value.parse()?, place),
            "array" => self.array = at(value.parse()?, place),
            "signal" => self.signal = at(value.parse()?, place),
            _ => {}
        }
        Ok(())
    }
}

fn is_honoured(name: &str) -> bool {
    matches!(
        name,
        "time"
            | "job-name"
            | "partition"
            | "output"
            | "error"
            | "cpus-per-task"
            | "ntasks"
            | "ntasks-per-node"
            | "nodes"
            | "mem"
            | "mem-per-cpu"
            | "account"
            | "export"
            | "chdir"
            | "comment"
            | "begin"
            | "deadline"
            | "dependency"
            | "array"
            | "signal"
    )
}

fn count(value: &str) -> Result<i64, String> {
    match value.parse() {
        Ok(n) if n >= 1 => Ok(n),
        Ok(n) => Err(format!("is {n}; at least 1")),
        Err(_) => Err(format!("\"{}\" is not a whole number", time_limit::shorten(value))),
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
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value<T>(placed: Option<Placed<T>>) -> T {
        placed.unwrap().value
    }

    #[test]
    fn options_before_the_first_command_are_read() {
        let d = read(
            "#!/bin/bash\n#SBATCH --time=1:30 --job-name \"my job\"\n\n# a remark\n\
             #SBATCH -c4 -n 2 -p batch # remark\n#SBATCH --mem=100\n#SBATCH -o out/%j.txt\n\
             #SBATCH --exclusive --comment=x\n#SBATCH -N1 -A lab -D /tmp --mem-per-cpu 1G\n\
             #SBATCH --export=A=1,B --ntasks-per-node=3 -e err\necho hi\n#SBATCH --time=9\n",
        );
        assert_eq!(d.errors.listed(), []);
        assert_eq!(d.warnings.listed(), Vec::<String>::new());
        let time = d.time.unwrap();
        assert_eq!((time.value, time.place.as_str()), (LimitAsked::Seconds(90), "line 2, --time"));
        assert_eq!(value(d.job_name), "my job");
        assert_eq!((value(d.cpus_per_task), value(d.ntasks), value(d.ntasks_per_node)), (4, 2, 3));
        assert_eq!(value(d.partition), "batch");
        assert_eq!(value(d.memory_bytes), 100 << 20);
        assert_eq!(value(d.memory_per_cpu_bytes), 1 << 30);
        assert_eq!((value(d.output), value(d.error)), ("out/%j.txt".into(), "err".into()));
        assert_eq!((value(d.account), value(d.chdir)), ("lab".into(), "/tmp".into()));
        assert_eq!(value(d.comment), "x");
        assert_eq!(value(d.export).names.len(), 2);
        assert!(d.exclusive);
    }

    #[test]
    fn what_is_not_honoured_is_said_with_its_line() {
        let d =
            read("#!/bin/sh\n#SBATCH --gres=gpu:1\n#SBATCH -w node7\n#SBATCH --reboot --time 5\n");
        assert_eq!(d.errors.listed(), []);
        assert_eq!(
            d.warnings.listed(),
            [
                "line 2: #SBATCH --gres is not honoured here.",
                "line 3: #SBATCH -w is not honoured here.",
                "line 4: #SBATCH --reboot is not honoured here.",
            ]
        );
        assert_eq!(value(d.time), LimitAsked::Seconds(300));
    }

    #[test]
    fn requeue_is_a_retry_after_node_failures_and_the_later_line_wins() {
        let d = read("#SBATCH --requeue\n#SBATCH --signal=B:USR1@30\n");
        assert_eq!((d.errors.len(), d.warnings.listed().len()), (0, 0));
        assert_eq!(value(d.requeue), RetryPolicy::after_node_failures());
        assert_eq!(value(d.signal).to_string(), "B:USR1@30");
        assert_eq!(read("#SBATCH --requeue --no-requeue").requeue, None);
        let bad = read("#SBATCH --signal=R:USR1");
        assert!(bad.errors.listed()[0].message.starts_with("line 1, --signal: R: is about"));
    }

    #[test]
    fn bad_values_name_the_script_and_the_line() {
        let script = "#SBATCH --time=soon\n#SBATCH -N 2\n#SBATCH -c 0\n#SBATCH --mem\n\
                      #SBATCH --job-name='x\n#SBATCH stray\n";
        let errors = read(script).errors.listed();
        let messages: Vec<&str> = errors.iter().map(|e| e.message.as_str()).collect();
        assert!(errors.iter().all(|e| e.field == "script"));
        assert!(messages[0].starts_with("line 1, --time: \"soon\" is not a time limit"));
        assert_eq!(messages[1], "line 2, --nodes: 2 nodes asked for; this server is one node");
        assert_eq!(messages[2], "line 3, --cpus-per-task: is 0; at least 1");
        assert_eq!(messages[3], "line 4, --mem: has no value");
        assert_eq!(messages[4], "line 5: a quotation mark is not closed");
        assert_eq!(messages[5], "line 6: \"stray\" is not an option");
    }

    #[test]
    fn only_lines_that_start_with_the_word_count() {
        let d = read(" #SBATCH --time=5\n##SBATCH --time=5\n#SBATCHED --time=5\n#sbatch -c 3\n");
        assert_eq!(d, Directives::default());
        let later_wins = read("#SBATCH -c 2\r\n#SBATCH -c 3\r\n");
        assert_eq!(value(later_wins.cpus_per_task), 3);
    }

    proptest! {
        #[test]
        fn any_script_is_answered(lines in proptest::collection::vec("(#SBATCH )?.{0,30}", 0..6)) {
            let _ = read(&lines.join("\n"));
        }

        #[test]
        fn any_options_are_answered(line in "#SBATCH( --?[a-zA-Z-]{1,8}[= ]?[^\n]{0,8}){0,4}") {
            let _ = read(&line);
        }
    }
}
