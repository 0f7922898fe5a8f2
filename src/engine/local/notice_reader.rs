//! *Purpose*: hears what supervisors say.
//!
//! *Owns*: the reading of their pipe, line by line.
//!
//! *Promises*: a line is heard as a whole or not at all; hearing ends with the engine.
//!
//! *Not here*: the words (`notice`), what the step daemon says (`client`).

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Weak;

use tokio::io::unix::AsyncFd;

use super::attempts::Attempts;
use super::notice::Notice;
use super::sys;

/// Read at a time: some dozens of lines.
const READ_BYTES: usize = 4096;

/// Hears all lines of the pipe, on the thread that follows the attempts: no other has to be woken,
/// and no file is touched there. Without it (its end would be a bug) the sweep sees what is not
/// heard.
pub async fn hear_all(pipe: OwnedFd, attempts: Weak<Attempts>) {
    let heard = match sys::watch_readable(pipe) {
        Ok(pipe) => hear_lines(&pipe, &attempts).await,
        Err(e) => Err(e),
    };
    if let Err(e) = heard {
        log::error!("What supervisors say is not heard any more, only seen by the sweep: {e}");
    }
}

async fn hear_lines(pipe: &AsyncFd<OwnedFd>, attempts: &Weak<Attempts>) -> io::Result<()> {
    let (mut text, mut buffer) = (Vec::new(), [0; READ_BYTES]);
    loop {
        let mut ready = pipe.readable().await?;
        match rustix::io::read(pipe.get_ref(), &mut buffer) {
            // The engine and the last supervisor are gone.
            Ok(0) => return Ok(()),
            Ok(count) => text.extend_from_slice(&buffer[..count]),
            Err(rustix::io::Errno::AGAIN) => ready.clear_ready(),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        let Some(end) = text.iter().rposition(|b| *b == b'\n') else { continue };
        let lines: Vec<u8> = text.drain(..=end).collect();
        let Some(attempts) = attempts.upgrade() else { return Ok(()) };
        for notice in String::from_utf8_lossy(&lines).lines().filter_map(Notice::parse) {
            attempts.hear(notice);
        }
    }
}
