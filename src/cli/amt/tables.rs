//! Tables about Intel AMT. Pure.

use crate::cli::table::{Cell, Tone, columns, flow, harmless};
use crate::machine::amt::{AmtAlarm, AmtConsent, AmtDevice, AmtFeatures, AmtInfo, AmtPolicy};

pub(in crate::cli) fn info(info: &AmtInfo, width: usize, color: bool) -> String {
    let mut rows: Vec<(&str, String)> = vec![
        ("uuid", info.uuid.clone()),
        ("host name", info.host_name.clone()),
        ("firmware", firmware(info)),
        ("control", info.mode.to_string()),
        ("machine", joined(&[&info.model, &info.serial])),
        ("board", info.board.clone()),
        ("BIOS", info.bios.clone()),
    ];
    rows.extend(info.processors.iter().map(|one| ("processor", one.clone())));
    rows.extend(info.memory.iter().map(|module| {
        let size = format!("{} GiB", module.bytes >> 30);
        ("memory", joined(&[&module.slot, &size, &module.part]))
    }));
    rows.extend(info.drives.iter().map(|bytes| {
        let gigabytes = bytes / 1_000_000_000;
        ("drive", format!("{gigabytes} GB"))
    }));
    rows.extend(info.network.iter().map(|port| {
        let dhcp = if port.dhcp { "by DHCP" } else { "fixed" };
        let link = if port.up { "up" } else { "down" };
        ("network", joined(&[&port.mac, &port.address, dhcp, link]))
    }));
    if !info.accounts.is_empty() {
        rows.push(("accounts", info.accounts.join(", ")));
    }
    if let Some(clock) = info.clock {
        rows.push(("clock", clock.to_string()));
    }
    rows.retain(|(_, value)| !value.is_empty());
    let line = |(key, value): &(&str, String)| {
        let cells = [
            Cell::plain(format!("{key:<10}")),
            Cell::plain(harmless(value)),
        ];
        flow(&cells, 0, 12, width, color)
    };
    rows.iter().map(line).collect()
}

fn firmware(info: &AmtInfo) -> String {
    match info.build.as_str() {
        "" => info.version.clone(),
        build => format!("{} build {build}", info.version),
    }
}

fn joined(words: &[&str]) -> String {
    let mut words = words.to_vec();
    words.retain(|word| !word.is_empty());
    words.join(", ")
}

pub(in crate::cli) fn features(features: &AmtFeatures, color: bool) -> String {
    let state = |on: Option<bool>| match on {
        Some(true) => Cell::new("on", Tone::Good),
        Some(false) => Cell::new("off", Tone::Faint),
        None => Cell::new("not there", Tone::Faint),
    };
    let why = match (features.consent_is_ours, features.consent) {
        (false, AmtPolicy::All) => "always asked for in client control",
        (false, _) => "cannot be changed",
        _ => "",
    };
    let rows = vec![
        vec![
            Cell::plain("sol"),
            state(features.sol),
            Cell::plain("its serial line"),
        ],
        vec![
            Cell::plain("ider"),
            state(features.ider),
            Cell::plain("drives that are redirected to it"),
        ],
        vec![
            Cell::plain("kvm"),
            state(features.kvm),
            Cell::plain("its screen and keyboard"),
        ],
        vec![
            Cell::plain("listener"),
            state(Some(features.listener)),
            Cell::plain("takes connections for any of them"),
        ],
        vec![
            Cell::plain("recovery"),
            state(features.recovery),
            Cell::plain("a start from a URL (One-Click Recovery)"),
        ],
        vec![
            Cell::plain("consent"),
            Cell::plain(features.consent.to_string()),
            Cell::plain(why),
        ],
    ];
    columns(&["FEATURE", "STATE", ""], &rows, color)
}

pub(in crate::cli) fn consent(consent: AmtConsent) -> String {
    match consent.policy {
        AmtPolicy::None => "nobody needs to agree to anything\n".to_owned(),
        policy => {
            let whom = match policy {
                AmtPolicy::Kvm => "to its screen",
                _ => "to redirection and to a start from elsewhere",
            };
            format!(
                "somebody there must agree {whom}; consent is {}\n",
                consent.stage
            )
        }
    }
}

pub(in crate::cli) fn found(devices: &[AmtDevice], color: bool) -> String {
    let row = |device: &AmtDevice| {
        let ports = match (device.plain, device.tls) {
            (_, true) if device.legacy => "old TLS",
            (true, true) => "plain, TLS",
            (true, false) => "plain",
            (false, true) => "TLS",
            (false, false) => "none",
        };
        let provisioned = match device.provisioned {
            Some(true) => Cell::plain("yes"),
            Some(false) => Cell::new("no", Tone::Busy),
            None => Cell::new("-", Tone::Faint),
        };
        let version = match device.version.as_str() {
            "" => "-",
            version => version,
        };
        vec![
            Cell::plain(addresses(device)),
            Cell::plain(version),
            Cell::plain(ports),
            provisioned,
            Cell::plain(device.machine.as_deref().unwrap_or("-")),
        ]
    };
    let rows: Vec<_> = devices.iter().map(row).collect();
    let head = ["ADDRESS", "VERSION", "PORTS", "PROVISIONED", "MACHINE"];
    columns(&head, &rows, color)
}

fn addresses(device: &AmtDevice) -> String {
    let mut all = vec![device.address.to_string()];
    all.extend(device.also.iter().map(ToString::to_string));
    all.join(", ")
}

pub(in crate::cli) fn alarms(alarms: &[AmtAlarm], color: bool) -> String {
    let row = |alarm: &AmtAlarm| {
        let every = match alarm.every {
            0 => "once".to_owned(),
            minutes => format!(
                "{} d {} h {} min",
                minutes / 1440,
                minutes % 1440 / 60,
                minutes % 60
            ),
        };
        vec![
            Cell::plain(&alarm.name),
            Cell::plain(alarm.at.to_string()),
            Cell::plain(every),
        ]
    };
    let rows: Vec<_> = alarms.iter().map(row).collect();
    columns(&["ALARM", "AT", "EVERY"], &rows, color)
}

pub(in crate::cli) fn clock(ahead: i64) -> String {
    match ahead {
        0 => "its clock was right\n".to_owned(),
        ahead if ahead > 0 => format!("its clock was {ahead} s ahead, and is set\n"),
        behind => format!(
            "its clock was {} s behind, and is set\n",
            behind.unsigned_abs()
        ),
    }
}
