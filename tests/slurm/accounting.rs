//! *Purpose*: `sacct` and `seff`.
//!
//! *Owns*: rows, columns, windows of time, how ends are told.
//!
//! *Promises*: heads, widths and words are those that real Slurm 22.05 printed.
//!
//! *Not here*: `squeue` (`queue`).

use super::*;

#[test]
fn a_job_is_there_as_soon_as_its_submission_is_answered() {
    let site = Site::start();
    let id = site.submit("-H -J name --wrap true");
    let fields = "JobID|JobName|Partition|Account|AllocCPUS|State|ExitCode\n";
    let row = format!("{id}|name|default||0|PENDING|0:0\n");
    assert_eq!(site.says(&format!("sacct --parsable2 -j {id}")), format!("{fields}{row}"));
    assert_eq!(site.says("sacct -X -n -P"), row);
    let table = site.says("sacct");
    let heads = "JobID           JobName  Partition    Account  AllocCPUS      State ExitCode \n\
                 ------------ ---------- ---------- ---------- ---------- ---------- -------- \n";
    let line =
        format!("{id:<12}       name    default                     0    PENDING      0:0 \n");
    assert_eq!(table, format!("{heads}{line}"));
    assert_eq!(site.says("sacct -j 99999 -n"), "");
    assert_eq!(
        site.says(&format!("sacct -o jobid,state%20 -P -n -j 99999 -j {id} -j 7,8")),
        format!("{id}|PENDING\n")
    );
    assert_eq!(
        site.says(&format!("sacct -n -p -o JobIDRaw,State%-9 -j {id}")),
        format!("{id}|PENDING|\n")
    );
    assert_eq!(
        site.says(&format!("sacct -n -o JobID%-8,State%9 -j {id}")),
        format!("{id:<8}   PENDING \n")
    );
    assert_eq!(
        site.says(
            "sacct -X -P -n --delimiter=, -o jobid,jobname --name name,x -S now-1hour -E now"
        ),
        format!("{id},name\n")
    );
    assert_eq!(site.says("sacct -X -n -P -o jobid -s CD,F"), "");
    assert_eq!(site.says("sacct -X -n -P -o jobid -s pending"), format!("{id}\n"));
    assert!(site.says("sacct -e").contains("MaxRSS"));
    let all = site.says("sacct -P -o ALL -S 1970-01-01");
    let columns = |line: &str| line.split('|').count();
    assert!(
        all.lines().all(|line| columns(line) > 40 && all.contains(&format!("|{id}|"))),
        "{all}"
    );
}

#[test]
fn ends_are_told_as_slurm_tells_them() {
    let site = Site::with(&["--cpus", "4", "--kill-grace", "1s"]);
    let rows = |id: i64| {
        site.says(&format!("sacct -n -P -j {id} -o jobid,state,exitcode,derivedexitcode"))
    };
    let by = uid();
    for (line, job, batch) in [
        ("--wrap true", "COMPLETED|0:0|0:0", "COMPLETED|0:0|"),
        ("--wrap 'exit 3'", "FAILED|3:0|3:0", "FAILED|3:0|"),
        ("--wrap 'kill -SEGV $$'", "FAILED|0:11|0:11", "FAILED|0:11|"),
    ] {
        let id = site.submit(line);
        site.server.ended(id);
        assert_eq!(rows(id), format!("{id}|{job}\n{id}.batch|{batch}\n"), "{line}");
    }
    let id = site.submit("--wrap 'exec sleep 600'");
    site.server.started(id);
    site.says(&format!("scancel {id}"));
    site.server.ended(id);
    let ended = format!("{id}|CANCELLED by {by}|0:0|0:0\n{id}.batch|CANCELLED|0:15|\n");
    assert_eq!(rows(id), ended);
    let shown = site.says(&format!("scontrol show job {id} -o"));
    assert!(shown.contains(" ExitCode=0:15 "), "{shown}");
    let id = site.submit("-H --wrap true");
    site.says(&format!("scancel {id}"));
    assert_eq!(rows(id), format!("{id}|CANCELLED by {by}|0:0|0:0\n"), "it had no step");
    fs::create_dir(site.server.dir.path().join("folder")).unwrap();
    let id = site.submit("-o folder --wrap true");
    site.server.ended(id);
    assert_eq!(rows(id).lines().next().unwrap(), format!("{id}|FAILED|0:53|0:53"));
    let why = site.says(&format!("sacct -X -n -P -o reason -j {id}"));
    assert_eq!(why, "JobLaunchFailure\n");
    // In SQL and in the files of the server the limit is in seconds; here a minute is the least.
    let id =
        site.server.submit(&serde_json::json!({"script": "exec sleep 600", "time_limit": "1s"}));
    site.server.ended(id);
    assert_eq!(rows(id), format!("{id}|TIMEOUT|0:0|0:0\n{id}.batch|CANCELLED|0:15|\n"));
}

