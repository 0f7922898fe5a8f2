//! *Purpose*: a job cannot open devices that are denied to it, and nobody else is kept from them.
//!
//! *Owns*: the cases about the wall, in both versions of control groups.
//!
//! *Promises*: no driver is needed: a device whose driver is not there answers "no such device" to
//! whoever may open it and "not permitted" to whoever may not. Where there is no wall, or no device
//! can be made, a case says `SKIPPED`; no case leaves a group.
//!
//! *Not here*: which devices are denied to whom (`kernel`), how they are found (`devices`).

use std::path::PathBuf;

use downbeat::engine::CharDevice;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::*;

/// The driver of NVIDIA, which is not there.
const MAJOR: u32 = 195;
const DENIED: &str = "Operation not permitted";
const ALLOWED: &str = "No such device or address";

/// The stages on which devices can be denied, one for each version of control groups, with whether
/// only version 2 is used there.
fn walled(test: &str) -> Vec<(bool, Stage<LocalEngine>)> {
    let mut stages = Vec::new();
    for (only_version_2, version) in [(false, "version 1"), (true, "version 2")] {
        let stage = Stage::new(|home| {
            LocalEngine::start(LocalConfig { only_version_2, ..config_in(home) }).unwrap()
        });
        let says = stage.engine.isolation()["devices"].clone();
        assert_eq!(stage.engine.denies_devices(), says.starts_with("stands"));
        let made = (0..2).try_for_each(|minor| {
            let (kind, mode) = (FileType::CharacterDevice, Mode::from_raw_mode(0o666));
            mknodat(
                CWD,
                stage.work().join(format!("dev{minor}")),
                kind,
                mode,
                makedev(MAJOR, minor),
            )
        });
        match made {
            Ok(()) if says.starts_with("stands") && says.contains(version) => {
                stages.push((only_version_2, stage))
            }
            made => println!("SKIPPED {test} with {version}: {says} {made:?}"),
        }
    }
    stages
}

/// An order to which the first device is denied.
fn denied(stage: &Stage<LocalEngine>, script: &str) -> Order {
    let denied_devices = vec![CharDevice { major: MAJOR, minor: 0 }];
    Order { denied_devices, ..stage.order(script) }
}

/// The groups of a process that deny devices.
fn groups_of(pid: i32) -> Vec<PathBuf> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let paths = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let names = paths.filter_map(|path| path.split_once("/downbeat.devices/"));
    let mounts = ["devices", "unified", "."].map(|name| Path::new("/sys/fs/cgroup").join(name));
    let below = |(above, name): (&str, &str)| {
        let there = mounts.iter().map(|mount| mount.join(above.trim_start_matches('/')));
        there.map(|own| own.join("downbeat.devices").join(name)).find(|group| group.exists())
    };
    names.filter_map(below).collect()
}

#[test]
fn a_denied_device_is_refused_from_the_first_instruction_on_and_to_all_that_a_job_starts() {
    let test = "a_denied_device_is_refused_from_the_first_instruction_on";
    for (_, stage) in walled(test) {
        play(async {
            let script = "exec 2>&1; export LC_ALL=C; rm -f again
                cat dev0; cat dev1; setsid env -i /bin/cat dev0
                (exec -a other cat dev0) & wait
                : > dev0; mknod again c 195 0; mknod again c 195 1; cat again; cat /dev/null";
            for memory_bytes in [None, Some(64 << 20)] {
                let order = Order { memory_bytes, ..denied(&stage, script) };
                assert_eq!(stage.end(&order).await.exit_code, exited(0));
                let said = stage.output(&order);
                let is = |n: usize, what: &str| {
                    assert!(said.lines().nth(n).unwrap().contains(what), "{n}: {said}");
                };
                for (n, what) in
                    [DENIED, ALLOWED, DENIED, DENIED, DENIED, DENIED, ALLOWED].iter().enumerate()
                {
                    is(n, what);
                }
                assert_eq!(said.lines().count(), 7, "{said}");
            }
            let order = denied(&stage, "#!/usr/bin/env -S LC_ALL=C cat dev0\n");
            assert_ne!(stage.end(&order).await.exit_code, exited(0));
            let err = fs::read_to_string(order.stderr.root.join(&order.stderr.path)).unwrap();
            assert!(err.contains(DENIED), "from its first instruction: {err}");
        });
    }
}

