//! *Purpose*: a script that is suspended stands still with all that it started, and goes on.
//!
//! *Owns*: the cases about suspending, in both versions of control groups.
//!
//! *Promises*: time passes by other scripts that end; where nothing can be suspended a case says
//! `SKIPPED`; no case leaves a group.
//!
//! *Not here*: which requests suspend a job (`tests/kernel`, `tests/http`), that a killed server
//! forgets none (`tests/crash_matrix`).

use std::path::PathBuf;

use super::*;

/// The stages on which scripts can be suspended, one for each version of control groups.
fn stages(test: &str) -> Vec<Stage<LocalEngine>> {
    let mut stages = Vec::new();
    for (only_version_2, version) in [(false, "version 1"), (true, "version 2")] {
        let stage = Stage::new(|home| {
            LocalEngine::start(LocalConfig { only_version_2, ..config_in(home) }).unwrap()
        });
        let says = stage.engine.isolation()["suspending"].clone();
        assert_eq!(stage.engine.cannot_suspend().is_none(), says.starts_with("a running job"));
        match says.contains(version) {
            true => stages.push(stage),
            false => println!("SKIPPED {test} with {version}: {says}"),
        }
    }
    stages
}

fn state_of(stage: &Stage<LocalEngine>, order: &Order) -> String {
    let state = stage.home.path().join("data/spool").join(order.key.name()).join("state");
    fs::read_to_string(state).unwrap_or_default()
}

/// The group of an attempt that can be frozen, if it has one.
fn group_of(stage: &Stage<LocalEngine>, order: &Order) -> Option<PathBuf> {
    let text = state_of(stage, order);
    let mut groups = text.lines().filter_map(|line| line.strip_prefix("group "));
    groups.find(|group| group.contains("/downbeat.frozen/")).map(PathBuf::from)
}

/// Who is frozen does not die: lets go on whoever is in the group of this process.
pub fn thaw(pid: i32) {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let paths = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    for path in paths.filter(|path| path.contains("/downbeat.frozen/")) {
        for (mount, file, word) in [
            ("freezer", "freezer.state", "THAWED"),
            ("unified", "cgroup.freeze", "0"),
            (".", "cgroup.freeze", "0"),
        ] {
            let group = Path::new("/sys/fs/cgroup").join(mount).join(path.trim_start_matches('/'));
            let file = group.join(file);
            if file.exists() {
                fs::write(file, word).unwrap();
            }
        }
    }
}

/// Who is in it.
fn processes_of(group: &Path) -> Vec<i32> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    text.lines().map(|pid| pid.parse().unwrap()).collect()
}

fn is_frozen(group: &Path) -> bool {
    let says = |file: &str| fs::read_to_string(group.join(file)).unwrap_or_default();
    says("freezer.state").trim() == "FROZEN" || says("cgroup.events").contains("frozen 1")
}

async fn wish(stage: &Stage<LocalEngine>, order: &Order, suspend: bool) {
    let control = Control { suspend, ..Control::default() };
    stage.engine.control(&order.key, control).await.unwrap();
}

/// Suspends it, and waits until it is; answers its group.
async fn suspend(stage: &Stage<LocalEngine>, order: &Order) -> PathBuf {
    wish(stage, order, true).await;
    // Twice: whoever was started while the first look was taken is seen by the second.
    until("all to stand still", || {
        stands_still(stage, order).and_then(|_| stands_still(stage, order))
    })
    .await
}

/// So long passes.
async fn passes(stage: &Stage<LocalEngine>, seconds: f64) {
    let sleeps = stage.order(&format!("exec sleep {seconds}"));
    assert_eq!(stage.end(&sleeps).await.exit_code, exited(0));
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |about| about.len())
}

#[test]
fn all_that_a_script_started_stands_still_and_goes_on() {
    let test = "all_that_a_script_started_stands_still_and_goes_on";
    for stage in stages(test) {
        play(async {
            // One that starts others without end, one that left its session, one that left its
            // parent.
            let script = "cat > ticks <<'END'
while :; do /bin/echo x >> $1; done
END
bash ticks a & setsid bash ticks b & (env -i bash ticks c &)
until [ -e over ]; do sleep 0.02; done; kill %1 %2; echo went on; exit 3";
            for memory_bytes in [None, Some(256 << 20)] {
                let order = Order { memory_bytes, ..stage.order(script) };
                stage.running(&order).await;
                let files = ["a", "b", "c"].map(|name| order.working_directory.join(name));
                let grown = |than: Vec<u64>| {
                    let files = &files;
                    async move {
                        until("all to write", || {
                            let now: Vec<u64> = files.iter().map(|file| size(file)).collect();
                            let all = now.iter().zip(&than).all(|(now, than)| now > than);
                            if all { Ok(()) } else { Err(format!("{now:?} {than:?}")) }
                        })
                        .await;
                    }
                };
                grown(vec![0; 3]).await;
                for _twice in 0..2 {
                    suspend(&stage, &order).await;
                    let before: Vec<u64> = files.iter().map(|file| size(file)).collect();
                    passes(&stage, 0.3).await;
                    let after: Vec<u64> = files.iter().map(|file| size(file)).collect();
                    assert_eq!(before, after);
                    wish(&stage, &order, false).await;
                    grown(after).await;
                }
                fs::write(order.working_directory.join("over"), "").unwrap();
                let group = group_of(&stage, &order).unwrap();
                let record = ended(&stage.engine, &order.key).await;
                assert_eq!((record.exit_code, record.stop), (exited(3), None));
                assert_eq!(stage.output(&order), "went on\n");
                assert!(!group.exists(), "{group:?}");
                for name in ["a", "b", "c", "over"] {
                    fs::remove_file(order.working_directory.join(name)).unwrap();
                }
            }
        });
    }
}

