//! *Purpose*: `downbeat logs`.
//!
//! *Owns*: [`follow`], shared with `run`.
//!
//! *Promises*: bytes are passed on as they are, and each once: after a break the stream is
//! resumed at the byte where it broke.
//!
//! *Not here*: where the server keeps streams (`api`).

use std::io::{self, ErrorKind, Read, Write};

use super::client::{Client, Connect, RetryBudget, query};
use super::error::CliError;
use super::reader::when_gone;
use crate::api::wire::v1::JobRef;

/// Whose output to print.
#[derive(clap::Args, Clone, Debug)]
pub struct LogsArgs {
    #[command(flatten)]
    connect: Connect,
    /// Go on until the job ends
    #[arg(long, short)]
    follow: bool,
    /// Standard error instead of standard output
    #[arg(long)]
    stderr: bool,
    /// Only the last lines
    #[arg(long, short = 'n', value_name = "N")]
    tail: Option<u64>,
    /// The job; of an array a task, 17_4
    #[arg(value_name = "ID")]
    id: JobRef,
}

/// Which of a job's streams.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    fn word(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

pub(super) fn run(args: &LogsArgs) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    let stream = if args.stderr { Stream::Stderr } else { Stream::Stdout };
    let mut out = io::stdout();
    if args.follow {
        // `tail -f` goes with its reader, also when nothing more is written.
        when_gone(|| std::process::exit(0));
        follow(&client, args.id, stream, args.tail, &mut out)?;
        return Ok(0);
    }
    let pairs: Vec<(&str, String)> = args.tail.iter().map(|n| ("tail", n.to_string())).collect();
    let path = format!("/api/v1/jobs/{}/{}{}", args.id, stream.word(), query(&pairs));
    let mut reader = client.stream(&path)?;
    match pass(&mut reader, &mut out, &mut 0)? {
        None => Ok(0),
        Some(cause) => Err(CliError::Broken { server: client.server().to_owned(), cause }),
    }
}

/// Passes a stream on until the job ends. With `tail` it starts at the last lines, and cannot
/// be resumed when it breaks, because nobody said at which byte those began.
pub(super) fn follow(
    client: &Client,
    id: impl Into<JobRef>,
    stream: Stream,
    tail: Option<u64>,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let id = id.into();
    let mut offset = 0;
    let mut budget = RetryBudget::default();
    loop {
        let mut pairs = vec![("follow", "true".to_owned())];
        match tail {
            Some(lines) => pairs.push(("tail", lines.to_string())),
            None => pairs.push(("offset", offset.to_string())),
        }
        let path = format!("/api/v1/jobs/{id}/{}{}", stream.word(), query(&pairs));
        let before = offset;
        let broken = match client.stream(&path) {
            Ok(mut reader) => {
                budget.refresh();
                match pass(&mut reader, out, &mut offset)? {
                    None => return Ok(()),
                    Some(cause) => CliError::Broken { server: client.server().to_owned(), cause },
                }
            }
            // Asked for what comes after the last byte of a job that has ended.
            Err(CliError::Refused { status: 416, .. }) => return Ok(()),
            Err(error) => error,
        };
        if offset > before && tail.is_some() {
            return Err(broken);
        }
        budget.spend(broken)?;
    }
}

/// Copies until the end, or until the connection breaks: then why.
fn pass(
    reader: &mut dyn Read,
    out: &mut dyn Write,
    offset: &mut u64,
) -> Result<Option<String>, CliError> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(n) => {
                out.write_all(&buffer[..n])
                    .and_then(|()| out.flush())
                    .map_err(CliError::from_write)?;
                *offset += n as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Ok(Some(error.to_string())),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::client::tests::Canned;
    use super::*;
    use crate::api::wire::v1::JobId;

    fn chunked(rest: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{rest}")
    }

    #[test]
    fn a_stream_that_breaks_is_resumed_at_its_byte() {
        let server =
            Canned::start(vec![chunked("5\r\nhello\r\n"), chunked("6\r\n world\r\n0\r\n\r\n")]);
        let mut out = Vec::new();
        follow(&server.client(), JobId(3), Stream::Stdout, None, &mut out).unwrap();
        assert_eq!(out, b"hello world");
        let requests = server.requests();
        assert!(requests[0].starts_with("GET /api/v1/jobs/3/stdout?follow=true&offset=0 "));
        assert!(requests[1].starts_with("GET /api/v1/jobs/3/stdout?follow=true&offset=5 "));
    }
}
