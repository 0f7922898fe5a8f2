//! *Purpose*: `squeue` and `sinfo`, line by line.
//!
//! *Owns*: columns, filters, what is listed and for how long, steps that run among it.
//!
//! *Promises*: heads, widths and words are those that real Slurm 22.05 printed.
//!
//! *Not here*: `sacct` (`accounting`).

use serde_json::{Value, json};

use super::*;

/// This machine, as a node.
fn node() -> String {
    rustix::system::uname().nodename().to_str().unwrap().split('.').next().unwrap().to_owned()
}

#[test]
fn a_job_is_listed_as_soon_as_its_submission_is_answered_and_after_its_end() {
    let mut site = Site::start();
    let head =
        "             JOBID PARTITION     NAME     USER ST       TIME  NODES NODELIST(REASON)\n";
    assert_eq!(site.says("squeue"), head);
    let id = site.submit("-H -J a-long-name-indeed --wrap true");
    let user = site.server.job(id)["user"].as_str().unwrap().to_owned();
    let line =
        format!("{id:>18}   default a-long-n {user:>8.8} PD       0:00      1 (JobHeldUser)\n");
    assert_eq!(site.says("squeue"), format!("{head}{line}"));
    for filter in ["-j", "--job", "--jobs"] {
        assert_eq!(site.says(&format!("squeue -h {filter} {id}")), line, "{filter}");
    }
    assert_eq!(site.says("squeue -h -t R,CG"), "");
    assert_eq!(site.says("squeue -h -t pending,S -o %i"), format!("{id}\n"));
    assert_eq!(site.says("squeue -h -n a-long-name-indeed,x -o '%i %t'"), format!("{id} PD\n"));
    assert_eq!(site.says("squeue -h -u nobody-at-all"), "");
    assert_eq!(site.says(&format!("squeue -h -u {user} -p default -o %A")), format!("{id}\n"));
    assert_eq!(site.says("squeue -h -p other"), "");
    site.says(&format!("scontrol release {id}"));
    site.server.ended(id);
    assert_eq!(site.says(&format!("squeue -h -j {id}")), "", "only live ones without -t");
    let ended = site.says(&format!("squeue -h -t all -j {id} -o '%i|%T|%r|%N|%B|%R'"));
    let node = node();
    assert_eq!(ended, format!("{id}|COMPLETED|None|{node}|{node}|{node}\n"));
    assert_eq!(site.says("squeue -h -t CD -o %i"), format!("{id}\n"));
    // Five minutes later nobody lists it any more.
    site.server.kill();
    site.server.sql("UPDATE jobs SET end_time = end_time - 301000000");
    site.server.up();
    assert_eq!(site.says("squeue -h -t all"), "");
    let said = site.run(&format!("squeue -j {id}")).ends(1);
    assert_eq!(said.err, "slurm_load_jobs error: Invalid job id specified\n");
}

#[test]
fn columns_have_the_widths_that_are_asked_for() {
    let site = Site::start();
    let id = site.submit("-H -t 1-2:3:4 -J name -n 2 -c 2 --mem 100 --comment 'x y' --wrap true");
    let said = |form: &str| site.says(&format!("squeue -h -j {id} {form}"));
    assert_eq!(said("-o '%.6i|%6j|%2T|%%'"), format!("{id:>6}|name  |PE|%\n"));
    assert_eq!(said("-o '%l %L %C %m %D %M %k %q %S %V'").split(' ').count(), 11);
    assert_eq!(said("-o '%l %L %C %m %c'"), "1-02:03:04 1-02:03:04 4 100M 2\n");
    assert_eq!(
        said("--Format JobID:.6,Name:6,StateCompact"),
        format!("{id:>6}name  {:<20}\n", "PD")
    );
    let psij = site.says("squeue -O JobArrayID,StateCompact,Reason -t all --me");
    let mut lines = psij.lines();
    assert_eq!(lines.next(), Some(&*format!("{:<20}{:<20}{:<20}", "JOBID", "ST", "REASON")));
    assert_eq!(lines.next().unwrap().split_whitespace().count(), 3);
    let csv = site
        .says("squeue --me -o '\"%i\",\"%j\",\"%t\",\"%M\",\"%L\",\"%D\",\"%C\",\"%b\",\"%R\"'");
    assert!(
        csv.starts_with("\"JOBID\",\"NAME\",\"ST\",\"TIME\",\"TIME_LEFT\",\"NODES\","),
        "{csv}"
    );
}

