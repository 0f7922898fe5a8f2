//! *Purpose*: the arguments of `downbeat migrate`.
//!
//! *Owns*: [`MigrateArgs`].
//!
//! *Promises*: it finds the database where `serve` with the same settings finds it.
//!
//! *Not here*: migrations (`store`, which `main` reaches through `crate::serve`).

use std::path::PathBuf;

use crate::config::ServeArgs;

/// Which database to bring up to date.
#[derive(clap::Args, Clone, Debug)]
pub struct MigrateArgs {
    /// Settings file [default: downbeat.toml here, else /etc/downbeat/downbeat.toml]
    #[arg(long, env = "DOWNBEAT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The server's folder
    #[arg(long, env = "DOWNBEAT_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Database [default: sqlite://DATA_DIR/downbeat.db]
    #[arg(long, env = "DOWNBEAT_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
}

impl MigrateArgs {
    /// The same as arguments of a server, which nothing else is set of.
    #[must_use]
    pub fn as_serve_args(&self) -> ServeArgs {
        ServeArgs {
            config: self.config.clone(),
            data_dir: self.data_dir.clone(),
            database_url: self.database_url.clone(),
            ..ServeArgs::default()
        }
    }
}
