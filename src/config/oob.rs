//! The sections `[oob]` and `[probe]`: when uplinks are dialled, and how internet behind them is proven.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::reader::Table;

/// Probing more targets than this costs more than it tells.
const MOST_TARGETS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// An uplink comes up when its trigger SSID is seen.
    Trigger,
    /// Uplinks are kept up whenever they can be.
    Always,
    Off,
}

/// The word of oobd.toml.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Trigger => "trigger",
            Self::Always => "always",
            Self::Off => "off",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oob {
    pub mode: Mode,
    /// Name under `/sys/class/leds` of the lamp that shows the OOB indicator.
    pub led: Option<String>,
    /// Period of the scan loop while armed.
    pub scan_fast: Duration,
    /// How long it stays fast after start, a button or a lost hotspot.
    pub fast_for: Duration,
    /// Period after that.
    pub scan_slow: Duration,
}

impl Default for Oob {
    fn default() -> Self {
        Self {
            mode: Mode::Trigger,
            led: None,
            scan_fast: Duration::from_secs(5),
            fast_for: Duration::from_secs(120),
            scan_slow: Duration::from_secs(20),
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

impl Oob {
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let mut oob = Self::default();
        let mode = table.take("mode");
        let led = table.take("led");
        let fast = table.take("scan_fast");
        let fast_for = table.take("fast_for");
        let slow = table.take("scan_slow");
        table.finish();
        if let Some(field) = mode {
            let options = [
                ("trigger", Mode::Trigger),
                ("always", Mode::Always),
                ("off", Mode::Off),
            ];
            if field.is("failover") {
                field.not_yet();
            } else if let Some(mode) = field.choice(&options) {
                oob.mode = mode;
            }
        }
        oob.led = led.and_then(|field| field.parsed(led_name));
        let second_to_hour = SECOND..=HOUR;
        if let Some(period) = fast.and_then(|field| field.duration(second_to_hour.clone())) {
            oob.scan_fast = period;
            // A person who asks for slow scans only names `scan_fast` alone.
            oob.scan_slow = oob.scan_slow.max(period);
        }
        if let Some(time) = fast_for.and_then(|field| field.duration(Duration::ZERO..=24 * HOUR)) {
            oob.fast_for = time;
        }
        if let Some(field) = slow
            && let Some(period) = field.duration(second_to_hour)
        {
            if period < oob.scan_fast {
                field.wrong("shorter than `scan_fast`");
            }
            oob.scan_slow = period;
        }
        oob
    }
}

fn led_name(text: &str) -> Result<String, String> {
    let plain = |letter: char| letter.is_ascii_graphic() && letter != '/';
    if text.is_empty() || text.starts_with('.') || text.len() > 64 || !text.chars().all(plain) {
        return Err("no name of a lamp; `ls /sys/class/leds` lists them".to_owned());
    }
    Ok(text.to_owned())
}

/// Is there internet behind an uplink?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// TCP targets; one that answers is enough.
    pub targets: Vec<SocketAddr>,
    pub every: Duration,
    pub fail_after: u32,
    pub clear_after: u32,
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            targets: vec![
                SocketAddr::from(([1, 1, 1, 1], 443)),
                SocketAddr::from(([0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1111], 443)),
            ],
            every: Duration::from_secs(5),
            fail_after: 3,
            clear_after: 3,
        }
    }
}

impl Probe {
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let mut probe = Self::default();
        let targets = table.take("targets");
        let every = table.take("every");
        let fail_after = table.take("fail_after");
        let clear_after = table.take("clear_after");
        table.finish();
        if let Some(field) = targets
            && let Some(list) = field.list()
        {
            if list.is_empty() || list.len() > MOST_TARGETS {
                field.wrong(format!("needs 1 to {MOST_TARGETS} targets"));
            }
            probe.targets = list.iter().filter_map(|item| item.parsed(target)).collect();
        }
        if let Some(period) = every.and_then(|field| field.duration(SECOND..=HOUR)) {
            probe.every = period;
        }
        if let Some(count) = fail_after.and_then(|field| field.number(1..=100)) {
            probe.fail_after = count;
        }
        if let Some(count) = clear_after.and_then(|field| field.number(1..=100)) {
            probe.clear_after = count;
        }
        probe
    }
}

fn target(text: &str) -> Result<SocketAddr, String> {
    let address = text.strip_prefix("tcp:").and_then(|rest| rest.parse().ok());
    address.filter(|address: &SocketAddr| address.port() != 0).ok_or_else(|| {
        format!(
            "`{}` is no target; write \"tcp:ADDRESS:PORT\", as in \"tcp:1.1.1.1:443\" or \"tcp:[2606:4700:4700::1111]:443\"",
            text.escape_debug()
        )
    })
}
