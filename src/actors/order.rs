//! *Purpose*: makes the order of an attempt from its rows.
//!
//! *Owns*: [`Orders`], [`FromStore`]; [`NoOrder`], why there is none.
//!
//! *Promises*: the same rows make the same order, but for the time that is left until a deadline,
//! and for who its owner is now: a job of somebody who is not who he was, or may have no jobs any
//! more, gets no order.
//!
//! *Not here*: the variables (`actors::environment`), launching (`engine`), what a job asked
//! for (`job::spec`).

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::environment::{Told, environment};
use super::owners::{NotRun, RunsAs};
use super::site::OrderSite;
use crate::clock;
use crate::engine::{Key, Order};
use crate::job::ids::{Attempt, EventId};
use crate::job::signal::NumberedSignal;
use crate::job::suspension::Suspension;
use crate::store::backend::Readers;
use crate::store::error::StoreError;
use crate::store::read::LaunchRecords;
use crate::store::reader::Reader;
use crate::store::record::JobRecord;
use crate::time::{SECOND_US, Time};

/// Why there is no order.
#[derive(Debug, thiserror::Error)]
pub enum NoOrder {
    /// What the database says.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is said of its owner.
    #[error(transparent)]
    Owner(#[from] NotRun),
}

/// What can change of an order while its script runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// How long the script may run, seconds, without the time in which it was suspended; `None` is
    /// for ever.
    pub limit_s: Option<u32>,
    /// Whether it is suspended.
    pub suspend: bool,
}

/// Where orders come from.
pub trait Orders: Send + Sync {
    /// The key to the engine of a live attempt.
    ///
    /// # Errors
    /// What the database says.
    fn key(&self, attempt: Attempt) -> BoxFuture<'_, Result<Key, StoreError>>;

    /// The order of a live attempt.
    ///
    /// # Errors
    /// What the database says.
    fn order(&self, attempt: Attempt) -> BoxFuture<'_, Result<Order, NoOrder>>;

    /// The same, where the records are at hand.
    ///
    /// # Errors
    /// When its owner may not have it started.
    fn order_from(
        &self,
        attempt: Attempt,
        records: LaunchRecords,
    ) -> BoxFuture<'_, Result<Order, NoOrder>>;

    /// Signals of a live attempt behind this one that its supervisor may not have yet, in order.
    ///
    /// # Errors
    /// What the database says.
    fn signals(
        &self,
        attempt: Attempt,
        after: EventId,
    ) -> BoxFuture<'_, Result<Vec<NumberedSignal>, StoreError>>;

    /// What the supervisor of a live attempt shall do whose script was started then.
    ///
    /// # Errors
    /// What the database says.
    fn wish(&self, attempt: Attempt, start: Time) -> BoxFuture<'_, Result<Wish, StoreError>>;
}

/// Orders from the database.
pub struct FromStore {
    readers: Readers,
    site: Arc<OrderSite>,
    /// Of attempts of this start of the server the key is known without a question.
    nonce: Arc<str>,
    boot_id: Arc<str>,
    /// Of attempts that were live at boot.
    older: BTreeMap<Attempt, (Arc<str>, Arc<str>)>,
}

impl FromStore {
    /// Orders read through these readers. `older` are the keys of attempts that live already.
    #[must_use]
    pub fn new(
        readers: Readers,
        site: Arc<OrderSite>,
        (nonce, boot_id): (Arc<str>, Arc<str>),
        older: Vec<crate::store::load::AttemptKey>,
    ) -> FromStore {
        let older = older.into_iter().map(|(a, nonce, boot)| (a, (nonce, boot))).collect();
        FromStore { readers, site, nonce, boot_id, older }
    }

    fn key_of(&self, attempt: Attempt) -> Key {
        let (nonce, boot_id) =
            self.older.get(&attempt).map_or((&self.nonce, &self.boot_id), |(n, b)| (n, b));
        Key { attempt, nonce: nonce.to_string(), boot_id: boot_id.to_string() }
    }
}

impl FromStore {
    async fn read<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut dyn Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = self.readers.clone();
        let read = actix_rt::task::spawn_blocking(move || readers.read(ask));
        read.await.unwrap_or_else(|e| Err(StoreError::Transient(e.to_string())))
    }
}

