//! *Purpose*: `downbeat simulate` as somebody with a trace meets it.
//!
//! *Owns*: a trace of four jobs, whose schedules are worked out by hand.
//!
//! *Promises*: no server runs; figures and hashes are held against what paper and pencil say.
//!
//! *Not here*: whether schedules are right (`tests/traces.rs`), the bins of a curve
//! (`simulate::curve`).

use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::help::{Said, binary, finish};

cases! {
    one_policy_is_told_in_full => ["simulate"],
    the_default_is_the_server_s_policy => ["simulate"],
    json_holds_the_figures_and_the_hash => ["simulate"],
    the_waits_that_are_written_are_those_that_are_hashed => ["simulate"],
    several_policies_stand_in_one_table_beside_the_first => ["simulate"],
    several_traces_have_a_table_each => ["simulate"],
    mode_and_estimates_change_the_schedule => ["simulate"],
    a_picture_has_both_curves => ["simulate"],
    what_cannot_be_read_is_named => ["simulate"],
    a_trace_may_come_by_stdin_or_packed_under_any_name => ["simulate"],
    columns_that_the_format_does_not_know_are_remarked_upon => ["simulate"],
    what_cannot_be_written_is_named => ["simulate"],
    what_cannot_be_asked_for_is_2 => ["simulate"],
}

/// Number, submit, run, processors, request.
type Job = (i64, i64, i64, i64, i64);

/// On four processors: 1 leaves one free, 2 needs all, 3 fits beside 1 and ends before it, 4 fits
/// but does not, 5 is too wide. `fcfs+easy` waits 0, 99, 0 and 147 s.
const JOBS: [Job; 5] = [
    (1, 0, 100, 3, 100),
    (2, 1, 50, 4, 50),
    (3, 2, 90, 1, 90),
    (4, 3, 200, 1, 200),
    (9, 4, 9, 5, 9),
];
const EASY_WAITS: &str = "1 0\n2 99\n3 0\n4 147\n";

fn swf(jobs: &[Job]) -> String {
    let line = |(number, submit, run, cpus, request): &Job| {
        format!("{number} {submit} -1 {run} {cpus} -1 -1 {cpus} {request}{}\n", " -1".repeat(9))
    };
    format!("; Computer: a small one\n; MaxProcs: 4\n{}", jobs.iter().map(line).collect::<String>())
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A folder with the trace, plain as `four.swf` and packed as `packed.swf.gz`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("four.swf"), swf(&JOBS)).unwrap();
    std::fs::write(folder.path().join("packed.swf.gz"), packed(&swf(&JOBS))).unwrap();
    folder
}

/// Simulates in this folder; the words are separated by blanks.
fn simulate(folder: &TempDir, words: &str) -> Said {
    let words: Vec<&str> = std::iter::once("simulate").chain(words.split(' ')).collect();
    finish(binary(folder.path(), &words), "")
}

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a line says just this, however it is spaced.
#[track_caller]
fn has_line(text: &str, line: &str) {
    let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.lines().any(|l| squeezed(l) == line), "no line \"{line}\" in:\n{text}");
}

#[track_caller]
fn close(value: &Value, expected: f64) {
    assert!((value.as_f64().unwrap() - expected).abs() < 1e-12, "{value} is not {expected}");
}

fn one_policy_is_told_in_full() {
    let said = simulate(&folder(), "four.swf --policy fcfs+easy").ends(0);
    assert_eq!(said.err, "");
    for line in [
        "trace: four, 4 processors",
        "policy: fcfs+easy, batch mode, each job's request is known beforehand",
        "jobs: 4, and 1 dropped",
        "mean wait: 62 s (0-00:01:02)",
        "median wait: 0 s (0-00:00:00)",
        "95 % waited at most: 147 s (0-00:02:27)",
        "longest wait: 147 s (0-00:02:27)",
        "mean bounded slowdown: 1.68, tau 10 s",
        "utilisation: 56.43 %",
        "makespan: 350 s (0-00:05:50)",
        "wide jobs: 1, the widest 1 %: from 4 processors on",
        "their mean wait: 99 s (0-00:01:39)",
        "their longest wait: 99 s (0-00:01:39)",
        &format!("SHA-256 of the waits: {}", hash(EASY_WAITS)),
    ] {
        has_line(&said.out, line);
    }
    let speed = said.out.lines().last().unwrap();
    assert!(speed.starts_with("simulated:") && speed.ends_with(" jobs/s"), "{speed}");
}

