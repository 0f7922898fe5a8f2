//! *Purpose*: sets of array tasks, as text and as little memory.
//!
//! *Owns*: [`TaskSet`], [`ArraySpec`], [`JobRef`].
//!
//! *Promises*: a set costs what its runs cost, not what its tasks do; what it writes, it reads.
//!
//! *Not here*: what becomes of the tasks (`kernel::parts::arrays`).
//!
//! Source of the notation: sbatch(1), `--array`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ids::JobId;

/// Most tasks of one array: a day of one-second jobs on a dozen CPUs; more belong into several.
pub const ARRAY_TASKS_MAX: usize = 1_000_000;
/// Largest index of a task: what Slurm allows at most.
pub const ARRAY_INDEX_MAX: u32 = 4_000_000;
/// Longest list of tasks, bytes: what is left of it is stored again at each start.
pub const ARRAY_BYTES_MAX: usize = 64 * 1024;

/// Some tasks of an array.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSet {
    /// By its first task: the last one and the step of each run. Runs do not interleave; the
    /// step of a single task is 1.
    runs: BTreeMap<u32, (u32, u32)>,
    len: usize,
}

fn tasks_of(first: u32, last: u32, step: u32) -> usize {
    ((last - first) / step) as usize + 1
}

impl TaskSet {
    /// One task.
    #[must_use]
    pub fn one(task: u32) -> TaskSet {
        TaskSet { runs: BTreeMap::from([(task, (task, 1))]), len: 1 }
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The lowest.
    #[must_use]
    pub fn first(&self) -> Option<u32> {
        self.runs.first_key_value().map(|(first, _)| *first)
    }

    /// The highest.
    #[must_use]
    pub fn last(&self) -> Option<u32> {
        self.runs.last_key_value().map(|(_, (last, _))| *last)
    }

    /// The step, where all of it is one run; else 1.
    #[must_use]
    pub fn step(&self) -> u32 {
        match self.runs.first_key_value() {
            Some((_, (_, step))) if self.runs.len() == 1 => *step,
            _ => 1,
        }
    }

    /// Whether this task is among them.
    #[must_use]
    pub fn contains(&self, task: u32) -> bool {
        let run = self.run(task);
        run.is_some_and(|(first, last, step)| task <= last && (task - first).is_multiple_of(step))
    }

    /// The last run that begins at this task or before.
    fn run(&self, task: u32) -> Option<(u32, u32, u32)> {
        let (first, (last, step)) = self.runs.range(..=task).next_back()?;
        Some((*first, *last, *step))
    }

    /// All of them, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        let each =
            |(first, (last, step)): (&u32, &(u32, u32))| (*first..=*last).step_by(*step as usize);
        self.runs.iter().flat_map(each)
    }

    fn put(&mut self, first: u32, last: u32, step: u32) {
        let step = if first == last { 1 } else { step };
        self.runs.insert(first, (last, step));
    }

    /// Takes one out; `false` when it was not in.
    pub fn remove(&mut self, task: u32) -> bool {
        let Some((first, last, step)) = self.run(task).filter(|_| self.contains(task)) else {
            return false;
        };
        self.runs.remove(&first);
        if task > first {
            self.put(first, task - step, step);
        }
        if task < last {
            self.put(task + step, last, step);
        }
        self.len -= 1;
        true
    }

    /// Puts one in; `false` when it was in already.
    pub fn insert(&mut self, task: u32) -> bool {
        if self.contains(task) {
            return false;
        }
        self.len += 1;
        if let Some((first, last, step)) = self.run(task).filter(|(_, last, _)| task < *last) {
            // In a gap of a run: what is before it, and what is behind.
            let before = first + (task - first) / step * step;
            self.put(first, before, step);
            self.put(before + step, last, step);
        }
        let (mut begin, mut end, mut step) = (task, task, 1);
        if let Some((first, last, old)) = self.run(task)
            && (first == last || task - last == old)
        {
            self.runs.remove(&first);
            (begin, step) = (first, task - last);
        }
        let next =
            self.runs.range(task..).next().map(|(first, (last, step))| (*first, *last, *step));
        if let Some((first, last, old)) = next {
            let gap = first - task;
            if (begin == task || gap == step) && (first == last || gap == old) {
                self.runs.remove(&first);
                (end, step) = (last, gap);
            }
        }
        self.put(begin, end, step);
        true
    }

    /// Single numbers and runs, which may interleave but not repeat a task.
    fn of_runs(mut parts: Vec<(u32, u32, u32)>) -> Result<TaskSet, String> {
        parts.sort_unstable();
        if parts.windows(2).all(|pair| pair[0].1 < pair[1].0) {
            let len = parts.iter().map(|(first, last, step)| tasks_of(*first, *last, *step)).sum();
            let mut set = TaskSet { runs: BTreeMap::new(), len };
            for (first, last, step) in parts {
                set.put(first, last, step);
            }
            return Ok(set.compact());
        }
        let runs = parts.into_iter();
        let each = |(first, last, step): (u32, u32, u32)| (first..=last).step_by(step as usize);
        let mut tasks: Vec<u32> = runs.flat_map(each).collect();
        // In order, so that they join again.
        tasks.sort_unstable();
        let mut set = TaskSet::default();
        match tasks.into_iter().find(|task| !set.insert(*task)) {
            Some(twice) => Err(format!("names task {twice} twice")),
            None => Ok(set),
        }
    }

