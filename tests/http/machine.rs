//! *Purpose*: what the machine itself does: loads, nodes, what was held when.
//!
//! *Owns*: nothing.
//!
//! *Promises*: what the server says is compared with what the system says, and what is not known
//! is null.
//!
//! *Not here*: GPUs, which need a tree of stand-ins (`tests/hostile/gpus.rs`).

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::common::{Server, until};
use crate::help::keys;

cases! {
    loads_are_known_to_whoever_asks_again => ["GET /api/v1/resources"],
}

/// A file of the system, without the end of its line.
fn told(path: &str) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

fn loads_are_known_to_whoever_asks_again() {
    // More CPUs than any machine that runs this.
    let server = Server::with(&["--cpus", "512"]);
    let cpus = |server: &Server| -> Vec<Value> {
        server.get("/api/v1/resources").expect(200).json()["cpus"].as_array().unwrap().clone()
    };
    let first = cpus(&server);
    assert!(first.iter().all(|cpu| cpu["load"].is_null()), "nobody has looked: {first:?}");
    let known = until("loads", || {
        let now = cpus(&server);
        match now.iter().any(|cpu| !cpu["load"].is_null()) {
            true => Ok(now),
            false => Err(format!("{:?}", now.first())),
        }
    });
    for cpu in &known {
        let (id, load) = (cpu["id"].as_u64().unwrap(), &cpu["load"]);
        let folder = format!("/sys/devices/system/cpu/cpu{id}/topology");
        let shares = told(&format!("{folder}/core_cpus_list"));
        let core = shares.map(|list| {
            let lowest = list.split(['-', ',']).next().unwrap_or_default().to_owned();
            lowest.parse::<u64>().unwrap()
        });
        assert_eq!(cpu["core"].as_u64(), core, "{cpu}");
        match Path::new(&folder).exists() {
            true => assert!(load.as_u64().is_none_or(|load| load <= 1_000), "{cpu}"),
            false => assert!(load.is_null() && cpu["node"].is_null(), "there is none: {cpu}"),
        }
    }
    let now = server.get("/api/v1/resources").expect(200).json();
    let nodes = now["nodes"].as_array().unwrap();
    let is_told = Path::new("/sys/devices/system/node/node0").exists();
    assert_eq!(!nodes.is_empty(), is_told, "{nodes:?}");
    for node in nodes {
        keys(node, "node cpus memory_bytes");
        let of = |cpu: &&Value| cpu["node"] == node["node"];
        let own: BTreeSet<u64> =
            known.iter().filter(of).map(|cpu| cpu["id"].as_u64().unwrap()).collect();
        let said = node["cpus"].as_array().unwrap().iter().map(|cpu| cpu.as_u64().unwrap());
        assert_eq!(said.collect::<BTreeSet<u64>>(), own);
    }
}
