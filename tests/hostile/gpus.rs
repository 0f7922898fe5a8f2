//! *Purpose*: GPUs and licences on a machine that has none of them.
//!
//! *Owns*: settings that declare them, a tree with stand-in devices and an `nvidia-smi`.
//!
//! *Promises*: no unit is held twice, whatever dies; a device that a job does not hold is really
//! refused to it, where the machine can do so.
//!
//! *Not here*: who uses a card (`devices::usage`), the wall of one attempt
//! (`engine_conformance`).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::common::{Server, until};
use crate::help::{skipped, until_file};

const FOUR: &str = "[[resource]]\nname = \"gpu\"\nunits = \"0-3\"\n";

fn settings(server: &mut Server, text: &str) {
    let file = server.dir.path().join("downbeat.toml");
    fs::write(&file, text).unwrap();
    if !server.args.contains(&"--config".to_owned()) {
        server.args.extend(["--config".to_owned(), file.display().to_string()]);
    }
}

fn with(text: &str) -> Server {
    let mut server = Server::unstarted(&["--cpus", "8"]);
    settings(&mut server, text);
    server.up();
    server
}

/// Who holds each unit of a resource.
fn holders(server: &Server, name: &str) -> Vec<(i64, Value)> {
    let all = server.get("/api/v1/resources").expect(200).json();
    let one = all["resources"].as_array().unwrap().iter().find(|one| one["name"] == name);
    let units = one.map(|one| one["units"].as_array().unwrap().clone()).unwrap_or_default();
    units.iter().map(|unit| (unit["id"].as_i64().unwrap(), unit["job_id"].clone())).collect()
}

fn units_of(server: &Server, id: i64) -> Vec<i64> {
    let held = &server.job(id)["allocation"]["resources"]["gpu"];
    held.as_array().unwrap().iter().map(|unit| unit.as_i64().unwrap()).collect()
}

/// A script that says what it sees and then waits for a file.
fn sees_until(go: &Path) -> String {
    format!(
        "echo \"$CUDA_DEVICE_ORDER [$CUDA_VISIBLE_DEVICES] [$SLURM_JOB_GPUS]\"\n{}\n",
        until_file(go)
    )
}

