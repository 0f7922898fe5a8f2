//! *Purpose*: a file's bytes as a stream, to its end or until its job ends.
//!
//! *Owns*: [`LogStream`], and lossy text of it.
//!
//! *Promises*: bounded memory; a follower reads once more after the job's end, so nothing is
//! missed; whoever follows a file that is cut or replaced, or a job that runs again, is told so and
//! gets what comes then from its first byte.
//!
//! *Not here*: which file (`job::files`), opening it (`api::opener`), parameters (`api::streams`),
//! server-sent events (`api::log_events`).

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes};

use super::app::App;
use super::code::Code;
use super::error::ApiError;
use super::file_watch::{Followed, LOOK_EVERY};
use super::files::Kept;
use super::let_in::LetIn;
use super::opener::Opener;
use super::places::Place;
use crate::actors::messages::Await;
use crate::job::files::StreamFile;
use crate::job::ids::JobId;
use crate::job::spec::OpenMode;
use crate::store::record::JobRecord;

/// Bytes of one read.
const CHUNK: u64 = 64 * 1024;
/// How long a file is. A file system that a user has mounted tells nobody else of a file, root
/// included, though whoever was handed an open one may read it: there its end is sought, which
/// moves nothing, since all is read at an offset.
///
/// # Errors
/// What the system says.
pub fn size(mut file: &File) -> io::Result<u64> {
    match file.metadata() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            file.seek(SeekFrom::End(0))
        }
        found => found.map(|meta| meta.len()),
    }
}

/// Whether these are one file; where nobody tells, whether they stand at one place.
fn is_same(one: &File, other: &File) -> io::Result<bool> {
    match (one.metadata(), other.metadata()) {
        (Err(error), Err(_)) if error.kind() == io::ErrorKind::PermissionDenied => {
            Ok(place(one)? == place(other)?)
        }
        (one, other) => {
            let (one, other) = (one?, other?);
            Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
        }
    }
}

fn place(file: &File) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Whether a stream is this file, whatever their names are. One that must not be read is not, for
/// this one is read.
#[must_use]
pub fn is_one_file(file: &File, other: Result<Option<File>, ApiError>) -> bool {
    let other = other.ok().flatten();
    other.is_some_and(|other| is_same(file, &other).unwrap_or(false))
}

/// Reads at an offset.
///
/// # Errors
/// What the system says.
pub fn read_at(file: &File, offset: u64, most: u64) -> io::Result<Vec<u8>> {
    if offset.checked_add(most).is_none_or(|end| i64::try_from(end).is_err()) {
        // Behind the end of any file; the system would call it a bad number.
        return Ok(Vec::new());
    }
    let mut bytes = vec![0; most as usize];
    let n = file.read_at(&mut bytes, offset)?;
    bytes.truncate(n);
    Ok(bytes)
}

/// Why what follows begins at the first byte of the file again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anew {
    /// The file is shorter than what was read of it.
    Truncated,
    /// Another file stands where it stood.
    Replaced,
    /// The job runs again.
    Attempt(u32),
}

impl fmt::Display for Anew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Anew::Truncated => f.write_str("truncated"),
            Anew::Replaced => f.write_str("replaced"),
            Anew::Attempt(n) => write!(f, "attempt {n}"),
        }
    }
}

/// A piece of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes, and the offset behind them.
    Bytes(Bytes, u64),
    /// The next bytes are the first of the file.
    Anew(Anew),
}

/// What is to be followed.
#[derive(Clone)]
pub struct Wanted {
    /// The file.
    pub stream: StreamFile,
    /// Nothing is wanted where this is the same file.
    pub apart_from: Option<StreamFile>,
    /// The first byte that is wanted.
    pub from: u64,
    /// How many bytes there were already, so that a file that is shorter was cut.
    pub seen: u64,
    /// Who opens it.
    pub opener: Opener,
}

/// What is read, from where, and whether it goes on.
pub struct LogStream {
    app: web::Data<App>,
    let_in: LetIn,
    job: JobId,
    wanted: Wanted,
    file: Option<(Kept, Followed)>,
    /// Whose file that is.
    attempt: u32,
    over: bool,
    /// The job as it ended, once all has been read.
    ended: Option<Box<JobRecord>>,
    _place: Place,
}

/// What a look at a file found.
enum Look {
    Bytes(Bytes),
    Cut,
}

/// What stands where the file stood.
enum Stands {
    /// The same file.
    Here,
    /// Nothing that may be read, so that it is looked for again.
    Gone,
    /// Another one, or one at last.
    Other(Kept, Followed),
    /// The file that it should stand apart from.
    Joined,
}

impl LogStream {
    /// Follows a stream from an offset.
    #[must_use]
    pub fn follow(
        (app, let_in): (web::Data<App>, LetIn),
        job: JobId,
        wanted: Wanted,
        place: Place,
    ) -> LogStream {
        let over = wanted.stream.is_nowhere();
        LogStream {
            app,
            let_in,
            job,
            wanted,
            file: None,
            attempt: 0,
            over,
            ended: None,
            _place: place,
        }
    }

