//! *Purpose*: where the server is.
//!
//! *Owns*: [`Place`], and the places that are tried when none is named.
//!
//! *Promises*: a place that is named is the only one; otherwise the socket of the machine's server
//! comes first, then that of the caller's own, then the usual port.
//!
//! *Not here*: whose server it is (`cli::trust`).

use std::fmt::{self, Display, Formatter};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use super::error::CliError;
use crate::config::people::SYSTEM_SOCKET;
use crate::config::{SOCKET, usual_data_dir};

/// Where a server listens that was told nothing else.
pub const USUAL: &str = "http://127.0.0.1:8000";
/// Before the path of a socket.
const UNIX: &str = "unix:";

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At an address, as `http://HOST:PORT`.
    Http(String),
    /// At a socket of this machine.
    Socket(PathBuf),
}

impl Place {
    /// The one that is named: `unix:PATH` or `http://HOST:PORT`; a bare `HOST:PORT` is understood.
    ///
    /// # Errors
    /// When it makes no sense.
    pub fn named(text: &str) -> Result<Place, CliError> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix(UNIX) {
            if path.is_empty() {
                let message = format!("--server {text} names no socket; write unix:PATH");
                return Err(CliError::Usage(message));
            }
            return Ok(Place::Socket(path.into()));
        }
        let text = text.trim_end_matches('/');
        if text.starts_with("https://") {
            return Err(CliError::Usage(format!(
                "--server {text}: this client speaks no TLS; use http:// over a tunnel (ssh -L)"
            )));
        }
        if text.is_empty() {
            let message = "--server is empty; write http://HOST:PORT or unix:PATH";
            return Err(CliError::Usage(message.to_owned()));
        }
        let url = if text.starts_with("http://") { text.into() } else { format!("http://{text}") };
        Ok(Place::Http(url))
    }

    /// The one that is meant when none is named.
    #[must_use]
    pub fn usual() -> Place {
        let folder = usual_data_dir(rustix::process::geteuid().is_root());
        let own = folder.map(|folder| folder.join(SOCKET));
        let mut sockets = [Some(PathBuf::from(SYSTEM_SOCKET)), own].into_iter().flatten();
        match sockets.find(|path| UnixStream::connect(path).is_ok()) {
            Some(path) => Place::Socket(path),
            None => Place::Http(USUAL.to_owned()),
        }
    }

    /// What requests begin with. Over a socket no name is looked up.
    #[must_use]
    pub fn root(&self) -> &str {
        match self {
            Place::Http(url) => url,
            Place::Socket(_) => "http://127.0.0.1",
        }
    }
}

impl Display for Place {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Place::Http(url) => out.write_str(url),
            Place::Socket(path) => write!(out, "{UNIX}{}", path.display()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_its_address_or_its_socket() {
        let http = |url: &str| Place::Http(url.to_owned());
        for (text, place) in [
            ("http://big:8000/", http("http://big:8000")),
            (" big:8000 ", http("http://big:8000")),
            ("unix:/run/x.sock", Place::Socket("/run/x.sock".into())),
            ("unix:x.sock", Place::Socket("x.sock".into())),
        ] {
            assert_eq!(Place::named(text).unwrap(), place, "{text}");
        }
        assert_eq!(Place::named("unix:/run/x.sock").unwrap().to_string(), "unix:/run/x.sock");
        for (text, said) in [("", "is empty"), ("unix:", "unix:PATH"), ("https://x", "no TLS")] {
            let refused = Place::named(text).unwrap_err().to_string();
            assert!(refused.contains(said), "{text}: {refused}");
        }
    }
}
