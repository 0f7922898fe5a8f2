//! *Purpose*: a file's bytes as a stream, to its end or until its job ends.
//!
//! *Owns*: [`LogStream`], opening below a root, and the form as server-sent events.
//!
//! *Promises*: only regular files, links not followed; bounded memory; a follower reads once
//! more after the job's end, so nothing is missed; the next attempt of a job that runs again is
//! followed from its first byte.
//!
//! *Not here*: which file (`kernel::places`), parameters (`api::streams`).

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::web::{self, Bytes};
use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::app::App;
use super::error::ApiError;
use super::growth::Followed;
use crate::actors::messages::Await;
use crate::kernel::ids::JobId;
use crate::kernel::places::StreamFile;

/// Bytes of one read.
const CHUNK: u64 = 64 * 1024;
/// Streams open at once: each holds a connection and a descriptor.
pub const STREAMS_MAX: usize = 512;

/// One of the bounded number of open streams; dropped with the stream.
pub struct StreamSlot(Arc<AtomicUsize>);

impl StreamSlot {
    /// Takes a slot.
    ///
    /// # Errors
    /// 503 when all are taken.
    pub fn take(app: &App) -> Result<StreamSlot, ApiError> {
        let taken = app.streams.fetch_add(1, Ordering::SeqCst);
        let slot = StreamSlot(Arc::clone(&app.streams));
        if taken >= STREAMS_MAX {
            let detail = format!("{STREAMS_MAX} streams are open already; close some");
            return Err(ApiError::unavailable(detail));
        }
        Ok(slot)
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Opens a stream's file beneath its root; `None` when there is none (yet).
///
/// # Errors
/// 409 with a sentence when what is there must not be read.
pub fn open(stream: &StreamFile) -> Result<Option<File>, ApiError> {
    let refuse = |why: String| {
        let path = stream.full();
        let detail = format!("{} is not read: {why}", path.display());
        Err(ApiError::new(actix_web::http::StatusCode::CONFLICT, detail))
    };
    let root = match File::open(&stream.root) {
        Ok(root) => root,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
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
    file: Option<(Arc<File>, Followed)>,
    /// Whose file that is.
    attempt: i32,
    offset: u64,
    over: bool,
    _slot: StreamSlot,
}

impl LogStream {
    /// Follows a stream from an offset.
    #[must_use]
    pub fn follow(
        app: web::Data<App>,
        job: JobId,
        stream: StreamFile,
        offset: u64,
        slot: StreamSlot,
    ) -> LogStream {
        LogStream { app, job, stream, file: None, attempt: 0, offset, over: false, _slot: slot }
    }

    /// The next bytes and the offset behind them; `None` at the end.
    pub async fn next(&mut self) -> Option<io::Result<(Bytes, u64)>> {
        loop {
            if self.over {
                return None;
            }
            // Register first, then look, then wait: nothing falls between.
            let changed = self.app.system.await_job.send(Await { job: self.job }).await.ok()?;
            let row = self.app.job(self.job).await.ok()?.0;
            let ended = row.state_word().is_final();
            if row.start_time.is_some() && self.file.is_some() && self.attempt != row.attempt {
                // The next attempt writes its file anew.
                (self.file, self.offset) = (None, 0);
            }
            if row.start_time.is_some() && self.file.is_none() {
                self.attempt = row.attempt;
                match open(&self.stream) {
                    Ok(Some(file)) => self.watch(file),
                    Ok(None) => {}
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

    fn watch(&mut self, file: File) {
        use std::os::fd::AsRawFd;
        // By descriptor: the name may lead elsewhere by now.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let followed = self.app.growth.follow(path.as_ref());
        self.file = Some((Arc::new(file), followed));
    }

    async fn read(&self) -> io::Result<Bytes> {
        let Some((file, _)) = &self.file else { return Ok(Bytes::new()) };
        let (file, offset) = (Arc::clone(file), self.offset);
        let read = web::block(move || read_at(&file, offset, CHUNK)).await;
        Ok(Bytes::from(read.map_err(io::Error::other)??))
    }
}

/// A part of a file as a stream of chunks.
pub fn part(file: File, from: u64, to: u64) -> impl futures_util::Stream<Item = io::Result<Bytes>> {
    let file = Arc::new(file);
    futures_util::stream::try_unfold(from, move |offset| {
        let file = Arc::clone(&file);
        async move {
            let most = CHUNK.min(to.saturating_sub(offset));
            if most == 0 {
                return Ok(None);
            }
            let bytes = web::block(move || read_at(&file, offset, most)).await;
            let bytes = Bytes::from(bytes.map_err(io::Error::other)??);
            let next = offset + bytes.len() as u64;
            // A file that shrank meanwhile ends the stream early.
            Ok((!bytes.is_empty()).then_some((bytes, next)))
        }
    })
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
    }
}
