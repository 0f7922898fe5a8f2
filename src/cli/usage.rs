//! *Purpose*: the command line as people read it and type it.
//!
//! *Owns*: the verbs in groups, examples, words that stand before the verb.
//!
//! *Promises*: every verb that is not hidden stands in one group; `--server` and `--token-file` may
//! stand before the verb; no tip leads astray.
//!
//! *Not here*: which verbs there are (`cli`), what they take (their files).

use std::ffi::OsString;

use clap::Command;
use clap::error::{ContextKind, ContextValue};

/// The verbs by what people want.
const GROUPS: &[(&str, &[&str])] = &[
    ("Jobs", &["submit", "run", "wait", "queue", "top", "show", "logs", "slurm"]),
    (
        "Changing jobs",
        &["cancel", "signal", "suspend", "unsuspend", "hold", "release", "requeue", "update"],
    ),
    (
        "The server",
        &[
            "serve",
            "status",
            "partitions",
            "usage",
            "web",
            "whoami",
            "token",
            "history",
            "audit",
            "drain",
            "resume",
            "migrate",
        ],
    ),
    ("Trying and learning", &["demo", "simulate", "completions", "help"]),
];

const EXAMPLES: &str = "\
Examples:
  downbeat demo                            see it all, nothing stays behind
  downbeat submit -c 4 -t 2h train.sh      a script, four CPUs, two hours at most
  downbeat run -c 2 -- make -j2            a command, as if it ran here
  downbeat queue                           what runs and what waits
  downbeat logs -f last                    follow my last job
  downbeat cancel --name 'test-*' --me     all of mine that are called so
";

/// What is said below the help of a verb.
const OF_VERBS: &[(&str, &str)] = &[
    (
        "submit",
        "  downbeat submit -c 4 --mem 8G -t 2h train.sh\n  \
         downbeat submit -a 0-99%4 --wait sweep.sh\n  \
         echo 'sleep 60' | downbeat submit -J nap -",
    ),
    ("run", "  downbeat run -c 2 -- make -j2\n  downbeat run -t 10m -- ./bench --fast | tee out"),
    (
        "queue",
        "  downbeat queue --me\n  downbeat queue --since yesterday --state failed\n  \
         downbeat queue -o id,name,left --sort left --watch",
    ),
    ("show", "  downbeat show 17\n  downbeat show last"),
    (
        "logs",
        "  downbeat logs -f 17\n  downbeat logs --tail 20 --stderr 17_4\n  downbeat logs last",
    ),
    (
        "wait",
        "  downbeat wait 17-20 && echo all are well\n  downbeat wait --any --timeout 2h 17 18",
    ),
    (
        "cancel",
        "  downbeat cancel 17 18_[3-5]\n  downbeat cancel --me --state pending\n  \
         downbeat cancel --all --yes",
    ),
    ("signal", "  downbeat signal USR1 17\n  downbeat signal --to script TERM 18_[3-5]"),
    ("requeue", "  downbeat requeue 17\n  downbeat requeue --state failed,timeout --me"),
    (
        "drain",
        "  downbeat drain --reason 'new disks'\n  \
         downbeat drain --from 22:00 --until 'tomorrow 6:00'",
    ),
];

/// The whole command line with its help in groups, and with examples.
pub(super) fn arranged(mut command: Command) -> Command {
    for (verb, examples) in OF_VERBS {
        command =
            command.mut_subcommand(verb, |verb| verb.after_help(format!("Examples:\n{examples}")));
    }
    let template = format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{}Options:\n{{options}}\n\n{EXAMPLES}",
        groups(&command)
    );
    command.help_template(template)
}

fn groups(command: &Command) -> String {
    let mut text = String::new();
    for (name, verbs) in GROUPS {
        text.push_str(&format!("{name}:\n"));
        for verb in *verbs {
            let found = command.find_subcommand(verb);
            let about = found.and_then(Command::get_about);
            let about =
                about.map_or_else(|| "Print the help of a verb".to_owned(), |a| a.to_string());
            let aliases = found.into_iter().flat_map(Command::get_visible_aliases);
            let aliases: String = aliases.map(|alias| format!(" [alias: {alias}]")).collect();
            text.push_str(&format!("  {verb:<12} {about}{aliases}\n"));
        }
        text.push('\n');
    }
    text
}

