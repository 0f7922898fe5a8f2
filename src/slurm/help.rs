//! *Purpose*: what a command says of itself.
//!
//! *Owns*: the texts of `--help`, `--usage` and `--version`.
//!
//! *Promises*: every option is there, and whether it is honoured, without effect and why, or
//! refused and why: the tables that say so to people are those that the command goes by.
//!
//! *Not here*: the options (the commands).

use super::getopt::{Effect, Given, Grammar, Opt};
use crate::api::wire::sbatch::Takes;

/// The Slurm whose programs these are like.
pub const LIKE: &str = "22.05.8";

/// What was asked of the command itself, if anything was.
#[must_use]
pub fn asked(grammar: &Grammar<'_>, given: &Given) -> Option<String> {
    if given.has("version") {
        return Some(version());
    }
    if given.has("usage") {
        return Some(usage(grammar));
    }
    given.has("help").then(|| help(grammar))
}

/// `slurm 22.05.8 (Downbeat 0.1.0)`: programs look at the number of Slurm.
#[must_use]
pub fn version() -> String {
    format!("slurm {LIKE} (Downbeat {})\n", env!("CARGO_PKG_VERSION"))
}

fn usage(grammar: &Grammar<'_>) -> String {
    let words = if grammar.ends_with_a_word { " [SCRIPT|COMMAND [ARGS…]]" } else { "" };
    format!("Usage: {} [OPTIONS…]{words}\n", grammar.command)
}

fn shown((name, letter, takes, _): &Opt) -> String {
    let letter = letter.map_or_else(|| "    ".to_owned(), |letter| format!("-{letter}, "));
    let value = match takes {
        Takes::Value => "=VALUE",
        Takes::Maybe => "[=VALUE]",
        Takes::Nothing => "",
    };
    format!("{letter}--{name}{value}")
}

fn help(grammar: &Grammar<'_>) -> String {
    let mut text = usage(grammar);
    let mut part = |title: &str, line: fn(&Effect) -> Option<&'static str>| {
        let found = grammar.options.iter().filter_map(|opt| Some((shown(opt), line(&opt.3)?)));
        let lines: Vec<String> =
            found.map(|(shown, line)| format!("  {shown:<34} {line}\n")).collect();
        if !lines.is_empty() {
            text.push_str(&format!("\n{title}:\n{}", lines.concat()));
        }
    };
    part("Honoured", |effect| match effect {
        Effect::Does(line) => Some(line),
        _ => None,
    });
    part("Accepted, without effect", |effect| match effect {
        Effect::Nothing(why) => Some(why),
        _ => None,
    });
    part("Refused", |effect| match effect {
        Effect::Refused(why) => Some(why),
        _ => None,
    });
    text
}
