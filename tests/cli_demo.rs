//! *Purpose*: `downbeat demo` as a user meets it.
//!
//! *Owns*: the demo's exit codes, its lines, and what it leaves behind: nothing.
//!
//! *Promises*: every run here has a temporary folder of its own, so that what is left is seen;
//! processes are found by that folder's name.
//!
//! *Not here*: each complaint by itself (`demo::verdict`), the scripts (`examples/`).

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

fn demo(temp: &TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_downbeat"));
    command.arg("demo").args(args).env("TMPDIR", temp.path()).stdin(Stdio::null());
    // Settings of whoever runs the tests are not the demo's.
    command.env("DOWNBEAT_TOKEN", "somebody-elses").env("DOWNBEAT_LISTEN", "127.0.0.1:1");
    command
}

/// Every process whose command line or environment names the folder.
fn processes_of(folder: &Path) -> Vec<String> {
    let name = folder.to_str().unwrap();
    let holds = |path: &Path| {
        fs::read(path).is_ok_and(|text| String::from_utf8_lossy(&text).contains(name))
    };
    let all = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    all.filter(|p| holds(&p.join("cmdline")) || holds(&p.join("environ")))
        .map(|p| format!("{}: {:?}", p.display(), fs::read_to_string(p.join("cmdline"))))
        .collect()
}

#[track_caller]
fn assert_nothing_is_left(temp: &TempDir) {
    let left: Vec<_> = fs::read_dir(temp.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    let processes = processes_of(temp.path());
    assert!(processes.is_empty(), "still there: {processes:?}");
}

fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// Whether a line holds these words, in this order and one after the other.
fn has_line(text: &str, words: &str) -> bool {
    let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().any(|line| squeezed(line).contains(words))
}

#[test]
fn the_demo_shows_it_all_succeeds_and_leaves_nothing() {
    let temp = TempDir::new().unwrap();
    let output = demo(&temp, &["--cpus", "2"]).output().unwrap();
    let (out, err) = text(&output);
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
    for words in [
        "server: http://127.0.0.1:",
        "too-long RUNNING on CPU",
        "too-long TIMEOUT 0:15",
        "pi PENDING asks for 2 CPUs",
        "pi | pi is about 3.14",
        "checksums | 40 files, every checksum right",
        "settings | job 7 is settings of physics",
        "fails | measurements.csv: line 17 has no third column",
        "ID NAME STATE EXIT CPUS ELAPSED AS EXPECTED",
        "1 too-long TIMEOUT 0:15 1",
        "2 sweep COMPLETED 0:0 1",
        "4 fails FAILED 3:0 1",
        "6 pi COMPLETED 0:0 2",
        "JOB HELD FOR RELEASED",
        "6 CPUs 0,1",
        "ledger: 0 of 2 CPUs in use: CPU 0 free, CPU 1 free",
        "audit: consistent; ledger, database and processes agree",
        "all right: 8 jobs ended as expected, every CPU is free, the audit agrees, no process \
         and no folder is left",
    ] {
        assert!(has_line(&out, words), "no line has {words:?}:\n{out}\n{err}");
    }
    assert!(!out.contains('\u{1b}') && !out.contains("WRONG"), "{out}");
    assert_eq!(err, "");
    assert_nothing_is_left(&temp);
}

#[test]
fn a_job_that_ends_otherwise_than_expected_fails_the_demo_and_is_named() {
    let (temp, scripts) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let write = |file: &str, text: &str| fs::write(scripts.path().join(file), text).unwrap();
    write("good.sh", "#!/bin/sh\necho fine\n");
    write("odd.sh", "#!/bin/sh\n# Expected end: FAILED 3:0\nexit 4\n");
    write("notes.txt", "no script");
    let folder = scripts.path().to_str().unwrap();
    let output = demo(&temp, &["--cpus", "2", "--examples", folder]).output().unwrap();
    let (out, err) = text(&output);
    assert_eq!(output.status.code(), Some(1), "{out}\n{err}");
    assert!(has_line(&out, "1 good COMPLETED 0:0 1"), "{out}");
    assert!(has_line(&out, "NO: FAILED 3:0 was due"), "{out}");
    assert!(has_line(&out, "WRONG: odd.sh was to end FAILED 3:0, but ended FAILED 4:0"), "{out}");
    assert!(!out.contains("all right"), "{out}");
    assert_eq!(err, "downbeat: the demo found 1 things wrong\n");
    assert_nothing_is_left(&temp);
}

#[test]
fn a_script_that_the_server_refuses_fails_the_demo_with_the_server_s_words() {
    let temp = TempDir::new().unwrap();
    let output = demo(&temp, &["--cpus", "1"]).output().unwrap();
    let (out, err) = text(&output);
    assert_eq!(output.status.code(), Some(1), "{out}\n{err}");
    assert!(err.contains("pi.sh was not accepted: ") && err.contains("this server has 1"), "{err}");
    assert_nothing_is_left(&temp);
}

#[test]
fn an_interrupted_demo_takes_its_running_jobs_with_it_even_one_that_hides() {
    let (temp, scripts) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    // It leaves its session and parent, and closes its streams.
    let hide = "#!/bin/sh\nsetsid sh -c 'sleep 300 & sleep 300' > /dev/null 2>&1 < /dev/null &\n\
                trap '' TERM INT\nsleep 300\n";
    fs::write(scripts.path().join("hide.sh"), hide).unwrap();
    for signal in [Signal::INT, Signal::TERM] {
        let folder = scripts.path().to_str().unwrap();
        let mut command = demo(&temp, &["--examples", folder]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let running = lines.any(|line| has_line(&line.unwrap(), "hide RUNNING on CPU"));
        assert!(running, "the job never ran");
        kill_process(Pid::from_child(&child), signal).unwrap();
        let start = Instant::now();
        let status = child.wait().unwrap();
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((status.code(), err.as_str()), (Some(1), "downbeat: interrupted\n"));
        assert_nothing_is_left(&temp);
    }
}

#[test]
fn a_reader_that_goes_away_stops_no_demo_halfway() {
    let temp = TempDir::new().unwrap();
    let mut child = demo(&temp, &[]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_nothing_is_left(&temp);
}

#[test]
fn a_folder_without_scripts_is_refused_before_anything_starts() {
    let (temp, scripts) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let output = demo(&temp, &["--examples", scripts.path().to_str().unwrap()]).output().unwrap();
    let (out, err) = text(&output);
    assert_eq!((output.status.code(), out.as_str()), (Some(1), ""));
    assert!(err.contains("no file there begins with #!"), "{err}");
}
