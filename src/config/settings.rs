//! *Purpose*: the settings as people write them: flags, environment, file.
//!
//! *Owns*: [`ServeArgs`], [`FileSettings`], reading `downbeat.toml`.
//!
//! *Promises*: an unknown key or a wrong type in the file is refused, naming file and key; so is a
//! file that somebody else could have written.
//!
//! *Not here*: what the settings come to (`crate::config`).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::ConfigError;
use super::partitions::PartitionTable;
use super::people::PeopleTable;
use super::resources::ResourceTable;
use super::scalar::{Scalar, Switch};
use super::tables::{AccountTable, PriorityTable};
use super::trusted::{self, Distrust};
use super::users::UserTable;

/// The files that are looked for when no `--config` names one, the first that is there is read.
pub const FOUND: [&str; 2] = ["downbeat.toml", "/etc/downbeat/downbeat.toml"];

/// Settings of the server. Each can stand in `downbeat.toml` too, with `_` for `-`.
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct ServeArgs {
    /// Settings file [default: downbeat.toml here, else /etc/downbeat/downbeat.toml]
    #[arg(long, env = "DOWNBEAT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address to listen on; port 0 picks one [default: 127.0.0.1:8000]
    #[arg(long, env = "DOWNBEAT_LISTEN", value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Name, or NAME:PORT, under which a proxy before this server is reached: requests may bear it
    /// as their Host, and its pages may change things (repeatable; with "," between in the
    /// environment)
    #[arg(
        long = "public-host",
        env = "DOWNBEAT_PUBLIC_HOST",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub public_hosts: Vec<String>,
    /// Folder for database, spool and logs [default: ~/.local/state/downbeat, or /var/lib/downbeat
    /// as root]
    #[arg(long, env = "DOWNBEAT_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Database [default: sqlite://DATA_DIR/downbeat.db]
    #[arg(long, env = "DOWNBEAT_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Whom the server serves: `one`, its own user and root; or `system`, all users of the machine,
    /// each as himself, for which it must be root [default: one]
    #[arg(long, env = "DOWNBEAT_PEOPLE", value_name = "WHO")]
    pub people: Option<String>,
    /// Socket at which users of this machine reach the server, in a folder that nobody else may
    /// write [default: DATA_DIR/downbeat.sock; /run/downbeat/downbeat.sock with --people system]
    #[arg(long, env = "DOWNBEAT_SOCKET", value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// CPUs to hand out; more than there are turns pinning off [default: those this process may
    /// use]
    #[arg(long, env = "DOWNBEAT_CPUS", value_name = "N")]
    pub cpus: Option<String>,
    /// Memory to hand out: 512M, 2G, or bytes; `unlimited` (or 0) does not count it [default: what
    /// this process may use]
    #[arg(long, env = "DOWNBEAT_MEMORY", value_name = "SIZE")]
    pub memory: Option<String>,
    /// Memory, for each of its CPUs, of a job that asks for none [default: none]
    #[arg(long, env = "DOWNBEAT_DEFAULT_MEMORY_PER_CPU", value_name = "SIZE")]
    pub default_memory_per_cpu: Option<String>,
    /// Who goes first: an order (fcfs, sjf, saf, wfp3), `+` how others are let by (none, firstfit,
    /// easy, cons), `@` the wait after which a job goes first. The default is `wfp3+easy@3d`
    #[arg(long, env = "DOWNBEAT_POLICY", value_name = "POLICY")]
    pub policy: Option<String>,
    /// How often the scheduler looks without being woken [default: 5s]
    #[arg(long, env = "DOWNBEAT_TICK", value_name = "DURATION")]
    pub tick: Option<String>,
    /// File that holds the token which requests must send; DOWNBEAT_TOKEN holds it directly
    #[arg(long, env = "DOWNBEAT_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// File that holds the administrators' token: only who sends it may raise a priority, drain and
    /// resume; DOWNBEAT_ADMIN_TOKEN holds it directly [default: all may]
    #[arg(long, env = "DOWNBEAT_ADMIN_TOKEN_FILE", value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
    /// Folder below which any job may write its output (repeatable; with ":" between in the
    /// environment)
    #[arg(
        long = "output-root",
        env = "DOWNBEAT_OUTPUT_ROOT",
        value_name = "DIR",
        value_delimiter = ':'
    )]
    pub output_roots: Vec<String>,
    /// Folder, there already, in which the server keeps a folder for itself; in that each job has a
    /// private one, its TMPDIR, while it runs [default: in DATA_DIR]
    #[arg(long, env = "DOWNBEAT_SCRATCH_PATH", value_name = "DIR")]
    pub scratch_path: Option<PathBuf>,
    /// Time limit of a job that names none [default: UNLIMITED]
    #[arg(long, env = "DOWNBEAT_DEFAULT_TIME_LIMIT", value_name = "TIME")]
    pub default_time_limit: Option<String>,
    /// Longest time limit a job may ask for [default: none]
    #[arg(long, env = "DOWNBEAT_MAX_TIME_LIMIT", value_name = "TIME")]
    pub max_time_limit: Option<String>,
    /// Time between TERM and KILL when a job is stopped [default: 30s]
    #[arg(long, env = "DOWNBEAT_KILL_GRACE", value_name = "DURATION")]
    pub kill_grace: Option<String>,
    /// Time for processes that a script leaves behind, to finish by themselves; then they are ended
    /// [default: 5s]
    #[arg(long, env = "DOWNBEAT_FINISH_TIME", value_name = "DURATION")]
    pub finish_time: Option<String>,
    /// What a job may write into the output that the server keeps for it; beyond it the job is
    /// ended; `unlimited` does not end it [default: 10G]
    #[arg(long, env = "DOWNBEAT_MAX_OUTPUT", value_name = "SIZE")]
    pub max_output: Option<String>,
    /// Let scripts signal nobody but themselves and whom they start (Linux 6.12 or newer). The
    /// price: programs such as sudo gain nothing in them
    #[arg(long, env = "DOWNBEAT_CONFINE_SIGNALS", num_args = 0..=1, default_missing_value = "true",
        value_name = "BOOL")]
    pub confine_signals: Option<String>,
    /// Cancel a job when what it waits for can never be, unless it says otherwise
    #[arg(long, env = "DOWNBEAT_KILL_ON_INVALID_DEPENDENCY", num_args = 0..=1,
        default_missing_value = "true", value_name = "BOOL")]
    pub kill_on_invalid_dependency: Option<String>,
    /// How long ended jobs, their scripts and folders are kept; `forever` keeps them [default: 30d]
    #[arg(long, env = "DOWNBEAT_RETENTION", value_name = "DURATION")]
    pub retention: Option<String>,
    /// Take over running jobs though this folder looks like a copy: for a folder that was moved to
    /// another disk or put back from a copy while no server used the original. In no settings file,
    /// since it is said once
    #[arg(long)]
    pub adopt: bool,
    /// What to log: off, error, warn, info, debug or trace [default: info]
    #[arg(long, env = "DOWNBEAT_LOG_LEVEL", value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// `[scratch]`: where jobs keep what they need while they run.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ScratchTable {
    /// The folder of all of them.
    pub path: Option<PathBuf>,
}

