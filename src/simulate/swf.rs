//! *Purpose*: reads traces in the Standard Workload Format.
//!
//! *Owns*: [`Trace`].
//!
//! *Promises*: what cannot be read is refused with its line; a job that could not have run is
//! dropped and counted; the rest is in the order of submission, equal times in the file's order.
//! Whether a trace is packed by gzip is seen by its first bytes.
//!
//! *Not here*: simulated time (`simulate::replay`).
//!
//! Source of the format: <https://www.cs.huji.ac.il/labs/parallel/workload/swf.html>. Of its 18
//! fields a scheduler needs the number, submit time, run time, processors and requested time. Time
//! is counted in whole seconds here: fractions, which the format permits, are rounded, and what
//! took any time took a second. Part of a processor is a processor.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

/// Fields of a line; some traces have more behind them, which the format does not know.
const FIELDS: usize = 18;
/// The name of the trace that comes by standard input.
pub const STDIN: &str = "-";
/// What a stream packed by gzip begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// The longest line, bytes: eighteen numbers are a tenth of it, a header is a sentence.
const LINE_BYTES_MAX: u64 = 4_096;
/// The longest trace: years of the largest machines have a few million jobs.
const JOBS_MAX: usize = 50_000_000;
/// The largest time of a line, seconds.
const TIME_MAX: i64 = 1 << 50;
/// The last instant that a schedule may reach, seconds: sums with it stay within 63 bits.
const INSTANT_MAX: i128 = 1 << 61;

/// A job of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceJob {
    /// Its number in the file.
    pub number: i64,
    /// Where it stands among the jobs of the file that were kept.
    pub line: u32,
    /// When it was submitted, seconds.
    pub submit: i64,
    /// How long it ran, at most as long as it had asked for, seconds.
    pub run: i64,
    /// How long it had asked for, seconds.
    pub request: i64,
    /// Processors.
    pub cpus: u32,
}

/// A trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The file's name without its endings.
    pub name: String,
    /// Processors of the machine.
    pub cpus: u32,
    /// Its jobs in the order of submission.
    pub jobs: Vec<TraceJob>,
    /// Jobs that could not have run: no time, no processors, or more than the machine has.
    pub dropped: u64,
    /// Lines with more fields than the format has, and the first of them.
    pub longer: Option<(u64, usize)>,
}

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TraceRefused {
    /// It cannot be opened.
    #[error("{path} cannot be opened: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It cannot be read on, or ends in the middle of its compression.
    #[error("{path}: after line {after}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The last line that was read.
        after: usize,
        /// What the system says.
        source: io::Error,
    },
    /// A line is not what the format says.
    #[error("{path}, line {line}: {what}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// It does not say how large the machine is.
    #[error("{0} has no line \"; MaxProcs: N\"{1}; say how large the machine is with --cpus N")]
    NoMachine(PathBuf, String),
    /// It has no job.
    #[error("{0} has no job that can be simulated ({1} were dropped)")]
    Empty(PathBuf, u64),
    /// One job after the other, it would reach beyond the instants that are counted.
    #[error("{0}: its times add up to more than 2^61 s; is their unit a second?")]
    TooLong(PathBuf),
}

/// Reads a trace, for a machine of so many processors instead of the trace's own.
///
/// # Errors
/// [`TraceRefused`] names the file and the line.
pub fn read(path: &Path, cpus: Option<u32>) -> Result<Trace, TraceRefused> {
    if path == Path::new(STDIN) {
        return read_either(io::stdin().lock(), Path::new("stdin"), cpus);
    }
    let open = |source| TraceRefused::Open { path: path.to_owned(), source };
    read_either(File::open(path).map_err(open)?, path, cpus)
}

/// As it is or packed, which names do not tell.
fn read_either(mut from: impl Read, path: &Path, cpus: Option<u32>) -> Result<Trace, TraceRefused> {
    let io = |source| TraceRefused::Io { path: path.to_owned(), after: 0, source };
    let mut begins = Vec::new();
    from.by_ref().take(GZIP.len() as u64).read_to_end(&mut begins).map_err(io)?;
    let packed = begins == GZIP;
    let whole = io::Cursor::new(begins).chain(from);
    if packed {
        read_from(MultiGzDecoder::new(whole), path, cpus)
    } else {
        read_from(whole, path, cpus)
    }
}

