//! *Purpose*: a script runs as its owner and as nobody else.
//!
//! *Owns*: the cases about who a process is, what it inherits, and what happens when it cannot
//! become somebody.
//!
//! *Promises*: what fails here fails as on a real machine: in a user namespace that lacks what the
//! act needs.
//!
//! *Not here*: files (`files`), what others' processes may do to it (`processes`).

use serde_json::Value;

use super::*;

super::cases! {
    alice_s_job_prints_the_ids_of_alice_and_root_s_groups_never
    in_the_job_every_set_of_capabilities_is_empty
    a_server_with_full_inheritable_and_ambient_sets_hands_none_of_them_on
    in_the_job_are_no_descriptor_above_2_no_terminal_and_its_own_session
    the_machine_s_own_audit_names_her_where_nobody_has_logged_in
    the_keys_of_root_s_session_are_not_the_job_s
    when_groups_or_numbers_cannot_be_set_the_script_never_runs_not_even_as_root
    root_by_another_name_and_the_system_s_users_are_refused_by_the_supervisor
    an_order_that_is_put_into_the_spool_by_hand_is_refused_too
    a_server_that_serves_its_own_user_alone_runs_nothing_as_another
    alice_at_her_limit_of_processes_is_told_so_and_bob_s_jobs_start
    no_root_process_of_ours_ever_has_a_person_s_variables
    a_job_without_a_person_runs_as_the_server_s_user
    a_data_folder_that_users_cannot_reach_is_refused_at_the_start
}

/// A shell that says all that the kernel knows of it.
const WHO: &str = "id -u; id -g; id -G; grep -E '^(Uid|Gid|Groups|Cap(Inh|Prm|Eff|Amb)):' \
                   /proc/self/status | tr -s '\\t ' ' '";

mod cases {
    use super::*;

