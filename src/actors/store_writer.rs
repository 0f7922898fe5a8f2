//! *Purpose*: carries commits to the database, one at a time, on a thread of its own.
//!
//! *Owns*: the [`Writer`], and with it the only writing connection.
//!
//! *Promises*: the answer leaves after COMMIT; what must not be tried again aborts the process,
//! since only boot can repair it.
//!
//! *Not here*: what a commit holds (`kernel::outbox`), retries (`actors::resource_manager`).

use actix::prelude::*;

use super::messages::{DoChores, MakeDurable, Move};
use crate::clock;
use crate::store::write::{CommitError, Launches};
use crate::store::writer::Writer;

/// Mailbox: one commit in flight and a chore.
const MAILBOX: usize = 4;

/// Lives on an arbiter of its own, since SQLite blocks.
pub struct StoreWriter {
    writer: Box<dyn Writer>,
}

impl StoreWriter {
    /// Takes the writer over.
    #[must_use]
    pub fn new(writer: Box<dyn Writer>) -> StoreWriter {
        StoreWriter { writer }
    }
}

impl Actor for StoreWriter {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<MakeDurable> for StoreWriter {
    type Result = Result<Launches, CommitError>;

    fn handle(&mut self, MakeDurable(commit): MakeDurable, _: &mut Self::Context) -> Self::Result {
        let result = self.writer.commit(&commit);
        if let Err(CommitError::Fatal(error)) = &result {
            panic!("commit {} must not be tried again: {error}", commit.no);
        }
        result
    }
}

impl Handler<Move> for StoreWriter {
    type Result = ();

    fn handle(&mut self, Move: Move, _: &mut Self::Context) {}
}

impl Handler<DoChores> for StoreWriter {
    type Result = ();

    fn handle(&mut self, chores: DoChores, _: &mut Self::Context) {
        if let Err(error) = self.writer.look_after() {
            log::warn!("{error}");
        }
        if let Err(error) = self.writer.wipe() {
            log::debug!("what was forgotten still stands in the log: {error}");
        }
        match self.writer.forget_old_keys(clock::now()) {
            Ok(0) => {}
            Ok(n) => log::debug!("forgot {n} idempotency keys older than a day"),
            Err(error) => log::warn!("idempotency keys were not pruned: {error}"),
        }
        match self.writer.forget_old_tokens(clock::now()) {
            Ok(0) => {}
            Ok(n) => log::debug!("forgot {n} tokens that have long expired"),
            Err(error) => log::warn!("tokens were not pruned: {error}"),
        }
        match self.writer.forget_old_signals() {
            Ok(0) => {}
            Ok(n) => log::debug!("forgot {n} signals of attempts that are over"),
            Err(error) => log::warn!("signals were not pruned: {error}"),
        }
        match self.writer.fold_samples(clock::now()) {
            Ok(0) => {}
            Ok(n) => log::debug!("put {n} samples of minutes together"),
            Err(error) => log::warn!("old samples were not put together: {error}"),
        }
        let Some(before) = chores.forget_before else { return };
        match self.writer.forget_old_samples(before) {
            Ok(0) => {}
            Ok(n) => log::debug!("forgot {n} old samples"),
            Err(error) => log::warn!("samples were not pruned: {error}"),
        }
        match self.writer.forget_old_requests(before) {
            Ok(0) => {}
            Ok(n) => log::debug!("forgot who asked for what in {n} requests"),
            Err(error) => log::warn!("requests were not pruned: {error}"),
        }
    }
}
