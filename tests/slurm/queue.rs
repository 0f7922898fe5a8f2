//! *Purpose*: `squeue` and `sinfo`, line by line.
//!
//! *Owns*: columns, filters, what is listed and for how long.
//!
//! *Promises*: heads, widths and words are those that real Slurm 22.05 printed.
//!
//! *Not here*: `sacct` (`accounting`).

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

#[test]
fn json_has_the_shape_of_slurm_23_11() {
    let site = Site::start();
    let id = site.submit("-H -t 10 --wrap true");
    let all: serde_json::Value = serde_json::from_str(&site.says("squeue --json")).unwrap();
    let job = &all["jobs"][0];
    assert_eq!(job["job_id"], id);
    assert_eq!(job["job_state"], serde_json::json!(["PENDING"]));
    assert_eq!(job["time_limit"]["number"], 10);
    assert_eq!(job["state_reason"], "JobHeldUser");
    let all: serde_json::Value = serde_json::from_str(&site.says("sacct --json")).unwrap();
    let job = &all["jobs"][0];
    assert_eq!(job["state"]["current"], serde_json::json!(["PENDING"]));
    assert_eq!(job["time"]["limit"]["number"], 10);
}
