//! *Purpose*: where the server will listen.
//!
//! *Owns*: [`Reserved`], an address that is taken before anything is started; [`Local`], a socket
//! of this machine: in the data folder for its own user, or where all users look for it.
//!
//! *Promises*: a taken address is told with who answers there, as far as it can be known; nobody
//! can connect before the server is ready to answer; nothing but what a server has left there gives
//! way to a socket, and it stands in a folder in which nobody else could put another.
//!
//! *Not here*: whom it serves (`api::auth`).

use std::fs::{DirBuilder, Permissions};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
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

/// Who may connect to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenTo {
    /// Its own user.
    OwnUser,
    /// All users.
    All,
}

/// A socket of this machine, where nobody is answered yet.
pub(super) struct Local {
    socket: OwnedFd,
    /// Under this name it was made.
    made: PathBuf,
    path: PathBuf,
}

impl Local {
    /// Makes it beside its place; `None` where the name is longer than a socket's may be.
    ///
    /// # Errors
    /// When something else is there, another server answers there, or others could replace it.
    pub(super) fn at(path: &Path, to: OpenTo) -> Result<Option<Local>> {
        let shown = path.display();
        let folder = path.parent().unwrap_or(Path::new("/"));
        make_folder(folder, to)?;
        is_not_of_others(folder, path, to)?;
        is_free(path)?;
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
        let mode = if to == OpenTo::All { 0o666 } else { 0o600 };
        std::fs::set_permissions(&made, Permissions::from_mode(mode))
            .with_context(|| format!("cannot give the socket {shown} its mode"))?;
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

/// Makes the folder of a socket, if it is missing.
fn make_folder(folder: &Path, to: OpenTo) -> Result<()> {
    let mode = if to == OpenTo::All { 0o755 } else { 0o700 };
    let shown = folder.display();
    match DirBuilder::new().mode(mode).create(folder) {
        // Whatever the mask for new files takes away: users must reach the socket.
        Ok(()) => std::fs::set_permissions(folder, Permissions::from_mode(mode))
            .with_context(|| format!("cannot give the folder {shown} its mode")),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error).with_context(|| {
            format!("cannot make the folder {shown} of the socket; name another --socket")
        }),
    }
}

/// Sees to it that nobody else can put another socket in this one's place. All users must be able
/// to rely on the way there; the user of the server alone knows what he does with his own folder.
fn is_not_of_others(folder: &Path, path: &Path, to: OpenTo) -> Result<()> {
    let own = rustix::process::geteuid().as_raw();
    let folders = if to == OpenTo::All { folder.ancestors().count() } else { 1 };
    for above in folder.ancestors().take(folders) {
        let found = above.metadata();
        let found = found.with_context(|| format!("cannot look at {}", above.display()))?;
        // In a folder like /tmp nobody moves what is another's.
        let is_sticky = found.mode() & 0o1000 != 0 && above != folder;
        let is_open = found.mode() & 0o022 != 0 && !is_sticky;
        if !found.is_dir() || ![0, own].contains(&found.uid()) || is_open {
            bail!(
                "others could put a socket of theirs in the place of {}, since {} is not this \
                 user's alone; name another --socket",
                path.display(),
                above.display()
            );
        }
    }
    Ok(())
}

/// Refuses a place where another server answers.
fn is_free(path: &Path) -> Result<()> {
    let is_socket = path.symlink_metadata().is_ok_and(|found| found.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => {
            Err(error).with_context(|| format!("cannot look who is at {}", path.display()))
        }
        Ok(_) => {
            bail!("another server answers at {}; stop it, or name another --socket", path.display())
        }
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
