//! *Purpose*: end to end: Downbeat beside what else runs jobs on one machine, on the same work.
//!
//! *Owns*: the order of the sections; each has a file of its own.
//!
//! *Promises*: ratios and percentiles, never an assertion about speed: machines are shared and
//! noisy, so whoever is compared takes turns with `xargs -P2` in one run. Every daemon is started
//! and ended here, in a folder and on a port of its own; what was running before is not touched.
//!
//! *Not here*: micro benches (`benches/kernel.rs`, `store.rs`, `wire.rs`).
//!
//! `cargo bench --bench compare` makes all of it; the environment chooses a part:
//!
//! | variable | means |
//! |---|---|
//! | `DOWNBEAT_COMPARE_SECTIONS` | of `rate,latency,acceptance,idle,peers,depth,history,pages` |
//! | `DOWNBEAT_COMPARE_ONLY` | peers of the table: `downbeat,xargs,hyperqueue` … |
//! | `DOWNBEAT_COMPARE_JOBS`, `_TURNS`, `_PROBES`, `_IDLE_S` | sizes: 2000, 5, 300, 20 |
//! | `DOWNBEAT_COMPARE_DEPTHS` | pending jobs: `0,1000,10000,100000,1000000` |
//! | `DOWNBEAT_COMPARE_HISTORY` | ended jobs in the database: 1000000 |
//! | `DOWNBEAT_COMPARE_PICTURE` | where the picture goes, instead of below `target/` |

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../tests/common/mod.rs"]
mod common;

mod daily;
mod depth;
mod history;
mod limits;
mod listing;
mod machine;
mod pages;
mod peers;
mod picture;
mod server;
mod settings;
mod sums;
mod table;
mod wire;
mod work;

use std::path::PathBuf;
use std::time::Duration;

use settings::Settings;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

type Section = fn(&Settings);

fn main() {
    let settings = Settings::read();
    let world = tempfile::tempdir().unwrap();
    tempfile::env::override_temp_dir(world.path()).unwrap();
    end_with_signals(world.path().to_owned());
    println!("# Downbeat beside others\n");
    println!("{}.", machine::describe());
    println!("The job is a file with `#!/bin/bash` and `:`; 1 CPU each, 2 CPUs in all.");
    let sections: &[(&str, Section)] = &[
        ("latency", daily::latency),
        ("acceptance", daily::acceptance),
        ("idle", daily::idle),
        ("rate", daily::rates),
        ("peers", table::compare),
        ("depth", depth::curves),
        ("history", history::figures),
        ("pages", pages::costs),
    ];
    for (name, make) in sections {
        if settings.section(name) {
            make(&settings);
        }
    }
}

/// Whoever interrupts a run leaves nothing behind either: every folder of it is below `world`.
fn end_with_signals(world: PathBuf) {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).unwrap();
    std::thread::spawn(move || {
        let signal = signals.forever().next().unwrap_or_default();
        // What dies may have started something just before.
        while peers::kill_all(&world) > 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _gone = std::fs::remove_dir_all(&world);
        std::process::exit(128 + signal);
    });
}
