//! *Purpose*: what an outsider who sees everything holds against the server.
//!
//! *Owns*: the comparison of kernel, disk and the truth about processes.
//!
//! *Promises*: a panic names the sentence that is broken.
//!
//! *Not here*: the kernel's own invariants (`kernel::check`, asked here too).

use downbeat::kernel::check;
use downbeat::kernel::ids::JobId;
use downbeat::kernel::job::StateWord;
use downbeat::kernel::transition::{EndReason, Stop};

use super::clients::Clients;
use super::disk::{Disk, Row};
use super::engine::Engine;
use super::server::Server;

/// True at every moment.
pub fn no_cpu_leaks(server: &Server, disk: &Disk, engine: &Engine) {
    let laws = [check::all, check::memory_is_not_handed_out_twice];
    if let Some(broken) = laws.iter().find_map(|law| law(&server.kernel).err()) {
        panic!("{broken}");
    }
    for (attempt, cpus) in &engine.alive {
        let Some(live) = server.kernel.live().get(&attempt.job) else {
            panic!("{attempt} lives without CPUs");
        };
        let held = live.state.allocation().map_or(&[][..], |a| a.cpus());
        assert_eq!((live.attempt(), held), (*attempt, &cpus[..]), "a tree keeps its CPUs");
        let row = disk.live(*attempt);
        assert_eq!(row.map(|r| &r.cpus), Some(cpus), "{attempt} keeps its CPUs on disk");
    }
}

/// True at every moment: a stop is ordered if and only if its cancel is durable (once the
/// server knows that, which it does when the commit has come back).
pub fn stops_follow_cancels(server: &Server, disk: &Disk) {
    let all_known = server.snapshot.commit_no.0 == disk.commit_no;
    for (attempt, executor) in &server.executors {
        let Some(row) = disk.live(*attempt) else { continue };
        let cancelled = row.completing == Some(EndReason::Cancelled);
        assert!(cancelled || !executor.stop, "{attempt} is stopped before its cancel is durable");
        assert!(!cancelled || executor.stop || !all_known, "{attempt} is cancelled, not stopped");
    }
}

/// After each commit: the ends that it brought are true.
pub fn ends_are_true(disk: &Disk, engine: &Engine, clients: &Clients) {
    for job in &disk.just_ended {
        an_end_is_true(*job, &disk.rows[job], engine, clients);
    }
}

fn an_end_is_true(job: JobId, row: &Row, engine: &Engine, clients: &Clients) {
    let attempt = row.attempt();
    let Some(end) = &row.end else { panic!("job {job} has ended without an end") };
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