fn the_default_is_the_server_s_policy() {
    let folder = folder();
    let policy = downbeat::policy::name::Policy::default().to_string();
    assert_eq!(simulate(&folder, "four.swf --json").ends(0).json()["policy"], policy);
    assert!(simulate(&folder, "--help").ends(0).out.contains(&format!("[default: {policy}]")));
}

fn json_holds_the_figures_and_the_hash() {
    let folder = folder();
    let got = simulate(&folder, "packed.swf.gz --policy fcfs+easy --json").ends(0).json();
    for (field, value) in [
        ("trace", json!("packed")),
        ("policy", json!("fcfs+easy")),
        ("mode", json!("batch")),
        ("estimates", json!("request")),
        ("jobs", json!(4)),
        ("dropped", json!(1)),
        ("processors", json!(4)),
        ("wait_sum", json!(246)),
        ("wait_median", json!(0)),
        ("wait_p95", json!(147)),
        ("wait_max", json!(147)),
        ("makespan", json!(350)),
        ("wide_at", json!(4)),
        ("wide_wait_max", json!(99)),
        ("waits_sha256", json!(hash(EASY_WAITS))),
    ] {
        assert_eq!(got[field], value, "{field} of {got}");
    }
    close(&got["wait_mean"], 61.5);
    close(&got["slowdown_mean"], (1.0 + 149.0 / 50.0 + 1.0 + 347.0 / 200.0) / 4.0);
    close(&got["utilization"], 790.0 / 1_400.0);
    close(&got["wide_wait_mean"], 99.0);
    let rate = 4.0 / got["seconds"].as_f64().unwrap();
    assert!((got["jobs_per_second"].as_f64().unwrap() / rate - 1.0).abs() < 1e-9, "{got}");
    let wider = simulate(&folder, "four.swf --policy fcfs+easy --json --cpus 5").ends(0).json();
    assert_eq!((&wider["processors"], &wider["dropped"]), (&json!(5), &json!(0)));
}

fn the_waits_that_are_written_are_those_that_are_hashed() {
    let folder = folder();
    let words = "four.swf --policy fcfs+easy --waits waits.txt --json";
    let got = simulate(&folder, words).ends(0).json();
    let waits = std::fs::read_to_string(folder.path().join("waits.txt")).unwrap();
    assert_eq!(waits, EASY_WAITS);
    assert_eq!(got["waits_sha256"], hash(&waits));
    let said = simulate(&folder, "four.swf --policy fcfs+easy --waits -").ends(0);
    assert_eq!(said.out, EASY_WAITS, "nothing but the waits is piped on");
    has_line(&said.err, &format!("SHA-256 of the waits: {}", hash(EASY_WAITS)));
    assert!(!folder.path().join("-").exists());
}

fn several_policies_stand_in_one_table_beside_the_first() {
    let folder = folder();
    // First fit, looked at every 5 s, starts 3 at 5 and 4 at 95, and 2 waits for 4: 0, 294, 3, 92.
    let words = "four.swf --policy fcfs+firstfit/tick5,fcfs --policy fcfs+easy";
    let out = simulate(&folder, words).ends(0).out;
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 5, "{out}");
    assert!(lines[0].starts_with("four: 4 jobs on 4 processors, 1 dropped; "), "{out}");
    assert!(lines[1].trim_start().starts_with("POLICY"), "{out}");
    let row = |n: usize| lines[n].split_whitespace().collect::<Vec<_>>().join(" ");
    let first = "fcfs+firstfit/tick5 97 ×1.00 3 294 294 ×1.00 2.59 ×1.00 57.25% 345 \
                 294 ×1.00 294 ×1.00";
    assert_eq!(row(2), first);
    let fcfs = "fcfs 99 ×1.01 99 148 148 ×0.50 2.09 ×0.81 56.43% 350 99 ×0.34 99 ×0.34";
    assert_eq!(row(3), fcfs);
    let easy = "fcfs+easy 62 ×0.63 0 147 147 ×0.50 1.68 ×0.65 56.43% 350 99 ×0.34 99 ×0.34";
    assert_eq!(row(4), easy);
    let all = simulate(&folder, &format!("{words} --json")).ends(0).json();
    let names: Vec<&str> =
        all.as_array().unwrap().iter().map(|r| r["policy"].as_str().unwrap()).collect();
    assert_eq!(names, ["fcfs+firstfit/tick5", "fcfs", "fcfs+easy"]);
    assert_eq!(all[0]["waits_sha256"], hash("1 0\n2 294\n3 3\n4 92\n"));
}

