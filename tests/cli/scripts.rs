//! *Purpose*: scripts as people write them, and what they are told.
//!
//! *Owns*: tasks, arguments, names of files, masks, limits, the environment of a batch step, the
//! first line; jobs that submit jobs; MPI.
//!
//! *Promises*: each is seen by a script that the real binary ran.
//!
//! *Not here*: the grammar of each option (unit tests of `api::wire::sbatch`).

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::common::Server;
use crate::help::{Said, call, client, finish, script};

cases! {
    a_script_is_told_its_tasks => ["submit"],
    a_batch_step_has_the_variables_of_slurm => ["submit"],
    a_script_gets_its_arguments => ["submit"],
    files_are_named_as_sbatch_names_them => ["submit"],
    what_goes_to_dev_null_is_gone => ["submit", "run"],
    mask_and_soft_limits_travel => ["submit"],
    standard_input_is_the_file_that_is_named => ["submit", "run"],
    a_time_is_of_the_clock_of_whoever_submits => ["submit"],
    a_script_whose_head_is_misread_is_refused => ["submit"],
    a_script_that_is_no_text_runs_byte_for_byte => ["submit"],
    the_id_alone_is_printed_for_programs => ["submit"],
    a_job_submits_the_next_one_and_passes_nothing_of_itself_on => ["submit"],
    run_takes_any_word_as_a_command => ["run"],
    whoever_waits_is_told_for_what => ["run"],
    names_that_nobody_gave_refuse_nothing => ["submit", "run"],
    programs_of_mpi_start_their_processes => ["submit"],
}

/// Submits these words and waits; answers what the job printed.
#[track_caller]
fn prints(server: &Server, words: &str, text: &str) -> String {
    script(server, "script.sh", text);
    let words: Vec<&str> = ["submit", "-q", "--wait"].into_iter().chain(words.split(' ')).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let said = finish(client(server, &words), "").ends(0);
    server.stdout(id(&said))
}

fn id(said: &Said) -> i64 {
    said.out.lines().next().unwrap().parse().unwrap()
}

fn a_script_is_told_its_tasks() {
    let server = Server::start();
    let says = "echo $SLURM_NTASKS/$SLURM_NPROCS/$SLURM_CPUS_PER_TASK/$SLURM_CPUS_ON_NODE/\
                $SLURM_TASKS_PER_NODE/$OMP_NUM_THREADS/${SLURM_NTASKS_PER_NODE-none}";
    for (words, lines, wanted) in [
        ("", "", "1/1/1/1/1/1/none"),
        ("", "#SBATCH --ntasks=2 --cpus-per-task=1", "2/2/1/2/2/1/none"),
        ("-n 2", "", "2/2/1/2/2/1/none"),
        ("-n 2 -c 2", "", "2/2/2/4/2/2/none"),
        ("-c 3", "", "1/1/3/3/1/3/none"),
        ("--cpus 4", "", "1/1/4/4/1/4/none"),
        ("", "#SBATCH --tasks-per-node=2 -c 2", "2/2/2/4/2/2/2"),
        ("-c 1", "#SBATCH -n 3 -c 9", "3/3/1/3/3/1/none"),
    ] {
        let text = format!("#!/bin/bash\n{lines}\n{says}\n");
        let said = prints(&server, &format!("{words} script.sh"), &text);
        assert_eq!(said.trim(), wanted, "{words} {lines}");
    }
    let rest = serde_json::json!({"script": says, "ntasks": 2, "cpus_per_task": 2});
    let id = server.submit(&rest);
    server.ended(id);
    assert_eq!(server.stdout(id).trim(), "2/2/2/4/2/2/none");
}