    /// Neighbouring runs that are one: `1,2,3-5` is `1-5`.
    fn compact(self) -> TaskSet {
        let mut set = TaskSet { runs: BTreeMap::new(), len: self.len };
        let mut open: Option<(u32, u32, u32)> = None;
        for (first, (last, step)) in self.runs {
            let joined = open.and_then(|(begin, end, old)| {
                let gap = first - end;
                let fits = (begin == end || gap == old) && (first == last || gap == step);
                (fits && gap == 1).then_some((begin, last, 1))
            });
            if let (None, Some((begin, end, old))) = (joined, open) {
                set.put(begin, end, old);
            }
            open = joined.or(Some((first, last, step)));
        }
        if let Some((begin, end, step)) = open {
            set.put(begin, end, step);
        }
        set
    }
}

impl fmt::Display for TaskSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (first, (last, step)) in &self.runs {
            f.write_str(std::mem::replace(&mut comma, ","))?;
            match (last - first, *step) {
                (0, _) => write!(f, "{first}")?,
                (_, 1) => write!(f, "{first}-{last}")?,
                (_, step) => write!(f, "{first}-{last}:{step}")?,
            }
        }
        Ok(())
    }
}

fn index(text: &str) -> Result<u32, String> {
    let text = text.trim();
    let number = text.parse::<u32>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    match number {
        Some(number) if number <= ARRAY_INDEX_MAX => Ok(number),
        _ if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            Err(format!("names task {text}; the largest is {ARRAY_INDEX_MAX}"))
        }
        _ => Err(format!("\"{text}\" is not a task; write 0-99, 1,3,5-9:2 or 0-99%4")),
    }
}

fn part(text: &str) -> Result<(u32, u32, u32), String> {
    let (range, step) = match text.split_once(':') {
        Some((range, step)) => (range, Some(index(step)?)),
        None => (text, None),
    };
    let Some((first, last)) = range.split_once('-') else {
        let task = index(range)?;
        return match step {
            None => Ok((task, task, 1)),
            Some(_) => Err(format!("\"{text}\" has a step and no range; write 0-9:2")),
        };
    };
    let (first, last) = (index(first)?, index(last)?);
    if first > last {
        return Err(format!("\"{text}\" counts backwards"));
    }
    match step {
        Some(0) => Err(format!("\"{text}\" has a step of 0; at least 1")),
        step => {
            let step = step.unwrap_or(1);
            Ok((first, last - (last - first) % step, step))
        }
    }
}

impl FromStr for TaskSet {
    type Err = String;

    fn from_str(text: &str) -> Result<TaskSet, String> {
        if text.trim().is_empty() {
            return Err("names no task; write 0-99, 1,3,5-9:2 or 0-99%4".to_owned());
        }
        if text.len() > ARRAY_BYTES_MAX {
            return Err(format!("is {} bytes long; at most {ARRAY_BYTES_MAX}", text.len()));
        }
        let parts = text.split(',').map(part).collect::<Result<Vec<_>, _>>()?;
        let len: usize =
            parts.iter().map(|(first, last, step)| tasks_of(*first, *last, *step)).sum();
        if len > ARRAY_TASKS_MAX {
            return Err(format!("names {len} tasks; at most {ARRAY_TASKS_MAX}"));
        }
        TaskSet::of_runs(parts)
    }
}

/// The tasks of an array, and how many of them may run at a time: `0-99%4`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArraySpec {
    /// The tasks.
    pub tasks: TaskSet,
    /// How many at a time; `None` is as many as fit.
    pub limit: Option<u32>,
}

impl FromStr for ArraySpec {
    type Err = String;

    fn from_str(text: &str) -> Result<ArraySpec, String> {
        let (tasks, limit) = match text.split_once('%') {
            Some((tasks, limit)) => (tasks, Some(limit)),
            None => (text, None),
        };
        let limit = limit.map(|limit| match limit.trim().parse::<u32>() {
            Ok(0) => Err("allows 0 tasks at a time; at least %1".to_owned()),
            Ok(limit) => Ok(limit),
            Err(_) => Err(format!("\"%{limit}\" is not a number of tasks at a time")),
        });
        Ok(ArraySpec { tasks: tasks.parse()?, limit: limit.transpose()? })
    }
}

impl fmt::Display for ArraySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tasks.fmt(f)?;
        match self.limit {
            Some(limit) => write!(f, "%{limit}"),
            None => Ok(()),
        }
    }
}

/// A job as people name it: `17`, or `17_4` for one task of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobRef {
    /// The job, or the array.
    pub job: JobId,
    /// The task of it.
    pub task: Option<u32>,
}

