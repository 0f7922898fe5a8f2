//! *Purpose*: `downbeat web`.
//!
//! *Owns*: the address that it prints, and the way to the browser of this desktop.
//!
//! *Promises*: stdout has the address and nothing else. No other user of the machine sees it: it
//! is an argument of no program.
//!
//! *Not here*: what the code opens (the server's).

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::client::{Client, Connect};
use super::error::CliError;
use super::print::{remark, say, say_json};
use crate::api::wire::v1::WebCode;

/// What opens addresses on a desktop.
const OPENER: &str = "xdg-open";
/// The file that leads a browser on, in the folder of whoever is logged in.
const LEADS_ON: &str = "downbeat-web.html";

/// Of which server.
#[derive(clap::Args, Clone, Debug)]
pub struct WebArgs {
    #[command(flatten)]
    connect: Connect,
    /// Print the address only, and open no browser
    #[arg(long)]
    no_open: bool,
    /// Print the server's JSON, and open no browser
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &WebArgs) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    let answer = client.post("/api/v1/web/codes", "", None)?;
    if args.json {
        say_json(&answer.text)?;
        return Ok(0);
    }
    let WebCode { code, address, .. } = answer.parse()?;
    // Over a socket only the server knows where a browser finds it.
    let is_http = client.server().starts_with("http://");
    let place = if is_http { client.server() } else { &address };
    let url = format!("{}/#code={code}", place.trim_end_matches('/'));
    say(&url)?;
    remark("it opens the pages as you, once, within a minute");
    if !args.no_open
        && let Some(folder) = desktop()
        && let Err(error) = open(&folder, &url)
    {
        remark(&format!("downbeat: no browser was opened: {error}"));
    }
    Ok(0)
}

/// Where files of whoever is logged in at a desktop stand that are his alone.
fn desktop() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("WAYLAND_DISPLAY").or_else(|| set("DISPLAY"))?;
    set("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_dir())
}

/// Arguments of programs are read by everybody, so the browser is given a file that leads it on.
fn open(folder: &Path, url: &str) -> io::Result<()> {
    let file = folder.join(LEADS_ON);
    let mut to =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&file)?;
    let lead = format!("0;url={url}");
    write!(
        to,
        "<!doctype html><title>Downbeat</title><meta http-equiv=refresh content=\"{lead}\">"
    )?;
    let quiet = Stdio::null;
    let opener =
        Command::new(OPENER).arg(&file).stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn();
    match opener {
        // Without one the address that was printed is all there is.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        started => started.map(drop),
    }
}
