//! *Purpose*: `downbeat logs`.
//!
//! *Owns*: which streams are shown and in what order; why there is nothing to show.
//!
//! *Promises*: standard output goes to ours and standard error to ours, byte by byte; one that is
//! asked for alone goes to standard output. What else is said are remarks, so that a pipe gets what
//! the job wrote and no more. What is no file is said to be none, and why.
//!
//! *Not here*: how a stream is followed (`cli::follow`), where the server keeps streams (`api`).

use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::client::{Bytes, Client, Connect, query};
use super::error::CliError;
use super::follow::{Heard, anew, heard};
pub(super) use super::follow::{Stream, follow};
use super::print::remark;
use super::reader::when_gone;
use super::selection::Selection;
use super::show::LOOK;
use super::tasks;
use super::times::in_sentence;
use crate::api::wire::v1::{Job, JobRef, StateWord};

/// Whose output to print.
#[derive(clap::Args, Clone, Debug)]
pub struct LogsArgs {
    #[command(flatten)]
    connect: Connect,
    /// Go on until the job ends
    #[arg(long, short)]
    follow: bool,
    /// Standard error alone
    #[arg(long, conflicts_with = "stdout")]
    stderr: bool,
    /// Standard output alone
    #[arg(long)]
    stdout: bool,
    /// Only the last lines
    #[arg(long, short = 'n', value_name = "N")]
    tail: Option<u64>,
    #[command(flatten)]
    selection: Selection,
}

impl LogsArgs {
    fn streams(&self) -> &'static [Stream] {
        match (self.stdout, self.stderr) {
            (true, _) => &[Stream::Stdout],
            (_, true) => &[Stream::Stderr],
            _ => &[Stream::Stdout, Stream::Stderr],
        }
    }

    /// Where it is shown.
    fn to(&self, stream: Stream) -> Stream {
        if self.streams().len() == 1 { Stream::Stdout } else { stream }
    }
}

pub(super) fn run(args: &LogsArgs) -> Result<u8, CliError> {
    let client = Client::new(&args.connect)?;
    if args.follow {
        // `tail -f` goes with its reader, also when nothing more is written.
        when_gone(|| std::process::exit(0));
    }
    let jobs = args.selection.jobs(&client, LOOK)?;
    let several = jobs.len() > 1;
    let mut code = 0;
    for id in jobs {
        match of(&client, args, id, several) {
            // One that is not there does not keep the others from being shown.
            Err(error @ CliError::Refused { .. }) => {
                remark(&format!("downbeat: {error}"));
                code = 1;
            }
            done => done?,
        }
    }
    Ok(code)
}

/// The output of one job, or of the tasks of an array, one after another.
fn of(client: &Client, args: &LogsArgs, id: JobRef, named: bool) -> Result<(), CliError> {
    let (job, _) = tasks::known(client, id)?;
    if id.task.is_some() || !job.is_array() {
        if named {
            remark(&format!("==> job {id} <=="));
        }
        return one(client, args, &job, id);
    }
    if args.follow {
        for id in tasks::names(client, job.id)? {
            remark(&format!("==> job {id} <=="));
            one(client, args, &job, id)?;
        }
        return Ok(());
    }
    for task in tasks::rows(client, job.id)? {
        if task.array_task_id.is_none() {
            remark(&format!("downbeat: {}", not_started(&task, None)));
            continue;
        }
        let id = JobRef { job: job.id, task: task.array_task_id };
        remark(&format!("==> job {id} <=="));
        one(client, args, &task, id)?;
    }
    Ok(())
}

/// The output of one job, which stood so when it was asked for.
fn one(client: &Client, args: &LogsArgs, job: &Job, id: JobRef) -> Result<(), CliError> {
    let nothing =
        if args.follow { followed(client, args, id)? } else { printed(client, args, id)? };
    if nothing.is_empty() {
        return Ok(());
    }
    // Whoever follows waits, and much may have come about meanwhile.
    let now = if args.follow { Some(client.job(id)?.0) } else { None };
    for line in whys(now.as_ref().unwrap_or(job), id, args.streams(), &nothing) {
        remark(&format!("downbeat: {line}"));
    }
    Ok(())
}

/// What there was of a stream that had nothing to show.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Nothing {
    stream: Stream,
    /// Why there is no file; `None` of one that is empty.
    absent: Option<String>,
}

