//! *Purpose*: one Chromium, driven as a reader drives it.
//!
//! *Owns*: [`Browser`]: its chromedriver, its session, both ended when it goes.
//!
//! *Promises*: without Chromium a test says `SKIPPED` and why; a test that fails leaves a picture
//! of what was to be seen in `target/tmp/browser`.
//!
//! *Not here*: what is expected of pages.

use std::fmt::Display;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use thirtyfour::{ChromiumLikeCapabilities, DesiredCapabilities, WebDriver};
use tokio::runtime::{Builder, Runtime};

use crate::common::{Server, until};

/// The names that Debian and others give to the browser, and to what drives it.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// See [`BROWSERS`].
const DRIVERS: [&str; 2] = ["chromedriver", "chromium-driver"];

/// Keys of a keyboard that stand for no letter, as WebDriver has them.
pub const ENTER: &str = "\u{E007}";
/// See [`ENTER`].
pub const TAB: &str = "\u{E004}";
/// See [`ENTER`].
pub const ESCAPE: &str = "\u{E00C}";
/// See [`ENTER`].
pub const CONTROL: char = '\u{E009}';

/// A browser whose pages are a server's.
pub struct Browser {
    runtime: Runtime,
    driver: Option<WebDriver>,
    process: Child,
    name: String,
    base: String,
}

/// A program of one of these names.
fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let of = |name: &&str| folders.iter().map(|folder| folder.join(name)).find(|at| at.is_file());
    names.iter().find_map(of)
}

/// Where pictures are left.
pub fn pictures() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
    fs::create_dir_all(&folder).unwrap();
    folder
}

impl Browser {
    /// For this test, on this server; `None` where there is no Chromium, which is said.
    pub fn start(name: &str, server: &Server) -> Option<Browser> {
        let (Some(chromium), Some(driver)) = (program(&BROWSERS), program(&DRIVERS)) else {
            println!("SKIPPED {name}: there is no chromium with its chromedriver here");
            return None;
        };
        let mut process = Command::new(driver)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let started = "started successfully on port ";
        let port = lines.find_map(|line| {
            let line = line.unwrap();
            let (_, port) = line.split_once(started)?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let mut wanted = DesiredCapabilities::chrome();
        wanted.set_binary(chromium.to_str().unwrap()).unwrap();
        // A container has neither the sandbox's rights nor much shared memory.
        for flag in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage"] {
            wanted.add_arg(flag).unwrap();
        }
        wanted.add_arg("--window-size=1200,900").unwrap();
        let at = format!("http://127.0.0.1:{}", port.unwrap());
        let driver = runtime.block_on(WebDriver::new(at, wanted)).unwrap();
        let base = server.at("");
        Some(Browser { runtime, driver: Some(driver), process, name: name.to_owned(), base })
    }

    fn driver(&self) -> &WebDriver {
        self.driver.as_ref().unwrap()
    }

    /// Opens a page of the server.
    pub fn open(&self, path: &str) {
        self.runtime.block_on(self.driver().goto(format!("{}{path}", self.base))).unwrap();
    }

    /// Goes to a tab by its number, and puts it before the others.
    pub fn tab(&self, n: usize) {
        let go = async {
            let tabs = self.driver().windows().await?;
            self.driver().switch_to_window(tabs[n].clone()).await
        };
        self.runtime.block_on(go).unwrap();
        self.devtools("Page.bringToFront", json!({}));
    }

    /// What a script answers.
    pub fn js(&self, script: &str) -> Value {
        let answer = self.runtime.block_on(self.driver().execute(script, Vec::new()));
        answer.unwrap_or_else(|error| panic!("{script}: {error}")).json().clone()
    }

    /// Text that a script answers.
    pub fn text(&self, script: &str) -> String {
        self.js(script).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression holds.
    pub fn sees(&self, what: impl Display) {
        let what = what.to_string();
        until(&what, || match self.js(&format!("return Boolean({what})")) {
            Value::Bool(true) => Ok(()),
            _ => Err(self.text("return document.body.innerText")),
        });
    }

    /// Waits until the page has this text somewhere in this element.
    pub fn says(&self, element: &str, words: &str) {
        let words = Value::from(words);
        self.sees(format!("document.querySelector('{element}')?.innerText.includes({words})"));
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub fn keys(&self, keys: &str) {
        let keys = self.driver().action_chain().send_keys(keys);
        self.runtime.block_on(keys.perform()).unwrap();
    }

    /// Presses keys while another one is held down.
    pub fn chord(&self, held: char, keys: &str) {
        let keys = self.driver().action_chain().key_down(held).send_keys(keys).key_up(held);
        self.runtime.block_on(keys.perform()).unwrap();
    }

    /// Waits until a page is what it will be: its stream has begun, or it has none.
    pub fn settled(&self) {
        let live = "document.getElementById('live').innerText === 'Live'";
        self.sees(format!("document.body.hasAttribute('data-still') || {live}"));
    }

    /// Asks the browser itself.
    pub fn devtools(&self, command: &str, parameters: Value) -> Value {
        let answer = self.driver().cdp();
        self.runtime.block_on(answer.send_raw(command, parameters)).unwrap()
    }

    /// A window of this size, in dark or in light.
    pub fn looks(&self, (width, height): (u32, u32), theme: &str) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1,
            "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics);
        let theme = json!([{"name": "prefers-color-scheme", "value": theme}]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": theme}));
    }

    /// A picture of what is to be seen.
    pub fn picture(&self, name: &str) {
        let file = pictures().join(format!("{name}.png"));
        if let Ok(bytes) = self.runtime.block_on(self.driver().screenshot_as_png()) {
            fs::write(file, bytes).unwrap();
        }
    }

    /// Nothing was asked elsewhere, and nothing was refused by the page's own policy.
    pub fn is_clean(&self) {
        let base = Value::from(self.base.clone());
        let elsewhere = self.js(&format!(
            "return performance.getEntriesByType('resource').map((one) => one.name) \
             .filter((name) => !name.startsWith({base}) && !name.startsWith('blob:'))"
        ));
        assert_eq!(elsewhere, json!([]));
        let refused = self.js("return globalThis.refused ?? []");
        assert_eq!(refused, json!([]));
    }

    /// From now on, on each page that is opened, what its policy refuses is noted.
    pub fn notes_what_is_refused(&self) {
        let source = "globalThis.refused = []; addEventListener('securitypolicyviolation', \
            (event) => refused.push(`${event.violatedDirective} ${event.blockedURI}`)); \
            addEventListener('error', (event) => refused.push(String(event.message))); \
            addEventListener('unhandledrejection', (event) => refused.push(String(event.reason)));";
        self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({"source": source}));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.picture(&format!("failed-{}", self.name));
        }
        if let Some(driver) = self.driver.take() {
            let _ = self.runtime.block_on(driver.quit());
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