fn several_traces_have_a_table_each() {
    let folder = folder();
    let out = simulate(&folder, "four.swf packed.swf.gz --policy fcfs,fcfs+easy").ends(0).out;
    let heads: Vec<usize> = out
        .lines()
        .enumerate()
        .filter(|(_, l)| l.contains(": 4 jobs on 4 processors"))
        .map(|(n, _)| n)
        .collect();
    assert_eq!(heads, [0, 5], "{out}");
    let out = simulate(&folder, "four.swf packed.swf.gz --policy fcfs").ends(0).out;
    has_line(&out, "trace: four, 4 processors");
    has_line(&out, "trace: packed, 4 processors");
    let all = simulate(&folder, "four.swf packed.swf.gz --json").ends(0).json();
    assert_eq!((&all[0]["trace"], &all[1]["trace"]), (&json!("four"), &json!("packed")), "{all}");
}

fn mode_and_estimates_change_the_schedule() {
    let folder = folder();
    // Two come at once; only who looks at both of them sees that the second is shorter.
    let twins = swf(&[(1, 0, 100, 4, 100), (2, 0, 10, 4, 10)]);
    std::fs::write(folder.path().join("twins.swf"), twins).unwrap();
    // 3 of the four jobs asks for more than it needs, and then does not fit before 2.
    let cautious = swf(&[JOBS[0], JOBS[1], (3, 2, 90, 1, 120), JOBS[3]]);
    std::fs::write(folder.path().join("cautious.swf"), cautious).unwrap();
    for (words, waits) in [
        ("twins.swf --policy sjf", "1 10\n2 0\n"),
        ("twins.swf --policy sjf --mode batch", "1 10\n2 0\n"),
        ("twins.swf --policy sjf --mode sequential", "1 0\n2 100\n"),
        ("cautious.swf --policy fcfs+easy", "1 0\n2 99\n3 148\n4 147\n"),
        ("cautious.swf --policy fcfs+easy --estimates request", "1 0\n2 99\n3 148\n4 147\n"),
        ("cautious.swf --policy fcfs+easy --estimates clairvoyant", EASY_WAITS),
    ] {
        assert_eq!(simulate(&folder, &format!("{words} --waits -")).ends(0).out, waits, "{words}");
    }
    let words = "twins.swf --mode sequential --estimates clairvoyant --json";
    let got = simulate(&folder, words).ends(0).json();
    assert_eq!((&got["mode"], &got["estimates"]), (&json!("sequential"), &json!("clairvoyant")));
}

fn a_picture_has_both_curves() {
    let folder = folder();
    simulate(&folder, "four.swf --policy fcfs+easy --svg four.svg").ends(0);
    let svg = std::fs::read_to_string(folder.path().join("four.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg}");
    for words in ["four, fcfs+easy", "queue length", "utilisation", "days since the first job"] {
        assert!(svg.contains(words), "{words}: {svg}");
    }
    // Lines of more than two points: three levels of the queue, and of the processors in use.
    let points = |line: &str| line.split("points=\"").nth(1).map_or(0, |p| p.matches(',').count());
    let curves = |colour: &str| svg.lines().filter(|l| l.contains(colour) && points(l) > 2).count();
    assert_eq!((curves("#1F5AA6"), curves("#C85A0A")), (1, 1), "{svg}");
}

fn what_cannot_be_read_is_named() {
    let folder = folder();
    let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).unwrap();
    let text = swf(&JOBS);
    write("word.swf", text.replace("\n3 2 ", "\n3 soon ").as_bytes());
    write("short.swf", text.trim_end().trim_end_matches(" -1").as_bytes());
    write("unsized.swf", text.replace("MaxProcs", "Procs").as_bytes());
    write("empty.swf", b"; MaxProcs: 4\n");
    let long: String = (0..999).map(|n| swf(&[(n, n, n * n % 97 + 1, 1, 99)])).collect();
    let whole = packed(&long);
    write("cut.swf.gz", &whole[..whole.len() / 2]);
    for (name, sentence) in [
        ("word.swf", "word.swf, line 5: field 2 is \"soon\", not a number"),
        ("short.swf", "short.swf, line 7: has 9 fields instead of 18; is the file cut off?"),
        ("unsized.swf", "unsized.swf has no line \"; MaxProcs: N\"; say how large the machine is"),
        ("empty.swf", "empty.swf has no job that can be simulated (0 were dropped)"),
        ("cut.swf.gz", "cut.swf.gz: after line "),
        ("none.swf", "none.swf cannot be opened: No such file or directory"),
    ] {
        let said = simulate(&folder, &format!("{name} --policy fcfs")).ends(1);
        assert!(said.err.starts_with(&format!("downbeat: {sentence}")), "{name}: {said:?}");
        assert_eq!((said.out.as_str(), said.err.lines().count()), ("", 1), "{name}");
    }
    simulate(&folder, "unsized.swf --cpus 4").ends(0);
    let said = simulate(&folder, "four.swf word.swf --json").ends(1);
    assert_eq!(said.out, "", "half an array is none");
}

