//! *Purpose*: the files of a step's tasks.
//!
//! *Owns*: [`Target`], and what stands in a name such as `out.%j.%t`.
//!
//! *Promises*: tasks whose names lead to one file share it.
//!
//! *Not here*: the script's own files (`job::files`).
//!
//! Source: srun(1), "IO Redirection", "FILENAME PATTERN".

use std::path::PathBuf;

use super::place::Place;
use crate::slurm::owner::me;

/// Where a stream of the tasks goes, or comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// Where that of `srun` does, for all of them.
    #[default]
    All,
    /// Nowhere.
    Nothing,
    /// Where that of `srun` does, for this one alone.
    Task(u32),
    /// A file, by this pattern.
    File(String),
}

impl Target {
    /// As an option writes it.
    #[must_use]
    pub fn of(text: &str) -> Target {
        match text {
            "all" => Target::All,
            "none" => Target::Nothing,
            text => text.parse().map_or_else(|_| Target::File(text.to_owned()), Target::Task),
        }
    }

    /// Whether this task has that of `srun`.
    #[must_use]
    pub fn is_ours(&self, task: u32) -> bool {
        match self {
            Target::All => true,
            Target::Task(one) => *one == task,
            Target::Nothing | Target::File(_) => false,
        }
    }
}

/// The path that a pattern means for a task of this step.
#[must_use]
pub fn path(pattern: &str, place: &Place, step: u32, task: u32) -> PathBuf {
    let mut text = String::with_capacity(pattern.len());
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        let mut width = String::new();
        while let Some(digit) = rest.next_if(char::is_ascii_digit) {
            width.push(digit);
        }
        // More zeros than that a file's name has no room for.
        let zeros = width.parse().unwrap_or(0).min(10);
        match rest.next() {
            None => text.push('%'),
            Some(letter) => match value(letter, place, step, task) {
                Some(Value::Number(number)) => text.push_str(&format!("{number:0>zeros$}")),
                Some(Value::Text(word)) => text.push_str(&word),
                None if letter == '%' => text.push('%'),
                None => {
                    text.push('%');
                    text.push_str(&width);
                    text.push(letter);
                }
            },
        }
    }
    PathBuf::from(text)
}

enum Value {
    Number(i64),
    Text(String),
}

fn value(letter: char, place: &Place, step: u32, task: u32) -> Option<Value> {
    Some(match letter {
        'j' => Value::Number(place.job),
        'J' => Value::Text(format!("{}.{step}", place.job)),
        'A' => Value::Number(place.task.map_or(place.job, |(array, _)| array)),
        'a' => Value::Number(place.task.map_or(0, |(_, own)| own.into())),
        's' => Value::Number(step.into()),
        't' => Value::Number(task.into()),
        'n' => Value::Number(0),
        'N' => Value::Text(place.node.clone()),
        'u' => Value::Text(me()),
        'x' => Value::Text(place.name.clone()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_job_step_and_task() {
        let place = Place {
            job: 7,
            attempt: None,
            cpus: None,
            tasks: 1,
            name: "train".to_owned(),
            task: Some((5, 3)),
            node: "box".to_owned(),
            folder: PathBuf::new(),
        };
        let shown = |pattern| path(pattern, &place, 2, 11).display().to_string();
        assert_eq!(shown("%x.%j.%J.%s.%4t.%N.%n"), "train.7.7.2.2.0011.box.0");
        assert_eq!(shown("%A_%a %% 5% %z %3z"), "5_3 % 5% %z %3z");
        assert_eq!(shown("%"), "%");
    }

    #[test]
    fn words_are_no_files() {
        assert_eq!(Target::of("all"), Target::All);
        assert_eq!(Target::of("none"), Target::Nothing);
        assert_eq!(Target::of("3"), Target::Task(3));
        assert_eq!(Target::of("3.txt"), Target::File("3.txt".to_owned()));
    }
}
