//! *Purpose*: `#SBATCH` lines of a script.
//!
//! *Owns*: [`read`], which collects the options before the first command, as `sbatch` does.
//!
//! *Promises*: an option that is not honoured, and changes nothing here, is a warning that names
//! option and line; every other is refused with both; a bad value of one that is honoured names its
//! line; a later line wins over an earlier one.
//!
//! *Not here*: what becomes of each option (`sbatch::table`), how a body wins over these lines
//! (`wire::submit`).

mod table;

use table::{Fate, Takes};

use super::export::Export;
use super::warnings::Warnings;
use crate::job::array_spec::ArraySpec;
use crate::job::dependency::Dependencies;
use crate::job::faults::{Faults, FieldError};
use crate::job::request::{Request, SCRATCH};
use crate::job::resource_list;
use crate::job::retry_policy::RetryPolicy;
use crate::job::signal::EarlySignal;
use crate::job::spec::OpenMode;
use crate::text::quote::shorten;
use crate::text::time_limit::LimitAsked;
use crate::text::{size, time_limit, when};
use crate::time::Time;

/// What can be done about an option that is refused.
const TAKE_OUT: &str = "take the line out, or write ##SBATCH";

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
    pub gpus: Option<Placed<Request>>,
    pub gpus_per_task: Option<Placed<Request>>,
    pub gres: Option<Placed<Request>>,
    pub licenses: Option<Placed<Request>>,
    pub tmp: Option<Placed<Request>>,
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
    pub open_mode: Option<Placed<OpenMode>>,
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

impl Directives {
    fn refuse(&mut self, place: &str, message: &str) {
        self.errors.push(FieldError::new("script", format!("{place}: {message}")));
    }

