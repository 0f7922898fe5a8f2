//! *Purpose*: every filter finds what it means, page by page, and looks no farther than it may.
//!
//! *Owns*: random jobs, random filters, and the naive answers to them.
//!
//! *Promises*: the naive answer is made in Rust, from the jobs that were submitted.
//!
//! *Not here*: the rows that answers are made of (`super`).

use std::collections::BTreeMap;

use proptest::sample::{select, subsequence};

use super::super::find::{Found, find, find_within};
use super::super::id_by_time::{SLACK_US, ids};
use super::*;
use crate::job::ids::{Owner, Uid};
use crate::kernel::access::{Caller, Role, Scope, Whose};
use crate::kernel::testing::caller;
use crate::store::order::Cursor;

/// A job as it was submitted and what became of it.
#[derive(Clone, Debug)]
pub(in crate::store) struct Made {
    pub(in crate::store) id: i64,
    pub(in crate::store) name: String,
    pub(in crate::store) account: String,
    pub(in crate::store) user: String,
    pub(in crate::store) partition: String,
    pub(in crate::store) labels: BTreeMap<String, String>,
    pub(in crate::store) submitted: i64,
    pub(in crate::store) state: StateWord,
    pub(in crate::store) owner: Owner,
}

const NAMES: [&str; 3] = ["job", "a", "z"];
const ACCOUNTS: [&str; 3] = ["", "x", "y"];
const OWNERS: [Owner; 3] = [None, Some(Uid(1)), Some(Uid(2))];
const PARTITIONS: [&str; 3] = ["default", "p", "q"];
const BEGINNINGS: [&str; 4] = ["", "a", "jo", "zz"];
const PATTERNS: [&str; 3] = ["*", "?", "[jx]*b"];
const LABELS: [(&str, &str); 4] = [("k", "1"), ("k", "2"), ("l", "1"), ("\"l.", "\\ '")];

pub(in crate::store) type Told =
    ((usize, usize, Vec<(&'static str, &'static str)>), (i64, StateWord, bool));

/// Times mostly rise; now and then the clock is set back, by more than slack or less.
pub(in crate::store) fn told() -> impl Strategy<Value = Told> {
    let labels = subsequence(LABELS.to_vec(), 0..=2);
    let step = prop_oneof![
        8 => 0..SLACK_US,
        1 => -SLACK_US..0,
        1 => -20 * SLACK_US..20 * SLACK_US,
    ];
    let state = select(StateWord::ALL.to_vec());
    ((0..NAMES.len(), 0..ACCOUNTS.len(), labels), (step, state, any::<bool>()))
}

/// Submits the jobs, a few with each commit, and forgets some of them; answers what is left, and
/// whether the clock was set back.
pub(in crate::store) fn make(world: &mut World, told: Vec<Told>) -> (Vec<Made>, bool) {
    let (mut now, mut all, mut gone) = (1_000 * SLACK_US, Vec::new(), Vec::new());
    for ((name, account, labels), (step, state, stays)) in told {
        now += step;
        let mut request = JobRequest::from(job().named(NAMES[name]).account(ACCOUNTS[account]));
        request.labels = labels.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        // Who and where go with the name and the account, so that parts agree now and then.
        let (user, partition) = (ACCOUNTS[account].to_owned(), PARTITIONS[name].to_owned());
        (request.user, request.partition) = (Some(user.clone()), Some(partition.clone()));
        let owner = OWNERS[name];
        request.owner = owner;
        let (name, account) = (NAMES[name].to_owned(), ACCOUNTS[account].to_owned());
        let labels = request.labels.clone();
        let (id, step) = world.submission_at(request, Time(now));
        world.outbox.push(step, true, ());
        if id.0 % 3 == 0 {
            world.flush();
        }
        if !stays {
            gone.push(id);
        }
        let submitted = now;
        let id = id.0;
        all.push(Made { id, name, account, user, partition, labels, submitted, state, owner });
    }
    world.flush();
    for made in &all {
        let (word, id) = (made.state.word(), made.id);
        world.batch(&format!("UPDATE jobs SET state = '{word}' WHERE id = {id}"));
    }
    let ids: Vec<String> = [JobId(0)].iter().chain(&gone).map(ToString::to_string).collect();
    world.batch(&format!("UPDATE jobs SET end_time = 9 WHERE id IN ({})", ids.join(",")));
    let fell = falls(&all);
    all.retain(|made| !gone.contains(&JobId(made.id)));
    let changes = vec![Change::Forgotten { jobs: gone }];
    world.commit(Step { changes, ..Step::default() });
    (all, fell)
}

