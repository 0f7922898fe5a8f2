//! *Purpose*: what is the same for every order of a server.
//!
//! *Owns*: [`OrderSite`]; which GPUs a job sees and may open; what of the server's own environment
//! is inherited.
//!
//! *Promises*: nothing of the server's environment beyond [`INHERITED`] reaches a job.
//!
//! *Not here*: the order (`actors::order`), the other variables (`actors::environment`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::dials::Dialled;
use super::owners::Owners;
use crate::devices::visible::{Naming, VARIABLES, visible};
use crate::devices::{DeviceNode, Gpu};
use crate::engine::CharDevice;
use crate::job::files::Places;
use crate::job::ids::UnitId;
use crate::job::request::GPU;
use crate::resources::allocation::{Held, Share};

/// The only variables a job inherits from the server; of another user's job only `LANG` and `TZ`.
pub const INHERITED: [&str; 7] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ"];
/// Those that are of no user.
pub(super) const OF_THE_PLACE: [&str; 2] = ["LANG", "TZ"];
/// Where jobs look for programs when the server was started without a `PATH`.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is the same for every order.
#[derive(Debug)]
pub struct OrderSite {
    /// Where files are.
    pub places: Places,
    /// Whether jobs are pinned to their CPUs.
    pub pin: bool,
    /// Whether scripts can signal only themselves and whom they start.
    pub confine_signals: bool,
    /// Where it is looked up what a job may leave behind and write.
    pub dials: Dialled,
    /// This machine's name, its first part.
    pub host: String,
    /// Where this server listens, for jobs that ask it something.
    pub server: String,
    /// As whom jobs run.
    pub user: String,
    /// The number of that user.
    pub uid: u32,
    /// Who knows the owners of jobs, where all users are served.
    pub owners: Option<Arc<dyn Owners>>,
    /// The inherited variables.
    pub inherited: BTreeMap<String, String>,
    /// The machine's GPUs.
    pub gpus: JobGpus,
}

/// GPUs, as jobs see them.
#[derive(Clone, Debug, Default)]
pub struct JobGpus {
    /// All that there are, handed out or not.
    pub all: Vec<Gpu>,
    /// Whether jobs are told UUIDs.
    pub by_uuid: bool,
    /// Whether those that a job does not hold cannot be opened by it.
    pub are_denied: bool,
}

impl JobGpus {
    /// Those of these shares.
    pub(super) fn held<'a>(&'a self, rest: &[Share]) -> Vec<&'a Gpu> {
        let share = rest.iter().find(|share| &*share.resource == GPU);
        let units = match share.map(|share| &share.held) {
            Some(Held::Units(units)) => &units[..],
            _ => &[],
        };
        self.all.iter().filter(|gpu| units.contains(&UnitId(gpu.index))).collect()
    }

    /// The devices of all others. A card that is cut is open to whoever holds a part of it.
    pub(super) fn denied(&self, held: &[&Gpu]) -> Vec<CharDevice> {
        let others = self.all.iter().filter(|gpu| held.iter().all(|own| own.index != gpu.index));
        let nodes = others.flat_map(|gpu| gpu.nodes.iter().chain(&gpu.card));
        let needed = |node: &&DeviceNode| {
            held.iter().any(|own| own.nodes.iter().chain(&own.card).any(|own| own == *node))
        };
        let denied = nodes.filter(|node| !needed(node));
        let denied = denied.map(|node| CharDevice { major: node.major, minor: node.minor });
        // A card that is cut is named by each of its parts.
        denied.collect::<BTreeSet<CharDevice>>().into_iter().collect()
    }

    /// Puts into the environment which are the job's own, and takes out what else says so.
    pub(super) fn tell(&self, held: &[&Gpu], vars: &mut BTreeMap<String, String>) {
        let slurms = |name: &str| name.starts_with("SLURM_");
        vars.retain(|name, _| {
            !VARIABLES.contains(&&**name) || (self.all.is_empty() && !slurms(name))
        });
        let are_alone = self.are_denied && self.all.iter().all(|gpu| !gpu.nodes.is_empty());
        let naming = match (self.by_uuid, are_alone) {
            (true, _) => Naming::Uuid,
            (false, true) => Naming::IndexOfHeld,
            (false, false) => Naming::Index,
        };
        let said = visible(&self.all, held, naming).unwrap_or_else(|unknown| {
            // The settings are refused before that.
            log::error!("A job is told of no GPU: {unknown}");
            Vec::new()
        });
        vars.extend(said.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
}

impl OrderSite {
    /// Picks what is inherited from this process.
    #[must_use]
    pub fn inherited() -> BTreeMap<String, String> {
        let mut vars: BTreeMap<String, String> = INHERITED
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
            .collect();
        vars.entry("PATH".to_owned()).or_insert_with(|| PATH.to_owned());
        vars
    }
}