/// The same words, with `--server` and `--token-file` behind the verb that they are before.
pub(super) fn behind_the_verb(words: Vec<OsString>) -> Vec<OsString> {
    let mut words = words.into_iter();
    let mut all: Vec<OsString> = words.next().into_iter().collect();
    let mut moved = Vec::new();
    for word in words.by_ref() {
        let text = word.to_string_lossy();
        let takes_next = matches!(&*text, "--server" | "--token-file");
        let is_value =
            moved.last().is_some_and(|last| last == "--server" || last == "--token-file");
        if takes_next
            || is_value
            || text.starts_with("--server=")
            || text.starts_with("--token-file=")
        {
            drop(text);
            moved.push(word);
            continue;
        }
        drop(text);
        all.push(word);
        break;
    }
    all.extend(moved);
    all.extend(words);
    all
}

/// A flag that does not exist is a mistake; that it could be passed behind `--` as a word of the
/// script is no help.
pub(super) fn without_bad_tip(mut error: clap::Error) -> clap::Error {
    let is_flag = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) => word.starts_with('-'),
        _ => false,
    };
    if is_flag {
        error.remove(ContextKind::Suggested);
    }
    error
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::super::{Cli, command};
    use super::*;

    #[test]
    fn every_verb_stands_in_one_group() {
        let shown = Cli::command();
        let shown = shown.get_subcommands().filter(|verb| !verb.is_hide_set());
        let mut names: BTreeSet<String> = shown.map(|verb| verb.get_name().to_owned()).collect();
        names.insert("help".to_owned());
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, verbs)| *verbs).copied().collect();
        assert_eq!(grouped.len(), names.len(), "none stands twice");
        assert_eq!(grouped.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), names);
        let help = command().render_help().to_string();
        assert!(help.contains("\nChanging jobs:\n  cancel       Cancel jobs\n"), "{help}");
    }

    #[test]
    fn examples_are_command_lines_that_are_understood() {
        let examples = OF_VERBS.iter().flat_map(|(_, text)| text.lines());
        for line in examples.chain(EXAMPLES.lines().skip(1)) {
            let line = line.split("   ").find(|part| !part.trim().is_empty()).unwrap_or(line);
            let line = line.split(" && ").next().unwrap();
            let line = line.split(" | ").find(|part| part.contains("downbeat")).unwrap();
            let words = shell_words::split(line.trim()).unwrap();
            let parsed = command().try_get_matches_from(&words);
            assert!(parsed.is_ok(), "{line}: {:?}", parsed.err().map(|e| e.to_string()));
        }
    }

    #[test]
    fn the_server_may_stand_before_the_verb() {
        for (typed, meant) in [
            ("d --server h:1 queue -a", "d queue --server h:1 -a"),
            ("d --server=h:1 --token-file f show 1", "d show --server=h:1 --token-file f 1"),
            ("d queue --server h:1", "d queue --server h:1"),
            ("d run -- x --server y", "d run -- x --server y"),
            ("d --server", "d --server"),
            ("d", "d"),
        ] {
            let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
            assert_eq!(behind_the_verb(words(typed)), words(meant), "{typed}");
        }
    }

    #[test]
    fn no_tip_leads_astray() {
        let said = |words: &[&str]| {
            let error = command().try_get_matches_from(words).unwrap_err();
            without_bad_tip(error).to_string()
        };
        let unknown = said(&["downbeat", "submit", "--foo", "x.sh"]);
        assert!(unknown.contains("'--foo'") && !unknown.contains("tip"), "{unknown}");
        assert!(said(&["downbeat", "queue", "--sate", "x"]).contains("'--state'"));
        assert!(said(&["downbeat", "qeue"]).contains("'queue'"));
        let words = said(&["downbeat", "run", "echo"]);
        assert!(words.contains("-- <CMD>"), "{words}");
    }
}
