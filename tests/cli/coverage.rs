//! *Purpose*: checks whether the cases cover the verbs and the settings.
//!
//! *Owns*: [`cases!`], which makes a test of each function and notes the verbs it claims.
//!
//! *Promises*: a claim is checked against what the case really called.
//!
//! *Not here*: what the verbs must print.

use std::collections::BTreeSet;

use clap::{Args, CommandFactory};
use downbeat::cli::Cli;
use downbeat::config::ServeArgs;

use crate::help::called;
use crate::settings::SETTINGS;

/// A case's name and the verbs it claims.
pub type Claim = (&'static str, &'static [&'static str]);

/// Makes tests of functions, and `CLAIMS` of the verbs they call.
macro_rules! cases {
    ($($name:ident => [$($verb:literal),* $(,)?],)*) => {
        pub const CLAIMS: &[$crate::coverage::Claim] = &[$((stringify!($name), &[$($verb),*]),)*];

        mod case {
            $(#[test]
            fn $name() {
                $crate::coverage::run(super::$name, &[$($verb),*]);
            })*
        }
    };
}

const CLAIMED: &[&[Claim]] = &[
    crate::arrays::CLAIMS,
    crate::codes::CLAIMS,
    crate::serve::CLAIMS,
    crate::reading::CLAIMS,
    crate::scripts::CLAIMS,
    crate::settings::CLAIMS,
    crate::shield::CLAIMS,
    crate::simulate::CLAIMS,
    crate::top::CLAIMS,
    crate::verbs::CLAIMS,
    crate::web::CLAIMS,
];

/// Verbs that have a test program of their own.
const ELSEWHERE: [&str; 1] = ["demo"];

/// Runs a case and holds it to its claims.
pub fn run(case: fn(), verbs: &[&str]) {
    case();
    let called = called();
    for verb in verbs {
        assert!(called.iter().any(|c| c == verb), "the case claims {verb}, called {called:?}");
    }
}

#[test]
fn every_verb_is_called_by_a_case() {
    let claimed: BTreeSet<&str> =
        CLAIMED.iter().flat_map(|c| c.iter()).flat_map(|(_, verbs)| *verbs).copied().collect();
    let mut missing = Vec::new();
    for verb in Cli::command().get_subcommands().filter(|v| !v.is_hide_set()) {
        let names = std::iter::once(verb.get_name()).chain(verb.get_visible_aliases());
        let unclaimed = names.filter(|n| !claimed.contains(n) && !ELSEWHERE.contains(n));
        missing.extend(unclaimed.map(str::to_owned));
    }
    assert!(missing.is_empty(), "no case calls {missing:?}");
}

#[test]
fn every_setting_of_the_server_has_an_act_that_is_looked_at() {
    let command = ServeArgs::augment_args(clap::Command::new("serve"));
    let flags: BTreeSet<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
    let others = ["config", "adopt"];
    let shown: BTreeSet<&str> = SETTINGS.iter().map(|s| s.flag).chain(others).collect();
    assert_eq!(shown, flags, "left: looked at; right: flags of serve");
    for argument in command.get_arguments() {
        let variable = argument.get_env().and_then(|e| e.to_str());
        let flag = argument.get_long().unwrap();
        let wanted = format!("DOWNBEAT_{}", flag.replace('-', "_").to_uppercase());
        // Said once, of one folder: nothing that stays may say it.
        let wanted = Some(wanted.as_str()).filter(|_| flag != "adopt");
        assert_eq!(variable, wanted, "--{flag}");
    }
}
