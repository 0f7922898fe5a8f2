//! *Purpose*: what a job needs and what there is of it, as a sentence.
//!
//! *Owns*: `Here`, and the sentences of every shortage.
//!
//! *Promises*: what is short is named, with how much is free of how much; what nobody can have is
//! told apart from what somebody else has.
//!
//! *Not here*: whose turn it is (`observe::explain`).

use crate::job::ids::CpuId;
use crate::job::request::{LICENSE, MEMORY, Request, split};
use crate::kernel::parts::accounts::Account;
use crate::kernel::parts::maintenance::Maintenance;
use crate::kernel::views::partitions::PartitionNow;
use crate::kernel::views::snapshot::Snapshot;
use crate::policy::input::Window;
use crate::resources::inventory;
use crate::resources::ledger::{ResourceNow, UnitNow};

/// CPUs, and all else that a job asks for.
pub type Asked<'a> = (u32, &'a Request);

/// What there is where a job may run.
pub(super) struct Here<'a> {
    pub(super) accounts: &'a [Account],
    pub(super) users: &'a [Account],
    server: &'a Snapshot,
    partition: Option<&'a str>,
    /// As a sentence names it.
    place: String,
    total_cpus: u32,
    available_cpus: u32,
    held_back: u32,
}

impl<'a> Here<'a> {
    pub(super) fn of(
        partition: Option<&'a PartitionNow>,
        server: &'a Snapshot,
        (accounts, users): (&'a [Account], &'a [Account]),
    ) -> Here<'a> {
        let Some(partition) = partition else {
            return Here {
                accounts,
                users,
                server,
                partition: None,
                place: "this server".to_owned(),
                total_cpus: server.total_cpus,
                available_cpus: server.available_cpus,
                held_back: server.held_back.len() as u32,
            };
        };
        let in_it = |cpu: &&CpuId| partition.cpus.contains(cpu);
        Here {
            accounts,
            users,
            server,
            partition: Some(&partition.name),
            place: format!("partition {}", partition.name),
            total_cpus: partition.cpus.len() as u32,
            available_cpus: partition.free,
            held_back: server.held_back.iter().filter(in_it).count() as u32,
        }
    }

    /// The window that stands at this time, and how it is called.
    pub(super) fn maintenance(&self, window: Window) -> Option<&'a Maintenance> {
        self.server.maintenance.iter().find(|one| one.window() == window)
    }

    /// How much there is of a resource, and how much of that is free; `None` within: not counted.
    /// `None`: there is no such resource.
    fn stock(&self, name: &str) -> Option<(Option<u64>, Option<u64>)> {
        if name == MEMORY {
            return Some((self.server.total_memory, self.server.available_memory));
        }
        let (resource, kind) = split(name);
        let one = self.resource(resource)?;
        let Some(kind) = kind else { return Some((one.total, one.free)) };
        let of_kind = |unit: &&UnitNow| unit.kind.as_deref() == Some(kind);
        let free = |unit: &&UnitNow| unit.holder.is_none() && unit.held_back.is_none();
        let units = one.units.iter().filter(of_kind);
        Some((Some(units.clone().count() as u64), Some(units.filter(free).count() as u64)))
    }

    fn resource(&self, name: &str) -> Option<&ResourceNow> {
        self.server.others.iter().find(|one| &*one.name == name)
    }

    /// Units of these resources that are held back, and why, as sentences.
    fn doubts(&self, rest: &Request) -> Vec<String> {
        let names = rest.iter().filter_map(|(name, _)| self.resource(split(name).0));
        let doubt = |one: &ResourceNow| -> Vec<String> {
            let of = |unit: &UnitNow| {
                let why = unit.held_back.as_ref()?;
                Some(format!("{} {} is held back: {why}", one.name, unit.unit))
            };
            one.units.iter().filter_map(of).collect()
        };
        names.flat_map(doubt).collect()
    }
}

/// What an empty server could not give either, or not while it doubts that it is free.
pub(super) fn unavailable(
    (cpus, rest): Asked<'_>,
    now: &Here<'_>,
) -> Option<(&'static str, String)> {
    let (total, place) = (now.total_cpus, &now.place);
    if cpus > total {
        let sentence = format!(
            "needs {}, {place} now has {total}; restart it with more, or cancel",
            counted(cpus)
        );
        return Some(("PartitionConfig", sentence));
    }
    for (name, amount) in rest.iter() {
        let needs = amount_of(name, amount);
        let there_is = match now.stock(name) {
            None => format!("this server has no {} any more", split(name).0),
            Some((Some(total), _)) if amount > total => {
                format!("this server now has {}", inventory::amount(name, total))
            }
            Some(_) => continue,
        };
        let sentence = format!("needs {needs}, {there_is}; restart it with more, or cancel");
        return Some(("PartitionConfig", sentence));
    }
    let held_back = now.held_back;
    if cpus > total.saturating_sub(held_back) {
        let sentence = format!(
            "needs {}, {held_back} of {total} are held back because the audit doubts that they \
             are free; `downbeat audit` says why",
            counted(cpus)
        );
        return Some(("ReqNodeNotAvail", sentence));
    }
    None
}

