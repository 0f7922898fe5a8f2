//! *Purpose*: a job that asks for memory is kept below it, and nobody else is.
//!
//! *Owns*: the cases about control groups, and about the limit of data where there are none.
//!
//! *Promises*: where no control group can be made a case says `SKIPPED`; no case leaves a group.
//!
//! *Not here*: who may have how much (`tests/kernel.rs`), states (`tests/hostile`).

use std::process::Command;

use super::*;

/// Room for a shell and what it starts, little enough to be used up at once.
const LIMIT: u64 = 32 << 20;

/// A stage on which groups work.
fn grouped(test: &str) -> Option<Stage<LocalEngine>> {
    let stage = local();
    let isolation = stage.engine.isolation();
    if isolation["memory"].starts_with("a job that asks for memory has a control group") {
        return Some(stage);
    }
    println!("SKIPPED {test}: {}", isolation["memory"]);
    None
}

fn limited(stage: &Stage<LocalEngine>, script: &str) -> Order {
    Order { memory_bytes: Some(LIMIT), ..stage.order(script) }
}

/// Where the memory of this process is counted, as a folder.
fn group_of(pid: i32) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    group_in(&text)
}

fn group_in(text: &str) -> PathBuf {
    let path = |controllers: &str| {
        let wanted = format!(":{controllers}:/");
        text.lines().find_map(|line| Some(line.split_once(&wanted)?.1.to_owned()))
    };
    match path("memory") {
        Some(path) => Path::new("/sys/fs/cgroup/memory").join(path),
        None => Path::new("/sys/fs/cgroup").join(path("").unwrap()),
    }
}

#[test]
fn a_script_that_wants_too_much_is_killed_and_its_neighbour_lives() {
    let test = "a_script_that_wants_too_much_is_killed_and_its_neighbour_lives";
    let Some(stage) = grouped(test) else { return };
    play(async {
        let neighbour = limited(&stage, "exec sleep 600");
        let handle = stage.running(&neighbour).await;
        let group = group_of(handle.pid);
        assert!(group.ends_with(format!("downbeat/{}", neighbour.key.name())), "{group:?}");

        let greedy = limited(&stage, "exec tail /dev/zero");
        let record = stage.end(&greedy).await;
        assert_eq!(record.exit_code, Some(ExitCode { code: 0, signal: 9 }), "{record:?}");
        let hit = record.out_of_memory.unwrap();
        assert_eq!((hit.limit_bytes, hit.kills), (LIMIT, 1), "{hit:?}");
        assert!(hit.at_its_limit && hit.before_stop, "{hit:?}");
        let peak = hit.peak_bytes.unwrap();
        assert!(peak > LIMIT / 2 && peak <= LIMIT, "{peak}");

        assert!(alive(handle.pid), "the neighbour lives");
        assert!(group.exists() && !group.with_file_name(greedy.key.name()).exists());
        stage.cancel(&neighbour, Some(0)).await;
        let record = ended(&stage.engine, &neighbour.key).await;
        assert_eq!((record.stop, record.out_of_memory), (Some(Stop::Cancelled), None));
        assert!(!group.exists(), "it is gone when the record is there");
    });
}

#[test]
fn every_process_of_the_tree_is_in_the_group_and_its_supervisor_is_not() {
    let test = "every_process_of_the_tree_is_in_the_group_and_its_supervisor_is_not";
    let Some(stage) = grouped(test) else { return };
    play(async {
        let cat = "#!/usr/bin/env -S cat /proc/self/cgroup\n";
        let first = limited(&stage, cat);
        assert_eq!(stage.end(&first).await.exit_code, exited(0));
        let name = format!("downbeat/{}", first.key.name());
        assert!(group_in(&stage.output(&first)).ends_with(&name), "from its first instruction");
        let order = limited(
            &stage,
            "tr '\\0' ' ' < /proc/$PPID/environ > /dev/null; echo $PPID; env -i setsid sleep 611 & \
             echo $!; wait",
        );
        stage.running(&order).await;
        let pids = pids_told(&stage, &order, 2).await;
        let name = format!("downbeat/{}", order.key.name());
        assert!(!group_of(pids[0]).ends_with(&name), "the supervisor");
        assert!(group_of(pids[1]).ends_with(&name), "a descendant that hides");
        stage.cancel(&order, Some(0)).await;
        ended(&stage.engine, &order.key).await;

        let other = stage.order(cat);
        assert_eq!(stage.end(&other).await.exit_code, exited(0));
        let text = stage.output(&other);
        assert!(!text.contains("/downbeat/"), "without memory there is no group: {text}");
    });
}

#[test]
fn a_script_within_bounds_starts_as_any_other() {
    let engine = |home: &Path, control_groups| {
        let config = LocalConfig { control_groups, ..config_in(home) };
        LocalEngine::start(config).unwrap()
    };
    for control_groups in [true, false] {
        play(async {
            let stage = Stage::new(|home| engine(home, control_groups));
            let status =
                "#!/usr/bin/env -S grep -hE ^(Sig(Blk|Ign)|NSpgid|NSpid) /proc/self/status\n";
            let descriptors = "ls /proc/self/fd | tr '\\n' ' '; echo err >&2; exit 7";
            for script in [status, descriptors] {
                let plain = stage.order(script);
                let bound = limited(&stage, script);
                let codes = [stage.end(&plain).await.exit_code, stage.end(&bound).await.exit_code];
                assert_eq!(codes[0], codes[1]);
                let [plain, bound] = [plain, bound].map(|order| stage.output(&order));
                let same = |text: &str| {
                    let lines = text.lines().filter(|line| !line.starts_with("NS"));
                    lines.map(|line| line.replace(char::is_whitespace, " ")).collect::<Vec<_>>()
                };
                assert_eq!(same(&plain), same(&bound));
                let own = |text: &str| {
                    let ids = text.lines().filter_map(|line| line.strip_prefix("NS"));
                    let ids: Vec<_> =
                        ids.filter_map(|line| line.split_whitespace().nth(1)).collect();
                    ids.windows(2).all(|two| two[0] == two[1])
                };
                assert!(own(&plain) && own(&bound), "its own process group: {bound}");
            }
            let missing = limited(&stage, "#!/no/such/bin\n");
            let sentence = stage.end(&missing).await.launch_error.unwrap();
            assert_eq!(sentence, "interpreter /no/such/bin not found");
        });
    }
}

