//! *Purpose*: every setting of a server, read once: flags, then environment, then file, then
//! defaults.
//!
//! *Owns*: [`Config`] and where each of its values came from.
//!
//! *Promises*: a server that others can reach has a token; nothing printed or served holds a
//! secret; a refusal names the setting and what to do.
//!
//! *Not here*: the words of flags and file (`config::settings`), reading one value
//! (`config::resolve`), which CPUs there are (`config::cpus`), how
//! much memory (`config::memory`).

pub mod cpus;
mod database;
mod error;
mod gpus;
pub mod memory;
mod named;
mod origin;
mod partitions;
pub mod people;
mod public_host;
mod resolve;
mod resources;
mod scalar;
pub mod secret;
pub mod settings;
mod tables;
pub mod trusted;
mod users;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use database::DatabaseAt;
pub use error::ConfigError;
pub use gpus::Gpus;
pub use origin::{Origin, Setting};
pub use people::SOCKET;
pub use public_host::PublicHost;
pub use resolve::usual_data_dir;
pub use secret::Secret;
pub use settings::ServeArgs;

use crate::host;
use crate::job::ids::CpuId;
use crate::kernel::admission::{Site, SiteMemory};
use crate::kernel::parts::rules::Rules;
use crate::policy::name::Policy;
use crate::resources::inventory::Inventory;
use crate::text::cpu_list;
use people::{Mode, People};
use resolve::Resolver;
use settings::FileSettings;

/// What this process may use of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Available {
    /// These CPUs.
    pub cpus: Vec<CpuId>,
    /// So many bytes of memory; `None` where nobody knows.
    pub memory: Option<u64>,
    /// Its GPUs.
    pub gpus: Gpus,
}

/// A server's settings, all of them decided.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 picks one.
    pub listen: SocketAddr,
    /// The host part as it was written, which `Host` headers may name.
    pub listen_host: String,
    /// Further names that `Host` headers may bear.
    pub public_hosts: Vec<PublicHost>,
    /// Absolute folder for state.
    pub data_dir: PathBuf,
    /// Where the database is.
    pub database: DatabaseAt,
    /// Whom it serves.
    pub people: People,
    /// CPUs to hand out.
    pub cpus: Vec<CpuId>,
    /// Whether jobs are pinned to them: not when there are more than the machine has.
    pub pin: bool,
    /// Memory to hand out, and what a job gets that asks for none.
    pub memory: SiteMemory,
    /// All that is handed out, by name.
    pub inventory: Inventory,
    /// Its GPUs.
    pub gpus: Gpus,
    /// Its parts.
    pub rules: Rules,
    /// Who goes first.
    pub policy: Policy,
    /// The scheduler's safety net.
    pub tick: Duration,
    /// What requests must send.
    pub token: Option<Secret>,
    /// What requests must send that raise a priority, drain or resume; `None`: all may.
    pub admin_token: Option<Secret>,
    /// Absolute folders below which any job may write output.
    pub output_roots: Vec<String>,
    /// Where the folder of all private folders of jobs is; in the data folder when there is none.
    pub scratch_path: Option<PathBuf>,
    /// Limit of a job that names none, seconds.
    pub default_limit_s: Option<u32>,
    /// Longest limit, seconds.
    pub max_limit_s: Option<u32>,
    /// Seconds between TERM and KILL.
    pub kill_grace_s: u32,
    /// Seconds for what a script leaves behind, to finish by itself.
    pub finish_s: u32,
    /// Bytes that a job may write into its kept streams; `None` is no limit.
    pub max_output: Option<u64>,
    /// Whether scripts can signal only themselves and whom they start.
    pub confine_signals: bool,
    /// Whether a job is cancelled when what it waits for can never be, unless it says otherwise.
    pub kill_on_invalid_dependency: bool,
    /// How long ended jobs are kept, seconds; `None` keeps them for ever.
    pub retention_s: Option<u32>,
    /// Whether a folder that looks like a copy is the original, on the word of who starts the
    /// server.
    pub adopt: bool,
    /// What to log.
    pub log_level: log::LevelFilter,
    /// Whether this process is root.
    pub is_root: bool,
    settings: Vec<Setting>,
}

impl Config {
    /// The settings of this process.
    ///
    /// # Errors
    /// A sentence that names the setting and what to do.
    pub fn load(args: &ServeArgs) -> Result<Config, ConfigError> {
        let file = FileSettings::load(args.config.as_deref())?;
        let gpus = Gpus::find(&file.resource)?;
        let available = Available { cpus: cpus::available(), memory: memory::available(), gpus };
        Config::resolve(args, &file, &|name| std::env::var(name).ok(), &available)
    }

