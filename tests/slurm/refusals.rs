//! *Purpose*: what real Slurm refuses is refused with its sentence and its code.
//!
//! *Owns*: the sentences that Slurm 22.05 printed for these command lines and scripts.
//!
//! *Promises*: the first lines are Slurm's; lines of ours may follow, which name the line and the
//! remedy. Nothing is stored.
//!
//! *Not here*: what is accepted (`submit`).

use super::*;

const TRY: &str = "Try \"sbatch --help\" for more information\n";

/// Options of `sbatch`, what Slurm printed first, and the code it ended with.
#[rustfmt::skip]
const OPTIONS: &[(&str, &str, i32)] = &[
    ("--mem=xx", "sbatch: error: Invalid --mem specification\n", 255),
    ("--mem-per-cpu=1x", "sbatch: error: Invalid --mem-per-cpu specification\n", 255),
    ("--time=xx", "sbatch: error: Invalid --time specification\n", 255),
    ("--time=1:2:3:4", "sbatch: error: Invalid --time specification\n", 255),
    ("--array=a", "sbatch: error: Batch job submission failed: Invalid job array specification\n", 1),
    ("--array=1-0", "sbatch: error: Batch job submission failed: Invalid job array specification\n", 1),
    ("--dependency=foo:1", "sbatch: error: Batch job submission failed: Job dependency problem\n", 1),
    ("--signal=FOO@3", "sbatch: error: Invalid --signal specification\n", 255),
    ("--signal=USR1@x", "sbatch: error: Invalid --signal specification\n", 255),
    ("--begin=xx", "Invalid time specification (pos=0): xx\nsbatch: error: Invalid --begin specification\n", 255),
    ("--deadline=xx", "Invalid time specification (pos=0): xx\nsbatch: error: Invalid --deadline specification\n", 255),
    ("--cpus-per-task=0", "sbatch: error: Invalid numeric value \"0\" for --cpus-per-task.\n", 1),
    ("-cx", "sbatch: error: Invalid numeric value \"x\" for --cpus-per-task.\n", 1),
    ("-n 0", "sbatch: error: Invalid numeric value \"0\" for --ntasks.\n", 1),
    ("--mincpus=0", "sbatch: error: Invalid numeric value \"0\" for --mincpus.\n", 1),
    ("--ntasks-per-node=0", "sbatch: error: Invalid numeric value \"0\" for --ntasks-per-node.\n", 1),
    ("--nodes=x", "sbatch: error: \"x\" is not a valid node count\n", 255),
    ("--gres=gpu:1", "sbatch: error: Invalid generic resource (gres) specification\n", 1),
    ("--gpus=1", "sbatch: error: Invalid generic resource (gres) specification\n", 1),
    ("--licenses=matlab", "sbatch: error: Batch job submission failed: Invalid license specification\n", 1),
    ("--constraint=x", "sbatch: error: Batch job submission failed: Invalid feature specification\n", 1),
    ("--reservation=x", "sbatch: error: Batch job submission failed: Requested reservation is invalid\n", 1),
    ("--nodelist=foo", "sbatch: error: Batch job submission failed: Invalid node name specified\n", 1),
    ("--open-mode=x", "sbatch: error: Invalid --open-mode specification\n", 255),
    ("--exclusive=x", "sbatch: error: Invalid --exclusive specification\n", 255),
    ("--tmp=x", "sbatch: error: Invalid --tmp specification\n", 255),
    ("--foo", "sbatch: unrecognized option '--foo'\n", 255),
    ("--fo=1", "sbatch: unrecognized option '--fo=1'\n", 255),
    ("-Z", "sbatch: invalid option -- 'Z'\n", 255),
    ("--requeue=3", "sbatch: option '--requeue' doesn't allow an argument\n", 255),
    // Real Slurm leaves this job pending for ever; here it is refused with Slurm's other sentence.
    ("--ntasks=999", "sbatch: error: Batch job submission failed: Requested node configuration is not available\n", 1),
];

/// Heads of scripts, likewise.
#[rustfmt::skip]
const HEADS: &[(&str, &str, i32)] = &[
    ("#SBATCH --foo", "sbatch: unrecognized option '--foo'\n", 255),
    ("#SBATCH --time=xx", "sbatch: error: Invalid --time specification\n", 255),
    ("#SBATCH -c 0", "sbatch: error: Invalid numeric value \"0\" for --cpus-per-task.\n", 1),
    ("#SBATCH foo", "sbatch: error: Invalid directive found in batch script: foo\n", 255),
    ("#SBATCH --workdir=/tmp", "sbatch: unrecognized option '--workdir=/tmp'\n", 255),
];

