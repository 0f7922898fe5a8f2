//! *Purpose*: a job array as a whole, as JSON.
//!
//! *Owns*: [`ArrayState`], [`ArrayCounts`], [`TaskCounts`].
//!
//! *Promises*: the states of its tasks add up to the tasks that are remembered.
//!
//! *Not here*: its tasks (`wire::job`).

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::job::ids::JobId;
use crate::job::state::StateWord;

/// How the tasks of an array stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArrayState {
    /// The array.
    #[schema(value_type = i64, example = 17)]
    pub array_job_id: JobId,
    /// Its tasks, as they were submitted.
    #[schema(example = "0-99%4")]
    pub tasks: String,
    /// How many of them are in which state: a field for each, named as the state in small letters.
    #[serde(flatten)]
    pub states: TaskCounts,
    /// Whether all have ended.
    pub over: bool,
    /// The lowest task that ended otherwise than COMPLETED; ask for it as for any job.
    #[schema(example = "17_3")]
    pub first_not_completed: Option<String>,
}

/// How many tasks of an array are in which state, in the list that has one row for each array.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArrayCounts {
    /// All that are remembered.
    #[schema(example = 100)]
    pub total: u64,
    /// How many of them are in which state: a field for each, named as the state in small letters.
    #[serde(flatten)]
    pub states: TaskCounts,
}

impl From<BTreeMap<StateWord, u64>> for ArrayCounts {
    fn from(states: BTreeMap<StateWord, u64>) -> ArrayCounts {
        ArrayCounts { total: states.values().sum(), states: TaskCounts(states) }
    }
}

/// How many tasks are in each state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskCounts(pub BTreeMap<StateWord, u64>);

impl TaskCounts {
    /// Tasks in this state.
    #[must_use]
    pub fn of(&self, state: StateWord) -> u64 {
        self.0.get(&state).copied().unwrap_or(0)
    }
}

impl Serialize for TaskCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let states = StateWord::ALL.iter().copied();
        serializer.collect_map(states.map(|state| (field(state), self.of(state))))
    }
}

impl<'de> Deserialize<'de> for TaskCounts {
    /// Other fields beside them are none of these.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TaskCounts, D::Error> {
        let fields = BTreeMap::<String, serde_json::Value>::deserialize(deserializer)?;
        let count = |(name, value): (String, serde_json::Value)| {
            let state: StateWord = name.parse().ok()?;
            let n = value.as_u64().ok_or_else(|| D::Error::custom(format!("{name}: {value}")));
            Some(n.map(|n| (state, n)))
        };
        fields.into_iter().filter_map(count).collect::<Result<_, _>>().map(TaskCounts)
    }
}

impl PartialSchema for TaskCounts {
    fn schema() -> RefOr<Schema> {
        let states = StateWord::ALL.iter().copied();
        let object = states.fold(ObjectBuilder::new(), |object, state| {
            object.property(field(state), u64::schema()).required(field(state))
        });
        object.into()
    }
}

impl ToSchema for TaskCounts {}

/// The name of a state's field.
fn field(state: StateWord) -> String {
    state.word().to_ascii_lowercase()
}
