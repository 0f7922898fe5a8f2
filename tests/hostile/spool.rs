//! *Purpose*: folders vanish under running jobs.
//!
//! *Owns*: the spool of one job, the whole spool, the data folder, working directories.
//!
//! *Promises*: the server lives, no job runs twice, CPUs come back only when the processes
//! are gone, the code is true or honestly unknown, and new jobs run.
//!
//! *Not here*: what the engine keeps in these folders (`engine::local::spool`).

use std::fs;

use serde_json::json;

use crate::common::{Server, signal, until};
use crate::help::{
    Immutable, Marks, alive, cancel, ends_as, gone, parent, script_of, skipped, spool_of,
    until_file,
};

#[test]
fn a_job_whose_spool_is_deleted_while_it_runs_still_tells_its_code() {
    let server = Server::start();
    let marks = Marks::of(&server);
    let go = server.dir.path().join("go");
    let id = server.run(&marks.script("job", &until_file(&go), 5));
    server.started(id);
    fs::remove_dir_all(spool_of(&server, id)).unwrap();
    ends_as(&server, server.run("exit 3"), "FAILED", Some("3:0"));
    assert_eq!(server.get("/api/v1/resources").json()["used_cpus"], 1);
    fs::write(go, "").unwrap();
    ends_as(&server, id, "FAILED", Some("5:0"));
    assert_eq!(marks.starts("job"), 1);
    server.is_clean();
}

#[test]
fn a_job_whose_spool_was_deleted_can_be_cancelled() {
    let server = Server::start();
    let id = server.run("sleep 600");
    let script = script_of(&server.started(id));
    fs::remove_dir_all(spool_of(&server, id)).unwrap();
    cancel(&server, id);
    let job = server.ended(id);
    assert_eq!(job["state"], "CANCELLED", "{job}");
    assert!(!alive(script), "its CPUs came back before it was gone");
    server.is_clean();
}

#[test]
fn the_whole_spool_may_vanish_while_jobs_run() {
    let server = Server::start();
    let marks = Marks::of(&server);
    let go = server.dir.path().join("go");
    let ids: Vec<i64> =
        (0..3).map(|n| server.run(&marks.script(&format!("j{n}"), &until_file(&go), 5))).collect();
    for id in &ids {
        server.started(*id);
    }
    fs::remove_dir_all(server.data().join("spool")).unwrap();
    ends_as(&server, server.run("exit 3"), "FAILED", Some("3:0"));
    fs::write(go, "").unwrap();
    for (n, id) in ids.iter().enumerate() {
        ends_as(&server, *id, "FAILED", Some("5:0"));
        assert_eq!(marks.starts(&format!("j{n}")), 1);
    }
    server.is_clean();
}

#[test]
fn a_spool_that_vanishes_while_no_server_runs_makes_nothing_run_twice() {
    let mut server = Server::start();
    let marks = Marks::of(&server);
    let go = server.dir.path().join("go");
    // One that goes on, one that ends meanwhile, one whose supervisor is killed meanwhile.
    let goes_on = server.run(&marks.script("goes_on", &until_file(&go), 5));
    let ends = server.run(&marks.script("ends", "sleep 0.5", 6));
    let lost = server.run(&marks.script("lost", "sleep 600", 7));
    let scripts: Vec<u32> =
        [goes_on, ends, lost].iter().map(|id| script_of(&server.started(*id))).collect();
    for name in ["goes_on", "ends", "lost"] {
        marks.begun(name);
    }
    server.kill();
    gone(scripts[1]);
    signal(parent(scripts[2]), "KILL");
    fs::remove_dir_all(server.data().join("spool")).unwrap();
    server.up();
    let job = server.ended(ends);
    assert!(job["exit_code"] == "6:0" || job["exit_code"].is_null(), "{job}");
    let job = server.ended(lost);
    assert_eq!((job["state"].as_str(), job["exit_code"].as_str()), (Some("NODE_FAIL"), None));
    assert!(!alive(scripts[2]), "its CPUs came back before it was gone");
    assert!(server.job(goes_on)["end_time"].is_null(), "it lives and so it holds its CPUs");
    ends_as(&server, server.run("exit 3"), "FAILED", Some("3:0"));
    fs::write(go, "").unwrap();
    ends_as(&server, goes_on, "FAILED", Some("5:0"));
    for name in ["goes_on", "ends", "lost"] {
        assert_eq!(marks.starts(name), 1, "{name} ran once");
    }
    server.is_clean();
}

