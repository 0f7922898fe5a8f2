//! *Purpose*: what a job leaves behind cannot be removed, or is not its own.
//!
//! *Owns*: mounts and closed folders below a job's folder, with a short retention.
//!
//! *Promises*: nothing behind a mount or a link is touched; the others are forgotten in time.
//!
//! *Not here*: the walk itself (`actors::retention::folders`).

use std::fs;

use crate::common::{Server, until};
use crate::help::{Mount, skipped};

fn forgotten(server: &Server, id: i64) {
    until("the job to be forgotten", || match server.get(&format!("/api/v1/jobs/{id}")).status {
        404 => Ok(()),
        other => Err(format!("it answers {other}")),
    });
}

#[test]
fn what_is_mounted_in_a_job_s_folder_stays_and_keeps_only_that_job() {
    let test = "what_is_mounted_in_a_job_s_folder_stays_and_keeps_only_that_job";
    let server = Server::with(&["--retention", "1s"]);
    let (id, closed) = (server.run("sleep 600"), server.run("mkdir d; touch d/f; chmod 111 d"));
    server.started(id);
    let inside = server.data().join(format!("jobs/{id}/work/mounted"));
    let mount = match Mount::tmpfs(&inside, "size=1m") {
        Ok(mount) => mount,
        Err(why) => return skipped(test, &why),
    };
    fs::write(inside.join("precious"), "of somebody").unwrap();
    server.post(&format!("/api/v1/jobs/{id}/cancel"), &serde_json::json!({}));
    server.ended(id);
    forgotten(&server, closed);
    forgotten(&server, server.run("true"));
    assert_eq!(fs::read_to_string(inside.join("precious")).unwrap(), "of somebody");
    assert_eq!(server.get(&format!("/api/v1/jobs/{id}")).status, 200, "it is remembered");
    let said = format!("Job {id} is not forgotten");
    assert_eq!(server.log().matches(&said).count(), 1, "{}", server.log());
    assert!(server.log().contains("something is mounted there"), "{}", server.log());
    drop(mount);
    forgotten(&server, id);
    assert!(!server.data().join(format!("jobs/{id}")).exists());
}