    fn line(&mut self, number: usize, words: Vec<String>) {
        let mut words = words.into_iter().peekable();
        while let Some(word) = words.next() {
            let next = || words.next_if(|word| !word.starts_with('-'));
            if let Some(long) = word.strip_prefix("--") {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (long, None),
                };
                let found = table::by_name(name);
                // Behind an option that nobody knows the next word may be its value.
                let takes = found.as_ref().map_or(Takes::Value, |(_, _, takes, _)| *takes);
                let value = if takes == Takes::Value { value.or_else(next) } else { value };
                self.found(number, found, value);
            } else if let Some(letters) = word.strip_prefix('-').filter(|w| !w.is_empty()) {
                self.letters(number, letters, next);
            } else {
                let word = shorten(&word);
                self.refuse(&format!("line {number}"), &format!("\"{word}\" is not an option"));
            }
        }
    }

    /// Options of one letter: `-c4`, `-c 4`, `-HJ name`.
    fn letters(&mut self, number: usize, word: &str, mut next: impl FnMut() -> Option<String>) {
        for (at, letter) in word.char_indices() {
            let found = table::by_letter(letter);
            let rest = Some(&word[at + letter.len_utf8()..]).filter(|rest| !rest.is_empty());
            let rest = rest.map(str::to_owned);
            match found.as_ref().map_or(Takes::Value, |(_, _, takes, _)| *takes) {
                Takes::Nothing => self.found(number, found, None),
                Takes::Maybe => return self.found(number, found, rest),
                Takes::Value => return self.found(number, found, rest.or_else(&mut next)),
            }
        }
    }

    fn found(
        &mut self,
        number: usize,
        found: Result<&'static table::Entry, String>,
        value: Option<String>,
    ) {
        let (name, _, takes, fate) = match found {
            Ok(entry) => *entry,
            Err(unknown) => return self.refuse(&format!("line {number}"), &unknown),
        };
        let name = if let Fate::As(name) = fate { name } else { name };
        let place = format!("line {number}, --{name}");
        if takes == Takes::Nothing && value.is_some() {
            return self.refuse(&place, "takes no value");
        }
        match fate {
            Fate::Honoured | Fate::As(_) => self.honour(name, value, place),
            Fate::Refused(why) => self.refuse(&place, &format!("{why} ({TAKE_OUT})")),
            Fate::RefusedUnless(values, why) => {
                if !value.as_deref().is_some_and(|value| values.contains(&value)) {
                    self.refuse(&place, &format!("{why} ({TAKE_OUT})"));
                }
            }
            Fate::Harmless(why) => self
                .warnings
                .push(format!("line {number}: #SBATCH --{name} is not honoured here: {why}")),
        }
    }

    fn honour(&mut self, name: &str, value: Option<String>, place: String) {
        match name {
            "exclusive" if value.is_none() => return self.exclusive = true,
            "hold" => return self.hold = true,
            "requeue" => {
                let value = RetryPolicy::after_node_failures();
                return self.requeue = Some(Placed { value, place });
            }
            "no-requeue" => return self.requeue = None,
            _ => {}
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
            "time" => self.time = at(time_limit::parse(&value)?, place),
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
            "mem" if value.starts_with('0') && size::parse_mib(&value) == Ok(0) => {
                self.warnings.push(format!("{place}=0: all memory is meant; none is recorded."));
            }
            "mem" => self.memory_bytes = at(size::parse_mib(&value)?, place),
            "mem-per-cpu" => self.memory_per_cpu_bytes = at(size::parse_mib(&value)?, place),
            "gpus" => self.gpus = at(resource_list::gpus(&value)?, place),
            "gpus-per-task" => self.gpus_per_task = at(resource_list::gpus(&value)?, place),
            "gres" => self.gres = at(resource_list::gres(&value)?, place),
            "licenses" => self.licenses = at(resource_list::licenses(&value)?, place),
            "tmp" => {
                let bytes = size::parse_mib(&value)?.unsigned_abs();
                self.tmp = at(Request::default().with(SCRATCH, bytes), place);
            }
            "nodes" => one_node(&value)?,
            "begin" => self.begin = at(when::parse(&value)?, place),
            "deadline" => self.deadline = at(when::parse(&value)?, place),
            "dependency" => self.dependency = at(value.parse()?, place),
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

fn count(value: &str) -> Result<i64, String> {
    match value.parse() {
        Ok(n) if n >= 1 => Ok(n),
        Ok(n) => Err(format!("is {n}; at least 1")),
        Err(_) => Err(format!("\"{}\" is not a whole number", shorten(value))),
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

    /// A line of each option, with a value where it takes one.
    fn line_of((name, _, takes, _): &table::Entry) -> String {
        match takes {
            Takes::Value | Takes::Maybe => format!("#SBATCH --{name}=7"),
            Takes::Nothing => format!("#SBATCH --{name}"),
        }
    }

    #[test]
    fn every_option_is_honoured_refused_by_name_or_changes_nothing() {
        for entry in table::TABLE {
            let (name, letter, takes, fate) = entry;
            let d = read(&line_of(entry));
            match fate {
                Fate::Honoured | Fate::As(_) => {
                    assert_eq!(d.warnings.clone().listed(), Vec::<String>::new(), "{name}");
                    let blank = Directives::default();
                    let bare = ["no-requeue"].contains(name);
                    assert!(bare || d != blank || !d.errors.is_empty(), "{name} is passed over");
                }
                Fate::Refused(why) | Fate::RefusedUnless(_, why) => {
                    let errors = d.errors.listed();
                    let [refused] = &errors[..] else { panic!("{name}: {errors:?}") };
                    let message = format!("line 1, --{name}: {why} ({TAKE_OUT})");
                    assert_eq!((refused.field.as_str(), &refused.message), ("script", &message));
                }
                Fate::Harmless(why) => {
                    let said = format!("line 1: #SBATCH --{name} is not honoured here: {why}");
                    assert_eq!((d.warnings.listed(), d.errors.listed()), (vec![said], vec![]));
                }
            }
            if let Fate::RefusedUnless(values, _) = fate {
                for value in *values {
                    assert_eq!(read(&format!("#SBATCH --{name}={value}")), Directives::default());
                }
            }
            // The letter is the same option, with its value in any form.
            let Some(letter) = letter else { continue };
            let same = read(&line_of(entry));
            let forms = match takes {
                Takes::Value => vec![format!("-{letter} 7"), format!("-{letter}7")],
                Takes::Maybe => vec![format!("-{letter}7")],
                Takes::Nothing => vec![format!("-{letter}")],
            };
            for form in forms {
                assert_eq!(read(&format!("#SBATCH {form}")), same, "{form}");
            }
        }
    }

    #[test]
    fn the_beginning_of_a_name_is_the_option_if_there_is_only_one() {
        for (name, ..) in table::TABLE {
            for length in 1..name.len() {
                let begun = &name[..length];
                let meant = table::TABLE.iter().filter(|(other, ..)| other.starts_with(begun));
                let exact = table::TABLE.iter().any(|(other, ..)| *other == begun);
                let found = table::by_name(begun).map(|(found, ..)| *found);
                match meant.count() {
                    _ if exact => assert_eq!(found, Ok(begun)),
                    1 => assert_eq!(found, Ok(*name)),
                    _ => assert!(found.unwrap_err().contains(&format!("--{name}")), "{begun}"),
                }
            }
        }
        assert_eq!(value(read("#SBATCH --depend=afterok:7").dependency).to_string(), "afterok:7");
        assert_eq!(value(read("#SBATCH --part batch").partition), "batch");
        assert_eq!(value(read("#SBATCH --tasks-per-node=24").ntasks_per_node), 24);
    }

    #[test]
    fn what_nobody_knows_is_refused_since_it_may_change_anything() {
        let d = read("#!/bin/sh\n#SBATCH --frobnicate=9 -Z x\n#SBATCH --cpus=4\n#SBATCH --=1 -\n");
        let errors = d.errors.listed();
        let messages: Vec<&str> = errors.iter().map(|e| e.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "line 2: --frobnicate is not an option of sbatch that is known here",
                "line 2: -Z is not an option of sbatch that is known here",
                "line 3: --cpus may be --cpus-per-task, --cpus-per-gpu; write it out",
                "line 4: -- is not an option of sbatch that is known here",
                "line 4: \"-\" is not an option",
            ]
        );
        assert_eq!(
            read("#SBATCH --hold=1").errors.listed()[0].message,
            "line 1, --hold: takes no value"
        );
        let user = &read("#SBATCH --exclusive=user").errors.listed()[0].message;
        assert!(user.starts_with("line 1, --exclusive: \"user\" is not known here"), "{user}");
    }

    #[test]
    fn letters_without_a_value_may_stand_together() {
        let d = read("#SBATCH -HJ name -c4\n");
        assert_eq!((d.errors.listed(), d.hold), (vec![], true));
        assert_eq!((value(d.job_name), value(d.cpus_per_task)), ("name".into(), 4));
    }

    #[test]
    fn the_mode_of_opening_is_append_or_truncate() {
        assert_eq!(value(read("#SBATCH --open-mode=append").open_mode), OpenMode::Append);
        assert_eq!(value(read("#SBATCH --open truncate").open_mode), OpenMode::Truncate);
        let bad = read("#SBATCH --open-mode=write");
        assert!(bad.errors.listed()[0].message.contains("append or truncate"), "{:?}", bad.errors);
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
