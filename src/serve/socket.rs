//! *Purpose*: where the server will listen.
//!
//! *Owns*: [`Reserved`], an address that is taken before anything is started; [`Local`], the socket
//! in the data folder.
//!
//! *Promises*: a taken address is told with who answers there, as far as it can be known; nobody
//! can connect before the server is ready to answer; nothing but what a server has left there gives
//! way to the socket, which is its user's alone.
//!
//! *Not here*: whom it serves (`api::auth`).

use std::fs::Permissions;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, getsockname, listen, socket_with,
    sockopt,
};

use crate::peer;
use crate::people;

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

/// The socket in the data folder, where nobody is answered yet. The folder is this user's alone,
/// and its lock is held.
pub(super) struct Local {
    socket: OwnedFd,
    /// Under this name it was made.
    made: PathBuf,
    path: PathBuf,
}

impl Local {
    /// Makes it beside its place; `None` where the name is longer than a socket's may be.
    pub(super) fn at(path: &Path) -> Result<Option<Local>> {
        let shown = path.display();
        let found = path.symlink_metadata().map(|found| found.file_type());
        if found.is_ok_and(|found| !found.is_socket()) {
            bail!("{shown} is no socket, and this server would listen there; move it away");
        }
        let made = path.with_file_name(format!(".{}", std::process::id()));
        let (Ok(address), Ok(_)) = (SocketAddrUnix::new(&made), SocketAddrUnix::new(path)) else {
            log::warn!(
                "{shown} is too long a name for a socket; this server is asked over TCP only"
            );
            return Ok(None);
        };
        // Of a server that had the same number and was killed just here.
        let _none = std::fs::remove_file(&made);
        let (kind, flags) = (SocketType::STREAM, SocketFlags::CLOEXEC);
        let socket = socket_with(AddressFamily::UNIX, kind, flags, None)
            .and_then(|socket| bind(&socket, &address).map(|()| socket))
            .with_context(|| format!("cannot make the socket {shown}"))?;
        std::fs::set_permissions(&made, Permissions::from_mode(0o600))
            .with_context(|| format!("cannot close the socket {shown} to others"))?;
        Ok(Some(Local { socket, made, path: path.to_owned() }))
    }

    /// Lets clients connect, in the place of what the last server left.
    pub(super) fn listen(self) -> Result<UnixListener> {
        let shown = self.path.display();
        listen(&self.socket, BACKLOG).with_context(|| format!("cannot listen on {shown}"))?;
        std::fs::rename(&self.made, &self.path)
            .with_context(|| format!("cannot put the socket at {shown}"))?;
        let listener = UnixListener::from(self.socket);
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
    let owner = people::named(socket.owner);
    match peer::process_with(&socket) {
        Some((pid, name)) if name == OWN_NAME => {
            format!("another Downbeat answers there, process {pid} of {owner}")
        }
        Some((pid, name)) => format!("\"{name}\" answers there, process {pid} of {owner}"),
        None => format!("a process of {owner} answers there"),
    }
}
