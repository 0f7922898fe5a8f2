//! *Purpose*: Downbeat and its peers in one table.
//!
//! *Owns*: the section `peers`: the turns, what is asked once, the table.
//!
//! *Promises*: in each turn every peer works once, beside `xargs -P2` of that turn; each starts
//! fresh for its turn and is gone after it, so nobody's idle daemon costs another anything. One
//! that fails loses its turn, and the table says so.
//!
//! *Not here*: how peers are driven (`peers`).

use std::collections::BTreeMap;
use std::time::Duration;

use super::peers::{ALL, Home, Kind};
use super::settings::Settings;
use super::sums::{median, percentile, rate};
use super::work;

/// After a start, until a daemon has nothing more to do.
const SETTLE: Duration = Duration::from_secs(1);
/// Jobs that warm a peer up: code is loaded, folders are made.
const WARM_UP: usize = 2;
/// Whom everybody is put in ratio to.
const MEASURE: &str = "xargs";

/// What was read of one peer.
#[derive(Default)]
struct Readings {
    rates: Vec<f64>,
    ratios: Vec<f64>,
    latencies: Vec<f64>,
    accepted: Option<f64>,
    rss_mib: Option<f64>,
    failures: Vec<String>,
}

/// Makes the section.
pub fn compare(settings: &Settings) {
    println!("\n## Peers\n");
    let chosen = ALL.iter().filter(|kind| settings.peer(kind.name));
    let (here, missing): (Vec<_>, Vec<_>) =
        chosen.map(|kind| (kind, (kind.version)())).partition(|(_, version)| version.is_some());
    let mut all: BTreeMap<&str, Readings> = BTreeMap::new();
    for turn in 0..settings.turns {
        let mut measure = None;
        // Whoever is first in one turn is last in the next: caches and neighbours change.
        let mut order: Vec<&Kind> = here.iter().map(|(kind, _)| *kind).collect();
        if turn % 2 == 1 {
            order.reverse();
        }
        for kind in order {
            let readings = all.entry(kind.name).or_default();
            match take_turn(kind, settings, turn == 0, readings) {
                Ok(rate) if kind.name == MEASURE => measure = Some(rate),
                Ok(_) => {}
                Err(why) => {
                    eprintln!("turn {turn}: {}: {why}", kind.name);
                    readings.failures.push(why);
                    // No place in this turn's ratios.
                    readings.rates.push(f64::NAN);
                }
            }
        }
        for readings in all.values_mut() {
            let ratio = readings.rates.last().copied().zip(measure).map(|(r, m)| r / m);
            readings.ratios.extend(ratio);
        }
    }
    print(&here, &all, settings);
    for (kind, _) in missing {
        println!("\nMissing: {} (`{}`)", kind.name, kind.install);
    }
}

fn take_turn(
    kind: &Kind,
    settings: &Settings,
    first: bool,
    readings: &mut Readings,
) -> Result<f64, String> {
    let mut home = Home::new();
    let jobs = kind.jobs.min(settings.jobs);
    let scripts = work::scripts(home.path(), jobs);
    let mut run = |home: &mut Home| {
        let mut peer = (kind.start)(home)?;
        peer.run(home, &scripts[..WARM_UP.min(jobs)])?;
        if first && kind.probes > 0 {
            std::thread::sleep(SETTLE);
            readings.rss_mib = Some(peer.rss_mib(home));
            let gap_us = 0..kind.gap_ms * 1_000;
            let probes = kind.probes.min(settings.probes);
            readings.latencies =
                work::latencies(home.path(), probes, gap_us, |_, path| peer.submit(home, path))?;
        }
        let elapsed = peer.run(home, &scripts)?;
        readings.rates.push(jobs as f64 / elapsed.as_secs_f64());
        if first && kind.accepts > 0 {
            let accepts = kind.accepts.min(settings.jobs * 10);
            readings.accepted = Some(peer.accepts(home, accepts)?);
        }
        Ok(())
    };
    run(&mut home).map_err(|why: String| format!("{why} {}", home.last_words()))?;
    readings.rates.last().copied().ok_or_else(|| "no rate".to_owned())
}

fn print(here: &[(&Kind, Option<String>)], all: &BTreeMap<&str, Readings>, settings: &Settings) {
    println!(
        "Medians of {} turns; the ratio is to `xargs -P2` of the same turn; latency is idle",
        settings.turns
    );
    println!("submit → first act of the script; accepted: one by one, both CPUs held; RSS: of all");
    println!("its processes when idle.\n");
    println!(
        "| who | version | client | on disk when accepted | jobs a turn | jobs/s | ratio \
         | p50 / p95 ms | accepted/s | idle RSS MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for (kind, version) in here {
        let Some(r) = all.get(kind.name) else { continue };
        let good = |values: &[f64]| -> Vec<f64> {
            values.iter().copied().filter(|value| value.is_finite()).collect()
        };
        let (rates, ratios) = (good(&r.rates), good(&r.ratios));
        let or_dash = |there: bool, text: String| if there { text } else { "–".to_owned() };
        let at = |percent| percentile(&r.latencies, percent);
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            kind.name,
            version.as_deref().unwrap_or_default(),
            kind.client,
            kind.durable,
            kind.jobs.min(settings.jobs),
            or_dash(!rates.is_empty(), rate(median(&rates))),
            or_dash(!ratios.is_empty(), format!("{:.3}", median(&ratios))),
            or_dash(!r.latencies.is_empty(), format!("{:.1} / {:.1}", at(50), at(95))),
            r.accepted.map_or("–".to_owned(), rate),
            r.rss_mib.map_or("–".to_owned(), |mib| format!("{mib:.1}")),
        );
    }
    for (kind, _) in here {
        for why in all.get(kind.name).map(|r| r.failures.as_slice()).unwrap_or_default() {
            println!("\n{} lost a turn: {why}", kind.name);
        }
    }
}
