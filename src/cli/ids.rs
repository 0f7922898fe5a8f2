//! *Purpose*: the ids that people type.
//!
//! *Owns*: [`Ids`]: one job, several, several tasks of an array, or the last one.
//!
//! *Promises*: `17_[3-5]` is `17_3 17_4 17_5`, `17-20` is `17 18 19 20`, in order, and never
//! endlessly many.
//!
//! *Not here*: what is done with them (the verbs), jobs that are not named (`cli::filters`).

use std::str::FromStr;

use crate::api::wire::v1::{ArraySpec, JobId, JobRef};

/// Most jobs named by one word: each is a request of its own. A whole array is one: `17`.
const NAMED_MAX: usize = 1_000;

/// What one word names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ids {
    /// These, in order.
    Of(Vec<JobRef>),
    /// The job that whoever runs this program submitted last.
    Last,
}

impl FromStr for Ids {
    type Err = String;

    fn from_str(text: &str) -> Result<Ids, String> {
        if text == "last" {
            return Ok(Ids::Last);
        }
        if let Some((job, tasks)) = text.strip_suffix(']').and_then(|text| text.split_once("_[")) {
            let array: JobRef = job.parse()?;
            let tasks = tasks.parse::<ArraySpec>()?.tasks;
            bounded("tasks", tasks.len())?;
            return Ok(Ids::Of(tasks.iter().map(|n| JobRef { task: Some(n), ..array }).collect()));
        }
        let range = text.split_once('-').and_then(|(first, last)| {
            Some((first.parse::<i64>().ok()?, last.parse::<i64>().ok()?))
        });
        let Some((first, last)) = range.filter(|(first, _)| *first >= 0) else {
            return Ok(Ids::Of(vec![text.parse()?]));
        };
        if first > last {
            return Err(format!("\"{text}\" counts backwards"));
        }
        bounded("jobs", usize::try_from(last - first).unwrap_or(usize::MAX).saturating_add(1))?;
        Ok(Ids::Of((first..=last).map(|id| JobId(id).into()).collect()))
    }
}

fn bounded(what: &str, count: usize) -> Result<(), String> {
    match count {
        ..=NAMED_MAX => Ok(()),
        _ => Err(format!("names {count} {what}; at most {NAMED_MAX}")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_word_names_one_job_or_several() {
        for (word, wanted) in [
            ("3", vec!["3"]),
            ("17_[4,6-7]", vec!["17_4", "17_6", "17_7"]),
            ("17_4", vec!["17_4"]),
            ("9-11", vec!["9", "10", "11"]),
            ("9-9", vec!["9"]),
        ] {
            let Ids::Of(named) = word.parse().unwrap() else { panic!("{word}") };
            let named: Vec<String> = named.iter().map(ToString::to_string).collect();
            assert_eq!(named, wanted, "{word}");
        }
        assert_eq!("last".parse(), Ok(Ids::Last));
        for bad in
            ["17_[", "17_[]", "x_[1]", "17_[0-1000]", "9-8", "1-1001", "1-", "1-2-3", "first"]
        {
            assert!(bad.parse::<Ids>().is_err(), "{bad}");
        }
    }
}
