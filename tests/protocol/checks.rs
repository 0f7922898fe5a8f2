//! *Purpose*: what an outsider who sees everything holds against the server.
//!
//! *Owns*: the comparison of kernel, disk and the truth about processes.
//!
//! *Promises*: a panic names the sentence that is broken.
//!
//! *Not here*: the kernel's own invariants (`kernel::check`, asked here too).

use std::collections::BTreeSet;

use downbeat::job::ids::Attempt;
use downbeat::job::outcome::{EndState, Stop};
use downbeat::job::state::{EndReason, StateWord};
use downbeat::kernel::change::{PREEMPTED, REQUEUED};
use downbeat::kernel::check;

use super::clients::Clients;
use super::disk::Disk;
use super::engine::Engine;
use super::server::Server;

/// True at every moment.
pub fn no_cpu_leaks(server: &Server, disk: &Disk, engine: &Engine) {
    let laws = [check::all, check::no_amount_is_handed_out_twice];
    if let Some(broken) = laws.iter().find_map(|law| law(&server.kernel).err()) {
        panic!("{broken}");
    }
    for (attempt, cpus) in &engine.alive {
        let Some(live) = server.kernel.live().get(&attempt.job) else {
            panic!("{attempt} lives without CPUs");
        };
        let held = live.state.allocation().map_or(&[][..], |a| a.cpus());
        // Region by region as they were given, ascending as they were taken up by another server.
        let (held, given): (BTreeSet<_>, BTreeSet<_>) =
            (held.iter().collect(), cpus.iter().collect());
        assert_eq!((live.attempt(), held), (*attempt, given), "a tree keeps its CPUs");
        let row = disk.live(*attempt);
        assert_eq!(row.map(|r| &r.cpus), Some(cpus), "{attempt} keeps its CPUs on disk");
    }
}

/// True at every moment: a stop is ordered if and only if its cancel or requeue is durable (once
/// the server knows that, which it does when the commit has come back).
pub fn stops_follow_cancels(server: &Server, disk: &Disk) {
    let all_known = server.snapshot.commit_no.0 == disk.commit_no;
    for (attempt, executor) in &server.executors {
        let Some(row) = disk.live(*attempt) else { continue };
        let told = row.completing.is_some_and(EndReason::is_told);
        assert!(told || !executor.stop, "{attempt} is stopped before that is durable");
        assert!(!told || executor.stop || !all_known, "{attempt} is not stopped");
    }
}

/// After each commit: the ends that it brought are true.
pub fn ends_are_true(disk: &Disk, engine: &Engine, clients: &Clients) {
    for job in &disk.just_ended {
        let row = &disk.rows[job];
        let Some(end) = &row.end else { panic!("job {job} has ended without an end") };
        if row.ended_waiting {
            let asked = clients.asked.contains(job) && end.word == StateWord::Cancelled;
            assert!(asked, "job {job} is {} and never started", end.word);
        } else {
            an_end_is_true(row.attempt(), end, engine, clients);
        }
    }
    for (attempt, past) in &disk.just_past {
        let lives = engine.alive.contains_key(attempt);
        assert!(!lives, "job {} waits again and lives", attempt.job);
        // That nobody is preempted in vain or twice is asked where it is committed.
        if past.state == PREEMPTED {
            continue;
        }
        let asked = past.state == REQUEUED;
        let row = &disk.rows[&attempt.job];
        match &row.retry {
            Some(policy) if !asked => {
                let caused = policy.on.iter().any(|cause| cause.covers(&past.end));
                assert!(caused, "{attempt} is retried after {:?}", past.end);
                assert!(row.retries <= policy.max, "job {} is retried too often", attempt.job);
                an_end_is_true(*attempt, &past.end, engine, clients);
            }
            _ => assert!(asked, "{attempt} is {} and nobody asked for another", past.state),
        }
        let asked_for = clients.requeued.contains(&attempt.job);
        assert!(!asked || asked_for, "nobody asked to run {attempt} again");
    }
}

fn an_end_is_true(attempt: Attempt, end: &EndState, engine: &Engine, clients: &Clients) {
    let job = attempt.job;
    let record = engine.records.get(&attempt);
    assert!(!engine.alive.contains_key(&attempt), "job {job} has ended and lives");
    let true_code = record.and_then(|r| r.exit_code);
    assert_eq!(end.exit_code, true_code, "job {job} has its true code or an unknown one");
    let stop = record.and_then(|r| r.stop);
    let failed_to_start = record.is_some_and(|r| r.launch_error.is_some());
    let clean = true_code.is_some_and(|c| c.code == 0 && c.signal == 0);
    let is_honest = match end.word {
        StateWord::Completed => clean && stop.is_none(),
        StateWord::Failed => failed_to_start || (true_code.is_some() && !clean && stop.is_none()),
        StateWord::Timeout => stop == Some(Stop::TimeLimit),
        StateWord::Cancelled => clients.asked.contains(&job),
        StateWord::NodeFail => record.is_none(),
        _ => false,
    };
    assert!(is_honest, "job {job} is said to be {}, its record is {record:?}", end.word);
}