#[test]
fn what_is_left_of_an_array_is_one_line_unless_each_task_is_wanted() {
    let site = Site::start();
    let id = site.submit("-H -a 1-5%2 --wrap true");
    let line = |options: &str| site.says(&format!("squeue -h {options} -o '%i %F %K'"));
    assert_eq!(line(""), format!("{id}_[1-5%2] {id} 1-5%2\n"));
    let each: String = (1..=5).map(|task| format!("{id}_{task} {id} {task}\n")).collect();
    assert_eq!(line("-r"), each);
    assert_eq!(line(&format!("-j {id}")), line(""));
    // A task that is no job yet is one to whoever names it.
    assert_eq!(line(&format!("-j {id}_2,{id}_4")), format!("{id}_2 {id} 2\n{id}_4 {id} 4\n"));
    let said = site.says(&format!("sacct -X -n -P -o jobid,state -j {id}_3"));
    assert_eq!(said, format!("{id}_3|PENDING\n"));
    assert!(site.says(&format!("scontrol show job {id}_3")).contains(" ArrayTaskId=3 "));
    site.run(&format!("scontrol show job {id}_9")).ends(1);
}

#[test]
fn the_node_and_its_partitions_are_shown() {
    let site = Site::start();
    let node = node();
    let table = site.says("sinfo");
    let head = "PARTITION AVAIL  TIMELIMIT  NODES  STATE NODELIST\n";
    assert_eq!(table, format!("{head}default*     up   infinite      1   idle {node}\n"));
    assert_eq!(
        site.says("sinfo -h -o '%P|%a|%l|%D|%t|%N|%C|%c|%F|%G'"),
        format!("default*|up|infinite|1|idle|{node}|0/4/0/4|4|0/1/0/1|(null)\n")
    );
    let toil = site.says("sinfo -a -o '%P %G %l %p %c %m'");
    assert!(toil.lines().all(|line| line.split(' ').count() == 6), "{toil}");
    assert_eq!(site.says("sinfo -h -p nope"), "");
    let by_node = site.says("sinfo -N");
    let width = node.chars().count().max(8) + 1;
    let head = format!("{:<width$}  NODES PARTITION STATE \n", "NODELIST");
    assert_eq!(by_node, format!("{head}{node:<width$}      1  default* idle  \n"));
    let id = site.submit("-c 2 --wrap 'sleep 600'");
    site.server.started(id);
    assert_eq!(site.says("sinfo -h -o '%t %T %C'"), "mix mixed 2/2/0/4\n");
    assert_eq!(site.says("sinfo -h -t idle"), "");
    site.says(&format!("scancel {id}"));
    site.server.ended(id);
}

/// Two partitions that share the machine, which has something to hand out besides.
fn with_two_partitions() -> (tempfile::TempDir, Site) {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("downbeat.toml");
    let text = "[[partition]]\nname = \"second\"\nmax_time_limit = \"1h\"\n\
                [[partition]]\nname = \"main\"\ndefault = true\npreempts = [\"second\"]\n\
                priority_weight = 7\n[[resource]]\nname = \"fpga\"\ncount = 2\n";
    fs::write(&settings, text).unwrap();
    (folder, Site::with(&["--cpus", "4", "--config", settings.to_str().unwrap()]))
}

