//! *Purpose*: `downbeat token create`, `list` and `revoke`.
//!
//! *Owns*: their flags, and the table of tokens.
//!
//! *Promises*: of a new token stdout has the text and nothing else, so that it can go into a file;
//! `--json` is the server's answer.
//!
//! *Not here*: who may have which (the server's), how a token is sent (`cli::client`).

use comfy_table::Cell;
use serde_json::Value;

use super::client::{Client, Connect, query};
use super::error::CliError;
use super::print::{remark, say, say_json};
use super::{table, times};
use crate::api::wire::v1::{NewToken, TokenBody, TokenInfo};

/// Tokens of one answer: the most that the server gives.
const PAGE: usize = 1_000;

/// What to do.
#[derive(clap::Args, Clone, Debug)]
pub struct TokenArgs {
    #[command(subcommand)]
    order: Order,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum Order {
    /// Make a token; its text is shown this once
    Create(CreateArgs),
    /// List your tokens
    List(ListArgs),
    /// Revoke tokens: they open nothing any more, at once
    Revoke(RevokeArgs),
}

#[derive(clap::Args, Clone, Debug)]
struct CreateArgs {
    #[command(flatten)]
    connect: Connect,
    /// What you call it
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The most that it lets its sender be: viewer, user, operator or admin [default: user]
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// Whose it is, for administrators [default: your own]
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// How long it is good for: 12h, 30d; 366d at the most [default: 90d]
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// Print the server's JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Clone, Debug)]
struct ListArgs {
    #[command(flatten)]
    connect: Connect,
    /// Those of all users, for administrators
    #[arg(long)]
    all: bool,
    /// Print the server's JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Clone, Debug)]
struct RevokeArgs {
    #[command(flatten)]
    connect: Connect,
    /// Their numbers, as `downbeat token list` shows them
    #[arg(value_name = "ID", required = true, value_parser = number)]
    ids: Vec<String>,
}

/// A token's number; of its whole text the part that is it.
fn number(text: &str) -> Result<String, String> {
    let whole = text.strip_prefix("dbt_").and_then(|rest| rest.split('_').next());
    let id = whole.unwrap_or(text);
    let is_one = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric());
    // Not quoted: it may be a token.
    is_one.then(|| id.to_owned()).ok_or_else(|| "that is no token's number".to_owned())
}

pub(super) fn run(args: &TokenArgs) -> Result<u8, CliError> {
    match &args.order {
        Order::Create(args) => create(args),
        Order::List(args) => list(args),
        Order::Revoke(args) => revoke(args),
    }
}

fn create(args: &CreateArgs) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    let body = TokenBody {
        name: args.name.clone(),
        role: args.role.clone(),
        user: args.user.clone(),
        expires_in: args.expires.clone().map(Value::String),
    };
    let body = serde_json::to_string(&body)
        .map_err(|error| CliError::Other(format!("the token makes no JSON: {error}")))?;
    let answer = client.post("/api/v1/tokens", &body, None)?;
    if args.json {
        say_json(&answer.text)?;
        return Ok(0);
    }
    let NewToken { token, info } = answer.parse()?;
    say(&token)?;
    let role: &str = info.role.into();
    let until = times::here(&info.expires_at);
    remark(&format!(
        "token {} of {} ({role}), good until {until}; it is shown this once: keep it in a file \
         that only you can read, and name that by --token-file, or set DOWNBEAT_TOKEN",
        info.id, info.user
    ));
    Ok(0)
}

fn list(args: &ListArgs) -> Result<u8, CliError> {
    let mut pairs = vec![("limit", PAGE.to_string())];
    if args.all {
        pairs.push(("all", true.to_string()));
    }
    let path = format!("/api/v1/tokens{}", query(&pairs));
    let answer = Client::new(&args.connect)?.get(&path)?;
    if args.json {
        say_json(&answer.text)?;
        return Ok(0);
    }
    let all: Vec<TokenInfo> = answer.parse()?;
    if all.is_empty() {
        say("there are no tokens")?;
        return Ok(0);
    }
    let header = ["TOKEN", "NAME", "USER", "ROLE", "MADE", "EXPIRES"];
    say(&table::table(&header, all.iter().map(row).collect()))?;
    if all.len() == PAGE {
        remark(&format!("these are the first {PAGE}; the REST API lists the rest"));
    }
    Ok(0)
}

fn row(one: &TokenInfo) -> Vec<Cell> {
    let role: &str = one.role.into();
    let until = times::here(&one.expires_at);
    let until = if one.expired { format!("{until} (expired)") } else { until };
    let name = if one.name.is_empty() { "-" } else { &one.name };
    let user = format!("{} ({})", one.user, one.uid);
    let texts = [&one.id, name, &user, role, &times::here(&one.created_at), &until];
    texts.into_iter().map(Cell::new).collect()
}

fn revoke(args: &RevokeArgs) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    let mut code = 0;
    for id in &args.ids {
        match client.delete(&format!("/api/v1/tokens/{id}")) {
            Ok(_) => say(&format!("token {id} opens nothing any more"))?,
            // The others are revoked all the same.
            Err(error) => {
                remark(&format!("downbeat: {error}"));
                code = error.exit_code();
            }
        }
    }
    Ok(code)
}
