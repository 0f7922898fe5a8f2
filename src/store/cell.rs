//! *Purpose*: values as they stand in the database, read without a default.
//!
//! *Owns*: [`Cell`], a value of any column; [`Stored`], what it is read as; [`RowRef`], where it
//! stands.
//!
//! *Promises*: a value that is not of its column's kind is [`StoreError::Damaged`], with table,
//! row and column. SQLite itself would read text in a column of numbers as 0.
//!
//! *Not here*: which columns there are (`store::rows`), what they become (`store::record`).

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::pg::{Pg, PgValue};
use diesel::sqlite::{Sqlite, SqliteType, SqliteValue};

use super::error::StoreError;
use super::spec::StoredSpec;
use crate::job::array_spec::ArraySpec;
use crate::job::dependency::{Dependencies, Told};
use crate::job::ids::{CpuId, EventId, JobId, Uid};
use crate::job::outcome::ExitCode;
use crate::job::signal::{Recipients, name_of};
use crate::job::state::{AttemptEnd, EndReason, StateWord};
use crate::job::usage_series::UsageSeries;
use crate::kernel::access::Role;
use crate::resources::allocation::{Held, Share};
use crate::time::Time;

/// Most characters of a damaged value in an error: enough to find it by.
const SHOWN_CHARS_MAX: usize = 60;
/// The last time that there is, µs since 1970: the end of the year 9999, which RFC 3339 can write.
const LATEST_US: i64 = 253_402_300_799_999_999;

/// A value of any column.
#[derive(Clone, Debug, Default, PartialEq, FromSqlRow)]
pub(super) enum Cell {
    #[default]
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    /// Bytes that are no text.
    Bytes(usize),
}

impl<ST> FromSql<ST, Sqlite> for Cell {
    fn from_sql(mut value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Cell> {
        Ok(match value.value_type() {
            None => Cell::Null,
            Some(SqliteType::SmallInt | SqliteType::Integer | SqliteType::Long) => {
                Cell::Int(value.read_long())
            }
            Some(SqliteType::Float | SqliteType::Double) => Cell::Real(value.read_double()),
            Some(SqliteType::Text) => text(&mut value),
            Some(SqliteType::Binary) => Cell::Bytes(value.read_blob().len()),
        })
    }

    fn from_nullable_sql(value: Option<SqliteValue<'_, '_, '_>>) -> deserialize::Result<Cell> {
        value.map_or(Ok(Cell::Null), <Cell as FromSql<ST, Sqlite>>::from_sql)
    }
}

/// The numbers of PostgreSQL's types, which are the same in every version (`pg_type.dat`).
mod oid {
    pub const BOOL: u32 = 16;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const VARCHAR: u32 = 1043;
}

/// A column there holds one kind of value, whatever was meant to be read; a condition is 0 or 1 as
/// in the other database.
impl<ST> FromSql<ST, Pg> for Cell {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Cell> {
        let kind = value.get_oid().get();
        let bytes = value.as_bytes();
        let number = || {
            bytes.iter().skip(1).fold(
                i64::from(bytes.first().map_or(0, |first| first.cast_signed())),
                |sum, byte| (sum << 8) | i64::from(*byte),
            )
        };
        Ok(match kind {
            oid::BOOL | oid::INT2 | oid::INT4 | oid::INT8 => Cell::Int(number()),
            oid::FLOAT4 => Cell::Real(f32::from_be_bytes(bytes.try_into()?).into()),
            oid::FLOAT8 => Cell::Real(f64::from_be_bytes(bytes.try_into()?)),
            oid::TEXT | oid::VARCHAR => match std::str::from_utf8(bytes) {
                Ok(text) => Cell::Text(text.to_owned()),
                Err(_) => Cell::Bytes(bytes.len()),
            },
            _ => Cell::Bytes(bytes.len()),
        })
    }

    fn from_nullable_sql(value: Option<PgValue<'_>>) -> deserialize::Result<Cell> {
        value.map_or(Ok(Cell::Null), <Cell as FromSql<ST, Pg>>::from_sql)
    }
}

/// Diesel puts a sign in place of bytes that are no text, so where there is that sign the bytes are
/// looked at too.
fn text(value: &mut SqliteValue<'_, '_, '_>) -> Cell {
    let text = value.read_text();
    if !text.contains(char::REPLACEMENT_CHARACTER) {
        return Cell::Text(text.to_owned());
    }
    let bytes = value.read_blob();
    match std::str::from_utf8(bytes) {
        Ok(text) => Cell::Text(text.to_owned()),
        Err(_) => Cell::Bytes(bytes.len()),
    }
}

impl Cell {
    /// For an error.
    fn shown(&self) -> String {
        match self {
            Cell::Null => "NULL".to_owned(),
            Cell::Int(number) => number.to_string(),
            Cell::Real(number) => number.to_string(),
            Cell::Text(text) => {
                let start: String = text.chars().take(SHOWN_CHARS_MAX).collect();
                let more = if start.len() < text.len() { "…" } else { "" };
                format!("{start:?}{more}")
            }
            Cell::Bytes(n) => format!("{n} bytes that are no text"),
        }
    }
}

/// What a value is read as.
pub(super) trait Stored: Sized {
    /// What such a value is, for a sentence.
    const IS: &'static str;

    /// The value; the cell again when it is none.
    fn stored(cell: Cell) -> Result<Self, Cell>;
}

/// A row of a table.
#[derive(Clone, Copy)]
pub(super) struct RowRef<'a> {
    /// The table.
    pub table: &'static str,
    /// What a row of it is.
    pub what: &'a str,
    /// Which one.
    pub id: &'a dyn Display,
}

