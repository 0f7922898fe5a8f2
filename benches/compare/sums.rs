//! *Purpose*: many readings, few numbers.
//!
//! *Owns*: medians, percentiles and how they are written.
//!
//! *Promises*: never a mean: machines are shared and noisy.
//!
//! *Not here*: what is read (`machine`, `work`).

/// The middle of these; 0 of none.
pub fn median(values: &[f64]) -> f64 {
    percentile(values, 50)
}

/// The value that so many percent do not exceed; 0 of none.
pub fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((last * percent).div_ceil(100)).copied().unwrap_or_default()
}

/// Milliseconds, as the latencies are written.
pub fn spread_ms(values: &[f64]) -> String {
    let at = |percent| percentile(values, percent);
    format!("p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms", at(50), at(95), at(99))
}

/// A number with commas between its thousands.
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three digits that matter: `1,699`, `59`, `0.42`.
pub fn rate(per_second: f64) -> String {
    match per_second {
        r if r >= 100.0 => thousands(r.round() as usize),
        r if r >= 10.0 => format!("{r:.0}"),
        r if r >= 1.0 => format!("{r:.1}"),
        r => format!("{r:.2}"),
    }
}