/// Prints what there is now; answers what there was not.
fn printed(client: &Client, args: &LogsArgs, id: JobRef) -> Result<Vec<Nothing>, CliError> {
    let streams = args.streams();
    let mut begun = Vec::new();
    for stream in streams {
        let mut pairs: Vec<_> = args.tail.iter().map(|n| ("tail", n.to_string())).collect();
        if streams.len() > 1 && *stream == Stream::Stderr {
            pairs.push(("apart", "true".to_owned()));
        }
        let path = format!("/api/v1/jobs/{id}/{}{}", stream.word(), query(&pairs));
        let Bytes { absent, mut reader } = client.stream(&path)?;
        let first = next(client, &mut reader)?;
        begun.push((*stream, absent, first, reader));
    }
    let labelled = begun.iter().filter(|(_, _, first, _)| !first.is_empty()).count() > 1;
    let mut nothing = Vec::new();
    for (stream, absent, first, mut reader) in begun {
        if first.is_empty() {
            nothing.push(Nothing { stream, absent });
            continue;
        }
        if labelled {
            remark(&label(stream));
        }
        let mut bytes = first;
        while !bytes.is_empty() {
            write(args.to(stream), &bytes)?;
            bytes = next(client, &mut reader)?;
        }
    }
    Ok(nothing)
}

/// The next bytes; none at the end.
fn next(client: &Client, reader: &mut dyn Read) -> Result<Vec<u8>, CliError> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(n) => {
                buffer.truncate(n);
                return Ok(buffer);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                let (server, cause) = (client.server().to_owned(), error.to_string());
                return Err(CliError::Broken { server, cause });
            }
        }
    }
}

/// Passes on what is written until the job ends; answers what never came.
fn followed(client: &Client, args: &LogsArgs, id: JobRef) -> Result<Vec<Nothing>, CliError> {
    let streams = args.streams();
    let apart = streams.len() > 1;
    // Whose bytes came last, and whose came at all.
    let came: Mutex<(Option<Stream>, Vec<Stream>)> = Mutex::default();
    let one = |stream: Stream| {
        heard(client, (id, stream), (args.tail, apart), &mut |heard| {
            let mut came = came.lock().unwrap_or_else(PoisonError::into_inner);
            match heard {
                Heard::Still => {}
                Heard::Anew(why) => remark(&anew(id, stream, why)),
                Heard::Bytes(bytes) => {
                    // The first needs no label; from the second on it is said whose they are.
                    if came.0.is_some_and(|last| last != stream) {
                        remark(&label(stream));
                    }
                    came.0 = Some(stream);
                    if !came.1.contains(&stream) {
                        came.1.push(stream);
                    }
                    write(args.to(stream), bytes)?;
                }
            }
            Ok(())
        })
    };
    thread::scope(|scope| {
        let one = &one;
        let started = streams.iter().map(|stream| scope.spawn(move || one(*stream)));
        let started: Vec<_> = started.collect();
        started.into_iter().try_for_each(|thread| {
            let panicked = |_| CliError::Other("a stream ended in a panic".to_owned());
            thread.join().map_err(panicked)?
        })
    })?;
    let came = came.into_inner().unwrap_or_else(PoisonError::into_inner).1;
    let quiet = streams.iter().filter(|stream| !came.contains(stream));
    let mut nothing = Vec::new();
    for stream in quiet {
        let pairs = [("limit", "0".to_owned()), ("apart", apart.to_string())];
        let path = format!("/api/v1/jobs/{id}/{}{}", stream.word(), query(&pairs));
        nothing.push(Nothing { stream: *stream, absent: client.stream(&path)?.absent });
    }
    Ok(nothing)
}

/// Writes a job's bytes to this stream of ours.
fn write(stream: Stream, bytes: &[u8]) -> Result<(), CliError> {
    let to = |out: &mut dyn Write| out.write_all(bytes).and_then(|()| out.flush());
    let done = match stream {
        Stream::Stdout => to(&mut io::stdout().lock()),
        Stream::Stderr => to(&mut io::stderr().lock()),
    };
    done.map_err(CliError::from_write)
}

fn label(stream: Stream) -> String {
    format!("==> {} <==", stream.word())
}

