//! What real controllers send, as far as it is odd.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::media::{Step, insert};
use super::task::{Task, state, tags};
use super::*;
use crate::bmc::redfish::types::{LogSeverity, Scalar, SensorKind, SensorState};

#[test]
fn links_come_in_several_forms() {
    for (value, link_to) in [
        (
            json!({"Systems": {"@odata.id": "/redfish/v1/Systems"}}),
            Some("/redfish/v1/Systems"),
        ),
        (
            json!({"Systems": {"href": "/rest/v1/Systems"}}),
            Some("/rest/v1/Systems"),
        ),
        (
            json!({"Systems": "/redfish/v1/Systems"}),
            Some("/redfish/v1/Systems"),
        ),
        (
            json!({"Systems": {"@odata.id": "http://10.0.0.8/steal"}}),
            None,
        ),
        (json!({"Systems": null}), None),
        (json!({"Systems": [1]}), None),
        (json!([]), None),
    ] {
        assert_eq!(link(&value, "Systems").as_deref(), link_to, "{value}");
    }
    assert!(same(
        "/redfish/v1/Systems/1/BIOS/",
        "/redfish/v1/systems/1/bios"
    ));
    assert!(!same("/redfish/v1/Systems/1", "/redfish/v1/Systems/11"));
}

#[test]
fn sessions_are_made_where_the_root_says() {
    let old = root(&json!({"Links": {"Sessions": {"@odata.id": "/redfish/v1/Sessions/"}}}));
    assert_eq!(old.sessions, ["/redfish/v1/Sessions/"]);
    let dell = root(&json!({"SessionService": {"@odata.id": "/redfish/v1/SessionService"}}));
    assert_eq!(
        dell.sessions,
        [
            "/redfish/v1/SessionService/Sessions",
            "/redfish/v1/Sessions"
        ]
    );
    let none = root(&json!({"Systems": {"@odata.id": "/redfish/v1/Systems"}}));
    assert!(none.sessions.is_empty());
    assert_eq!(
        root(&json!({"Oem": {"Hpe": {}}})).vendor.as_deref(),
        Some("Hpe")
    );
}

#[test]
fn power_that_nobody_knows_is_not_off() {
    for value in [
        json!({}),
        json!({"PowerState": null}),
        json!({"PowerState": 0}),
        json!({"PowerState": "off"}),
    ] {
        assert_eq!(power(&value), Power::Unknown, "{value}");
    }
    assert_eq!(
        power(&json!({"PowerState": "PoweringOff"})),
        Power::PoweringOff
    );
}

#[test]
fn collections_may_be_null() {
    assert_eq!(members(&json!({"Members": null})), (vec![], None));
    let page = json!({"Members": [{"@odata.id": "/a"}, {"@odata.id": "/b", "Id": "b"}], "@odata.nextLink": "/next"});
    let (found, next) = members(&page);
    assert_eq!(
        found
            .iter()
            .map(|member| is_whole(member))
            .collect::<Vec<_>>(),
        [false, true]
    );
    assert_eq!(next.as_deref(), Some("/next"));
}

#[test]
fn times_of_controllers_are_read() {
    for (written, time) in [
        ("2026-01-02T03:04:05Z", Some("2026-01-02T03:04:05.000Z")),
        (
            "2026-01-02T03:04:05-06:00",
            Some("2026-01-02T09:04:05.000Z"),
        ),
        ("2026-01-02T03:04:05-0600", Some("2026-01-02T09:04:05.000Z")),
        ("2026-01-02T03:04:05+0130", Some("2026-01-02T01:34:05.000Z")),
        ("2026-01-02T03:04:05", Some("2026-01-02T03:04:05.000Z")),
        ("2026-01-02 03:04:05.5Z", Some("2026-01-02T03:04:05.500Z")),
        ("0000-00-00T00:00:00Z", None),
        ("1970-01-01T00:00:12Z", None),
        ("2026-01-02", None),
        ("soon", None),
        ("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}T+1", None),
    ] {
        let read = log::time(written).map(|time| time.to_string());
        assert_eq!(read.as_deref(), time, "{written}");
    }
    let bare = log::entry(
        &json!({"MessageId": "x.Y", "Created": "0000-00-00"}),
        "/Entries/7",
    );
    assert_eq!(
        (bare.id.as_str(), bare.text.as_str(), bare.at, bare.severity),
        ("7", "x.Y", None, LogSeverity::Unknown)
    );
}

