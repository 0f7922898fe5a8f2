//! *Purpose*: what a run does, as the environment chooses it.
//!
//! *Owns*: the names of the variables and their defaults.
//!
//! *Promises*: the defaults together last less than twenty minutes on two CPUs.
//!
//! *Not here*: how many jobs a peer is given (`peers`): each has a number it can afford.

use std::path::PathBuf;
use std::time::Duration;

/// What a run does.
pub struct Settings {
    /// Peers that take part; empty: all that are installed.
    pub only: Vec<String>,
    /// Sections that are made; empty: all.
    pub sections: Vec<String>,
    /// Jobs of one turn of Downbeat and of the limits.
    pub jobs: usize,
    /// Turns of each figure.
    pub turns: usize,
    /// Probes of latency of Downbeat; its peers get fewer.
    pub probes: usize,
    /// Depths of the queue.
    pub depths: Vec<usize>,
    /// Ended jobs in the database.
    pub history: usize,
    /// How long the idle server is watched.
    pub idle: Duration,
    /// Where the picture goes.
    pub picture: PathBuf,
}

impl Settings {
    /// Reads the environment.
    pub fn read() -> Settings {
        let depths = text("DEPTHS").unwrap_or("0,1000,10000,100000,1000000".to_owned());
        let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        Settings {
            only: words("ONLY"),
            sections: words("SECTIONS"),
            jobs: number("JOBS", 2_000),
            turns: number("TURNS", 5),
            probes: number("PROBES", 300),
            depths: depths.split(',').map(|d| d.trim().parse().unwrap()).collect(),
            history: number("HISTORY", 1_000_000),
            idle: Duration::from_secs(number("IDLE_S", 20) as u64),
            picture: text("PICTURE").map_or(target.join("curves.svg"), PathBuf::from),
        }
    }

    /// Whether this section is made.
    pub fn section(&self, name: &str) -> bool {
        self.sections.is_empty() || self.sections.iter().any(|s| s == name)
    }

    /// Whether this peer takes part.
    pub fn peer(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|o| o == name)
    }
}

fn text(name: &str) -> Option<String> {
    std::env::var(format!("DOWNBEAT_COMPARE_{name}")).ok().filter(|value| !value.is_empty())
}

fn words(name: &str) -> Vec<String> {
    let text = text(name).unwrap_or_default();
    text.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

fn number(name: &str, default: usize) -> usize {
    text(name).map_or(default, |value| {
        value.parse().unwrap_or_else(|_| panic!("DOWNBEAT_COMPARE_{name} is not a number: {value}"))
    })
}
