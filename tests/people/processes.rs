//! *Purpose*: what processes of a person may do to those of the server's, and leave behind.
//!
//! *Owns*: the cases about signals, tracing, forks, and what became root.
//!
//! *Promises*: whoever attacks says what worked; a case that needs a program of root's makes it in a
//! folder of its own and takes it away with that.
//!
//! *Not here*: who a process is (`becoming`).

use super::becoming::signal;
use super::*;

super::cases! {
    alice_s_job_can_neither_kill_nor_stop_nor_trace_who_watches_it
    whoever_catches_the_child_before_its_script_harms_that_one_job_of_hers_at_most
    what_has_become_root_entirely_ends_with_its_job
    a_fork_bomb_ends_to_the_last_process_and_bob_s_job_starts_meanwhile
    a_process_that_bears_another_s_key_is_not_taken_for_the_attempt_s
}

mod cases {
    use super::*;

    pub async fn alice_s_job_can_neither_kill_nor_stop_nor_trace_who_watches_it() {
        let stage = Stage::new();
        let daemon = stage.engine.step_daemon().unwrap();
        let script = format!(
            "for pid in $PPID {daemon} {}; do for name in KILL STOP USR1 QUIT; do
                kill -$name $pid && echo \"$name to $pid worked\"
             done
             cat /proc/$pid/environ /proc/$pid/mem /proc/$pid/maps && echo \"$pid was read\"
             prlimit --pid $pid --nofile=1:1 && echo \"$pid was limited\"
             renice 19 $pid && echo \"$pid was reniced\"
             {TRACE} $pid && echo \"$pid was traced\"
             done; echo tried; sleep 600",
            std::process::id()
        );
        let mut order = stage.order(&alice(), &script);
        order.limit_s = Some(2);
        stage.launch(&order).await;
        let record = stage.ended(&order).await;
        let said = text(&order.stdout.full());
        assert_eq!(said, "tried\n", "{}", text(&order.stderr.full()));
        assert_eq!(record.stop, Some(downbeat::engine::Stop::TimeLimit), "the limit stands");
        assert_eq!(stage.engine.step_daemon(), Some(daemon));
    }

    pub async fn whoever_catches_the_child_before_its_script_harms_that_one_job_of_hers_at_most() {
        let name = "whoever_catches_the_child_before_its_script_harms_that_one_job_of_hers_at_most";
        let stage = Stage::new();
        // Where it hangs it is alice's by its number, and not her script yet.
        let Some(_hanging) = files::Mount::hanging(&stage, name) else { return };
        let mut caught = stage.order(&alice(), "true");
        caught.working_directory = stage.path("alice/hangs");
        stage.launch(&caught).await;
        let child = until("the child", || hanging_below(stage.engine.step_daemon().unwrap())).await;
        let supervisor = downbeat::engine::local::proc::stat(child).unwrap().parent;
        let attack = format!(
            "sleep 60 & own=$!; {TRACE} $own && echo trace; {WRITE} $own && echo write; kill -9 $own
             kill -STOP {child} && echo stopped
             {TRACE} {child} && echo TRACED; {TRACE} {supervisor} && echo TRACED
             {WRITE} {child} && echo WRITTEN; {WRITE} {supervisor} && echo WRITTEN
             for pid in {child} {supervisor}; do
                (cat /proc/$pid/mem || cat /proc/$pid/maps || cat /proc/$pid/environ) && echo READ
                ls /proc/$pid/fd && echo LISTED; (echo 1000 > /proc/$pid/oom_score_adj) && echo SCORED
             done
             prlimit --pid {child} --cpu=1:1 && echo limited
             prlimit --pid {supervisor} --cpu=1:1 && echo LIMITED
             kill -QUIT {child} && echo quit; kill -CONT {child}; kill -KILL {child} && echo killed
             true"
        );
        let said = stage.said(&alice(), &attack).await;
        let said: Vec<&str> =
            said.lines().filter(|line| line.chars().all(|c| c.is_ascii_alphabetic())).collect();
        let hers = ["trace", "write", "stopped", "limited", "quit", "killed"];
        assert_eq!(said, hers, "what is hers, and no more");
        let record = stage.ended(&caught).await;
        assert!(record.exit_code.is_none_or(|code| code.signal == 9), "{record:?}");
        // The same supervisor serves on, as it was.
        assert!(downbeat::engine::local::proc::stat(supervisor).is_some());
        stage.said(&bob(), "true").await;
    }

