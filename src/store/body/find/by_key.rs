//! *Purpose*: finds the jobs that a filter asks for, in order of a key.
//!
//! *Owns*: whether an index is walked or the jobs are put in order, and how many may be.
//!
//! *Promises*: no question puts more than [`MANY`] times its bound of jobs in order; where they
//! would be more it is refused, rather than answered from a part of them.
//!
//! *Not here*: the order of ids (`find::by_id`).
//!
//! **How.** Where an index has few jobs of a part of the filter, they are fetched and put in order.
//! Of more, those are read off an index that stand in the order of the key: states, names, users,
//! ends. Submit times rise with the ids, so a page of them lies within few ids. Nothing knows the
//! order of the other keys, and an index for each would cost every submission: there the table is
//! read from end to end, and SQLite keeps no more of it than the page. So it is where an index has
//! the order, but hardly any of its jobs match.

use super::super::Conn;
use super::by_id::{Found, reach, ways};
use super::query::{Part, Question, Source};
use super::window::Window;
use super::{by_time, collected, segments};
use crate::store::error::StoreError;
use crate::store::order::SortKey;

/// Jobs that are put in order for a look that may lead to nothing, where the key has an order of
/// its own: as many as take about as long.
const FEW: usize = 2;
/// The same where the table would be read otherwise: rows that are sought one by one take twice as
/// long as rows that stand behind each other, but are a quarter at the most.
const SOME: usize = 25;
/// The same for rows of the table, one behind the other: a million take a quarter of a second.
const MANY: usize = 100;
/// A page that a walk has filled by less than one part of so many is asked for in the other way.
const SPARSE: usize = 10;

/// A page of jobs in order of a key that is not the id.
///
/// # Errors
/// When they are too many to be put in order, and what the database says.
pub(super) fn page(conn: &mut Conn, question: &Question) -> Result<Found, StoreError> {
    let (key, bound) = (question.filter.key, question.bound);
    let segments = segments::of(question.filter);
    // Each job that the key leads to is an answer.
    let straight = question.parts.iter().all(|part| is_of_key(key, *part));
    if !(segments.is_some() && straight) {
        let has_order = segments.is_some() || key == SortKey::SubmitTime;
        let most = bound * if has_order { FEW } else { SOME };
        let mut ways = ways(&question.parts);
        if ways.is_empty() && segments.is_some() {
            ways.push(vec![Source::Table]);
        }
        if let Some(sources) = shortest(conn, &ways, question.window, most)? {
            return collected::page(conn, question, &sources, most);
        }
    }
    match segments {
        Some(segments) => {
            let found = segments::page(conn, question, segments)?;
            let is_short = found.ids.len() * SPARSE < question.wanted;
            if found.next.is_some() && is_short { filled(conn, question, found) } else { Ok(found) }
        }
        None if key == SortKey::SubmitTime => by_time::page(conn, question, bound * MANY),
        None => collected::whole(conn, question, bound * MANY),
    }
}

/// A page of which a walk has found next to nothing before it gave up; that page itself where the
/// jobs are too many.
fn filled(conn: &mut Conn, question: &Question, found: Found) -> Result<Found, StoreError> {
    let (ways, some) = (ways(&question.parts), question.bound * SOME);
    if let Some(sources) = shortest(conn, &ways, question.window, some)? {
        return collected::page(conn, question, &sources, some);
    }
    match collected::whole(conn, question, question.bound * MANY) {
        Err(StoreError::TooManyToOrder { .. }) => Ok(found),
        page => page,
    }
}

/// Whether the key itself leads to the jobs of this part.
fn is_of_key(key: SortKey, part: Part) -> bool {
    matches!(
        (key, part),
        (SortKey::State, Part::States(_))
            | (SortKey::Name, Part::Name(_))
            | (SortKey::User, Part::User(_))
    )
}

/// The way of the fewest jobs, if one has so few.
fn shortest<'a>(
    conn: &mut Conn,
    ways: &[Vec<Source<'a>>],
    window: Window,
    most: usize,
) -> Result<Option<Vec<Source<'a>>>, StoreError> {
    let mut best: Option<(i64, &Vec<Source>)> = None;
    for sources in ways {
        let reach = reach(conn, sources, window, most)?;
        let is_best = best.is_none_or(|(rows, _)| reach.rows < rows);
        if reach.stop.is_none() && is_best {
            best = Some((reach.rows, sources));
        }
    }
    Ok(best.map(|(_, sources)| sources.clone()))
}