    /// The job as it ended, when that is why nothing more comes.
    #[must_use]
    pub fn ended(&self) -> Option<&JobRecord> {
        self.ended.as_deref()
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Option<io::Result<Piece>> {
        loop {
            if self.over {
                return None;
            }
            // Register first, then look, then wait: nothing falls between.
            let changed = self.app.system.await_job.send(Await { job: self.job }).await.ok()?;
            if let Err(error) = self.let_in.check(&self.app).await {
                return self.broken(io::Error::other(error.detail));
            }
            let row = match self.app.job(self.job).await {
                Ok((row, _)) => row,
                // The person is told; a stream that merely ends says that all has been read.
                Err(error) if error.status == StatusCode::INTERNAL_SERVER_ERROR => {
                    return self.broken(io::Error::other(error.detail));
                }
                Err(_) => return None,
            };
            let (started, ended) = (row.start_time.is_some(), row.state.is_final());
            if started && self.file.is_some() && self.attempt != row.attempt {
                // The next attempt writes its file anew, or behind what is there.
                self.file = None;
                if row.spec.open_mode != OpenMode::Append {
                    return Some(Ok(self.anew(Anew::Attempt(row.attempt))));
                }
            }
            let grows = self.file.as_ref().map(|(_, followed)| followed.grows());
            match self.look().await {
                Ok(Look::Bytes(bytes)) if bytes.is_empty() => {}
                Ok(Look::Bytes(bytes)) => return Some(Ok(self.passed(bytes))),
                Ok(Look::Cut) if started && self.is_same_attempt().await => {
                    return Some(Ok(self.anew(Anew::Truncated)));
                }
                // The next attempt has emptied it, and is told of as such.
                Ok(Look::Cut) => {}
                Err(error) => return self.broken(error),
            }
            // All of this file is read; its name may lead to another by now.
            let stands = if started { self.stands().await } else { Ok(Stands::Here) };
            let lost = match stands {
                Ok(Stands::Here) => false,
                Ok(Stands::Gone) => true,
                Ok(Stands::Joined) => return None,
                Ok(Stands::Other(..)) if self.file.is_some() && !self.is_same_attempt().await => {
                    false
                }
                Ok(Stands::Other(file, followed)) => {
                    let replaced = self.file.replace((file, followed)).is_some();
                    self.attempt = row.attempt;
                    if replaced {
                        return Some(Ok(self.anew(Anew::Replaced)));
                    }
                    continue;
                }
                Err(error) => return self.broken(io::Error::other(error.detail)),
            };
            if ended {
                self.over = true;
                self.ended = Some(Box::new(row));
                continue;
            }
            until_changed(changed.0, grows, lost).await;
        }
    }

    fn passed(&mut self, bytes: Bytes) -> Piece {
        self.wanted.from += bytes.len() as u64;
        self.wanted.seen = self.wanted.from;
        Piece::Bytes(bytes, self.wanted.from)
    }

    fn anew(&mut self, why: Anew) -> Piece {
        (self.wanted.from, self.wanted.seen) = (0, 0);
        Piece::Anew(why)
    }

    fn broken(&mut self, error: io::Error) -> Option<io::Result<Piece>> {
        self.over = true;
        Some(Err(error))
    }

    /// Whether the job still is in the run whose file this is.
    async fn is_same_attempt(&self) -> bool {
        let row = self.app.job(self.job).await;
        row.is_ok_and(|(row, _)| row.start_time.is_some() && row.attempt == self.attempt)
    }

    /// What stands where the file stood that is read.
    async fn stands(&self) -> Result<Stands, ApiError> {
        let Wanted { stream, apart_from, opener, .. } = self.wanted.clone();
        let of = (self.job, opener.owner);
        let read = self.file.as_ref().and_then(|(kept, _)| kept.file());
        let file_watcher = Arc::clone(&self.app.file_watcher);
        let found = self.app.files.read(of, move |_| {
            let file = match (opener.open(&stream), &read) {
                (Ok(Some(file)), Some(read)) if is_same(&file, read).map_err(unread)? => {
                    return Ok(Found::Here);
                }
                (Ok(Some(file)), _) => file,
                // What was there goes on to be read; what stands there now is not.
                (Ok(None), _) | (Err(_), Some(_)) => return Ok(Found::Gone),
                (Err(refused), None) => return Err(refused),
            };
            let joined = apart_from.is_some_and(|other| is_one_file(&file, opener.open(&other)));
            if joined {
                return Ok(Found::Joined);
            }
            // By descriptor: the name may lead elsewhere by now.
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            let followed = file_watcher.follow(path.as_ref());
            Ok::<_, ApiError>(Found::Other(file, followed))
        });
        Ok(match found.await?? {
            Found::Here => Stands::Here,
            Found::Gone => Stands::Gone,
            Found::Joined => Stands::Joined,
            Found::Other(file, followed) => Stands::Other(self.app.files.kept(of, file), followed),
        })
    }

    async fn look(&self) -> io::Result<Look> {
        let Some((kept, _)) = &self.file else { return Ok(Look::Bytes(Bytes::new())) };
        let Some(file) = kept.file() else { return Ok(Look::Bytes(Bytes::new())) };
        let Wanted { from, seen, .. } = self.wanted;
        let look = self.app.files.read(kept.of(), move |_| {
            if size(&file)? < seen {
                return Ok(Look::Cut);
            }
            read_at(&file, from, CHUNK).map(|bytes| Look::Bytes(Bytes::from(bytes)))
        });
        look.await.map_err(|late| io::Error::other(late.detail))?
    }
}

/// As [`Stands`], on the threads for files.
enum Found {
    Here,
    Gone,
    Other(File, Followed),
    Joined,
}

fn unread(error: io::Error) -> ApiError {
    ApiError::new(Code::Internal, format!("cannot read the stream: {error}"))
}

/// Waits for a change of the job or of its file; for one that is not there, some time.
async fn until_changed(changed: impl Future, grows: Option<impl Future<Output = ()>>, lost: bool) {
    let grows = async {
        match grows {
            Some(grows) => grows.await,
            None => std::future::pending().await,
        }
    };
    let look_again = async {
        match lost {
            true => actix_rt::time::sleep(LOOK_EVERY).await,
            false => std::future::pending().await,
        }
    };
    tokio::select! { _ = changed => {}, () = grows => {}, () = look_again => {} }
}

/// A part of a job's file as a stream of chunks.
pub fn part(
    app: web::Data<App>,
    file: Kept,
    (from, to): (u64, u64),
) -> impl futures_util::Stream<Item = io::Result<Bytes>> {
    futures_util::stream::try_unfold((app, file, from), move |(app, file, offset)| async move {
        let most = CHUNK.min(to.saturating_sub(offset));
        if most == 0 {
            return Ok(None);
        }
        let bytes = chunk(&app, &file, offset, most).await?;
        let next = offset + bytes.len() as u64;
        // A file that shrank meanwhile ends the stream early.
        Ok((!bytes.is_empty()).then_some((bytes, (app, file, next))))
    })
}

async fn chunk(app: &App, kept: &Kept, offset: u64, most: u64) -> io::Result<Bytes> {
    let Some(file) = kept.file() else { return Ok(Bytes::new()) };
    let read = app.files.read(kept.of(), move |_| read_at(&file, offset, most)).await;
    Ok(Bytes::from(read.map_err(|late| io::Error::other(late.detail))??))
}

/// Turns bytes into lossy text, keeping a character that is cut in two for the next chunk.
#[derive(Default)]
pub struct Utf8 {
    rest: VecDeque<u8>,
}

impl Utf8 {
    /// The text of what is complete, and how many bytes are kept back.
    pub fn push(&mut self, bytes: &[u8]) -> (String, usize) {
        self.rest.extend(bytes);
        let all = self.rest.make_contiguous();
        let keep = match std::str::from_utf8(all) {
            Err(error) if error.error_len().is_none() => all.len() - error.valid_up_to(),
            Err(_) => incomplete_tail(all),
            Ok(_) => 0,
        };
        let text = String::from_utf8_lossy(&all[..all.len() - keep]).into_owned();
        self.rest.drain(..self.rest.len() - keep);
        (text, keep)
    }

