//! Values over time and networks on air, as tables. Pure.

use crate::command::{Network, Past, Series};

use super::table::{Cell, Tone, columns};

/// Columns of a curve.
const CURVE: usize = 24;
const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub(super) fn history(past: &Past, color: bool) -> String {
    let row = |series: &Series| {
        let known = || series.values.iter().flatten().copied();
        let of = |value: Option<f32>| Cell::plain(value.map_or("-".into(), |v| amount(v, series)));
        vec![
            Cell::plain(&series.name),
            of(series.values.last().copied().flatten()),
            of(known().reduce(f32::min)),
            of(known().reduce(f32::max)),
            Cell::plain(series.total.map_or_else(|| "-".into(), bytes)),
            Cell::plain(curve(&series.values)),
        ]
    };
    let rows: Vec<_> = past.series.iter().map(row).collect();
    columns(&["NAME", "NOW", "LEAST", "MOST", "TOTAL", ""], &rows, color)
}

fn amount(value: f32, series: &Series) -> String {
    if series.unit == "B" {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of bytes, rounded anyway"
        )]
        return format!("{}/min", bytes(value as u64));
    }
    let digits = if value.fract() == 0.0 { 0 } else { 2 };
    format!("{value:.digits$} {}", series.unit)
}

/// `812 B`, `3.4 kB`, `1.2 GB`.
fn bytes(count: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "two digits are shown")]
    let mut value = count as f64;
    if value < 1000.0 {
        return format!("{count} B");
    }
    let mut unit = ' ';
    for next in ['k', 'M', 'G', 'T'] {
        if value < 999.95 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    format!("{value:.1} {unit}B")
}

/// A curve of block characters, from the least value to the most; blank where there was none.
fn curve(values: &[Option<f32>]) -> String {
    let known = || values.iter().flatten().copied();
    let (Some(least), Some(most)) = (known().reduce(f32::min), known().reduce(f32::max)) else {
        return String::new();
    };
    let of = |piece: &[Option<f32>]| {
        let Some(value) = piece.iter().flatten().copied().reduce(f32::max) else {
            return ' ';
        };
        let height = if most > least {
            (value - least) / (most - least)
        } else {
            0.0
        };
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 7"
        )]
        STEPS[((height * 7.0).round() as usize).min(7)]
    };
    let pieces = values.chunks(values.len().div_ceil(CURVE).max(1));
    let text: String = pieces.map(of).collect();
    text.trim_end().to_owned()
}

pub(super) fn networks(networks: &[Network], color: bool) -> String {
    let row = |one: &Network| {
        let (standing, tone) = match one {
            Network { joined: true, .. } => ("joined", Tone::Good),
            Network { fault: Some(_), .. } => ("refused", Tone::Bad),
            Network { known: true, .. } => ("known", Tone::Strong),
            _ => ("", Tone::Plain),
        };
        let name = if one.ssid.is_empty() {
            "(hidden)"
        } else {
            &one.ssid
        };
        vec![
            Cell::plain(name),
            Cell::new(standing, tone),
            Cell::plain(format!("{} dBm", one.signal_dbm)),
            Cell::plain(band(one.frequency_mhz)),
            Cell::plain(&one.security),
            Cell::plain(format!("{} s", one.age_seconds)),
            Cell::plain(&one.bssid),
        ]
    };
    let rows: Vec<_> = networks.iter().map(row).collect();
    let head = ["SSID", "", "SIGNAL", "BAND", "SECURITY", "HEARD", "BSSID"];
    columns(&head, &rows, color)
}

fn band(mhz: u32) -> &'static str {
    match mhz {
        ..3000 => "2.4 GHz",
        3000..5925 => "5 GHz",
        _ => "6 GHz",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::golden::golden;

    #[test]
    fn values_over_time() {
        let values = (0..100_u8).map(|n| (n % 9 != 0).then_some(-70.0 + f32::from(n) / 4.0));
        let past = Past {
            at: None,
            every_seconds: 60,
            series: vec![
                Series {
                    name: "signal".into(),
                    unit: "dBm".into(),
                    values: values.collect(),
                    total: None,
                },
                Series {
                    name: "received".into(),
                    unit: "B".into(),
                    values: vec![None, Some(0.0), Some(52_340.0), Some(812.0)],
                    total: Some(12_345_678),
                },
                Series {
                    name: "CPU".into(),
                    unit: "°C".into(),
                    values: vec![Some(41.5); 3],
                    total: None,
                },
                Series::default(),
            ],
        };
        golden("uplink-history.txt", &history(&past, false), 80);
    }

    #[test]
    fn networks_on_air() {
        let network = |ssid: &str, known, joined, fault: Option<&str>| Network {
            ssid: ssid.into(),
            bssid: "02:00:00:00:01:00".into(),
            signal_dbm: -52,
            frequency_mhz: 5745,
            security: "WPA2/WPA3".into(),
            age_seconds: 3,
            known,
            joined,
            fault: fault.map(Into::into),
        };
        let all = [
            network("remote.it", true, true, None),
            network("remote.it", true, false, Some("wrong passphrase")),
            network("spare", true, false, None),
            network("", false, false, None),
        ];
        golden("uplink-networks.txt", &networks(&all, false), 80);
    }

    #[test]
    fn bytes_have_two_digits_at_least() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_999, "1.0 MB"),
            (u64::MAX, "18446744.1 TB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
