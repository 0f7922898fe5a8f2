//! *Purpose*: what the README tells people to type works, as written and in that order.
//!
//! *Owns*: every ```` ```sh ```` block of README.md. A ```` ```console ```` block shows what
//! somebody saw and is not run.
//!
//! *Promises*: the blocks run in one bash with `set -e`, in a fresh home and a fresh clone's
//! place. Two names stand for something else: `downbeat` is the program under test, and
//! `cargo run …` and `cargo build …` are answered by a wrapper that runs this same program, for
//! to build it again here would take minutes and prove nothing. The line `tests/run` runs the
//! tests themselves, so of that only the file's existence is checked.
//!
//! *Not here*: whether the outputs shown are right (`cli_demo.rs` and its like).

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions};

/// What the README's examples listen on when nothing else is said.
const ADDRESS: &str = "127.0.0.1:8000";
/// The README's commands take seconds.
const WITHIN: Duration = Duration::from_secs(180);

/// The ```` ```sh ```` blocks of a text.
fn blocks(markdown: &str) -> Vec<String> {
    let (mut blocks, mut open): (Vec<String>, Option<bool>) = (Vec::new(), None);
    for line in markdown.lines() {
        match (line.trim().strip_prefix("```"), open) {
            (Some(language), None) => {
                open = Some(language == "sh");
                if language == "sh" {
                    blocks.push(String::new());
                }
            }
            (Some(_), Some(_)) => open = None,
            (None, Some(true)) => {
                let block = blocks.last_mut().unwrap();
                block.push_str(line);
                block.push('\n');
            }
            _ => {}
        }
    }
    blocks
}

/// One bash script of all blocks; each says its number, so that a failure names its block.
fn script(blocks: &[String]) -> String {
    let mut script = "set -e\n".to_owned();
    for (index, block) in blocks.iter().enumerate() {
        script.push_str(&format!("echo '-- block {}'\n", index + 1));
        for line in block.lines() {
            // The tests run this one; it cannot run them.
            let line = if line.trim() == "tests/run" { "test -x tests/run" } else { line };
            script.push_str(&format!("{line}\n"));
        }
    }
    script
}

/// A folder for the front of PATH.
fn programs(folder: &Path) {
    let program = env!("CARGO_BIN_EXE_downbeat");
    symlink(program, folder.join("downbeat")).unwrap();
    let cargo = format!(
        "#!/bin/bash\n\
         # Stands for the build: what it would make is there already.\n\
         command=$1; shift\n\
         case $command in build|install) exit 0;; run) ;; *)\n\
         echo \"the README test has no 'cargo $command'\" >&2; exit 1;; esac\n\
         while [[ $# -gt 0 && $1 != -- ]]; do shift; done\n\
         shift\n\
         exec '{program}' \"$@\"\n"
    );
    fs::write(folder.join("cargo"), cargo).unwrap();
    fs::set_permissions(folder.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs a script in bash; answers its code and all it printed. Whatever it leaves running in
/// its process group, a server for instance, is ended.
fn run(script: &str, place: &Path, home: &Path, within: Duration) -> (Option<i32>, String) {
    let bin = home.join("bin");
    fs::create_dir(&bin).unwrap();
    programs(&bin);
    let log = home.join("log");
    let file = fs::File::create(&log).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.arg("-c").arg(script).current_dir(place).process_group(0);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DOWNBEAT_") {
            command.env_remove(name);
        }
    }
    command.env("PATH", path).env("HOME", home).env("XDG_STATE_HOME", home.join("state"));
    command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    let mut child = command.spawn().unwrap();
    let group = Pid::from_child(&child);
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if start.elapsed() > within {
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    // TERM first: a server ends its step daemon in good order.
    let _ = rustix::process::kill_process_group(group, Signal::TERM);
    let ended = Instant::now();
    while rustix::process::test_kill_process_group(group).is_ok() {
        let _ = rustix::process::waitpid(Some(group), WaitOptions::NOHANG);
        if ended.elapsed() > Duration::from_secs(10) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
            let _ = child.wait();
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut text = String::new();
    fs::File::open(&log).unwrap().read_to_string(&mut text).unwrap();
    if status.is_none() {
        text.push_str(&format!("-- not done after {within:?}\n"));
    }
    (status.and_then(|status| status.code()), text)
}

#[test]
fn every_shell_block_of_the_readme_works_as_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap_or_default();
    let blocks = blocks(&readme);
    assert!(!blocks.is_empty(), "README.md has no shell block");
    // The README names this port, so the test cannot choose another.
    if let Err(error) = TcpListener::bind(ADDRESS) {
        panic!("{ADDRESS}, which the README uses, is taken ({error}); end whoever listens there");
    }
    let home = tempfile::TempDir::new().unwrap();
    // Written-to like a clone of one's own: what the blocks make goes with the folder.
    let clone = tempfile::TempDir::new().unwrap();
    for entry in fs::read_dir(root).unwrap().map(Result::unwrap) {
        symlink(entry.path(), clone.path().join(entry.file_name())).unwrap();
    }
    let (code, said) = run(&script(&blocks), clone.path(), home.path(), WITHIN);
    assert_eq!(code, Some(0), "the last block named is the one that failed:\n{said}");
}

#[test]
fn a_block_that_fails_is_named_and_console_blocks_are_not_run() {
    let text = "```console\n$ exit 9\n```\n\n```sh\ndownbeat --version\ncargo run --release -- \
                completions bash > /dev/null\n```\n  \n```sh\nfalse\necho unreached\n```\n";
    let blocks = blocks(text);
    assert_eq!(blocks.len(), 2);
    let home = tempfile::TempDir::new().unwrap();
    let (code, said) = run(&script(&blocks), home.path(), home.path(), WITHIN);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("-- block 1\ndownbeat ") && said.ends_with("-- block 2\n"), "{said}");
}

#[test]
fn a_block_that_never_ends_is_ended() {
    let home = tempfile::TempDir::new().unwrap();
    let (code, said) = run("sleep 600", home.path(), home.path(), Duration::from_millis(100));
    assert!(code.is_none() && said.contains("-- not done after"), "{code:?} {said}");
}
