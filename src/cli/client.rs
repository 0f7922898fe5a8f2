//! *Purpose*: the HTTP client of the verbs.
//!
//! *Owns*: [`Connect`], [`Client`], and how long a server that restarts is asked again.
//!
//! *Promises*: a lost answer never doubles a job: a submit is sent again once at most, under
//! the same Idempotency-Key. No proxy, no redirect and no stranger at the port ever sees the token;
//! a server that does not answer is waited for a bounded time.
//!
//! *Not here*: what the answers mean (the verbs).

use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use ureq::unversioned::resolver::DefaultResolver;

use super::error::CliError;
use super::place::Place;
use super::print::remark;
use super::trust::{Stranger, Trusted};
use crate::api::wire::v1::{ArrayState, Job, JobId, JobRef};
use crate::config::Secret;

/// How long a verb that waits puts up with a server that is away.
const RETRY_BUDGET: Duration = Duration::from_secs(30);

/// A server that has not begun to answer by then is not going to.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// How long the rest of an answer may take: a long list over a slow line.
const COMPLETE_WITHIN: Duration = Duration::from_secs(120);

/// Says that the last lines of an output begin ahead of what was sent.
const TAIL_CUT: &str = "x-tail-cut";
/// Says what a cancel did.
const DID: &str = "x-cancel";
/// Says why an output is no file.
const ABSENT: &str = "x-output-absent";

/// Where the server is, and how it knows us.
#[derive(clap::Args, Clone, Debug)]
pub struct Connect {
    /// The server, as http://HOST:PORT or unix:PATH [default: your own server's socket, or else
    /// http://127.0.0.1:8000]
    #[arg(long, env = "DOWNBEAT_SERVER", value_name = "URL")]
    pub server: Option<String>,
    /// File that holds the token; DOWNBEAT_TOKEN holds it directly
    #[arg(long, env = "DOWNBEAT_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

impl Connect {
    /// As the variables say, where nobody can say more.
    #[must_use]
    pub fn from_environment() -> Connect {
        let said = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let server = said("DOWNBEAT_SERVER").map(|server| server.to_string_lossy().into_owned());
        Connect { server, token_file: said("DOWNBEAT_TOKEN_FILE").map(PathBuf::from) }
    }
}

/// A complete answer of a success.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub text: String,
    /// What a cancel did, in a word of the server.
    pub did: Option<String>,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// When this version does not understand it.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, CliError> {
        serde_json::from_str(&self.text).map_err(|error| {
            CliError::Other(format!("the server's answer is not understood: {error}"))
        })
    }
}

/// Bytes as they come.
pub struct Bytes<R> {
    /// Why there are none, in a word of the server.
    pub absent: Option<String>,
    /// The bytes.
    pub reader: R,
}

/// A client of one server.
#[derive(Clone, Debug)]
pub struct Client {
    agent: ureq::Agent,
    /// What requests begin with.
    root: String,
    /// The server, for people.
    server: String,
    token: Option<Secret>,
}

impl Client {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// When the address makes no sense or the token cannot be read.
    pub fn new(connect: &Connect) -> Result<Client, CliError> {
        let place = connect.server.as_deref().map_or_else(|| Ok(Place::usual()), Place::named)?;
        let token = token(connect)?;
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_send_body(Some(COMPLETE_WITHIN))
            .timeout_recv_response(Some(ANSWER_WITHIN))
            .timeout_recv_body(Some(COMPLETE_WITHIN))
            .user_agent(concat!("downbeat/", env!("CARGO_PKG_VERSION")))
            .build();
        let (root, server) = (place.root().to_owned(), place.to_string());
        let agent = ureq::Agent::with_parts(agent, Trusted(place), DefaultResolver::default());
        Ok(Client { agent, root, server, token })
    }

    /// The server's address.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Asks for `path` (below the server's root, with its query).
    ///
    /// # Errors
    /// See [`CliError`].
    pub fn get(&self, path: &str) -> Result<Answer, CliError> {
        self.complete(self.open(path, Some(ANSWER_WITHIN))?)
    }

