//! *Purpose*: the other jobs that a job waits for.
//!
//! *Owns*: [`Dependencies`] as Slurm writes them, and what is known of each: [`Answer`].
//!
//! *Promises*: what can no longer be met is told apart from what is open; what is written reads
//! back the same.
//!
//! *Not here*: what else keeps a job from starting (`kernel::parts::conditions`).
//!
//! Source of the notation: sbatch(1), `--dependency`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::array_spec::{JobRef, TaskSet};
use super::ids::JobId;

/// Most jobs that one job may wait for: lists of them are written by programs, and more belong
/// behind one job that waits for them.
pub const DEPENDENCIES_MAX: usize = 1_000;

/// Most jobs that are looked at to see whether one would wait for itself: milliseconds, and more
/// than anybody writes.
pub const CHAIN_MAX: usize = 100_000;

/// What must have become of another job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DependencyKind {
    /// It has started, or ended without.
    After,
    /// It has COMPLETED.
    AfterOk,
    /// It has ended.
    AfterAny,
    /// It has ended otherwise than COMPLETED.
    AfterNotOk,
    /// Task by task: the task of the same number has COMPLETED.
    AfterCorr,
}

impl DependencyKind {
    const ALL: [(&str, DependencyKind); 5] = [
        ("after", DependencyKind::After),
        ("afterok", DependencyKind::AfterOk),
        ("afterany", DependencyKind::AfterAny),
        ("afternotok", DependencyKind::AfterNotOk),
        ("aftercorr", DependencyKind::AfterCorr),
    ];

    fn word(self) -> &'static str {
        DependencyKind::ALL
            .iter()
            .find(|(_, relation)| *relation == self)
            .map_or("", |(word, _)| word)
    }

    /// What is known of it when nobody knows any more how the other job ended: never that it went
    /// well, and never that it did not.
    #[must_use]
    pub fn answer_of_unknown(self) -> Answer {
        match self {
            // It keeps single tasks, never all of them.
            DependencyKind::AfterCorr | DependencyKind::After | DependencyKind::AfterAny => {
                Answer::Met
            }
            DependencyKind::AfterOk | DependencyKind::AfterNotOk => Answer::Never,
        }
    }

    /// What is known of it when the other job stands so.
    #[must_use]
    pub fn answer(self, standing: DependencyState) -> Answer {
        match (self, standing) {
            // It keeps single tasks, never all of them.
            (DependencyKind::AfterCorr, _) => Answer::Met,
            (_, DependencyState::Waiting) => Answer::Open,
            (DependencyKind::After, _) => Answer::Met,
            (_, DependencyState::Started) => Answer::Open,
            (DependencyKind::AfterAny, _) => Answer::Met,
            (DependencyKind::AfterOk, DependencyState::Ended { completed: true }) => Answer::Met,
            (DependencyKind::AfterNotOk, DependencyState::Ended { completed: false }) => {
                Answer::Met
            }
            _ => Answer::Never,
        }
    }
}

/// What is known of what a job waits for, as it is kept with the job: the others may be forgotten,
/// or run again, before it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// In the order of its dependencies.
    pub answers: Vec<Answer>,
    /// Of arrays that it follows task by task, the tasks that COMPLETED.
    pub done: BTreeMap<JobId, TaskSet>,
}

/// How far another job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DependencyState {
    /// It waits.
    Waiting,
    /// It runs.
    Started,
    /// It is over.
    Ended {
        /// Whether it COMPLETED.
        completed: bool,
    },
}

/// What is known of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Not yet known.
    Open,
    /// It is met.
    Met,
    /// It cannot be met any more.
    Never,
}

/// One condition on one other job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dependency {
    /// What must have become of it.
    pub relation: DependencyKind,
    /// Of whom.
    pub job: JobId,
    /// Of which task of it, if it is an array and one is named.
    pub task: Option<u32>,
}

/// The other jobs that a job waits for: `afterok:1:2,afterany:3`; with `?` in place of the commas
/// one of them is enough; `singleton` waits for all earlier jobs of the same name and user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Dependencies {
    /// Conditions on named jobs.
    pub list: Vec<Dependency>,
    /// Whether one of them is enough.
    pub any: bool,
    /// Whether all earlier jobs of its name and user must have ended.
    pub singleton: bool,
}

impl Dependencies {
    /// All of them together, while these are the answers to each.
    #[must_use]
    pub fn answer(&self, answers: &[Answer]) -> Answer {
        let all = |wanted| answers.iter().all(|answer| *answer == wanted);
        let some = |wanted| answers.contains(&wanted);
        match self.any && !answers.is_empty() {
            true if some(Answer::Met) => Answer::Met,
            true if all(Answer::Never) => Answer::Never,
            false if some(Answer::Never) => Answer::Never,
            false if all(Answer::Met) => Answer::Met,
            _ => Answer::Open,
        }
    }
}

impl Dependencies {
    /// Whether tasks of an array follow those of another one by one.
    #[must_use]
    pub fn follows(&self) -> bool {
        self.list.iter().any(|one| one.relation == DependencyKind::AfterCorr)
    }

