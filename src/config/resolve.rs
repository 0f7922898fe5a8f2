//! *Purpose*: decides one setting at a time.
//!
//! *Owns*: the order flag, environment, file, default; the reading of each value.
//!
//! *Promises*: what was picked, and from where, is kept for `/info`; a wrong value is refused
//! with its setting and source.
//!
//! *Not here*: rules between settings (`crate::config`).

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::database::DatabaseAt;
use super::error::ConfigError;
use super::origin::{Origin, Setting};
use super::people::{self, AccountPeople, Mode, People, PeopleTable, SOCKET, SYSTEM_SOCKET};
use super::scalar::Switch;
use super::secret::Secret;
use crate::job::ids::CpuId;
use crate::job::spec::{GRACE_S_MAX, LIMIT_S_MAX};
use crate::policy::name::{Backfill, Policy};
use crate::policy::order::Order;
use crate::store::postgres::address::Address;
use crate::text::time_limit::LimitAsked;
use crate::text::{duration, size, time_limit};

/// More CPUs than this is a typing error.
const CPUS_MAX: u32 = 65_536;
/// What a job may write into its kept streams when nobody says otherwise: more than anybody reads,
/// less than what fills a disk over night.
const MAX_OUTPUT: u64 = 10 * 1024 * 1024 * 1024;
/// What `--memory` says when memory is not counted.
const UNCOUNTED: &str = "unlimited";

/// Where a server keeps its state when nobody says otherwise; `None` without a home.
#[must_use]
pub fn usual_data_dir(is_root: bool) -> Option<PathBuf> {
    if is_root {
        return Some(PathBuf::from("/var/lib/downbeat"));
    }
    dirs::state_dir().map(|folder| folder.join("downbeat"))
}

