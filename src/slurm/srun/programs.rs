//! *Purpose*: what the tasks of a step run.
//!
//! *Owns*: [`Programs`]: one for all of them, or what a file of `--multi-prog` says.
//!
//! *Promises*: a file that makes no sense, or forgets a task, is refused before one is started.
//!
//! *Not here*: starting them (`srun::tasks`).
//!
//! Source: srun(1) of Slurm 22.05, "MULTIPLE PROGRAM CONFIGURATION", and what it answered.

use std::fs::File;
use std::io::Read;

use super::say::{COMMAND, error};
use crate::slurm::failure::Failure;
use crate::slurm::getopt::Given;

/// Longest file, bytes: a line for each of as many tasks as a step may have.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The program of each task.
#[derive(Debug)]
pub enum Programs {
    /// The same for all.
    One(Vec<String>),
    /// Lines, and of each task which of them is its own, and the how manyth it is in its range.
    Several { lines: Vec<Vec<Word>>, of_task: Vec<(usize, u32)> },
}

/// A word of a line.
type Word = Vec<Part>;

/// A part of a word.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// As it is.
    Letter(char),
    /// The number of the task.
    Task,
    /// Its place in the range of its line.
    Offset,
}

impl Programs {
    /// What was asked for: the file is read where `srun` is called.
    ///
    /// # Errors
    /// When a file cannot be read or makes no sense.
    pub fn of(given: &Given, tasks: u32) -> Result<Programs, Failure> {
        match file(given)? {
            Some((name, text)) => Programs::several(name, &text, tasks),
            None => Ok(Programs::One(given.words.clone())),
        }
    }

    /// What a file of this name says.
    ///
    /// # Errors
    /// When it makes no sense, or forgets one of so many tasks.
    pub fn several(name: &str, text: &str, tasks: u32) -> Result<Programs, Failure> {
        let mut lines = Vec::new();
        let mut found: Vec<Option<(usize, u32)>> = vec![None; tasks as usize];
        let mut has_rest = false;
        for (no, line) in whole_lines(text) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let invalid =
                format!("{COMMAND}: error: Line {no} of configuration file {name} invalid");
            let why = |what: String| error(&what).and(invalid.as_str());
            let (ranks, program) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            if has_rest {
                let what = "Task range specification with asterisk must be last";
                return Err(why(what.to_owned()));
            }
            let words = words(program).filter(|words| !words.is_empty());
            let words = words.ok_or_else(|| Failure::new(invalid.as_str()))?;
            if ranks == "*" {
                has_rest = true;
                let left = (0..).zip(&mut found).filter(|(_, own)| own.is_none());
                left.for_each(|(task, own)| *own = Some((lines.len(), task)));
            } else {
                for (offset, task) in (0..).zip(range(ranks, tasks).map_err(why)?) {
                    if found[task as usize].replace((lines.len(), offset)).is_some() {
                        return Err(why(format!("Duplicate record for task {task}")));
                    }
                }
            }
            lines.push(words);
        }
        let of_task: Option<Vec<(usize, u32)>> = found.iter().copied().collect();
        of_task.map(|of_task| Programs::Several { lines, of_task }).ok_or_else(|| {
            let task = found.iter().position(Option::is_none).unwrap_or_default();
            error(&format!("Configuration file {name} invalid, no record for task id {task}"))
        })
    }

    /// The program of a task and its arguments.
    #[must_use]
    pub fn of_task(&self, task: u32) -> Vec<String> {
        let (lines, &(line, offset)) = match self {
            Programs::One(words) => return words.clone(),
            Programs::Several { lines, of_task } => (lines, &of_task[task as usize]),
        };
        let word = |word: &Word| {
            word.iter().fold(String::new(), |mut text, part| {
                match part {
                    Part::Letter(letter) => text.push(*letter),
                    Part::Task => text.push_str(&task.to_string()),
                    Part::Offset => text.push_str(&offset.to_string()),
                }
                text
            })
        };
        lines[line].iter().map(word).collect()
    }
}

/// The file of `--multi-prog`, if that was asked for: its name and what stands in it.
///
/// # Errors
/// When it cannot be read.
pub fn file(given: &Given) -> Result<Option<(&str, String)>, Failure> {
    let Some(name) = given.words.first().filter(|_| given.has("multi-prog")) else {
        return Ok(None);
    };
    let opened = File::open(name)
        .map_err(|_| error(&format!("Could not open multi_prog config file {name}")))?;
    let mut text = String::new();
    // One more, to see that there is more.
    match opened.take(FILE_BYTES_MAX + 1).read_to_string(&mut text) {
        Ok(length) if length as u64 > FILE_BYTES_MAX => {
            Err(error(&format!("Multi_prog config file {name} is too large")))
        }
        Ok(_) => Ok(Some((name, text))),
        Err(_) => Err(error(&format!("Error reading multi_prog config file {name}"))),
    }
}