fn read_from(from: impl Read, path: &Path, cpus: Option<u32>) -> Result<Trace, TraceRefused> {
    let mut from = BufReader::new(from);
    let mut header = Header::default();
    let mut jobs = Vec::new();
    let mut longer = None;
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        let io = |source| TraceRefused::Io { path: path.to_owned(), after: line - 1, source };
        let wrong = |what| TraceRefused::Line { path: path.to_owned(), line, what };
        let read = from.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut text).map_err(io)?;
        if read == 0 {
            break;
        }
        if read as u64 == LINE_BYTES_MAX {
            return Err(wrong(format!("is longer than {LINE_BYTES_MAX} bytes")));
        }
        // Headers of old traces hold names in old encodings.
        let words = String::from_utf8_lossy(&text);
        match words.trim() {
            "" => {}
            words if words.starts_with(';') => header.take(words),
            words => {
                let (job, fields) = job(words).map_err(wrong)?;
                jobs.push(job);
                if fields > FIELDS {
                    longer.get_or_insert((0, line)).0 += 1;
                }
            }
        }
        if jobs.len() > JOBS_MAX {
            return Err(wrong(format!("is job {}; at most {JOBS_MAX}", jobs.len())));
        }
    }
    let said = cpus.or(header.processors).or(header.nodes);
    let cpus = said.ok_or_else(|| TraceRefused::NoMachine(path.to_owned(), header.unknown()))?;
    finish(path, cpus, jobs, longer)
}

/// What of the lines a machine of so many processors sees.
fn finish(
    path: &Path,
    cpus: u32,
    jobs: Vec<Line>,
    longer: Option<(u64, usize)>,
) -> Result<Trace, TraceRefused> {
    let all = jobs.len();
    let kept = jobs.into_iter().filter_map(|job| job.checked(cpus));
    let mut jobs: Vec<TraceJob> =
        kept.enumerate().map(|(n, job)| TraceJob { line: n as u32, ..job }).collect();
    let dropped = (all - jobs.len()) as u64;
    if jobs.is_empty() {
        return Err(TraceRefused::Empty(path.to_owned(), dropped));
    }
    jobs.sort_by_key(|job| job.submit);
    let last = jobs.last().map_or(0, |job| i128::from(job.submit));
    if jobs.iter().fold(last, |sum, job| sum + i128::from(job.request)) > INSTANT_MAX {
        return Err(TraceRefused::TooLong(path.to_owned()));
    }
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let file = file.unwrap_or_default();
    let name = file.trim_end_matches(".gz").trim_end_matches(".swf").to_owned();
    Ok(Trace { name, cpus, jobs, dropped, longer })
}

/// What the head of a trace says of the machine. Where it does not know (-1, a word), another line
/// or the user may.
#[derive(Default)]
struct Header {
    processors: Option<u32>,
    nodes: Option<u32>,
    /// The last line that says no size, for whoever looks for one.
    vague: Option<String>,
}

impl Header {
    fn take(&mut self, line: &str) {
        let said = line.trim_start_matches([';', ' ', '\t']).split_once(':');
        let Some((name, value)) = said.map(|(name, value)| (name.trim(), value.trim())) else {
            return;
        };
        let place = match name {
            "MaxProcs" => &mut self.processors,
            "MaxNodes" => &mut self.nodes,
            _ => return,
        };
        match size(value) {
            Some(size) => *place = Some(size),
            None => self.vague = Some(format!("{name} is \"{value}\"")),
        }
    }

    fn unknown(self) -> String {
        self.vague.map(|said| format!(" that says a number ({said})")).unwrap_or_default()
    }
}

/// A number above 0, perhaps with a remark behind it: `128 (SP2)`, but not `1,024`.
fn size(value: &str) -> Option<u32> {
    let end = value.find(|c: char| c.is_whitespace() || c == '(').unwrap_or(value.len());
    let word = value[..end].trim_end_matches([',', ';', '.']);
    word.parse().ok().filter(|size| *size > 0)
}

/// What a line says, before anybody asks whether it could have run.
struct Line {
    number: i64,
    submit: i64,
    run: i64,
    allocated: i64,
    asked: i64,
    request: i64,
}

