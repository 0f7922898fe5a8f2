//! *Purpose*: sizes of memory as people write them.
//!
//! *Owns*: [`parse`], [`parse_value`], [`parse_mib`], [`format()`],
//! [`shown`].
//!
//! *Promises*: units are binary, as Slurm means them (`1G` is 1,073,741,824 bytes); a bare
//! number is bytes in a body and MiB in a `#SBATCH` line.
//!
//! *Not here*: whether a job may have so much (`kernel::job`).

use parse_size::Config;
use serde_json::Value;

use super::time_limit::shorten;
pub use crate::kernel::memory::shown;

/// One MiB in bytes.
pub const MIB: u64 = 1024 * 1024;

/// Reads a JSON number of bytes, or text like `"512M"`.
///
/// # Errors
/// A sentence for the person who wrote it.
pub fn parse_value(value: &Value) -> Result<i64, String> {
    match value {
        Value::String(text) => parse(text),
        Value::Number(number) => number
            .as_i64()
            .ok_or_else(|| format!("{number} is not a whole number of bytes that fits 63 bits")),
        other => Err(format!("is {}; write \"512M\", \"2G\" or bytes", super::fields::kind(other))),
    }
}

/// Reads `512M`, `2G`, or bytes.
///
/// # Errors
/// A sentence for the person who wrote it.
pub fn parse(text: &str) -> Result<i64, String> {
    with_default_unit(text, 1)
}

/// Reads `512M`, `2G`, or MiB, as `--mem` of Slurm does.
///
/// # Errors
/// A sentence for the person who wrote it.
pub fn parse_mib(text: &str) -> Result<i64, String> {
    with_default_unit(text, MIB)
}

/// An amount as [`parse`] reads it, in the largest unit that it is a whole number of.
#[must_use]
pub fn format(bytes: u64) -> String {
    let units = [(40, "T"), (30, "G"), (20, "M"), (10, "K")];
    match units.into_iter().find(|(bits, _)| bytes > 0 && bytes.is_multiple_of(1 << bits)) {
        Some((bits, unit)) => format!("{}{unit}", bytes >> bits),
        None => bytes.to_string(),
    }
}

fn with_default_unit(text: &str, unit: u64) -> Result<i64, String> {
    let bytes = Config::new().with_binary().with_default_factor(unit).parse_size(text.trim());
    bytes.ok().and_then(|b| i64::try_from(b).ok()).ok_or_else(|| {
        format!("\"{}\" is not an amount of memory; write \"512M\" or \"2G\"", shorten(text))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_are_binary_and_a_bare_number_depends_on_the_place() {
        assert_eq!(parse("512M"), Ok(512 << 20));
        assert_eq!(parse("2G"), Ok(2 << 30));
        assert_eq!(parse("2GB"), Ok(2 << 30));
        assert_eq!(parse("4K"), Ok(4096));
        assert_eq!(parse("1T"), Ok(1 << 40));
        assert_eq!(parse("1048576"), Ok(1 << 20));
        assert_eq!(parse_mib("100"), Ok(100 << 20));
        assert_eq!(parse_mib("2G"), Ok(2 << 30));
        assert_eq!(parse_value(&serde_json::json!(4096)), Ok(4096));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "much", "-1", "1X", "99999999999999999999", "9000P9", "8E"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse_value(&serde_json::json!(1.5)).is_err());
        assert!(parse_value(&serde_json::json!(["1G"])).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(bytes in 0..i64::MAX, bits in 0..62_u32) {
            let bytes = bytes >> bits << (bits / 2);
            prop_assert_eq!(parse(&format(bytes.unsigned_abs())), Ok(bytes));
        }

        #[test]
        fn any_text_is_answered(text in ".{0,30}") {
            let _ = parse(&text);
            let _ = parse_mib(&text);
        }
    }
}