impl<'a> RowRef<'a> {
    /// A row of `jobs`.
    pub fn job(id: &'a dyn Display) -> RowRef<'a> {
        RowRef { table: "jobs", what: "job", id }
    }

    /// The one row of `meta`.
    pub fn meta() -> RowRef<'static> {
        RowRef { table: "meta", what: "row", id: &1 }
    }

    /// The value of a column.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when it is none of this kind.
    pub fn read<T: Stored>(self, column: &'static str, cell: Cell) -> Result<T, StoreError> {
        T::stored(cell).map_err(|cell| self.damaged(column, &cell, T::IS))
    }

    /// The error about a value that is not what it should be.
    pub fn damaged(self, column: &'static str, found: &Cell, wanted: &'static str) -> StoreError {
        StoreError::Damaged {
            table: self.table,
            row: format!("{} {}", self.what, self.id),
            column,
            found: found.shown(),
            wanted,
        }
    }
}

impl<T: Stored> Stored for Option<T> {
    const IS: &'static str = T::IS;

    fn stored(cell: Cell) -> Result<Option<T>, Cell> {
        match cell {
            Cell::Null => Ok(None),
            cell => T::stored(cell).map(Some),
        }
    }
}

impl Stored for String {
    const IS: &'static str = "text";

    fn stored(cell: Cell) -> Result<String, Cell> {
        match cell {
            Cell::Text(text) => Ok(text),
            cell => Err(cell),
        }
    }
}

impl Stored for i64 {
    const IS: &'static str = "a whole number";

    fn stored(cell: Cell) -> Result<i64, Cell> {
        match cell {
            Cell::Int(number) => Ok(number),
            cell => Err(cell),
        }
    }
}

/// Whole numbers within bounds.
macro_rules! numbers {
    ($($type:ty, $is:literal, $from:expr;)+) => {$(
        impl Stored for $type {
            const IS: &'static str = $is;

            fn stored(cell: Cell) -> Result<$type, Cell> {
                let from: fn(i64) -> Option<$type> = $from;
                match cell {
                    Cell::Int(number) => from(number).ok_or(cell),
                    cell => Err(cell),
                }
            }
        }
    )+};
}

numbers! {
    bool, "0 or 1", |n| match n { 0 => Some(false), 1 => Some(true), _ => None };
    i32, "a process id", |n| i32::try_from(n).ok().filter(|n| *n > 0);
    u8, "the number of a signal", |n| u8::try_from(n).ok().filter(|n| name_of(*n).is_some());
    u32, "a number from 0 to 4294967295", |n| u32::try_from(n).ok();
    u64, "a number from 0 on", |n| u64::try_from(n).ok();
    JobId, "the number of a job", |n| Some(JobId(n)).filter(|_| n > 0);
    EventId, "the number of an event", |n| Some(EventId(n)).filter(|_| n > 0);
    CpuId, "the number of a CPU", |n| u32::try_from(n).ok().map(CpuId);
    Uid, "the number of a user", |n| u32::try_from(n).ok().filter(|n| *n < u32::MAX).map(Uid);
    Time, "a time in µs since 1970", |n| Some(Time(n)).filter(|_| (0..=LATEST_US).contains(&n));
}

/// Text that its type reads and would write just so again.
fn exact<T: FromStr>(cell: Cell, word: impl Fn(&T) -> &'static str) -> Result<T, Cell> {
    let Cell::Text(text) = cell else { return Err(cell) };
    match text.parse().ok().filter(|value| word(value) == text) {
        Some(value) => Ok(value),
        None => Err(Cell::Text(text)),
    }
}

/// Words and other text that its type reads.
macro_rules! texts {
    ($($type:ty, $is:literal, $read:expr;)+) => {$(
        impl Stored for $type {
            const IS: &'static str = $is;

            fn stored(cell: Cell) -> Result<$type, Cell> {
                let read: fn(Cell) -> Result<$type, Cell> = $read;
                read(cell)
            }
        }
    )+};
}

texts! {
    StateWord, "a state such as PENDING", |cell| exact(cell, |state: &StateWord| state.word());
    AttemptEnd, "how an attempt ends, such as FAILED", |cell| exact(cell, AttemptEnd::word);
    EndReason, "a reason to end a job, such as cancelled", |cell| exact(cell, EndReason::word);
    Recipients, "script, others or all", |cell| exact(cell, |to: &Recipients| to.word());
    Role, "a role such as user", |cell| exact(cell, |role: &Role| (*role).into());
    ExitCode, "a code such as 3:0", parsed;
    ArraySpec, "the tasks of an array, such as 0-9%2", parsed;
    Dependencies, "dependencies such as afterok:1", parsed;
    StoredSpec, "a JSON object of what was asked for, of version 1", from_json;
    UsageSeries, "a JSON object of what was measured", from_json;
    Told, "a JSON object of what a job was told", from_json;
    Vec<CpuId>, "a JSON list of CPU numbers", from_json;
    Vec<Share>, "a JSON object of what is held, by resource", shares;
    BTreeMap<String, String>, "a JSON object of text", from_json;
}

fn parsed<T: FromStr>(cell: Cell) -> Result<T, Cell> {
    let Cell::Text(text) = cell else { return Err(cell) };
    text.parse().map_err(|_| Cell::Text(text))
}

/// Nothing is held where there is no value.
fn shares(cell: Cell) -> Result<Vec<Share>, Cell> {
    if cell == Cell::Null {
        return Ok(Vec::new());
    }
    let held: BTreeMap<Arc<str>, Held> = from_json(cell)?;
    Ok(held.into_iter().map(|(resource, held)| Share { resource, held }).collect())
}

fn from_json<T: serde::de::DeserializeOwned>(cell: Cell) -> Result<T, Cell> {
    let Cell::Text(text) = cell else { return Err(cell) };
    serde_json::from_str(&text).map_err(|_| Cell::Text(text))
}
