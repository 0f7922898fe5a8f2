//! *Purpose*: the names under which a server is known outside, as a proxy passes them on.
//!
//! *Owns*: [`PublicHost`].
//!
//! *Promises*: it is one name, and perhaps a port; a URL or a pattern is refused.
//!
//! *Not here*: which requests may bear it (`api::auth`).

use super::error::ConfigError;
use super::resolve::Resolver;

/// Longest name of a host, RFC 1035.
const NAME_BYTES_MAX: usize = 253;

/// A name under which browsers and other clients know the server, as it stands in their address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicHost {
    authority: String,
}

impl PublicHost {
    /// Reads `NAME` or `NAME:PORT`.
    ///
    /// # Errors
    /// A sentence for whoever wrote it.
    pub fn parse(text: &str) -> Result<PublicHost, String> {
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let is_name =
            !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(is_plain);
        let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        if is_name && is_port {
            return Ok(PublicHost { authority: text.to_ascii_lowercase() });
        }
        Err(format!("\"{text}\" is no name of a host; write NAME or NAME:PORT, without http://"))
    }

    /// Whether a request with this `Host` is for it. Some proxies leave the port out.
    #[must_use]
    pub fn is_host(&self, host: &str) -> bool {
        let name = self.authority.split(':').next().unwrap_or_default();
        host.eq_ignore_ascii_case(&self.authority) || host.eq_ignore_ascii_case(name)
    }

    /// Whether a page of this origin, its scheme taken away, is its own.
    #[must_use]
    pub fn is_origin(&self, origin: &str) -> bool {
        origin.eq_ignore_ascii_case(&self.authority)
    }
}

impl Resolver<'_> {
    /// The names, of the first door that has any.
    pub(super) fn public_hosts(
        &mut self,
        flag: &[String],
        file: &[String],
    ) -> Result<Vec<PublicHost>, ConfigError> {
        let read = |text: &String| PublicHost::parse(text);
        let texts = self.list("public_host", ",", (flag, file));
        let hosts: Result<Vec<PublicHost>, String> = texts.iter().map(read).collect();
        hosts.map_err(|message| self.wrong("public_host", message))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_and_perhaps_a_port() {
        let plain = PublicHost::parse("Batch.example.org").unwrap();
        assert!(plain.is_host("batch.example.org") && plain.is_host("BATCH.EXAMPLE.ORG"));
        assert!(plain.is_origin("batch.example.org") && !plain.is_origin("batch.example.org:8443"));
        assert!(!plain.is_host("batch.example.org.evil.example") && !plain.is_host(""));
        let with_port = PublicHost::parse("batch.example.org:8443").unwrap();
        assert!(
            with_port.is_host("batch.example.org") && with_port.is_host("batch.example.org:8443")
        );
        assert!(!with_port.is_host("batch.example.org:9"));
        assert!(with_port.is_origin("batch.example.org:8443"));
        assert!(!with_port.is_origin("batch.example.org"));
        let long = "x".repeat(254);
        for bad in ["", "https://x", "*.x", "x y", "x/y", "x:", "x:0", "x:y", "x:70000", &long] {
            assert!(PublicHost::parse(bad).is_err(), "{bad}");
        }
    }
}