    pub async fn what_has_become_root_entirely_ends_with_its_job() {
        let stage = Stage::new();
        let sudo = stage.path("sudo");
        fs::copy("/usr/bin/setpriv", &sudo).unwrap();
        mode(&sudo, 0o4755);
        let root = format!("{} --reuid=0 --regid=0 --clear-groups", sudo.display());
        let script = format!(
            "{root} setsid sh -c 'id -ru > {0}; exec sleep 600' < /dev/null & {root} sleep 600 & wait",
            stage.path("rose").display()
        );
        let order = stage.order(&alice(), &script);
        stage.running(&order).await;
        until("root", || match text(&stage.path("rose")) {
            said if said == "0\n" => Ok(()),
            said => Err(said),
        })
        .await;
        let them = stage.engine.processes(&order.key).await.unwrap();
        assert!(them.len() >= 3, "{them:?}");
        stage.cancel(&order).await;
        stage.ended(&order).await;
        let left: Vec<&i32> = them
            .iter()
            .filter(|pid| downbeat::engine::local::proc::stat(**pid).is_some())
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }

    pub async fn a_fork_bomb_ends_to_the_last_process_and_bob_s_job_starts_meanwhile() {
        let stage = Stage::new();
        let bomber = Person { uid: 23_004, gid: 23_014, groups: Vec::new(), ..alice() };
        give(&stage.path("alice"), &bomber);
        let mut order = stage.order(&bomber, "b() { b | b & }; echo lit; b; sleep 600");
        order.limits = serde_json::from_str(r#"{"nproc":200}"#).unwrap();
        order.kill_grace_s = 0;
        stage.running(&order).await;
        stage.says(&order, "lit").await;
        stage.said(&bob(), "true").await;
        stage.cancel(&order).await;
        stage.ended(&order).await;
        assert_eq!(of_user(23_004), [0; 0], "to the last process");
    }

    pub async fn a_process_that_bears_another_s_key_is_not_taken_for_the_attempt_s() {
        let stage = Stage::new();
        let order = stage.order(&alice(), "echo up; sleep 600");
        let script = stage.running(&order).await.pid;
        stage.says(&order, "up").await;
        // Bob gives his process alice's key, which everybody reads.
        let key = order.key.name();
        let bobs = stage.order(&bob(), &format!("DOWNBEAT_KEY={key} sleep 600 & echo up; wait"));
        stage.running(&bobs).await;
        stage.says(&bobs, "up").await;
        let supervisor = downbeat::engine::local::proc::stat(script).unwrap().parent;
        signal(supervisor, "KILL");
        stage.see(&order, |s| matches!(s, AttemptStatus::Lost)).await;
        while stage.engine.kill_leftovers(&order.key).await.unwrap() > 0 {}
        assert!(downbeat::engine::local::proc::stat(script).is_none(), "hers is gone");
        let them = stage.engine.processes(&bobs.key).await.unwrap();
        assert_eq!(them.len(), 2, "his goes on: {them:?}");
        stage.cancel(&bobs).await;
        assert_eq!(stage.ended(&bobs).await.exit_code.unwrap().signal, 15);
    }
}

/// Traces the process that follows, by `PTRACE_SEIZE`.
const TRACE: &str = "perl -e 'exit(syscall(101, 0x4206, $ARGV[0] + 0, 0, 0) == 0 ? 0 : 1)'";
/// Writes into its memory, by `process_vm_writev` of a byte to where nothing can be: who may not
/// is told that first.
const WRITE: &str = "perl -e '$b = \"x\"; $l = pack(\"PQ\", $b, 1); $r = pack(\"QQ\", 4096, 1); \
                     syscall(311, $ARGV[0] + 0, $l, 1, $r, 1, 0); exit($! == 1 ? 1 : 0)'";

/// A process below a supervisor of this daemon that waits in the kernel for a file system and is no
/// script yet.
fn hanging_below(daemon: i32) -> Result<i32, String> {
    let parent = |pid| downbeat::engine::local::proc::stat(pid).map(|seen| seen.parent);
    let found = of_user(23_001).into_iter().find(|pid| {
        parent(*pid).and_then(parent) == Some(daemon)
            && text(Path::new(&format!("/proc/{pid}/wchan"))).contains("fuse")
    });
    found.ok_or_else(|| format!("{:?}", of_user(23_001)))
}

/// All living processes whose real number this is.
fn of_user(uid: u32) -> Vec<i32> {
    let all = downbeat::engine::local::proc::all().unwrap().into_iter();
    let alive = all.filter(downbeat::engine::local::proc::Stat::is_alive);
    let is_theirs = |pid: &i32| {
        let status = text(Path::new(&format!("/proc/{pid}/status")));
        status.lines().any(|line| line.starts_with(&format!("Uid:\t{uid}\t")))
    };
    alive.map(|seen| seen.identity.pid).filter(is_theirs).collect()
}
