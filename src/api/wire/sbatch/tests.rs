//! *Purpose*: tests of the options of `sbatch`.
//!
//! *Owns*: a line for each promise, and one of each option.
//!
//! *Promises*: none of its own.
//!
//! *Not here*: what a body makes of them (`wire::submit`), command lines (`cli::sbatch_options`).

use proptest::prelude::*;

use super::*;

fn value<T>(placed: Option<Placed<T>>) -> T {
    placed.unwrap().value
}

#[test]
fn options_before_the_first_command_are_read() {
    let d = read(
        "#!/bin/bash\n#SBATCH --time=1:30 --job-name \"my job\"\n\n# a remark\n\
         #SBATCH -c4 -n 2 -p batch # remark\n#SBATCH --mem=100\n#SBATCH -o out/%j.txt\n\
         #SBATCH --exclusive --comment=x\n#SBATCH -N1 -A lab -D /tmp --mem-per-cpu 1G\n\
         #SBATCH --export=A=1,B --ntasks-per-node=3 -e err\necho hi\n#SBATCH --time=9\n",
    );
    assert_eq!(d.errors.listed(), []);
    assert_eq!(d.warnings.listed().len(), 1, "the line behind the first command");
    let time = d.time.unwrap();
    assert_eq!((time.value, time.place.as_str()), (LimitAsked::Seconds(90), "line 2, --time"));
    assert_eq!(value(d.job_name), "my job");
    assert_eq!((value(d.cpus_per_task), value(d.ntasks), value(d.ntasks_per_node)), (4, 2, 3));
    assert_eq!(value(d.partition), "batch");
    assert_eq!(value(d.memory_bytes), 100 << 20);
    assert_eq!(value(d.memory_per_cpu_bytes), 1 << 30);
    assert_eq!((value(d.output), value(d.error)), ("out/%j.txt".into(), "err".into()));
    assert_eq!((value(d.account), value(d.chdir)), ("lab".into(), "/tmp".into()));
    assert_eq!(value(d.comment), "x");
    assert_eq!(value(d.export).names.len(), 2);
    assert!(d.exclusive);
}

/// A line of each option, with a value where it takes one.
fn line_of((name, _, takes, _): &table::Entry) -> String {
    match takes {
        Takes::Value | Takes::Maybe => format!("#SBATCH --{name}=7"),
        Takes::Nothing => format!("#SBATCH --{name}"),
    }
}

#[test]
fn every_option_is_honoured_refused_by_name_or_changes_nothing() {
    for entry in table::TABLE {
        let (name, letter, takes, fate) = entry;
        let d = read(&line_of(entry));
        match fate {
            Fate::Honoured | Fate::As(_) => {
                assert_eq!(d.warnings.clone().listed(), Vec::<String>::new(), "{name}");
                let blank = Directives::default();
                let bare = *name == "exclude";
                assert!(bare || d != blank || !d.errors.is_empty(), "{name} is passed over");
            }
            Fate::Refused(why) | Fate::RefusedUnless(_, why) => {
                let errors = d.errors.listed();
                let [refused] = &errors[..] else { panic!("{name}: {errors:?}") };
                let message = format!("line 1, --{name}: {why} ({TAKE_OUT})");
                assert_eq!((refused.field.as_str(), &refused.message), ("script", &message));
            }
            Fate::Harmless(why) => {
                let said = format!("line 1: #SBATCH --{name} is not honoured here: {why}");
                assert_eq!((d.warnings.listed(), d.errors.listed()), (vec![said], vec![]));
            }
        }
        if let Fate::RefusedUnless(values, _) = fate {
            for value in *values {
                assert_eq!(read(&format!("#SBATCH --{name}={value}")), Directives::default());
            }
        }
        // The letter is the same option, with its value in any form.
        let Some(letter) = letter else { continue };
        let same = read(&line_of(entry));
        let forms = match takes {
            Takes::Value => vec![format!("-{letter} 7"), format!("-{letter}7")],
            Takes::Maybe => vec![format!("-{letter}7")],
            Takes::Nothing => vec![format!("-{letter}")],
        };
        for form in forms {
            assert_eq!(read(&format!("#SBATCH {form}")), same, "{form}");
        }
    }
}

#[test]
fn the_beginning_of_a_name_is_the_option_if_there_is_only_one() {
    for (name, ..) in table::TABLE {
        for length in 1..name.len() {
            let begun = &name[..length];
            let meant = table::TABLE.iter().filter(|(other, ..)| other.starts_with(begun));
            let exact = table::TABLE.iter().any(|(other, ..)| *other == begun);
            let found = table::by_name(begun).map(|(found, ..)| *found);
            match meant.count() {
                _ if exact => assert_eq!(found, Ok(begun)),
                1 => assert_eq!(found, Ok(*name)),
                _ => assert!(found.unwrap_err().contains(&format!("--{name}")), "{begun}"),
            }
        }
    }
    assert_eq!(value(read("#SBATCH --depend=afterok:7").dependency).to_string(), "afterok:7");
    assert_eq!(value(read("#SBATCH --part batch").partition), "batch");
    assert_eq!(value(read("#SBATCH --tasks-per-node=24").ntasks_per_node), 24);
}