    pub async fn alice_s_job_prints_the_ids_of_alice_and_root_s_groups_never() {
        let stage = Stage::new();
        let said = stage.said(&alice(), WHO).await;
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[..3], ["23001", "23011", "23011 23021"], "{said}");
        assert_eq!(lines[3], "Uid: 23001 23001 23001 23001");
        assert_eq!(lines[4], "Gid: 23011 23011 23011 23011");
        assert_eq!(lines[5].trim(), "Groups: 23011 23021");
        // As after `newgrp proj`: another primary group, which files bear.
        let proj = Person { gid: 23_021, ..alice() };
        let order = stage.order(&proj, "id -g; touch made");
        stage.end(&order).await;
        assert_eq!(text(&order.stdout.full()), "23021\n");
        assert_eq!(rights(&stage.path("alice/made")), (23_001, 23_021, 0o644));
        let alone = Person { groups: Vec::new(), ..alice() };
        assert_eq!(stage.said(&alone, "id -G").await, "23011\n");
    }

    pub async fn in_the_job_every_set_of_capabilities_is_empty() {
        let stage = Stage::new();
        assert_no_capabilities(&stage.said(&alice(), WHO).await);
    }

    pub async fn a_server_with_full_inheritable_and_ambient_sets_hands_none_of_them_on() {
        let held = text(Path::new("/proc/self/status"));
        let held = held.lines().find_map(|line| line.strip_prefix("CapPrm:\t")).unwrap();
        let held = u64::from_str_radix(held, 16).unwrap();
        let held: Vec<String> = (0..41).filter(|n| held & (1 << n) != 0).map(name).collect();
        let held = held.join(",");
        let all = format!(
            "cd ${{0%/*}}; exec setpriv --inh-caps {held} --ambient-caps {held} \
             bash -c 'grep CapAmb /proc/self/status > amb; exec \"$0\" \"$@\"'"
        );
        let stage = Stage::with(|config| wrap(config, &all));
        let had = text(&stage.path("amb"));
        assert!(!had.is_empty() && !had.contains("\t0000000000000000"), "{had}");
        assert_no_capabilities(&stage.said(&alice(), WHO).await);
    }

    pub async fn in_the_job_are_no_descriptor_above_2_no_terminal_and_its_own_session() {
        let stage = Stage::with(|config| {
            wrap(config, "echo 700 > /proc/self/oom_score_adj; umask 077; exec")
        });
        let script = "cat /proc/self/oom_score_adj; umask; pwd
            ls /proc/$$/fd > fds; tr '\\n' ' ' < fds; readlink /proc/$$/fd/0 /proc/$$/fd/255
            (: < /dev/tty) 2> no && echo a terminal
            read -r stat < /proc/$$/stat; set -- ${stat##*) }; [ $4 != $$ ] && echo session $4
            ps -o pid= -p $4 > /dev/null && echo of a supervisor; nice";
        let said = stage.said(&alice(), script).await;
        let lines: Vec<&str> = said.lines().collect();
        let home = stage.path("alice").display().to_string();
        assert_eq!(lines[..3], ["0", "0022", &home], "{said}");
        // Bash holds its script as 255. No pipe: it would hold an end of that too, for a moment.
        assert!(lines[3].starts_with("0 1 2 255 /dev/null"), "{said}");
        assert!(lines[4].ends_with("/script"), "{said}");
        assert!(lines[5].starts_with("session "), "{said}");
        assert_eq!(lines[6..], ["of a supervisor", "0"], "{said}");
        let mut order = stage.order(&alice(), "umask");
        order.umask = Some("0077".parse().unwrap());
        stage.end(&order).await;
        assert_eq!(text(&order.stdout.full()), "0077\n");
    }

    pub async fn the_machine_s_own_audit_names_her_where_nobody_has_logged_in() {
        let Ok(ours) = std::fs::read_to_string("/proc/self/loginuid") else {
            println!("ABSENT the login number: this kernel has no audit");
            return;
        };
        let person = alice();
        let hers = Stage::new().said(&person, "cat /proc/self/loginuid").await;
        match ours.trim() == u32::MAX.to_string() {
            true => assert_eq!(hers, person.uid.to_string()),
            false => assert_eq!(hers, ours, "whoever logged in started the server"),
        }
    }

    pub async fn the_keys_of_root_s_session_are_not_the_job_s() {
        // The system calls by their numbers, for want of a program: `add_key` to the keyring of the
        // session, `request_key`.
        if !cfg!(target_arch = "x86_64") {
            println!("SKIPPED the_keys_of_root_s_session: the numbers are of another processor");
            return;
        }
        let names = "my ($t, $d, $p) = (\"user\", \"downbeat\", \"x\");";
        let add = format!(
            "exec perl -e '{names} syscall(248, $t, $d, $p, 1, -3) > 0 or die; exec @ARGV' \
             bash -c 'exec \"$0\" \"$@\"'"
        );
        let stage = Stage::with(|config| wrap(config, &add));
        let find = &format!("perl -e '{names} print syscall(249, $t, $d, 0, 0) > 0 ? 1 : 0'");
        let own = Order { person: None, ..stage.order(&alice(), find) };
        stage.end(&own).await;
        assert_eq!(text(&own.stdout.full()), "1", "it is there for the server's own user");
        assert_eq!(stage.said(&alice(), find).await, "0");
        // What she has instead she can use.
        let own = format!("perl -e '{names} print syscall(248, $t, $d, $p, 1, -3) > 0 ? 1 : 0'");
        assert_eq!(stage.said(&alice(), &own).await, "1");
    }

    pub async fn when_groups_or_numbers_cannot_be_set_the_script_never_runs_not_even_as_root() {
        let all = "0 0 100000";
        for (user_map, group_map, setgroups, sentence) in [
            (all, all, "deny", "could not become alice: its groups: permission denied"),
            (
                all,
                "0 0 1\n23011 23011 1",
                "allow",
                "could not become alice: its groups: invalid argument",
            ),
            (
                all,
                "0 0 1\n23021 23021 1",
                "allow",
                "could not become alice: the number of its \
              group: invalid argument",
            ),
            (
                "0 0 1",
                all,
                "allow",
                "could not become alice: the number of its user: invalid \
              argument",
            ),
        ] {
            let stage = Stage::with(|config| {
                wrap(config, &in_namespace(user_map, group_map, setgroups));
            });
            let open = stage.path("open");
            fs::create_dir(&open).unwrap();
            mode(&open, 0o777);
            let ran = open.join("ran");
            let stream = StreamFile { root: open.clone(), path: "out".into() };
            let order = Order {
                own_folder: None,
                working_directory: open.clone(),
                stdout: stream.clone(),
                stderr: stream,
                ..stage.order(&Person { groups: vec![23_021], ..alice() }, "echo > ran")
            };
            // Who has no such number in there could not be given a folder either.
            let record = stage.forged(&order, |file| file["scratch"].take()).await;
            assert_eq!(record.launch_error.as_deref(), Some(sentence));
            assert!(!ran.exists() && !open.join("out").exists(), "{sentence}");
        }
    }

    pub async fn root_by_another_name_and_the_system_s_users_are_refused_by_the_supervisor() {
        let stage = Stage::new();
        for (uid, gid, why) in [
            (0, 23_011, "the user's number is 0"),
            (u32::MAX, 23_011, "4294967295 is no user's number"),
            (999, 23_011, "the user's number, 999, is below 1000"),
            (23_001, 0, "the primary group's number is 0"),
            (23_001, u32::MAX, "4294967295 is no group's number"),
        ] {
            let toor = Person { uid, gid, groups: Vec::new(), name: "toor".to_owned() };
            let mut order = stage.order(&alice(), "true");
            order.person = Some(toor);
            // Before anything is made that could be given to the wrong one.
            let refused = stage.launch_error(&order).await;
            assert_eq!(refused, format!("no job runs as toor: {why}"));
            assert!(!order.stdout.full().exists());
        }
        let stage = Stage::with(|config| config.floor = 23_002);
        let refused = stage.refused(&stage.order(&alice(), "true")).await;
        assert_eq!(refused, "no job runs as alice: the user's number, 23001, is below 23002");
        stage.said(&bob(), "true").await;
    }

    pub async fn an_order_that_is_put_into_the_spool_by_hand_is_refused_too() {
        let stage = Stage::new();
        let order = stage.order(&alice(), "true");
        let record = stage.forged(&order, |file| file["order"]["person"]["uid"] = 0.into()).await;
        let refused = record.launch_error.unwrap();
        assert_eq!(refused, "no job runs as alice: the user's number is 0");
        // Nor is it run as root when the person is taken out of it.
        let order = stage.order(&alice(), "true");
        let record = stage.forged(&order, |file| file["order"]["person"].take()).await;
        let refused = record.launch_error.unwrap();
        assert!(refused.ends_with("version 2 is not known here"), "{refused}");
    }

    pub async fn a_server_that_serves_its_own_user_alone_runs_nothing_as_another() {
        let stage = Stage::with(|config| config.people = false);
        let refused = stage.refused(&stage.order(&alice(), "true")).await;
        assert_eq!(refused, "this server runs jobs as its own user alone, not as alice");
        assert_eq!(rights(&stage.path("data")).2, 0o700);
    }

    pub async fn alice_at_her_limit_of_processes_is_told_so_and_bob_s_jobs_start() {
        let stage = Stage::new();
        let crowd = Person { uid: 23_003, gid: 23_013, groups: Vec::new(), ..alice() };
        let own = stage.path("alice");
        give(&own, &crowd);
        let sleeping = stage.order(&crowd, "sleep 600 & echo there; wait");
        stage.running(&sleeping).await;
        stage.says(&sleeping, "there").await;
        let mut order = stage.order(&crowd, "true");
        order.limits = serde_json::from_str(r#"{"nproc":1}"#).unwrap();
        let refused = stage.refused(&order).await;
        let sentence = "alice has as many processes as the limit allows (ulimit -u), so no other \
                        was started";
        assert_eq!(refused, sentence);
        stage.said(&bob(), "true").await;
        stage.cancel(&sleeping).await;
        stage.ended(&sleeping).await;
        stage.said(&crowd, "true").await;
    }

    pub async fn no_root_process_of_ours_ever_has_a_person_s_variables() {
        let stage = Stage::new();
        let mut order = stage.order(&alice(), "echo $HOME; echo up; sleep 600 & wait");
        for (name, value) in [
            ("HOME", "/home/of-bob"),
            ("LD_PRELOAD", "/tmp/of-bob.so"),
            ("BASH_ENV", "/tmp/of-bob.sh"),
            ("SECRET", "of-bob"),
        ] {
            order.environment.insert(name.to_owned(), value.to_owned());
        }
        let script = stage.running(&order).await.pid;
        stage.says(&order, "up").await;
        stage.says(&order, "/home/of-bob").await;
        let environment = text(Path::new(&format!("/proc/{script}/environ")));
        assert!(environment.contains("BASH_ENV=/tmp/of-bob.sh"), "{environment}");
        let mut above = parent(script);
        let mut seen = 0;
        while above != i32::try_from(std::process::id()).unwrap() {
            let environment = fs::read(format!("/proc/{above}/environ")).unwrap();
            let environment = String::from_utf8_lossy(&environment).into_owned();
            assert!(!environment.contains("of-bob"), "{above}: {environment}");
            (above, seen) = (parent(above), seen + 1);
        }
        assert_eq!(seen, 2, "supervisor and step daemon");
        stage.cancel(&order).await;
        stage.ended(&order).await;
    }

    pub async fn a_data_folder_that_users_cannot_reach_is_refused_at_the_start() {
        let home = tempfile::tempdir().unwrap();
        mode(home.path(), 0o700);
        let config = LocalConfig {
            program: env!("CARGO_BIN_EXE_downbeat").into(),
            people: true,
            ..LocalConfig::new(home.path().join("data"))
        };
        let refused = LocalEngine::start(config).unwrap_err().to_string();
        let sentence = format!("{} is closed to users", home.path().display());
        assert!(refused.contains(&sentence), "{refused}");
    }

    pub async fn a_job_without_a_person_runs_as_the_server_s_user() {
        for people in [false, true] {
            let stage = Stage::with(|config| config.people = people);
            let order = Order { person: None, ..stage.order(&alice(), "id -u") };
            assert_eq!(stage.end(&order).await.exit_code, exited(0));
            assert_eq!(text(&order.stdout.full()), "0\n");
        }
    }
}

/// As setpriv calls a capability.
fn name(number: u32) -> String {
    format!("+cap_{number}")
}

#[track_caller]
fn assert_no_capabilities(said: &str) {
    let sets: Vec<&str> = said.lines().filter(|line| line.starts_with("Cap")).collect();
    assert_eq!(sets.len(), 4, "{said}");
    assert!(sets.iter().all(|set| set.ends_with(" 0000000000000000")), "{said}");
}

impl Stage {
    /// The end of an attempt whose order was changed in the spool before the daemon read it.
    async fn forged<T>(&self, order: &Order, forge: impl Fn(&mut Value) -> T) -> ExitRecord {
        let daemon = self.engine.step_daemon().unwrap();
        signal(daemon, "STOP");
        self.launch(order).await;
        let path = self.path("data/spool").join(order.key.name()).join("order");
        let mut file: Value = serde_json::from_str(&text(&path)).unwrap();
        let before = file.clone();
        forge(&mut file);
        assert_ne!(file, before);
        fs::write(&path, file.to_string()).unwrap();
        signal(daemon, "CONT");
        self.ended(order).await
    }

    /// Why no script was started.
    async fn launch_error(&self, order: &Order) -> String {
        self.end(order).await.launch_error.unwrap_or_default()
    }
}

/// Has the step daemon begin with these words of a shell, which end with `exec`.
fn wrap(config: &mut LocalConfig, words: &str) {
    let program = config.program.display().to_string();
    let wrapper = config.data_dir.with_file_name("wrapper");
    let words = words.strip_suffix("exec").map_or_else(
        || words.replace("exec \"$0\" \"$@\"'", &format!("exec {program} \"$@\"' sh \"$@\"")),
        |before| format!("{before}exec {program} \"$@\""),
    );
    fs::write(&wrapper, format!("#!/bin/bash\n{words}\n")).unwrap();
    mode(&wrapper, 0o755);
    config.program = wrapper;
}

/// Enters a user namespace with these maps.
fn in_namespace(user_map: &str, group_map: &str, setgroups: &str) -> String {
    format!(
        "cd \"${{0%/*}}\"; mkfifo ready$$ go$$; me=$$
        (read -r _ < ready$me; echo {setgroups} > /proc/$me/setgroups
         env printf '{group_map}\\n' > /proc/$me/gid_map; env printf '{user_map}\\n' > /proc/$me/uid_map
         echo > go$me) > err 2>&1 < /dev/null &
        exec unshare --user bash -c 'echo > ready'$me'; read -r _ < go'$me'; exec \"$0\" \"$@\"'"
    )
}

fn parent(pid: i32) -> i32 {
    downbeat::engine::local::proc::stat(pid).unwrap().parent
}

/// Sends a signal by name.
pub fn signal(pid: i32, name: &str) {
    let sent = std::process::Command::new("/bin/kill")
        .args([format!("-{name}"), pid.to_string()])
        .status();
    assert!(sent.unwrap().success());
}