#[test]
fn errors_are_said_once() {
    let extended = json!({"error": {"code": "Base.1.0.GeneralError", "message": "See ExtendedInfo.", "@Message.ExtendedInfo": [
        {"MessageId": "IDRAC.1.6.RAC0218", "Message": "The maximum number of\r\nuser sessions is reached."},
        {"MessageId": "Base.1.0.SessionLimitExceeded", "Message": "The maximum number of\r\nuser sessions is reached."},
    ]}});
    let found = said(&extended);
    assert_eq!(
        found.text,
        "The maximum number of user sessions is reached."
    );
    assert!(found.holds(&["RAC0218"]) && found.holds(&["sessionlimitexceeded"]));
    assert_eq!(said(&json!({"error": {"message": "No."}})).text, "No.");
    assert_eq!(said(&json!("x")), Said::default());
}

#[test]
fn tasks_are_over_only_when_they_say_so() {
    assert_eq!(state(&json!({"TaskState": "Running"})), Task::Running);
    assert_eq!(state(&json!({"TaskState": "Cancelling"})), Task::Running);
    assert_eq!(state(&json!({"Id": "1"})), Task::Done);
    let failed = json!({"TaskState": "Exception", "Messages": [{"Message": "No fan."}]});
    let Task::Failed(found) = state(&failed) else {
        panic!("not failed");
    };
    assert_eq!(found.text, "No fan.");
}

#[test]
fn tags_are_tried_from_the_strictest_form_on() {
    let forms = |tag| tags(tag).into_iter().map(|form| form.unwrap_or_default());
    let weak: Vec<String> = forms(Some("W/\"a\"")).collect();
    assert_eq!(weak, ["W/\"a\"", "\"a\"", "a", "*", ""]);
    let bare: Vec<String> = forms(Some("a")).collect();
    assert_eq!(bare, ["a", "\"a\"", "*", ""]);
    assert_eq!(forms(None).collect::<Vec<_>>(), ["", "*"]);
}

#[test]
fn media_without_an_action_are_changed() {
    let steps = insert(&json!({"Actions": {}}), "https://10.0.0.5/x.iso");
    assert!(steps.iter().all(|step| matches!(step, Step::Patch(_))));
    let slot = json!({"Actions": {"#VirtualMedia.InsertMedia": {"target": "/odd/place/Insert"}}});
    let steps = insert(&slot, "https://10.0.0.5/x.iso");
    let Step::Post(target, Some(body)) = &steps[2] else {
        panic!("{steps:?}");
    };
    assert_eq!(
        (target.as_str(), &body["TransferProtocolType"]),
        ("/odd/place/Insert", &json!("HTTPS"))
    );
}

#[test]
fn sensors_of_new_controllers_are_read() {
    let fan = sensor::part(
        &json!({"Name": "Fan", "SpeedPercent": {"Reading": 30, "SpeedRPM": 4200}, "Status": {"Health": "OK"}}),
        SensorKind::Fan,
    );
    assert_eq!((fan.value, fan.unit.as_str()), (Some(4200.0), "RPM"));
    let off = sensor::sensor(
        &json!({"Name": "x", "Reading": "NaN", "Status": {"State": "UnavailableOffline", "Health": "OK"}}),
    );
    assert_eq!((off.value, off.state), (None, SensorState::Absent));
    assert_eq!(sensor::intrusion(&json!({"PhysicalSecurity": null})), None);
}

#[test]
fn numbers_of_settings_stay_whole() {
    assert_eq!(Scalar::Number(8.0).json().to_string(), "8");
    assert_eq!(Scalar::Number(0.5).json().to_string(), "0.5");
    assert_eq!(Scalar::Number(-3.0).json().to_string(), "-3");
}

/// Documents as a controller might send them, and worse: the names that readers look at, with anything behind them.
fn anything() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "@odata.id",
        "Members",
        "Status",
        "Health",
        "Boot",
        "Actions",
        "target",
        "Links",
        "Sessions",
        "@Message.ExtendedInfo",
        "error",
        "Attributes",
        "SerialConsole",
        "SSH",
        "Port",
        "Created",
        "PowerState",
        "#VirtualMedia.InsertMedia",
        "Temperatures",
        "Reading",
        "Oem",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        "/[a-z/]{0,10}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(names.clone().prop_map(str::to_owned), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_that_is_sent_is_too_much(value in anything()) {
        let _ = (root(&value), system(&value, "/x"), manager(&value, ""), boot(&value), consoles(&value));
        let _ = (said(&value), state(&value), members(&value), settings(&value), insert(&value, "x"));
        let _ = (sensor::thermal(&value), sensor::power(&value), sensor::sensor(&value), sensor::intrusion(&value));
        let _ = (log::entry(&value, "/"), firmware::attributes(&value, Some(&value), Some(&value)));
        let _ = (drive(&value, ""), volume(&value, ""), media::slot(&value, ""));
    }

    #[test]
    fn no_time_is_too_odd(written in ".{0,40}") {
        let _ = log::time(&written);
    }
}