#[test]
fn what_nobody_knows_is_refused_since_it_may_change_anything() {
    let d = read("#!/bin/sh\n#SBATCH --frobnicate=9 -Z x\n#SBATCH --cpus=4\n#SBATCH --=1 -\n");
    let errors = d.errors.listed();
    let messages: Vec<&str> = errors.iter().map(|e| e.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "line 2: --frobnicate is not an option of sbatch that is known here",
            "line 2: -Z is not an option of sbatch that is known here",
            "line 3: --cpus may be --cpus-per-gpu, --cpus-per-task; write it out",
            "line 4: -- is not an option of sbatch that is known here",
            "line 4: \"-\" is not an option",
        ]
    );
    assert_eq!(
        read("#SBATCH --hold=1").errors.listed()[0].message,
        "line 1, --hold: takes no value"
    );
    let user = &read("#SBATCH --exclusive=user").errors.listed()[0].message;
    assert!(user.starts_with("line 1, --exclusive: \"user\" is not known here"), "{user}");
}

#[test]
fn letters_without_a_value_may_stand_together() {
    let d = read("#SBATCH -HJ name -c4\n");
    assert_eq!((d.errors.listed(), d.hold), (vec![], true));
    assert_eq!((value(d.job_name), value(d.cpus_per_task)), ("name".into(), 4));
}

#[test]
fn the_mode_of_opening_is_append_or_truncate() {
    assert_eq!(value(read("#SBATCH --open-mode=append").open_mode), OpenMode::Append);
    assert_eq!(value(read("#SBATCH --open truncate").open_mode), OpenMode::Truncate);
    let bad = read("#SBATCH --open-mode=write");
    assert!(bad.errors.listed()[0].message.contains("append or truncate"), "{:?}", bad.errors);
}

#[test]
fn requeue_is_a_retry_after_node_failures_and_the_later_line_wins() {
    let d = read("#SBATCH --requeue\n#SBATCH --signal=B:USR1@30\n");
    assert_eq!((d.errors.len(), d.warnings.listed().len()), (0, 0));
    assert_eq!(value(d.requeue), RetryPolicy::after_node_failures());
    assert_eq!(value(d.signal).to_string(), "B:USR1@30");
    assert_eq!(read("#SBATCH --requeue --no-requeue").requeue, None);
    let bad = read("#SBATCH --signal=R:USR1");
    assert!(bad.errors.listed()[0].message.starts_with("line 1, --signal: R: is about"));
}

#[test]
fn bad_values_name_the_script_and_the_line() {
    let script = "#SBATCH --time=soon\n#SBATCH -N 2\n#SBATCH -c 0\n#SBATCH --mem\n\
                  #SBATCH --job-name='x\n#SBATCH stray\n";
    let errors = read(script).errors.listed();
    let messages: Vec<&str> = errors.iter().map(|e| e.message.as_str()).collect();
    assert!(errors.iter().all(|e| e.field == "script"));
    assert!(messages[0].starts_with("line 1, --time: \"soon\" is not a time limit"));
    assert_eq!(messages[1], "line 2, --nodes: 2 nodes asked for; this server is one node");
    assert_eq!(messages[2], "line 3, --cpus-per-task: is 0; at least 1");
    assert_eq!(messages[3], "line 4, --mem: has no value");
    assert_eq!(messages[4], "line 5: a quotation mark is not closed");
    assert_eq!(messages[5], "line 6: \"stray\" is not an option");
}

#[test]
fn only_lines_that_start_with_the_word_count() {
    let mut d = read(" #SBATCH --time=5\n##SBATCH --time=5\n#SBATCHED --time=5\n#sbatch -c 3\n");
    assert_eq!(std::mem::take(&mut d.warnings).listed().len(), 2);
    assert_eq!(d, Directives::default());
    let later_wins = read("#SBATCH -c 2\n#SBATCH -c 3\n");
    assert_eq!(value(later_wins.cpus_per_task), 3);
}

proptest! {
    #[test]
    fn any_script_is_answered(lines in proptest::collection::vec("(#SBATCH )?.{0,30}", 0..6)) {
        let _ = read(&lines.join("\n"));
    }

    #[test]
    fn any_options_are_answered(line in "#SBATCH( --?[a-zA-Z-]{1,8}[= ]?[^\n]{0,8}){0,4}") {
        let _ = read(&line);
    }
}
