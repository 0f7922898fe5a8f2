//! *Purpose*: requests that changed something, as JSON.
//!
//! *Owns*: [`HistoryEntry`].
//!
//! *Promises*: nothing that its sender said about himself stands in it.
//!
//! *Not here*: which there are (`api::history`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::job::ids::JobId;

/// A request that changed something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    /// Its place in the order of all.
    pub id: i64,
    /// When.
    #[schema(format = DateTime)]
    pub time: String,
    /// Who asked, as events name him.
    #[schema(example = "alice")]
    pub user: String,
    /// His number; null of whoever sent the token of a server of one user.
    pub uid: Option<u32>,
    /// What he was to the server: `viewer`, `user`, `operator` or `admin`.
    pub role: String,
    /// How he was known: `socket`, `tcp` or `token`.
    pub via: String,
    /// The token that he sent, of his own.
    pub token: Option<String>,
    /// The process that sent it, over a socket.
    pub process_id: Option<i32>,
    /// The address that sent it, over TCP.
    pub remote: Option<String>,
    /// The number of the request.
    pub request_id: String,
    /// What was asked for.
    #[schema(example = "cancel")]
    pub verb: String,
    /// The job that it was about, or the first of several.
    #[schema(value_type = Option<i64>)]
    pub job_id: Option<JobId>,
    /// How many jobs it was about, in a row.
    pub count: u32,
    /// What else there is to say.
    pub detail: String,
}