impl FromStr for JobRef {
    type Err = String;

    fn from_str(text: &str) -> Result<JobRef, String> {
        let bad = || format!("\"{text}\" is not a job id; ids are numbers, 17 or 17_4 for a task");
        let (job, task) = match text.split_once('_') {
            Some((job, task)) => (job, Some(task)),
            None => (text, None),
        };
        let job = job.parse().map(JobId).map_err(|_| bad())?;
        let task = task.map(|task| task.parse::<u32>().map_err(|_| bad())).transpose()?;
        Ok(JobRef { job, task })
    }
}

impl fmt::Display for JobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.task {
            Some(task) => write!(f, "{}_{task}", self.job),
            None => self.job.fmt(f),
        }
    }
}

impl TryFrom<String> for JobRef {
    type Error = String;
    fn try_from(text: String) -> Result<JobRef, String> {
        text.parse()
    }
}

impl From<JobRef> for String {
    fn from(job: JobRef) -> String {
        job.to_string()
    }
}

impl From<JobId> for JobRef {
    fn from(job: JobId) -> JobRef {
        JobRef { job, task: None }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn refused(text: &str) -> String {
        text.parse::<ArraySpec>().unwrap_err()
    }

    #[test]
    fn an_array_is_read_as_sbatch_reads_it() {
        let spec: ArraySpec = "1,3,5-9:2,20-22%4".parse().unwrap();
        assert_eq!(spec.tasks.iter().collect::<Vec<_>>(), [1, 3, 5, 7, 9, 20, 21, 22]);
        assert_eq!((spec.limit, spec.to_string().as_str()), (Some(4), "1,3,5-9:2,20-22%4"));
        let million: ArraySpec = "0-999999".parse().unwrap();
        assert_eq!((million.tasks.len(), million.tasks.runs.len()), (1_000_000, 1));
        assert_eq!("1-9:2,2-10:2".parse::<ArraySpec>().unwrap().to_string(), "1-10");
        assert_eq!("1-9:4".parse::<ArraySpec>().unwrap().tasks.last(), Some(9));
        assert_eq!("1-8:4".parse::<ArraySpec>().unwrap().to_string(), "1-5:4");
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_sentence() {
        for (text, says) in [
            ("", "names no task"),
            ("9-3", "counts backwards"),
            ("0-9:0", "step of 0"),
            ("1,2,1", "task 1 twice"),
            ("0-9,5", "task 5 twice"),
            ("0-9%0", "at least %1"),
            ("0-9%x", "not a number of tasks"),
            ("0-9%", "not a number of tasks"),
            ("3:2", "no range"),
            ("a", "not a task"),
            ("1,,2", "not a task"),
            ("+1", "not a task"),
            ("-1", "not a task"),
            ("0-4000001", "the largest is"),
            ("99999999999", "the largest is"),
            ("0-9999999", "the largest is"),
            ("0-3999999", "names 4000000 tasks"),
        ] {
            assert!(refused(text).contains(says), "{text}: {}", refused(text));
        }
        assert!(refused(&"1,".repeat(40_000)).contains("bytes long"));
    }

    #[test]
    fn a_task_is_named_with_its_array() {
        let task: JobRef = "17_4".parse().unwrap();
        assert_eq!((task.job, task.task, task.to_string().as_str()), (JobId(17), Some(4), "17_4"));
        assert_eq!("17".parse::<JobRef>().unwrap(), JobId(17).into());
        for bad in ["", "x", "17_", "_4", "17_4_4", "17_x", "17_-1"] {
            assert!(bad.parse::<JobRef>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn it_holds_what_a_plain_set_holds(
            steps in prop::collection::vec((any::<bool>(), 0..40u32), 0..120),
        ) {
            let (mut set, mut plain) = (TaskSet::default(), BTreeSet::new());
            for (put, task) in steps {
                match put {
                    true => prop_assert_eq!(set.insert(task), plain.insert(task)),
                    false => prop_assert_eq!(set.remove(task), plain.remove(&task)),
                }
                prop_assert!(set.iter().eq(plain.iter().copied()), "{set} {plain:?}");
                prop_assert_eq!((set.len(), set.first()), (plain.len(), plain.first().copied()));
                prop_assert!((0..41).all(|task| set.contains(task) == plain.contains(&task)));
                if !set.is_empty() {
                    let read: TaskSet = set.to_string().parse().unwrap();
                    prop_assert!(read.iter().eq(set.iter()), "{set}");
                }
            }
        }

        #[test]
        fn any_text_is_answered(text in "[0-9,:%_ -]{0,20}") {
            if let Ok(spec) = text.parse::<ArraySpec>() {
                let again: ArraySpec = spec.to_string().parse().unwrap();
                prop_assert_eq!(
                    again.tasks.iter().take(50).collect::<Vec<_>>(),
                    spec.tasks.iter().take(50).collect::<Vec<_>>()
                );
            }
        }
    }
}
