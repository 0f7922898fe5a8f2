//! *Purpose*: the frame of every page, and the files that pages are made of.
//!
//! *Owns*: [`Shell`], `/assets/{file}`.
//!
//! *Promises*: a file's name has the hash of what is in it, so a browser keeps it for good and asks
//! for another one after an update; a frame for somebody who is not known holds no data, not even
//! the name of this machine.
//!
//! *Not here*: what stands in a page.

use std::io::Write;
use std::sync::LazyLock;

use actix_web::http::header::{self, AcceptEncoding, Header};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use flate2::Compression;
use flate2::write::GzEncoder;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::api::App;
use crate::api::reads::Caller;

/// Bytes of a hash in a file's name: two versions in a row must differ.
const HASH_BYTES: usize = 6;
/// A year: what it is called changes with it.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";
/// The pages that every page leads to.
const NAV: [(&str, &str); 5] = [
    ("/", "Overview"),
    ("/jobs", "Jobs"),
    ("/submit", "Submit"),
    ("/usage", "Usage"),
    ("/admin", "Admin"),
];

/// One file.
struct Asset {
    path: String,
    kind: &'static str,
    plain: &'static [u8],
    gzip: Vec<u8>,
}

impl Asset {
    fn new((stem, ending): (&str, &str), kind: &'static str, plain: &'static [u8]) -> Asset {
        let hash = Sha256::digest(plain);
        let hash: String = hash.iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}")).collect();
        Asset {
            path: format!("/assets/{stem}-{hash}.{ending}"),
            kind,
            plain,
            gzip: packed(plain).unwrap_or_default(),
        }
    }
}

/// Packed in memory; what cannot be packed is sent as it is.
fn packed(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut to = GzEncoder::new(Vec::new(), Compression::best());
    to.write_all(plain)?;
    to.finish()
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(("style", "css"), "text/css; charset=utf-8", include_bytes!("assets/style.css"))
});
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(("app", "js"), "text/javascript; charset=utf-8", include_bytes!("assets/app.js"))
});

static ICON: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(("icon", "svg"), "image/svg+xml", include_bytes!("assets/icon.svg"))
});

/// `GET /assets/{file}`.
pub async fn asset(request: HttpRequest) -> HttpResponse {
    let mut all = [&*STYLE, &*SCRIPT, &*ICON].into_iter();
    let Some(asset) = all.find(|asset| asset.path == request.path()) else {
        return HttpResponse::NotFound().content_type("text/plain").body("there is no such file\n");
    };
    let mut answer = HttpResponse::Ok();
    answer
        .content_type(asset.kind)
        .insert_header((header::CACHE_CONTROL, FOR_GOOD))
        .insert_header((header::VARY, "Accept-Encoding"));
    let accept = AcceptEncoding::parse(&request).ok();
    let takes =
        accept.is_some_and(|accept| accept.iter().any(|one| one.to_string().starts_with("gzip")));
    if takes && !asset.gzip.is_empty() {
        answer.insert_header((header::CONTENT_ENCODING, "gzip"));
        return answer.body(web::Bytes::from_static(&asset.gzip));
    }
    answer.body(web::Bytes::from_static(asset.plain))
}

/// What stands around every page.
#[derive(Clone, Debug)]
pub struct Shell {
    /// The page's title.
    pub title: String,
    /// The machine's name; empty in a frame.
    pub host: String,
    /// Who looks; empty in a frame.
    pub user: String,
    /// The page's own address, path and query, which its stream is asked for by.
    pub view: String,
    /// The file of the sheet.
    pub style: &'static str,
    /// The file of the script.
    pub script: &'static str,
    /// The file of the icon.
    pub icon: &'static str,
    /// Whether no stream keeps it right.
    pub still: bool,
}

/// A page that its stream fills.
#[derive(Template)]
#[template(path = "frame.html")]
pub struct Frame {
    shell: Shell,
}

/// Where a token is given.
#[derive(Template)]
#[template(path = "login.html")]
pub struct Login {
    shell: Shell,
}

impl Shell {
    /// Around a page for somebody, or around nothing.
    #[must_use]
    pub fn new(app: &App, caller: Option<&Caller>, view: &str, what: &str) -> Shell {
        let host = caller.map(|_| app.host.clone()).unwrap_or_default();
        let title = match (what, host.as_str()) {
            ("", "") => "Downbeat".to_owned(),
            ("", host) => format!("{host} · Downbeat"),
            (what, _) => format!("{what} · Downbeat"),
        };
        Shell {
            title,
            host,
            user: caller.map(|caller| caller.who.name.to_string()).unwrap_or_default(),
            view: view.to_owned(),
            style: &STYLE.path,
            script: &SCRIPT.path,
            icon: &ICON.path,
            still: false,
        }
    }

    /// Around a page that nothing changes.
    #[must_use]
    pub fn still(self) -> Shell {
        Shell { still: true, ..self }
    }

    /// The page without anything in it.
    #[must_use]
    pub fn frame(self) -> Frame {
        Frame { shell: self }
    }

    /// The page that asks for a token.
    #[must_use]
    pub fn login(self) -> Login {
        Login { shell: self.still() }
    }

    pub(super) fn is_frame(&self) -> bool {
        self.host.is_empty() && !self.still
    }

    pub(super) fn nav(&self) -> &'static [(&'static str, &'static str)] {
        &NAV
    }

    pub(super) fn is_at(&self, path: &str) -> bool {
        self.view.split('?').next().is_some_and(|own| own == path)
    }
}

/// A value of a query.
#[must_use]
pub fn encoded(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}
