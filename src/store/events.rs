//! *Purpose*: some transitions, as they are asked for.
//!
//! *Owns*: [`EventFilter`], [`EventPage`].
//!
//! *Promises*: a page says how far it came, however few transitions are on it.
//!
//! *Not here*: the question (`store::body`), who follows (`api::events`).

use super::record::EventRecord;
use crate::job::ids::{EventId, JobId};
use crate::job::state::StateWord;

/// Which transitions; a part that is empty leaves none out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of one of these jobs, or of a task of one of these arrays.
    pub jobs: Vec<JobId>,
    /// Into one of these states.
    pub states: Vec<StateWord>,
    /// Of jobs with each of these labels.
    pub labels: Vec<(String, String)>,
}

/// Some transitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPage {
    /// Those that are asked for, oldest first.
    pub events: Vec<EventRecord>,
    /// The last that was looked at, asked for or not; `None` when there was none.
    pub looked_to: Option<EventId>,
}
