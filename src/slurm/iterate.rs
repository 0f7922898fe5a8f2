//! *Purpose*: lists that are shown again and again.
//!
//! *Owns*: `--iterate`.
//!
//! *Promises*: without it once.
//!
//! *Not here*: the lists (`squeue`, `sinfo`).

use std::time::Duration;

use super::failure::Failure;
use super::getopt::Given;

/// Shows something as often as it is wanted.
///
/// # Errors
/// When it could not be shown, or what says how often makes no sense.
pub fn shown(
    command: &str,
    given: &Given,
    mut show: impl FnMut() -> Result<(), Failure>,
) -> Result<u8, Failure> {
    let every = given.value("iterate").map(|text| {
        let what = format!("Invalid --iterate specification: {text}");
        let seconds = text.parse::<u64>().ok().filter(|seconds| *seconds > 0);
        seconds.ok_or_else(|| Failure::error(command, &what))
    });
    let every = every.transpose()?.map(Duration::from_secs);
    loop {
        show()?;
        match every {
            None => return Ok(0),
            Some(every) => std::thread::sleep(every),
        }
    }
}
