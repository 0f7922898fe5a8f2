//! *Purpose*: what README.md and the pages of `docs/` tell people to type works, as written and in
//! that order; their links lead somewhere.
//!
//! *Owns*: every ```` ```sh ```` block of a page, and every ```` ```toml ```` block, which is the
//! `downbeat.toml` of the blocks behind it. A ```` ```console ```` block shows what somebody saw
//! and is not run.
//!
//! *Promises*: the blocks of a page run in one bash with `set -e`, in a fresh home and a fresh
//! clone's place. Two names stand for something else: `downbeat` is the program under test, and
//! `cargo run …` and `cargo build …` are answered by a wrapper that runs this same program, for
//! to build it again here would take minutes and prove nothing. The line `tests/run` runs the
//! tests themselves, so of that only the file's existence is checked.
//!
//! *Not here*: whether the outputs shown are right (`cli_demo.rs` and its like).

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use regex::Regex;
use rustix::process::{Pid, Signal, WaitOptions};

/// What the examples of a page listen on when nothing else is said.
const ADDRESS: &str = "127.0.0.1:8000";
/// The commands of a page take seconds.
const WITHIN: Duration = Duration::from_secs(180);

/// README.md and the pages of `docs/`: each one's path from the root, and its text.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        docs.filter(|p| p.extension().is_some_and(|e| e == "md")).collect();
    paths.sort();
    paths.insert(0, root.join("README.md"));
    let page = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path.strip_prefix(root).unwrap().to_owned(), text)
    };
    paths.into_iter().map(page).collect()
}

/// The lines of a text that stand in no block.
fn prose(markdown: &str) -> impl Iterator<Item = &str> {
    let mut is_block = false;
    markdown.lines().filter(move |line| {
        let is_fence = line.trim().starts_with("```");
        is_block ^= is_fence;
        !is_block && !is_fence
    })
}

/// A block that is run.
#[derive(Debug, PartialEq, Eq)]
enum Block {
    /// Commands.
    Shell(String),
    /// The settings of the commands behind it.
    Settings(String),
}

/// The blocks of a text that are run.
fn blocks(markdown: &str) -> Vec<Block> {
    let (mut blocks, mut open): (Vec<Block>, Option<&str>) = (Vec::new(), None);
    for line in markdown.lines() {
        match (line.trim().strip_prefix("```"), open) {
            (Some(language), None) => {
                open = Some(language);
                match language {
                    "sh" => blocks.push(Block::Shell(String::new())),
                    "toml" => blocks.push(Block::Settings(String::new())),
                    _ => {}
                }
            }
            (Some(_), Some(_)) => open = None,
            (None, Some("sh" | "toml")) => {
                let (Block::Shell(text) | Block::Settings(text)) = blocks.last_mut().unwrap();
                text.push_str(line);
                text.push('\n');
            }
            _ => {}
        }
    }
    blocks
}

/// One bash script of all blocks; each says its number, so that a failure names its block.
fn script(blocks: &[Block]) -> String {
    let mut script = "set -e\n".to_owned();
    for (index, block) in blocks.iter().enumerate() {
        script.push_str(&format!("echo '-- block {}'\n", index + 1));
        let text = match block {
            Block::Shell(text) => text,
            Block::Settings(text) => {
                script.push_str(&format!("cat > downbeat.toml <<'SETTINGS'\n{text}SETTINGS\n"));
                continue;
            }
        };
        for line in text.lines() {
            // The tests run this one; it cannot run them.
            let line = if line.trim() == "tests/run" { "test -x tests/run" } else { line };
            script.push_str(&format!("{line}\n"));
        }
    }
    script
}

