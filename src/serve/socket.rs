//! *Purpose*: the address that the server will listen on.
//!
//! *Owns*: [`Reserved`], an address that is taken before anything is started.
//!
//! *Promises*: a taken address is told with who answers there, as far as it can be known; nobody
//! can connect before the server is ready to answer.
//!
//! *Not here*: whom it serves (`api::auth`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, anyhow};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, listen, socket_with, sockopt,
};

use crate::peer;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 2_048;
/// How this program's processes are called.
const OWN_NAME: &str = "downbeat";

/// An address that is ours, and where nobody is answered yet.
pub(super) struct Reserved {
    socket: OwnedFd,
    wanted: SocketAddr,
}

impl Reserved {
    /// Takes an address.
    pub(super) fn at(wanted: SocketAddr) -> Result<Reserved> {
        let family = if wanted.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let taken = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let taken = taken.and_then(|socket| {
            // As every server does: connections of the last one that are just ending do not count.
            sockopt::set_socket_reuseaddr(&socket, true)?;
            bind(&socket, &wanted)?;
            Ok(socket)
        });
        match taken {
            Ok(socket) => Ok(Reserved { socket, wanted }),
            Err(error) => Err(refused(wanted, error)),
        }
    }

    /// Where programs on this machine reach it.
    pub(super) fn url(&self) -> String {
        let own = getsockname(&self.socket).ok().and_then(|own| SocketAddr::try_from(own).ok());
        let mut own = own.unwrap_or(self.wanted);
        if own.ip().is_unspecified() {
            own.set_ip(match own {
                SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            });
        }
        format!("http://{own}")
    }

    /// Lets clients connect.
    pub(super) fn listen(self) -> Result<TcpListener> {
        listen(&self.socket, BACKLOG).map_err(|error| refused(self.wanted, error))?;
        let listener = TcpListener::from(self.socket);
        listener.set_nonblocking(true).context("cannot listen without blocking")?;
        Ok(listener)
    }
}

fn refused(wanted: SocketAddr, error: Errno) -> anyhow::Error {
    let why = match error {
        Errno::ADDRINUSE => who_answers(wanted),
        other => std::io::Error::from(other).to_string(),
    };
    anyhow!("cannot listen on {wanted}: {why}; choose another --listen")
}

fn who_answers(at: SocketAddr) -> String {
    let Ok(Some(socket)) = peer::listener(at) else { return "it is taken".to_owned() };
    let owner = peer::named(socket.owner);
    match peer::process_with(&socket) {
        Some((pid, name)) if name == OWN_NAME => {
            format!("another Downbeat answers there, process {pid} of {owner}")
        }
        Some((pid, name)) => format!("\"{name}\" answers there, process {pid} of {owner}"),
        None => format!("a process of {owner} answers there"),
    }
}