    /// Asks for what is at `path`, unless it is still what it was under this tag; what it is now,
    /// and its tag.
    ///
    /// # Errors
    /// See [`CliError`].
    pub fn get_unless(
        &self,
        path: &str,
        tag: Option<&str>,
    ) -> Result<(Option<Answer>, Option<String>), CliError> {
        let mut request = self.agent.get(format!("{}{path}", self.root));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {}", token.reveal()));
        }
        if let Some(tag) = tag {
            request = request.header("If-None-Match", tag);
        }
        let response = request.call().map_err(|error| self.failed(error))?;
        let newer = response.headers().get("etag").and_then(|tag| tag.to_str().ok());
        let newer = newer.map(str::to_owned);
        if response.status().as_u16() == 304 {
            return Ok((None, newer));
        }
        Ok((Some(self.complete(response)?), newer))
    }

    /// The same of a question that the server answers within `patience`, when something has
    /// happened or at the end of it.
    ///
    /// # Errors
    /// See [`CliError`].
    pub fn get_within(&self, path: &str, patience: Duration) -> Result<Answer, CliError> {
        self.complete(self.open(path, Some(patience + ANSWER_WITHIN))?)
    }

    /// One job.
    ///
    /// # Errors
    /// See [`CliError`].
    pub fn job(&self, id: impl Into<JobRef>) -> Result<(Job, String), CliError> {
        let id = id.into();
        let answer = self.get(&format!("/api/v1/jobs/{id}"))?;
        Ok((answer.parse()?, answer.text))
    }

    /// An array as a whole.
    ///
    /// # Errors
    /// See [`CliError`].
    pub fn array(&self, id: JobId) -> Result<ArrayState, CliError> {
        self.get(&format!("/api/v1/jobs/{id}/array"))?.parse()
    }

    /// Sends `body` to `path`.
    ///
    /// # Errors
    /// See [`CliError`].
    pub fn post(&self, path: &str, body: &str, key: Option<&str>) -> Result<Answer, CliError> {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.root))
            .header("Content-Type", "application/json");
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {}", token.reveal()));
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        self.complete(request.send(body).map_err(|error| self.failed(error))?)
    }

    /// Takes away what is at `path`.
    ///
    /// # Errors
    /// See [`CliError`].
    pub fn delete(&self, path: &str) -> Result<Answer, CliError> {
        let mut request = self.agent.delete(format!("{}{path}", self.root));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {}", token.reveal()));
        }
        self.complete(request.call().map_err(|error| self.failed(error))?)
    }

    /// Changes what is at `path`.
    ///
    /// # Errors
    /// See [`CliError`].
    pub fn patch(&self, path: &str, body: &str) -> Result<Answer, CliError> {
        self.with_body(self.agent.patch(format!("{}{path}", self.root)), body)
    }

    /// Puts this at `path`.
    ///
    /// # Errors
    /// See [`CliError`].
    pub fn put(&self, path: &str, body: &str) -> Result<Answer, CliError> {
        self.with_body(self.agent.put(format!("{}{path}", self.root)), body)
    }

    fn with_body(
        &self,
        request: ureq::RequestBuilder<ureq::typestate::WithBody>,
        body: &str,
    ) -> Result<Answer, CliError> {
        let mut request = request.header("Content-Type", "application/json");
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {}", token.reveal()));
        }
        self.complete(request.send(body).map_err(|error| self.failed(error))?)
    }

    /// Submits a job. When the connection breaks before the answer is here, nobody knows
    /// whether the job was stored; the same key asks for the same job again.
    ///
    /// # Errors
    /// See [`CliError`].
    pub fn submit(&self, body: &str, key: &str) -> Result<Answer, CliError> {
        let path = "/api/v1/jobs";
        match self.post(path, body, Some(key)) {
            Err(CliError::Broken { .. }) => {}
            done => return done,
        }
        self.post(path, body, Some(key)).map_err(|error| match error {
            CliError::Unreachable { server, cause } | CliError::Broken { server, cause } => {
                CliError::Lost { server, cause, key: key.to_owned() }
            }
            other => other,
        })
    }

    /// The bytes of `path` as they come.
    ///
    /// # Errors
    /// See [`CliError`].
    pub fn stream(&self, path: &str) -> Result<Bytes<impl Read + use<>>, CliError> {
        // The first byte may be hours away: a job that waits has written nothing.
        let response = self.open(path, None)?;
        self.is_ours(&response)?;
        if response.status().is_success() {
            let said = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
            if let Some(cut) = said(TAIL_CUT) {
                remark(&format!("downbeat: the output {cut}"));
            }
            let absent = said(ABSENT).map(str::to_owned);
            return Ok(Bytes { absent, reader: response.into_body().into_reader() });
        }
        match self.complete(response) {
            Err(error) => Err(error),
            Ok(answer) => Err(CliError::from_answer(answer.status, &answer.text)),
        }
    }

    fn open(
        &self,
        path: &str,
        within: Option<Duration>,
    ) -> Result<ureq::http::Response<ureq::Body>, CliError> {
        let request = self.agent.get(format!("{}{path}", self.root));
        let whole = within.map(|_| COMPLETE_WITHIN);
        let config = request.config().timeout_recv_response(within).timeout_recv_body(whole);
        let mut request = config.build();
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {}", token.reveal()));
        }
        request.call().map_err(|error| self.failed(error))
    }

    fn complete(&self, mut response: ureq::http::Response<ureq::Body>) -> Result<Answer, CliError> {
        self.is_ours(&response)?;
        let status = response.status().as_u16();
        let did = response.headers().get(DID).and_then(|did| did.to_str().ok()).map(str::to_owned);
        let body = response.body_mut().with_config().limit(u64::MAX).lossy_utf8(true);
        let text = body.read_to_string().map_err(|error| self.failed(error))?;
        if (200..300).contains(&status) {
            Ok(Answer { status, text, did })
        } else {
            Err(CliError::from_answer(status, &text))
        }
    }

    /// Whether this may be an answer of a server of ours, which sends nobody a page that asks for
    /// JSON, and leads nobody elsewhere.
    fn is_ours(&self, response: &ureq::http::Response<ureq::Body>) -> Result<(), CliError> {
        let status = response.status();
        let said = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let page = said("content-type").is_some_and(|kind| kind.starts_with("text/html"));
        // Whoever stands between us and a server that restarts says so with a page of his own.
        let may_pass = matches!(status.as_u16(), 502..=504);
        if may_pass || !(page || status.is_redirection()) {
            return Ok(());
        }
        let what = if page { "a web page" } else { "the address of another server" };
        let who = said("server").map(|server| format!(" of {server}")).unwrap_or_default();
        let cause = format!(
            "what answers there is no Downbeat server: it sent {what}{who} (status {})",
            status.as_u16()
        );
        Err(CliError::Stranger { server: self.server.clone(), cause })
    }

    fn failed(&self, error: ureq::Error) -> CliError {
        use std::io::ErrorKind;
        let (server, cause) = (self.server.clone(), error.to_string());
        match error {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                CliError::Usage(format!("--server {server} makes no address: {cause}"))
            }
            ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
                CliError::Unreachable { server, cause }
            }
            ureq::Error::Io(io)
                if matches!(
                    io.kind(),
                    ErrorKind::ConnectionRefused
                        | ErrorKind::HostUnreachable
                        | ErrorKind::NetworkUnreachable
                        | ErrorKind::AddrNotAvailable
                ) =>
            {
                CliError::Unreachable { server, cause: io.to_string() }
            }
            ureq::Error::Other(other) if other.is::<Stranger>() => {
                CliError::Stranger { server, cause: other.to_string() }
            }
            ureq::Error::Timeout(ureq::Timeout::RecvResponse) => {
                let seconds = ANSWER_WITHIN.as_secs();
                CliError::Broken { server, cause: format!("no answer in {seconds} s") }
            }
            _ => CliError::Broken { server, cause },
        }
    }
}