#[test]
fn the_time_in_which_it_stands_still_does_not_count() {
    for stage in stages("the_time_in_which_it_stands_still_does_not_count") {
        play(async {
            let script = "trap 'echo near' USR1; echo up; while :; do sleep 0.02; done";
            let signal = Some("B:USR1@1".parse().unwrap());
            let order = Order { limit_s: Some(2), signal, ..stage.order(script) };
            stage.running(&order).await;
            let asked = Instant::now();
            suspend(&stage, &order).await;
            passes(&stage, 2.5).await;
            let seen = stage.engine.reattach(&order.key).await.unwrap();
            assert!(matches!(seen, AttemptStatus::Running { stopping: None, .. }), "{seen:?}");
            assert!(!stage.output(&order).contains("near"), "its limit is not near");
            // Another limit is another limit all the same.
            let limit = Some(LimitWish::Seconds(3));
            let control = Control { limit, suspend: true, ..Control::default() };
            stage.engine.control(&order.key, control).await.unwrap();
            let control = Control { limit, ..Control::default() };
            stage.engine.control(&order.key, control).await.unwrap();
            let record = ended(&stage.engine, &order.key).await;
            assert_eq!(record.stop, Some(Stop::TimeLimit));
            assert!(asked.elapsed() > Duration::from_secs(5), "{:?}", asked.elapsed());
            assert!(stage.output(&order).contains("near"), "{}", stage.output(&order));
        });
    }
}

#[test]
fn a_cancel_ends_what_stands_still() {
    for stage in stages("a_cancel_ends_what_stands_still") {
        play(async {
            let script = "trap 'echo ends; exit 4' TERM; echo up; while :; do sleep 0.02; done";
            let order = stage.order(script);
            stage.running(&order).await;
            until("its trap", || match stage.output(&order) {
                text if text == "up\n" => Ok(()),
                text => Err(text),
            })
            .await;
            suspend(&stage, &order).await;
            stage.cancel(&order, Some(60)).await;
            let record = ended(&stage.engine, &order.key).await;
            assert_eq!((record.exit_code, record.stop), (exited(4), Some(Stop::Cancelled)));
            assert_eq!(stage.output(&order), "up\nends\n");
        });
    }
}

#[test]
fn nobody_outlives_a_supervisor_that_is_killed_while_its_script_stands_still() {
    let test = "nobody_outlives_a_supervisor_that_is_killed_while_its_script_stands_still";
    for stage in stages(test) {
        play(async {
            let order = stage.order("setsid sleep 600 & exec sleep 600");
            let script = stage.running(&order).await;
            let group = suspend(&stage, &order).await;
            let pids = stage.engine.processes(&order.key).await.unwrap();
            assert!(pids.contains(&script.pid) && pids.len() >= 2, "{pids:?}");
            kill(parent(script.pid), Signal::KILL);
            stage.see(&order.key, |status| *status == AttemptStatus::Lost).await;
            let mut left = usize::MAX;
            while left > 0 {
                left = stage.engine.kill_leftovers(&order.key).await.unwrap();
            }
            assert_eq!(all_gone(&pids), Ok(()));
            assert!(!group.exists(), "{group:?}");
        });
    }
}

/// Whether the whole tree is in its group, and that is frozen.
fn stands_still(stage: &Stage<LocalEngine>, order: &Order) -> Result<PathBuf, String> {
    let group = group_of(stage, order).ok_or("no group")?;
    let tree = tree(stage, order);
    let members = processes_of(&group);
    let outside: Vec<&i32> = tree.iter().filter(|pid| !members.contains(pid)).collect();
    if outside.is_empty() && is_frozen(&group) { Ok(group) } else { Err(format!("{outside:?}")) }
}

/// All below its supervisor.
fn tree(stage: &Stage<LocalEngine>, order: &Order) -> Vec<i32> {
    let text = state_of(stage, order);
    let own = text.lines().find_map(|line| line.strip_prefix("supervisor ")).unwrap();
    let mut tree = vec![own.split(' ').next().unwrap().parse().unwrap()];
    let all: Vec<(i32, i32)> = pids()
        .into_iter()
        .filter(|pid| alive(*pid))
        .filter_map(|pid| Some((pid, stat(pid, 1)?.parse().ok()?)))
        .collect();
    let mut at = 0;
    while let Some(above) = tree.get(at).copied() {
        tree.extend(all.iter().filter(|(_, parent)| *parent == above).map(|(pid, _)| *pid));
        at += 1;
    }
    tree.split_off(1)
}
