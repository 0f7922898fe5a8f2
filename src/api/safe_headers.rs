//! *Purpose*: what every answer tells a browser that it may not do.
//!
//! *Owns*: [`harden`], the policy of pages, and that of output of jobs.
//!
//! *Promises*: a header that a handler set itself stays; nothing is kept by a browser or a proxy
//! unless its handler says so; no answer runs a script that is not a file of this server's own.
//!
//! *Not here*: which web page may ask for what (`api::auth`).

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Scripts, sheets, images and requests of this server's own origin and nothing else; what becomes
/// HTML goes through the one policy of the pages' script (W3C Trusted Types).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types downbeat";

/// For what jobs wrote, which may look like a page: it is nobody's page, and runs nothing.
pub(super) const OF_OUTPUT: (HeaderName, HeaderValue) =
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));

/// What each answer has that says nothing else.
const ALWAYS: [(HeaderName, HeaderValue); 4] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Adds what is missing.
pub(super) fn harden(headers: &mut HeaderMap) {
    for (name, value) in ALWAYS {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_handler_said_stays_and_the_rest_is_added() {
        let mut headers = HeaderMap::new();
        let (name, value) = OF_OUTPUT;
        headers.insert(name.clone(), value.clone());
        harden(&mut headers);
        assert_eq!(headers.get(name), Some(&value));
        assert_eq!(headers.len(), ALWAYS.len());
    }
}
