//! *Purpose*: one supervisor serves one attempt after the other, and no attempt can tell.
//!
//! *Owns*: the cases about who serves, what a former attempt leaves on its supervisor, and when
//! supervisors go.
//!
//! *Promises*: supervisors are told apart by the parent that a script sees.
//!
//! *Not here*: what a supervisor does for its one attempt (`main`).

use std::collections::BTreeSet;

use super::*;

/// Prints who serves it.
const WHO: &str = "echo $PPID";

/// The children of the step daemon.
fn supervisors(stage: &Stage<LocalEngine>) -> Vec<i32> {
    let daemon = stage.engine.step_daemon().unwrap();
    pids().into_iter().filter(|pid| stat(*pid, 1) == Some(daemon.to_string())).collect()
}

async fn served_by(stage: &Stage<LocalEngine>, script: &str) -> i32 {
    let order = stage.order(&format!("{WHO}\n{script}"));
    stage.end(&order).await;
    stage.output(&order).lines().next().unwrap().parse().unwrap()
}

#[test]
fn attempts_in_a_row_share_supervisors() {
    play(async {
        let stage = local();
        let mut who = BTreeSet::new();
        for _ in 0..20 {
            who.insert(served_by(&stage, "true").await);
        }
        assert!(who.len() <= 5, "{who:?} for 20 attempts");
    });
}

#[test]
fn attempts_at_the_same_time_have_a_supervisor_each() {
    play(async {
        let stage = local();
        served_by(&stage, "true").await;
        let orders: Vec<Order> = (0..6).map(|_| stage.order("echo $PPID; sleep 600")).collect();
        let mut who = BTreeSet::new();
        for order in &orders {
            stage.running(order).await;
            who.insert(pids_told(&stage, order, 1).await[0]);
        }
        assert_eq!(who.len(), orders.len(), "{who:?}");
        for order in &orders {
            stage.cancel(order, Some(0)).await;
            assert_eq!(ended(&stage.engine, &order.key).await.stop, Some(Stop::Cancelled));
        }
    });
}

#[test]
fn a_supervisor_that_dies_over_its_second_attempt_loses_only_that() {
    play(async {
        let stage = local();
        let mut served = BTreeSet::new();
        let (order, who) = loop {
            served.insert(served_by(&stage, "true").await);
            let order = stage.order("echo $PPID; sleep 600");
            let pid = stage.running(&order).await.pid;
            if served.contains(&parent(pid)) {
                break (order, parent(pid));
            }
            assert!(served.len() < 50, "nobody serves twice: {served:?}");
            stage.cancel(&order, Some(0)).await;
            ended(&stage.engine, &order.key).await;
        };
        let other = stage.order("sleep 600");
        stage.running(&other).await;
        kill(who, Signal::KILL);
        stage.see(&order.key, |s| *s == AttemptStatus::Lost).await;
        while stage.engine.kill_leftovers(&order.key).await.unwrap() > 0 {}
        let seen = stage.engine.reattach(&other.key).await.unwrap();
        assert!(matches!(seen, AttemptStatus::Running { .. }), "{seen:?}");
        stage.cancel(&other, Some(0)).await;
        ended(&stage.engine, &other.key).await;
        assert_eq!(stage.end(&stage.order("exit 3")).await.exit_code, exited(3));
    });
}

#[test]
fn the_next_attempt_finds_nothing_of_the_one_before() {
    play(async {
        let stage = local();
        let look = "ulimit -Sn; grep Cpus_allowed_list /proc/self/status; umask; nice; \
                    cat /proc/self/oom_score_adj; ls -l /proc/self/fd | wc -l; ps -o sid= $$ | wc -l";
        let order = stage.order(look);
        assert_eq!(stage.end(&order).await.exit_code, exited(0));
        let fresh = stage.output(&order);
        for _ in 0..5 {
            // Pinned and in a folder that goes away: one that lasts until its supervisor is
            // protected from the out-of-memory killer, and one that fails before it starts.
            let folder = stage.work().join("passing");
            fs::create_dir(&folder).unwrap();
            let mut pinned = stage.order("ulimit -Sn 64; umask 077; sleep 0.05");
            pinned.pin = true;
            pinned.working_directory.clone_from(&folder);
            stage.end(&pinned).await;
            let mut failing = stage.order("#!/nowhere/interpreter\n");
            failing.pin = true;
            failing.working_directory.clone_from(&folder);
            assert!(stage.end(&failing).await.launch_error.is_some());
            for pid in supervisors(&stage) {
                let cwd = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
                assert_ne!(cwd, folder, "a supervisor keeps a folder of an ended job busy");
            }
            fs::remove_dir(&folder).unwrap();
            let again = stage.order(look);
            stage.end(&again).await;
            assert_eq!(stage.output(&again), fresh);
        }
    });
}

#[test]
fn whoever_is_not_needed_goes_and_one_stays() {
    play(async {
        let stage = local();
        let orders: Vec<Order> = (0..5).map(|_| stage.order("sleep 600")).collect();
        for order in &orders {
            stage.running(order).await;
        }
        assert!(supervisors(&stage).len() >= orders.len());
        for order in &orders {
            stage.cancel(order, Some(0)).await;
            ended(&stage.engine, &order.key).await;
        }
        until("one spare supervisor", || match supervisors(&stage).as_slice() {
            [_] => Ok(()),
            more => Err(format!("{more:?}")),
        })
        .await;
        assert_eq!(stage.end(&stage.order("exit 4")).await.exit_code, exited(4));
    });
}

#[test]
fn supervisors_without_work_go_with_the_server() {
    play(async {
        let stage = local();
        served_by(&stage, "true").await;
        let them = supervisors(&stage);
        assert!(!them.is_empty());
        let Stage { engine, home, .. } = stage;
        drop(engine);
        until("the end of all", || all_gone(&them)).await;
        drop(home);
    });
}
