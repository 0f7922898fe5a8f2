//! *Purpose*: stub
//!
use crate::cli::DemoArgs;
/// x
pub fn run(_: &DemoArgs) -> anyhow::Result<()> {
    Ok(())
}
