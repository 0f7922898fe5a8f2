//! *Purpose*: checks whether the cases cover the route table.
//!
//! *Owns*: [`cases!`], which makes a test of each function and notes the routes it claims.
//!
//! *Promises*: a claim is checked against what the case really asked for.
//!
//! *Not here*: what the answers must be.

use std::collections::BTreeSet;

use downbeat::api::ROUTES;

use crate::common::asked;

/// A case's name and the routes it claims.
pub type Claim = (&'static str, &'static [&'static str]);

/// Makes tests of functions, and `CLAIMS` of what they ask for.
macro_rules! cases {
    ($($name:ident => [$($route:literal),* $(,)?],)*) => {
        pub const CLAIMS: &[$crate::coverage::Claim] = &[$((stringify!($name), &[$($route),*]),)*];

        mod case {
            $(#[test]
            fn $name() {
                $crate::coverage::run(super::$name, &[$($route),*]);
            })*
        }
    };
}

const CLAIMED: &[&[Claim]] = &[
    crate::accounts::CLAIMS,
    crate::arrays::CLAIMS,
    crate::bounds::CLAIMS,
    crate::bulk::CLAIMS,
    crate::cancel::CLAIMS,
    crate::clients::CLAIMS,
    crate::codes::CLAIMS,
    crate::codings::CLAIMS,
    crate::conditions::CLAIMS,
    crate::edit::CLAIMS,
    crate::environment::CLAIMS,
    crate::finding::CLAIMS,
    crate::forecast::CLAIMS,
    crate::gate::CLAIMS,
    crate::jobs::CLAIMS,
    crate::keys::CLAIMS,
    crate::load::CLAIMS,
    crate::machine::CLAIMS,
    crate::numbers::CLAIMS,
    crate::orders::CLAIMS,
    crate::overview::CLAIMS,
    crate::pages::CLAIMS,
    crate::partitions::CLAIMS,
    crate::paths::CLAIMS,
    crate::refusals::CLAIMS,
    crate::requeue::CLAIMS,
    crate::seed::CLAIMS,
    crate::settings::CLAIMS,
    crate::signals::CLAIMS,
    crate::suspend::CLAIMS,
    crate::slurmrest::CLAIMS,
    crate::slurmrest_shapes::CLAIMS,
    crate::socket::CLAIMS,
    crate::steps::CLAIMS,
    crate::strangers::CLAIMS,
    crate::streams::CLAIMS,
    crate::submit::CLAIMS,
    crate::web_login::CLAIMS,
];

/// Runs a case and holds it to its claims.
pub fn run(case: fn(), routes: &[&str]) {
    case();
    let asked = asked();
    for route in routes {
        let (method, path) = route.split_once(' ').unwrap();
        let found = asked.iter().any(|(m, p)| m == method && leads_to(p) == Some(path));
        assert!(found, "the case claims {route} and asked only for {asked:?}");
    }
}

/// The first path of the table that matches, as the server looks it up.
fn leads_to(path: &str) -> Option<&'static str> {
    let parts = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
    let asked = parts(path);
    ROUTES.iter().map(|route| route.path).find(|template| {
        let template = parts(template);
        template.len() == asked.len()
            && template.iter().zip(&asked).all(|(t, a)| t == a || t.starts_with('{'))
    })
}

fn table() -> BTreeSet<String> {
    ROUTES.iter().map(|route| format!("{} {}", route.method, route.path)).collect()
}

#[test]
fn every_route_of_the_table_is_asked_for_by_a_case() {
    let claimed: BTreeSet<String> = CLAIMED
        .iter()
        .flat_map(|claims| claims.iter())
        .flat_map(|(_, routes)| *routes)
        .map(|r| (*r).to_owned())
        .collect();
    let missing: Vec<String> = table().difference(&claimed).cloned().collect();
    assert!(missing.is_empty(), "no case asks for {missing:?}");
    let unknown: Vec<String> = claimed.difference(&table()).cloned().collect();
    assert!(unknown.is_empty(), "the table has no {unknown:?}");
}

#[test]
fn no_two_cases_share_a_name() {
    let mut seen = BTreeSet::new();
    for (name, _) in CLAIMED.iter().flat_map(|claims| claims.iter()) {
        assert!(seen.insert(name), "two cases are called {name}");
    }
}
