//! *Purpose*: whoever submits, as his job is to know him.
//!
//! *Owns*: [`Caller`]: folder, variables, name, mask, soft limits, machine.
//!
//! *Promises*: what a job around was told of its CPUs does not travel.
//!
//! *Not here*: which of the variables go along (`api::wire::export`), the body (`cli::job_flags`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::CliError;
use crate::api::wire::amount::Amount;
use crate::host;
use crate::job::invocation::Umask;
use crate::people;
use crate::text::quote::first_that_acts;
use crate::ulimits;

/// What of the caller goes along with a job.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Where it stands.
    pub directory: PathBuf,
    /// Its variables.
    pub environment: Vec<(String, String)>,
    /// Its name.
    pub user: Option<String>,
    /// Variables that are not text and stay behind.
    pub left_behind: Vec<String>,
    /// Its file mode creation mask.
    pub umask: Umask,
    /// Its soft limits.
    pub limits: BTreeMap<String, Amount>,
    /// The machine it is on.
    pub host: String,
}

impl Caller {
    /// Whoever runs this program.
    ///
    /// # Errors
    /// When the current folder is gone.
    pub fn here() -> Result<Caller, CliError> {
        let directory = std::env::current_dir().map_err(|error| {
            CliError::Other(format!("the current folder is not there: {error}"))
        })?;
        let (mut environment, mut left_behind) = (Vec::new(), Vec::new());
        for (name, value) in std::env::vars_os() {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => environment.push((name, value)),
                (Ok(name), Err(_)) => left_behind.push(name),
                (Err(name), _) => left_behind.push(name.to_string_lossy().into_owned()),
            }
        }
        forget_the_job_around(&mut environment);
        let uid = rustix::process::geteuid().as_raw();
        let user = ["USER", "LOGNAME"].iter().find_map(|n| std::env::var(n).ok());
        let user = user.filter(|u| !u.is_empty()).or_else(|| people::name(uid));
        let user = user.or_else(|| Some(format!("uid {uid}")));
        let (host, umask, limits) = (host::name(), umask(), soft_limits());
        Ok(Caller { directory, environment, user, left_behind, umask, limits, host })
    }

    /// The whole path of a file that was named from here; `None` where it is not such as others can
    /// read on a terminal.
    #[must_use]
    pub fn path(&self, path: &Path) -> Option<String> {
        let path = self.directory.join(path);
        path.to_str().filter(|path| first_that_acts(path).is_none()).map(str::to_owned)
    }
}

/// Whoever submits from inside of a job passes on what he set, not what that job was told of its
/// CPUs. The rest of what it was told the server knows by name.
fn forget_the_job_around(environment: &mut Vec<(String, String)>) {
    let told = |name: &str| environment.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    let threads = told("SLURM_CPUS_PER_TASK").filter(|_| told("DOWNBEAT_JOB_ID").is_some());
    environment
        .retain(|(name, value)| name != "OMP_NUM_THREADS" || Some(value) != threads.as_ref());
}

/// The mask of this process. It can only be read by setting another.
fn umask() -> Umask {
    let mask = rustix::process::umask(rustix::fs::Mode::empty());
    rustix::process::umask(mask);
    Umask::of_bits(mask.bits() & 0o777).unwrap_or_default()
}

/// The soft limits of this process, as `sbatch` sends them.
fn soft_limits() -> BTreeMap<String, Amount> {
    let amount = |soft: Option<u64>| match soft {
        Some(number) => i64::try_from(number).ok().map(Amount::Number),
        None => Some(Amount::Text("unlimited".to_owned())),
    };
    let limits = ulimits::own();
    limits.filter_map(|(limit, soft)| Some((limit.name().to_owned(), amount(soft)?))).collect()
}
