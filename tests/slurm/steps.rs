//! *Purpose*: `srun` within jobs.
//!
//! *Owns*: nothing.
//!
//! *Promises*: the sentences and codes are those of Slurm 22.05; what differs says why.
//!
//! *Not here*: jobs themselves (`submit`), what is kept of steps (`tests/http`).

use crate::common::until;
use crate::{Site, uid};

/// What a script said that ran so, and the number of its job.
#[track_caller]
fn said(site: &Site, options: &str, script: &str) -> (String, i64) {
    site.file("s.sh", &format!("#!/bin/bash\n{script}\n"));
    let id = site.submit(&format!("{options} -o out.%j s.sh"));
    site.server.ended(id);
    (site.text(&format!("out.{id}")), id)
}

/// The lines in no order: tasks run beside each other.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_step_starts_as_many_tasks_as_the_job_has_and_tells_each_who_it_is() {
    let site = Site::start();
    let task = "'echo $SLURM_PROCID $SLURM_LOCALID $SLURM_STEP_ID $SLURM_STEPID $SLURM_NTASKS \
                $SLURM_NPROCS $SLURM_NODEID $SLURM_GTIDS'";
    let (out, _) = said(&site, "-n 3", &format!("srun bash -c {task}\nsrun -n 1 bash -c {task}"));
    let tasks =
        ["0 0 0 0 3 3 0 0,1,2", "0 0 1 1 1 1 0 0", "1 1 0 0 3 3 0 0,1,2", "2 2 0 0 3 3 0 0,1,2"];
    assert_eq!(sorted(&out), tasks);
    // As snakemake does: of Slurm's variables only the number is left.
    let without = "for v in ${!SLURM_*}; do [ $v = SLURM_JOB_ID ] || unset $v; done\n\
                   srun -n1 --cpu-bind=q bash -c 'echo $SLURM_JOB_ID $SLURM_PROCID $SLURM_NTASKS'\n\
                   srun -n 9 true; echo rc $?";
    let (out, id) = said(&site, "-c 2", without);
    let why = "More processors requested than permitted";
    let refused = format!("srun: error: Unable to create step for job {id}: {why}\nrc 1\n");
    assert_eq!(out, format!("{id} 0 1\n{refused}"));
}

#[test]
fn codes_signals_and_what_cannot_be_started() {
    let site = Site::start();
    let node = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let script = "srun -n 3 bash -c 'exit $SLURM_PROCID'; echo rc $?\n\
                  srun -n 1 bash -c 'kill -9 $$'; echo rc $?\n\
                  srun -n 1 /nonexistent; echo rc $?\n\
                  srun -Q -n 1 false; echo rc $?\n\
                  srun; echo rc $?\n\
                  srun --foo true; echo rc $?\n\
                  srun -N 2 true; echo rc $?\n\
                  srun --mpi=pmix true; echo rc $?\n\
                  srun true : false; echo rc $?";
    let (out, _) = said(&site, "-n 3", script);
    let lines: Vec<&str> = out.lines().collect();
    let codes = [
        format!("srun: error: {node}: task 1: Exited with exit code 1"),
        format!("srun: error: {node}: task 2: Exited with exit code 2"),
    ];
    assert_eq!(sorted(&lines[..2].join("\n")), codes);
    let rest = format!(
        "rc 2\n\
         srun: error: {node}: task 0: Killed\nrc 137\n\
         srun: error: execve(): /nonexistent: No such file or directory\nrc 2\n\
         rc 1\n\
         srun: fatal: No command given to execute.\nrc 1\n\
         srun: unrecognized option '--foo'\nTry \"srun --help\" for more information\nrc 255\n\
         srun: error: Only allocated 1 nodes asked for 2\nrc 1\n\
         srun: error: --mpi=pmix is not honoured here: nobody starts MPI by srun; call mpirun\n\
         rc 1\n\
         srun: error: several programs in one step (\":\") are not honoured here: call srun for \
         each\nrc 1"
    );
    assert_eq!(lines[2..].join("\n"), rest);
}

