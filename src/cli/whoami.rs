//! *Purpose*: `downbeat whoami`.
//!
//! *Owns*: the sentence.
//!
//! *Promises*: it says what the server goes by, not what this program believes.
//!
//! *Not here*: how the server finds it out (`api::caller`).

use super::client::{Client, Connect};
use super::error::CliError;
use super::print::{say, say_json};
use crate::api::wire::v1::{Me, Role, Via};

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
        say(&sentence(&answer.parse()?, client.server()))?;
    }
    Ok(0)
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
