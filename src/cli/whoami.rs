//! *Purpose*: `downbeat whoami`.
//!
//! *Owns*: its sentences.
//!
//! *Promises*: it says what the server goes by, not what this program believes.
//!
//! *Not here*: how the server finds it out (`api::caller`).

use super::client::{Client, Connect};
use super::error::CliError;
use super::print::{say, say_json};
use crate::api::wire::v1::{Allowance, Limits, Me, Role, Via};
use crate::text::size::shown;

/// Of which server.
#[derive(clap::Args, Clone, Debug)]
pub struct WhoamiArgs {
    #[command(flatten)]
    connect: Connect,
    /// Print the server's JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &WhoamiArgs) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    let answer = client.get("/api/v1/me")?;
    if args.json {
        say_json(&answer.text)?;
    } else {
        let me: Me = answer.parse()?;
        say(&sentence(&me, client.server()))?;
        for line in more(&me) {
            say(&line)?;
        }
    }
    Ok(0)
}

/// What his jobs have and may have, and by what he is more than a user.
fn more(me: &Me) -> Vec<String> {
    let lists = [("groups that count", &me.groups), ("coordinates", &me.coordinates)];
    let lists = lists.into_iter().filter(|(_, names)| !names.is_empty());
    let lists = lists.map(|(what, names)| format!("{what}: {}", names.join(", ")));
    me.limits.iter().flat_map(standing).chain(lists).collect()
}

fn standing(limits: &Limits) -> [String; 2] {
    let of = |Allowance { used, max }: Allowance, write: fn(u64) -> String| match max {
        Some(max) => format!("{} of at most {}", write(used), write(max)),
        None => write(used),
    };
    let number = |n: u64| n.to_string();
    let Limits { running_cpus, running_jobs, queued_jobs, queued_bytes, running } = limits;
    let (jobs, cpus) = (of(*running_jobs, number), of(*running_cpus, number));
    let others = running.iter().map(|(name, max)| format!(", at most {max} of {name}"));
    let others: String = others.collect();
    let (waiting, bytes) = (of(*queued_jobs, number), of(*queued_bytes, shown));
    [
        format!("jobs that run: {jobs}; their CPUs: {cpus}{others}"),
        format!("jobs that wait: {waiting}; their scripts and environments: {bytes}"),
    ]
}

fn sentence(me: &Me, server: &str) -> String {
    let who = match me.uid {
        Some(uid) => format!("{} ({uid})", me.user),
        None => format!("whoever has the {}", me.user),
    };
    let may = match me.role {
        Role::Admin => "administrator",
        Role::Operator => "operator",
        Role::User => "user",
        Role::Viewer => "viewer",
    };
    let how = match me.via {
        Via::Socket => "the kernel says so of the socket",
        Via::Tcp => "the kernel says so of the connection",
        Via::Token => "a token was sent",
    };
    format!("{who}, {may}, at {server}: {how}")
}
