//! *Purpose*: `scancel`, `scontrol`, `sacctmgr`, `sshare`.
//!
//! *Owns*: orders about jobs, and the records of `scontrol show`.
//!
//! *Promises*: sentences and codes are those of real Slurm 22.05.
//!
//! *Not here*: how ends are told (`accounting`).

use super::*;

#[test]
fn a_signal_reaches_whom_it_is_for() {
    let site = Site::start();
    let script = "trap 'echo script' USR1; \
         bash -c 'trap \"echo step\" USR1; echo up; while :; do sleep 0.02; done' 2> /dev/null & \
         while :; do wait; done";
    site.file("s.sh", &format!("#!/bin/bash\n{script}\n"));
    let id = site.submit("-o out s.sh");
    let said = |wanted: &str| {
        common::until(wanted, || {
            match std::fs::read_to_string(site.server.dir.path().join("out")).unwrap_or_default() {
                text if text == wanted => Ok(()),
                other => Err(other),
            }
        });
    };
    said("up\n");
    let told = site.run(&format!("scancel -v -s USR1 {id}")).ends(0);
    assert_eq!(told.err, format!("scancel: Signal 10 to job {id}\n"));
    said("up\nstep\n");
    let told = site.run(&format!("scancel -v -b --signal=SIGUSR1 {id}")).ends(0);
    assert_eq!(told.err, format!("scancel: Signal 10 to batch job {id}\n"));
    said("up\nstep\nscript\n");
    let told = site.run(&format!("scancel -s KILLX {id}")).ends(1);
    assert_eq!(told.err, "Unknown job signal: KILLX\n");
    let held = site.submit("-H --wrap true");
    let error =
        |id: i64, why: &str| format!("scancel: error: Kill job error on job id {id}: {why}\n");
    let told = site.run(&format!("scancel -s USR1 {held}")).ends(1);
    assert_eq!(told.err, error(held, "Job can not be altered now, try again later"));
    site.says(&format!("scancel -s KILL {id}"));
    assert_eq!(site.server.ended(id)["state"], "CANCELLED");
    for line in [format!("-s USR1 {id}"), format!("-b {id}"), format!("-s KILL {id}")] {
        let told = site.run(&format!("scancel {line}")).ends(1);
        assert_eq!(told.err, error(id, "Invalid job id specified"), "{line}");
    }
}

#[test]
fn jobs_are_cancelled_by_number_task_name_user_and_state() {
    let site = Site::start();
    let state = |id: i64| site.server.job(id)["state"].as_str().unwrap().to_owned();
    let held = |line: &str| site.submit(&format!("-H {line} --wrap true"));
    let (one, two) = (held("-J x"), held("-J y"));
    let said = site.run(&format!("scancel -v {one}")).ends(0);
    assert_eq!(said.err, format!("scancel: Terminating job {one}\n"));
    assert_eq!((&*state(one), &*state(two)), ("CANCELLED", "PENDING"));
    assert_eq!(site.says("scancel -n nobody"), "");
    assert_eq!(state(two), "PENDING");
    site.says("scancel --name y --state=PENDING");
    assert_eq!(state(two), "CANCELLED");
    let array = held("-a 1-5");
    site.says(&format!("scancel {array}_[2,4]"));
    let left = site.says(&format!("squeue -h -j {array} -o %i"));
    assert_eq!(left, format!("{array}_[1,3,5]\n"));
    let runs = site.submit("-a 1-6 -c 2 --wrap 'sleep 600'");
    common::until("two tasks that run", || {
        let said = site.says(&format!("squeue -h -j {runs} -t R -o %i"));
        (said.lines().count() == 2).then_some(()).ok_or(said)
    });
    site.says(&format!("scancel -t PENDING {runs}"));
    let left = site.says(&format!("squeue -h -j {runs} -o %T"));
    assert_eq!(left, "RUNNING\nRUNNING\n", "what runs of the array was not meant");
    site.says(&format!("scancel {runs}"));
    site.says(&format!("scancel {array}"));
    let (a, b) = (held(""), held(""));
    site.says(&format!("scancel --clusters=all {a} {b}"));
    assert_eq!((&*state(a), &*state(b)), ("CANCELLED", "CANCELLED"));
    site.says("scancel --me");
    assert_eq!(site.says("squeue -h"), "");
    assert_eq!(site.says(&format!("scancel {a}")), "", "it has ended: no error");
    assert_eq!(site.says("scancel 99999"), "");
    let said = site.run("scancel -v 99999").ends(0);
    let why = "scancel: error: Kill job error on job id 99999: Invalid job id specified\n";
    assert_eq!(said.err, format!("scancel: Terminating job 99999\n{why}"));
    let said = site.run("scancel").ends(1);
    assert_eq!(said.err, "scancel: error: No job identification provided\n");
}

