//! *Purpose*: a job that goes back into the queue, on a real file.
//!
//! *Owns*: both ways back, the way of one commit to the next attempt, and what a start reads.
//!
//! *Promises*: counts and books agree with the rows after each.
//!
//! *Not here*: when a job goes back (`kernel::commands::requeue`).

use super::*;
use crate::job::retry_policy::RetryPolicy;
use crate::job::state::{AttemptEnd, EndReason, Hold};
use crate::kernel::access::Scope;
use crate::kernel::commands::requeue::Requeued;
use crate::kernel::outbox::{KEY_WINDOW_COMMITS, ReadFreshness};
use crate::kernel::parts::conditions::Blocked;

type Past = (u32, Option<AttemptEnd>, Option<ExitCode>, bool);

fn history(world: &World, id: JobId) -> Vec<Past> {
    let readers = world.database().readers().unwrap();
    let rows =
        readers.read(|db| db.allocations((Some(id), None), None, 9, &Scope::SERVER)).unwrap().value;
    rows.into_iter().map(|row| (row.attempt.n, row.end, row.exit_code, row.released)).collect()
}

const CODE: Option<ExitCode> = Some(ExitCode { code: 3, signal: 0 });

#[test]
fn the_end_of_an_attempt_and_the_next_grant_may_be_one_commit() {
    let Some(mut world) = World::new() else { return };
    let id = world.submit();
    world.start();
    let (_, step) = world.kernel.requeue_asked(id, Hold::No, &"me".into(), Time(3));
    world.commit(step);
    assert_eq!(world.job(id).unwrap().0.completing, Some(EndReason::Requeued { hold: Hold::No }));
    let mut step = world.fact(id, exited());
    let (started, _, grant) = world.kernel.start(&planned(&world.kernel), Time(5));
    assert_eq!(started, 1);
    step.changes.extend(grant.changes);
    world.commit(step);
    let (row, _) = world.job(id).unwrap();
    assert_eq!((row.state, row.attempt, row.restarts), (StateWord::Running, 2, 1));
    assert_eq!((row.exit_code, row.process_id, row.completing), (None, None, None));
    assert_eq!((row.start_time, row.end_time, row.usage), (None, None, None));
    let past = (1, Some(AttemptEnd::Requeued), CODE, true);
    assert_eq!(history(&world, id), [(2, None, None, false), past]);
    let (kernel, _) = boot(&mut world.writer);
    assert_eq!(kernel.live()[&id].attempt().n, 2);
    assert_eq!(check::all(&kernel), Ok(()));
}

#[test]
fn a_wait_before_a_retry_and_what_is_used_up_outlive_the_server() {
    let Some(mut world) = World::new() else { return };
    let (id, step) = world.submission(job().retry(RetryPolicy::usual(2)));
    world.commit(step);
    world.start();
    let step = world.fact(id, exited());
    world.commit(step);
    let (row, _) = world.job(id).unwrap();
    let at = Time(4).plus_s(10);
    assert_eq!((row.begin_time, row.retries, row.restarts), (Some(at), 1, 1));
    assert_eq!(history(&world, id), [(1, Some(AttemptEnd::Job(StateWord::Failed)), CODE, true)]);
    let (kernel, _) = boot(&mut world.writer);
    assert_eq!(kernel.blocked(id, Time(5)), Some(Blocked::BeginTime(at)));
    assert_eq!(kernel.retries(), world.kernel.retries());
}

#[test]
fn a_job_that_was_over_goes_back_only_if_nothing_has_changed_it_since() {
    let Some(mut world) = World::new() else { return };
    let id = world.submit();
    world.start();
    let step = world.fact(id, exited());
    world.commit(step);
    let readers = world.database().readers().unwrap();
    let found = readers.read(|db| db.job(id)).unwrap();
    let (over, read_at) = (found.value.unwrap().0.if_over().unwrap(), found.commit_no);
    assert_eq!(world.outbox.check_over(id, read_at), ReadFreshness::Fresh);
    let (told, step) = world.kernel.requeue_over(over, Hold::No, &"me".into(), Time(7));
    assert_eq!(told, Requeued::Waiting);
    let commit = world.next(step);
    let again = ReadFreshness::LookAgain(commit.no);
    assert_eq!(world.outbox.check_over(id, read_at), again, "before it is durable");
    world.writer.commit(&commit).unwrap();
    world.outbox.settle(commit.no);
    assert_eq!(world.outbox.check_over(id, read_at), again);
    assert_eq!(world.outbox.check_over(id, commit.no), ReadFreshness::Fresh);
    let (row, _) = world.job(id).unwrap();
    assert_eq!((row.state, row.eligible_time), (StateWord::Pending, Time(7)));
    assert_eq!(row.if_over(), None);
    let (kernel, _) = boot(&mut world.writer);
    let failed = |kernel: &Kernel| kernel.snapshot().count(StateWord::Failed);
    assert_eq!((failed(&world.kernel), failed(&kernel), kernel.queue().len()), (0, 0, 1));
    let long_ago = CommitNo(commit.no.0 - KEY_WINDOW_COMMITS - 1);
    assert_eq!(world.outbox.check_over(JobId(99), long_ago), again, "beyond what is known");
}
