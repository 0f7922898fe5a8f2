//! *Purpose*: the names of jobs that begin alike.
//!
//! *Owns*: how they are read off the index of names.
//!
//! *Promises*: each name is one look, however many jobs have it, and no more than [`NAMES_MAX`] are
//! looked at.
//!
//! *Not here*: the jobs of these names (`find::by_id`, `find::by_key`).

use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};

use super::super::{Conn, dialect};
use super::query::{Sql, USUAL_NAME};
use crate::store::error::StoreError;

/// Names of one question: each is another place to look at. People who type a few letters mean one
/// or two.
pub(super) const NAMES_MAX: usize = 64;

/// The index of names.
const INDEX: &str = "jobs_by_name";

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Nullable<Text>)]
    name: Option<String>,
}

/// All names that begin so; `None` where they are too many. The usual name is in no index, and is
/// among them where it begins so.
///
/// # Errors
/// What the database says.
pub(super) fn beginning(conn: &mut Conn, begins: &str) -> Result<Option<Vec<String>>, StoreError> {
    let mut names = Vec::new();
    if USUAL_NAME.starts_with(begins) {
        names.push(USUAL_NAME.to_owned());
    }
    let (mut from, mut sign) = (begins.to_owned(), ">=");
    loop {
        let mut sql = Sql::default();
        sql.add("SELECT min(job.name) AS name FROM ").add(&dialect::jobs("job", Some(INDEX)));
        sql.add(&format!(" WHERE job.name <> 'job' AND job.name {sign} ")).text(&from);
        let Name { name } = sql.query().get_result(conn)?;
        let Some(name) = name.filter(|name| name.starts_with(begins)) else {
            return Ok(Some(names));
        };
        if names.len() == NAMES_MAX {
            return Ok(None);
        }
        names.push(name.clone());
        (from, sign) = (name, ">");
    }
}
