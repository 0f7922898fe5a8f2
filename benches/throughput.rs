//! *Purpose*: end to end, beside `xargs -P2` on the same scripts in the same run.
//!
//! *Owns*: rate (a batch of trivial scripts, pairs in turn), latency (idle submit → first act of
//! the script, beside a bare spawn), cost of idling (CPU and memory).
//!
//! *Promises*: ratios and percentiles, never an assertion: machines are shared and noisy.
//!
//! *Not here*: peers that must be installed, micro benches (`benches/kernel.rs`, `store.rs`).
//!
//! `cargo bench --bench throughput` · `DOWNBEAT_BENCH_JOBS=2000`, `DOWNBEAT_BENCH_PAIRS=5`.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Server, until};
use serde_json::json;

const SCRIPT: &str = "#!/bin/bash\n:\n";

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn main() {
    let (jobs, pairs) = (number("DOWNBEAT_BENCH_JOBS", 2_000), number("DOWNBEAT_BENCH_PAIRS", 5));
    println!("{jobs} scripts of `#!/bin/bash` and `:`, 1 CPU each, 2 CPUs, {pairs} pairs in turn");
    rate(jobs, pairs);
    latency(number("DOWNBEAT_BENCH_PROBES", 300));
    idle();
}

/// Jobs per second, batch submit → last end, and the same files through xargs.
fn rate(jobs: usize, pairs: usize) {
    let server = Server::with(&["--cpus", "2", "--log-level", "warn"]);
    let work = tempfile::tempdir().unwrap();
    let scripts = scripts(work.path(), jobs);
    let mut ratios = Vec::new();
    for pair in 1..=pairs {
        let cpu = cpu_us(server.pid());
        let ours = ours(&server, &scripts);
        let cost = (cpu_us(server.pid()) - cpu) as f64 / jobs as f64;
        let theirs = xargs(work.path(), &scripts);
        ratios.push(ours / theirs);
        println!(
            "pair {pair}: downbeat {ours:.0}/s ({cost:.0} us of server CPU a job), \
             xargs {theirs:.0}/s, ratio {:.2}",
            ours / theirs
        );
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio to xargs: {:.2}", ratios[ratios.len() / 2]);
    server.is_clean();
}

fn scripts(dir: &Path, jobs: usize) -> Vec<String> {
    fs::create_dir(dir.join("s")).unwrap();
    for n in 0..jobs {
        let path = dir.join(format!("s/{n}"));
        fs::write(&path, SCRIPT).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    (0..jobs).map(|n| format!("s/{n}")).collect()
}

fn ours(server: &Server, scripts: &[String]) -> f64 {
    let jobs: Vec<_> = scripts.iter().map(|_| json!({"script": SCRIPT})).collect();
    let body = json!({ "jobs": jobs });
    let before = Instant::now();
    let accepted = server.post("/api/v1/jobs/batch", &body).expect(201).json();
    let last = accepted["job_ids"].as_array().unwrap().len();
    assert_eq!(last, scripts.len());
    until("the last end", || {
        let now = server.get("/api/v1/resources").json();
        if now["pending_jobs"] == 0 && now["used_cpus"] == 0 {
            Ok(())
        } else {
            Err(now.to_string())
        }
    });
    scripts.len() as f64 / before.elapsed().as_secs_f64()
}

/// Each job's stdout and stderr go to files of its own, as ours do.
fn xargs(dir: &Path, scripts: &[String]) -> f64 {
    fs::create_dir_all(dir.join("o")).unwrap();
    let list = dir.join("list");
    fs::write(&list, scripts.join("\n")).unwrap();
    // One shell per job would measure the shell: `sh -c` here opens the files and execs.
    let before = Instant::now();
    let done = Command::new("xargs")
        .args(["-P2", "-I{}", "/bin/sh", "-c", "exec ./{} >o/$$.out 2>o/$$.err"])
        .stdin(fs::File::open(&list).unwrap())
        .current_dir(dir)
        .status()
        .unwrap();
    assert!(done.success());
    let rate = scripts.len() as f64 / before.elapsed().as_secs_f64();
    fs::remove_dir_all(dir.join("o")).unwrap();
    rate
}

/// Idle submit → first act of the script, with random gaps so as not to lock on to any tick.
fn latency(probes: usize) {
    let server = Server::with(&["--cpus", "2", "--log-level", "warn"]);
    let dir = server.dir.path().to_owned();
    let mut rng = fastrand::Rng::with_seed(1);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for n in 0..probes {
        std::thread::sleep(Duration::from_micros(rng.u64(2_000..20_000)));
        let mark = dir.join(format!("mark{n}"));
        let script = format!("#!/bin/bash\necho $EPOCHREALTIME > {}\n", mark.display());
        let before = now_us();
        server.run(&script);
        ours.push(first_act(&mark) - before);
        let mark = dir.join(format!("bare{n}"));
        let path = dir.join(format!("bare{n}.sh"));
        fs::write(&path, format!("#!/bin/bash\necho $EPOCHREALTIME > {}\n", mark.display()))
            .unwrap();
        let before = now_us();
        let spawned = Command::new("/bin/bash").arg(&path).stdout(Stdio::null()).spawn();
        spawned.unwrap().wait().unwrap();
        bare.push(first_act(&mark) - before);
    }
    println!("idle submit -> first act: {}", percentiles(&mut ours));
    println!("bare spawn  -> first act: {}", percentiles(&mut bare));
}

fn now_us() -> i64 {
    downbeat::clock::now().0
}

fn first_act(mark: &Path) -> i64 {
    until("the script's first act", || {
        let text = fs::read_to_string(mark).unwrap_or_default();
        let us = text.trim().replace(['.', ','], "").parse();
        us.map_err(|_| text)
    })
}

fn percentiles(us: &mut [i64]) -> String {
    us.sort_unstable();
    let at = |p: usize| us[(us.len() - 1) * p / 100] as f64 / 1_000.0;
    format!("p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms", at(50), at(95), at(99))
}

/// What a server costs that nobody uses.
fn idle() {
    let server = Server::with(&["--cpus", "2"]);
    std::thread::sleep(Duration::from_secs(2));
    let before = cpu_us(server.pid());
    let seconds = 20;
    std::thread::sleep(Duration::from_secs(seconds));
    let spent = cpu_us(server.pid()) - before;
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let rss = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap().trim().to_owned();
    println!(
        "idle: {:.3} % of a core over {seconds} s, RSS {rss}",
        spent as f64 / (seconds as f64 * 1e6) * 100.0
    );
}

/// User and system time of a process, µs (clock ticks are 10 ms).
fn cpu_us(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10_000
}