impl Line {
    /// The job that a machine of so many processors sees; `None` for one that could not have run.
    fn checked(self, cpus: u32) -> Option<TraceJob> {
        let asked = if self.asked > 0 { self.asked } else { self.allocated };
        let request = if self.request > 0 { self.request } else { self.run };
        if self.submit < 0 || self.run <= 0 {
            return None;
        }
        let asked = u32::try_from(asked).ok().filter(|n| (1..=cpus).contains(n))?;
        let run = self.run.min(request);
        let (number, submit) = (self.number, self.submit);
        Some(TraceJob { number, line: 0, submit, run, request, cpus: asked })
    }
}

/// A job, and how many fields its line has.
fn job(text: &str) -> Result<(Line, usize), String> {
    let mut fields = [""; FIELDS];
    let mut count = 0;
    for word in text.split_ascii_whitespace() {
        if let Some(place) = fields.get_mut(count) {
            *place = word;
        }
        count += 1;
    }
    if count < FIELDS {
        return Err(format!("has {count} fields instead of {FIELDS}; is the file cut off?"));
    }
    let number = |field: usize, round: fn(f64) -> f64| {
        let word = fields[field - 1];
        let whole = || word.parse::<i64>().ok().filter(|v| v.abs() <= TIME_MAX);
        let rounded = || {
            // What is left of it is exact: the bound is far below 2^53.
            let value = word.parse::<f64>().ok().map(round)?;
            (value.abs() <= TIME_MAX as f64).then_some(value as i64)
        };
        whole().or_else(rounded).ok_or_else(|| format!("field {field} is \"{word}\", not a number"))
    };
    let line = Line {
        number: number(1, f64::round)?,
        submit: number(2, f64::round)?,
        run: number(4, span)?,
        allocated: number(5, f64::ceil)?,
        asked: number(8, f64::ceil)?,
        request: number(9, span)?,
    };
    Ok((line, count))
}

