//! *Purpose*: settings that are read again while the server runs.
//!
//! *Owns*: [`Settings`], those in force; which of them may change.
//!
//! *Promises*: settings that cannot be read, or that the kernel refuses, leave all of the old ones
//! in force, and the log says why; one that differs and needs a restart is named.
//!
//! *Not here*: reading settings (`config`), the signal (`serve::signals`), what other rules do to
//! jobs (`kernel::commands::reconfigure`).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix::Recipient;
use tokio::sync::{Mutex, oneshot, watch};

use crate::actors::dials::Dials;
use crate::actors::messages::Reconfigure;
use crate::api::wire::report::SettingValue;
use crate::api::{InForce, Live};
use crate::config::people::Mode;
use crate::config::{Config, ConfigError, ServeArgs, Setting};
use crate::kernel::admission::Site;
use crate::peer;

/// Settings that are in force as soon as they are read. All others are built in at start.
const LIVE: [&str; 17] = [
    "people",
    "token",
    "token_file",
    "admin_token",
    "admin_token_file",
    "default_time_limit",
    "max_time_limit",
    "kill_grace",
    "default_memory_per_cpu",
    "partition",
    "account",
    "user",
    "priority",
    "policy",
    "finish_time",
    "max_output",
    "retention",
];

/// How long they may take to be read: longer than a name that is looked up.
const READ_WAIT: Duration = Duration::from_secs(30);

/// The settings of a running server.
pub(super) struct Settings {
    args: ServeArgs,
    /// What the server was started with; what needs a restart is compared with that.
    started: Vec<Setting>,
    /// Who decides by them.
    reconfigure: Recipient<Reconfigure>,
    in_force: watch::Sender<Arc<Live>>,
    /// Held while they are read.
    reads: Arc<Mutex<()>>,
}

impl Settings {
    /// Those it is started with.
    pub(super) fn new(
        args: &ServeArgs,
        config: &Config,
        in_force: watch::Sender<Arc<Live>>,
        reconfigure: Recipient<Reconfigure>,
    ) -> Settings {
        let started = config.effective().to_vec();
        Settings { args: args.clone(), started, reconfigure, in_force, reads: Arc::default() }
    }

    /// Where they are read.
    pub(super) fn in_force(&self) -> InForce {
        self.in_force.subscribe()
    }

    /// Reads them again.
    pub(super) async fn read_again(&self) {
        match tokio::time::timeout(READ_WAIT, self.read()).await {
            Ok(Ok(read)) => self.take(read).await,
            Ok(Err(error)) => log::error!("The settings stay as they were: {error}"),
            Err(_) => log::error!(
                "The settings stay as they were: their files did not answer in {} s",
                READ_WAIT.as_secs()
            ),
        }
    }

    /// Reads them on a thread of its own, which no end of the server waits for: files may hang, and
    /// the name to listen on is looked up. There is one such thread at a time.
    async fn read(&self) -> io::Result<Result<Config, ConfigError>> {
        let reads = Arc::clone(&self.reads).try_lock_owned();
        let reads = reads.map_err(|_| io::Error::other("an earlier read of them still waits"))?;
        let (args, (done, read)) = (self.args.clone(), oneshot::channel());
        let load = move || {
            let read = Config::load(&args);
            drop(reads);
            let _too_late_if_not = done.send(read);
        };
        std::thread::Builder::new().name("settings".to_owned()).spawn(load)?;
        read.await.map_err(io::Error::other)
    }

    async fn take(&self, read: Result<Config, ConfigError>) {
        let config = match read {
            Ok(config) => config,
            Err(error) => return log::error!("The settings stay as they were: {error}"),
        };
        let before = Arc::clone(&self.in_force.borrow());
        let mut next = live(&config, site(&config, &before.site));
        let stale = stale(&self.started, config.effective());
        if next.people.mode != before.people.mode {
            log::error!("Whom the server serves stays as it was: that needs a restart");
            next.people = Arc::clone(&before.people);
        }
        for name in &stale {
            // `/info` goes on to tell what is in force.
            if let Some(old) = before.configuration.get(*name) {
                next.configuration.insert((*name).to_owned(), old.clone());
            }
        }
        let message = Reconfigure { rules: config.rules(), dials: dials(&config) };
        match self.reconfigure.send(message).await {
            Ok(Ok(())) => {}
            Ok(Err(refused)) => {
                return log::error!(
                    "The settings stay as they were: in the settings file, {refused}"
                );
            }
            Err(gone) => return log::error!("The settings stay as they were: {gone}"),
        }
        self.in_force.send_replace(Arc::new(next));
        log::info!("The settings were read again: {} are in force at once", LIVE.join(", "));
        if !stale.is_empty() {
            log::warn!("Changed, and in force only after a restart: {}", stale.join(", "));
        }
    }
}

/// Those that a server is started with, which others may become.
pub(super) fn in_force(config: &Config) -> watch::Sender<Arc<Live>> {
    watch::Sender::new(Arc::new(live(config, config.site())))
}

/// What of the settings the actors look up.
pub(super) fn dials(config: &Config) -> Dials {
    Dials {
        policy: config.policy,
        finish_s: config.finish_s,
        max_output: config.max_output,
        keep_s: config.retention_s,
    }
}

/// The parts of a site that may change, beside those that stay.
fn site(config: &Config, before: &Site) -> Site {
    let read = config.site();
    let mut site = before.clone();
    site.default_limit_s = read.default_limit_s;
    site.max_limit_s = read.max_limit_s;
    site.kill_grace_s = read.kill_grace_s;
    site.memory.per_cpu = read.memory.per_cpu;
    site.partitions = read.partitions;
    site.accounts = read.accounts;
    site.users = read.users;
    site
}

/// The settings that differ from those at start and need a restart.
fn stale<'a>(started: &[Setting], read: &'a [Setting]) -> Vec<&'a str> {
    let was = |name: &str| started.iter().find(|s| s.name == name).map(|s| s.value.as_str());
    let differ = read.iter().filter(|s| was(s.name) != Some(&s.value));
    differ.map(|s| s.name).filter(|name| !LIVE.contains(name)).collect()
}

fn live(config: &Config, site: Site) -> Live {
    let configuration = config.effective().iter().map(|s| {
        let source = s.source.word().to_owned();
        (s.name.to_owned(), SettingValue { value: s.value.clone(), source })
    });
    Live {
        site,
        policy: config.policy,
        token: config.token.clone(),
        admin_token: config.admin_token.clone(),
        people: Arc::new(config.people.clone()),
        configuration: configuration.collect(),
        notes: notes(config),
    }
}

/// What a user should know, besides what the settings themselves say.
fn notes(config: &Config) -> Vec<String> {
    let mut notes = config.warnings();
    if config.people.mode == Mode::System {
        let socket = config.people.socket.display();
        notes.push(format!("Every user of this machine is served at unix:{socket}."));
    } else if config.token.is_none() {
        notes.push(match peer::is_told() {
            Ok(()) => "Without a token only the server's own user and root are served.".to_owned(),
            Err(why) => {
                let note = format!("A token is needed to be served: {why}.");
                log::warn!("{note}");
                note
            }
        });
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;

    #[test]
    fn what_needs_a_restart_is_named_and_what_does_not_is_not() {
        let setting =
            |name, value: &str| Setting { name, value: value.to_owned(), source: Origin::File };
        let started = [setting("cpus", "4"), setting("kill_grace", "30s"), setting("tick", "5s")];
        let read = [setting("cpus", "8"), setting("kill_grace", "1s"), setting("tick", "5s")];
        assert_eq!(stale(&started, &read), ["cpus"]);
    }
}
