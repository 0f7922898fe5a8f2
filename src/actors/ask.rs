//! *Purpose*: questions of actors to the database.
//!
//! *Owns*: [`ask`].
//!
//! *Promises*: no actor waits on its own thread.
//!
//! *Not here*: the questions (`store::read`).

use crate::store::backend::Readers;
use crate::store::error::StoreError;
use crate::store::reader::Reader;

/// A question to the database, away from the actors' thread.
pub(super) async fn ask<T, Q>(readers: &Readers, question: Q) -> Result<T, String>
where
    T: Send + 'static,
    Q: FnOnce(&mut dyn Reader) -> Result<T, StoreError> + Send + 'static,
{
    let readers = readers.clone();
    let asked = actix_rt::task::spawn_blocking(move || readers.read(question)).await;
    asked.map_err(|e| e.to_string())?.map_err(|e| e.to_string())
}