fn a_batch_step_has_the_variables_of_slurm() {
    let server = Server::start();
    let folder = server.dir.path().display().to_string();
    fs::create_dir(server.dir.path().join("elsewhere")).unwrap();
    let text = "#!/bin/bash\nset -u\nfor v in PROCID LOCALID NODEID NNODES JOB_NUM_NODES GTIDS \
                TASKS_PER_NODE JOB_CPUS_PER_NODE MEM_PER_NODE SUBMIT_DIR CLUSTER_NAME; do\n\
                v=SLURM_$v; echo \"$v=${!v}\"; done\n\
                host=$(hostname -s)\n\
                for v in SLURM_NODELIST SLURM_JOB_NODELIST SLURMD_NODENAME; do\n\
                [ \"${!v}\" = $host ] && echo \"$v is this machine\"; done\n\
                [ \"$SLURM_SUBMIT_HOST\" = \"$(hostname)\" ] && echo from here\n\
                [ \"$SLURM_JOB_UID\" = \"$(id -u)\" ] && echo \"as $SLURM_JOB_UID\"\n\
                [ $((SLURM_JOB_END_TIME - SLURM_JOB_START_TIME)) = 60 ] && echo a minute\n\
                echo ${SLURM_RESTART_COUNT-never} ${SLURM_ARRAY_JOB_ID-no array} $ENVIRONMENT; pwd\n";
    let said = prints(&server, "--mem 64 -t 1 -D elsewhere script.sh", text);
    let uid = rustix::process::geteuid().as_raw();
    let wanted = format!(
        "SLURM_PROCID=0\nSLURM_LOCALID=0\nSLURM_NODEID=0\nSLURM_NNODES=1\nSLURM_JOB_NUM_NODES=1\n\
         SLURM_GTIDS=0\nSLURM_TASKS_PER_NODE=1\nSLURM_JOB_CPUS_PER_NODE=1\nSLURM_MEM_PER_NODE=64\n\
         SLURM_SUBMIT_DIR={folder}\nSLURM_CLUSTER_NAME=downbeat\nSLURM_NODELIST is this machine\n\
         SLURM_JOB_NODELIST is this machine\nSLURMD_NODENAME is this machine\nfrom here\nas {uid}\n\
         a minute\nnever no array BATCH\n{folder}/elsewhere\n"
    );
    assert_eq!(said, wanted);
}

fn a_script_gets_its_arguments() {
    let server = Server::start();
    script(&server, "a.sh", "#!/bin/bash\nprintf '<%s>' \"$@\"; echo \" $#\"\n");
    script(&server, "p.py", "#!/usr/bin/env python3\nimport sys; print(sys.argv[1:])\n");
    let words = ["submit", "-q", "--wait", "a.sh", "a", "b c", "--output", "-c", ""];
    let said = finish(client(&server, &words), "").ends(0);
    assert_eq!(server.stdout(id(&said)), "<a><b c><--output><-c><> 5\n");
    let said = finish(client(&server, &["submit", "-q", "--wait", "p.py", "1"]), "").ends(0);
    assert_eq!(server.stdout(id(&said)), "['1']\n");
    let text = "printf '<%s>' \"$@\"; echo \" $#\"\n";
    let said = finish(client(&server, &["submit", "-q", "--wait", "-", "x"]), text).ends(0);
    assert_eq!(server.stdout(id(&said)), "<x> 1\n");
    let shown = server.job(id(&said));
    assert_eq!(shown["args"], serde_json::json!(["x"]));
}

fn files_are_named_as_sbatch_names_them() {
    let server = Server::start();
    let host = String::from_utf8(
        std::process::Command::new("hostname").arg("-s").output().unwrap().stdout,
    );
    let host = host.unwrap();
    let host = host.trim();
    for (n, (pattern, wanted)) in [
        ("slurm.%N.%j.out", format!("slurm.{host}.1.out")),
        ("x-%J-%u", "x-2-me".to_owned()),
        ("%x_%4j_%n%t.%s", "script.sh_0003_00.batch".to_owned()),
        ("100%%-%A-%a", "100%-4-4294967294".to_owned()),
    ]
    .into_iter()
    .enumerate()
    {
        let text = format!("#!/bin/bash\n#SBATCH -o {pattern}\necho hi\n");
        script(&server, "script.sh", &text);
        call(&server, &["submit", "--wait", "script.sh"]).ends(0);
        let file = server.dir.path().join(&wanted);
        assert_eq!(fs::read_to_string(&file).unwrap(), "hi\n", "{n}: {pattern}");
    }
    script(&server, "script.sh", "echo $SLURM_ARRAY_TASK_ID");
    call(&server, &["submit", "--wait", "-a", "3,12", "-o", "%3a.%b", "script.sh"]).ends(0);
    for file in ["003.3", "012.2"] {
        assert!(server.dir.path().join(file).is_file(), "{file}");
    }
    let said = call(&server, &["submit", "-o", "a.%y", "script.sh"]).ends(1);
    assert!(said.err.contains("%y is not a placeholder"), "{said:?}");
}