#[test]
fn orders_about_jobs_are_given() {
    let site = Site::start();
    let id = site.submit("-H --wrap true");
    let shown = |key: &str| {
        let record = site.says(&format!("scontrol show job {id}"));
        let word = record.split_whitespace().find(|word| word.starts_with(&format!("{key}=")));
        word.map(str::to_owned).unwrap_or_else(|| panic!("{key}: {record}"))
    };
    assert_eq!(shown("Reason"), "Reason=JobHeldUser");
    site.says(&format!("scontrol update JobId={id} TimeLimit=1:00:00 JobName=other Comment=c"));
    assert_eq!(
        (shown("TimeLimit"), shown("JobName")),
        ("TimeLimit=01:00:00".into(), "JobName=other".into())
    );
    site.says(&format!("scontrol update jobid={id} timelimit=infinite"));
    assert_eq!(shown("TimeLimit"), "TimeLimit=UNLIMITED");
    site.says(&format!("scontrol release {id}"));
    site.server.ended(id);
    let said = site.run(&format!("scontrol hold {id}")).ends(1);
    let wanted = format!(
        "Job has already finished for job {id}\nslurm_suspend error: Job has already finished\n"
    );
    assert_eq!(said.err, wanted);
    site.says(&format!("scontrol requeue {id}"));
    assert_eq!(site.server.ended(id)["restart_count"], 1);
    assert_eq!(shown("Restarts"), "Restarts=1");
    for what in ["hold", "release"] {
        let said = site.run(&format!("scontrol {what} 99999")).ends(1);
        let wanted = "Invalid job id specified for job 99999\n\
                      slurm_suspend error: Invalid job id specified\n";
        assert_eq!(said.err, wanted);
    }
    let said = site.run("scontrol requeue 99999").ends(1);
    assert_eq!(said.err, "Invalid job id specified for job 99999\n");
    site.run(&format!("scontrol update JobId={id} Color=red")).ends(1);
}

/// The sentences and columns are those of real Slurm 22.05, but for a number that no job has: there
/// it says "Unexpected message received".
#[test]
fn what_runs_is_suspended_and_resumed() {
    let site = Site::start();
    let id = site.submit("-J name -t 10 --wrap 'sleep 600'");
    site.server.started(id);
    let said = site.run(&format!("scontrol suspend {id}"));
    if said.err.contains("no job can be suspended") {
        return println!("SKIPPED what_runs_is_suspended_and_resumed: {}", said.err);
    }
    let shown = |what: &str| site.says(&format!("squeue -h {what}"));
    assert_eq!((said.out.as_str(), said.err.as_str()), ("", ""));
    site.says(&format!("scontrol suspend {id}"));
    assert_eq!(shown("-o '%i %t %T'"), format!("{id} S SUSPENDED\n"));
    assert_eq!(shown("-t S -o %i"), format!("{id}\n"));
    assert_eq!((shown("-t R -o %i"), shown("-t PD,R -o %i")), (String::new(), String::new()));
    assert_eq!(shown("-t all -O JobID:4,StateCompact:3"), format!("{id:<4}S  \n"));
    let record = site.says(&format!("scontrol show job {id}"));
    assert!(record.contains("JobState=SUSPENDED Reason=None"), "{record}");
    assert!(!record.contains("SuspendTime=None"), "{record}");
    let sacct = |what: &str| site.says(&format!("sacct -n -P -j {id} {what}"));
    assert_eq!(sacct("-o jobid,state"), format!("{id}|SUSPENDED\n{id}.batch|SUSPENDED\n"));
    assert_eq!(sacct("-X -s R -o jobid"), "");
    assert_eq!(sacct("-X -s suspended -o jobid"), format!("{id}\n"));
    let json: serde_json::Value = serde_json::from_str(&site.says("squeue --json")).unwrap();
    assert_eq!(json["jobs"][0]["job_state"], serde_json::json!(["SUSPENDED"]));
    site.says("scancel -t RUNNING --me");
    site.says(&format!("scontrol resume {id}"));
    assert_eq!(shown("-o '%i %t'"), format!("{id} R\n"), "what is suspended was not cancelled");
    let refused = |what: &str, why: &str| {
        let said = site.run(&format!("scontrol {what}")).ends(1);
        let job = what.split(' ').next_back().unwrap();
        assert_eq!(said.err, format!("{why} for job {job}\n"));
    };
    refused(&format!("resume {id}"), "Job is not suspended");
    refused("suspend 99999", "Invalid job id specified");
    let held = site.submit("-H --wrap true");
    refused(&format!("suspend {held}"), "Job is pending execution");
    refused(&format!("resume {held}"), "Job is pending execution");
    site.says(&format!("scontrol suspend {id}"));
    site.says("scancel -t SUSPENDED --me");
    assert_eq!(site.server.ended(id)["state"], "CANCELLED");
    for what in ["suspend", "resume"] {
        refused(&format!("{what} {id}"), "Job/step already completing or completed");
    }
}

