//! *Purpose*: the limits: what starting the same files costs without a scheduler.
//!
//! *Owns*: bare spawns, `xargs -P2`.
//!
//! *Promises*: each job's output and errors go to two files of its own, as a scheduler's do.
//!
//! *Not here*: GNU parallel, which has an installation (`peers`).

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Jobs that run at once.
pub const CPUS: usize = 2;

/// Jobs per second of [`CPUS`] threads that do nothing but `posix_spawn` and wait.
pub fn spawn_rate(dir: &Path, scripts: &[PathBuf]) -> f64 {
    let out = fresh(dir);
    let next = AtomicUsize::new(0);
    let before = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CPUS {
            scope.spawn(|| {
                while let Some(script) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let name = script.file_name().unwrap_or_default().to_string_lossy();
                    let file = |kind: &str| File::create(out.join(format!("{name}.{kind}")));
                    let mut job = Command::new(script);
                    job.stdin(Stdio::null());
                    job.stdout(file("out").unwrap()).stderr(file("err").unwrap());
                    assert!(job.status().unwrap().success());
                }
            });
        }
    });
    scripts.len() as f64 / before.elapsed().as_secs_f64()
}

/// Jobs per second of `xargs -P2`. One shell a job opens the files and becomes the job.
pub fn xargs_rate(dir: &Path, scripts: &[PathBuf]) -> f64 {
    let out = fresh(dir);
    let list = list(dir, scripts);
    let before = Instant::now();
    let done = Command::new("xargs")
        .args(["-P2", "-I{}", "/bin/sh", "-c", "exec {} >$$.out 2>$$.err"])
        .stdin(File::open(&list).unwrap())
        .current_dir(out)
        .status()
        .unwrap();
    assert!(done.success());
    scripts.len() as f64 / before.elapsed().as_secs_f64()
}

/// The scripts' paths, one a line, in a file.
pub fn list(dir: &Path, scripts: &[PathBuf]) -> PathBuf {
    let lines: Vec<String> = scripts.iter().map(|s| s.display().to_string()).collect();
    let list = dir.join("list");
    fs::write(&list, lines.join("\n") + "\n").unwrap();
    list
}

/// A new folder. Nothing is removed before the end: some file systems (ext4 without a journal) pass
/// over every file that was removed in the last minute when they make another, so whoever tidies
/// slows down whoever is measured next.
fn fresh(dir: &Path) -> PathBuf {
    tempfile::Builder::new().prefix("out").tempdir_in(dir).unwrap().keep()
}
