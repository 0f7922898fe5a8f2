//! *Purpose*: the steps of a job, as JSON.
//!
//! *Owns*: [`Step`], [`StepList`], [`StepBody`], [`parse`].
//!
//! *Promises*: all faults of a body are found at once; what is not known is null.
//!
//! *Not here*: starting steps (`slurm::srun`).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::fields::Fields;
use super::job::Usage;
use super::submit::{BodyRefused, object_or_nothing};
use super::values::time;
use crate::job::faults::Faults;
use crate::job::ids::JobId;
use crate::job::outcome::{self, ExitCode};
use crate::job::step::{self, STEP_NAME_BYTES_MAX, STEPS_MAX, StepEnd};
use crate::text::quote::first_that_acts;

/// What a job says of one of its steps. With `exit_code` it has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepBody {
    /// Which run of the job has it; the one that runs without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// What it is called.
    pub name: String,
    /// How many processes it has, 1 without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<u32>,
    /// How many of the job's CPUs it has, 1 without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// Since when, RFC 3339.
    #[schema(format = DateTime)]
    pub start_time: String,
    /// When it ended, with `exit_code`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub end_time: Option<String>,
    /// The highest code of its processes, as `code:signal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "0:0")]
    pub exit_code: Option<String>,
    /// What its processes used; nothing without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// A step of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// Of which job.
    #[schema(value_type = i64)]
    pub job_id: JobId,
    /// Of which run of it.
    pub attempt: u32,
    /// Its number in that, from 0.
    pub step: u32,
    /// What it is called.
    pub name: String,
    /// How many processes it had.
    pub tasks: u32,
    /// How many of the job's CPUs it had.
    pub cpus: u32,
    /// Since when.
    #[schema(format = DateTime)]
    pub start_time: String,
    /// When it ended; null until it does, and where nobody told.
    #[schema(format = DateTime)]
    pub end_time: Option<String>,
    /// The highest code of its processes; null likewise.
    #[schema(example = "0:0")]
    pub exit_code: Option<String>,
    /// What they used; null likewise.
    pub usage: Option<Usage>,
}

/// A page of steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepList {
    /// The steps, in the order in which they were first told of.
    pub steps: Vec<Step>,
    /// Hand this back as `cursor` for the next page; null on the last one.
    pub next_cursor: Option<String>,
}

/// Seconds of CPU time as they are kept, µs.
fn cpu_us(value: &Value, name: &str) -> Result<i64, String> {
    let seconds = value.get(name).and_then(Value::as_f64);
    let sensible = |seconds: &f64| (0.0..1e12).contains(seconds);
    match seconds.filter(sensible) {
        Some(seconds) => Ok((seconds * 1e6) as i64),
        None => Err(format!("{name} is a number of seconds")),
    }
}

fn usage(value: &Value) -> Result<outcome::Usage, String> {
    let bytes = value.get("max_rss_bytes").and_then(Value::as_i64).filter(|bytes| *bytes >= 0);
    Ok(outcome::Usage {
        user_us: cpu_us(value, "user_cpu_s")?,
        system_us: cpu_us(value, "system_cpu_s")?,
        max_rss_bytes: bytes.ok_or("max_rss_bytes is a number of bytes")?,
    })
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "is not a string".to_owned())
}