#[test]
fn a_killed_child_counts_although_the_script_goes_on() {
    let Some(stage) = grouped("a_killed_child_counts_although_the_script_goes_on") else { return };
    play(async {
        let order = limited(&stage, "tail /dev/zero; echo \"tail $?\"; exit 0");
        let record = stage.end(&order).await;
        assert_eq!(record.out_of_memory.map(|hit| hit.kills > 0), Some(true), "{record:?}");
        // Version 2 kills the whole group, version 1 only who is largest.
        let whole = Some(ExitCode { code: 0, signal: 9 });
        if record.exit_code != whole {
            assert_eq!((record.exit_code, &*stage.output(&order)), (exited(0), "tail 137\n"));
        }
    });
}

#[test]
fn the_record_says_whether_memory_or_time_ran_out_first() {
    let test = "the_record_says_whether_memory_or_time_ran_out_first";
    let Some(stage) = grouped(test) else { return };
    play(async {
        let limit = |script| Order { limit_s: Some(1), ..limited(&stage, script) };
        let memory_first = limit("tail /dev/zero; exec sleep 600");
        let time_first = limit("trap 'tail /dev/zero; exit 5' TERM; sleep 600 & wait");
        stage.launch(&memory_first).await;
        let late = stage.end(&time_first).await;
        let early = ended(&stage.engine, &memory_first.key).await;
        // Where the whole group is killed nothing is left that could reach the time limit.
        if early.exit_code != Some(ExitCode { code: 0, signal: 9 }) {
            assert_eq!(early.stop, Some(Stop::TimeLimit), "{early:?}");
        }
        assert!(early.out_of_memory.unwrap().before_stop, "{early:?}");
        assert_eq!(late.stop, Some(Stop::TimeLimit), "{late:?}");
        assert!(!late.out_of_memory.unwrap().before_stop, "{late:?}");
    });
}

#[test]
fn the_group_of_a_lost_attempt_is_emptied_and_removed() {
    let Some(stage) = grouped("the_group_of_a_lost_attempt_is_emptied_and_removed") else { return };
    play(async {
        let order = limited(&stage, "echo $PPID; (env -i setsid sleep 612 & echo $!); sleep 600");
        let handle = stage.running(&order).await;
        let group = group_of(handle.pid);
        let pids = pids_told(&stage, &order, 2).await;
        kill(pids[0], Signal::KILL);
        stage.see(&order.key, |s| *s == AttemptStatus::Lost).await;
        let mut seen = stage.engine.kill_leftovers(&order.key).await.unwrap();
        for _ in 0..50 {
            if seen == 0 {
                break;
            }
            seen = stage.engine.kill_leftovers(&order.key).await.unwrap();
        }
        assert_eq!(seen, 0);
        assert!(!alive(pids[1]) && !alive(handle.pid));
        assert!(!group.exists(), "{group:?}");
    });
}

#[test]
fn an_empty_group_that_nobody_knows_is_removed_by_the_next_server() {
    let test = "an_empty_group_that_nobody_knows_is_removed_by_the_next_server";
    let Some(stage) = grouped(test) else { return };
    play(async {
        let order = limited(&stage, "exec sleep 600");
        let handle = stage.running(&order).await;
        let own = group_of(handle.pid);
        let [old, new] =
            ["old", "new"].map(|n| own.with_file_name(format!("9.1.{n}.{}", handle.pid)));
        for group in [&old, &new] {
            fs::create_dir(group).unwrap();
        }
        let hour_ago = ["-d", "1 hour ago"];
        let aged = Command::new("touch").args(hour_ago).args([&old, &own]).status().unwrap();
        assert!(aged.success());
        let other = local();
        assert!(!old.exists(), "old and empty");
        assert!(new.exists(), "another server may be about to use it");
        assert!(own.exists(), "old and in use");
        fs::remove_dir(&new).unwrap();
        drop(other);
        stage.cancel(&order, Some(0)).await;
        ended(&stage.engine, &order.key).await;
    });
}

#[test]
fn without_groups_each_process_may_have_so_much_data_and_no_end_is_invented() {
    play(async {
        let stage = Stage::new(|home| {
            LocalEngine::start(LocalConfig { control_groups: false, ..config_in(home) }).unwrap()
        });
        let says = &stage.engine.isolation()["memory"];
        assert!(says.contains("RLIMIT_DATA") && says.contains("none are wanted"), "{says}");
        let order = limited(&stage, "ulimit -d; x=$(head -c 100M /dev/zero | tr '\\0' x); echo no");
        let record = stage.end(&order).await;
        assert_ne!(record.exit_code, exited(0), "{record:?}");
        assert_eq!(stage.output(&order), format!("{}\n", LIMIT / 1024));
        assert_eq!(record.out_of_memory, None);
        let free = stage.order("ulimit -d");
        stage.end(&free).await;
        assert_ne!(stage.output(&free), format!("{}\n", LIMIT / 1024), "nobody else is limited");
    });
}
