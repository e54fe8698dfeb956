//! Replies of a controller: whatever it sends, readers end, keep what they keep short, and take no link off the controller.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oobd_fuzz::bmc::redfish::read::{self, firmware, log, media, sensor, task};
use oobd_fuzz::bmc::redfish::types::SensorKind;
use serde_json::Value;

/// Longest text that a reader keeps, in bytes.
const LONGEST: usize = 4 * 4096;

fn links(value: &Value) {
    for name in ["Systems", "Links", "Members", "Boot", "Status"] {
        if let Some(link) = read::link(value, name) {
            assert!(link.starts_with('/'), "{link}");
            assert!(read::same(&link, &format!("{link}/")));
        }
        assert!(read::text(value, name).is_none_or(|text| text.len() <= LONGEST));
        assert!(read::number(value, name).is_none_or(f64::is_finite));
    }
}

fn resource(value: &Value) {
    links(value);
    let root = read::root(value);
    assert!(root.sessions.len() <= 3 && root.sessions.iter().all(|uri| uri.starts_with('/')));
    let _ = (read::system(value, "/x/1"), read::manager(value, "/x/1"), read::boot(value), read::settings(value));
    let _ = (read::drive(value, ""), read::volume(value, "/"), read::action_info(value, "ResetType"));
    if let Some(action) = read::action(value, "#ComputerSystem.Reset", "ResetType") {
        assert!(action.target.starts_with('/'));
    }
    assert!(read::consoles(value).len() <= 20);
    assert!(read::said(value).text.chars().count() <= 300);
    let (members, next) = read::members(value);
    assert!(members.len() <= read::MEMBERS && next.is_none_or(|next| next.starts_with('/')));

    let entry = log::entry(value, "/log/1");
    assert!(entry.text.len() <= LONGEST && entry.id.len() <= LONGEST);
    let slot = media::slot(value, "/slot");
    let _ = media::is_full(&slot);
    assert!(media::insert(value, "http://10.0.0.5/x.iso").len() <= 8 && media::eject(value).len() <= 4);
    let _ = task::state(value);
    for sensors in [sensor::thermal(value), sensor::power(value), sensor::thermal_metrics(value)] {
        assert!(sensors.len() <= 3 * sensor::SENSORS);
        assert!(sensors.iter().all(|sensor| sensor.value.is_none_or(f64::is_finite)));
    }
    let _ = (sensor::sensor(value), sensor::part(value, SensorKind::Fan), sensor::intrusion(value));
    for attribute in firmware::attributes(value, Some(value), Some(value)) {
        assert_ne!(attribute.pending.as_ref(), Some(&attribute.value));
        let _ = attribute.value.json();
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = log::time(text);
        let tags = task::tags(Some(text));
        assert!(tags.len() <= 6);
        assert!(tags.contains(&None));
    }
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    resource(&value);
    // What is inside may come alone.
    if let Some(fields) = value.as_object() {
        fields.values().take(32).for_each(resource);
    }
});