#[test]
fn two_jobs_see_different_gpus_and_one_that_asked_for_none_sees_none() {
    let server = with(FOUR);
    let go = server.dir.path().join("go");
    let two = server.submit(&json!({"script": sees_until(&go), "gpus": 2}));
    let one = server.submit(&json!({"script": sees_until(&go), "resources": {"gpu": 1}}));
    let none = json!({"script": sees_until(&go), "environment": {"CUDA_VISIBLE_DEVICES": "3"}});
    let none = server.submit(&none);
    server.says(two, "PCI_BUS_ID [0,1] [0,1]\n");
    server.says(one, "PCI_BUS_ID [2] [2]\n");
    server.says(none, "PCI_BUS_ID [] []\n");
    let wide = server.submit(&json!({"script": "true", "gpus": 2}));
    until("the reason", || match server.job(wide)["state_detail"].as_str() {
        Some("is next; needs 2 of gpu, 1 of 4 are free") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let held: Vec<Value> = holders(&server, "gpu").into_iter().map(|(_, job)| job).collect();
    assert_eq!(held, [json!(two), json!(two), json!(one), Value::Null]);
    assert_eq!(server.job(two)["resources"], json!({"gpu": 2}));
    fs::write(&go, "").unwrap();
    for id in [two, one, none, wide] {
        server.reaches(id, "COMPLETED");
    }
    server.is_clean();
}

#[test]
fn four_gpus_stay_with_their_jobs_through_kills_of_the_server() {
    let mut server = with(FOUR);
    let go = server.dir.path().join("go");
    let jobs: Vec<i64> = [1, 2, 1]
        .iter()
        .map(|n| server.submit(&json!({"script": sees_until(&go), "gpus": n})))
        .collect();
    for id in &jobs {
        server.started(*id);
    }
    let waits = server.submit(&json!({"script": "true", "gpus": 1}));
    let before = holders(&server, "gpu");
    assert!(before.iter().all(|(_, job)| !job.is_null()), "{before:?}");
    for _ in 0..3 {
        server.kill();
        server.up();
        assert_eq!(holders(&server, "gpu"), before);
        assert_eq!(server.job(waits)["state"], "PENDING");
        let rows =
            server.sql("SELECT COUNT(*) || '' AS line FROM held_units WHERE resource = 'gpu'");
        assert_eq!(rows, "4");
    }
    assert_eq!(units_of(&server, jobs[1]), [1, 2]);
    fs::write(&go, "").unwrap();
    for id in jobs.iter().chain([&waits]) {
        server.reaches(*id, "COMPLETED");
    }
    server.is_clean();
    assert!(holders(&server, "gpu").iter().all(|(_, job)| job.is_null()));
}

#[test]
fn units_that_settings_take_away_stay_held_and_are_given_to_nobody() {
    let mut server = with(FOUR);
    let go = server.dir.path().join("go");
    let all = server.submit(&json!({"script": sees_until(&go), "gpus": 4}));
    server.started(all);
    server.stop();
    settings(&mut server, "[[resource]]\nname = \"gpu\"\nunits = \"0-1\"\n");
    server.up();
    assert_eq!(holders(&server, "gpu").len(), 4, "those that are gone are held too");
    let next = server.submit(&json!({"script": "echo $SLURM_JOB_GPUS", "gpus": 2}));
    server.post("/api/v1/jobs", &json!({"script": "true", "gpus": 3})).expect(422);
    assert_eq!(server.job(next)["state"], "PENDING");
    fs::write(&go, "").unwrap();
    server.reaches(next, "COMPLETED");
    assert_eq!(server.stdout(next), "0,1\n");
    assert_eq!(holders(&server, "gpu").len(), 2);
    // A job that asked for what is gone for good says so, and nobody waits behind it.
    server.stop();
    let asks = json!({"script": "true", "gpus": 1, "held": true});
    server.up();
    let late = server.submit(&asks);
    server.stop();
    settings(&mut server, "");
    server.up();
    server.post(&format!("/api/v1/jobs/{late}/release"), &json!({})).expect(200);
    until("the reason", || match server.job(late)["state_detail"].as_str() {
        Some(text) if text.contains("this server has no gpu any more") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let other = server.run("true");
    server.reaches(other, "COMPLETED");
    server.is_clean();
}

#[test]
fn licences_are_counted_and_who_waits_for_one_is_told() {
    let server = with("[[resource]]\nname = \"license/matlab\"\ncount = 2\n");
    let go = server.dir.path().join("go");
    let script = format!("#SBATCH -L matlab:2\n{}", until_file(&go));
    let first = server.submit(&json!({"script": script}));
    server.started(first);
    let second = server.submit(&json!({"script": "true", "resources": {"license/matlab": 1}}));
    until("the reason", || {
        let job = server.job(second);
        match (job["state_reason"].as_str(), job["state_detail"].as_str()) {
            (Some("Licenses"), Some("is next; needs 1 of license/matlab, 0 of 2 are free")) => {
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    });
    fs::write(&go, "").unwrap();
    server.reaches(first, "COMPLETED");
    server.reaches(second, "COMPLETED");
    server.is_clean();
}

#[test]
fn what_this_server_does_not_have_is_refused_by_name_and_nothing_is_stored() {
    let text = "[[resource]]\nname = \"gpu\"\nunits = \"0-1\"\ntype = { a100 = \"0\" }\n\
                [[account]]\nname = \"poor\"\nmax_running = { gpu = 1 }\n\
                [[partition]]\nname = \"all\"\n[[partition]]\nname = \"small\"\n\
                max_per_job = { gpu = 1 }\n";
    let server = with(text);
    let said = |body: &Value| {
        let problem = server.post("/api/v1/jobs", body).expect(422).json();
        let error = &problem["errors"][0];
        format!("{}: {}", error["field"].as_str().unwrap(), error["message"].as_str().unwrap())
    };
    let with = |key: &str, value: Value| json!({"script": "true", key: value});
    for (body, part) in [
        (with("gpus", json!(3)), "gpus: 3 of gpu, this server has 2; ask for less"),
        (with("gpus", json!("a100:2")), "gpus: 2 of gpu:a100, this server has 1"),
        (with("gpus", json!("v100:1")), "gpus: gpu:v100: no unit of gpu is of this type"),
        (with("resources", json!({"tape": 1})), "resources: this server has no resource \"tape\""),
        (with("resources", json!({"gpu": 1, "gpu:a100": 1})), "resources: gpu:a100: some of its"),
        (with("script", json!("#SBATCH --gres=tape:2\ntrue")), "script: line 1, --gres: this"),
        (json!({"script": "true", "gpus": 2, "account": "poor"}), "gpus: 2 of gpu asked for, acc"),
        (json!({"script": "true", "gpus": 2, "partition": "small"}), "gpus: 2 of gpu asked for, p"),
    ] {
        let said = said(&body);
        assert!(said.starts_with(part), "{said}");
    }
    assert_eq!(server.get("/api/v1/jobs").expect(200).json()["jobs"], json!([]));
}

/// A machine with two cards, as its driver shows it, below a folder.
struct Stage(PathBuf);

impl Stage {
    fn set(server: &Server) -> Result<Stage, String> {
        let root = server.dir.path().join("machine");
        let stage = Stage(root.clone());
        for n in 0..2 {
            let folder = root.join(format!("proc/driver/nvidia/gpus/0000:0{n}:00.0"));
            fs::create_dir_all(&folder).unwrap();
            let text = format!(
                "Model: \t\t NVIDIA Stand-in\nGPU UUID:   \t GPU-0000000{n}-0000-0000-0000-\
                 000000000000\nBus Location: \t 0000:0{n}:00.0\nDevice Minor: \t {n}\n"
            );
            fs::write(folder.join("information"), text).unwrap();
            stage.device(&format!("dev/nvidia{n}"), 195, n)?;
        }
        fs::create_dir_all(root.join("usr/bin")).unwrap();
        stage.is_used([0, 0]);
        Ok(stage)
    }

    fn device(&self, path: &str, major: u32, minor: u32) -> Result<(), String> {
        let node = self.0.join(path);
        fs::create_dir_all(node.parent().unwrap()).unwrap();
        let words = [node.display().to_string(), "c".into(), major.to_string(), minor.to_string()];
        let made = std::process::Command::new("mknod").args(words).output().unwrap();
        if made.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&made.stderr).trim().to_owned())
    }

    /// The first card is cut into two parts, whose devices are `nvidia-cap1` to `nvidia-cap4`.
    fn cut(&self) -> Result<(), String> {
        let instances = self.0.join("proc/driver/nvidia/capabilities/gpu0/mig");
        for (gpu, minors) in [(1, [1, 2]), (2, [3, 4])] {
            for (folder, minor) in
                [(format!("gi{gpu}"), minors[0]), (format!("gi{gpu}/ci0"), minors[1])]
            {
                let folder = instances.join(folder);
                fs::create_dir_all(&folder).unwrap();
                fs::write(folder.join("access"), format!("DeviceFileMinor: {minor}\n")).unwrap();
                self.device(&format!("dev/nvidia-caps/nvidia-cap{minor}"), 236, minor)?;
            }
        }
        let uuid = "GPU-00000000-0000-0000-0000-000000000000";
        let list = format!(
            "GPU 0: Stand-in (UUID: {uuid})\n  MIG 3g.20gb Device 0: (UUID: MIG-one)\n  \
             MIG 3g.20gb Device 1: (UUID: MIG-two)\n"
        );
        let part = |place, gpu| {
            format!(
                "    MIG Device\n        Index : {place}\n        GPU Instance ID : {gpu}\n        \
                 Compute Instance ID : 0\n"
            )
        };
        let query = format!("GPU 00000000:00:00.0\n{}{}", part(0, 1), part(1, 2));
        fs::write(self.0.join("list"), list).unwrap();
        fs::write(self.0.join("query"), query).unwrap();
        let root = self.0.display();
        let cards = "GPU-00000001-0000-0000-0000-000000000000, 0";
        let text = format!(
            "#!/bin/sh\ncase $1 in -L) exec cat {root}/list;; -q) exec cat {root}/query;; \
             --query-gpu=*) echo '{cards}';; esac\n"
        );
        fs::write(self.0.join("usr/bin/nvidia-smi"), text).unwrap();
        Ok(())
    }

    /// So many MiB of each card are in use, by process 4711 where that is more than nothing.
    fn is_used(&self, mib: [u32; 2]) {
        let uuid = |n: usize| format!("GPU-0000000{n}-0000-0000-0000-000000000000");
        let cards: Vec<String> =
            mib.iter().enumerate().map(|(n, mib)| format!("{}, {mib}\\n", uuid(n))).collect();
        let busy_cards: Vec<String> = mib
            .iter()
            .enumerate()
            .map(|(n, mib)| format!("{}, 2000, {mib}, {}\\n", uuid(n), mib / 10))
            .collect();
        let busy = mib.iter().enumerate().filter(|(_, mib)| **mib > 0);
        let apps: Vec<String> =
            busy.map(|(n, mib)| format!("4711, {}, {mib}\\n", uuid(n))).collect();
        let script = format!(
            "#!/bin/sh\ncase $1 in --query-gpu=uuid,memory.total,*) printf '{}';; \
             --query-gpu=*) printf '{}';; *) printf '{}';; esac\n",
            busy_cards.concat(),
            cards.concat(),
            apps.concat()
        );
        let (path, new) = (self.0.join("usr/bin/nvidia-smi"), self.0.join("usr/bin/new"));
        fs::write(&new, script).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(new, path).unwrap();
    }

    fn settings(&self) -> String {
        format!("[[resource]]\nname = \"gpu\"\nroot = \"{}\"\n", self.0.display())
    }
}

#[test]
fn a_card_that_somebody_else_uses_is_given_only_when_he_is_gone() {
    let mut server = Server::unstarted(&["--cpus", "4", "--tick", "200ms"]);
    let stage = match Stage::set(&server) {
        Ok(stage) => stage,
        Err(why) => {
            return skipped("a_card_that_somebody_else_uses_is_given_only_when_he_is_gone", &why);
        }
    };
    stage.is_used([900, 0]);
    settings(&mut server, &stage.settings());
    server.up();
    let go = server.dir.path().join("go");
    let script = format!("echo $SLURM_JOB_GPUS\n{}", until_file(&go));
    let first = server.submit(&json!({"script": script, "gpus": 1}));
    server.says(first, "1\n");
    let second = server.submit(&json!({"script": "echo $SLURM_JOB_GPUS", "gpus": 1}));
    let nobody = server.run("true");
    server.reaches(nobody, "COMPLETED");
    until("the outsider in the reason", || match server.job(second)["state_detail"].as_str() {
        Some(text) if text.contains("gpu 0 is held back: used by process 4711") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    stage.is_used([0, 0]);
    server.reaches(second, "COMPLETED");
    assert_eq!(server.stdout(second), "0\n");
    fs::write(&go, "").unwrap();
    server.reaches(first, "COMPLETED");
    server.is_clean();
}

#[test]
fn how_busy_a_card_is_and_who_uses_it_without_a_job_is_said() {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    let stage = match Stage::set(&server) {
        Ok(stage) => stage,
        Err(why) => {
            return skipped("how_busy_a_card_is_and_who_uses_it_without_a_job_is_said", &why);
        }
    };
    settings(&mut server, &stage.settings());
    server.up();
    let go = server.dir.path().join("go");
    let job = server.submit(&json!({"script": until_file(&go), "gpus": 1}));
    server.started(job);
    stage.is_used([900, 500]);
    let gpus = until("loads", || {
        let all = server.get("/api/v1/resources").expect(200).json()["gpus"].clone();
        if all[1]["outside"].is_null() { Err(all.to_string()) } else { Ok(all) }
    });
    let gpu = |n: u64, job: Value, used: u64, outside: Value| {
        json!({
            "index": n,
            "uuid": format!("GPU-0000000{n}-0000-0000-0000-000000000000"),
            "name": "NVIDIA Stand-in",
            "job_id": job,
            "memory_bytes": 2_000_u64 << 20,
            "used_bytes": used << 20,
            "load": used,
            "outside": outside,
        })
    };
    let outsider = json!({"pid": 4711, "user": null});
    assert_eq!(
        gpus,
        json!([gpu(0, json!(job), 900, Value::Null), gpu(1, json!(null), 500, outsider)])
    );
    fs::write(&go, "").unwrap();
    server.reaches(job, "COMPLETED");
    server.is_clean();
}

#[test]
fn a_job_cannot_open_a_card_that_it_does_not_hold() {
    let test = "a_job_cannot_open_a_card_that_it_does_not_hold";
    let mut server = Server::unstarted(&["--cpus", "4", "--tick", "200ms"]);
    let stage = match Stage::set(&server) {
        Ok(stage) => stage,
        Err(why) => return skipped(test, &why),
    };
    settings(&mut server, &stage.settings());
    server.up();
    let info = server.get("/api/v1/info").expect(200).json();
    let walls = info["isolation"].as_array().unwrap().clone();
    let wall = walls.iter().find(|one| one["name"] == "devices").unwrap();
    let detail = wall["detail"].as_str().unwrap().to_owned();
    if !detail.starts_with("stands") {
        return skipped(test, &detail);
    }
    // Without a driver the system says of a device that may be opened that there is none.
    let dev = stage.0.join("dev");
    let dev = dev.display();
    let script = format!(
        "unset CUDA_VISIBLE_DEVICES\nfor n in 0 1; do sh -c \": < {dev}/nvidia$n\" 2>&1 | \
         sed 's/.*: //'; done\n"
    );
    let (no_driver, denied) = ("No such device or address\n", "Operation not permitted\n");
    let one = server.submit(&json!({"script": script, "gpus": 1}));
    server.reaches(one, "COMPLETED");
    assert_eq!(server.stdout(one), format!("{no_driver}{denied}"));
    let none = server.run(&script);
    server.reaches(none, "COMPLETED");
    assert_eq!(server.stdout(none), format!("{denied}{denied}"));
    server.is_clean();
}

#[test]
fn two_jobs_share_a_card_that_is_cut_and_neither_can_open_the_part_of_the_other() {
    let test = "two_jobs_share_a_card_that_is_cut_and_neither_can_open_the_part_of_the_other";
    let mut server = Server::unstarted(&["--cpus", "4", "--tick", "200ms"]);
    let stage = match Stage::set(&server).and_then(|stage| stage.cut().map(|()| stage)) {
        Ok(stage) => stage,
        Err(why) => return skipped(test, &why),
    };
    let types = "type = { \"3g.20gb\" = \"0-1\", whole = \"2\" }\n";
    settings(&mut server, &format!("{}{types}", stage.settings()));
    server.up();
    let go = server.dir.path().join("go");
    let dev = stage.0.join("dev");
    let dev = dev.display();
    let opens = format!(
        "echo \"[$CUDA_VISIBLE_DEVICES] [$SLURM_JOB_GPUS]\"\nfor n in nvidia0 nvidia-caps/nvidia-cap1 \
         nvidia-caps/nvidia-cap2 nvidia-caps/nvidia-cap3 nvidia-caps/nvidia-cap4 nvidia1; do \
         sh -c \": < {dev}/$n\" 2>&1 | sed 's/.*: //'; done\n{}",
        until_file(&go)
    );
    let part = json!({"script": opens, "gpus": "3g.20gb:1"});
    let (first, second) = (server.submit(&part), server.submit(&part));
    let whole = server.submit(&json!({"script": opens, "gpus": "whole:1"}));
    // Without a driver the system says of a device that may be opened that there is none.
    let open = "No such device or address";
    let says = |id: i64, sees: &str, shut: [bool; 6]| {
        let info = server.get("/api/v1/info").expect(200).json();
        let walls = info["isolation"].as_array().unwrap().clone();
        let wall = walls.iter().find(|one| one["name"] == "devices").unwrap().clone();
        let stands = wall["detail"].as_str().unwrap().starts_with("stands");
        let word = |shut: bool| if shut && stands { "Operation not permitted" } else { open };
        let words: Vec<&str> = shut.into_iter().map(word).collect();
        server.says(id, &format!("{sees}\n{}\n", words.join("\n")));
    };
    says(first, "[MIG-one] [0]", [false, false, false, true, true, true]);
    says(second, "[MIG-two] [1]", [false, true, true, false, false, true]);
    let uuid = "GPU-00000001-0000-0000-0000-000000000000";
    says(whole, &format!("[{uuid}] [2]"), [true, true, true, true, true, false]);
    fs::write(&go, "").unwrap();
    for id in [first, second, whole] {
        server.reaches(id, "COMPLETED");
    }
    server.is_clean();
}

#[test]
fn a_device_that_vanished_is_named_at_the_start() {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    let stage = match Stage::set(&server) {
        Ok(stage) => stage,
        Err(why) => return skipped("a_device_that_vanished_is_named_at_the_start", &why),
    };
    fs::remove_file(stage.0.join("dev/nvidia1")).unwrap();
    settings(&mut server, &stage.settings());
    let out = server.command().output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(2), "a matter of settings: {said}");
    assert!(said.contains("resource \"gpu\"") && said.contains("/dev/nvidia1"), "{said}");
}
