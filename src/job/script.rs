//! *Purpose*: scripts that are not UTF-8.
//!
//! *Owns*: how their bytes are kept as text.
//!
//! *Promises*: the bytes that run are the bytes that were sent.
//!
//! *Not here*: where a script is stored (`store`), what its lines say (`api::wire::sbatch`).
//!
//! JSON, the database and the order hold text. A script in another encoding is held with each byte
//! as the character of that number, which leaves what is ASCII in it as it was, and a flag.

/// The text of a script, and whether each of its characters stands for a byte.
#[must_use]
pub fn from_bytes(bytes: Vec<u8>) -> (String, bool) {
    match String::from_utf8(bytes) {
        Ok(text) => (text, false),
        Err(other) => (other.as_bytes().iter().map(|byte| char::from(*byte)).collect(), true),
    }
}

/// The bytes of a script.
#[must_use]
pub fn to_bytes(text: String, is_bytes: bool) -> Vec<u8> {
    if !is_bytes {
        return text.into_bytes();
    }
    // No other character gets in: whatever is, is `from_bytes`' own.
    text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let (text, is_bytes) = from_bytes(all.clone());
        assert!(is_bytes && text.starts_with("\0\u{1}") && text.contains("abc"));
        assert_eq!(to_bytes(text, is_bytes), all);
        assert_eq!(from_bytes("é".into()), ("é".to_owned(), false));
        assert_eq!(to_bytes("é".to_owned(), false), "é".as_bytes());
    }
}
