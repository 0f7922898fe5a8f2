//! *Purpose*: the options of `sbatch` on our command line.
//!
//! *Owns*: [`SbatchOptions`], made of the one table of options; what the help says of each.
//!
//! *Promises*: whatever `#SBATCH` lines take, the command line takes in the same forms, abbreviated
//! too; of what is given twice the later counts.
//!
//! *Not here*: what becomes of each (`api::wire::sbatch`), options that `sbatch` does not have
//! (`cli::job_flags`).

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::api::wire::sbatch::{self, Directives, SbatchOption, Takes};

/// Options of `sbatch`, as they were given.
#[derive(Clone, Debug, Default)]
pub struct SbatchOptions {
    given: Vec<(String, Option<String>)>,
}

/// What the help says: the option, its value, a line. What is not honoured has none.
#[rustfmt::skip]
const HELP: &[(&str, &str, &str)] = &[
    ("account", "NAME", "Whom to charge"),
    ("array", "TASKS", "An array of tasks: 0-99, 1,3,5-9:2; 0-99%4 runs four at a time"),
    ("begin", "WHEN", "Not before: 16:00, tomorrow, 2026-11-22T16:00, now+2h"),
    ("chdir", "DIR", "Where it runs [default: this folder]"),
    ("comment", "TEXT", "A remark"),
    ("cpus-per-gpu", "N", "CPUs for each GPU"),
    ("cpus-per-task", "N", "CPUs of each task [default: 1]"),
    ("deadline", "WHEN", "Not after: whoever waits then is cancelled, whoever runs then is \
        stopped"),
    ("dependency", "LIST", "Jobs to wait for: afterok:17:18,afterany:19; after, afternotok, \
        aftercorr, singleton; \"?\" for any"),
    ("error", "FILE", "File for standard error [default: the one of --output, if that is given]"),
    ("exclude", "NODES", "Nodes to stay away from"),
    ("exclusive", "", "All CPUs of the server"),
    ("export", "NAMES", "Which of your variables it gets: ALL, NONE, NAME or NAME=VALUE, with \
        commas [default: ALL]"),
    ("gpus", "[TYPE:]N", "GPUs: a count, or a type and a count, a100:2"),
    ("gpus-per-node", "[TYPE:]N", "The same, as this server is one node"),
    ("gpus-per-task", "[TYPE:]N", "GPUs of each task"),
    ("gres", "LIST", "Other resources: gpu:2, gpu:a100:2, NAME:N, with commas"),
    ("hold", "", "Wait until somebody releases it"),
    ("input", "FILE", "File that it reads as its standard input [default: /dev/null]"),
    ("job-name", "NAME", "Name [default: the script's or command's]"),
    ("kill-on-invalid-dep", "YES", "yes: cancel it when what it waits for can never be; no: let it \
        wait [default: the server's]"),
    ("licenses", "LIST", "Licences: matlab, matlab:2, with commas"),
    ("mail-type", "LIST", "When you want mail: END,FAIL; kept with the job, no mail is sent yet"),
    ("mail-user", "ADDRESS", "Who gets that mail"),
    ("mem", "SIZE", "Memory: 512M, 2G; a bare number is MiB"),
    ("mem-per-cpu", "SIZE", "Memory for each CPU"),
    ("mem-per-gpu", "SIZE", "Memory for each GPU"),
    ("mincpus", "N", "CPUs at least"),
    ("nice", "N", "Run later: takes so much from the priority [without a number: 100]"),
    ("no-requeue", "", "Never run it again by itself"),
    ("nodelist", "NODES", "The nodes to run on"),
    ("nodes", "N", "Nodes: this server is one"),
    ("ntasks", "N", "Tasks, which the script starts itself [default: 1]"),
    ("ntasks-per-gpu", "N", "Tasks for each GPU"),
    ("ntasks-per-node", "N", "Tasks, as this server is one node"),
    ("open-mode", "MODE", "Output files: truncate, each attempt empties them; append, it writes \
        behind what is there"),
    ("output", "FILE", "File for standard output: %j is the id, %x the name, %u you, %N the \
        machine, %A the array's id, %a the task [default: the server keeps it]"),
    ("overcommit", "", "Tasks share CPUs: one CPU for all of them"),
    ("partition", "NAMES", "Partition, or several with commas: the first that has room for it"),
    ("priority", "N", "Larger runs first [default: 0]"),
    ("requeue", "", "Run it again when the machine fails"),
    ("signal", "[B:]SIGNAL[@SECONDS]", "Signal before the time limit: USR1@60 for its processes, \
        B:USR1@60 for the script"),
    ("tasks-per-node", "N", "Tasks, as this server is one node"),
    ("time", "TIME", "Time limit: minutes, H:M:S, D-H:M:S, 90s, 2h, UNLIMITED"),
    ("tmp", "SIZE", "Local disk space for the time of the job, where the server counts it; a bare \
        number is MiB"),
];

/// Other names of ours, which were there first.
const ALIASES: &[(&str, &str)] = &[("job-name", "name"), ("mem", "memory")];
/// What our own flags are for.
const OURS: [&str; 8] =
    ["help", "parsable", "quiet", "test-only", "usage", "version", "wait", "wrap"];
/// A letter that is taken: `-q` prints the id alone.
const TAKEN: char = 'q';