/// A time that something took: what took any, took a second.
fn span(seconds: f64) -> f64 {
    if seconds > 0.0 { seconds.round().max(1.0) } else { seconds.floor() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn line(number: i64, submit: i64, run: i64, used: i64, asked: i64, request: i64) -> String {
        format!("{number} {submit} -1 {run} {used} -1 -1 {asked} {request} -1{}\n", " -1".repeat(8))
    }

    fn trace(text: &str) -> Result<Trace, TraceRefused> {
        read_either(text.as_bytes(), Path::new("a/b.swf.gz"), None)
    }

    fn refused(text: &str) -> String {
        trace(text).unwrap_err().to_string()
    }

    #[test]
    fn jobs_are_taken_in_submit_order_and_what_could_not_run_is_dropped() {
        let lines = [
            line(7, 50, 100, 2, -1, 60),
            line(8, 10, 5, 3, 1, -1),
            line(9, 10, 5, 9, 4, 5),
            line(10, 20, 0, 1, 1, 5),
            line(11, 20, 5, 1, 5, 5),
            line(12, -1, 5, 1, 1, 5),
            line(13, 20, 5, -1, -1, 5),
        ];
        let trace = trace(&format!("; MaxNodes: 99\n;MaxProcs: 4\n\n{}", lines.concat())).unwrap();
        let job = |number, line, submit, run, request, cpus| TraceJob {
            number,
            line,
            submit,
            run,
            request,
            cpus,
        };
        let jobs = [job(8, 1, 10, 5, 5, 1), job(9, 2, 10, 5, 5, 4), job(7, 0, 50, 60, 60, 2)];
        assert_eq!(trace.jobs, jobs);
        assert_eq!((trace.name.as_str(), trace.cpus, trace.dropped), ("b", 4, 4));
    }

    #[test]
    fn a_wrong_line_is_named() {
        let good = line(1, 0, 1, 1, 1, 1);
        assert_eq!(
            refused(&format!("; MaxProcs: 4\n{good}2 0 -1 5\n")),
            "a/b.swf.gz, line 3: has 4 fields instead of 18; is the file cut off?"
        );
        let word = good.replacen(" 0 ", " soon ", 1);
        assert!(refused(&word).ends_with("line 1: field 2 is \"soon\", not a number"));
        for never in ["inf", "-inf", "nan", "1e300", "0x10", "1125899906842625"] {
            let word = good.replacen(" 0 ", &format!(" {never} "), 1);
            assert!(refused(&word).contains("field 2 is"), "{never}");
        }
        assert!(refused(&good).contains("say how large the machine is with --cpus N"));
        assert!(
            refused("; MaxProcs: 4\n").ends_with("no job that can be simulated (0 were dropped)")
        );
        let ages = line(1, 0, 1 << 50, 1, 1, 1 << 50).repeat(2_049);
        assert!(refused(&format!(";MaxProcs: 1\n{ages}")).contains("add up to more than 2^61 s"));
        let ages = &ages[..ages.len() / 2_049 * 2_048];
        assert!(trace(&format!(";MaxProcs: 1\n{ages}")).is_ok());
        let long = format!("; {}\n", "x".repeat(5_000));
        assert!(refused(&long).ends_with("line 1: is longer than 4096 bytes"));
    }

    #[test]
    fn a_machine_of_unknown_size_is_left_to_another_line_or_the_user() {
        let good = line(1, 0, 1, 1, 1, 1);
        let size = |head: &str| trace(&format!("{head}\n{good}")).map(|trace| trace.cpus);
        for (head, cpus) in [
            ("; MaxNodes: -1\n; MaxProcs: 4", 4),
            ("; MaxProcs: 4\n; MaxProcs: -1", 4),
            ("; MaxProcs: unknown\n; MaxNodes: 5", 5),
            ("; MaxProcs: 128 (of 130, two are spare)", 128),
            ("; MaxProcs: 64, since May 48", 64),
            ("; MaxProcs: 1,024\n; MaxNodes: 7", 7),
        ] {
            assert_eq!(size(head).unwrap(), cpus, "{head}");
        }
        for head in ["-1", "0", "many", "1,024", "99999999999", ""] {
            let text = format!("; MaxProcs: {head}\n{good}");
            let said = refused(&text);
            assert!(said.contains(&format!("(MaxProcs is \"{head}\"); say how large")), "{said}");
            assert_eq!(read_either(text.as_bytes(), Path::new("x"), Some(3)).unwrap().cpus, 3);
        }
    }

    #[test]
    fn fractions_are_rounded_and_what_took_any_time_took_a_second() {
        let text = "; MaxProcs: 4\n\
            1.0 0.4 -1 10.4 2.5 -1 -1 -1 20.5 -1 1 1 1 1 1 -1 -1 -1\n\
            2 0.5 -1 0.2 1 -1 -1 1.0 0.2 -1 1 1 1 1 1 -1 -1 -1\n\
            3 1e1 -1 5 1 -1 -1 1 -0.5 -1 1 1 1 1 1 -1 -1 -1\n";
        let trace = trace(text).unwrap();
        let seen = |job: &TraceJob| (job.number, job.submit, job.run, job.request, job.cpus);
        let seen: Vec<_> = trace.jobs.iter().map(seen).collect();
        assert_eq!(seen, [(1, 0, 10, 21, 3), (2, 1, 1, 1, 1), (3, 10, 5, 5, 1)]);
    }

    #[test]
    fn more_fields_than_the_format_has_are_counted_and_not_read() {
        let good = line(1, 0, 1, 1, 1, 1);
        let more = good.replace('\n', " 0 what\n");
        let found = trace(&format!("; MaxProcs: 4\n{good}{more}{more}")).unwrap();
        assert_eq!((found.jobs.len(), found.longer), (3, Some((2, 3))));
        assert_eq!(trace(&format!("; MaxProcs: 4\n{good}")).unwrap().longer, None);
    }

    #[test]
    fn a_file_that_is_not_there_or_ends_in_the_middle_of_its_compression_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.swf.gz");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        let text: String = (0..1_000).map(|n| line(n, n * 7, n * n % 911, 1, 1, 60)).collect();
        io::Write::write_all(&mut packed, format!("; MaxProcs: 4\n{text}").as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        std::fs::write(&path, &packed[..packed.len() / 2]).unwrap();
        let refused = read(&folder.path().join("none.swf"), None).unwrap_err();
        assert!(matches!(refused, TraceRefused::Open { .. }), "{refused}");
        let refused = read(&path, None).unwrap_err();
        assert!(matches!(refused, TraceRefused::Io { after, .. } if after > 1), "{refused}");
        std::fs::write(&path, packed).unwrap();
        assert_eq!(read(&path, None).unwrap().cpus, 4);
    }
}