    /// The same with everything given: for tests, and for a server started by this program.
    ///
    /// # Errors
    /// See [`Config::load`].
    pub fn resolve(
        args: &ServeArgs,
        file: &FileSettings,
        environment: &dyn Fn(&str) -> Option<String>,
        available: &Available,
    ) -> Result<Config, ConfigError> {
        let mut resolver = Resolver::new(environment);
        let is_root = rustix::process::geteuid().is_root();
        let (listen, listen_host) = resolver.listen(&args.listen, &file.listen)?;
        let public_hosts = resolver.public_hosts(&args.public_hosts, &file.public_hosts)?;
        let data_dir = resolver.data_dir(&args.data_dir, &file.data_dir, is_root)?;
        let database = resolver.database(&args.database_url, &file.database_url, &data_dir)?;
        let people = resolver.people(
            (&args.people, &file.people),
            (&args.socket, &file.socket),
            tables::people(&file.account),
            (&data_dir, is_root),
        )?;
        let (cpus, pin) = resolver.cpus(&args.cpus, &text(&file.cpus), &available.cpus)?;
        let memory = SiteMemory {
            total: resolver.memory(&args.memory, &text(&file.memory), available.memory)?,
            per_cpu: resolver.default_memory_per_cpu(
                &args.default_memory_per_cpu,
                &text(&file.default_memory_per_cpu),
            )?,
        };
        let found: Vec<u32> = available.gpus.list.iter().map(|gpu| gpu.index).collect();
        let inventory = resolver.inventory(&file.resource, &cpus, memory.total, &found)?;
        let gpus = available.gpus.clone().with_declared(&inventory)?;
        let rules = resolver.rules(
            (&file.partition, &file.account, &file.user),
            people.mode,
            file.priority.as_ref(),
            &inventory,
        )?;
        let policy = resolver.policy(&args.policy, &file.policy)?;
        let tick = resolver.tick(&args.tick, &text(&file.tick))?;
        let ordinary = ("token", "token_file", "DOWNBEAT_TOKEN");
        let token = resolver.token(ordinary, &args.token_file, &file.token_file)?;
        let admins = ("admin_token", "admin_token_file", "DOWNBEAT_ADMIN_TOKEN");
        let admin_token = resolver.token(admins, &args.admin_token_file, &file.admin_token_file)?;
        let mut output_roots = resolver.output_roots(&args.output_roots, &file.output_roots)?;
        if people.mode == Mode::System {
            // Each writes where he may: the kernel's rights are the rule.
            output_roots.push("/".to_owned());
        }
        let of_file = file.scratch.as_ref().and_then(|scratch| scratch.path.clone());
        let scratch_path = resolver.scratch_path(&args.scratch_path, &of_file)?;
        let default_limit_s = resolver.limit(
            "default_time_limit",
            &args.default_time_limit,
            &text(&file.default_time_limit),
        )?;
        let max_limit_s =
            resolver.limit("max_time_limit", &args.max_time_limit, &text(&file.max_time_limit))?;
        if let (Some(default), Some(max)) = (default_limit_s, max_limit_s)
            && default > max
        {
            return Err(resolver.wrong("default_time_limit", "is longer than --max-time-limit"));
        }
        let kill_grace_s =
            resolver.grace("kill_grace", "30s", &args.kill_grace, &text(&file.kill_grace))?;
        let finish_s =
            resolver.grace("finish_time", "5s", &args.finish_time, &text(&file.finish_time))?;
        let confine_signals =
            resolver.switch("confine_signals", &args.confine_signals, &file.confine_signals)?;
        let kill_on_invalid_dependency = resolver.switch(
            "kill_on_invalid_dependency",
            &args.kill_on_invalid_dependency,
            &file.kill_on_invalid_dependency,
        )?;
        let max_output = resolver.max_output(&args.max_output, &text(&file.max_output))?;
        let retention_s = resolver.retention(&args.retention, &file.retention)?;
        let log_level = resolver.log_level(&args.log_level, &file.log_level)?;
        if people.mode == Mode::System && (token.is_some() || admin_token.is_some()) {
            return Err(ConfigError::SharedToken);
        }
        let is_open = people.mode == Mode::One && token.is_none();
        if !listen.ip().to_canonical().is_loopback() && is_open {
            return Err(ConfigError::TokenMissing { listen: listen.to_string() });
        }
        Ok(Config {
            listen,
            listen_host,
            public_hosts,
            data_dir,
            database,
            people,
            cpus,
            pin,
            memory,
            inventory,
            gpus,
            rules,
            policy,
            tick,
            token,
            admin_token,
            output_roots,
            scratch_path,
            default_limit_s,
            max_limit_s,
            kill_grace_s,
            finish_s,
            max_output,
            confine_signals,
            kill_on_invalid_dependency,
            retention_s,
            adopt: args.adopt,
            log_level,
            is_root,
            settings: resolver.settings,
        })
    }

    /// Every setting, its value and where it came from; secrets are hidden.
    #[must_use]
    pub fn effective(&self) -> &[Setting] {
        &self.settings
    }

    /// What the person who starts the server should know, one sentence each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.pin {
            warnings.push(format!(
                "{} CPUs are handed out, more than this process may use: jobs are not pinned.",
                self.cpus.len()
            ));
        }
        warnings.extend(self.gpus.warning.clone());
        let divided = self.rules.partitions.region_of();
        let outside = |cpu: &&CpuId| !divided.is_empty() && !divided.contains_key(*cpu);
        let outside: Vec<&CpuId> = self.cpus.iter().filter(outside).collect();
        if !outside.is_empty() {
            let cpus = cpu_list::format(outside.iter().map(|cpu| cpu.0));
            warnings.push(format!("CPU {cpus} is in no partition: no job runs there."));
        }
        warnings
    }

    /// What the kernel needs to know to check a request.
    #[must_use]
    pub fn site(&self) -> Site {
        Site {
            total_cpus: u32::try_from(self.cpus.len()).unwrap_or(u32::MAX),
            memory: self.memory,
            inventory: Arc::new(self.inventory.clone()),
            default_limit_s: self.default_limit_s,
            max_limit_s: self.max_limit_s,
            kill_grace_s: self.kill_grace_s,
            kill_on_invalid_dependency: self.kill_on_invalid_dependency,
            output_roots: self.output_roots.clone(),
            host: host::short_name(),
            partitions: Arc::clone(&self.rules.partitions),
            accounts: Arc::clone(self.rules.accounts.rules()),
            users: Arc::clone(self.rules.users.rules()),
        }
    }

    /// What the kernel divides the machine by.
    #[must_use]
    pub fn rules(&self) -> Rules {
        self.rules.clone()
    }
}

fn text(scalar: &Option<scalar::Scalar>) -> Option<String> {
    scalar.as_ref().map(ToString::to_string)
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