/// `downbeat.toml`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each key is the flag it is named after")]
pub struct FileSettings {
    pub listen: Option<String>,
    #[serde(default)]
    pub public_hosts: Vec<String>,
    pub data_dir: Option<PathBuf>,
    pub database_url: Option<String>,
    #[serde(default)]
    pub people: PeopleTable,
    pub socket: Option<PathBuf>,
    pub cpus: Option<Scalar>,
    pub memory: Option<Scalar>,
    pub default_memory_per_cpu: Option<Scalar>,
    pub policy: Option<String>,
    pub tick: Option<Scalar>,
    pub token_file: Option<PathBuf>,
    pub admin_token_file: Option<PathBuf>,
    #[serde(default)]
    pub output_roots: Vec<String>,
    pub scratch: Option<ScratchTable>,
    pub default_time_limit: Option<Scalar>,
    pub max_time_limit: Option<Scalar>,
    pub kill_grace: Option<Scalar>,
    pub finish_time: Option<Scalar>,
    pub max_output: Option<Scalar>,
    pub confine_signals: Option<Switch>,
    pub kill_on_invalid_dependency: Option<Switch>,
    pub retention: Option<String>,
    pub log_level: Option<String>,
    #[serde(default)]
    pub resource: Vec<ResourceTable>,
    #[serde(default)]
    pub partition: Vec<PartitionTable>,
    #[serde(default)]
    pub account: Vec<AccountTable>,
    #[serde(default)]
    pub user: Vec<UserTable>,
    pub priority: Option<PriorityTable>,
}