#[test]
fn streams_go_where_they_are_told_to() {
    let site = Site::start();
    let script = "srun -l -n 2 bash -c 'echo hi; echo err >&2; printf end'\n\
                  echo in | srun -n 1 cat\n\
                  echo all | srun -n 2 cat\n\
                  echo one | srun -i none -n 1 cat\n\
                  srun -n 2 -o 'o.%x.%s.%3t' -e none bash -c 'echo task $SLURM_PROCID; echo x >&2'\n\
                  srun -n 2 --output=shared bash -c 'echo to one'\n\
                  srun -n 2 -o 1 bash -c 'echo $SLURM_PROCID alone'\n\
                  mkdir sub; srun -n 1 -D sub -o pwd pwd\n\
                  srun -n 1 --export=NONE,A=b bash -c 'echo $A ${C-none} ${SLURM_JOB_ID:+job}'\n\
                  srun -n 1 --open-mode=append -o shared bash -c 'echo more'";
    let (out, _) = said(&site, "-n 2 -J named --export=ALL,C=c", script);
    let lines = sorted(&out);
    let wanted = [
        "0: end",
        "0: err",
        "0: hi",
        "1 alone",
        "1: end",
        "1: err",
        "1: hi",
        "all",
        "all",
        "b none job",
        "in",
    ];
    assert_eq!(lines, wanted);
    assert_eq!(site.text("o.named.4.000"), "task 0\n");
    assert_eq!(site.text("o.named.4.001"), "task 1\n");
    assert_eq!(site.text("shared"), "to one\nto one\nmore\n");
    assert!(site.text("sub/pwd").ends_with("/sub\n"));
}

#[test]
fn steps_share_the_cpus_of_their_job() {
    let site = Site::start();
    // The second waits until the first is over; the third does not wait.
    let script = "mkfifo gate\n\
                  srun -n 2 --exclusive bash -c 'read _ < gate; echo first' & \n\
                  until [ -e up ]; do srun --overlap -n 1 sleep 0.01; \
                      [ \"$(jobs -r | wc -l)\" = 1 ] && \
                      ! srun -I -n 1 true 2> busy && touch up; done\n\
                  srun -n 2 --exclusive -c 1 bash -c 'echo second' & \n\
                  srun --overlap -n 1 echo third\n\
                  (echo; echo) > gate\nwait";
    let (out, id) = said(&site, "-n 2", script);
    let busy = format!("Unable to create step for job {id}: Requested nodes are busy");
    assert_eq!(site.text("busy"), format!("srun: error: {busy}\n"));
    let told = |what: &str| out.lines().position(|line| line.contains(what));
    assert!(told("third") < told("first") && told("first") < told("second"), "{out}");
}

#[test]
fn a_signal_reaches_each_task_once_whoever_sends_it() {
    let site = Site::start();
    let task = "trap \"echo \\$SLURM_PROCID heard >> marks\" USR1; echo up >> marks; \
                while :; do sleep 0.02; done";
    site.file(
        "s.sh",
        &format!(
            "#!/bin/bash\nsrun -n 2 bash -c '{task}' 2> /dev/null & \n\
                                echo $! > pid\nwait; wait\n"
        ),
    );
    let id = site.submit("-n 2 -o out s.sh");
    let marks = |wanted: usize| {
        until("marks", || {
            let path = site.server.dir.path().join("marks");
            let text = std::fs::read_to_string(path).unwrap_or_default();
            if text.lines().count() == wanted { Ok(text) } else { Err(text) }
        })
    };
    marks(2);
    site.says(&format!("scancel -s USR1 {id}"));
    marks(4);
    // And by whoever sends it to srun alone.
    let pid: i32 = site.text("pid").trim().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::USR1).unwrap();
    let text = marks(6);
    let count = |word: &str| text.lines().filter(|line| *line == word).count();
    assert_eq!((count("0 heard"), count("1 heard")), (2, 2), "{text}");
    site.says(&format!("scancel {id}"));
    assert_eq!(site.server.ended(id)["state"], "CANCELLED");
    site.server.is_at_rest();
    let rows = site.says(&format!("sacct -n -P -j {id} -o jobid,state,exitcode"));
    let by = format!("{id}|CANCELLED by {}|0:0", uid());
    assert!(rows.starts_with(&format!("{by}\n{id}.batch|CANCELLED|0:15\n{id}.0|CANCELLED|0:15\n")));
}