/// Why there is nothing to see, a sentence each.
fn whys(job: &Job, id: JobRef, asked: &[Stream], nothing: &[Nothing]) -> Vec<String> {
    let is = |of: &Nothing, word: &str| of.absent.as_deref() == Some(word);
    if nothing.iter().any(|of| is(of, "not-started")) {
        return vec![not_started(job, id.task)];
    }
    let mut lines = Vec::new();
    for of in nothing {
        let word = of.stream.word();
        let (where_to, path) = match of.stream {
            Stream::Stdout => (&job.standard_output, &job.stdout_path),
            Stream::Stderr => (&job.standard_error, &job.stderr_path),
        };
        if is(of, "nowhere") {
            lines.push(format!("the {word} of job {id} goes to /dev/null and is kept nowhere"));
        } else if is(of, "gone") {
            let path = path.as_ref().or(where_to.as_ref());
            let path = path.map(|path| format!(", {path},")).unwrap_or_default();
            lines.push(format!("the {word} of job {id}{path} is not there any more"));
        }
    }
    let empty = nothing.iter().all(|of| of.absent.is_none() || is(of, "joined"));
    if empty && nothing.len() == asked.len() {
        let what = if job.state.is_final() { "wrote nothing" } else { "has written nothing yet" };
        let whose = match asked {
            [one] => format!(" to its {}", one.word()),
            _ => String::new(),
        };
        lines.push(format!("job {id} {what}{whose}"));
    }
    lines
}

/// Why a job that has written nothing has not even begun.
fn not_started(job: &Job, task: Option<u32>) -> String {
    let id = match (job.array_job_id, task) {
        (Some(array), Some(task)) => format!("{array}_{task}"),
        _ => job.shown_id(),
    };
    let why = job.error.as_ref().or(job.state_detail.as_ref());
    let why = why.map(|why| format!(": {}", in_sentence(why))).unwrap_or_default();
    match (job.state.is_final(), &job.state_reason) {
        (true, _) => format!("job {id} never started ({}){why}", job.state),
        (false, Some(reason)) if job.state == StateWord::Pending => {
            format!("job {id} has not started ({} {reason}){why}", job.state)
        }
        _ => format!("job {id} has not started ({}){why}", job.state),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::wait::tests::job;
    use super::*;
    use crate::api::wire::v1::JobId;

    fn said(state: &str, asked: &[Stream], absent: &[Option<&str>]) -> Vec<String> {
        let mut job: Job = serde_json::from_str(&job(state, None)).unwrap();
        job.state_reason = Some("Priority".into()).filter(|_| state == "PENDING");
        job.state_detail = Some("job 3 is first".into()).filter(|_| state == "PENDING");
        job.error = Some("was cancelled".into()).filter(|_| state == "CANCELLED");
        job.stdout_path = Some("/w/o".into());
        let nothing = |(stream, absent): (&Stream, &Option<&str>)| Nothing {
            stream: *stream,
            absent: absent.map(str::to_owned),
        };
        let nothing: Vec<Nothing> = asked.iter().zip(absent).map(nothing).collect();
        whys(&job, JobId(17).into(), asked, &nothing)
    }

    #[test]
    fn why_there_is_nothing_to_see_is_said_once() {
        let both = &[Stream::Stdout, Stream::Stderr];
        let never = Some("not-started");
        assert_eq!(
            said("PENDING", both, &[never, never]),
            ["job 17 has not started (PENDING Priority): job 3 is first"]
        );
        assert_eq!(
            said("CANCELLED", both, &[never, never]),
            ["job 17 never started (CANCELLED): was cancelled"]
        );
        assert_eq!(
            said("COMPLETED", both, &[Some("gone"), Some("joined")]),
            ["the stdout of job 17, /w/o, is not there any more"]
        );
        assert_eq!(
            said("RUNNING", both, &[Some("nowhere"), None]),
            ["the stdout of job 17 goes to /dev/null and is kept nowhere"]
        );
        assert_eq!(said("RUNNING", both, &[None, None]), ["job 17 has written nothing yet"]);
        assert_eq!(said("COMPLETED", both, &[None, Some("joined")]), ["job 17 wrote nothing"]);
        assert_eq!(said("FAILED", &both[1..], &[None]), ["job 17 wrote nothing to its stderr"]);
        assert!(said("FAILED", both, &[None]).is_empty(), "the other stream has been shown");
    }
}