impl World {
    fn flush(&mut self) {
        let Some(commit) = self.outbox.take(&self.kernel) else { return };
        self.writer.commit(&commit).unwrap();
        self.outbox.settle(commit.no);
    }
}

pub(in crate::store) fn filters() -> impl Strategy<Value = JobFilter> {
    let some = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|&w| w.to_owned()).collect();
        proptest::option::of(select(words))
    };
    // Most often none.
    let several = |words: &[&'static str]| {
        let some = subsequence(words.to_vec(), 0..=2);
        (some, proptest::bool::weighted(0.4)).prop_map(|(some, is_asked)| {
            some.into_iter().filter(|_| is_asked).map(str::to_owned).collect::<Vec<_>>()
        })
    };
    let time = || proptest::option::of((980..1_020_i64).prop_map(|s| Time(s * SLACK_US)));
    (
        subsequence(StateWord::ALL.to_vec(), 0..=4),
        (
            (some(&NAMES), some(&PATTERNS), proptest::option::weighted(0.2, some(&BEGINNINGS))),
            (several(&ACCOUNTS), several(&ACCOUNTS)),
            some(&PARTITIONS),
        ),
        subsequence(LABELS.to_vec(), 0..=2),
        (time(), time()),
        (any::<bool>(), 1..6_i64),
        proptest::option::of(subsequence((0..70_i64).map(JobId).collect::<Vec<_>>(), 0..=40)),
    )
        .prop_map(|(states, words, labels, (since, until), (ascending, limit), ids)| {
            let ((name, name_like, begins), (accounts, users), partition) = words;
            let name_begins = begins.flatten();
            let labels = labels.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
            JobFilter {
                states,
                accounts,
                name,
                name_like,
                name_begins,
                users,
                partition,
                ids,
                labels,
                since,
                until,
                ascending,
                limit,
                ..JobFilter::default()
            }
        })
}

/// Whether an index serves it, and what it means.
pub(in crate::store) type Part<'a> = (bool, Box<dyn Fn(&Made) -> bool + 'a>);

pub(in crate::store) fn parts(filter: &JobFilter) -> Vec<Part<'_>> {
    let mut parts: Vec<Part> = Vec::new();
    if !filter.states.is_empty() {
        parts.push((true, Box::new(|made| filter.states.contains(&made.state))));
    }
    let indexed = |all: &[String], usual: &str| all.iter().all(|one| one != usual);
    if !filter.accounts.is_empty() {
        let has_index = indexed(&filter.accounts, "");
        parts.push((has_index, Box::new(|made| filter.accounts.contains(&made.account))));
    }
    if let Some(begins) = &filter.name_begins {
        let has_index = !"job".starts_with(begins);
        parts.push((has_index, Box::new(move |made| made.name.starts_with(begins))));
    }
    if let Some(name) = &filter.name {
        parts.push((name != "job", Box::new(move |made| made.name == *name)));
    }
    if let Some(like) = &filter.name_like {
        let means = |name: &str| match like.as_str() {
            "*" => true,
            "?" => name.len() == 1,
            _ => name == "job",
        };
        parts.push((false, Box::new(move |made| means(&made.name))));
    }
    if !filter.users.is_empty() {
        let has_index = indexed(&filter.users, "");
        parts.push((has_index, Box::new(|made| filter.users.contains(&made.user))));
    }
    if let Some(partition) = &filter.partition {
        parts.push((partition != "default", Box::new(move |made| made.partition == *partition)));
    }
    if let Some(ids) = &filter.ids {
        parts.push((true, Box::new(move |made| ids.contains(&JobId(made.id)))));
    }
    for (key, value) in &filter.labels {
        parts.push((true, Box::new(move |made| made.labels.get(key) == Some(value))));
    }
    if let Some(Time(since)) = filter.since {
        parts.push((false, Box::new(move |made| made.submitted >= since)));
    }
    if let Some(Time(until)) = filter.until {
        parts.push((false, Box::new(move |made| made.submitted < until)));
    }
    parts
}

/// What somebody sees: all, his own, or also what is of some accounts.
fn scopes() -> impl Strategy<Value = Scope> {
    let seen = (select(OWNERS.to_vec()), subsequence(ACCOUNTS[1..].to_vec(), 0..=2));
    proptest::option::weighted(0.6, seen).prop_map(|seen| match seen {
        None => Scope::SERVER,
        Some((acts_as, accounts)) => Caller {
            acts_as,
            coordinates: accounts.into_iter().map(Into::into).collect(),
            role: Role::User,
            ..caller("me")
        }
        .scope_of_details(),
    })
}

