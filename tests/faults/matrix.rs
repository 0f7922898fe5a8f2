//! *Purpose*: runs the crash matrix and shows it.
//!
//! *Owns*: the threads that share the cases; `target/crash-matrix*.txt`.
//!
//! *Promises*: every case is run, whatever became of another, and all failures are listed.
//!
//! *Not here*: one case (`case`).

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use downbeat::people::{Directory, NameService};

use crate::case::{self, Users};
use crate::table::{Case, ROWS, Trigger, cases};

/// Cases at once: they wait more than they work.
const THREADS: usize = 6;
/// One case in so many is played with jobs of two users, where nobody asks for all of them.
const PART: usize = 5;
/// So much of a failure is in the table; the whole is above it.
const SHOWN: usize = 200;

#[test]
fn every_fault_point_has_a_case() {
    let points: BTreeSet<&str> = downbeat::fault::POINTS.iter().map(|(name, _)| *name).collect();
    assert_eq!(points.len(), downbeat::fault::POINTS.len(), "a name is there twice");
    let rows: BTreeSet<&str> = ROWS.iter().map(|row| row.point).collect();
    assert_eq!(points, rows);
    let with_case: BTreeSet<&str> = cases().iter().map(|case| case.row.point).collect();
    assert_eq!(points, with_case);
}

/// `DOWNBEAT_FAULT_CASES=launch.` runs those whose point begins so.
fn wanted() -> Vec<Case> {
    let only = std::env::var("DOWNBEAT_FAULT_CASES").unwrap_or_default();
    cases().into_iter().filter(|case| case.row.point.starts_with(&only)).collect()
}

fn line(case: &Case, outcome: &str) -> String {
    // At some points two things can be under way.
    let early = if case.row.trigger == Trigger::CancelEarly { ", cancelled" } else { "" };
    let point = format!("{}{early}", case.row.point);
    format!("{point:<30} | {:<31} | {:<13} | {outcome}", case.victims, case.restart)
}

#[test]
fn whatever_is_killed_at_whatever_point_no_promise_is_broken() {
    play(&wanted(), Users::One, "crash-matrix.txt");
}

/// On a server of all users a part of the cases; all with `DOWNBEAT_FAULT_USERS=all`.
#[test]
fn with_jobs_of_two_users_no_promise_is_broken_either() {
    const TWO: Users = Users::Two("dbt-alice", "dbt-bob");
    let is_there = |name| matches!(NameService.uid_of(name), Ok(Some(_)));
    if !rustix::process::geteuid().is_root() || !is_there("dbt-alice") || !is_there("dbt-bob") {
        let why = "it needs root, and the users that tests/run makes";
        assert!(std::env::var_os("CI").is_none(), "{why}");
        println!("SKIPPED with_jobs_of_two_users_no_promise_is_broken_either: {why}");
        return;
    }
    let part =
        if std::env::var("DOWNBEAT_FAULT_USERS").is_ok_and(|all| all == "all") { 1 } else { PART };
    let cases: Vec<Case> = wanted().into_iter().step_by(part).collect();
    play(&cases, TWO, "crash-matrix-of-two-users.txt");
}

fn play(cases: &[Case], users: Users, file: &str) {
    let begun = std::time::Instant::now();
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<(usize, Result<String, String>)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some((at, case)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    cases.get(at).map(|case| (at, case))
                } {
                    let ran = std::panic::catch_unwind(|| case::run(case, users));
                    let outcome = ran.map_err(|panic| {
                        eprintln!("--- that was: {} ---", line(case, "FAILED"));
                        let text = panic.downcast_ref::<String>().cloned();
                        let text = text.unwrap_or_default().replace('\n', " ");
                        format!("BROKEN {}", text.chars().take(SHOWN).collect::<String>())
                    });
                    outcomes.lock().unwrap().push((at, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap();
    outcomes.sort_by_key(|(at, _)| *at);
    let mut table = line_of_heads();
    let mut broken = Vec::new();
    for (at, outcome) in &outcomes {
        let outcome = outcome.as_ref().unwrap_or_else(|panic| {
            broken.push(line(&cases[*at], panic));
            panic
        });
        let _ = writeln!(table, "{}", line(&cases[*at], outcome));
    }
    let points: BTreeSet<&str> = cases.iter().map(|case| case.row.point).collect();
    let _ = writeln!(
        table,
        "{} cases at {} points, {} broken, {:.0} s",
        cases.len(),
        points.len(),
        broken.len(),
        begun.elapsed().as_secs_f64()
    );
    println!("{table}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(file);
    std::fs::write(file, &table).unwrap();
    assert_eq!(outcomes.len(), cases.len());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn line_of_heads() -> String {
    format!("{:<30} | {:<31} | {:<13} | outcome\n", "point", "victims", "restart")
}