#[test]
fn the_machine_is_shown_by_the_names_of_columns() {
    let (_folder, site) = with_two_partitions();
    let node = node();
    let said = |options: &str| site.says(&format!("sinfo {options}"));
    let idle = format!("{node:4.4}{:<20}\n", "idle");
    assert_eq!(
        said("-O PARTITION:.12,NodeHost:4,statelong"),
        format!("   PARTITIONHOST{:<20}\n      second{idle}       main*{idle}", "STATE")
    );
    // What is shown of both is the same, so they are one line.
    assert_eq!(said("-h -O nodes,statecompact:|"), "1                   idle|\n");
    assert_eq!(said("-h -N -O NodeList:0:,NodeAIOT:0"), format!("{node}:0/1/0/1\n"));
    assert_eq!(said("-h -o '%D %t'"), "1 idle\n");
    assert_eq!(said("-h -O partition:6,time:0"), "second1:00:00\nmain* infinite\n");
    let unset = "port:0/,user:0/,timestamp:0/,comment:0/,cluster:0/,version:0";
    let own = "preemptmode:0/,priorityjobfactor:0/,gres:0/,gresused:0/,size:0/";
    assert_eq!(
        said(&format!("-h -O {own},{unset}")),
        "REQUEUE/0/fpga:2/fpga:0/1/0/Unknown/Unknown/(null)/N/A/22.05.8\n\
         OFF/7/fpga:2/fpga:0/1/0/Unknown/Unknown/(null)/N/A/22.05.8\n"
    );
    let all = said("-p main -O all");
    assert_eq!(all, said("-p main -o %all"));
    let lines: Vec<Vec<&str>> = all.lines().map(|line| line.split('|').collect()).collect();
    assert_eq!((lines[0].len(), lines[1].len()), (42, 42), "{all}");
    assert_eq!((lines[0][26], lines[1][26]), ("GRES ", "fpga:2 "), "{all}");
    let names = "AllocMem AllocNodes Available Cluster Comment Cores CPUs CPUsLoad CPUsState \
                 DefaultTime Disk Extra Features Features_act FreeMem Gres GresUsed Groups \
                 MaxCPUsPerNode Memory NodeAI NodeAIOT NodeAddr NodeHost NodeList Nodes \
                 OverSubscribe Partition PartitionName Port PreemptMode PriorityJobFactor \
                 PriorityTier Reason Root Share Size SocketCoreThread Sockets StateCompact \
                 StateLong StateComplete Threads Time TimeStamp User UserLong Version Weight";
    let all = said(&format!("-O {}", names.replace(' ', ",")));
    assert!(all.lines().all(|line| line.split_whitespace().count() == 49), "{all}");
    let mut drain = site.other(Path::new(env!("CARGO_BIN_EXE_downbeat")));
    drain.args(["drain", "--reason", "new disks"]);
    finish(drain, "").ends(0);
    let drained = "nodeai:0/,cpusstate:0/,statecompact:0/,statelong:0/,statecomplete:0/,reason:0";
    let why = "0/0/0/0/4/4/drain/drained/idle+drain/new disks\n";
    assert_eq!(said(&format!("-h -O {drained}")), why);
}

#[test]
fn a_column_that_nobody_knows_is_said_and_the_others_are_shown() {
    let (_folder, site) = with_two_partitions();
    let unknown = "error: Invalid job format specification:";
    for (line, out, err) in [
        (
            "sinfo -O avail,partition:6,nope:8abc",
            "PARTITabc\nsecondabc\nmain* abc\n",
            format!("sinfo: {unknown} avail\nsinfo: {unknown} nope\n"),
        ),
        ("sinfo -O nonsense", "\n\n", format!("sinfo: {unknown} nonsense\n")),
        ("sinfo -h -o '%.5!|%t'", "%.5!|idle\n", "Invalid node format specification: !\n".into()),
        ("squeue -O JobID:5,Foo,State:5", "JOBIDSTATE\n", format!("squeue: {unknown} Foo\n")),
        ("squeue -o '%i|%!'", "JOBID|%!\n", format!("squeue: {unknown} !\n")),
    ] {
        let said = site.run(line).ends(0);
        assert_eq!((&*said.out, &*said.err), (out, &*err), "{line}");
    }
    let both = site.run("sinfo -l -O nodes").ends(1);
    let why = "Options -o(--format) and -l(--long) are mutually exclusive";
    assert_eq!(both.err, format!("sinfo: fatal: {why}. Please remove one and retry.\n"));
}

