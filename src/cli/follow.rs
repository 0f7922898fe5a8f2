//! *Purpose*: a stream of a job, followed until the job ends.
//!
//! *Owns*: [`heard`], and [`follow`] which writes what is heard; the events that the bytes come in.
//!
//! *Promises*: bytes are passed on as they are, and each once: after a break the stream is
//! resumed at the byte where it broke, whatever became of the file meanwhile.
//!
//! *Not here*: what is printed around them (`cli::logs`), where the server keeps streams (`api`).

use std::io::{BufRead, BufReader, Read, Write};

use base64::prelude::{BASE64_STANDARD, Engine};

use super::client::{Client, RetryBudget, query};
use super::error::CliError;
use super::print::remark;
use crate::api::wire::v1::JobRef;

/// Which of a job's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    /// Its name in a path, and for people who know it by that.
    pub(super) fn word(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// What is heard of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard<'a> {
    /// The next bytes.
    Bytes(&'a [u8]),
    /// What comes next is the beginning of the file again, and why.
    Anew(&'a str),
    /// Nothing, for a while.
    Still,
}

/// Passes a stream on until the job ends, the last `tail` lines of it or all. Standard error that
/// is one file with standard output is passed on there alone, where it is wanted `apart`.
pub(super) fn heard(
    client: &Client,
    (id, stream): (JobRef, Stream),
    (tail, apart): (Option<u64>, bool),
    pass: &mut dyn FnMut(Heard<'_>) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut at = None;
    let mut budget = RetryBudget::default();
    loop {
        let mut pairs = vec![("follow", "true".to_owned()), ("encoding", "base64".to_owned())];
        match (at, tail) {
            (None, Some(lines)) => pairs.push(("tail", lines.to_string())),
            (at, _) => pairs.push(("offset", at.unwrap_or(0).to_string())),
        }
        if apart && stream == Stream::Stderr {
            pairs.push(("apart", "true".to_owned()));
        }
        let path = format!("/api/v1/jobs/{id}/{}{}", stream.word(), query(&pairs));
        let broken = match client.stream(&path) {
            Ok(bytes) => {
                budget.refresh();
                match events(bytes.reader, &mut at, pass)? {
                    None => return Ok(()),
                    Some(cause) => CliError::Broken { server: client.server().to_owned(), cause },
                }
            }
            Err(error) => error,
        };
        budget.spend(broken)?;
    }
}

/// Writes one of a job's two streams until the job ends, what both have in common once.
pub(super) fn follow(
    client: &Client,
    id: impl Into<JobRef>,
    stream: Stream,
    tail: Option<u64>,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let id = id.into();
    heard(client, (id, stream), (tail, true), &mut |heard| match heard {
        Heard::Bytes(bytes) => {
            out.write_all(bytes).and_then(|()| out.flush()).map_err(CliError::from_write)
        }
        Heard::Anew(why) => {
            remark(&anew(id, stream, why));
            Ok(())
        }
        Heard::Still => Ok(()),
    })
}

/// Says that what follows begins with the first byte of the file again.
pub(super) fn anew(id: JobRef, stream: Stream, why: &str) -> String {
    let word = stream.word();
    match why.strip_prefix("attempt ") {
        Some(n) => format!("downbeat: job {id} runs again, attempt {n}; its {word} begins anew"),
        None => format!("downbeat: the {word} of job {id} was {why}; what follows begins anew"),
    }
}

/// An event in the making.
#[derive(Default)]
struct Event {
    name: String,
    data: String,
    id: Option<u64>,
}

/// Passes on what the events hold until they end, or until the connection breaks: then why. `at` is
/// the byte to go on from; an event that is not whole is asked for again.
fn events(
    reader: impl Read,
    at: &mut Option<u64>,
    pass: &mut dyn FnMut(Heard<'_>) -> Result<(), CliError>,
) -> Result<Option<String>, CliError> {
    let mut reader = BufReader::new(reader);
    let mut event = Event::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.read_until(b'\n', &mut line) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Ok(Some(error.to_string())),
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut event.name),
            "data" => event.data.push_str(value),
            "id" => event.id = value.parse().ok(),
            "" if text.is_empty() => told(std::mem::take(&mut event), at, pass)?,
            // A comment keeps the connection open.
            "" => pass(Heard::Still)?,
            // Others may say more one day.
            _ => {}
        }
    }
}

fn told(
    event: Event,
    at: &mut Option<u64>,
    pass: &mut dyn FnMut(Heard<'_>) -> Result<(), CliError>,
) -> Result<(), CliError> {
    match event.name.as_str() {
        "" if event.data.is_empty() => return Ok(()),
        "" => {
            let not_understood =
                |error| CliError::Other(format!("the server's events are not understood: {error}"));
            let bytes = BASE64_STANDARD.decode(event.data).map_err(not_understood)?;
            pass(Heard::Bytes(&bytes))?;
        }
        "anew" => pass(Heard::Anew(&event.data))?,
        _ => return Ok(()),
    }
    *at = event.id.or(*at);
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::client::tests::Canned;
    use super::*;
    use crate::api::wire::v1::JobId;

    fn chunked(whole: bool, events: &[&str]) -> String {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
        let chunk = |text: &&str| format!("{:x}\r\n{text}\r\n", text.len());
        let end = if whole { "0\r\n\r\n" } else { "" };
        format!("{head}{}{end}", events.iter().map(chunk).collect::<String>())
    }

    /// What is passed on, and the query strings that were asked for.
    fn walk(answers: Vec<String>, tail: Option<u64>) -> (String, Vec<String>) {
        let server = Canned::start(answers);
        let mut out = Vec::new();
        let what = (JobId(3).into(), Stream::Stderr);
        heard(&server.client(), what, (tail, true), &mut |heard| {
            match heard {
                Heard::Bytes(bytes) => out.extend(bytes),
                Heard::Anew(why) => out.extend(format!("[{why}]").bytes()),
                Heard::Still => {}
            }
            Ok(())
        })
        .unwrap();
        let asked = server.requests();
        let query = |text: &String| text.split([' ', '?']).nth(2).unwrap().to_owned();
        (String::from_utf8(out).unwrap(), asked.iter().map(query).collect())
    }

    const HELLO: &str = "id: 5\ndata: aGVsbG8=\n\n";
    const WORLD: &str = "id: 11\ndata: IHdvcmxk\n\n";

    #[test]
    fn a_stream_that_breaks_is_resumed_at_its_byte() {
        let answers = vec![
            chunked(false, &[HELLO, "id: 11\ndata: IHd"]),
            chunked(true, &[": still\n\n", WORLD]),
        ];
        let (out, asked) = walk(answers.clone(), None);
        assert_eq!(out, "hello world");
        let common = "follow=true&encoding=base64";
        assert_eq!(asked[0], format!("{common}&offset=0&apart=true"));
        assert_eq!(asked[1], format!("{common}&offset=5&apart=true"));
        let (out, asked) = walk(answers, Some(2));
        assert_eq!(out, "hello world");
        assert_eq!(asked[0], format!("{common}&tail=2&apart=true"));
        assert_eq!(asked[1], format!("{common}&offset=5&apart=true"), "also behind last lines");
    }

    #[test]
    fn a_file_that_begins_anew_is_told_of_and_resumed_in_its_new_bytes() {
        let anew = "id: 0\nevent: anew\ndata: truncated\n\n";
        let answers = vec![chunked(false, &[WORLD, anew]), chunked(true, &[HELLO])];
        let (out, asked) = walk(answers, None);
        assert_eq!(out, " world[truncated]hello");
        assert!(asked[1].contains("&offset=0"), "{asked:?}");
    }
}