    /// What was kept back, when nothing follows that could complete it.
    pub fn finish(&mut self) -> Option<String> {
        let rest: Vec<u8> = self.rest.drain(..).collect();
        (!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned())
    }
}

/// Bytes at the end that may be the beginning of a character, where an earlier byte is bad.
fn incomplete_tail(bytes: &[u8]) -> usize {
    (1..=3.min(bytes.len()))
        .find(|n| {
            let tail = &bytes[bytes.len() - n..];
            tail[0] >= 0xC2
                && std::str::from_utf8(tail)
                    .is_err_and(|e| e.valid_up_to() == 0 && e.error_len().is_none())
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_cut_in_two_is_kept_for_the_next_chunk() {
        let mut text = Utf8::default();
        let euro = "€".as_bytes();
        assert_eq!(text.push(&[b'a', euro[0], euro[1]]), ("a".to_owned(), 2));
        assert_eq!(text.push(&[euro[2], b'b']), ("€b".to_owned(), 0));
        assert_eq!(text.push(&[0xFF, b'c', euro[0]]), ("\u{FFFD}c".to_owned(), 1));
        assert_eq!(text.push(&euro[1..]), ("€".to_owned(), 0));
        assert_eq!(text.finish(), None);
        text.push(&euro[..1]);
        assert_eq!(text.finish(), Some("\u{FFFD}".to_owned()));
    }
}
