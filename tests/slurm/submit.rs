//! *Purpose*: `sbatch`: what becomes of a script.
//!
//! *Owns*: scripts from files, standard input and `--wrap`; variables; names and files; waiting.
//!
//! *Promises*: each is seen by the job that the real binary ran.
//!
//! *Not here*: what is refused (`refusals`), the options themselves (`api::wire::sbatch`).

use serde_json::json;

use super::*;

#[test]
fn a_script_is_submitted_from_a_file_from_standard_input_and_from_words() {
    let site = Site::start();
    site.file("hello.sh", "#!/bin/bash\n#SBATCH -J hi\necho $0 $# $1 $SLURM_JOB_NAME\n");
    let id = site.submit("hello.sh 'a b' --c");
    site.server.ended(id);
    let out = site.text(&format!("slurm-{id}.out"));
    assert!(out.ends_with("2 a b hi\n"), "{out}");
    let said = finish(site.command("sbatch --parsable"), "#!/bin/sh\necho from stdin\n").ends(0);
    let id = said.out.trim().parse().unwrap();
    assert_eq!(site.server.ended(id)["name"], "sbatch");
    assert_eq!(site.text(&format!("slurm-{id}.out")), "from stdin\n");
    let id = site.submit("--wrap 'exec echo $SLURM_JOB_NAME' -o 'x-%j-%x.txt'");
    let job = site.server.ended(id);
    assert_eq!(job["name"], "wrap");
    assert_eq!(site.text(&format!("x-{id}-wrap.txt")), "wrap\n");
    let long = format!("--wrap ': {}'", "x".repeat(100_000));
    site.server.ended(site.submit(&long));
}

#[test]
fn the_command_line_goes_before_variables_and_those_before_the_script() {
    let site = Site::start();
    let text = "#!/bin/sh\n#SBATCH --job-name=script --comment=script -t 5 # five\ntrue\n";
    site.file("a.sh", text);
    let mut command = site.command("sbatch -J typed a.sh");
    command.env("SBATCH_JOB_NAME", "variable").env("SBATCH_TIMELIMIT", "7");
    let job = site.server.job(id(&finish(command, "").ends(0)));
    assert_eq!((&job["name"], &job["time_limit_s"]), (&json!("typed"), &json!(420)));
    assert_eq!(job["comment"], "script");
    let mut command = site.command("sbatch a.sh");
    command.env("SBATCH_OUTPUT", "variable.out").env("SBATCH_REQUEUE", "");
    let id = id(&finish(command, "").ends(0));
    site.server.ended(id);
    assert_eq!(site.text("variable.out"), "");
    assert!(!site.server.dir.path().join(format!("slurm-{id}.out")).exists());
}

#[test]
fn tasks_of_an_array_write_files_of_their_own() {
    let site = Site::start();
    site.file("a.sh", "#!/bin/sh\n#SBATCH -a 1-2\necho $SLURM_ARRAY_JOB_ID $SLURM_ARRAY_TASK_ID\n");
    let id = site.submit("a.sh");
    for task in [1, 2] {
        let name = format!("slurm-{id}_{task}.out");
        let said = common::until(&name, || {
            let path = site.server.dir.path().join(&name);
            std::fs::read_to_string(path).ok().filter(|t| !t.is_empty()).ok_or("no text".into())
        });
        assert_eq!(said, format!("{id} {task}\n"));
    }
}

#[test]
fn whoever_waits_ends_with_the_job_s_code() {
    let site = Site::start();
    let said = site.run("sbatch --wait --wrap 'exit 3'").ends(3);
    assert!(said.out.starts_with("Submitted batch job "), "{said:?}");
    site.run("sbatch -W --parsable --wrap true").ends(0);
    let mut command = site.command("sbatch --wrap 'exit 4'");
    command.env("SBATCH_WAIT", "1");
    finish(command, "").ends(4);
}

#[test]
fn nothing_is_submitted_by_test_only() {
    let site = Site::start();
    let said = site.run("sbatch --test-only -c 2 --wrap true").ends(0);
    assert!(said.err.starts_with("sbatch: Job 0 to start at 2"), "{said:?}");
    assert!(said.err.contains(" using 2 processors "), "{said:?}");
    assert_eq!(site.says("squeue -h -t all"), "");
}

#[test]
fn what_has_no_effect_is_said_with_v_alone_and_kept_with_the_job() {
    let site = Site::start();
    let line = "sbatch --wrap true --wckey=x --qos=high";
    assert_eq!(site.run(line).ends(0).err, "");
    let said = site.run(&format!("{line} -v")).ends(0);
    assert!(said.err.contains("sbatch: --wckey is not honoured here"), "{said:?}");
    assert_eq!(site.run(&format!("{line} -v -Q")).ends(0).err, "");
}
