//! *Purpose*: where a page of the list of jobs ends, as text.
//!
//! *Owns*: how a cursor is written and read.
//!
//! *Promises*: a cursor goes on in the order in which it was given and is refused in any other; it
//! needs no escapes in a URL. By id it is the id alone, whichever way.
//!
//! *Not here*: what lies behind a cursor (`store::body::find`).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::job::ids::JobId;
use crate::job::state::StateWord;
use crate::store::order::{Cursor, KeyValue, SortKey};

/// The order of the line, as `sort` has it.
pub(super) const POSITION: &str = "position";
/// Between the order, the value and the id. No key has one, and a URL takes it as it is.
const BETWEEN: char = '~';

/// An order, as `sort` has it.
pub(super) fn order(key: SortKey, ascending: bool) -> String {
    format!("{}{}", if ascending { "" } else { "-" }, key.word())
}

/// The text of a place in the line, from 1.
pub(super) fn written_place(place: u64) -> String {
    format!("{POSITION}{BETWEEN}{place}")
}

/// The place in the line that a text is.
///
/// # Errors
/// Says why it is none.
pub(super) fn place(text: &str) -> Result<u64, String> {
    let place = text.split_once(BETWEEN).filter(|(of, _)| *of == POSITION);
    let place = place.and_then(|(_, place)| place.parse().ok());
    place.ok_or_else(|| format!("is not a cursor that this server gave for sort={POSITION}"))
}

/// The text of a cursor.
pub(super) fn written(key: SortKey, ascending: bool, cursor: &Cursor) -> String {
    let id = cursor.id;
    if key == SortKey::Id {
        return id.to_string();
    }
    let value = match (&cursor.value, cursor.value.state()) {
        (_, Some(state)) if key == SortKey::State => state.word().to_owned(),
        (KeyValue::Number(number), _) => number.to_string(),
        (KeyValue::Text(text), _) => BASE64_URL_SAFE_NO_PAD.encode(text),
        (KeyValue::Nothing, _) => String::new(),
    };
    format!("{}{BETWEEN}{value}{BETWEEN}{id}", order(key, ascending))
}

/// The cursor that a text is in this order.
///
/// # Errors
/// Says why it is none.
pub(super) fn read(text: &str, key: SortKey, ascending: bool) -> Result<Cursor, String> {
    let none = || "is not a cursor that this server gave".to_owned();
    let parts: Vec<&str> = text.split(BETWEEN).collect();
    let (of, value, id) = match parts[..] {
        [id] => (None, "", id),
        [of, value, id] => (Some(of), value, id),
        [POSITION, place] => (Some(POSITION), "", place),
        _ => return Err(none()),
    };
    let id = id.parse().map(JobId).map_err(|_| none())?;
    let asked = order(key, ascending);
    let fits = of.map_or(key == SortKey::Id, |of| of == asked && key != SortKey::Id);
    if !fits {
        let of = of.unwrap_or("id");
        let given = "go on in the order in which it was given, or begin anew without it";
        return Err(format!("is of sort={of}, and sort={asked} was asked for; {given}"));
    }
    let value = match key {
        SortKey::Id => Some(KeyValue::Nothing),
        SortKey::State => value.parse::<StateWord>().ok().map(KeyValue::of_state),
        key if key.is_text() => {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(value).ok();
            bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map(KeyValue::Text)
        }
        _ if value.is_empty() => Some(KeyValue::Nothing),
        _ => value.parse().ok().map(KeyValue::Number),
    };
    Ok(Cursor { value: value.ok_or_else(none)?, id })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_in_its_own_order_only() {
        let values = [
            (SortKey::Id, KeyValue::Nothing, "17"),
            (SortKey::EndTime, KeyValue::Number(-5), "end_time~-5~17"),
            (SortKey::TimeLimitS, KeyValue::Nothing, "time_limit_s~~17"),
            (SortKey::Name, KeyValue::Text("a~ü".to_owned()), "name~YX7DvA~17"),
            (SortKey::User, KeyValue::Text(String::new()), "user~~17"),
            (SortKey::State, KeyValue::of_state(StateWord::Failed), "state~FAILED~17"),
        ];
        for (key, value, text) in values {
            let cursor = Cursor { value, id: JobId(17) };
            assert_eq!(written(key, true, &cursor), text);
            for (other, ascending) in
                SortKey::ALL.iter().flat_map(|key| [(*key, true), (*key, false)])
            {
                let fits = other == key && (ascending || key == SortKey::Id);
                let read = read(text, other, ascending);
                assert_eq!(read.clone().ok(), fits.then(|| cursor.clone()), "{text} {read:?}");
            }
            let down = written(key, false, &cursor);
            assert_eq!(read(&down, key, false), Ok(cursor), "{down}");
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for (text, key) in [
            ("x", SortKey::Id),
            ("end_time~x~17", SortKey::EndTime),
            ("end_time~1~", SortKey::EndTime),
            ("end_time~1", SortKey::EndTime),
            ("name~/~17", SortKey::Name),
            ("name~_w~17", SortKey::Name),
            ("state~ASLEEP~17", SortKey::State),
            ("state~~17", SortKey::State),
        ] {
            assert_eq!(read(text, key, true).unwrap_err(), "is not a cursor that this server gave");
        }
    }
}