#[test]
fn a_job_whose_spool_vanished_with_the_server_can_be_cancelled() {
    let mut server = Server::start();
    let id = server.run("setsid sleep 611 & sleep 612");
    let script = script_of(&server.started(id));
    server.kill();
    fs::remove_dir_all(server.data().join("spool")).unwrap();
    server.up();
    cancel(&server, id);
    let job = server.ended(id);
    assert_eq!(job["state"], "CANCELLED", "{job}");
    assert!(!alive(script));
    server.is_clean();
}

#[test]
fn a_data_folder_that_is_moved_away_and_back_costs_no_code() {
    let server = Server::start();
    let marks = Marks::of(&server);
    let go = server.dir.path().join("go");
    let id = server.run(&marks.script("job", &until_file(&go), 5));
    server.started(id);
    let away = server.dir.path().join("away");
    fs::rename(server.data(), &away).unwrap();
    // Whatever is answered now, the server lives and nothing is lost.
    let answer = server.post("/api/v1/jobs", &json!({"script": marks.script("new", "true", 6)}));
    fs::write(go, "").unwrap();
    until("the script to end", || match marks.ends("job") {
        1 => Ok(()),
        n => Err(format!("{n} ends")),
    });
    server.get("/health/live").expect(200);
    if server.data().exists() {
        fs::remove_dir_all(server.data()).unwrap();
    }
    fs::rename(&away, server.data()).unwrap();
    ends_as(&server, id, "FAILED", Some("5:0"));
    if answer.status == 201 {
        let new = answer.json()["id"].as_i64().unwrap();
        ends_as(&server, new, "FAILED", Some("6:0"));
        assert_eq!(marks.starts("new"), 1);
    }
    server.is_clean();
}

#[test]
fn a_working_directory_may_vanish_before_and_during_the_run() {
    let server = Server::start();
    let marks = Marks::of(&server);
    let (go, work) = (server.dir.path().join("go"), server.dir.path().join("work"));
    fs::create_dir(&work).unwrap();
    let script = marks.script("job", &until_file(&go), 5);
    let blocker = server.submit(&json!({
        "script": script, "working_directory": work, "standard_output": "out", "cpus": 4
    }));
    let next = server.submit(&json!({"script": "true", "working_directory": work}));
    server.started(blocker);
    fs::remove_dir_all(&work).unwrap();
    server.get(&format!("/api/v1/jobs/{blocker}/stdout"));
    fs::write(go, "").unwrap();
    ends_as(&server, blocker, "FAILED", Some("5:0"));
    let job = ends_as(&server, next, "FAILED", None);
    let error = job["error"].as_str().unwrap();
    assert!(error.contains("working directory") && error.contains("not found"), "{job}");
    server.is_clean();
}

/// What a script does to its folder in the spool; `$D` is the folder.
fn in_its_folder(server: &Server, does: &str) -> String {
    format!("D={}/spool/$DOWNBEAT_KEY\n{does}\n", server.data().display())
}

/// Everything that a script can put in the place of a file of ours.
const STRANGE: [&str; 5] = [
    "mkfifo $D/FILE",
    "ln -s /dev/zero $D/FILE",
    "ln -s /etc/passwd $D/FILE",
    "mkdir $D/FILE; touch $D/FILE/x",
    "truncate -s 1T $D/FILE",
];