fn what_goes_to_dev_null_is_gone() {
    let server = Server::start();
    let text = "#!/bin/bash\n#SBATCH --output=/dev/null\n#SBATCH --error=/dev/null\n\
                echo hi; echo ho >&2; echo ran > mark\n";
    script(&server, "n.sh", text);
    call(&server, &["submit", "--wait", "n.sh"]).ends(0);
    assert_eq!(fs::read_to_string(server.dir.path().join("mark")).unwrap(), "ran\n");
    let said = call(&server, &["run", "-o", "/dev/null", "--", "sh", "-c", "echo hi; exit 3"]);
    assert_eq!((said.code, said.out.as_str()), (Some(3), ""), "{said:?}");
    for other in ["/dev/full", "/dev/zero"] {
        let said = call(&server, &["submit", "-o", other, "n.sh"]).ends(1);
        assert!(said.err.contains("is outside of"), "{said:?}");
    }
    use std::os::unix::fs::FileTypeExt;
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn mask_and_soft_limits_travel() {
    let server = Server::start();
    let sh = |line: &str| {
        let mut command = std::process::Command::new("/bin/bash");
        let binary = env!("CARGO_BIN_EXE_downbeat");
        command.args(["-c", &line.replace("downbeat", binary)]).current_dir(server.dir.path());
        let done = command.env("DOWNBEAT_SERVER", &server.url).output().unwrap();
        assert!(done.status.success(), "{line}: {done:?}");
        String::from_utf8(done.stdout).unwrap().lines().next().unwrap().parse::<i64>().unwrap()
    };
    script(&server, "u.sh", "#!/bin/bash\numask; ulimit -S -n; ulimit -S -c; : > made\n");
    let one = sh("umask 077; ulimit -S -n 77; ulimit -S -c 0; downbeat submit -q --wait u.sh");
    assert_eq!(server.stdout(one), "0077\n77\n0\n");
    assert_eq!(mode(&server.dir.path().join("made")), 0o600);
    for (mask, wanted) in [("077", 0o600), ("002", 0o664), ("022", 0o644)] {
        sh(&format!("umask {mask}; downbeat submit -q --wait -o out.{mask} u.sh"));
        assert_eq!(mode(&server.dir.path().join(format!("out.{mask}"))), wanted, "{mask}");
    }
    call(&server, &["submit", "--wait", "u.sh"]).ends(0);
}

fn standard_input_is_the_file_that_is_named() {
    let server = Server::start();
    fs::write(server.dir.path().join("in.1"), "first\nsecond\n").unwrap();
    script(&server, "i.sh", "#!/bin/bash\n#SBATCH -i in.%n1\nread a; read b; echo $b $a\n");
    fs::rename(server.dir.path().join("in.1"), server.dir.path().join("in.01")).unwrap();
    let said = call(&server, &["submit", "-q", "--wait", "i.sh"]).ends(0);
    assert_eq!(server.stdout(id(&said)), "second first\n");
    let said = call(&server, &["submit", "-q", "--wait", "-i", "none", "i.sh"]);
    let ended = server.job(id(&said));
    let error = ended["error"].as_str().unwrap_or_default();
    assert!(error.contains("standard input") && error.contains("not found"), "{ended}");
    // `run` reads a file where it stands.
    let mut command = client(&server, &["run", "--", "cat"]);
    command.stdin(File::open(server.dir.path().join("in.01")).unwrap());
    assert_eq!(finish(command, "").ends(0).out, "first\nsecond\n");
    let said = finish(client(&server, &["run", "--", "cat"]), "into a pipe");
    assert_eq!((said.code, said.out.as_str()), (Some(0), ""), "{said:?}");
}

fn a_time_is_of_the_clock_of_whoever_submits() {
    let server = Server::start();
    script(&server, "b.sh", "#!/bin/bash\n#SBATCH --begin=2030-06-29T16:23:42\ntrue\n");
    script(&server, "plain.sh", "true\n");
    for words in [&["b.sh"][..], &["--begin", "2030-06-29T16:23:42", "plain.sh"]] {
        let words: Vec<&str> =
            ["submit", "--hold", "--json"].into_iter().chain(words.iter().copied()).collect();
        let mut command = client(&server, &words);
        command.env("TZ", "America/New_York");
        let job = finish(command, "").ends(0).json();
        assert_eq!(job["begin_time"], "2030-06-29T20:23:42.000000Z", "{words:?}");
    }
    let refused = serde_json::json!({"script": "true", "begin_time": "2030-06-29T16:23:42"});
    let said = server.post("/api/v1/jobs", &refused).expect(422).json();
    assert_eq!(said["errors"][0]["field"], "begin_time");
    assert!(said["errors"][0]["message"].as_str().unwrap().contains("says no zone"), "{said}");
}

fn a_script_whose_head_is_misread_is_refused() {
    let server = Server::start();
    for (text, why) in [
        ("\u{feff}#!/bin/bash\ntrue\n", "byte order mark"),
        ("#!/bin/bash\r\ntrue\r\n", "carriage return"),
        ("\n#!/usr/bin/env python3\nprint(1)\n", "before #!"),
    ] {
        script(&server, "h.sh", text);
        let said = call(&server, &["submit", "h.sh"]).ends(1);
        assert!(said.err.contains("script: line ") && said.err.contains(why), "{said:?}");
    }
    script(&server, "h.sh", "#!/bin/bash\n#PBS -l nodes=1\n# SBATCH -c 2\ntrue\n#SBATCH -n 2\n");
    let said = call(&server, &["submit", "--wait", "h.sh"]).ends(0);
    for line in ["line 2: #PBS", "line 3: this line is not read", "line 5: this #SBATCH line"] {
        assert!(said.err.contains(line), "{line}: {said:?}");
    }
}

fn a_script_that_is_no_text_runs_byte_for_byte() {
    let server = Server::start();
    let bytes =
        b"#!/bin/bash\n#SBATCH -c 2\nprintf 'caf\xe9' | od -An -tx1; echo $SLURM_CPUS_ON_NODE\n";
    fs::write(server.dir.path().join("l.sh"), bytes).unwrap();
    let said = call(&server, &["submit", "-q", "--wait", "l.sh"]).ends(0);
    let id = id(&said);
    assert_eq!(server.stdout(id), " 63 61 66 e9\n2\n");
    let kept = server.get(&format!("/api/v1/jobs/{id}/script")).expect(200);
    assert_eq!(kept.body, bytes);
}

fn the_id_alone_is_printed_for_programs() {
    let server = Server::start();
    script(&server, "q.sh", "exit 5");
    for (words, code) in [
        (&["--parsable", "q.sh"][..], 0),
        (&["-q", "--wait", "q.sh"], 5),
        (&["--quiet", "--wrap", "echo $0; false"], 0),
    ] {
        let words: Vec<&str> = ["submit"].into_iter().chain(words.iter().copied()).collect();
        let said = call(&server, &words).ends(code);
        assert_eq!(said.out, format!("{}\n", id(&said)), "{words:?}");
    }
    let job = server.ended(3);
    assert_eq!((job["name"].as_str(), job["exit_code"].as_str()), (Some("wrap"), Some("1:0")));
}

fn a_job_submits_the_next_one_and_passes_nothing_of_itself_on() {
    let server = Server::start();
    let inner = "#!/bin/bash\necho $SLURM_JOB_ID/$SLURM_NTASKS/$OMP_NUM_THREADS/\
                 ${SLURM_ARRAY_TASK_ID-none}/${SLURM_MEM_PER_NODE-none}/$MINE > inner.out\n";
    script(&server, "inner.sh", inner);
    let outer =
        format!("export MINE=kept; {} submit --wait inner.sh\n", env!("CARGO_BIN_EXE_downbeat"));
    script(&server, "outer.sh", &outer);
    let words = ["submit", "--wait", "-a", "4", "-c", "3", "--mem", "100", "outer.sh"];
    // The server is known in the job, whatever the client was told by.
    call(&server, &words).ends(0);
    let told = fs::read_to_string(server.dir.path().join("inner.out")).unwrap();
    assert_eq!(told, "2/1/1/none/none/kept\n");
}

fn run_takes_any_word_as_a_command() {
    let server = Server::start();
    script(&server, "-c", "#!/bin/sh\necho mine $1\n");
    let path = server.dir.path().join("-c");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = client(&server, &["run", "--", "-c", "env"]);
    command.env("PATH", format!("{}:/usr/bin:/bin", server.dir.path().display()));
    assert_eq!(finish(command, "").ends(0).out, "mine env\n");
    call(&server, &["run", "--", "-a"]).ends(127);
    call(&server, &["run", "--", "-l", "echo", "hi"]).ends(127);
    call(&server, &["run", "--", "--help"]).ends(127);
}

fn whoever_waits_is_told_for_what() {
    let server = Server::start();
    let go = server.dir.path().join("go");
    let wait = format!("until [ -e {} ]; do sleep 0.1; done", go.display());
    let first = server.submit(&serde_json::json!({"script": wait, "exclusive": true}));
    server.started(first);
    let waits = client(&server, &["run", "--", "echo", "hi"]);
    let child = std::thread::spawn(move || finish(waits, ""));
    crate::common::until("the second to be told", || {
        let asked = server.get("/api/v1/jobs").expect(200).json();
        let waits = asked["jobs"].as_array().unwrap().iter().any(|job| job["state"] == "PENDING");
        // Told after a second; the first ends once it was.
        if waits { Ok(()) } else { Err(asked.to_string()) }
    });
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // As long as a client asks the server before it says so.
            let wait = "/api/v1/jobs/2/wait?timeout_s=2";
            server.get(wait).expect(200);
            fs::write(&go, "").unwrap();
        });
    });
    let said = child.join().unwrap().ends(0);
    assert!(said.err.contains("downbeat: job 2 is queued: Resources: "), "{said:?}");
    assert_eq!(said.out, "hi\n");
}

