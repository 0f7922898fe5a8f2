//! *Purpose*: the ids that people type.
//!
//! *Owns*: [`Ids`], one job or several tasks of an array.
//!
//! *Promises*: `17_[3-5]` is `17_3 17_4 17_5`, in order, and never endlessly many.
//!
//! *Not here*: what is done with them (the verbs).

use std::str::FromStr;

use crate::api::wire::v1::{ArraySpec, JobRef};

/// Most tasks named by one word: each is a request of its own. The whole array is one: `17`.
const TASKS_MAX: usize = 1_000;

/// What one word names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids(Vec<JobRef>);

impl Ids {
    /// All that these words name.
    pub fn all(words: &[Ids]) -> impl Iterator<Item = JobRef> {
        words.iter().flat_map(|ids| ids.0.iter().copied())
    }
}

impl FromStr for Ids {
    type Err = String;

    fn from_str(text: &str) -> Result<Ids, String> {
        let listed = text.strip_suffix(']').and_then(|text| text.split_once("_["));
        let Some((job, tasks)) = listed else { return Ok(Ids(vec![text.parse()?])) };
        let array: JobRef = job.parse()?;
        let tasks = tasks.parse::<ArraySpec>()?.tasks;
        if tasks.len() > TASKS_MAX {
            return Err(format!("names {} tasks; at most {TASKS_MAX}", tasks.len()));
        }
        Ok(Ids(tasks.iter().map(|task| JobRef { task: Some(task), ..array }).collect()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tasks_in_brackets_are_named_one_by_one() {
        let words = ["3".parse().unwrap(), "17_[4,6-7]".parse().unwrap()];
        let named: Vec<String> = Ids::all(&words).map(|id| id.to_string()).collect();
        assert_eq!(named, ["3", "17_4", "17_6", "17_7"]);
        for bad in ["17_[", "17_[]", "x_[1]", "17_[0-1000]"] {
            assert!(bad.parse::<Ids>().is_err(), "{bad}");
        }
    }
}
