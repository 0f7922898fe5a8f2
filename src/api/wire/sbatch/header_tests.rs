//! *Purpose*: tests of the head of a script.
//!
//! *Owns*: a script for each way in which one is misread.
//!
//! *Promises*: none of its own.
//!
//! *Not here*: options (`sbatch::tests`).

use super::read;

fn errors(script: &str) -> Vec<String> {
    read(script).errors.listed().into_iter().map(|e| e.message).collect()
}

fn warnings(script: &str) -> Vec<String> {
    assert_eq!(errors(script), Vec::<String>::new(), "{script}");
    read(script).warnings.listed()
}

#[test]
fn a_first_line_that_nobody_would_see_is_refused() {
    for (script, line, part) in [
        ("\u{feff}#!/bin/bash\ntrue", 1, "byte order mark"),
        ("\u{feff}true", 1, "byte order mark"),
        (" #!/bin/bash\ntrue", 1, "blanks before #!"),
        ("\t#!/usr/bin/env python3\n", 1, "blanks before #!"),
        ("\n\n#!/bin/sh\ntrue", 3, "empty lines before #!"),
        ("#!/bin/bash\r\ntrue\r\n", 1, "carriage return"),
        ("true\r\n", 1, "carriage return"),
        ("#!/bin/bash\n#SBATCH -c 2\r\ntrue\n", 2, "carriage return"),
    ] {
        let said = errors(script);
        let begin = format!("line {line}: ");
        assert!(said.len() == 1 && said[0].starts_with(&begin), "{script:?}: {said:?}");
        assert!(said[0].contains(part), "{script:?}: {said:?}");
    }
    for fine in ["#!/bin/bash\ntrue", "\ntrue\n#!/bin/bash", "#! /bin/sh\n", "# a\n#!b", "a\nb\r\n"]
    {
        assert_eq!(errors(fine), Vec::<String>::new(), "{fine:?}");
    }
}

#[test]
fn a_directive_that_is_not_read_is_said() {
    let behind = warnings("#!/bin/bash\necho hi\n#SBATCH -c 2\n");
    assert!(behind.len() == 1 && behind[0].starts_with("line 3: "), "{behind:?}");
    for odd in [" #SBATCH -c 2", "# SBATCH -c 2", "#sbatch --time=5", "#Sbatch\t-c 2"] {
        let said = warnings(&format!("#!/bin/sh\n{odd}\ntrue"));
        assert!(said.len() == 1 && said[0].contains("without blanks"), "{odd}: {said:?}");
    }
    for remark in ["##SBATCH -c 2", "# sbatch is how this is run", "#SBATCHED -c", "#", "# é"] {
        assert_eq!(warnings(&format!("#!/bin/sh\n{remark}\ntrue")), Vec::<String>::new());
    }
}

#[test]
fn the_headers_of_other_systems_are_named_once() {
    let script = "#!/bin/bash\n#PBS -l nodes=1\n#PBS -N x\n#BSUB -J y\n#$ -cwd\n#$HOME\ntrue\n\
                  #PBS -q late\n";
    let said = warnings(script);
    let begins: Vec<&str> = said.iter().map(|s| &s[..s.find(" lines").unwrap_or(0)]).collect();
    assert_eq!(begins, ["line 2: #PBS", "line 4: #BSUB", "line 5: #$"]);
}
