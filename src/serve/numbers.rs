//! *Purpose*: which number the next job gets when the database may be older than the files.
//!
//! *Owns*: what folders of jobs say about numbers.
//!
//! *Promises*: a database that was put back from a backup gives no number out again of which there
//! are files: a job that still runs, or has left its output, shares them with nobody. Scripts can
//! make folders; what they make up uses no numbers up.
//!
//! *Not here*: numbers while the server runs (`kernel`).

use std::path::Path;

use crate::engine::Key;

/// So far a folder's number may be ahead of the database: more jobs than any machine runs between
/// two backups, and so few that a job can go so far ahead thousands of millions of times.
const AHEAD_MAX: i64 = 1_000_000_000;

/// The next number, when the database says that it is `next`.
pub(super) fn next(data_dir: &Path, next: i64) -> i64 {
    let last = next.saturating_add(AHEAD_MAX);
    let spool = names(&data_dir.join("spool"));
    let spool = spool.filter_map(|name| Some(Key::parse(&name)?.attempt.job.0));
    let jobs = names(&data_dir.join("jobs")).filter_map(|name| name.parse().ok());
    let (known, made_up): (Vec<i64>, Vec<i64>) =
        spool.chain(jobs).filter(|number| *number >= next).partition(|number| *number < last);
    if let Some(number) = made_up.first() {
        log::warn!("There are files of a job {number}, which no server of this folder has had");
    }
    match known.into_iter().max() {
        Some(number) => {
            log::warn!(
                "There are files of jobs up to {number} that the database does not know: it is \
                 older than they are, and the next number is {}",
                number + 1
            );
            number + 1
        }
        None => next,
    }
}

fn names(folder: &Path) -> impl Iterator<Item = String> + use<> {
    let all = std::fs::read_dir(folder).into_iter().flatten().flatten();
    all.filter_map(|entry| entry.file_name().into_string().ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_next_number_is_behind_every_folder_that_a_server_can_have_made() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(next(dir.path(), 7), 7, "there are no folders yet");
        for (folder, behind) in [
            ("spool/3.1.a", 7),
            ("jobs/6", 7),
            ("spool/free.12", 7),
            ("jobs/-3", 7),
            ("jobs/notes", 7),
            ("spool/9223372036854775807.1.a", 7),
            ("jobs/9223372036854775806", 7),
            ("jobs/1000000007", 7),
            ("jobs/7", 8),
            ("spool/9.2.a", 10),
            ("jobs/1000000006", 1_000_000_007),
        ] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
            assert_eq!(next(dir.path(), 7), behind, "{folder}");
        }
        assert_eq!(next(dir.path(), i64::MAX), i64::MAX);
    }
}
