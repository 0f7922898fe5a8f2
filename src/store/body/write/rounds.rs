//! *Purpose*: what a commit writes, list by list.
//!
//! *Owns*: the order of statements within a transaction.
//!
//! *Promises*: that of `store::writes`. A row of a list that is not as the kernel knows it fails
//! the commit, which says which job it is.
//!
//! *Not here*: which rows those are (`store::writes`).

use super::super::load::{self, Numbers};
use super::super::{Conn, dialect};
use super::attempts::{gave_back, reclaimed, restored, warned};
use super::forget::forgotten;
use super::guard::exactly;
use super::requeued::requeued;
use super::suspended::suspended;
use super::{
    arrays, attempt_usage, edit, maintenance, requeued, samples, signals, steps, tokens, usage,
};
use crate::job::ids::CommitNo;
use crate::kernel::change::Change;
use crate::store::error::StoreError;
use crate::store::rows::NewJob;
use crate::store::updates::FenceRow;
use crate::store::writes::{Part, Round, Writes};

/// Writes all of it.
pub(super) fn write(conn: &mut Conn, writes: &Writes<'_>) -> Result<(), StoreError> {
    fence(conn, &writes.fence)?;
    let jobs: Vec<NewJob<'_>> = writes.jobs.iter().map(NewJob::from).collect();
    dialect::insert(conn, &jobs)?;
    dialect::insert(conn, &writes.scripts)?;
    dialect::insert(conn, &writes.labels)?;
    for (event, array) in &writes.arrays {
        arrays::entered(conn, event, array)?;
    }
    for Part { rounds, beside, then } in &writes.parts {
        for one in rounds {
            round(conn, one)?;
        }
        for change in beside.iter().chain(then) {
            alone(conn, change)?;
        }
    }
    dialect::insert(conn, &writes.keys)?;
    dialect::insert(conn, &writes.asked)?;
    usage::charged(conn, &writes.charged)?;
    dialect::insert(conn, &writes.events)?;
    Ok(())
}

fn fence(conn: &mut Conn, row: &FenceRow) -> Result<(), StoreError> {
    if dialect::update_all(conn, std::slice::from_ref(row))?.is_none() {
        return Ok(());
    }
    let Numbers { commit_no: CommitNo(at), epoch, .. } = load::numbers(conn)?;
    Err(StoreError::Fenced { at, epoch })
}

fn round(conn: &mut Conn, round: &Round<'_>) -> Result<(), StoreError> {
    exactly(conn, &round.granted)?;
    exactly(conn, &round.placed)?;
    exactly(conn, &round.started)?;
    exactly(conn, &round.completing)?;
    exactly(conn, &round.ended)?;
    for (job, warnings) in &round.warned {
        warned(conn, *job, warnings)?;
    }
    // Not guarded: the rows of the jobs were.
    dialect::update_all(conn, &round.processes)?;
    gave_back(conn, &round.released)?;
    dialect::insert(conn, &round.allocations)?;
    // Who already holds a unit is refused by the key of the table.
    dialect::insert(conn, &round.held)?;
    Ok(())
}

/// What is written by itself.
fn alone(conn: &mut Conn, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::Submitted { .. }
        | Change::Asked(_)
        | Change::Key(_)
        | Change::Charged { .. }
        | Change::Granted { .. }
        | Change::Started { .. }
        | Change::Completing { .. }
        | Change::Ended { .. } => Ok(()), // In lists.
        Change::Split { event, array, task, left, .. } => {
            arrays::split(conn, event, *array, *task, left)
        }
        Change::StepNoted { attempt, step } => steps::noted(conn, *attempt, step),
        Change::Told { job, told } => requeued::told(conn, *job, told),
        Change::Claimed { job, since } => requeued::claimed(conn, *job, *since),
        Change::Edited { event, edit } => edit::edited(conn, event, edit),
        Change::Signalled { event, signal, given } => {
            signals::signalled(conn, event, *signal, *given)
        }
        Change::Suspended { event, suspension } => suspended(conn, event, *suspension),
        Change::Requeued { event, past, begin, held, retries, partition } => {
            requeued(conn, event, past.as_ref(), *begin, (*held, *retries))?;
            requeued::in_partition(conn, event, partition.as_deref())
        }
        Change::Reclaimed { job, time, .. } => reclaimed(conn, *job, *time),
        Change::Restored { attempt, cpus, rest } => restored(conn, *attempt, (cpus, rest)),
        Change::Sampled(sample) => samples::sampled(conn, sample),
        Change::UsageKept { attempt, series } => attempt_usage::kept(conn, *attempt, series),
        Change::Forgotten { jobs } => forgotten(conn, jobs),
        Change::TokenMade(token) => tokens::made(conn, token),
        Change::TokensRevoked(ids) => tokens::revoked(conn, ids),
        Change::Maintained(window) => maintenance::maintained(conn, window),
        Change::Resumed(ids) => maintenance::resumed(conn, ids),
    }
}
