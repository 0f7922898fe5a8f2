//! *Purpose*: the near end of a terminal: where somebody sits.
//!
//! *Owns*: [`NearEnd`], the socket by which a job finds it; [`attend`], which carries what is typed
//! and shown.
//!
//! *Promises*: nobody but its user can reach the socket. While the far end is there, one's own
//! terminal passes every key on, Ctrl-C and Ctrl-Z too, and is as it was afterwards.
//!
//! *Not here*: the job (`cli::run`).

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::termios::{isatty, tcgetwinsize};
use signal_hook::consts::SIGWINCH;
use signal_hook::iterator::Signals;
use tempfile::TempDir;

use super::line::{BYTES_MAX, Frame, Size, receive, send};
use super::manner::Manner;
use crate::api::wire::body::SubmitBody;
use crate::cli::raw_mode::RawMode;

/// The end of what is typed, as a terminal has it: Ctrl-D.
const END: u8 = 4;

/// The near end, before the far end has come.
pub struct NearEnd {
    listener: UnixListener,
    folder: TempDir,
}

impl NearEnd {
    /// Where only this user's programs find it.
    ///
    /// # Errors
    /// What the system says.
    pub fn open() -> io::Result<NearEnd> {
        let folder = tempfile::Builder::new().prefix("downbeat-terminal.").tempdir()?;
        let listener = UnixListener::bind(socket_in(&folder))?;
        Ok(NearEnd { listener, folder })
    }

    /// The body of a job that finds it.
    #[must_use]
    pub fn told(&self, mut body: SubmitBody, manner: Manner) -> SubmitBody {
        let path = socket_in(&self.folder).display().to_string();
        body.environment.get_or_insert_default().insert(manner.variable().to_owned(), path);
        if manner == Manner::Carried {
            // What is typed goes the other way.
            body.standard_input.get_or_insert_with(|| "/dev/null".to_owned());
        }
        body
    }

    /// Waits for the far end in a thread of its own, and attends to it then; calls `started` when
    /// it has come.
    #[must_use]
    pub fn wait(self, manner: Manner, started: impl FnOnce() + Send + 'static) -> Attended {
        let NearEnd { listener, folder } = self;
        let (over, done) = channel();
        let socket = socket_in(&folder);
        thread::spawn(move || {
            // When it is asked for the end and nobody has come, the caller himself comes.
            if let Ok((line, _)) = listener.accept() {
                // One far end is all that comes: nothing is left where this process is killed.
                drop(folder);
                let _its_end_is_enough = carry(line, manner, started);
            }
            drop(over);
        });
        Attended { done, socket: Some(socket) }
    }
}

fn socket_in(folder: &TempDir) -> PathBuf {
    folder.path().join("socket")
}

/// Attends to a far end that is there.
#[must_use]
pub fn attend(line: UnixStream) -> Attended {
    let (over, done) = channel();
    thread::spawn(move || {
        let _its_end_is_enough = carry(line, Manner::Carried, || {});
        drop(over);
    });
    Attended { done, socket: None }
}

/// A far end is attended to, or waited for.
pub struct Attended {
    done: Receiver<()>,
    socket: Option<PathBuf>,
}

impl Attended {
    /// Its job, or its program, has ended: returns when all that it wrote is shown.
    pub fn finish(self) {
        if let Some(path) = &self.socket {
            let _nobody_waits_if_not = UnixStream::connect(path);
        }
        let _ended = self.done.recv();
    }
}

/// Carries what is typed and shown until the far end is gone.
fn carry(line: UnixStream, manner: Manner, started: impl FnOnce()) -> io::Result<()> {
    if receive(&line)? != Some(Frame::Hello) {
        return Ok(());
    }
    started();
    if manner == Manner::Silent {
        while receive(&line)?.is_some() {}
        return Ok(());
    }
    let has_terminal = isatty(io::stdin());
    let _as_it_was_afterwards = has_terminal.then(RawMode::begin);
    let to = Arc::new(Mutex::new(line.try_clone()?));
    if let Some(size) = size_now() {
        tell(&to, &Frame::Size(size))?;
        let to = Arc::clone(&to);
        let mut resized = Signals::new([SIGWINCH])?;
        thread::spawn(move || {
            for size in resized.forever().filter_map(|_| size_now()) {
                if tell(&to, &Frame::Size(size)).is_err() {
                    return;
                }
            }
        });
    }
    thread::spawn(move || type_on(&to, has_terminal));
    let mut out = io::stdout().lock();
    while let Some(frame) = receive(&line)? {
        let Frame::Bytes(bytes) = frame else { continue };
        out.write_all(&bytes).and_then(|()| out.flush())?;
    }
    Ok(())
}

fn tell(to: &Mutex<UnixStream>, frame: &Frame) -> io::Result<()> {
    let mut to = to.lock().unwrap_or_else(PoisonError::into_inner);
    send(&mut *to, frame)
}

/// Tells what is typed. A terminal that ends has hung up; anything else that ends is all that was
/// to be typed.
fn type_on(to: &Mutex<UnixStream>, has_terminal: bool) {
    let (mut input, mut part) = (io::stdin().lock(), vec![0; BYTES_MAX]);
    loop {
        match input.read(&mut part) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) if has_terminal => {
                let line = to.lock().unwrap_or_else(PoisonError::into_inner);
                let _gone_if_not = line.shutdown(Shutdown::Both);
                return;
            }
            Ok(0) | Err(_) => {
                let _gone_if_not = tell(to, &Frame::Bytes(vec![END]));
                return;
            }
            Ok(count) => {
                if tell(to, &Frame::Bytes(part[..count].to_vec())).is_err() {
                    return;
                }
            }
        }
    }
}

/// How large the terminal is on which something is shown.
fn size_now() -> Option<Size> {
    let size = tcgetwinsize(io::stdout()).or_else(|_| tcgetwinsize(io::stdin())).ok()?;
    Some(Size { rows: size.ws_row, columns: size.ws_col })
}