/// Lines with the numbers that they begin at; a backslash at the end joins the next one.
fn whole_lines(text: &str) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    let mut begun: Option<(usize, String)> = None;
    for (no, line) in (1..).zip(text.lines()) {
        let (first, mut whole) = begun.take().unwrap_or((no, String::new()));
        match line.strip_suffix('\\') {
            Some(part) => {
                whole.push_str(part);
                begun = Some((first, whole));
            }
            None => {
                whole.push_str(line);
                all.push((first, whole));
            }
        }
    }
    all.extend(begun);
    all
}

/// The tasks of `0`, `1-2`, `0,4-6`, in that order.
fn range(ranks: &str, tasks: u32) -> Result<Vec<u32>, String> {
    let mut all = Vec::new();
    for part in ranks.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (first, Some(last)),
            None => (part, None),
        };
        let first: u32 =
            first.parse().map_err(|_| format!("Invalid task range specification ({part})"))?;
        let last = last.map_or(Ok(first), str::parse);
        let last = last.map_err(|_| "Invalid task range specification".to_owned())?;
        if first > last {
            return Err(format!("Invalid task range, {part}"));
        }
        if last >= tasks {
            return Err(format!("Invalid task id, {last} >= ntasks"));
        }
        all.extend(first..=last);
        // As many that there is one twice, however many more there are.
        all.truncate(tasks as usize + 1);
    }
    Ok(all)
}

/// The words of a line, as a shell would split them that knows no variables and no patterns; `%t`
/// and `%o` mean something outside of single quotes. `None` where a quote is not closed.
fn words(text: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let part = match (quote, letter) {
            (Some(open), _) if open == letter => {
                quote = None;
                continue;
            }
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
                continue;
            }
            (None, blank) if blank.is_whitespace() => {
                words.extend(word.take());
                continue;
            }
            (Some('\''), _) => Part::Letter(letter),
            (None, '\\') => Part::Letter(letters.next()?),
            (Some(_), '\\') => {
                Part::Letter(letters.next_if(|c| "\"\\".contains(*c)).unwrap_or('\\'))
            }
            (_, '%') if letters.next_if_eq(&'t').is_some() => Part::Task,
            (_, '%') if letters.next_if_eq(&'o').is_some() => Part::Offset,
            _ => Part::Letter(letter),
        };
        word.get_or_insert_default().push(part);
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What each task runs, or what is said.
    fn read(text: &str, tasks: u32) -> Result<Vec<String>, String> {
        let programs =
            Programs::several("mp", text, tasks).map_err(|failure| failure.lines.join("\n"))?;
        Ok((0..tasks).map(|task| programs.of_task(task).join("|")).collect())
    }

    #[test]
    fn each_task_has_the_line_that_names_it() {
        let text = "# a comment\n\n  1-2,4 echo %t %o a%tb %x\n\
                    0 sh -c 'echo %t' \"%t x\" e\\ f ''\n\
                    * echo \\\n\t rest \"q\\\"\\n\" c#d";
        let rest = "echo|rest|q\"\\n|c#d";
        let wanted = [
            "sh|-c|echo %t|0 x|e f|",
            "echo|1|0|a1b|%x",
            "echo|2|1|a2b|%x",
            rest,
            "echo|4|2|a4b|%x",
            rest,
        ];
        assert_eq!(read(text, 6).unwrap(), wanted);
        assert_eq!(read("1,0 %t%o", 2).unwrap(), ["01", "10"]);
        assert_eq!(read("0, x\r\n01 y", 2).unwrap(), ["x", "y"]);
    }

    #[test]
    fn what_makes_no_sense_is_said_with_its_line() {
        let line = |no: u32| format!("srun: error: Line {no} of configuration file mp invalid");
        for (text, why) in [
            ("0 a\n0 b", format!("srun: error: Duplicate record for task 0\n{}", line(2))),
            ("0,1,0-1 a", format!("srun: error: Duplicate record for task 0\n{}", line(1))),
            (
                "* a\n0 b",
                format!(
                    "srun: error: Task range specification with asterisk must be last\n{}",
                    line(2)
                ),
            ),
            ("0-9 a", format!("srun: error: Invalid task id, 9 >= ntasks\n{}", line(1))),
            ("\n0-x a", format!("srun: error: Invalid task range specification\n{}", line(2))),
            ("x a", format!("srun: error: Invalid task range specification (x)\n{}", line(1))),
            ("0,* a", format!("srun: error: Invalid task range specification (*)\n{}", line(1))),
            ("3-1 a", format!("srun: error: Invalid task range, 3-1\n{}", line(1))),
            ("0", line(1)),
            ("0 'a", line(1)),
            ("", "srun: error: Configuration file mp invalid, no record for task id 0".to_owned()),
            (
                "0 a",
                "srun: error: Configuration file mp invalid, no record for task id 1".to_owned(),
            ),
        ] {
            assert_eq!(read(text, 2).unwrap_err(), why, "{text}");
        }
    }
}