#[test]
fn one_task_may_end_the_others_and_a_step_has_a_limit_of_its_own() {
    let site = Site::start();
    let fails = "bash -c '[ $SLURM_PROCID = 0 ] && exit 3; sleep 600'";
    let script = format!(
        "srun -K -n 2 {fails}; echo rc $?\n\
         srun -W 1 -n 2 {fails}; echo rc $?\n\
         srun -t 0:01 -n 1 sleep 600; echo rc $?"
    );
    let (out, id) = said(&site, "-n 2", &script);
    let node = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let one = format!("srun: error: {node}: task 0: Exited with exit code 3\n");
    let other = |task: u32| format!("srun: error: {node}: task {task}: Terminated\nrc 143\n");
    let over = |step: u32, why: &str| format!("srun: error: *** STEP {id}.{step} {why} ***\n");
    let wanted = [
        one.clone() + &over(0, "CANCELLED") + &other(1),
        one + &over(1, "CANCELLED") + &other(1),
        over(2, "CANCELLED DUE TO TIME LIMIT") + &other(0),
    ];
    assert_eq!(out, wanted.concat());
}

#[test]
fn steps_are_kept_with_their_codes_and_their_use() {
    let site = Site::start();
    let script = "srun true\n\
                  srun -J named -n 1 -c 2 bash -c 'i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; exit 2'\n\
                  srun -n 2 bash -c 'kill -USR1 $$'\n\
                  srun /nonexistent\n\
                  srun -n 1 -o no/such/out true\n\
                  srun -n 1 -J $'a\\tb' true; exit 2";
    let (_, id) = said(&site, "-n 2", script);
    let columns = "jobid,jobname,state,exitcode,alloccpus,ntasks";
    let rows = site.says(&format!("sacct -n -P -j {id} -o {columns}"));
    let wanted = format!(
        "{id}|s.sh|FAILED|2:0|2|\n\
         {id}.batch|batch|FAILED|2:0|2|1\n\
         {id}.0|true|COMPLETED|0:0|2|2\n\
         {id}.1|named|FAILED|2:0|2|1\n\
         {id}.2|bash|CANCELLED|0:10|2|2\n\
         {id}.3|nonexistent|FAILED|2:0|2|2\n\
         {id}.4|true|FAILED|1:0|1|1\n\
         {id}.5|a\\u{{9}}b|COMPLETED|0:0|1|1\n"
    );
    assert_eq!(rows, wanted);
    let one = site.says(&format!("sacct -n -P -j {id}.1 -o jobid,maxrss,usercpu,elapsed"));
    let parts: Vec<&str> = one.trim().split('|').collect();
    assert_eq!(parts[0], format!("{id}.1"));
    assert!(parts[1].ends_with('K') && parts[2] > "00:00.000", "{one}");
    assert_eq!(site.says(&format!("sacct -n -P -X -j {id} -o jobid")), format!("{id}\n"));
    let json: serde_json::Value =
        serde_json::from_str(&site.says(&format!("sacct --json -j {id}"))).unwrap();
    assert_eq!(json["jobs"][0]["steps"][2]["step"]["id"], format!("{id}.1"));
}

