//! *Purpose*: by what a list of jobs is in order, and where in that order a page ends.
//!
//! *Owns*: [`SortKey`], [`KeyValue`], [`Cursor`].
//!
//! *Promises*: every job has one place: equal values stand by their ids, and whoever has no value
//! stands last, whichever way the list goes.
//!
//! *Not here*: how the jobs are found (`store::body::find`), how a cursor is written
//! (`api::cursor`).

use std::cmp::Ordering;

use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::job::ids::JobId;
use crate::job::state::StateWord;

/// What jobs can be put in order by. Each is called as the field is that a job shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
#[strum(parse_err_ty = String, parse_err_fn = no_key)]
pub enum SortKey {
    /// By their numbers.
    #[default]
    Id,
    /// By when they were submitted.
    SubmitTime,
    /// By when they started; who has not has no value.
    StartTime,
    /// By when they ended; who has not has no value.
    EndTime,
    /// By when they are expected to end: their start and their time limit, moved along by what they
    /// were suspended, or their deadline; who has neither has no value.
    End,
    /// By priority.
    Priority,
    /// By CPUs.
    Cpus,
    /// By time limit; who has none has no value.
    TimeLimitS,
    /// By name, byte by byte.
    Name,
    /// By user, byte by byte.
    User,
    /// By state, in the order of a job's life.
    State,
}

fn no_key(text: &str) -> String {
    let words: Vec<&str> = SortKey::ALL.iter().map(|key| key.word()).collect();
    let words = words.join(", ");
    format!(
        "\"{text}\" is none of position, {words}; a - before one of them but position turns the \
         order round"
    )
}

impl SortKey {
    /// All keys.
    pub const ALL: &'static [SortKey] = <SortKey as VariantArray>::VARIANTS;

    /// The word in JSON and SQL.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Whether its values are texts.
    #[must_use]
    pub fn is_text(self) -> bool {
        matches!(self, SortKey::Name | SortKey::User)
    }
}

/// The value of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyValue {
    /// A number; a time in µs since 1970; the place of a state in a job's life.
    Number(i64),
    /// A text.
    Text(String),
    /// None. It stands last.
    #[default]
    Nothing,
}

impl KeyValue {
    /// The place of a state in a job's life.
    #[must_use]
    pub fn of_state(state: StateWord) -> KeyValue {
        let place = StateWord::ALL.iter().position(|one| *one == state);
        KeyValue::Number(place.unwrap_or_default() as i64)
    }

    /// The state at this place in a job's life.
    #[must_use]
    pub fn state(&self) -> Option<StateWord> {
        match self {
            KeyValue::Number(place) => {
                usize::try_from(*place).ok().and_then(|place| StateWord::ALL.get(place).copied())
            }
            _ => None,
        }
    }
}

/// A job's place in an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Its value; nothing where the id is the key.
    pub value: KeyValue,
    /// Which job.
    pub id: JobId,
}

impl From<JobId> for Cursor {
    fn from(id: JobId) -> Cursor {
        Cursor { value: KeyValue::Nothing, id }
    }
}

impl Cursor {
    /// Which of two jobs comes first.
    #[must_use]
    pub fn compare(&self, other: &Cursor, ascending: bool) -> Ordering {
        let turned = |order: Ordering| if ascending { order } else { order.reverse() };
        let values = self.value.cmp(&other.value);
        let values = match self.value == KeyValue::Nothing || other.value == KeyValue::Nothing {
            true => values,
            false => turned(values),
        };
        values.then_with(|| turned(self.id.cmp(&other.id)))
    }
}
