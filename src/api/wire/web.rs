//! *Purpose*: what lets a browser in, as JSON.
//!
//! *Owns*: [`WebCode`], [`WebSession`].
//!
//! *Promises*: each text stands in the answer to its making alone.
//!
//! *Not here*: who gets one (`api::web_login`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A code that was just made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebCode {
    /// What stands behind `#code=` in the address of `/`, and what `POST /web/sessions` takes.
    pub code: String,
    /// From when on it opens nothing.
    #[schema(format = DateTime)]
    pub expires_at: String,
    /// Where programs on the server's machine reach it.
    #[schema(example = "http://127.0.0.1:8000")]
    pub address: String,
}

/// A session that was just opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebSession {
    /// What is sent as `Authorization: Bearer TOKEN`. It is shown this once.
    pub token: String,
    /// From when on it opens nothing.
    #[schema(format = DateTime)]
    pub expires_at: String,
}