/// Walks all pages with this bound; each must have looked at few rows.
fn walk(
    world: &mut World,
    all: &[Made],
    (filter, scope): (&JobFilter, &Scope),
    bound: usize,
) -> Vec<i64> {
    let (mut found, mut filter) = (Vec::new(), filter.clone());
    loop {
        let conn = world.writer.connection().unwrap();
        let Found { ids: page, next } = find_within(conn, (&filter, scope), bound).unwrap();
        assert!(page.len() as i64 <= filter.limit);
        let (first, end) = ids(conn, filter.since, filter.until).unwrap();
        let within: Vec<&Made> = all.iter().filter(|m| (first..end).contains(&m.id)).collect();
        if scope.own().is_none() {
            looked_at_few(&within, &filter, next.as_ref().map(|next| next.id), bound);
        }
        found.extend(page);
        match next {
            None => return found,
            Some(next) => {
                let before = filter.after.replace(next.clone());
                let goes_on = |before: &Cursor| before.compare(&next, filter.ascending).is_lt();
                assert!(before.as_ref().is_none_or(goes_on), "{before:?} to {next:?}");
            }
        }
    }
}

/// Some index, or the table, has few rows between this page's begin and the next one's.
fn looked_at_few(within: &[&Made], filter: &JobFilter, next: Option<JobId>, bound: usize) {
    let after = filter.after.as_ref().map(|after| after.id);
    let behind = |id: i64| match (after, filter.ascending) {
        (None, _) => true,
        (Some(JobId(after)), true) => id > after,
        (Some(JobId(after)), false) => id < after,
    };
    let before = |id: i64| match (next, filter.ascending) {
        (None, _) => true,
        (Some(JobId(next)), true) => id <= next,
        (Some(JobId(next)), false) => id >= next,
    };
    let rows = || within.iter().filter(|made| behind(made.id) && before(made.id));
    let parts = parts(filter);
    if parts.is_empty() || (parts.len() == 1 && parts[0].0) {
        // Each row is an answer.
        return;
    }
    let indexes = parts.iter().filter(|part| part.0);
    let of_indexes = indexes.map(|part| rows().filter(|made| part.1(made)).count());
    // Only without an index the table itself is walked.
    let few = of_indexes.min().unwrap_or_else(|| rows().count());
    // Each of several places has a share, of one row at the least.
    let several = [filter.states.len(), filter.accounts.len(), filter.users.len()];
    let names = filter.name_begins.as_ref().map_or(0, |_| NAMES.len());
    let most = several.into_iter().chain([names]).fold(bound, usize::max);
    assert!(few <= most, "{few} rows for {filter:?}, next {next:?}");
}

/// Whether the clock was set back, so that times say little about ids.
fn falls(all: &[Made]) -> bool {
    let mut latest = i64::MIN;
    all.iter().any(|made| {
        latest = latest.max(made.submitted);
        made.submitted < latest - SLACK_US
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn all_pages_of_a_filter_are_what_a_naive_filter_finds(
        told in proptest::collection::vec(told(), 1..60),
        filters in proptest::collection::vec((filters(), scopes(), 1..12_usize), 40),
    ) {
        let Some(mut world) = World::new() else { return Ok(()) };
        let (all, fell) = make(&mut world, told);
        for (filter, scope, bound) in filters {
            let parts = parts(&filter);
            let sees = |made: &Made| {
                scope.sees(Whose { owner: made.owner, account: &made.account })
            };
            let meant = all.iter().filter(|made| parts.iter().all(|part| part.1(made)));
            let meant = meant.filter(|made| sees(made));
            let mut naive: Vec<i64> = meant.map(|made| made.id).collect();
            if !filter.ascending {
                naive.reverse();
            }
            let walked = walk(&mut world, &all, (&filter, &scope), bound);
            prop_assert_eq!(walked, &*naive, "{:?} {:?}", filter, scope);
            let conn = world.writer.connection().unwrap();
            let whole = JobFilter { limit: 1_000, ..filter.clone() };
            let one = find(conn, &whole, &scope).unwrap();
            prop_assert_eq!(one, Found { ids: naive, next: None }, "{:?}", filter);
            let (first, end) = ids(conn, filter.since, filter.until).unwrap();
            for made in &all {
                let meant = |slack: i64| {
                    filter.since.is_none_or(|t| made.submitted >= t.0 - slack)
                        && filter.until.is_none_or(|t| made.submitted < t.0 + slack)
                };
                let within = (first..end).contains(&made.id);
                prop_assert!(within || !meant(0), "{:?} not in {}..{}", made, first, end);
                let far = within && !fell && !meant(2 * SLACK_US);
                prop_assert!(!far, "{:?} in {}..{}", made, first, end);
            }
        }
    }
}
