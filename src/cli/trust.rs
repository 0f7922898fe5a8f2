//! *Purpose*: connections to servers whom the caller trusts.
//!
//! *Owns*: [`Trusted`], which opens connections; [`Stranger`], why one was not used.
//!
//! *Promises*: on loopback, before the first byte leaves, it is known that the server is the
//! caller's own or root's: neither token nor environment reach another user who has taken the
//! port. Where this system does not tell whose a connection is, and for servers elsewhere, which
//! are only asked when they are named, nothing can be known.
//!
//! *Not here*: how an owner is found (`crate::peer`), requests (`cli::client`).

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

use crate::peer::{self, Unknown};

/// Longest wait for one address of a server.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Whose server everybody trusts.
const ROOT: peer::Uid = 0;

/// A server that belongs to somebody else.
#[derive(Debug, thiserror::Error)]
#[error("port {port} belongs to {owner}; nothing was sent")]
pub struct Stranger {
    port: u16,
    owner: String,
}

/// Opens connections.
#[derive(Debug)]
pub struct Trusted;

impl Connector for Trusted {
    type Out = Line;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Line>, Error> {
        let stream = first_of(&details.addrs)?;
        stream.set_nodelay(true)?;
        check(&stream)?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Line { stream, buffers }))
    }
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

fn check(stream: &TcpStream) -> Result<(), Error> {
    let address = stream.peer_addr()?;
    if !address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    let own = rustix::process::geteuid().as_raw();
    let port = address.port();
    match peer::server(stream) {
        Ok(owner) if owner == own || owner == ROOT => Ok(()),
        Ok(owner) => Err(Error::Other(Box::new(Stranger { port, owner: peer::named(owner) }))),
        Err(Unknown::Gone) => Err(Error::Io(ErrorKind::ConnectionReset.into())),
        Err(Unknown::NoAnswer(_)) => Ok(()),
    }
}

/// A connection to a server that is trusted.
#[derive(Debug)]
pub struct Line {
    stream: TcpStream,
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
        let silent = self.stream.set_nonblocking(true).and_then(|()| self.stream.peek(&mut [0]));
        let is_open = silent.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        is_open && self.stream.set_nonblocking(false).is_ok()
    }
}

fn late(error: std::io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    }
}
