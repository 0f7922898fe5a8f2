//! *Purpose*: sizes of memory as people write them.
//!
//! *Owns*: [`parse`], [`parse_mib`], [`format()`], [`shown`].
//!
//! *Promises*: units are binary, as Slurm means them (`1G` is 1,073,741,824 bytes); a bare
//! number is bytes in a body and MiB in a `#SBATCH` line.
//!
//! *Not here*: whether a job may have so much (`kernel::admission`).

use super::quote::shorten;

/// Digits behind a point that are looked at; with the largest unit their product fits 128 bits.
const FRACTION_DIGITS: usize = 19;

/// One MiB in bytes.
pub const MIB: u64 = 1024 * 1024;

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

/// An amount for people: `512 MiB`, `23.54 GiB`.
#[must_use]
pub fn shown(bytes: u64) -> String {
    const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    match UNITS.into_iter().find(|(bits, _)| bytes >> bits > 0) {
        None if bytes == 1 => "1 byte".to_owned(),
        None => format!("{bytes} bytes"),
        Some((bits, unit)) if bytes.is_multiple_of(1 << bits) => {
            format!("{} {unit}", bytes >> bits)
        }
        Some((bits, unit)) => format!("{:.2} {unit}", bytes as f64 / (1_u64 << bits) as f64),
    }
}

fn with_default_unit(text: &str, unit: u64) -> Result<i64, String> {
    let bytes = bytes(text.trim(), unit).ok_or_else(|| {
        format!("\"{}\" is not an amount of memory; write \"512M\" or \"2G\"", shorten(text))
    })?;
    i64::try_from(bytes)
        .map_err(|_| format!("\"{}\" is more memory than 63 bits count", shorten(text)))
}

/// `1.5 GiB`: digits, perhaps a fraction, perhaps a unit. What is beyond [`i64`] is some number
/// beyond it.
fn bytes(text: &str, unit: u64) -> Option<u128> {
    let end = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '_')).unwrap_or(text.len());
    let (number, word) = text.split_at(end);
    let factor = u128::from(factor(word.trim_start(), unit)?);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits =
        |text: &str| text.bytes().filter(|b| *b != b'_').map(|b| u128::from(b - b'0')).collect();
    let (whole, fraction): (Vec<u128>, Vec<u128>) =
        if fraction.contains('.') { return None } else { (digits(whole), digits(fraction)) };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole = whole.iter().fold(0_u128, |n, d| n.saturating_mul(10).saturating_add(*d));
    // A digit so far behind the point is less than a byte, whatever the unit.
    let (part, of) = fraction
        .iter()
        .take(FRACTION_DIGITS)
        .fold((0_u128, 1_u128), |(part, of), digit| (part * 10 + digit, of * 10));
    Some(whole.saturating_mul(factor).saturating_add(part * factor / of))
}

/// `K`, `KB`, `KiB` and so on in either case; none is `unit`.
fn factor(word: &str, unit: u64) -> Option<u64> {
    let word = word.to_ascii_uppercase();
    let letter = word.strip_suffix("IB").or_else(|| word.strip_suffix('B')).unwrap_or(&word);
    let bits = match letter {
        "" if word.is_empty() => return Some(unit),
        "" if word == "B" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        "P" => 50,
        "E" => 60,
        _ => return None,
    };
    Some(1 << bits)
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
        assert_eq!(parse("1_048_576"), Ok(1 << 20));
        assert_eq!(parse("9223372036854775807"), Ok(i64::MAX));
        assert_eq!((parse("1.5G"), parse(".5 kib"), parse("8b")), (Ok(3 << 29), Ok(512), Ok(8)));
        assert_eq!(parse("0.99999999999999999999999999999999999999999999K"), Ok(1023));
        assert_eq!(parse_mib("100"), Ok(100 << 20));
        assert_eq!(parse_mib("2G"), Ok(2 << 30));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "much",
            "-1",
            "+1",
            "1X",
            "9000P9",
            "8E",
            "1IB",
            "IB",
            "B",
            ".",
            "1.5.5",
            "1e3",
            "99999999999999999999",
            "184467440737095516155",
            "18446744073709551615.9",
            "0x10",
            "9223372036854775808",
            "99999999999999999999999999999999999999999999999999E",
            "٣",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_amount_is_exact_where_it_is_whole() {
        let cases = [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1 << 20, "1 MiB"),
            (1 << 40, "1 TiB"),
            ((1 << 30) + (1 << 29), "1.50 GiB"),
            (25_276_506_112, "23.54 GiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(shown(bytes), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(bytes in 0..i64::MAX, bits in 0..62_u32) {
            let bytes = bytes >> bits << (bits / 2);
            prop_assert_eq!(parse(&format(bytes.unsigned_abs())), Ok(bytes));
        }

        #[test]
        fn any_text_is_answered(text in ".{0,30}|[0-9._]{0,60} ?[KMGTPEkib]{0,3}") {
            let _ = parse(&text);
            let _ = parse_mib(&text);
        }
    }
}
