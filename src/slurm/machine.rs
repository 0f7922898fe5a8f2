//! *Purpose*: asks the server what it is, for Slurm's programs.
//!
//! *Owns*: [`of`].
//!
//! *Promises*: one that does not answer is a failure of the program.
//!
//! *Not here*: the machine in Slurm's words (`api::wire::slurm::machine`).

use super::failure::Failure;
use super::jobs::Server;
use crate::api::wire::maintenance::Window;
use crate::api::wire::slurm::machine::Machine;

/// The machine as it stands now.
///
/// # Errors
/// When the server does not answer.
pub fn of(server: &Server) -> Result<Machine, Failure> {
    let ask = |path: &str| server.client.get(path).map_err(|error| server.failed(&error));
    let parse = |error| server.failed(&error);
    let resources = ask("/api/v1/resources")?.parse().map_err(parse)?;
    let partitions = ask("/api/v1/partitions")?.parse().map_err(parse)?;
    let windows: Vec<Window> = ask("/api/v1/maintenance")?.parse().map_err(parse)?;
    let drained = windows.into_iter().find(|window| window.active);
    Ok(Machine { resources, partitions, drained: drained.map(|window| window.reason) })
}
