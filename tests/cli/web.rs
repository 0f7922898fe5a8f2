//! *Purpose*: `downbeat web`.
//!
//! *Owns*: what it prints, and what it leaves for a desktop.
//!
//! *Promises*: no browser is opened here.
//!
//! *Not here*: what a code opens (`tests/http`), and how a browser uses it (`tests/browser`).

use crate::common::Server;
use crate::help::{call, client, finish};

cases! {
    web_prints_an_address_that_lets_a_browser_in_once => ["web"],
}

fn web_prints_an_address_that_lets_a_browser_in_once() {
    let server = Server::start();
    let socket = format!("unix:{}", server.data().join("downbeat.sock").display());
    for place in [&*server.url, &*socket] {
        // There is a desktop, but nothing that opens addresses there.
        let folder = server.dir.path();
        let mut web = client(&server, &["web", "--server", place]);
        web.env("DISPLAY", ":7").env("XDG_RUNTIME_DIR", folder).env("PATH", folder);
        let said = finish(web, "").ends(0);
        let code = said.out.trim().strip_prefix(&format!("{}/#code=", server.url));
        let code = code.unwrap_or_else(|| panic!("{said:?}"));
        assert!(said.err.contains("once, within a minute"), "{said:?}");
        let lead = std::fs::read_to_string(folder.join("downbeat-web.html")).unwrap();
        assert!(lead.contains(said.out.trim()), "{lead}");
        let bearer = format!("Bearer {code}");
        let exchange = || {
            let sent = [("authorization", &*bearer)];
            server.send("POST", "/api/v1/web/sessions", &sent, b"").status
        };
        assert_eq!((exchange(), exchange()), (201, 401));
    }
    std::fs::remove_file(server.dir.path().join("downbeat-web.html")).unwrap();
    let said = call(&server, &["web", "--json"]).ends(0).json();
    assert!(said["code"].is_string() && said["expires_at"].is_string(), "{said}");
    call(&server, &["web", "--no-open"]).ends(0);
    assert!(!server.dir.path().join("downbeat-web.html").exists());
}