fn a_trace_may_come_by_stdin_or_packed_under_any_name() {
    let folder = folder();
    let words = ["simulate", "-", "--policy", "fcfs+easy", "--json"];
    let by_stdin = finish(binary(folder.path(), &words), &swf(&JOBS)).ends(0).json();
    std::fs::write(folder.path().join("anything"), packed(&swf(&JOBS))).unwrap();
    std::fs::write(folder.path().join("plain.gz"), swf(&JOBS)).unwrap();
    assert_eq!(by_stdin["trace"], "stdin");
    for name in ["anything", "plain.gz"] {
        let got = simulate(&folder, &format!("{name} --policy fcfs+easy --json")).ends(0).json();
        assert_eq!(got["waits_sha256"], by_stdin["waits_sha256"], "{name}");
    }
}

fn columns_that_the_format_does_not_know_are_remarked_upon() {
    let folder = folder();
    let wide = swf(&JOBS).replace(" -1\n", " -1 0\n");
    std::fs::write(folder.path().join("wide.swf"), wide).unwrap();
    let wide = simulate(&folder, "wide.swf --policy fcfs+easy --json").ends(0);
    let plain = simulate(&folder, "four.swf --policy fcfs+easy --json").ends(0);
    assert_eq!(wide.json()["waits_sha256"], plain.json()["waits_sha256"]);
    assert!(wide.err.contains("have more than the 18 fields"), "{wide:?}");
    assert_eq!(plain.err, "");
}

fn what_cannot_be_written_is_named() {
    for flag in ["--waits", "--svg"] {
        let said = simulate(&folder(), &format!("four.swf {flag} no/such/file")).ends(1);
        assert!(said.err.starts_with("downbeat: no/such/file cannot be written: "), "{said:?}");
        assert_eq!(said.out, "");
    }
}

fn what_cannot_be_asked_for_is_2() {
    let folder = folder();
    for (words, reason) in [
        ("", "TRACE.swf"),
        ("four.swf --policy lifo", "\"lifo\" is not an order; fcfs, sjf"),
        ("four.swf --policy fcfs,", "\"\" is not an order"),
        ("four.swf --policy fcfs/often", "\"/often\" is not understood"),
        ("four.swf --cpus 0", "--cpus"),
        ("four.swf --mode random", "--mode"),
        ("four.swf --estimates none", "--estimates"),
        ("four.swf --policy fcfs,sjf --waits x", "--waits is for one schedule"),
        ("four.swf packed.swf.gz --waits x", "--waits is for one schedule"),
        ("four.swf --policy fcfs,sjf --svg x", "--svg is for one schedule"),
        ("four.swf packed.swf.gz --svg x", "--svg is for one schedule"),
        ("- four.swf -", "stdin is one trace: give - once"),
        ("four.swf --json --waits -", "--waits - and --json both need stdout"),
        (
            "four.swf --mode sequential --policy fcfs,fcfs/tick5",
            "fcfs/tick5 makes its passes at set times",
        ),
    ] {
        let words: Vec<&str> =
            std::iter::once("simulate").chain(words.split(' ').filter(|w| !w.is_empty())).collect();
        let said = finish(binary(folder.path(), &words), "").ends(2);
        assert!(said.err.contains(reason), "{words:?}: {said:?}");
        assert_eq!(said.out, "", "{words:?}");
    }
    assert!(!Path::new(&folder.path().join("x")).exists());
}
