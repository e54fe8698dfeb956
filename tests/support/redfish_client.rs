//! The Redfish client alone, for `tests/net`: the first line of stdin says which controller, each further one what to do;
//! a JSON line is printed for each. At the end of stdin the session is closed.
//!
//! ```text
//! {"url": "https://127.0.0.1:8443", "user": "admin", "password": "secret", "state": "DIR", "system": "1", "step": 0.1, "task": 20}
//! {"do": "power"} | {"do": "reset", "intent": "Cycle"} | {"do": "set_boot", "target": "Pxe", "for": "Once", "mode": "UEFI"}
//! {"do": "insert", "slot": "Cd", "file": "PATH"} | {"do": "eject", "slot": "Cd"} | {"do": "log", "log": "URI", "most": 100} | …
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test program: what fails shall end it"
)]

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use oobd::bmc::media::{Served, serve};
use oobd::bmc::redfish::types::{BootFor, BootTarget, Scalar, System};
use oobd::bmc::redfish::{Access, Bmc, Error, Intent, Patience};
use oobd::config::Secret;
use oobd::http::{self, Legacy, Trust, Url};
use oobd::pin::Pins;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};
use tokio_util::task::TaskTracker;

fn kind(error: &Error) -> &'static str {
    match error {
        Error::Http(http::Error::Distrusted { .. }) => "distrusted",
        Error::Http(_) => "http",
        Error::WrongPassword { .. } => "wrong password",
        Error::Refused { .. } => "refused",
        Error::Unsupported { .. } => "unsupported",
        Error::Failed { .. } => "failed",
        Error::Unfinished { .. } => "unfinished",
        Error::Odd { .. } => "odd",
        Error::NoSystem { .. } => "no system",
    }
}

fn say(value: &Value) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}").unwrap();
    out.flush().unwrap();
}

fn told(error: &Error) -> Value {
    json!({ "error": kind(error), "said": error.to_string(), "maybe_done": error.maybe_done() })
}

fn access(given: &Value) -> Access {
    let text = |name: &str| given[name].as_str().unwrap_or_default().to_owned();
    let seconds =
        |name: &str, usual: f64| Duration::from_secs_f64(given[name].as_f64().unwrap_or(usual));
    Access {
        url: Url::parse(&text("url")).unwrap(),
        user: text("user"),
        password: Secret::new(text("password")),
        system: given["system"].as_str().map(str::to_owned),
        lan: "lo".to_owned(),
        trust: Trust {
            pins: Pins::new(Path::new(&text("state"))),
            pin: None,
            legacy: Legacy::Never,
        },
        patience: Patience {
            request: seconds("request", 20.0),
            step: seconds("step", 0.1),
            task: seconds("task", 20.0),
        },
    }
}

fn scalar(value: &Value) -> Scalar {
    match value {
        Value::String(text) => Scalar::Text(text.clone()),
        Value::Bool(flag) => Scalar::Flag(*flag),
        Value::Number(number) => Scalar::Number(number.as_f64().unwrap()),
        _ => Scalar::Null,
    }
}

fn system(system: &System) -> Value {
    json!({ "id": system.id, "name": system.name, "power": format!("{:?}", system.power), "health": system.health })
}

/// Where a slot is, by its identity.
async fn slot(bmc: &mut Bmc, given: &Value) -> Result<String, Error> {
    let wanted = given["slot"].as_str().unwrap();
    let slots = bmc.media().await?;
    Ok(slots
        .iter()
        .find(|slot| slot.id == wanted)
        .unwrap_or_else(|| panic!("no slot {wanted} in {slots:?}"))
        .uri
        .clone())
}

