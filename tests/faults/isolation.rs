//! *Purpose*: what is lost takes nobody along.
//!
//! *Owns*: a supervisor that is killed beside others, and a step daemon that dies while the
//! server looks for what is left.
//!
//! *Promises*: the neighbour is one that the dying step daemon has forked itself.
//!
//! *Not here*: the lost job (`table`).

use serde_json::json;

use crate::common::{Server, signal};
use crate::freeze::{Faults, Gate};

/// Found by kills at random: a step daemon that had died between two looks of the server seemed
/// to run another program than its supervisors, and so those were taken for a lost job's orphans.
#[test]
fn a_step_daemon_that_dies_while_a_lost_job_is_cleared_away_takes_no_other_job_along() {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    let home = server.dir.path().to_owned();
    let (mut faults, mut gate) = (Faults::new(home.join("faults")), Gate::new(home.join("gate")));
    server.env.push(("DOWNBEAT_FAULT_DIR".to_owned(), faults.dir.display().to_string()));
    server.up();
    let script = |code| format!("echo up\nread -r _ < {}\nexit {code}\n", gate.path.display());
    let [neighbour, lost] = [38, 39].map(|code| server.submit(&json!({"script": script(code)})));
    server.says(neighbour, "up\n");
    server.says(lost, "up\n");
    let pid = server.job(lost)["allocation"]["process_id"].as_u64().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let supervisor = status.lines().find_map(|l| l.strip_prefix("PPid:")).unwrap().trim();
    let daemon = server.step_daemon();

    faults.arm("lost.listed");
    signal(supervisor.parse().unwrap(), "KILL");
    assert_eq!(faults.frozen("lost.listed"), server.pid());
    signal(daemon, "KILL");
    crate::case::until_dead(daemon);
    faults.go();
    assert_eq!(server.ended(lost)["state"], "NODE_FAIL");
    gate.open();
    assert_eq!(server.ended(neighbour)["exit_code"], "38:0");
    server.is_clean();
}
