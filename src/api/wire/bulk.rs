//! *Purpose*: many jobs in one request, as JSON.
//!
//! *Owns*: [`BulkBody`], [`BulkAnswers`], [`parse`].
//!
//! *Promises*: all faults of a body are found at once; a job that is named twice is done once.
//!
//! *Not here*: what is done with the jobs (`api::bulk`).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::fields::{Fields, kind};
use super::problem::Problem;
use super::submit::{BodyRefused, object_or_nothing};
use crate::job::array_spec::JobRef;
use crate::job::faults::{Faults, FieldError};

/// Most jobs of one request: as many as a page of them has.
pub const IDS_MAX: usize = 1_000;

/// The jobs of one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BulkBody {
    /// Their numbers; `17_4` for a task of an array. At most 1,000.
    #[schema(value_type = Vec<Object>, example = json!([17, "18_4"]))]
    pub ids: Vec<String>,
}

/// What became of one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BulkResult {
    /// As it was named.
    #[schema(example = "18_4")]
    pub id: String,
    /// 200 where it was done, else what a request for it alone would have been answered with.
    #[schema(example = 200)]
    pub status: u16,
    /// Why it was not done; null where it was.
    pub problem: Option<Problem>,
}

/// What became of each of them, in the order of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BulkAnswers {
    /// One for each job.
    pub results: Vec<BulkResult>,
    /// How many were not done.
    #[schema(example = 0)]
    pub refused: usize,
}

/// Reads a body.
///
/// # Errors
/// [`BodyRefused`], with every fault in it.
pub fn parse(body: &[u8]) -> Result<Vec<JobRef>, BodyRefused> {
    let (map, mut errors) = (object_or_nothing(body)?, Faults::default());
    let mut fields = Fields::new(map, String::new(), &mut errors);
    let ids = match fields.take("ids") {
        Some(Value::Array(ids)) if (1..=IDS_MAX).contains(&ids.len()) => ids,
        Some(Value::Array(ids)) => {
            fields.refuse("ids", format!("has {} jobs; 1 to {IDS_MAX} are taken", ids.len()));
            Vec::new()
        }
        Some(other) => {
            fields.refuse("ids", format!("is {}; a list of jobs is expected", kind(&other)));
            Vec::new()
        }
        None => {
            fields.refuse("ids", "is needed: a list of jobs, as in [17, \"18_4\"]");
            Vec::new()
        }
    };
    let (mut seen, mut jobs) = (BTreeSet::new(), Vec::with_capacity(ids.len()));
    for (n, id) in ids.iter().enumerate() {
        let read = match id {
            Value::Number(number) => number.to_string().parse::<JobRef>(),
            Value::String(text) => text.parse(),
            other => Err(format!("is {}; a job's number is expected", kind(other))),
        };
        match read {
            Ok(job) => jobs.extend(seen.insert(job).then_some(job)),
            Err(message) => {
                fields.errors().push(FieldError::new(format!("ids[{n}]"), message));
            }
        }
    }
    fields.finish();
    if errors.is_empty() { Ok(jobs) } else { Err(BodyRefused::Fields(errors)) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::job::ids::JobId;

    fn read(body: &Value) -> Result<Vec<JobRef>, Vec<String>> {
        parse(body.to_string().as_bytes()).map_err(|refused| match refused {
            BodyRefused::Fields(faults) => {
                faults.listed().into_iter().map(|fault| fault.field).collect()
            }
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn numbers_and_tasks_are_read_and_each_once() {
        let job = |job, task| JobRef { job: JobId(job), task };
        let body = json!({"ids": [17, "18_4", "17", 3]});
        assert_eq!(read(&body).unwrap(), [job(17, None), job(18, Some(4)), job(3, None)]);
    }

    #[test]
    fn every_fault_is_named() {
        let fields = |body: Value| read(&body).unwrap_err();
        assert_eq!(fields(json!({})), ["ids"]);
        assert_eq!(fields(json!({"ids": []})), ["ids"]);
        assert_eq!(fields(json!({"ids": 17})), ["ids"]);
        assert_eq!(fields(json!({"ids": vec![1; IDS_MAX + 1]})), ["ids"]);
        assert_eq!(fields(json!({"ids": [1, "x", true], "all": 1})), ["ids[1]", "ids[2]", "all"]);
    }
}