/// What a job needs and what there is of it: the field's word, and a sentence; `None` when nothing
/// is short. Other resources are named when there is too little of them, and then CPUs only if
/// there are too few of them as well.
pub(super) fn missing(now: &Here<'_>, (cpus, rest): Asked<'_>) -> Option<(&'static str, String)> {
    let of_cpus = || {
        let (needs, free, total) = (counted(cpus), now.available_cpus, now.total_cpus);
        let of = now.partition.map(|name| format!(" in partition {name}")).unwrap_or_default();
        format!("needs {needs}, {free} of {total} are free{of}")
    };
    let mut short = Vec::new();
    let mut only_licences = cpus <= now.available_cpus;
    for (name, amount) in rest.iter() {
        let Some((Some(total), Some(free))) = now.stock(name) else { continue };
        if amount > free {
            only_licences &= name.starts_with(LICENSE);
            let (free, total) = (inventory::amount(name, free), inventory::amount(name, total));
            short.push(format!("needs {}, {free} of {total} are free", amount_of(name, amount)));
        }
    }
    if short.is_empty() {
        return (cpus > now.available_cpus).then(|| ("Resources", of_cpus()));
    }
    short.extend(now.doubts(rest));
    if cpus > now.available_cpus {
        short.insert(0, of_cpus());
    }
    Some((if only_licences { "Licenses" } else { "Resources" }, short.join("; ")))
}

/// So much of a resource, as a sentence says it.
#[must_use]
pub fn amount_of(name: &str, amount: u64) -> String {
    format!("{} of {name}", inventory::amount(name, amount))
}

/// So many CPUs.
pub(super) fn counted(cpus: u32) -> String {
    if cpus == 1 { "1 CPU".to_owned() } else { format!("{cpus} CPUs") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::job::ids::{Attempt, JobId, UnitId};

    fn server() -> Snapshot {
        let unit = |n, kind: &str, holder: Option<i64>, held_back: Option<&str>| UnitNow {
            unit: UnitId(n),
            kind: Some(kind.into()),
            holder: holder.map(|job| Attempt { job: JobId(job), n: 1 }),
            held_back: held_back.map(Arc::from),
        };
        let gpus = ResourceNow {
            name: "gpu".into(),
            total: Some(3),
            used: 1,
            free: Some(1),
            units: vec![
                unit(0, "a", Some(7), None),
                unit(1, "a", None, Some("process 12 (python, ann) uses it")),
                unit(2, "b", None, None),
            ],
        };
        let licences = ResourceNow {
            name: "license/m".into(),
            total: Some(2),
            used: 2,
            free: Some(0),
            units: Vec::new(),
        };
        let others = vec![gpus, licences];
        Snapshot { total_cpus: 4, available_cpus: 2, others, ..Snapshot::default() }
    }

    fn said(cpus: u32, name: &str, amount: u64) -> (&'static str, String) {
        let (server, rest) = (server(), Request::default().with(name, amount));
        let here = Here::of(None, &server, (&[], &[]));
        unavailable((cpus, &rest), &here).or_else(|| missing(&here, (cpus, &rest))).unwrap()
    }

    #[test]
    fn a_shortage_names_the_resource_and_whoever_is_in_the_way() {
        let held_back = "gpu 1 is held back: process 12 (python, ann) uses it";
        assert_eq!(
            said(1, "gpu", 2),
            ("Resources", format!("needs 2 of gpu, 1 of 3 are free; {held_back}"))
        );
        assert_eq!(
            said(3, "gpu:a", 1),
            (
                "Resources",
                format!(
                    "needs 3 CPUs, 2 of 4 are free; needs 1 of gpu:a, 0 of 2 are free; {held_back}"
                )
            )
        );
        assert_eq!(
            said(1, "license/m", 1),
            ("Licenses", "needs 1 of license/m, 0 of 2 are free".to_owned())
        );
        assert_eq!(said(3, "license/m", 1).0, "Resources", "CPUs are short too");
    }

    #[test]
    fn what_is_gone_or_was_made_less_is_said() {
        let (word, sentence) = said(1, "tape", 1);
        assert_eq!(word, "PartitionConfig");
        assert!(sentence.starts_with("needs 1 of tape, this server has no tape any more"));
        assert!(said(1, "gpu:b", 2).1.starts_with("needs 2 of gpu:b, this server now has 1"));
    }
}