/// Reads what is said of step `no`, and of which attempt.
///
/// # Errors
/// [`BodyRefused`], with every fault in it.
pub fn parse(no: u32, body: &[u8]) -> Result<(Option<u32>, step::Step), BodyRefused> {
    let (map, mut errors) = (object_or_nothing(body)?, Faults::default());
    let mut fields = Fields::new(map, String::new(), &mut errors);
    let count = |value: &Value| match value.as_u64().and_then(|n| u32::try_from(n).ok()) {
        Some(count) if count > 0 && count <= i32::MAX.cast_unsigned() => Ok(count),
        _ => Err("is a number, at least 1".to_owned()),
    };
    for needed in ["name", "start_time"] {
        if fields.peek(needed).is_none() {
            fields.refuse(needed, "is needed");
        }
    }
    let name = fields.parsed("name", |value| match text(value)? {
        name if name.len() > STEP_NAME_BYTES_MAX || name.contains('\0') => {
            Err(format!("is at most {STEP_NAME_BYTES_MAX} bytes, without NUL"))
        }
        name => match first_that_acts(name) {
            Some(c) => {
                let what = "must not contain control characters, or marks that nobody sees";
                Err(format!("{what} ({c})"))
            }
            None => Ok(name.to_owned()),
        },
    });
    let attempt = fields.parsed("attempt", count);
    let (tasks, cpus) = (fields.parsed("tasks", count), fields.parsed("cpus", count));
    let (start, end) = (fields.parsed("start_time", time), fields.parsed("end_time", time));
    let exit = fields.parsed("exit_code", |value| {
        let code = text(value)?.parse::<ExitCode>();
        code.map_err(|_| "is a code and a signal, such as 3:0".to_owned())
    });
    let used = fields.parsed("usage", usage);
    if end.is_some() != exit.is_some() {
        fields.refuse("exit_code", "and end_time belong together");
    }
    if no >= STEPS_MAX {
        fields.refuse("step", format!("a job tells of {STEPS_MAX} steps at most"));
    }
    if start.zip(end).is_some_and(|(start, end)| end < start) {
        fields.refuse("end_time", "is before start_time");
    }
    fields.finish();
    let (Some(name), Some(start), true) = (name, start, errors.is_empty()) else {
        return Err(BodyRefused::Fields(errors));
    };
    let usage = used.unwrap_or_default();
    let end = end.zip(exit).map(|(time, exit)| StepEnd { time, exit, usage });
    let (tasks, cpus) = (tasks.unwrap_or(1), cpus.unwrap_or(1));
    Ok((attempt, step::Step { no, name: name.into(), tasks, cpus, start, end }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::time::Time;

    #[test]
    fn a_step_is_told_at_its_start_and_at_its_end() {
        let (attempt, step) =
            parse(3, br#"{"name": "a", "start_time": "1970-01-01T00:00:01Z"}"#).unwrap();
        assert_eq!((attempt, step.no, step.tasks, step.end), (None, 3, 1, None));
        let body = br#"{"attempt": 2, "name": "a", "tasks": 4, "cpus": 8,
            "start_time": "1970-01-01T00:00:01Z", "end_time": "1970-01-01T00:00:02Z",
            "exit_code": "0:9", "usage": {"user_cpu_s": 1.5, "system_cpu_s": 0,
            "max_rss_bytes": 4096}}"#;
        let (attempt, step) = parse(0, body).unwrap();
        let usage = outcome::Usage { user_us: 1_500_000, system_us: 0, max_rss_bytes: 4096 };
        let exit = ExitCode { code: 0, signal: 9 };
        assert_eq!((attempt, step.tasks, step.cpus), (Some(2), 4, 8));
        assert_eq!(step.end, Some(StepEnd { time: Time(2_000_000), exit, usage }));
    }

    #[test]
    fn every_fault_is_named() {
        let faults = |no, text: &str| match parse(no, text.as_bytes()) {
            Err(BodyRefused::Fields(faults)) => faults.to_string(),
            other => panic!("{text}: {other:?}"),
        };
        let all = faults(
            STEPS_MAX,
            r#"{"tasks": 0, "exit_code": "3", "usage": {"user_cpu_s": -1}, "x": 1}"#,
        );
        for part in ["name", "start_time", "tasks", "such as 3:0", "user_cpu_s is", "step", "x"] {
            assert!(all.contains(part), "{part}: {all}");
        }
        let early = r#"{"name": "a", "start_time": "1970-01-01T00:00:02Z",
            "end_time": "1970-01-01T00:00:01Z", "exit_code": "0:0"}"#;
        assert!(faults(0, early).contains("is before start_time"));
        let acts = r#"{"name": "a\u001b[2Jb", "start_time": "1970-01-01T00:00:02Z"}"#;
        assert!(faults(0, acts).contains("control characters"), "{}", faults(0, acts));
    }
}