fn names_that_nobody_gave_refuse_nothing() {
    let server = Server::start();
    let long = format!("{}.sh", "x".repeat(240));
    for name in ["two\nlines.sh", "a\tb.sh", "\u{202e}turned.sh", &long] {
        script(&server, name, "#!/bin/bash\necho ran\n");
        let said = call(&server, &["submit", "-q", "--wait", name]).ends(0);
        assert_eq!(server.stdout(id(&said)), "ran\n", "{name:?}");
    }
    call(&server, &["run", "--", "/tmp/"]).ends(126);
    call(&server, &["run", "--", "/"]).ends(126);
    let word = "y".repeat(300);
    call(&server, &["run", "--", &word]).ends(127);
}

fn programs_of_mpi_start_their_processes() {
    let server = Server::start();
    for (program, launch) in [
        ("mpirun.openmpi", "mpirun.openmpi -np 2"),
        // As many as it has tasks.
        ("mpirun.openmpi", "mpirun.openmpi"),
        ("mpiexec.mpich", "mpiexec.mpich -np 2"),
    ] {
        if !["/usr/bin", "/bin"].iter().any(|folder| Path::new(folder).join(program).exists()) {
            println!("ABSENT {program}");
            continue;
        }
        let text = format!(
            "#!/bin/bash\n#SBATCH -n 2\nexport OMPI_ALLOW_RUN_AS_ROOT=1 \
             OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1\ntimeout 60 {launch} echo ran\n"
        );
        assert_eq!(prints(&server, "script.sh", &text), "ran\nran\n", "{launch}");
    }
    assert_eq!(prints(&server, "script.sh", "echo $HYDRA_LAUNCHER"), "fork\n");
}
