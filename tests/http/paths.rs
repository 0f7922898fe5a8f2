//! *Purpose*: output goes where it may go, and what cannot start says why.
//!
//! *Owns*: output paths, links, roots, launches that fail.
//!
//! *Promises*: every failed launch ends FAILED with a sentence and no invented code.
//!
//! *Not here*: refusals at submit (`refusals`).

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::json;

use crate::common::{Server, processes_of};
use crate::help::{fields, problem};

cases! {
    a_job_that_cannot_start_says_why => ["POST /api/v1/jobs"],
    a_link_that_leads_out_of_its_root_is_refused_at_the_start => ["POST /api/v1/jobs"],
    an_output_root_is_open_to_every_job => ["POST /api/v1/jobs"],
    output_is_emptied_and_its_folders_are_made => ["POST /api/v1/jobs"],
    the_data_folder_is_closed_to_others => ["POST /api/v1/jobs"],
}

fn a_job_that_cannot_start_says_why() {
    let server = Server::start();
    let folder = server.dir.path();
    fs::write(folder.join("file"), "").unwrap();
    fs::write(folder.join("plain"), "not a program").unwrap();
    let missing = folder.join("missing");
    let file = folder.join("file");
    let plain = format!("#!{}\ntrue\n", folder.join("plain").display());
    for (body, words) in [
        (json!({"script": "#!/no/such/interpreter\ntrue\n"}), "/no/such/interpreter"),
        (json!({"script": plain}), "plain"),
        (json!({"script": "true", "working_directory": missing}), "working directory"),
        (json!({"script": "true", "working_directory": file}), "working directory"),
        (
            json!({"script": "true", "working_directory": folder, "standard_output": "file/x"}),
            "standard output",
        ),
        (
            json!({"script": "true", "working_directory": "/dev", "standard_output": "zero"}),
            "standard output",
        ),
        (
            json!({"job": {"current_working_directory": file}, "script": "true"}),
            "working directory",
        ),
    ] {
        let id = server.submit(&body);
        let job = server.ended(id);
        assert_eq!(job["state"], "FAILED", "{body}: {job}");
        assert!(job["exit_code"].is_null() && job["start_time"].is_null(), "{body}: {job}");
        let error = job["error"].as_str().unwrap_or_default();
        assert!(error.contains(words) && error.contains(' '), "{body}: {error:?}");
        assert_eq!(job["allocation"]["released"], true, "{job}");
        assert_eq!(server.stdout(id), "", "nothing was written");
    }
    server.is_clean();
}

fn a_link_that_leads_out_of_its_root_is_refused_at_the_start() {
    let server = Server::start();
    let (work, outside) = (server.dir.path().join("work"), server.dir.path().join("outside"));
    fs::create_dir_all(&work).unwrap();
    fs::create_dir_all(&outside).unwrap();
    fs::write(outside.join("kept"), "kept").unwrap();
    symlink(&outside, work.join("way")).unwrap();
    symlink(outside.join("kept"), work.join("link")).unwrap();
    symlink("../outside/kept", work.join("relative")).unwrap();
    for path in ["way/kept", "way/new", "way/deep/new", "link", "relative"] {
        for field in ["standard_output", "standard_error"] {
            let body =
                json!({"script": "echo x; echo x >&2", "working_directory": work, field: path});
            let job = server.ended(server.submit(&body));
            assert_eq!(job["state"], "FAILED", "{path}: {job}");
            let error = job["error"].as_str().unwrap();
            assert!(error.contains("link"), "{path}: {error}");
        }
    }
    assert_eq!(fs::read_to_string(outside.join("kept")).unwrap(), "kept");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "nothing was made outside");
    server.is_clean();
}

fn an_output_root_is_open_to_every_job() {
    let mut server = Server::unstarted(&["--cpus", "4"]);
    let root = server.dir.path().join("logs");
    fs::create_dir(&root).unwrap();
    server.args.extend(["--output-root".to_owned(), root.display().to_string()]);
    server.up();
    let out = root.join("deep/%j.txt");
    let id = server.submit(&json!({"script": "echo x", "standard_output": out}));
    assert_eq!(server.ended(id)["exit_code"], "0:0");
    assert_eq!(fs::read_to_string(root.join(format!("deep/{id}.txt"))).unwrap(), "x\n");
    assert_eq!(server.stdout(id), "x\n");
    for path in [format!("{}-beside/x", root.display()), format!("{}/../x", root.display())] {
        let answer =
            server.post("/api/v1/jobs", &json!({"script": "true", "standard_output": path}));
        assert_eq!(fields(&problem(answer, 422)), ["standard_output"], "{path}");
    }
}

fn output_is_emptied_and_its_folders_are_made() {
    let server = Server::start();
    let work = server.dir.path().join("work");
    fs::create_dir(&work).unwrap();
    fs::write(work.join("o"), "a long old text").unwrap();
    let body = json!({"script": "echo new", "working_directory": work, "standard_output": "o"});
    server.ended(server.submit(&body));
    assert_eq!(fs::read_to_string(work.join("o")).unwrap(), "new\n");
    let absolute = work.join("a/b/%x");
    let body = json!({
        "script": "echo out; echo err >&2", "working_directory": work, "name": "x/../../y",
        "standard_output": absolute, "standard_error": "c/d",
    });
    let job = server.ended(server.submit(&body));
    assert_eq!(job["exit_code"], "0:0", "{job}");
    assert_eq!(fs::read_to_string(work.join("a/b/x_.._.._y")).unwrap(), "out\n");
    assert_eq!(fs::read_to_string(work.join("c/d")).unwrap(), "err\n");
}

fn the_data_folder_is_closed_to_others() {
    let server = Server::start();
    let id = server.run("sleep 600");
    server.started(id);
    assert!(!processes_of(&server.data()).is_empty());
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&server.data()), 0o700);
    assert_eq!(mode(&server.database()), 0o600);
    let mut open = Vec::new();
    for entry in walkdir::WalkDir::new(server.data()) {
        let Ok(entry) = entry else { continue };
        if entry.file_type().is_file()
            && mode(entry.path()) & 0o077 != 0
            && !entry.path().starts_with(server.data().join("jobs"))
        {
            open.push(entry.path().display().to_string());
        }
    }
    assert!(open.is_empty(), "others may read {open:?}");
}