impl FileSettings {
    /// Reads the file that `--config` names, or the first of [`FOUND`] that is there.
    ///
    /// # Errors
    /// When the file cannot be read, or a key of it is wrong.
    pub fn load(named: Option<&Path>) -> Result<FileSettings, ConfigError> {
        match named {
            Some(path) => FileSettings::of(path, trusted::read(path)),
            None => FileSettings::first_of(&FOUND.map(Path::new)),
        }
    }

    /// The settings of the first file that is there; without one there are none.
    fn first_of(paths: &[&Path]) -> Result<FileSettings, ConfigError> {
        for path in paths {
            match trusted::read_found(path) {
                Err(Distrust::Unread(error)) if error.kind() == ErrorKind::NotFound => {}
                read => return FileSettings::of(path, read),
            }
        }
        Ok(FileSettings::default())
    }

    fn of(path: &Path, read: Result<String, Distrust>) -> Result<FileSettings, ConfigError> {
        let unread = |error| ConfigError::FileUnread { path: path.to_owned(), error };
        FileSettings::parse(&read.map_err(unread)?, path)
    }

    /// Reads the text of a settings file.
    ///
    /// # Errors
    /// When a key is unknown or its value is of the wrong type.
    pub fn parse(text: &str, path: &Path) -> Result<FileSettings, ConfigError> {
        let wrong = |key: String, message: String| ConfigError::FileWrong {
            path: path.to_owned(),
            key,
            message: message.trim_end().to_owned(),
        };
        let deserializer = toml::Deserializer::parse(text)
            .map_err(|error| wrong("the file".to_owned(), error.to_string()))?;
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            let key = match error.path().to_string() {
                dot if dot == "." => "the file".to_owned(),
                key => format!("\"{key}\""),
            };
            wrong(key, error.inner().message().to_owned())
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_file_names_file_and_key() {
        let path = Path::new("/etc/x.toml");
        let said = |text| FileSettings::parse(text, path).unwrap_err().to_string();
        assert!(said("lisen = \"x\"").contains("/etc/x.toml"), "{}", said("lisen = \"x\""));
        assert!(said("lisen = \"x\"").contains("lisen"), "{}", said("lisen = \"x\""));
        assert!(said("cpus = true").contains("\"cpus\""), "{}", said("cpus = true"));
        assert!(said("listen = 8").contains("\"listen\""), "{}", said("listen = 8"));
        assert!(said("cpus = ").contains("line 1"), "{}", said("cpus = "));
    }

    #[test]
    fn the_first_file_that_is_there_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let [here, site] = ["downbeat.toml", "site.toml"].map(|name| dir.path().join(name));
        let read = || FileSettings::first_of(&[&here, &site]);
        assert_eq!(read().unwrap().cpus, None);
        std::fs::write(&site, "cpus = 3").unwrap();
        assert_eq!(read().unwrap().cpus, Some(Scalar::Number(3)));
        std::fs::write(&here, "cpus = 2").unwrap();
        assert_eq!(read().unwrap().cpus, Some(Scalar::Number(2)));
        std::fs::write(&here, "lisen = 2").unwrap();
        let wrong = read().unwrap_err().to_string();
        assert!(wrong.contains("downbeat.toml"), "what is there is not passed over: {wrong}");
        assert_eq!(FOUND[1], "/etc/downbeat/downbeat.toml");
    }

    #[test]
    fn numbers_may_stand_bare() {
        let file = FileSettings::parse("cpus = 4\ntick = \"1s\"", Path::new("x")).unwrap();
        assert_eq!(file.cpus, Some(Scalar::Number(4)));
        assert_eq!(file.tick, Some(Scalar::Text("1s".to_owned())));
    }
}
