//! *Purpose*: what pages cost.
//!
//! *Owns*: the section `pages`: answers at each depth of the queue, twenty open overviews beside
//! running jobs, the bytes of files.
//!
//! *Promises*: a page of a long queue stands beside the same page of an empty one, and jobs that
//! somebody looks at beside jobs that nobody looks at, in turns.
//!
//! *Not here*: the same questions as JSON (`depth`).

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use super::depth::{CPUS, backlog};
use super::listing::{self, Asked};
use super::machine::Cpu;
use super::server::{BATCH, Downbeat, trivial};
use super::settings::Settings;
use super::sums::{median, thousands};
use super::wire::get;

/// Pages that are open at once.
const VIEWERS: usize = 20;
/// Pages that are asked for.
const PAGES: [&str; 3] = ["/", "/jobs", "/api/v1/jobs?limit=50"];

/// Changes after which the overview is asked for.
const CHANGES: usize = 15;
/// Longer than what all viewers share is kept.
const SHARED: Duration = Duration::from_millis(1_100);

/// Makes the section.
pub fn costs(settings: &Settings) {
    println!("\n## Pages\n");
    files();
    depths(settings);
    viewers(settings);
}

/// Bytes of each file of a page.
fn files() {
    let mut server = Downbeat::start(CPUS);
    let page = String::from_utf8(server.fetch("/")).unwrap();
    let named = page.split('"').filter(|part| part.starts_with("/assets/"));
    let named: Vec<&str> = named.collect();
    println!("| file | bytes | packed |");
    println!("|---|---|---|");
    let (mut all, mut all_packed) = (0, 0);
    for path in named {
        let answer = server.server.send("GET", path, &[("accept-encoding", "gzip")], b"");
        let length = answer.header("content-length").unwrap();
        let (plain, packed) = (server.fetch(path).len(), length.parse::<usize>().unwrap());
        println!("| {path} | {} | {} |", thousands(plain), thousands(packed));
        (all, all_packed) = (all + plain, all_packed + packed);
    }
    println!("| all | {} | {} |", thousands(all), thousands(all_packed));
}

/// A whole page, as a browser asks for it, with so many jobs that wait.
fn depths(settings: &Settings) {
    println!("\nA page with so many jobs that wait, ms p50 / p99, beside an empty queue's:\n");
    println!("| pending | page | ms | of empty | KiB |");
    println!("|---|---|---|---|---|");
    let asked = PAGES.map(|path| (path, path.to_owned()));
    let mut server = Downbeat::start(CPUS);
    server.hold(1);
    let mut empty = listing::ask(&mut server, &asked);
    empty.push(changed(&mut server));
    let mut filled = 0;
    for &depth in settings.depths.iter().filter(|depth| **depth > 0) {
        while filled < depth {
            let jobs = filled..depth.min(filled + BATCH);
            filled = jobs.end;
            let batch = server.batch_of(jobs.map(backlog));
            server.send_batch(&batch);
        }
        let mut deep = listing::ask(&mut server, &asked);
        deep.push(changed(&mut server));
        for (deep, empty) in deep.iter().zip(&empty) {
            row(depth, deep, empty);
        }
    }
}

/// The overview after a change, and a rest: what all viewers share is older than a second then.
fn changed(server: &mut Downbeat) -> Asked {
    let mut ms = Vec::new();
    let mut bytes = 0;
    for _ in 0..CHANGES {
        server.submit(&json!({"script": "true", "held": true}));
        std::thread::sleep(SHARED);
        let before = Instant::now();
        bytes = server.fetch("/").len();
        ms.push(before.elapsed().as_secs_f64() * 1_000.0);
    }
    Asked { what: "/ after a change".to_owned(), ms, bytes }
}

fn row(depth: usize, deep: &Asked, empty: &Asked) {
    let ratio = deep.p50() / empty.p50();
    let (p50, p99, kib) = (deep.p50(), deep.p99(), deep.bytes >> 10);
    println!("| {} | {} | {p50:.1} / {p99:.1} | {ratio:.2} | {kib} |", thousands(depth), deep.what);
}

/// Jobs that run while overviews are open, beside the same without.
fn viewers(settings: &Settings) {
    let jobs = settings.jobs;
    println!("\n{} jobs a turn, without and with {VIEWERS} open overviews:\n", thousands(jobs));
    println!(
        "| turn | jobs/s without | with | ratio | CPU µs a job | with | of a core | KiB read |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut server = Downbeat::start(2);
    let pid = server.server.pid();
    let (mut ratios, mut shares) = (Vec::new(), Vec::new());
    server.batch_rate(&trivial(), jobs);
    for turn in 1..=settings.turns {
        let one = |server: &mut Downbeat| {
            let before = Cpu::of(pid);
            let rate = server.batch_rate(&trivial(), jobs);
            (rate, Cpu::of(pid).since(before, jobs).fine)
        };
        let (alone, cost) = one(&mut server);
        let open = Viewers::open(&server.server.url);
        let (watched, watched_cost) = one(&mut server);
        let kib = open.close() >> 10;
        // What they cost beyond the jobs, at the rate at which jobs ran.
        let share = (watched_cost - cost) * watched / 1e6;
        let (ratio, percent) = (watched / alone, 100.0 * share);
        println!(
            "| {turn} | {alone:.0} | {watched:.0} | {ratio:.2} | {cost:.0} | {watched_cost:.0} | \
             {percent:.1} % | {kib} |"
        );
        ratios.push(ratio);
        shares.push(percent);
    }
    println!("| median | | | {:.2} | | | {:.1} % | |", median(&ratios), median(&shares));
    assert!(server.get("/api/v1/audit")["consistent"] == json!(true));
}

/// Overviews that somebody has open.
struct Viewers {
    streams: Vec<TcpStream>,
    readers: Vec<JoinHandle<()>>,
    bytes: Arc<AtomicUsize>,
}

impl Viewers {
    fn open(url: &str) -> Viewers {
        let bytes = Arc::new(AtomicUsize::new(0));
        let (mut streams, mut readers) = (Vec::new(), Vec::new());
        for _ in 0..VIEWERS {
            let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
            stream.write_all(&get(url, "/live?view=/")).unwrap();
            streams.push(stream.try_clone().unwrap());
            let bytes = Arc::clone(&bytes);
            readers.push(std::thread::spawn(move || {
                let mut part = [0; 64 * 1024];
                while let Ok(read @ 1..) = stream.read(&mut part) {
                    bytes.fetch_add(read, Ordering::Relaxed);
                }
            }));
        }
        Viewers { streams, readers, bytes }
    }

    /// Closes them; answers how many bytes were read in all.
    fn close(self) -> usize {
        self.streams.iter().for_each(|stream| stream.shutdown(Shutdown::Both).unwrap());
        self.readers.into_iter().for_each(|reader| reader.join().unwrap());
        self.bytes.load(Ordering::Relaxed)
    }
}
