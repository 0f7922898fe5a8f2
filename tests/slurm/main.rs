//! *Purpose*: Slurm's programs, called as people and tools call them.
//!
//! *Owns*: what concerns all of the programs.
//!
//! *Promises*: what real Slurm 22.05 answered stands here as it answered, and what differs on
//! purpose says why.
//!
//! *Not here*: the verbs of Downbeat (`tests/cli`).

#![allow(clippy::unwrap_used)]
#![allow(missing_docs, reason = "a test program has no readers of docs")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/site.rs"]
mod site;

mod accounting;
mod control;
mod queue;
mod refusals;
mod steps;
mod submit;
mod terminal;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::finish;
pub use site::{Site, id};

/// Every program that there is.
const PROGRAMS: [&str; 11] = [
    "sacct", "sacctmgr", "salloc", "sbatch", "scancel", "scontrol", "seff", "sinfo", "squeue",
    "srun", "sshare",
];

/// Whoever runs these tests, to Slurm.
pub fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[test]
fn the_programs_are_links_and_what_is_there_already_stays() {
    let site = Site::start();
    let install = |dir: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_downbeat"));
        command.args(["slurm", "install", "--dir", dir]).current_dir(site.server.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(command, "")
    };
    let again = install("bin").ends(0);
    assert!(again.out.contains("To undo it: rm bin/sacct"), "{again:?}");
    fs::create_dir(site.server.dir.path().join("other")).unwrap();
    site.file("other/sbatch", "somebody else's");
    let said = install("other").ends(1);
    let why = "other/sbatch: something else is there already; nothing of it was changed\n";
    assert!(said.err.ends_with(why), "{said:?}");
    assert_eq!(site.text("other/sbatch"), "somebody else's");
    let said = install("nowhere").ends(1);
    assert!(said.err.contains("nowhere/sacct: No such file"), "{said:?}");
    // Without links too.
    let mut plain = Command::new(env!("CARGO_BIN_EXE_downbeat"));
    plain.args(["slurm", "squeue", "-h"]).env("DOWNBEAT_SERVER", &site.server.url);
    plain.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    assert_eq!(finish(plain, "").ends(0).out, "");
}

#[test]
fn every_program_says_what_it_honours_and_what_not() {
    let site = Site::start();
    for program in PROGRAMS {
        let help = site.says(&format!("{program} --help"));
        assert!(help.starts_with(&format!("Usage: {program} ")), "{help}");
        assert!(help.contains("\nHonoured:\n"), "{help}");
        let version = site.says(&format!("{program} --version"));
        assert!(version.starts_with("slurm 22.05."), "{version}");
        for line in help.lines().filter(|line| line.starts_with("  ")) {
            assert!(
                line.trim().contains("  ") || line.len() > 36,
                "{program}: nothing said: {line}"
            );
        }
    }
    let help = site.says("sbatch --help");
    for said in [
        "\nAccepted, without effect:\n",
        "\nRefused:\n",
        "  -c, --cpus-per-task=VALUE          CPUs of each task",
        "      --wckey=VALUE                  it is not kept",
        "  -C, --constraint=VALUE             this server is one node",
    ] {
        assert!(help.contains(said), "{said}: {help}");
    }
}

#[test]
fn the_page_says_of_every_option_what_the_programs_say() {
    let site = Site::start();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/slurm.md");
    let page = fs::read_to_string(page).unwrap();
    for program in PROGRAMS {
        let section = page.split(&format!("### `{program}`\n")).nth(1).unwrap();
        let section = section.split("\n###").next().unwrap();
        let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| `--")).collect();
        let mut wanted = Vec::new();
        let mut kind = "";
        for line in site.says(&format!("{program} --help")).lines() {
            kind = match line {
                "Honoured:" => "honoured",
                "Accepted, without effect:" => "no effect",
                "Refused:" => "refused",
                _ => kind,
            };
            let Some((letter, rest)) = line.split_once("--").filter(|_| line.starts_with("  "))
            else {
                continue;
            };
            let (name, said) = rest.split_once(' ').unwrap();
            let name = name.split(['=', '[']).next().unwrap();
            let letter = letter.trim_matches([' ', ',']);
            let letter = if letter.is_empty() { String::new() } else { format!(", `{letter}`") };
            let said = said.trim().replace('|', "\\|");
            wanted.push(format!("| `--{name}`{letter} | {kind} | {said} |"));
        }
        assert_eq!(rows, wanted, "{program}");
    }
}

#[test]
fn without_a_server_every_program_names_the_address_and_ends_with_1() {
    let site = Site::start();
    site.file("a.sh", "#!/bin/sh\ntrue\n");
    for line in [
        "sbatch a.sh",
        "squeue",
        "sacct",
        "sinfo",
        "scancel 1",
        "scontrol show job 1",
        "scontrol hold 1",
        "scontrol ping",
    ] {
        let mut command = site.command(line);
        command.env("DOWNBEAT_SERVER", "unix:/nonexistent/downbeat.sock");
        let said = finish(command, "").ends(1);
        let program = line.split(' ').next().unwrap();
        assert!(said.err.starts_with(&format!("{program}: error: ")), "{said:?}");
        assert!(said.err.contains("unix:/nonexistent/downbeat.sock"), "{said:?}");
        assert_eq!(said.out, "");
    }
}
