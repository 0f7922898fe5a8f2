//! *Purpose*: a file's bytes as a stream, to its end or until its job ends.
//!
//! *Owns*: [`LogStream`], opening below a root, and lossy text of it.
//!
//! *Promises*: only regular files, links not followed; bounded memory; a follower reads once
//! more after the job's end, so nothing is missed; the next attempt of a job that runs again is
//! followed from its first byte.
//!
//! *Not here*: which file (`job::files`), parameters (`api::streams`), server-sent events
//! (`api::log_events`).

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes};
use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::app::App;
use super::code::Code;
use super::error::ApiError;
use super::file_watch::Followed;
use super::files::Kept;
use super::places::Place;
use crate::actors::messages::Await;
use crate::job::files::StreamFile;
use crate::job::ids::JobId;
use crate::store::record::JobRecord;

/// Bytes of one read.
const CHUNK: u64 = 64 * 1024;
/// Opens a stream's file beneath its root, on a thread of [`Files`](super::files::Files); `None`
/// when there is none (yet).
///
/// # Errors
/// 409 with a sentence when what is there must not be read.
pub fn open(stream: &StreamFile) -> Result<Option<File>, ApiError> {
    let refuse = |why: String| {
        let path = stream.full();
        let detail = format!("{} is not read: {why}", path.display());
        Err(ApiError::new(Code::OutputNotReadable, detail))
    };
    // Only the folder's place: whatever stands there instead is not opened.
    let place = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = match rustix::fs::open(&stream.root, place, Mode::empty()) {
        Ok(root) => root,
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(rustix::io::Errno::NOTDIR) => {
            return refuse(format!("{} is no folder", stream.root.display()));
        }
        Err(e) => return refuse(e.to_string()),
    };
    // A FIFO would block an open without O_NONBLOCK.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let file = match rustix::fs::openat2(&root, &stream.path, flags, Mode::empty(), resolve) {
        Ok(fd) => File::from(fd),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::XDEV) => {
            return refuse("a link is in its way".to_owned());
        }
        Err(e) => return refuse(e.to_string()),
    };
    match file.metadata() {
        Ok(meta) if meta.is_file() => Ok(Some(file)),
        Ok(_) => refuse("it is not a regular file".to_owned()),
        Err(e) => refuse(e.to_string()),
    }
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

/// What is read, from where, and whether it goes on.
pub struct LogStream {
    app: web::Data<App>,
    job: JobId,
    stream: StreamFile,
    file: Option<(Kept, Followed)>,
    /// Whose file that is.
    attempt: u32,
    offset: u64,
    over: bool,
    /// The job as it ended, once all has been read.
    ended: Option<Box<JobRecord>>,
    _place: Place,
}

impl LogStream {
    /// Follows a stream from an offset.
    #[must_use]
    pub fn follow(
        app: web::Data<App>,
        job: JobId,
        stream: StreamFile,
        offset: u64,
        place: Place,
    ) -> LogStream {
        let (file, ended) = (None, None);
        LogStream { app, job, stream, file, attempt: 0, offset, over: false, ended, _place: place }
    }

    /// The job as it ended, when that is why nothing more comes.
    #[must_use]
    pub fn ended(&self) -> Option<&JobRecord> {
        self.ended.as_deref()
    }

    /// The next bytes and the offset behind them; `None` at the end.
    pub async fn next(&mut self) -> Option<io::Result<(Bytes, u64)>> {
        loop {
            if self.over {
                return None;
            }
            // Register first, then look, then wait: nothing falls between.
            let changed = self.app.system.await_job.send(Await { job: self.job }).await.ok()?;
            let row = match self.app.job(self.job).await {
                Ok((row, _)) => row,
                // The person is told; a stream that merely ends says that all has been read.
                Err(error) if error.status == StatusCode::INTERNAL_SERVER_ERROR => {
                    self.over = true;
                    return Some(Err(io::Error::other(error.detail)));
                }
                Err(_) => return None,
            };
            let ended = row.state.is_final();
            if row.start_time.is_some() && self.file.is_some() && self.attempt != row.attempt {
                // The next attempt writes its file anew.
                (self.file, self.offset) = (None, 0);
            }
            if row.start_time.is_some() && self.file.is_none() {
                self.attempt = row.attempt;
                match self.open().await {
                    Ok(file) => self.file = file,
                    Err(error) => return Some(Err(io::Error::other(error.detail))),
                }
            }
            let grows = self.file.as_ref().map(|(_, followed)| followed.grows());
            match self.read().await {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => {
                    self.offset += bytes.len() as u64;
                    return Some(Ok((bytes, self.offset)));
                }
                Err(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
            }
            if ended {
                self.over = true;
                self.ended = Some(Box::new(row));
                continue;
            }
            match grows {
                Some(grows) => tokio::select! { _ = changed.0 => {}, () = grows => {} },
                None => {
                    let _changed = changed.0.await;
                }
            }
        }
    }

    async fn open(&self) -> Result<Option<(Kept, Followed)>, ApiError> {
        use std::os::fd::AsRawFd;
        let (stream, file_watcher) = (self.stream.clone(), Arc::clone(&self.app.file_watcher));
        let opened = self.app.files.read(self.job, move |_| {
            let Some(file) = open(&stream)? else { return Ok::<_, ApiError>(None) };
            // By descriptor: the name may lead elsewhere by now.
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            let followed = file_watcher.follow(path.as_ref());
            Ok(Some((file, followed)))
        });
        let opened: Option<(File, Followed)> = opened.await??;
        Ok(opened.map(|(file, followed)| (self.app.files.kept(file), followed)))
    }

    async fn read(&self) -> io::Result<Bytes> {
        let Some((kept, _)) = &self.file else { return Ok(Bytes::new()) };
        chunk(&self.app, self.job, kept, self.offset, CHUNK).await
    }
}

/// A part of a job's file as a stream of chunks.
pub fn part(
    app: web::Data<App>,
    job: JobId,
    file: Kept,
    (from, to): (u64, u64),
) -> impl futures_util::Stream<Item = io::Result<Bytes>> {
    futures_util::stream::try_unfold((app, file, from), move |(app, file, offset)| async move {
        let most = CHUNK.min(to.saturating_sub(offset));
        if most == 0 {
            return Ok(None);
        }
        let bytes = chunk(&app, job, &file, offset, most).await?;
        let next = offset + bytes.len() as u64;
        // A file that shrank meanwhile ends the stream early.
        Ok((!bytes.is_empty()).then_some((bytes, (app, file, next))))
    })
}

async fn chunk(app: &App, job: JobId, kept: &Kept, offset: u64, most: u64) -> io::Result<Bytes> {
    let Some(file) = kept.file() else { return Ok(Bytes::new()) };
    let read = app.files.read(job, move |_| read_at(&file, offset, most)).await;
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
