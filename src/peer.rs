//! *Purpose*: who is at the other end of a connection on loopback.
//!
//! *Owns*: questions to the kernel's `sock_diag`; [`Ends`], a connection that was accepted.
//!
//! *Promises*: an answer is about the very connection that was asked for, or there is none: an
//! owner that is not known is never taken for somebody. Nobody's rights are needed to ask.
//!
//! *Not here*: who may do what (`api::auth`), whom the client trusts (`cli::trust`).
//!
//! **Two traps.** A socket that its owner has closed is reported as one of user 0 with inode 0. And
//! when a peer has reset a connection, the bytes that it sent can still be read while its port
//! is free for somebody else's connection to the same server. So a peer counts only while it has
//! an inode, and only if our own end, known by its inode from the moment it was accepted, is
//! still there after the peer was asked for.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

/// A user's number.
pub type Uid = u32;

/// `SOCK_DIAG_BY_FAMILY`, as question and as answer.
const BY_FAMILY: u16 = 20;
/// `NLMSG_ERROR`.
const ERROR: u16 = 2;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
/// `IPPROTO_TCP`.
const TCP: u8 = 6;
/// Bytes before a netlink message's own.
const HEAD: usize = 16;
/// Bytes of a question: head, `inet_diag_req_v2`.
const QUESTION: usize = HEAD + 56;
/// Where an answer has state, owner and inode (`inet_diag_msg`).
const STATE: usize = HEAD + 1;
const OWNER: usize = HEAD + 64;
const INODE: usize = HEAD + 68;
/// Bytes of an answer at least.
const ANSWER: usize = HEAD + 72;
/// `TCP_ESTABLISHED`, and `TCP_CLOSE_WAIT`: the peer sends no more, and still is who it was.
const ALIVE: [u8; 2] = [1, 8];
/// How often a connection that is just being accepted is looked at again.
const LOOKS: u32 = 8;

/// Why an owner is not known.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// This system does not say.
    #[error("this system does not tell whose a connection is (sock_diag: {0})")]
    NoAnswer(#[from] io::Error),
    /// The other end has gone, or it is somebody else's by now.
    #[error("the other end of the connection has gone")]
    Gone,
}

/// A socket, as the kernel describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Whose it is; of one without an inode nobody knows.
    pub owner: Uid,
    /// 0 of a socket that its owner has closed, or that nobody has accepted yet.
    pub inode: u32,
    state: u8,
}

/// The two ends of a connection that was accepted here.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    ours: SocketAddr,
    theirs: SocketAddr,
    inode: u32,
}

impl Ends {
    /// Those of an accepted connection.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn of(connection: impl AsFd, ours: SocketAddr, theirs: SocketAddr) -> io::Result<Ends> {
        // As many of its bits as the kernel tells of a socket.
        let inode = (rustix::fs::fstat(connection)?.st_ino & u64::from(u32::MAX)) as u32;
        Ok(Ends { ours, theirs, inode })
    }

    /// Whose the other end is.
    ///
    /// # Errors
    /// [`Unknown`].
    pub fn peer(&self) -> Result<Uid, Unknown> {
        let kernel = Kernel::reach()?;
        let peer = kernel.ask(self.theirs, self.ours)?.filter(|peer| peer.inode != 0);
        let own = kernel.ask(self.ours, self.theirs)?;
        let is_ours = |own: &Socket| own.inode == self.inode && ALIVE.contains(&own.state);
        match (peer, own.filter(is_ours)) {
            (Some(peer), Some(_)) => Ok(peer.owner),
            _ => Err(Unknown::Gone),
        }
    }
}

/// Whose the server is that a connection of ours has reached.
///
/// # Errors
/// [`Unknown`].
pub fn server(connection: &TcpStream) -> Result<Uid, Unknown> {
    let (ours, theirs) = (connection.local_addr()?, connection.peer_addr()?);
    let kernel = Kernel::reach()?;
    for _ in 0..LOOKS {
        let end = kernel.ask(theirs, ours)?.ok_or(Unknown::Gone)?;
        if end.inode != 0 {
            return Ok(end.owner);
        }
        // Not accepted yet: it is the listener's as long as it stays so, for when a listener goes,
        // what it did not accept is reset.
        let listener = listener(theirs)?;
        let still = kernel.ask(theirs, ours)?.ok_or(Unknown::Gone)?;
        if let (Some(listener), 0) = (listener, still.inode) {
            return Ok(listener.owner);
        }
    }
    Err(Unknown::Gone)
}

/// Who listens at an address of this machine.
///
/// # Errors
/// [`Unknown`], when this system does not say.
pub fn listener(at: SocketAddr) -> Result<Option<Socket>, Unknown> {
    let nobody: IpAddr = match at.ip() {
        IpAddr::V4(_) => [0, 0, 0, 0].into(),
        IpAddr::V6(_) => [0_u16; 8].into(),
    };
    Ok(Kernel::reach()?.ask(at, SocketAddr::new(nobody, 0))?.filter(|socket| socket.inode != 0))
}

/// Whether this system tells whose a connection is.
///
/// # Errors
/// Why not.
pub fn is_told() -> Result<(), Unknown> {
    let nobody = ([127, 0, 0, 1], 9).into();
    Kernel::reach()?.ask(nobody, nobody)?;
    Ok(())
}

/// The kernel, to be asked.
struct Kernel(OwnedFd);