    /// The same for one task of an array: of arrays that are followed task by task, the one task.
    #[must_use]
    pub fn of_task(&self, task: u32) -> Dependencies {
        let one = |one: &Dependency| match one.relation {
            DependencyKind::AfterCorr => {
                Dependency { relation: DependencyKind::AfterOk, task: Some(task), ..*one }
            }
            _ => *one,
        };
        Dependencies { list: self.list.iter().map(one).collect(), ..*self }
    }
}

impl FromStr for Dependencies {
    type Err = String;

    fn from_str(text: &str) -> Result<Dependencies, String> {
        let any = text.contains('?');
        if any && text.contains(',') {
            return Err("joins with \",\" (all) and with \"?\" (any); use one of them".to_owned());
        }
        let mut read = Dependencies { any, ..Dependencies::default() };
        for part in text.split(if any { '?' } else { ',' }) {
            let mut words = part.trim().split(':');
            let word = words.next().unwrap_or_default();
            if word.eq_ignore_ascii_case("singleton") {
                read.singleton = true;
                continue;
            }
            let is_it = |name: &str| name.eq_ignore_ascii_case(word);
            let known = DependencyKind::ALL.iter().find(|(name, _)| is_it(name));
            let Some((_, relation)) = known else {
                return Err(format!(
                    "\"{word}\" is not a dependency; after, afterok, afterany, afternotok, \
                     aftercorr or singleton, as in afterok:17:18"
                ));
            };
            let before = read.list.len();
            for id in words {
                let job = id.parse::<JobRef>().ok().filter(|id| id.job.0 > 0);
                let JobRef { job, task } =
                    job.ok_or_else(|| format!("\"{id}\" in \"{part}\" is not a job id"))?;
                if *relation == DependencyKind::AfterCorr && (any || task.is_some()) {
                    return Err(format!(
                        "\"{part}\": aftercorr names a whole array and cannot be one of several"
                    ));
                }
                read.list.push(Dependency { relation: *relation, job, task });
            }
            if read.list.len() == before {
                return Err(format!("\"{part}\" names no job; write {word}:17"));
            }
            if read.list.len() > DEPENDENCIES_MAX {
                return Err(format!("names more than {DEPENDENCIES_MAX} jobs"));
            }
        }
        if read.any && read.singleton {
            return Err("singleton cannot be one of several with \"?\"".to_owned());
        }
        Ok(read)
    }
}

impl fmt::Display for Dependencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before: Option<DependencyKind> = None;
        for one in &self.list {
            match before {
                Some(relation) if relation == one.relation && !self.any => {}
                Some(_) if self.any => write!(f, "?{}", one.relation.word())?,
                Some(_) => write!(f, ",{}", one.relation.word())?,
                None => f.write_str(one.relation.word())?,
            }
            before = Some(one.relation);
            write!(f, ":{}", JobRef { job: one.job, task: one.task })?;
        }
        match (self.singleton, before) {
            (true, Some(_)) => f.write_str(",singleton"),
            (true, None) => f.write_str("singleton"),
            (false, _) => Ok(()),
        }
    }
}

impl TryFrom<String> for Dependencies {
    type Error = String;
    fn try_from(text: String) -> Result<Dependencies, String> {
        text.parse()
    }
}

impl From<Dependencies> for String {
    fn from(dependencies: Dependencies) -> String {
        dependencies.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &str) -> Dependencies {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_dependencies() {
        for text in [
            "afterok:1",
            "afterok:1:2,afterany:3",
            "after:4,afternotok:5:6,singleton",
            "afterok:1?afterany:2",
            "singleton",
        ] {
            assert_eq!(read(text).to_string(), text);
        }
        assert_eq!(read("afterok:1?afterok:2").to_string(), "afterok:1?afterok:2");
        assert_eq!(read("afterok:1,afterok:2"), read("afterok:1:2"));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_part() {
        let refused = |text: &str| text.parse::<Dependencies>().unwrap_err();
        assert!(refused("afterwards:1").starts_with("\"afterwards\" is not a dependency"));
        assert!(refused("").starts_with("\"\" is not a dependency"));
        assert!(refused("afterok").contains("names no job; write afterok:17"));
        assert!(refused("afterok:x").contains("\"x\" in \"afterok:x\" is not a job id"));
        assert!(refused("afterok:0").contains("is not a job id"));
        assert!(refused("afterok:1,afterany:2?after:3").contains("use one of them"));
        assert!(refused("afterok:1?singleton").contains("singleton cannot be one of several"));
        let many = "afterok".to_owned() + &":1".repeat(DEPENDENCIES_MAX + 1);
        assert!(refused(&many).contains("names more than 1000 jobs"));
    }

    /// Relation × standing, as sbatch(1) has it.
    #[test]
    fn every_relation_meets_every_standing() {
        use Answer::{Met, Never, Open};
        let standings = [
            DependencyState::Waiting,
            DependencyState::Started,
            DependencyState::Ended { completed: true },
            DependencyState::Ended { completed: false },
        ];
        for (relation, answers) in [
            (DependencyKind::After, [Open, Met, Met, Met]),
            (DependencyKind::AfterOk, [Open, Open, Met, Never]),
            (DependencyKind::AfterAny, [Open, Open, Met, Met]),
            (DependencyKind::AfterNotOk, [Open, Open, Never, Met]),
        ] {
            assert_eq!(standings.map(|s| relation.answer(s)), answers, "{relation:?}");
        }
    }
}