async fn obey(
    bmc: &mut Bmc,
    given: &Value,
    served: &mut Option<Served>,
    tracker: &TaskTracker,
) -> Result<Value, Error> {
    let text = |name: &str| given[name].as_str().unwrap_or_default();
    Ok(match text("do") {
        "session" => json!(bmc.has_session()),
        "root" => json!({ "vendor": bmc.root().vendor, "version": bmc.root().version }),
        "systems" => bmc.systems().await?.iter().map(system).collect(),
        "power" => json!(format!("{:?}", bmc.power().await?)),
        "reset_types" => json!(bmc.reset_types().await?),
        "reset" => {
            let intent = match text("intent") {
                "On" => Intent::On,
                "Off" => Intent::Off,
                "GracefulOff" => Intent::GracefulOff,
                "GracefulRestart" => Intent::GracefulRestart,
                "Restart" => Intent::Restart,
                "Cycle" => Intent::Cycle,
                _ => Intent::Nmi,
            };
            let used = bmc.reset(intent).await?;
            json!({ "kind": used.kind, "refused": used.refused })
        }
        "boot" => {
            let boot = bmc.boot().await?;
            json!({ "target": boot.target, "for": format!("{:?}", boot.held), "mode": boot.mode, "allowed": boot.allowed })
        }
        "set_boot" => {
            let target = match text("target") {
                "Pxe" => BootTarget::Pxe,
                "Cd" => BootTarget::Cd,
                "Hdd" => BootTarget::Hdd,
                "BiosSetup" => BootTarget::BiosSetup,
                _ => BootTarget::None,
            };
            let held = match text("for") {
                "Once" => BootFor::Once,
                "Continuous" => BootFor::Continuous,
                _ => BootFor::Disabled,
            };
            bmc.set_boot(target, held, given["mode"].as_str()).await?;
            Value::Null
        }
        "bios" => {
            let all = bmc.bios(given["described"] == true).await?;
            all.iter()
                .map(|one| json!({
                    "name": one.name, "value": one.value.json(), "pending": one.pending.as_ref().map(Scalar::json),
                    "kind": one.kind, "label": one.label, "choices": one.choices, "read_only": one.read_only,
                }))
                .collect()
        }
        "set_bios" => {
            let fields = given["settings"].as_object().unwrap().iter();
            let settings: Vec<_> = fields
                .map(|(name, value)| (name.clone(), scalar(value)))
                .collect();
            bmc.set_bios(&settings).await?;
            Value::Null
        }
        "bios_result" => json!(bmc.bios_result().await?),
        "media" => bmc
            .media()
            .await?
            .iter()
            .map(|slot| json!({ "id": slot.id, "types": slot.types, "image": slot.image, "inserted": slot.inserted }))
            .collect(),
        "serve" => {
            let client = text("client").parse().unwrap();
            let file = Path::new(text("file"));
            let offer = serve(file, "lo", client, tracker).await.unwrap();
            let url = offer.url().to_owned();
            *served = Some(offer);
            json!(url)
        }
        "sent" => json!(served.as_ref().map(Served::sent)),
        "unserve" => {
            *served = None;
            Value::Null
        }
        "insert" => {
            let slot = slot(bmc, given).await?;
            bmc.insert(&slot, text("image")).await?;
            Value::Null
        }
        "eject" => {
            let slot = slot(bmc, given).await?;
            bmc.eject(&slot).await?;
            Value::Null
        }
        "sensors" => bmc
            .sensors()
            .await?
            .iter()
            .map(|one| json!({
                "name": one.name, "kind": format!("{:?}", one.kind), "unit": one.unit, "value": one.value,
                "state": format!("{:?}", one.state), "said": one.said,
            }))
            .collect(),
        "logs" => json!(bmc.logs().await?),
        "log" => {
            let most = usize::try_from(given["most"].as_u64().unwrap_or(100)).unwrap();
            let entries = bmc.log(text("log"), most).await?;
            entries
                .iter()
                .map(|one| json!({
                    "id": one.id, "at": one.at.map(|at| at.to_string()), "severity": format!("{:?}", one.severity), "text": one.text,
                }))
                .collect()
        }
        "clear_log" => {
            bmc.clear_log(text("log")).await?;
            Value::Null
        }
        "managers" => bmc
            .managers()
            .await?
            .iter()
            .map(|one| json!({ "id": one.id, "kind": one.kind, "firmware": one.firmware }))
            .collect(),
        "consoles" => bmc
            .consoles()
            .await?
            .iter()
            .map(|one| json!({
                "protocol": one.protocol, "enabled": one.enabled, "port": one.port, "command": one.command, "uri": one.uri,
            }))
            .collect(),
        "storage" => bmc
            .storage()
            .await?
            .iter()
            .map(|one| json!({
                "id": one.id,
                "drives": one.drives.iter().map(|drive| json!({ "id": drive.id, "bytes": drive.bytes })).collect::<Value>(),
                "volumes": one.volumes.iter().map(|volume| json!({ "id": volume.id, "kind": volume.kind })).collect::<Value>(),
            }))
            .collect(),
        other => panic!("cannot do {other}"),
    })
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut lines = BufReader::new(stdin()).lines();
    let given = lines.next_line().await.unwrap().unwrap();
    let given: Value = serde_json::from_str(&given).unwrap();
    let tracker = TaskTracker::new();
    let mut served = None;
    let mut bmc = match Bmc::open(access(&given)).await {
        Ok(bmc) => bmc,
        Err(error) => return say(&told(&error)),
    };
    let pinned = bmc.take_pinned().map(|pinned| pinned.fingerprint);
    say(&json!({ "open": true, "pinned": pinned }));
    while let Some(line) = lines.next_line().await.unwrap() {
        let given: Value = serde_json::from_str(&line).unwrap();
        match Box::pin(obey(&mut bmc, &given, &mut served, &tracker)).await {
            Ok(value) => say(&json!({ "ok": value })),
            Err(error) => say(&told(&error)),
        }
    }
    bmc.close().await;
}
