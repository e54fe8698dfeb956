//! Times as people say them: `4 min`, `2 h ago`; and the periods they type: `1h`, `30m`. Pure.

use std::time::Duration;

use crate::clock::Timestamp;

/// How long something lasts or is past, in its two biggest units at most.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) if minutes % 60 == 0 => format!("{hours} h"),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ if hours % 24 == 0 => format!("{days} d"),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// How long since `then`; nothing to say about a moment before the clock was set.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    if then.0 == 0 {
        return String::new();
    }
    span(then.until(now))
}

/// `2026-11-20 18:04:11`, in UTC as everything on the board.
pub(super) fn date(time: Timestamp) -> String {
    let text = time.to_string();
    match (text.get(..10), text.get(11..19)) {
        (Some(day), Some(clock)) if text.as_bytes().get(10) == Some(&b'T') => {
            format!("{day} {clock}")
        }
        _ => text,
    }
}

/// Reads `90s`, `30m`, `1h`, `2d`.
pub(super) fn period(text: &str) -> Result<Duration, String> {
    let bad = || "expected a period such as 90s, 30m, 1h or 2d".to_owned();
    let unit = text.char_indices().next_back().map_or(0, |(at, _)| at);
    let (number, unit) = text.split_at(unit);
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(bad()),
    };
    let number: u64 = number.parse().map_err(|_| bad())?;
    number
        .checked_mul(seconds)
        .map(Duration::from_secs)
        .ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min"),
            (3600, "1 h"),
            (3720, "1 h 2 min"),
            (86_400, "1 d"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn periods() {
        assert_eq!(period("30m"), Ok(Duration::from_secs(1800)));
        for text in ["", "h", "1", "1w", "-1h", "1é", "99999999999999999999d"] {
            assert!(period(text).is_err(), "{text}");
        }
    }

    #[test]
    fn dates() {
        assert_eq!(date(Timestamp(1_795_000_000_123)), "2026-11-18 11:06:40");
        assert_eq!(date(Timestamp(u64::MAX)), "18446744073709551615ms");
    }
}