/// Decides setting by setting, and keeps where each came from.
pub(super) struct Resolver<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    /// What was decided so far.
    pub(super) settings: Vec<Setting>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(environment: &'a dyn Fn(&str) -> Option<String>) -> Resolver<'a> {
        Resolver { environment, settings: Vec::new() }
    }

    /// The value that counts. The flag's place holds the variable's value too; which of them it
    /// was does not matter when they are equal.
    fn first(
        &mut self,
        name: &'static str,
        flag: Option<&str>,
        file: Option<&str>,
    ) -> Option<String> {
        let variable = (self.environment)(&format!("DOWNBEAT_{}", name.to_ascii_uppercase()));
        // An empty variable counts as none, as a shell's `${NAME:-}` has it.
        let flag = flag.filter(|f| !(f.is_empty() && variable.as_deref() == Some("")));
        let (value, source) = match (flag, file) {
            (Some(flag), _) if variable.as_deref() == Some(flag) => (flag, Origin::Environment),
            (Some(flag), _) => (flag, Origin::Flag),
            (None, Some(file)) => (file, Origin::File),
            (None, None) => ("", Origin::Default),
        };
        self.settings.push(Setting { name, value: value.to_owned(), source });
        (source != Origin::Default).then(|| value.to_owned())
    }

    /// Puts the text that is shown for the setting picked last.
    fn show(&mut self, value: impl ToString) {
        if let Some(last) = self.settings.last_mut() {
            last.value = value.to_string();
        }
    }

    pub(super) fn wrong(&self, name: &'static str, message: impl Into<String>) -> ConfigError {
        let source = self.settings.iter().find(|s| s.name == name).map(|s| s.source);
        ConfigError::Wrong {
            setting: flag_of(name),
            source_word: source.unwrap_or(Origin::Default).word(),
            message: message.into(),
        }
    }

    pub(super) fn listen(
        &mut self,
        flag: &Option<String>,
        file: &Option<String>,
    ) -> Result<(SocketAddr, String), ConfigError> {
        let text = self.first("listen", flag.as_deref(), file.as_deref());
        let text = text.unwrap_or_else(|| "127.0.0.1:8000".to_owned());
        self.show(&text);
        let Some((host, _)) = text.rsplit_once(':') else {
            return Err(self.wrong("listen", format!("\"{text}\" has no port; write HOST:PORT")));
        };
        let host = host.trim_matches(['[', ']']).to_owned();
        let addresses: Vec<SocketAddr> = match text.to_socket_addrs() {
            Ok(addresses) => addresses.collect(),
            Err(error) => {
                let message = format!("\"{text}\" is not an address to listen on: {error}");
                return Err(self.wrong("listen", message));
            }
        };
        // A name with several addresses: the first one of IPv4, which clients try as well.
        let address = addresses.iter().find(|a| a.is_ipv4()).or(addresses.first());
        match address {
            Some(address) => Ok((*address, host)),
            None => Err(self.wrong("listen", format!("\"{text}\" names no address"))),
        }
    }

    pub(super) fn data_dir(
        &mut self,
        flag: &Option<PathBuf>,
        file: &Option<PathBuf>,
        is_root: bool,
    ) -> Result<PathBuf, ConfigError> {
        let picked = self.first("data_dir", path_text(flag), path_text(file));
        let folder = match picked {
            Some(folder) => PathBuf::from(folder),
            None => usual_data_dir(is_root).ok_or(ConfigError::NoDataDir)?,
        };
        let folder = self.absolute("data_dir", &folder)?;
        self.show(folder.display());
        Ok(folder)
    }

    fn absolute(&self, name: &'static str, path: &Path) -> Result<PathBuf, ConfigError> {
        let path = std::path::absolute(path)
            .map_err(|error| self.wrong(name, format!("\"{}\": {error}", path.display())))?;
        Ok(path_clean::clean(path))
    }

    pub(super) fn people(
        &mut self,
        (flag, table): (&Option<String>, &PeopleTable),
        (socket_flag, socket_file): (&Option<PathBuf>, &Option<PathBuf>),
        accounts: AccountPeople,
        (data_dir, is_root): (&Path, bool),
    ) -> Result<People, ConfigError> {
        let picked = self.first("people", flag.as_deref(), table.mode());
        let mode = match picked {
            None => Mode::One,
            Some(text) => people::mode(text.trim()).map_err(|m| self.wrong("people", m))?,
        };
        if mode == Mode::System && !is_root {
            return Err(ConfigError::NotRoot);
        }
        people::checked(mode, table)?;
        let socket = self.first("socket", path_text(socket_flag), path_text(socket_file));
        let socket = match socket {
            Some(path) => self.absolute("socket", Path::new(&path))?,
            None if mode == Mode::System => SYSTEM_SOCKET.into(),
            None => data_dir.join(SOCKET),
        };
        self.show(socket.display());
        let people = People::of(mode, socket, table, accounts);
        if let Some(setting) = self.settings.iter_mut().find(|setting| setting.name == "people") {
            setting.value = people.described();
        }
        Ok(people)
    }

    pub(super) fn scratch_path(
        &mut self,
        flag: &Option<PathBuf>,
        file: &Option<PathBuf>,
    ) -> Result<Option<PathBuf>, ConfigError> {
        let Some(picked) = self.first("scratch_path", path_text(flag), path_text(file)) else {
            self.show("in the data folder");
            return Ok(None);
        };
        let folder = self.absolute("scratch_path", Path::new(&picked))?;
        self.show(folder.display());
        match folder.metadata() {
            Ok(found) if found.is_dir() => Ok(Some(folder)),
            Ok(_) => Err(self.wrong("scratch_path", format!("\"{picked}\" is no folder"))),
            Err(error) => Err(self.wrong("scratch_path", format!("\"{picked}\": {error}"))),
        }
    }

    pub(super) fn database(
        &mut self,
        flag: &Option<String>,
        file: &Option<String>,
        data_dir: &Path,
    ) -> Result<DatabaseAt, ConfigError> {
        let picked = self.first("database_url", flag.as_deref(), file.as_deref());
        let path = match &picked {
            None => data_dir.join("downbeat.db"),
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                let address = Address::parse(url).map_err(|why| self.wrong("database_url", why))?;
                self.show(&address);
                return Ok(DatabaseAt::Postgres(address));
            }
            // The URL is not quoted: it may hold a password.
            Some(url) => match url.strip_prefix("sqlite://") {
                Some(path) if !path.is_empty() && path != ":memory:" => {
                    self.absolute("database_url", Path::new(path))?
                }
                Some(_) => return Err(self.wrong("database_url", "names no file")),
                None => {
                    let message = "is not understood; write sqlite:///path/downbeat.db, or \
                                   postgres://user@host/database";
                    return Err(self.wrong("database_url", message));
                }
            },
        };
        let at = DatabaseAt::File(path);
        self.show(&at);
        Ok(at)
    }

    pub(super) fn cpus(
        &mut self,
        flag: &Option<String>,
        file: &Option<String>,
        available: &[CpuId],
    ) -> Result<(Vec<CpuId>, bool), ConfigError> {
        let Some(text) = self.first("cpus", flag.as_deref(), file.as_deref()) else {
            self.show(available.len());
            return Ok((available.to_vec(), true));
        };
        match text.trim().parse::<u32>() {
            Ok(n) if (1..=CPUS_MAX).contains(&n) => match available.get(..n as usize) {
                Some(some) => Ok((some.to_vec(), true)),
                None => Ok(((0..n).map(CpuId).collect(), false)),
            },
            _ => {
                let message = format!("\"{text}\" is not a number of CPUs from 1 to {CPUS_MAX}");
                Err(self.wrong("cpus", message))
            }
        }
    }

    pub(super) fn memory(
        &mut self,
        flag: &Option<String>,
        file: &Option<String>,
        available: Option<u64>,
    ) -> Result<Option<u64>, ConfigError> {
        let total = match self.first("memory", flag.as_deref(), file.as_deref()) {
            None => available,
            Some(text) if text.trim().eq_ignore_ascii_case(UNCOUNTED) => None,
            Some(text) => Some(self.bytes("memory", &text)?).filter(|bytes| *bytes > 0),
        };
        self.show(total.map_or(UNCOUNTED.to_owned(), size::format));
        Ok(total)
    }

    pub(super) fn default_memory_per_cpu(
        &mut self,
        flag: &Option<String>,
        file: &Option<String>,
    ) -> Result<Option<u64>, ConfigError> {
        let name = "default_memory_per_cpu";
        let each = match self.first(name, flag.as_deref(), file.as_deref()) {
            None => None,
            Some(text) if text.trim().eq_ignore_ascii_case("none") => None,
            Some(text) => Some(self.bytes(name, &text)?).filter(|bytes| *bytes > 0),
        };
        self.show(each.map_or("none".to_owned(), size::format));
        Ok(each)
    }

    fn bytes(&self, name: &'static str, text: &str) -> Result<u64, ConfigError> {
        let bytes = size::parse(text).map_err(|message| self.wrong(name, message))?;
        Ok(bytes.unsigned_abs())
    }

    pub(super) fn policy(
        &mut self,
        flag: &Option<String>,
        file: &Option<String>,
    ) -> Result<Policy, ConfigError> {
        let text = self.first("policy", flag.as_deref(), file.as_deref());
        let policy = match text.map(|text| text.trim().parse::<Policy>()) {
            None => Policy::default(),
            Some(Ok(policy)) => policy,
            Some(Err(refused)) => return Err(self.wrong("policy", refused.to_string())),
        };
        if policy.order == Order::F1 || policy.backfill == Backfill::Easy(Some(Order::F1)) {
            let message = "f1 counts from the beginning of a trace; only `simulate` knows it";
            return Err(self.wrong("policy", message));
        }
        self.show(policy);
        Ok(policy)
    }

    pub(super) fn tick(
        &mut self,
        flag: &Option<String>,
        file: &Option<String>,
    ) -> Result<Duration, ConfigError> {
        let text = self.first("tick", flag.as_deref(), file.as_deref());
        let mut text = text.unwrap_or_else(|| "5s".to_owned());
        if text.parse::<u64>().is_ok() {
            text.push('s');
        }
        self.show(&text);
        match duration::parse(&text) {
            Some(tick)
                if tick >= Duration::from_millis(10) && tick <= Duration::from_secs(3600) =>
            {
                Ok(tick)
            }
            Some(_) => Err(self.wrong("tick", format!("\"{text}\" is not from 10ms to 1h"))),
            None => {
                let message = format!("\"{text}\" is not a duration; write \"5s\" or \"500ms\"");
                Err(self.wrong("tick", message))
            }
        }
    }

    /// What requests must send: a file named by the setting, or the text of a variable.
    pub(super) fn token(
        &mut self,
        (name, setting, variable): (&'static str, &'static str, &'static str),
        flag: &Option<PathBuf>,
        file: &Option<PathBuf>,
    ) -> Result<Option<Secret>, ConfigError> {
        let picked = self.first(setting, path_text(flag), path_text(file));
        let from_flag = picked.is_some() && path_text(flag).is_some();
        let direct = (self.environment)(variable).filter(|t| !t.trim().is_empty());
        let (token, source) = match (picked, direct) {
            (Some(path), direct) if from_flag || direct.is_none() => {
                let token = Secret::read(Path::new(&path))
                    .map_err(|message| self.wrong(setting, message))?;
                (Some(token), self.settings.last().map_or(Origin::Flag, |s| s.source))
            }
            (_, Some(text)) => {
                let token = Secret::new(&text).map_err(|message| ConfigError::Wrong {
                    setting: name,
                    source_word: Origin::Environment.word(),
                    message,
                })?;
                (Some(token), Origin::Environment)
            }
            _ => (None, Origin::Default),
        };
        let value = token.as_ref().map_or("none".to_owned(), Secret::to_string);
        self.settings.push(Setting { name, value, source });
        Ok(token)
    }

    /// The values of a setting that has several, of the first door that has any.
    pub(super) fn list(
        &mut self,
        name: &'static str,
        between: &str,
        (flag, file): (&[String], &[String]),
    ) -> Vec<String> {
        let joined = |values: &[String]| (!values.is_empty()).then(|| values.join(between));
        let values = match self.first(name, joined(flag).as_deref(), joined(file).as_deref()) {
            None => &[],
            Some(_) if !flag.is_empty() => flag,
            Some(_) => file,
        };
        values.iter().filter(|value| !value.is_empty()).cloned().collect()
    }

    pub(super) fn output_roots(
        &mut self,
        flag: &[String],
        file: &[String],
    ) -> Result<Vec<String>, ConfigError> {
        let mut cleaned = Vec::new();
        for root in self.list("output_root", ":", (flag, file)) {
            if !Path::new(&root).is_absolute() {
                return Err(self.wrong("output_root", format!("\"{root}\" is not absolute")));
            }
            cleaned.push(path_clean::clean(&root).display().to_string());
        }
        self.show(cleaned.join(":"));
        Ok(cleaned)
    }

    pub(super) fn limit(
        &mut self,
        name: &'static str,
        flag: &Option<String>,
        file: &Option<String>,
    ) -> Result<Option<u32>, ConfigError> {
        let text = self.first(name, flag.as_deref(), file.as_deref());
        let text = text.unwrap_or_else(|| "UNLIMITED".to_owned());
        let limit = time_limit::parse(&text).map_err(|m| self.wrong(name, m))?;
        let seconds = match limit {
            LimitAsked::Seconds(s) if s > LIMIT_S_MAX => {
                return Err(self.wrong(name, "is longer than ten years; write UNLIMITED"));
            }
            LimitAsked::Seconds(s) => Some(s),
            LimitAsked::Unlimited | LimitAsked::Default => None,
        };
        self.show(time_limit::format_limit(seconds));
        Ok(seconds.and_then(|s| u32::try_from(s).ok()))
    }

    /// A time of at most a day: `kill_grace`, `finish_time`.
    pub(super) fn grace(
        &mut self,
        name: &'static str,
        usual: &str,
        flag: &Option<String>,
        file: &Option<String>,
    ) -> Result<u32, ConfigError> {
        let text = self.first(name, flag.as_deref(), file.as_deref());
        let text = text.unwrap_or_else(|| usual.to_owned());
        self.show(&text);
        let seconds = duration::parse_s(&text).map_err(|m| self.wrong(name, m))?;
        match u32::try_from(seconds) {
            Ok(s) if seconds <= GRACE_S_MAX => Ok(s),
            _ => Err(self.wrong(name, "is longer than a day")),
        }
    }

    /// What is off unless it is asked for.
    pub(super) fn switch(
        &mut self,
        name: &'static str,
        flag: &Option<String>,
        file: &Option<Switch>,
    ) -> Result<bool, ConfigError> {
        let file = file.as_ref().map(ToString::to_string);
        let picked = self.first(name, flag.as_deref(), file.as_deref());
        let is_wanted = match picked.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(self.wrong(name, "is neither true nor false")),
        };
        self.show(is_wanted);
        Ok(is_wanted)
    }

    pub(super) fn max_output(
        &mut self,
        flag: &Option<String>,
        file: &Option<String>,
    ) -> Result<Option<u64>, ConfigError> {
        let bytes = match self.first("max_output", flag.as_deref(), file.as_deref()) {
            None => Some(MAX_OUTPUT),
            Some(text) if text.trim().eq_ignore_ascii_case(UNCOUNTED) => None,
            Some(text) => Some(self.bytes("max_output", &text)?).filter(|bytes| *bytes > 0),
        };
        self.show(bytes.map_or(UNCOUNTED.to_owned(), size::format));
        Ok(bytes)
    }

    pub(super) fn retention(
        &mut self,
        flag: &Option<String>,
        file: &Option<String>,
    ) -> Result<Option<u32>, ConfigError> {
        let text = self.first("retention", flag.as_deref(), file.as_deref());
        let text = text.unwrap_or_else(|| "30d".to_owned());
        self.show(&text);
        if text == "forever" {
            return Ok(None);
        }
        let kept = duration::parse(&text).ok_or_else(|| {
            let message = format!("\"{text}\" is not a duration; write \"30d\" or \"forever\"");
            self.wrong("retention", message)
        })?;
        match u32::try_from(kept.as_secs()) {
            Ok(0) => Err(self.wrong("retention", "is less than a second")),
            Ok(seconds) => Ok(Some(seconds)),
            Err(_) => Err(self.wrong("retention", "is longer than a century; write forever")),
        }
    }

    pub(super) fn log_level(
        &mut self,
        flag: &Option<String>,
        file: &Option<String>,
    ) -> Result<log::LevelFilter, ConfigError> {
        let text = self.first("log_level", flag.as_deref(), file.as_deref());
        let text = text.unwrap_or_else(|| "info".to_owned());
        self.show(&text);
        text.parse().map_err(|_| {
            let levels = "off, error, warn, info, debug and trace";
            self.wrong("log_level", format!("\"{text}\" is none of {levels}"))
        })
    }
}

fn path_text(path: &Option<PathBuf>) -> Option<&str> {
    path.as_deref().and_then(Path::to_str)
}

fn flag_of(name: &'static str) -> &'static str {
    match name {
        "data_dir" => "data-dir",
        "database_url" => "database-url",
        "default_memory_per_cpu" => "default-memory-per-cpu",
        "token_file" => "token-file",
        "admin_token_file" => "admin-token-file",
        "output_root" => "output-root",
        "public_host" => "public-host",
        "scratch_path" => "scratch-path",
        "default_time_limit" => "default-time-limit",
        "max_time_limit" => "max-time-limit",
        "kill_grace" => "kill-grace",
        "kill_on_invalid_dependency" => "kill-on-invalid-dependency",
        "confine_signals" => "confine-signals",
        "log_level" => "log-level",
        other => other,
    }
}