/// A job with a step that has ended and one of two tasks that runs, and a task of an array with one
/// of its own.
fn with_steps() -> (Site, i64, i64) {
    let site = Site::start();
    site.file("s.sh", "#!/bin/bash\nsrun -n 1 true\nsrun -n 2 -J a-long-name sleep 600\n");
    let id = site.submit("-n 2 -t 5 s.sh");
    let array = site.submit("-a 3 --wrap 'srun sleep 600'");
    let all = format!("{id}.1\n{id}.batch\n{array}_3.0\n{array}_3.batch\n");
    common::until("steps", || match site.says("squeue -h -s -o %i") {
        said if said == all => Ok(()),
        said => Err(said),
    });
    (site, id, array)
}

#[test]
fn steps_that_run_are_shown() {
    let (site, id, array) = with_steps();
    let (node, uid) = (node(), uid());
    let user = site.server.job(id)["user"].as_str().unwrap().to_owned();
    let table = site.says("squeue -s");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "         STEPID     NAME PARTITION     USER      TIME NODELIST");
    let line = format!("{:>15} a-long-n   default {user:>8.8}      0:", format!("{id}.1"));
    assert!(lines[1].starts_with(&line) && lines[1].ends_with(&format!(" {node}")), "{table}");
    let letters = site.says(&format!("squeue -s{id}.1 -o '%A|%j|%P|%u|%N|%l|%U|%b'"));
    let heads = "TASKS|NAME|PARTITION|USER|NODELIST|TIME_LIMIT|UID|TRES_PER_JOB\n";
    let row = format!("2|a-long-name|default|{user}|{node}|UNLIMITED|{uid}|(null)\n");
    assert_eq!(letters, format!("{heads}{row}"));
    let names = "StepID:0/,stepname:0/,StepState:0/,NumTasks:0/,NumCPUs:0/,ArrayJobID:0/,\
                 ArrayTaskID:0";
    let named = site.says(&format!("squeue -h -s -j {array}_3,{id} -O {names}"));
    let rows = [
        format!("{id}.1/a-long-name/RUNNING/2/2/0/N/A"),
        format!("{id}.batch/batch/RUNNING/1/0/0/N/A"),
        format!("{array}_3.0/sleep/RUNNING/1/1/{array}/3"),
        format!("{array}_3.batch/batch/RUNNING/1/0/{array}/3"),
    ];
    assert_eq!(named.lines().collect::<Vec<_>>(), rows);
    let unknown = "squeue: error: Invalid job step format specification:";
    let odd = site.run(&format!("squeue -h -s {id}.1 -o '%i|%T|%x'")).ends(0);
    let both = format!("{unknown} T\n{unknown} x\n");
    assert_eq!((odd.out, odd.err), (format!("{id}.1|%T|%x\n"), both));
    let odd = site.run("squeue -s -O all").ends(0);
    assert_eq!((odd.out, odd.err), ("\n".repeat(5), format!("{unknown} all\n")));
    site.says("scancel --me");
    common::until("their end", || match site.says("squeue -h -s") {
        none if none.is_empty() => Ok(()),
        some => Err(some),
    });
}

/// As real Slurm 22.05 answered, but for who called `srun`, which nobody is told.
#[test]
fn a_step_s_record_is_shown() {
    let (site, id, array) = with_steps();
    let (node, uid) = (node(), uid());
    let record = site.says(&format!("scontrol show step {id}.1"));
    let (head, rest) = record.split_once('\n').unwrap();
    assert!(head.starts_with(&format!("StepId={id}.1 UserId={uid} StartTime=20")), "{record}");
    assert!(head.ends_with(" TimeLimit=UNLIMITED"), "{record}");
    let wanted = format!(
        "   State=RUNNING Partition=default NodeList={node}\n   \
         Nodes=1 CPUs=2 Tasks=2 Name=a-long-name Network=(null)\n   \
         TRES=cpu=2,mem=0,node=1\n   ResvPorts=(null)\n   CPUFreqReq=Default Dist=Block\n   \
         SrunHost:Pid=(null):0\n\n"
    );
    assert_eq!(rest, wanted);
    let batch = site.says(&format!("scontrol -o show step {array}_3.batch"));
    assert!(batch.contains(" CPUs=0 Tasks=1 Name=batch ") && batch.contains(" TRES=(null) "));
    assert_eq!(batch.lines().count(), 1, "{batch}");
    let ids = |what: &str| {
        let text = site.says(&format!("scontrol show step{what} -o"));
        let id = |line: &str| line.split(' ').next().unwrap().replace("StepId=", "");
        text.lines().map(id).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ids("s"), format!("{id}.1 {id}.batch {array}_3.0 {array}_3.batch"));
    assert_eq!(ids(&format!(" {id}")), format!("{id}.1 {id}.batch"));
    let odd = site.run(&format!("scontrol show step {id}.7")).ends(1);
    assert_eq!(odd.err, format!("Job step {id}.7 not found\n"));
    for nobody in ["99.0", "99", "x"] {
        let odd = site.run(&format!("scontrol show step {nobody}")).ends(1);
        assert_eq!(odd.err, "slurm_get_job_steps error: Invalid job id specified\n");
    }
    site.says("scancel --me");
    common::until("their end", || match site.says("scontrol show step") {
        none if none == "No job steps in the system\n" => Ok(()),
        some => Err(some),
    });
}