#[test]
fn tasks_are_named_by_their_array_and_by_their_own_number() {
    let site = Site::start();
    let id = site.submit("-a 1-3 --wrap 'exit $((SLURM_ARRAY_TASK_ID - 1))'");
    common::until("the end of the array", || {
        let said = site.says(&format!("sacct -X -n -P -o state -j {id}"));
        let ended = said.lines().filter(|l| ["COMPLETED", "FAILED"].contains(l)).count();
        (ended == 3).then_some(()).ok_or(said)
    });
    let all = site.says(&format!("sacct -X -n -P -o jobid,state,exitcode -j {id}"));
    let wanted = format!("{id}_1|COMPLETED|0:0\n{id}_2|FAILED|1:0\n{id}_3|FAILED|2:0\n");
    assert_eq!(all, wanted);
    let one = site.says(&format!("sacct -n -P -o jobid,jobidraw -j {id}_2"));
    let raw = one.split('|').nth(1).unwrap().lines().next().unwrap();
    assert_eq!(one, format!("{id}_2|{raw}\n{id}_2.batch|{raw}.batch\n"));
    let by_raw = site.says(&format!("sacct -X -n -P -o jobid -j {raw}"));
    assert_eq!(by_raw, format!("{id}_2\n"), "both numbers name it");
    let steps = site.says(&format!("sacct -n -P -o jobid -j {id}.batch"));
    assert_eq!(steps, format!("{id}_1.batch\n{id}_2.batch\n{id}_3.batch\n"));
}

#[test]
fn what_a_job_used_is_told_of_its_script() {
    let site = Site::start();
    let id = site.submit("--mem 200 --wrap 'x=$(head -c 20000000 /dev/zero | tr \"\\0\" a); true'");
    site.server.ended(id);
    let said = site.says(&format!("sacct -n -P -j {id} -o jobid,maxrss,reqmem --units M"));
    let lines: Vec<Vec<&str>> = said.lines().map(|line| line.split('|').collect()).collect();
    assert_eq!((lines[0][1], lines[0][2], lines[1][2]), ("", "200M", ""), "{said}");
    let rss: f64 = lines[1][1].strip_suffix('M').unwrap().parse().unwrap();
    assert!(rss > 10.0, "{said}");
    let seff = site.says(&format!("seff {id}"));
    assert!(seff.contains("State: COMPLETED (exit code 0)"), "{seff}");
    assert!(seff.contains("% of 200.00 MB"), "{seff}");
    let told = site.server.get(&format!("/api/v1/jobs/{id}/efficiency")).expect(200).json();
    let used = told["memory"]["used_bytes"].as_f64().unwrap() / f64::from(1 << 20);
    assert!(seff.contains(&format!("Memory Utilized: {used:.2} MB\n")), "{seff}{told}");
    let part = told["cpu"]["used"].as_f64().unwrap() / told["cpu"]["asked"].as_f64().unwrap();
    assert!(seff.contains(&format!("CPU Efficiency: {:.2}% of ", 100.0 * part)), "{seff}{told}");
    assert_eq!(site.run("seff 9999").ends(1).err, "Job not found.\n");
}

#[test]
fn earlier_runs_are_rows_of_their_own_when_they_are_asked_for() {
    let site = Site::start();
    let wrap = "--wrap 'test -n \"$SLURM_RESTART_COUNT\" || sleep 600'";
    let id = site.submit(wrap);
    site.server.started(id);
    site.says(&format!("scontrol requeue {id}"));
    site.server.ended(id);
    let rows = |more: &str| {
        site.says(&format!("sacct -n -P -X {more} -j {id} -o jobid,state,exitcode,restarts"))
    };
    assert_eq!(rows(""), format!("{id}|COMPLETED|0:0|1\n"));
    assert_eq!(rows("-D"), format!("{id}|REQUEUED|0:0|1\n{id}|COMPLETED|0:0|1\n"));
}