fn arg(option: SbatchOption) -> Arg {
    let SbatchOption { name, letter, takes, .. } = option;
    let mut arg = Arg::new(name).long(name).hide(!option.is_honoured());
    if let Some(letter) = letter.filter(|letter| *letter != TAKEN) {
        arg = arg.short(letter);
    }
    for (_, alias) in ALIASES.iter().filter(|(of, _)| *of == name) {
        arg = arg.visible_alias(alias);
    }
    let (value, help) =
        HELP.iter().find(|(of, ..)| *of == name).map_or(("VALUE", ""), |(_, v, help)| (*v, *help));
    arg = arg.help(help).allow_hyphen_values(["priority", "nice"].contains(&name));
    match takes {
        Takes::Nothing => arg.action(ArgAction::SetTrue).overrides_with(name),
        Takes::Value => arg.action(ArgAction::Append).value_name(value),
        Takes::Maybe => arg
            .action(ArgAction::Append)
            .value_name(if value.is_empty() { "VALUE" } else { value })
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value(""),
    }
}

/// What the help says of an option; nothing of one that is not honoured.
#[must_use]
pub fn line_of(name: &str) -> &'static str {
    HELP.iter().find(|(of, ..)| *of == name).map_or("", |(.., line)| line)
}

fn own_options() -> impl Iterator<Item = SbatchOption> {
    sbatch::options().filter(|option| !OURS.contains(&option.name))
}

impl clap::Args for SbatchOptions {
    fn augment_args(cmd: Command) -> Command {
        cmd.args(own_options().map(arg))
    }

    fn augment_args_for_update(cmd: Command) -> Command {
        Self::augment_args(cmd)
    }
}

impl clap::FromArgMatches for SbatchOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<SbatchOptions, clap::Error> {
        let mut given: Vec<(usize, String, Option<String>)> = Vec::new();
        for SbatchOption { name, takes, .. } in own_options() {
            let at = matches.indices_of(name).into_iter().flatten();
            if takes == Takes::Nothing {
                // One that is not given has an index too, that of its default.
                let is_given = matches.get_flag(name);
                given.extend(at.last().filter(|_| is_given).map(|at| (at, name.to_owned(), None)));
                continue;
            }
            let values = matches.get_many::<String>(name).into_iter().flatten();
            given.extend(at.zip(values).map(|(at, value)| {
                let value = Some(value.clone()).filter(|v| takes == Takes::Value || !v.is_empty());
                (at, name.to_owned(), value)
            }));
        }
        given.sort();
        Ok(SbatchOptions {
            given: given.into_iter().map(|(_, name, value)| (name, value)).collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl SbatchOptions {
    /// Those that were given in this order.
    #[must_use]
    pub fn of(given: Vec<(String, Option<String>)>) -> SbatchOptions {
        SbatchOptions { given }
    }

    /// What they say.
    #[must_use]
    pub fn read(&self) -> Directives {
        sbatch::of_command_line(self.given.iter().cloned())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    fn given(words: &str) -> Directives {
        let command = SbatchOptions::augment_args(Command::new("x").infer_long_args(true));
        let words = std::iter::once("x").chain(words.split_whitespace());
        let matches = command.try_get_matches_from(words).unwrap();
        SbatchOptions::from_arg_matches(&matches).unwrap().read()
    }

    #[test]
    fn a_command_line_is_read_as_a_line_of_a_script_is() {
        for words in [
            "-n 2 -c3 --mem=1G -t 1:00 -J a -o x --error y -p b -A c -D /d -H --exclusive",
            "--depend afterok:7 --gres=gpu:1 -L a:2 --tmp 5G -a 0-3%2 --signal=B:USR1@9",
            "--export=all --open-mode append --requeue --no-requeue --nice --nice=5 -N 1 -i in",
            "--hold --comment=x --mem-per-cpu 5 --ntasks-per-node=2 --overcommit -t 9 -t 5",
            "--mail-type=ALL --qos=high -m block --get-user-env --priority=-5",
        ] {
            let mut line = sbatch::read(&format!("#SBATCH {words}"));
            let mut typed = given(words);
            assert_eq!(typed.errors.clone().listed(), [], "{words}");
            let of_line = std::mem::take(&mut line.warnings).listed();
            let of_words = std::mem::take(&mut typed.warnings).listed();
            let said = |text: &String| text.replace("line 1: #SBATCH ", "").replace("line 1, ", "");
            assert_eq!(of_words, of_line.iter().map(said).collect::<Vec<_>>());
            let without_places = |d: Directives| format!("{d:?}").replace("line 1, ", "");
            assert_eq!(without_places(typed), without_places(line), "{words}");
        }
    }

    #[test]
    fn what_is_refused_names_the_option() {
        let said = given("--bb=x --time=soon").errors.listed();
        assert_eq!((&*said[0].field, &*said[1].field), ("--bb", "--time"));
        assert!(said[0].message.ends_with("(leave it out)"), "{}", said[0].message);
    }

    #[test]
    fn every_option_that_is_honoured_is_explained_and_no_other() {
        let told: Vec<&str> = HELP.iter().map(|(name, ..)| *name).collect();
        let honoured = own_options().filter(SbatchOption::is_honoured);
        let mut names: Vec<&str> = honoured.map(|option| option.name).collect();
        names.sort_unstable();
        assert_eq!(told, names);
    }
}
