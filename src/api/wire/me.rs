//! *Purpose*: who asks, as JSON.
//!
//! *Owns*: [`Me`], [`Via`], [`Role`].
//!
//! *Promises*: what stands here is what the server goes by.
//!
//! *Not here*: how it is found out (`api::caller`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How somebody is known.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Via {
    /// He reached the socket in the data folder; the kernel says who he is.
    Socket,
    /// His is the other end of a connection on loopback; the kernel says so.
    Tcp,
    /// He sent a token.
    Token,
}

/// What somebody may do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// Submit jobs and give orders about all of them.
    User,
    /// That, and what needs the administrators' token where there is one.
    Admin,
}

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