/// A folder for the front of PATH.
fn programs(folder: &Path) {
    let program = env!("CARGO_BIN_EXE_downbeat");
    symlink(program, folder.join("downbeat")).unwrap();
    let cargo = format!(
        "#!/bin/bash\n\
         # Stands for the build: what it would make is there already.\n\
         command=$1; shift\n\
         case $command in build|install) exit 0;; run) ;; *)\n\
         echo \"the test of the pages has no 'cargo $command'\" >&2; exit 1;; esac\n\
         while [[ $# -gt 0 && $1 != -- ]]; do shift; done\n\
         shift\n\
         exec '{program}' \"$@\"\n"
    );
    fs::write(folder.join("cargo"), cargo).unwrap();
    fs::set_permissions(folder.join("cargo"), fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs a script in bash; answers its code and all it printed. Whatever it leaves running in
/// its process group, a server for instance, is ended.
fn run(script: &str, place: &Path, home: &Path, within: Duration) -> (Option<i32>, String) {
    let bin = home.join("bin");
    fs::create_dir(&bin).unwrap();
    programs(&bin);
    let log = home.join("log");
    let file = fs::File::create(&log).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.arg("-c").arg(script).current_dir(place).process_group(0);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DOWNBEAT_") {
            command.env_remove(name);
        }
    }
    command.env("PATH", path).env("HOME", home).env("XDG_STATE_HOME", home.join("state"));
    command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    let mut child = command.spawn().unwrap();
    let group = Pid::from_child(&child);
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if start.elapsed() > within {
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    // TERM first: a server ends its step daemon in good order.
    let _ = rustix::process::kill_process_group(group, Signal::TERM);
    let ended = Instant::now();
    while rustix::process::test_kill_process_group(group).is_ok() {
        let _ = rustix::process::waitpid(Some(group), WaitOptions::NOHANG);
        if ended.elapsed() > Duration::from_secs(10) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
            let _ = child.wait();
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut text = String::new();
    fs::File::open(&log).unwrap().read_to_string(&mut text).unwrap();
    if status.is_none() {
        text.push_str(&format!("-- not done after {within:?}\n"));
    }
    (status.and_then(|status| status.code()), text)
}

/// Runs a page's blocks in a place of its own.
fn works_as_written(page: &Path, blocks: &[Block]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // The pages name this port, so the test cannot choose another.
    if let Err(error) = TcpListener::bind(ADDRESS) {
        panic!("{ADDRESS}, which the pages use, is taken ({error}); end whoever listens there");
    }
    let home = tempfile::TempDir::new().unwrap();
    // Written-to like a clone of one's own: what the blocks make goes with the folder.
    let clone = tempfile::TempDir::new().unwrap();
    for entry in fs::read_dir(root).unwrap().map(Result::unwrap) {
        symlink(entry.path(), clone.path().join(entry.file_name())).unwrap();
    }
    let (code, said) = run(&script(blocks), clone.path(), home.path(), WITHIN);
    let page = page.display();
    assert_eq!(code, Some(0), "{page}: the last block named is the one that failed:\n{said}");
}

/// One test, since all pages name one port.
#[test]
fn every_shell_block_of_the_readme_and_of_docs_works_as_written() {
    let mut with_blocks = Vec::new();
    for (page, text) in pages() {
        let blocks = blocks(&text);
        if !blocks.is_empty() {
            works_as_written(&page, &blocks);
            with_blocks.push(page);
        }
    }
    assert!(with_blocks.contains(&"README.md".into()), "README.md has no shell block");
    assert!(with_blocks.len() > 1, "no page of docs/ has a shell block");
}

/// A heading as the end of a link: small letters and digits, hyphens for spaces.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// What is wrong with a link of a page, if anything.
fn fault_of(link: &str, page: &Path) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if link.contains("://") {
        return None;
    }
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let target = match file {
        "" => root.join(page),
        file => root.join(page).parent().unwrap().join(file),
    };
    if !target.exists() {
        return Some(format!("{}: {link}: there is no such file", page.display()));
    }
    let has = |text: &str| {
        let mut headings = prose(text).filter(|line| line.starts_with('#'));
        headings.any(|line| anchor(line.trim_start_matches('#')) == heading)
    };
    let is_right = heading.is_empty() || has(&fs::read_to_string(target).unwrap());
    (!is_right).then(|| format!("{}: {link}: there is no such heading", page.display()))
}

#[test]
fn every_link_of_a_page_leads_somewhere_and_every_page_is_linked_from_the_readme() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let links = |text: &str| -> Vec<String> {
        let lines: Vec<&str> = prose(text).collect();
        link.captures_iter(&lines.join("\n")).map(|found| found[1].to_owned()).collect()
    };
    let mut pages = pages();
    let from_readme = links(&pages[0].1);
    for (page, _) in &pages[1..] {
        let page = page.to_str().unwrap();
        assert!(from_readme.iter().any(|link| link == page), "README.md has no link to {page}");
    }
    for other in ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(other)).unwrap();
        pages.push((other.into(), text));
    }
    let faults = pages.iter().flat_map(|(page, text)| {
        links(text).into_iter().filter_map(|link| fault_of(&link, page)).collect::<Vec<_>>()
    });
    assert_eq!(faults.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn a_link_that_leads_nowhere_is_a_fault() {
    let page = Path::new("docs/settings.md");
    for right in ["https://a.example/b", "../README.md", "settings.md", "../README.md#quick-start"]
    {
        assert_eq!(fault_of(right, page), None);
    }
    for wrong in ["README.md", "../README.md#slow-start", "#nothing"] {
        assert!(fault_of(wrong, page).is_some(), "{wrong}");
    }
    assert_eq!(anchor(" Where do I put …?"), "where-do-i-put-");
}

#[test]
fn a_block_that_fails_is_named_and_console_blocks_are_not_run() {
    let text = "```console\n$ exit 9\n```\n\n```sh\ndownbeat --version\ncargo run --release -- \
                completions bash > /dev/null\n```\n  \n```sh\nfalse\necho unreached\n```\n";
    let blocks = blocks(text);
    assert_eq!(blocks.len(), 2);
    let home = tempfile::TempDir::new().unwrap();
    let (code, said) = run(&script(&blocks), home.path(), home.path(), WITHIN);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("-- block 1\ndownbeat ") && said.ends_with("-- block 2\n"), "{said}");
}

#[test]
fn a_block_that_never_ends_is_ended() {
    let home = tempfile::TempDir::new().unwrap();
    let (code, said) = run("sleep 600", home.path(), home.path(), Duration::from_millis(100));
    assert!(code.is_none() && said.contains("-- not done after"), "{code:?} {said}");
}

#[test]
fn a_toml_block_is_the_settings_of_the_blocks_behind_it() {
    let text = "```toml\n[[partition]]\nname = \"a$b\"\n```\n```sh\ncat downbeat.toml\n```\n";
    let home = tempfile::TempDir::new().unwrap();
    let (code, said) = run(&script(&blocks(text)), home.path(), home.path(), WITHIN);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said, "-- block 1\n-- block 2\n[[partition]]\nname = \"a$b\"\n");
}