#[test]
fn steps_are_picked_by_their_jobs_and_by_their_ids() {
    let (site, id, array) = with_steps();
    let held = site.submit("-H --wrap true");
    let shown = |options: &str| site.says(&format!("squeue -h -o %i {options}"));
    // A list may stand in a word of its own; an array stands for its tasks.
    let some = format!("{id}.batch\n{array}_3.0\n");
    assert_eq!(shown(&format!("--steps={array}.0,{id}.batch")), some);
    assert_eq!(shown(&format!("-s {array}_3.0,{id}.batch")), some);
    for nothing in [
        &*format!("-s {id}.0"),
        &*format!("-s {id}.x"),
        &*format!("-s {array}_4.0"),
        "-s 999.0",
        "--steps=",
        "-s -j 999",
        &*format!("-s -j {held}"),
        "-s -u nobody-at-all",
        "-s -p other",
    ] {
        assert_eq!(shown(nothing), "", "{nothing}");
    }
    let all = format!("{id}.1\n{id}.batch\n{array}_3.0\n{array}_3.batch\n");
    for everything in ["-s --me", "-s -p default", "-s -n other", "-s -t PD", "-s -S i"] {
        assert_eq!(shown(everything), all, "{everything}");
    }
    let reversed = format!("{array}_3.batch\n{array}_3.0\n{id}.batch\n{id}.1\n");
    assert_eq!(shown("-s -S -i"), reversed);
    for (list, said) in [("7", "7.??"), ("abc", "abc.??"), ("x7.0", "x7.0"), ("0.0", "0.0")] {
        let odd = site.run(&format!("squeue -s {list}")).ends(1);
        assert_eq!(odd.err, format!("squeue: error: Invalid job_step id: {said}\n"));
    }
    site.says("scancel --me");
}

#[test]
fn json_has_the_shape_of_slurm_23_11() {
    let site = Site::start();
    let nodes: Value = serde_json::from_str(&site.says("sinfo --json")).unwrap();
    let (own, list) = (&nodes["nodes"][0], nodes["nodes"].as_array().unwrap());
    let cpus = &site.server.get("/api/v1/resources").json()["total_cpus"];
    assert_eq!((list.len(), &own["state"], &own["cpus"]), (1, &json!(["IDLE"]), cpus));
    assert_eq!((own["name"].as_str(), &nodes["errors"]), (Some(&*node()), &json!([])));
    let id = site.submit("-H -t 10 --wrap true");
    let all: Value = serde_json::from_str(&site.says("squeue --json")).unwrap();
    let job = &all["jobs"][0];
    assert_eq!(job["job_id"], id);
    assert_eq!(job["job_state"], json!(["PENDING"]));
    assert_eq!(job["time_limit"]["number"], 10);
    assert_eq!(job["state_reason"], "JobHeldUser");
    let all: Value = serde_json::from_str(&site.says("sacct --json")).unwrap();
    let job = &all["jobs"][0];
    assert_eq!(job["state"]["current"], json!(["PENDING"]));
    assert_eq!(job["time"]["limit"]["number"], 10);
}