#[test]
fn a_job_s_record_has_the_keys_that_programs_read() {
    let site = Site::start();
    assert_eq!(site.says("scontrol show job"), "No jobs in the system\n");
    let id = site.submit("-J name -c 2 -t 10 --mem 1G --wrap 'exit 3'");
    site.server.ended(id);
    let record = site.says(&format!("scontrol show job {id}"));
    let folder = site.server.dir.path().canonicalize().unwrap();
    let out = format!("StdOut={}/slurm-{id}.out", folder.display());
    for word in [
        &*format!("JobId={id}"),
        "JobName=name",
        "JobState=FAILED",
        "Reason=NonZeroExitCode",
        "Dependency=(null)",
        "ExitCode=3:0",
        "TimeLimit=00:10:00",
        "NumNodes=1",
        "NumCPUs=2",
        "NumTasks=1",
        "CPUs/Task=2",
        "MinMemoryNode=1G",
        "TRES=cpu=2,mem=1G,node=1,billing=2",
        "Partition=default",
        "Deadline=N/A",
        "Command=(null)",
        "StdIn=/dev/null",
        &out,
    ] {
        assert!(record.split_whitespace().any(|own| own == word), "{word}: {record}");
    }
    let all: Vec<String> =
        ["-o", "--oneliner"].map(|one| site.says(&format!("scontrol {one} show job {id}"))).into();
    assert_eq!(all[0].lines().count(), 1);
    assert_eq!(all[0], all[1]);
    for same in ["jobid=", "job=", "JobId="] {
        assert_eq!(site.says(&format!("scontrol show {same}{id}")), record);
    }
    let lines = "#SBATCH --mail-type=end,FAIL --mail-user=me@example.org";
    site.file("m.sh", &format!("#!/bin/sh\n{lines}\ntrue\n"));
    let id = site.submit("-H m.sh");
    let record = site.says(&format!("scontrol show job {id}"));
    let command = format!("   Command={}/m.sh\n", folder.display());
    for line in ["   MailUser=me@example.org MailType=END,FAIL\n", &command] {
        assert!(record.contains(line), "{line}: {record}");
    }
    let array = site.submit("-H -a 1-3 --wrap true");
    let record = site.says(&format!("scontrol show job {array}"));
    assert!(record.contains(&format!("ArrayJobId={array} ArrayTaskId=1-3 ")), "{record}");
    for (line, said) in [
        ("scontrol show job 99999", "slurm_load_jobs error: Invalid job id specified\n"),
        ("scontrol show job abc", "scontrol_print_job error: Invalid job id specified\n"),
        ("scontrol show foo", "invalid entity:foo for keyword:show \n"),
        ("scontrol foo", "invalid keyword: foo\n"),
    ] {
        assert_eq!(site.run(line).ends(1).err, said, "{line}");
    }
}

#[test]
fn the_machine_is_shown_and_lists_of_nodes_are_taken_apart() {
    let site = Site::start();
    assert_eq!(site.says("scontrol show hostnames n[1-3,5],m"), "n1\nn2\nn3\nn5\nm\n");
    let mut command = site.command("scontrol show hostnames");
    command.env("SLURM_JOB_NODELIST", "a[01-02]");
    assert_eq!(finish(command, "").ends(0).out, "a01\na02\n");
    let config = site.says("scontrol show config");
    for line in ["ClusterName             = downbeat", "MinJobAge               = 300 sec"] {
        assert!(config.lines().any(|own| own == line), "{line}: {config}");
    }
    assert!(config.contains("MaxArraySize            = 4000001"), "{config}");
    let partition = site.says("scontrol show partition");
    assert!(partition.starts_with("PartitionName=default\n"), "{partition}");
    assert!(partition.contains(" TotalCPUs=4 TotalNodes=1 "), "{partition}");
    let node = site.says("scontrol show node");
    assert!(node.contains("CPUTot=4 ") && node.contains("State=IDLE "), "{node}");
    assert!(site.says("scontrol ping").ends_with(" is UP\n"));
    assert_eq!(site.says("sacctmgr -n -s list user root format=account%256"), "");
    assert_eq!(site.says("sshare"), "");
    site.run("sacctmgr add account x").ends(1);
}