#[test]
fn whatever_a_script_puts_into_its_spool_folder_stops_nobody_else_and_keeps_its_code() {
    let server = Server::start();
    let before = crate::help::resident(server.pid());
    let go = server.dir.path().join("go");
    let mut ids = Vec::new();
    for file in ["exit", "exit.tmp", "control", "control.tmp", "state", "state.new"] {
        for strange in STRANGE {
            let place = strange.replace("FILE", file);
            let does = format!("rm -rf $D/{file}; {place}; touch $D/../../../done.$SLURM_JOB_ID");
            let script = in_its_folder(&server, &format!("{does}\n{}\nexit 7", until_file(&go)));
            ids.push(server.submit(&json!({"script": script, "name": place})));
            if ids.len() % 4 == 0 || file == "state.new" {
                // As many as there are CPUs at once.
                for id in ids.drain(..) {
                    until("the place to be taken", || {
                        let done = server.dir.path().join(format!("done.{id}"));
                        if done.exists() { Ok(()) } else { Err(server.job(id).to_string()) }
                    });
                    server.get("/api/v1/audit").expect(200);
                    assert_eq!(server.get("/health/ready").status, 200);
                    fs::write(&go, "").unwrap();
                    ends_as(&server, id, "FAILED", Some("7:0"));
                }
                fs::remove_file(&go).unwrap();
            }
        }
    }
    assert!(crate::help::resident(server.pid()) < before + (64 << 20), "memory was eaten");
    server.is_clean();
}

#[test]
fn a_cancel_is_heard_though_the_script_has_put_a_pipe_in_its_place() {
    let server = Server::start();
    for file in ["control", "control.tmp", "exit", "state"] {
        let ready = server.dir.path().join(format!("ready.{file}"));
        let done = ready.display();
        let does = format!("rm -f $D/{file}; mkfifo $D/{file}; touch {done}; sleep 600");
        let id = server.submit(&json!({
            "script": in_its_folder(&server, &does), "kill_grace_s": 1
        }));
        until("the pipe to be there", || {
            if ready.exists() { Ok(()) } else { Err(server.job(id).to_string()) }
        });
        cancel(&server, id);
        let job = server.ended(id);
        assert_eq!(job["state"], "CANCELLED", "{file}: {job}");
    }
    server.is_clean();
}

/// A record as a supervisor would write it, of a script that ended well.
fn forged(server: &Server) -> String {
    let record = json!({
        "version": 3, "exit_code": {"code": 0, "signal": 0}, "stop": null, "launch_error": null,
        "handle": null, "end_time": 1_795_000_000_000_000_i64,
        "usage": {"user_us": 0, "system_us": 0, "max_rss_bytes": 0}, "out_of_memory": null,
        "left_behind": []
    });
    let file = json!({"key": "KEY", "record": record}).to_string();
    format!("echo '{file}' | sed \"s/KEY/$DOWNBEAT_KEY/\" > {}/forged", server.dir.path().display())
}

#[test]
fn a_record_that_a_script_writes_itself_frees_nothing() {
    let mut server = Server::start();
    let go = server.dir.path().join("go");
    let forged_at = server.dir.path().join("forged");
    let forgeries = [
        "cp FORGED $D/exit",
        "cp FORGED $D/exit; rm $D/state; touch $D/state",
        "cp FORGED $D/exit; rm $D/state",
        "mv $D $D.away; mkdir $D; cp FORGED $D/exit; touch $D/state",
    ];
    for (n, forgery) in forgeries.iter().enumerate() {
        let forgery = forgery.replace("FORGED", &forged_at.to_string_lossy());
        // Its start is told first: without `state` nobody can say that it runs.
        let told = "sleep 0.3";
        let forge = format!("{told}\n{}\n{forgery}", forged(&server));
        let does = format!("{forge}\necho done\n{}\nexit 7", until_file(&go));
        let id = server.run(&in_its_folder(&server, &does));
        server.says(id, "done\n");
        if n == 0 {
            // What no server has seen begin is not believed either.
            server.kill();
            server.up();
        }
        let _looked = server.get("/api/v1/audit");
        crate::help::pause(std::time::Duration::from_secs(11));
        let job = server.job(id);
        assert_eq!(job["state"], "RUNNING", "{forgery}: {job}");
        assert_eq!(server.get("/api/v1/resources").json()["used_cpus"], 1, "{forgery}");
        fs::write(&go, "").unwrap();
        let job = server.ended(id);
        assert_ne!(job["state"], "COMPLETED", "{forgery}: {job}");
        fs::remove_file(&go).unwrap();
    }
}

#[test]
fn a_script_that_kills_its_supervisor_and_writes_its_own_end_is_not_believed() {
    let server = Server::start();
    let forged_at = server.dir.path().join("forged");
    let does = format!(
        "{}\ncp {} $D/exit\nsetsid sleep 622 &\nkill -9 $PPID\nsleep 600",
        forged(&server),
        forged_at.display()
    );
    let id = server.run(&in_its_folder(&server, &does));
    ends_as(&server, id, "NODE_FAIL", None);
    crate::help::nothing_sleeps(622);
    server.is_clean();
}