#[test]
fn a_job_to_which_nothing_is_denied_has_no_group_also_after_one_to_which_something_was() {
    let test = "a_job_to_which_nothing_is_denied_has_no_group";
    for (_, stage) in walled(test) {
        play(async {
            let order = denied(&stage, "true");
            stage.end(&order).await;
            let script = "exec 2>&1; cat /proc/self/cgroup; LC_ALL=C cat dev0";
            let free = stage.order(script);
            stage.end(&free).await;
            let said = stage.output(&free);
            assert!(!said.contains("downbeat.devices") && said.contains(ALLOWED), "{said}");
        });
    }
}

#[test]
fn the_group_of_a_job_is_gone_when_its_record_is_there() {
    for (_, stage) in walled("the_group_of_a_job_is_gone_when_its_record_is_there") {
        play(async {
            let order = denied(&stage, "exec sleep 600");
            let handle = stage.running(&order).await;
            let groups = groups_of(handle.pid);
            assert_eq!(groups.len(), 1, "{groups:?}");
            assert!(groups[0].ends_with(order.key.name()), "{groups:?}");
            stage.cancel(&order, Some(0)).await;
            ended(&stage.engine, &order.key).await;
            assert!(!groups[0].exists(), "{groups:?}");
        });
    }
}

#[test]
fn the_wall_outlives_server_and_supervisor_and_goes_with_the_last_process() {
    let test = "the_wall_outlives_server_and_supervisor_and_goes_with_the_last_process";
    for (only_version_2, stage) in walled(test) {
        play(async {
            let script = "mkfifo gate; echo $PPID
                (env -i setsid sh -c 'read go < gate; LC_ALL=C cat dev0 2> after; exec sleep 613' &
                 echo $!); sleep 600";
            let order = denied(&stage, script);
            stage.running(&order).await;
            let pids = pids_told(&stage, &order, 2).await;
            let group = groups_of(pids[1]).pop().unwrap();
            let Stage { engine, home, .. } = stage;
            kill(pids[0], Signal::KILL);
            drop(engine);
            let work = home.path().join("work");
            fs::write(work.join("gate"), "go\n").unwrap();
            until("another try", || match fs::read_to_string(work.join("after")) {
                Ok(text) if text.contains(DENIED) => Ok(()),
                other => Err(format!("{other:?}")),
            })
            .await;
            let config = LocalConfig { only_version_2, ..config_in(home.path()) };
            let engine = LocalEngine::start(config).unwrap();
            see(&engine, &order.key, |s| *s == AttemptStatus::Lost).await;
            for _ in 0..50 {
                if engine.kill_leftovers(&order.key).await.unwrap() == 0 {
                    break;
                }
            }
            assert!(!alive(pids[1]), "whoever emptied his environment is found by the group");
            assert!(!group.exists(), "{group:?}");
        });
    }
}

#[test]
fn a_job_whose_devices_cannot_be_denied_is_not_started_and_says_why() {
    for (_, stage) in walled("a_job_whose_devices_cannot_be_denied_is_not_started_and_says_why") {
        play(async {
            let many = (0..1025).map(|minor| CharDevice { major: MAJOR, minor }).collect();
            let none = vec![CharDevice { major: 1 << 12, minor: 0 }];
            for (denied_devices, why) in [(many, "1025 devices"), (none, "4096:0 is no device")] {
                let order = Order { denied_devices, ..stage.order("true") };
                let sentence = stage.end(&order).await.launch_error.unwrap();
                let begins = "the devices of others cannot be denied to it: ";
                assert!(sentence.starts_with(begins) && sentence.contains(why), "{sentence}");
            }
            let whole = (0..1024).map(|minor| CharDevice { major: MAJOR, minor }).collect();
            let order = Order { denied_devices: whole, ..stage.order("LC_ALL=C cat dev1 2>&1") };
            stage.end(&order).await;
            assert!(stage.output(&order).contains(DENIED), "{}", stage.output(&order));
        });
    }
}

#[test]
fn without_groups_the_wall_is_said_to_be_advisory_and_jobs_run() {
    play(async {
        let stage = Stage::new(|home| {
            LocalEngine::start(LocalConfig { control_groups: false, ..config_in(home) }).unwrap()
        });
        let says = &stage.engine.isolation()["devices"];
        assert!(says.starts_with("advisory") && says.contains("none are wanted"), "{says}");
        assert!(!stage.engine.denies_devices());
        assert_eq!(stage.end(&denied(&stage, "exit 3")).await.exit_code, exited(3));
    });
}
