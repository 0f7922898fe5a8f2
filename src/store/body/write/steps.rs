//! *Purpose*: what jobs say of their steps, as rows.
//!
//! *Owns*: the writing of `steps`.
//!
//! *Promises*: telling again replaces what was told of the same step.
//!
//! *Not here*: reading them (`store::steps`).

use diesel::prelude::*;

use super::super::Conn;
use crate::job::ids::Attempt;
use crate::job::step::Step;
use crate::store::error::StoreError;
use crate::store::schema::steps;

pub(super) fn noted(conn: &mut Conn, attempt: Attempt, step: &Step) -> Result<(), StoreError> {
    let end = step.end;
    let said = (
        steps::name.eq(&*step.name),
        steps::tasks.eq(step.tasks.cast_signed()),
        steps::cpus.eq(step.cpus.cast_signed()),
        steps::start_time.eq(step.start.0),
        steps::end_time.eq(end.map(|end| end.time.0)),
        steps::exit_code.eq(end.map(|end| end.exit.to_string())),
        steps::user_cpu_us.eq(end.map(|end| end.usage.user_us)),
        steps::system_cpu_us.eq(end.map(|end| end.usage.system_us)),
        steps::max_rss_bytes.eq(end.map(|end| end.usage.max_rss_bytes)),
    );
    let key = (
        steps::job_id.eq(attempt.job.0),
        steps::attempt.eq(attempt.n.cast_signed()),
        steps::step.eq(step.no.cast_signed()),
    );
    let (job, n, no) = key;
    let same = steps::table.filter(job.and(n).and(no));
    if diesel::update(same).set(said.clone()).execute(conn)? == 0 {
        diesel::insert_into(steps::table).values((key, said)).execute(conn)?;
    }
    Ok(())
}
