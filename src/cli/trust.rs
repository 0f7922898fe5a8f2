//! *Purpose*: connections to servers whom the caller trusts.
//!
//! *Owns*: [`Trusted`], which opens connections; [`Stranger`], why one was not used.
//!
//! *Promises*: over a socket and on loopback, before the first byte leaves, it is known that the
//! server is the caller's own or root's: neither token nor environment reach another user who has
//! taken the place. Where this system does not tell whose a connection is, and for servers
//! elsewhere, which are only asked when they are named, nothing can be known.
//!
//! *Not here*: how an owner is found (`crate::peer`), requests (`cli::client`).

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv, sockopt};
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

use super::place::Place;
use crate::peer::{self, Unknown};
use crate::people;

/// Longest wait for one address of a server.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Whose server everybody trusts.
const ROOT: peer::Uid = 0;

/// A server that belongs to somebody else.
#[derive(Debug, thiserror::Error)]
#[error("{place} belongs to {owner}; nothing was sent")]
pub struct Stranger {
    place: String,
    owner: String,
}

/// Opens connections to the server that is there.
#[derive(Debug)]
pub struct Trusted(pub Place);

impl Connector for Trusted {
    type Out = Line;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Line>, Error> {
        let stream = match &self.0 {
            Place::Http(_) => over_tcp(&details.addrs)?,
            Place::Socket(path) => over_socket(path)?,
        };
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Line { stream, buffers }))
    }
}

fn over_tcp(addresses: &[SocketAddr]) -> Result<Stream, Error> {
    let stream = first_of(addresses)?;
    stream.set_nodelay(true)?;
    let address = stream.peer_addr()?;
    if address.ip().to_canonical().is_loopback() {
        match peer::server(&stream) {
            Ok(owner) => check(owner, || format!("port {}", address.port()))?,
            Err(Unknown::Gone) => return Err(Error::Io(ErrorKind::ConnectionReset.into())),
            Err(Unknown::NoAnswer(_)) => {}
        }
    }
    Ok(Stream::Tcp(stream))
}

/// The kernel says who listened there.
fn over_socket(path: &Path) -> Result<Stream, Error> {
    let stream = UnixStream::connect(path).map_err(|error| match error.kind() {
        // As of a port where nobody listens: a server that restarts makes it anew.
        ErrorKind::NotFound => Error::Io(ErrorKind::ConnectionRefused.into()),
        _ => Error::Io(error),
    })?;
    let server = sockopt::socket_peercred(&stream).map_err(|error| Error::Io(error.into()))?;
    check(server.uid.as_raw(), || path.display().to_string())?;
    Ok(Stream::Socket(stream))
}

fn check(owner: peer::Uid, place: impl FnOnce() -> String) -> Result<(), Error> {
    let own = rustix::process::geteuid().as_raw();
    if owner == own || owner == ROOT {
        return Ok(());
    }
    Err(Error::Other(Box::new(Stranger { place: place(), owner: people::named(owner) })))
}

/// A connection to the first address that answers.
fn first_of(addresses: &[SocketAddr]) -> Result<TcpStream, Error> {
    let mut last = Error::ConnectionFailed;
    for address in addresses {
        match TcpStream::connect_timeout(address, CONNECT_WITHIN) {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                last = Error::Timeout(ureq::Timeout::Connect);
            }
            Err(error) => last = Error::Io(error),
        }
    }
    Err(last)
}

/// A connection of either kind.
#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Socket(UnixStream),
}

impl Stream {
    fn set_write_timeout(&self, timeout: Option<Duration>) -> std::io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.set_write_timeout(timeout),
            Stream::Socket(stream) => stream.set_write_timeout(timeout),
        }
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> std::io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.set_read_timeout(timeout),
            Stream::Socket(stream) => stream.set_read_timeout(timeout),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Socket(stream) => stream.write_all(bytes),
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(bytes),
            Stream::Socket(stream) => stream.read(bytes),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Socket(stream) => stream.as_fd(),
        }
    }
}

/// A connection to a server that is trusted.
#[derive(Debug)]
pub struct Line {
    stream: Stream,
    buffers: LazyBuffers,
}

impl Transport for Line {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        self.stream.set_write_timeout(timeout.not_zero().map(|t| *t))?;
        let output = &self.buffers.output()[..amount];
        self.stream.write_all(output).map_err(|error| late(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        self.stream.set_read_timeout(timeout.not_zero().map(|t| *t))?;
        let input = self.buffers.input_append_buf();
        let read = loop {
            match self.stream.read(input) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let amount = read.map_err(|error| late(error, timeout))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        let silent = recv(&self.stream, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        silent.is_err_and(|error| error == Errno::AGAIN)
    }
}

fn late(error: std::io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    }
}