#[test]
fn what_slurm_refuses_is_refused_in_its_words() {
    let site = Site::start();
    site.file("a.sh", "#!/bin/sh\ntrue\n");
    for (option, first, code) in OPTIONS {
        let said = site.run(&format!("sbatch -H {option} a.sh")).ends(*code);
        assert!(said.err.starts_with(first), "{option}: {said:?}");
        if first.contains("option")
            && !first.contains("node count")
            && first.starts_with("sbatch: ")
            && !first.contains("error")
        {
            assert_eq!(said.err.strip_prefix(first), Some(TRY), "{option}");
        }
    }
    for (head, first, code) in HEADS {
        site.file("b.sh", &format!("#!/bin/sh\n{head}\ntrue\n"));
        let said = site.run("sbatch -H b.sh").ends(*code);
        assert!(said.err.starts_with(first), "{head}: {said:?}");
        assert!(said.err.contains("line 2"), "{head}: {said:?}");
    }
    assert_eq!(site.says("squeue -h -t all"), "", "nothing was stored");
}

#[test]
fn a_script_that_is_none_is_refused_in_slurm_s_words() {
    let site = Site::start();
    let no_script = "sbatch: error: This does not look like a batch script.  The first\n\
        sbatch: error: line must start with #! followed by the path to an interpreter.\n\
        sbatch: error: For instance: #!/bin/sh\n";
    let dos = "sbatch: error: Batch script contains DOS line breaks (\\r\\n)\n\
        sbatch: error: instead of expected UNIX line breaks (\\n).\n";
    for (text, said) in [
        ("", "sbatch: error: Batch script is empty!\n"),
        (" \n", "sbatch: error: Batch script contains only whitespace!\n"),
        ("echo hi\n", no_script),
        ("#!/bin/sh\r\necho hi\r\n", dos),
    ] {
        site.file("a.sh", text);
        assert_eq!(site.run("sbatch a.sh").ends(1).err, said, "{text:?}");
    }
    let said = site.run("sbatch nothere.sh").ends(1);
    assert!(said.err.starts_with("sbatch: error: Unable to open file nothere.sh\n"), "{said:?}");
}

#[test]
fn what_the_server_s_settings_do_not_allow_is_said_in_slurm_s_words() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("downbeat.toml");
    let text = "[[partition]]\nname = \"main\"\nmax_time_limit = \"1h\"\nmax_cpus_per_job = 2\n";
    fs::write(&settings, text).unwrap();
    let site = Site::with(&["--cpus", "4", "--config", settings.to_str().unwrap()]);
    for (option, why) in [
        ("-p nope", "Invalid partition name specified"),
        ("-t 2:00:00", "Requested time limit is invalid (missing or exceeds some limit)"),
        ("-c 3", "Requested node configuration is not available"),
        ("-d afterok:99999", "Job dependency problem"),
    ] {
        let said = site.run(&format!("sbatch {option} --wrap true")).ends(1);
        let first = format!("sbatch: error: Batch job submission failed: {why}\n");
        assert!(said.err.starts_with(&first), "{option}: {said:?}");
    }
    assert_eq!(site.says("squeue -h -t all"), "", "nothing was stored");
}

#[test]
fn other_programs_refuse_in_slurm_s_words_too() {
    let site = Site::start();
    for (line, first, code) in [
        ("squeue --foo", "squeue: unrecognized option '--foo'\n", 1),
        ("squeue -Z", "squeue: invalid option -- 'Z'\n", 1),
        ("squeue -o", "squeue: option requires an argument -- 'o'\n", 1),
        ("squeue -j abc", "squeue: error: Invalid job id: abc\n", 1),
        ("squeue -t foo", "squeue: error: Invalid job state specified: foo\n", 1),
        ("squeue -j 999", "slurm_load_jobs error: Invalid job id specified\n", 1),
        ("sacct --foo", "sacct: unrecognized option '--foo'\n", 1),
        ("sacct -j abc", "sacct: fatal: Bad job/step specified: abc\n", 1),
        ("sacct -o Foo", "sacct: error: Invalid field requested: \"Foo\"\n", 1),
        ("sacct -S foo", "Invalid time specification (pos=0): foo\n", 1),
        ("sacct -s foo", "sacct: fatal: unrecognized job state value 'foo'\n", 1),
        ("scancel abc", "scancel: error: Invalid job id abc\n", 1),
        ("scancel 1_x", "scancel: error: Invalid job id 1_x\n", 1),
        ("sinfo --foo", "sinfo: unrecognized option '--foo'\n", 1),
        ("scontrol --foo", "scontrol: unrecognized option '--foo'\n", 1),
        ("squeue -R x", "squeue: error: --reservation is not honoured here", 1),
    ] {
        let said = site.run(line).ends(code);
        assert!(said.err.starts_with(first), "{line}: {said:?}");
        assert_eq!(said.out, "", "{line}");
    }
    let several = site.says("squeue -h -j 998,999");
    assert_eq!(several, "", "among several one that is not there is passed over");
}
