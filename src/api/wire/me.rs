//! *Purpose*: who asks, as JSON.
//!
//! *Owns*: [`Me`].
//!
//! *Promises*: what stands here is what the server goes by.
//!
//! *Not here*: how it is found out (`api::caller`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use crate::kernel::access::{Role, Via};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// As events and history name him.
    #[schema(example = "alice")]
    pub user: String,
    /// His number; null of a token.
    pub uid: Option<u32>,
    /// What he may do.
    pub role: Role,
    /// How he is known.
    pub via: Via,
}
