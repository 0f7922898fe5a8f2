//! *Purpose*: the arguments of the step daemon.
//!
//! *Owns*: [`StepdArgs`].
//!
//! *Promises*: hidden from help; nobody starts it by hand.
//!
//! *Not here*: the daemon (`engine::local::stepd`, which `main` calls).

use std::path::PathBuf;

/// Which server's step daemon it is.
#[derive(clap::Args, Clone, Debug)]
pub struct StepdArgs {
    /// The server's folder
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
}