#[test]
fn a_lock_that_somebody_else_holds_keeps_no_cpu_for_ever() {
    let server = Server::start();
    let id = server.run("sleep 600");
    let supervisor = parent(script_of(&server.started(id)));
    let state = fs::File::open(spool_of(&server, id).join("state")).unwrap();
    // Somebody waits for the lock and gets it as soon as the supervisor is gone.
    let waiter = std::thread::spawn(move || {
        rustix::fs::flock(&state, rustix::fs::FlockOperation::LockExclusive).unwrap();
        state
    });
    signal(supervisor, "KILL");
    let held = waiter.join().unwrap();
    ends_as(&server, id, "NODE_FAIL", None);
    drop(held);
    server.is_clean();
}

#[test]
fn a_group_that_a_script_names_leads_nowhere() {
    for file in
        ["mkfifo $E/cgroup.procs", "ln -s /dev/zero $E/cgroup.procs", "echo PID > $E/cgroup.procs"]
    {
        let server = Server::start();
        let mut stranger = std::process::Command::new("sleep").arg("651").spawn().unwrap();
        let evil = server.dir.path().join("evil");
        let file = file.replace("PID", &stranger.id().to_string());
        let does = format!(
            "E={}/$DOWNBEAT_KEY; mkdir -p $E; {file}; echo \"group $E\" >> $D/state\n\
             kill -9 $PPID; sleep 600",
            evil.display()
        );
        let id = server.run(&in_its_folder(&server, &does));
        ends_as(&server, id, "NODE_FAIL", None);
        assert!(stranger.try_wait().unwrap().is_none(), "{file}: a stranger was killed");
        server.is_clean();
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
}

#[test]
fn strange_things_in_the_folder_of_jobs_end_no_other_job() {
    let server = Server::with(&["--cpus", "1"]);
    let jobs = server.data().join("jobs");
    let does = format!(
        "cd {}; mkfifo 2; touch 3; ln -s /tmp 4; mkdir 5; ln -s /tmp 5/work; exit 3",
        jobs.display()
    );
    ends_as(&server, server.run(&does), "FAILED", Some("3:0"));
    for _ in 2..=5 {
        let id = server.run("pwd -P; exit 4");
        ends_as(&server, id, "FAILED", Some("4:0"));
        let work = jobs.join(id.to_string()).join("work").canonicalize().unwrap();
        assert_eq!(server.stdout(id).trim(), work.to_str().unwrap());
    }
    server.is_clean();
}

#[test]
fn a_record_that_cannot_be_written_is_spoken_of_and_written_when_it_can_be() {
    let test = "a_record_that_cannot_be_written_is_spoken_of_and_written_when_it_can_be";
    let server = Server::start();
    let go = server.dir.path().join("go");
    let id = server.run(&format!("{}; exit 7", until_file(&go)));
    let script = script_of(&server.started(id));
    let folder = spool_of(&server, id);
    let closed = match Immutable::make(folder.clone()) {
        Ok(closed) => closed,
        Err(why) => return skipped(test, &why),
    };
    fs::write(go, "").unwrap();
    gone(script);
    let says = "the record of its end cannot be written";
    let notes = || server.get("/api/v1/info").json()["notes"].to_string();
    until("the trouble to be spoken of", || match notes() {
        said if said.contains(says) && said.contains(folder.to_str().unwrap()) => Ok(()),
        said => Err(said),
    });
    assert!(server.log().contains(says), "{}", server.log());
    let job = server.job(id);
    assert!(job["end_time"].is_null() && job["exit_code"].is_null(), "nobody knows yet: {job}");
    assert_eq!(server.get("/api/v1/resources").json()["used_cpus"], 1);
    // One whose record is owed keeps nobody else from starting.
    ends_as(&server, server.run("exit 3"), "FAILED", Some("3:0"));
    drop(closed);
    ends_as(&server, id, "FAILED", Some("7:0"));
    until("it to be over", || match notes() {
        said if said.contains(says) => Err(said),
        _ => Ok(()),
    });
    server.is_clean();
}