/// A flag beats `DOWNBEAT_TOKEN` beats `DOWNBEAT_TOKEN_FILE`.
fn token(connect: &Connect) -> Result<Option<Secret>, CliError> {
    let from_variable = std::env::var_os("DOWNBEAT_TOKEN_FILE")
        .is_some_and(|value| Some(PathBuf::from(value)) == connect.token_file);
    let direct = std::env::var("DOWNBEAT_TOKEN").ok().filter(|t| !t.trim().is_empty());
    let token = match (&connect.token_file, direct) {
        (Some(path), direct)
            if !path.as_os_str().is_empty() && (!from_variable || direct.is_none()) =>
        {
            Secret::read(path).map_err(|message| format!("--token-file: {message}")).map(Some)
        }
        (_, Some(text)) => {
            Secret::new(&text).map_err(|message| format!("DOWNBEAT_TOKEN {message}")).map(Some)
        }
        _ => Ok(None),
    };
    token.map_err(CliError::Usage)
}

/// A query string, percent-encoded; empty without pairs.
#[must_use]
pub fn query(pairs: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (index, (name, value)) in pairs.iter().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    text.push(char::from(byte));
                }
                _ => text.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    text
}

/// How long to go on asking a server that is away: jobs outlive their server, so those who
/// wait for one outlive it too.
#[derive(Debug)]
pub struct RetryBudget {
    since: Option<Instant>,
    limit: Duration,
}

impl Default for RetryBudget {
    fn default() -> RetryBudget {
        RetryBudget { since: None, limit: RETRY_BUDGET }
    }
}

impl RetryBudget {
    /// The server answered.
    pub fn refresh(&mut self) {
        self.since = None;
    }

    /// Waits a moment before the next attempt.
    ///
    /// # Errors
    /// Gives `error` back when it is of the lasting kind, or the budget is spent.
    pub fn spend(&mut self, error: CliError) -> Result<(), CliError> {
        let now = crate::clock::monotonic();
        let since = *self.since.get_or_insert(now);
        if !error.is_transient() || now.duration_since(since) > self.limit {
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(250));
        Ok(())
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
pub(super) mod tests;