#[test]
fn a_file_says_which_task_runs_what() {
    let site = Site::start();
    let lines = "# which task, and what\n0 echo zero %t %o\n\n1-2 sh -c 'echo one two %t' \n\
                 * echo rest %t \\\n  \"a  b\" '%o'\n";
    site.file("mp", lines);
    site.file("few", "0 echo hi\n");
    site.file("odd", "0 /nonexistent\n1 sh -c 'exit 3'\n");
    let script = "srun -l --multi-prog mp\n\
                  srun -l --multi-prog nofile; echo rc $?\n\
                  srun --multi-prog few; echo rc $?\n\
                  srun --multi-prog; echo rc $?\n\
                  mkdir sub; srun -n 1 -D sub -J named --multi-prog few\n\
                  srun -Q -n 2 --multi-prog odd; echo rc $?";
    let (out, id) = said(&site, "-n 4", script);
    let lines: Vec<&str> = out.lines().collect();
    let tasks = ["0: zero 0 0", "1: one two %t", "2: one two %t", "3: rest 3 a  b %o"];
    assert_eq!(sorted(&lines[..4].join("\n")), tasks);
    let rest = "srun: error: Could not open multi_prog config file nofile\nrc 1\n\
                srun: error: Configuration file few invalid, no record for task id 1\nrc 1\n\
                srun: fatal: No command given to execute.\nrc 1\n\
                hi\n\
                srun: error: execve(): /nonexistent: No such file or directory\nrc 3";
    assert_eq!(lines[4..].join("\n"), rest);
    // What could not be read was no step.
    let steps = site.says(&format!("sacct -n -P -j {id} -o jobid,jobname,ntasks,exitcode"));
    let wanted = format!("{id}.0|mp|4|0:0\n{id}.1|named|1|0:0\n{id}.2|odd|2|3:0\n");
    assert!(steps.ends_with(&format!("{id}.batch|batch|1|0:0\n{wanted}")), "{steps}");
    // Outside of a job it is read where it is called, and before there is a job.
    let outside = site.says("srun -n 4 -l --multi-prog mp");
    assert_eq!(sorted(&outside), tasks);
    let refused = site.run("srun -n 2 --multi-prog few").ends(1);
    let why = "Configuration file few invalid, no record for task id 1\n";
    assert_eq!(refused.err, format!("srun: error: {why}"));
    let rows = site.says("sacct -n -P -o jobid,jobname");
    assert!(rows.ends_with(&format!("{0}|mp\n{0}.batch|batch\n{0}.0|mp\n", id + 1)), "{rows}");
}

#[test]
fn a_step_runs_without_a_server_and_says_that_it_is_not_kept() {
    let mut site = Site::start();
    site.file("s.sh", "#!/bin/bash\nmkfifo gate; echo up\nread -r _ < gate\nsrun -n 1 echo step\n");
    let id = site.submit("-o out s.sh");
    until("the script", || match site.server.dir.path().join("gate").exists() {
        true => Ok(()),
        false => Err("no gate".to_owned()),
    });
    site.server.kill();
    std::fs::write(site.server.dir.path().join("gate"), "\n").unwrap();
    site.server.up();
    assert_eq!(site.server.ended(id)["state"], "COMPLETED");
    let out = site.text("out");
    assert!(out.starts_with("up\nstep\nsrun: the server was not told of this step: "), "{out}");
}

#[test]
fn outside_of_a_job_it_is_a_job_that_is_followed() {
    let site = Site::start();
    let said = site.run("srun -n 2 -l -J named bash -c 'echo $SLURM_JOB_NAME; exit 3'").ends(3);
    assert_eq!(sorted(&said.out), ["0: named", "1: named"]);
    assert_eq!(said.err.matches("Exited with exit code 3").count(), 2, "{said:?}");
    let job = site.server.job(1);
    assert_eq!((&job["cpus"], &job["state"]), (&serde_json::json!(2), &"FAILED".into()));
    assert!(site.says("sacct -n -P -j 1 -o jobid").contains("1.0\n"));
    site.file("in", "from a file\n");
    let mut command = site.command("srun cat");
    command.stdin(std::fs::File::open(site.server.dir.path().join("in")).unwrap());
    assert_eq!(crate::common::finish(command, "").ends(0).out, "from a file\n");
    site.says("srun -o out.%t -n 2 bash -c 'echo $SLURM_PROCID'");
    assert_eq!((&*site.text("out.0"), &*site.text("out.1")), ("0\n", "1\n"));
    let many = site.run("srun -n 99 true").ends(1);
    let why = "Requested node configuration is not available\n";
    assert!(many.err.starts_with(&format!("srun: error: Unable to allocate resources: {why}")));
    let other = site.run("srun --jobid=7 true").ends(1);
    let why = "srun: error: Unable to create step for job 7: it is called outside of it\n";
    assert_eq!(other.err, why);
}
