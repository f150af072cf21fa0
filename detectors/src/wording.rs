//! How figures, spans of time and moments are written in sentences for people. Not for machine-readable output (see `json`).

use chrono::DateTime;

use crate::event::Millis;

/// A count with thousands separators: `20,000`.
pub fn figure(number: f64) -> String {
    let whole = if number.is_finite() { number.max(0.0).round().min(1e15) as u64 } else { 0 };
    let digits = whole.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A span in English: `40 minutes`, `3.5 hours`.
pub fn span_en(span: Millis) -> String {
    let minutes = span.max(0) / 60_000;
    match minutes {
        0 => "less than a minute".to_owned(),
        1 => "1 minute".to_owned(),
        2..=119 => format!("{minutes} minutes"),
        _ => format!("{:.1} hours", minutes as f64 / 60.0),
    }
}

/// A span in Chinese: `40 分钟`, `3.5 小时`.
pub fn span_zh(span: Millis) -> String {
    let minutes = span.max(0) / 60_000;
    match minutes {
        0 => "不到 1 分钟".to_owned(),
        1..=119 => format!("{minutes} 分钟"),
        _ => format!("{:.1} 小时", minutes as f64 / 60.0),
    }
}

/// A moment, to the minute, that says it is UTC: `2026-03-02 09:14 UTC`.
pub fn moment(time: Millis) -> String {
    let clamped = time.clamp(-62_135_596_800_000, 253_402_300_799_999);
    DateTime::from_timestamp_millis(clamped).unwrap_or_default().format("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_spans_read_like_a_person_wrote_them() {
        assert_eq!(figure(999.6), "1,000");
        assert_eq!(figure(1_234_567.0), "1,234,567");
        assert_eq!(figure(f64::NAN), "0");
        assert_eq!(span_en(40 * 60_000), "40 minutes");
        assert_eq!(span_en(0), "less than a minute");
        assert_eq!(span_zh(210 * 60_000), "3.5 小时");
        assert_eq!(moment(1_772_442_847_000), "2026-03-02 09:14 UTC");
    }
}
