//! *Purpose*: clients of Slurm, as they are published, before a server of Downbeat.
//!
//! *Owns*: which clients, and what each of them does here.
//!
//! *Promises*: nothing is told to a client but where the programs are; where one is not installed
//! its test says `SKIPPED`.
//!
//! *Not here*: what the programs answer (`tests/slurm`), installing the clients (`tests/run`).

#![allow(clippy::unwrap_used)]
#![allow(missing_docs, reason = "a test program has no readers of docs")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/site.rs"]
mod site;

use std::path::{Path, PathBuf};

use common::{finish, until};
use site::Site;

/// CPUs of the server: as many as two workers of two threads want, on whatever machine.
const CPUS: [&str; 2] = ["--cpus", "4"];

/// The environment of a client, if it is there.
fn environment(name: &str) -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_BIN_EXE_downbeat"));
    let bin = built.ancestors().nth(2).unwrap().join("clients").join(name).join("bin");
    if bin.exists() {
        return Some(bin);
    }
    println!("SKIPPED {name}: {} is not there; tests/run clients makes it", bin.display());
    None
}

fn of_ours(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// Runs a program in the environment of a client.
#[track_caller]
fn succeeds(site: &Site, bin: &Path, line: &str) -> String {
    let words = shell_words::split(line).unwrap();
    let mut command = site.other(&bin.join(&words[0]));
    let path = format!("{}:{}:/usr/bin:/bin", site.bin.display(), bin.display());
    command.args(&words[1..]).env("PATH", path);
    let said = finish(command, "");
    assert_eq!(said.code, Some(0), "{line}\n{}\n{}", said.out, said.err);
    said.out
}

/// What a client has cancelled at its end, ends; then nothing is left of any of its jobs.
fn is_over(site: &Site) {
    until("the last job to end", || match site.says("squeue -h -o '%i %T'").as_str() {
        "" => Ok(()),
        left => Err(left.to_owned()),
    });
    site.server.is_clean();
}

/// A script of ours that drives a client and says in the end that all is right.
#[track_caller]
fn drives(client: &str, script: &str) {
    let Some(bin) = environment(client) else { return };
    let site = Site::with(&CPUS);
    let said = succeeds(&site, &bin, &format!("python {}", of_ours(script).display()));
    assert!(said.ends_with("all right\n"), "{said}");
    is_over(&site);
}

#[test]
fn submitit() {
    drives("submitit", "submitit_jobs.py");
}

#[test]
fn parsl() {
    drives("parsl", "parsl_apps.py");
}

#[test]
fn the_generated_client_of_slurm_s_oldest_api_and_one_that_asks_by_hand() {
    drives("rest", "rest_jobs.py");
}

#[test]
fn the_generated_clients_of_slurm_s_newer_apis() {
    drives("slurpy", "slurpy_jobs.py");
}

#[test]
fn dask_jobqueue_and_its_own_tests() {
    let Some(bin) = environment("dask") else { return };
    let site = Site::with(&CPUS);
    let conftest =
        std::fs::copy(of_ours("conftest.py"), site.server.dir.path().join("conftest.py"));
    conftest.unwrap();
    let said = succeeds(
        &site,
        &bin,
        "python -m pytest -p conftest -q -k 'header or script or basic or adaptive or config' \
         --pyargs dask_jobqueue.tests.test_slurm",
    );
    assert!(said.contains(" passed") && !said.contains("skipped"), "{said}");
    is_over(&site);
}

#[test]
fn snakemake_with_its_executor_for_slurm_and_with_the_generic_one() {
    let Some(bin) = environment("snakemake") else { return };
    let site = Site::with(&CPUS);
    let copied = std::fs::copy(of_ours("Snakefile"), site.server.dir.path().join("Snakefile"));
    copied.unwrap();
    let both = || {
        let text = site.text("both.txt");
        std::fs::remove_file(site.server.dir.path().join("both.txt")).unwrap();
        for n in [1, 2] {
            let part = site.server.dir.path().join(format!("part.{n}.txt"));
            std::fs::remove_file(part).unwrap();
        }
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("1 ") && lines[1].starts_with("2 "), "{text}");
    };
    let slurm = "snakemake --executor slurm --jobs 2 --slurm-no-account --latency-wait 5 \
                 --slurm-init-seconds-before-status-checks 1 --seconds-between-status-checks 1 \
                 --default-resources slurm_partition=default mem_mb=1000 runtime=5";
    succeeds(&site, &bin, slurm);
    both();
    let generic = "snakemake --executor cluster-generic --jobs 2 --latency-wait 5 \
                   --cluster-generic-submit-cmd 'sbatch --parsable' \
                   --cluster-generic-cancel-cmd scancel";
    succeeds(&site, &bin, generic);
    both();
    is_over(&site);
}

#[test]
fn nextflow_s_lines() {
    let site = Site::with(&CPUS);
    let said = finish(site.other(&of_ours("nextflow.sh")), "");
    assert_eq!((said.code, &*said.out), (Some(0), "all right\n"), "{said:?}");
    is_over(&site);
}
