//! *Purpose*: what it takes to look.
//!
//! *Owns*: times of pages and of single answers.
//!
//! *Promises*: each question is asked many times over one keep-alive connection, nothing else
//! runs meanwhile; a question that is slow is asked fewer times, and the count is shown.
//!
//! *Not here*: which questions (`depth`, `history`).

use std::time::{Duration, Instant};

use super::server::Downbeat;
use super::sums::percentile;

/// How many times a quick question is asked.
const ASKED_MAX: usize = 100;
/// How many times the slowest is asked.
const ASKED_MIN: usize = 3;
/// After so long a question has been asked enough.
const ENOUGH: Duration = Duration::from_secs(2);

/// What one question took, ms.
pub struct Asked {
    /// What was asked.
    pub what: String,
    /// The times.
    pub ms: Vec<f64>,
    /// How long the answer was, bytes.
    pub bytes: usize,
}

impl Asked {
    /// The middle.
    pub fn p50(&self) -> f64 {
        percentile(&self.ms, 50)
    }

    /// The slow end.
    pub fn p99(&self) -> f64 {
        percentile(&self.ms, 99)
    }
}

/// Asks each of these paths, by turns of its own.
pub fn ask(server: &mut Downbeat, paths: &[(&str, String)]) -> Vec<Asked> {
    paths.iter().map(|(what, path)| one(server, what, path)).collect()
}

fn one(server: &mut Downbeat, what: &str, path: &str) -> Asked {
    // The first answer fills caches; whoever looks at a page looks at the next.
    let bytes = server.fetch(path).len();
    let begun = Instant::now();
    let mut ms = Vec::new();
    while ms.len() < ASKED_MIN || (ms.len() < ASKED_MAX && begun.elapsed() < ENOUGH) {
        let before = Instant::now();
        server.fetch(path);
        ms.push(before.elapsed().as_secs_f64() * 1_000.0);
    }
    Asked { what: what.to_owned(), ms, bytes }
}

/// Prints the answers as a table.
pub fn print(asked: &[Asked]) {
    println!("\n| question | p50 ms | p99 ms | asked | KiB |");
    println!("|---|---|---|---|---|");
    for a in asked {
        let (p50, p99, kib) = (a.p50(), a.p99(), a.bytes >> 10);
        println!("| {} | {p50:.2} | {p99:.2} | {} | {kib} |", a.what, a.ms.len());
    }
}