impl Orders for FromStore {
    fn key(&self, attempt: Attempt) -> BoxFuture<'_, Result<Key, StoreError>> {
        let key = self.key_of(attempt);
        Box::pin(async { Ok(key) })
    }

    fn order(&self, attempt: Attempt) -> BoxFuture<'_, Result<Order, NoOrder>> {
        Box::pin(async move {
            let records = self.read(move |db| db.launch(attempt.job)).await?;
            self.order_from(attempt, records).await
        })
    }

    fn wish(&self, attempt: Attempt, start: Time) -> BoxFuture<'_, Result<Wish, StoreError>> {
        Box::pin(async move {
            let found = self.read(move |db| db.job(attempt.job)).await?;
            // It is live, so nobody can have forgotten it.
            let gone = || StoreError::Transient(format!("job {} is not there", attempt.job));
            let (job, _) = found.value.ok_or_else(gone)?;
            let Suspension { since, past_us } = job.suspension;
            // A deadline is no later for that.
            let limit_s = limit_s(&job, Time(start.0.saturating_add(past_us)));
            Ok(Wish { limit_s, suspend: since.is_some() })
        })
    }

    fn signals(
        &self,
        attempt: Attempt,
        after: EventId,
    ) -> BoxFuture<'_, Result<Vec<NumberedSignal>, StoreError>> {
        Box::pin(self.read(move |db| db.signals(attempt, after)))
    }

    fn order_from(
        &self,
        attempt: Attempt,
        records: LaunchRecords,
    ) -> BoxFuture<'_, Result<Order, NoOrder>> {
        let key = self.key_of(attempt);
        Box::pin(async move {
            let owner = match &self.site.owners {
                Some(owners) => Some(owners.of(records.job.owner, &records.job.user).await?),
                None => None,
            };
            Ok(order(&self.site, key, records, owner))
        })
    }
}

fn order(site: &OrderSite, key: Key, records: LaunchRecords, owner: Option<RunsAs>) -> Order {
    let dials = *site.dials.borrow();
    let LaunchRecords { job, script, cpus, rest, array_spec } = records;
    let files = site.places.files(
        job.id,
        job.spec.working_directory.as_deref(),
        job.spec.standard_output.as_deref(),
        job.spec.standard_error.as_deref(),
    );
    let own = site.places.own_folder(job.id);
    // A job that keeps anything with the server has a folder there.
    let uses = [&files.working_directory, &files.stdout.root, &files.stderr.root];
    let own_folder = uses.iter().any(|path| path.starts_with(&own)).then_some(own);
    let limit_s = limit_s(&job, clock::now());
    let mut environment = environment(
        site,
        &Told {
            key: &key,
            job: &job,
            script: &script,
            cpus: &cpus,
            array: array_spec,
            working_directory: &files.working_directory,
            limit_s,
            owner: owner.as_ref(),
        },
    );
    let gpus = site.gpus.held(&rest);
    site.gpus.tell(&gpus, &mut environment);
    let denied_devices = site.gpus.denied(&gpus);
    Order {
        key,
        script: script.script,
        script_is_bytes: job.spec.invocation.script_is_bytes,
        environment,
        own_folder,
        create_working_directory: job.spec.create_working_directory
            || job.spec.working_directory.is_none(),
        working_directory: files.working_directory,
        stdout: files.stdout,
        stderr: files.stderr,
        limit_s,
        kill_grace_s: job.spec.kill_grace_s,
        confine_signals: site.confine_signals,
        finish_s: dials.finish_s,
        output_bytes: dials.max_output,
        cpus,
        pin: site.pin,
        memory_bytes: job.memory_bytes,
        denied_devices,
        signal: job.spec.signal,
        open_mode: job.spec.open_mode,
        arguments: job.spec.invocation.arguments,
        standard_input: job.spec.invocation.standard_input.map(Into::into),
        umask: job.spec.invocation.umask,
        limits: job.spec.invocation.limits,
        person: owner.and_then(|owner| owner.person),
    }
}

/// Its time limit, or what is left until its deadline at the start if that is less: at least a
/// second, since a limit of none means for ever.
fn limit_s(job: &JobRecord, start: Time) -> Option<u32> {
    let left_us = job.deadline.map(|deadline| deadline.since_us(start));
    let left = left_us.map(|us| us.max(SECOND_US).unsigned_abs().div_ceil(SECOND_US as u64));
    let limit = job.time_limit_s.map(u64::from);
    let least = limit.into_iter().chain(left).min()?;
    Some(u32::try_from(least).unwrap_or(u32::MAX))
}