impl Kernel {
    fn reach() -> io::Result<Kernel> {
        let (flags, kind) = (SocketFlags::CLOEXEC, SocketType::DGRAM);
        Ok(Kernel(socket_with(AddressFamily::NETLINK, kind, flags, Some(SOCK_DIAG))?))
    }

    /// The socket with these ends, `local` being its own.
    fn ask(&self, local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Socket>> {
        let question = question(local, remote);
        sendto(&self.0, &question, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        let mut answer = [0; 1024];
        // The answer is there before the question has returned; nothing is waited for.
        let (count, _) = recv(&self.0, &mut answer, RecvFlags::DONTWAIT)?;
        read(&answer[..count.min(answer.len())])
    }
}

/// The words of `nlmsghdr` and `inet_diag_req_v2`. A mapped address is one of IPv4.
fn question(local: SocketAddr, remote: SocketAddr) -> [u8; QUESTION] {
    let (near, far) = (local.ip().to_canonical(), remote.ip().to_canonical());
    let family: u8 = if near.is_ipv4() { 2 } else { 10 };
    let mut words = [0; QUESTION];
    let mut put = |at: usize, bytes: &[u8]| words[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &(QUESTION as u32).to_ne_bytes());
    put(4, &BY_FAMILY.to_ne_bytes());
    put(6, &REQUEST.to_ne_bytes());
    put(HEAD, &[family, TCP]);
    // In whatever state, with whatever cookie.
    put(HEAD + 4, &[0xFF; 4]);
    put(HEAD + 8, &local.port().to_be_bytes());
    put(HEAD + 10, &remote.port().to_be_bytes());
    for (at, address) in [(HEAD + 12, near), (HEAD + 28, far)] {
        match address {
            IpAddr::V4(address) => put(at, &address.octets()),
            IpAddr::V6(address) => put(at, &address.octets()),
        }
    }
    put(HEAD + 48, &[0xFF; 8]);
    words
}

fn read(answer: &[u8]) -> Result<Option<Socket>, io::Error> {
    let cut = || io::Error::other("an answer of netlink is cut");
    let word = |at: usize| -> io::Result<u32> {
        let bytes = answer.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_ne_bytes).ok_or_else(cut)
    };
    let kind = word(4)? as u16;
    match kind {
        ERROR => match -(word(HEAD)? as i32) {
            errno if errno == rustix::io::Errno::NOENT.raw_os_error() => Ok(None),
            errno => Err(io::Error::from_raw_os_error(errno)),
        },
        BY_FAMILY if answer.len() >= ANSWER => {
            let state = answer.get(STATE).copied().ok_or_else(cut)?;
            Ok(Some(Socket { owner: word(OWNER)?, inode: word(INODE)?, state }))
        }
        _ => Err(io::Error::other(format!("netlink answered with message {kind}"))),
    }
}

/// The process that has a socket open, and its name, among those that this user may look at.
#[must_use]
pub fn process_with(socket: &Socket) -> Option<(u32, String)> {
    let wanted = format!("socket:[{}]", socket.inode);
    let has = |folder: &std::path::Path| {
        let open = std::fs::read_dir(folder.join("fd")).ok()?;
        let mut links = open.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
        links.any(|link| link.as_os_str() == wanted.as_str()).then_some(())
    };
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        has(&entry.path())?;
        let name = std::fs::read_to_string(entry.path().join("comm")).ok()?;
        Some((pid, name.trim().to_owned()))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    fn pair(at: &str) -> (TcpListener, TcpStream, TcpStream, Ends) {
        let listener = TcpListener::bind(at).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, theirs) = listener.accept().unwrap();
        let ends = Ends::of(&accepted, accepted.local_addr().unwrap(), theirs).unwrap();
        (listener, client, accepted, ends)
    }

    #[test]
    fn both_ends_know_whose_the_other_one_is() {
        let me = rustix::process::geteuid().as_raw();
        for at in ["127.0.0.1:0", "[::1]:0", "[::ffff:127.0.0.1]:0"] {
            let (listening, client, _accepted, ends) = pair(at);
            assert_eq!(ends.peer().unwrap(), me, "{at}");
            assert_eq!(server(&client).unwrap(), me, "{at}");
            let at = listening.local_addr().unwrap();
            let found = listener(at).unwrap().unwrap();
            assert_eq!(found.owner, me);
            assert_eq!(process_with(&found).map(|(pid, _)| pid), Some(std::process::id()));
            // One that waits to be accepted is the listener's.
            assert_eq!(server(&TcpStream::connect(at).unwrap()).unwrap(), me);
        }
    }

    #[test]
    fn whoever_has_closed_or_reset_is_nobody() {
        let (_listener, client, _accepted, ends) = pair("127.0.0.1:0");
        drop(client);
        assert!(matches!(ends.peer(), Err(Unknown::Gone)));
        let (_listener, client, _accepted, ends) = pair("127.0.0.1:0");
        rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
        drop(client);
        assert!(matches!(ends.peer(), Err(Unknown::Gone)));
    }

    #[test]
    fn a_connection_that_has_taken_the_place_of_ours_is_not_ours() {
        let (_listener, _client, _accepted, ends) = pair("127.0.0.1:0");
        let other = Ends { inode: ends.inode + 1, ..ends };
        assert!(matches!(other.peer(), Err(Unknown::Gone)));
    }

    #[test]
    fn nobody_listens_at_a_port_that_is_free() {
        let at = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(listener(at).unwrap(), None);
        is_told().unwrap();
    }
}
