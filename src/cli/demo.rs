//! *Purpose*: the arguments of `downbeat demo`.
//!
//! *Owns*: [`DemoArgs`].
//!
//! *Promises*: it needs none of them.
//!
//! *Not here*: the demo (`crate::demo`, which `main` calls).

use std::path::PathBuf;

/// How to show it.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct DemoArgs {
    /// Folder of scripts to submit instead of the built-in examples
    #[arg(long, value_name = "DIR")]
    pub examples: Option<PathBuf>,
    /// CPUs to hand out; more than there are turns pinning off
    #[arg(long, value_name = "N")]
    pub cpus: Option<u32>,
}
