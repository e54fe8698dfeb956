//! The link room alone, for `tests/net`: seals, then runs the owners `link` and `guard` in whatever network namespace
//! it is started in, takes commands as lines on stdin and prints durable events as JSON lines.
//!
//! ```text
//! OOBD_PEER='{"lan":"eth0","address":"dhcp","uplinks":["wlan0"],"accept":true,"ssh":2222,"run":"DIR","guard":true}' link_peer
//! stdin: address IF | unaddress IF | check | state | quit
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test program: what fails shall end it"
)]

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use oobd::bus::{Bus, Intake};
use oobd::clock::Timestamp;
use oobd::command::{Actor, Command, Commands};
use oobd::config::{
    Config, Device, DoorName, Https, Lan, LanAddress, Mode, Oob, Probe, Sae, Ssh, Transcripts,
    Uplink, UplinkKind, Wifi,
};
use oobd::event::Event;
use oobd::link;
use oobd::state::{State, Store};
use oobd::supervisor::context::{Context, Dirs, Pulse, Ready};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

fn say(value: &Value) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}").unwrap();
    out.flush().unwrap();
}

fn config(given: &Value) -> Config {
    let text = |key: &str| given[key].as_str().unwrap_or_default().to_owned();
    let address = match given["address"].as_str() {
        None | Some("dhcp") => LanAddress::Dhcp,
        Some(cidr) => {
            let (address, prefix) = cidr.split_once('/').unwrap();
            let ip = |key: &str| given[key].as_str().map(|ip| ip.parse::<IpAddr>().unwrap());
            LanAddress::Static {
                address: address.parse().unwrap(),
                prefix: prefix.parse().unwrap(),
                gateway: ip("gateway"),
                dns: ip("dns").into_iter().collect(),
            }
        }
    };
    let uplinks = given["uplinks"]
        .as_array()
        .into_iter()
        .flatten()
        .zip(0u8..)
        .map(|(name, slot)| Uplink {
            name: format!("up{slot}"),
            slot,
            accept: if given["accept"] == true {
                vec![DoorName::Ssh]
            } else {
                vec![]
            },
            kind: UplinkKind::Wifi(Wifi {
                interface: name.as_str().unwrap().into(),
                ssids: vec![b"remote.it".to_vec()],
                passphrase: None,
                country: None,
                open: false,
                hidden: false,
                sae: Sae::Auto,
            }),
        });
    let second = std::time::Duration::from_secs(1);
    Config {
        mdns: oobd::config::Mdns::default(),
        device: Device {
            name: "peer".into(),
        },
        lan: Lan {
            interface: text("lan"),
            address,
        },
        oob: Oob {
            mode: Mode::Off,
            led: None,
            scan_fast: second,
            fast_for: second,
            scan_slow: second,
        },
        uplinks: uplinks.collect(),
        probe: Probe {
            targets: vec![],
            every: second,
            fail_after: 1,
            clear_after: 1,
        },
        ssh: Ssh {
            port: given["ssh"]
                .as_u64()
                .and_then(|port| port.try_into().ok())
                .unwrap_or(22),
        },
        https: Https::default(),
        consoles: vec![],
        transcripts: Transcripts::default(),
        syslog: None,
        pdus: vec![],
        upses: vec![],
        machines: vec![],
        cira: None,
        users: vec![],
    }
}

/// Stands for the journal: numbers events and calls them durable at once.
async fn journal(mut intake: Intake) {
    let mut seq = 0;
    while let Some(publish) = intake.publishes.recv().await {
        let Some(kind) = publish.kind else {
            continue;
        };
        seq += 1;
        let event = Arc::new(Event {
            seq,
            at: Timestamp::now(),
            severity: kind.severity(),
            source: publish.source,
            kind,
        });
        say(&json!({ "event": *event }));
        let _ = intake.live.send(event);
        let _ = publish.done.send(seq);
    }
}

fn main() {
    let given: Value = serde_json::from_str(&std::env::var("OOBD_PEER").unwrap()).unwrap();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(serve(given));
}

async fn serve(given: Value) {
    let config = config(&given);
    if given["sealed"] != false {
        link::seal(&config).await.unwrap();
        say(&json!({ "sealed": true }));
    }
    let store = Store::new(State::default());
    let (bus, intake) = Bus::new(store.clone());
    let (commands, stop, tracker) = (
        Commands::default(),
        CancellationToken::new(),
        TaskTracker::new(),
    );
    tokio::spawn(journal(intake));
    let run: PathBuf = given["run"].as_str().unwrap().into();
    let dirs = Arc::new(Dirs {
        state: run.clone(),
        config: run.join("oobd.toml"),
        notes: run.clone(),
        run,
    });
    let (_asked, asked) = watch::channel(0);
    let context = |name: &str| Context {
        name: name.into(),
        bus: bus.clone(),
        commands: commands.clone(),
        asks: commands.register(name),
        stop: stop.clone(),
        tracker: tracker.clone(),
        pulse: Pulse::new(asked.clone(), Arc::default()),
        ready: Ready::new(watch::channel(false).0, Arc::default()),
        dirs: dirs.clone(),
    };
    let ports = config.door_ports();
    let owner = link::run(
        context("link"),
        config.lan.clone(),
        config.uplinks.clone(),
        ports,
    );
    let mut owners = vec![tokio::spawn(owner)];
    if given["guard"] != false {
        let guard = link::guard::run(context("guard"), config.lan, config.uplinks, ports);
        owners.push(tokio::spawn(guard));
    }
    say(&json!({ "running": true }));

    let (typed, mut lines) = tokio::sync::mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { break };
            if typed.blocking_send(line).is_err() {
                break;
            }
        }
    });
    while let Some(line) = lines.recv().await {
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let interface = rest.to_owned();
        let command = match verb {
            "address" => Command::AddressLink { interface },
            "unaddress" => Command::UnaddressLink { interface },
            "check" => Command::CheckGuard,
            "state" => {
                say(&json!({ "state": store.now() }));
                continue;
            }
            "quit" => break,
            other => panic!("no such verb: {other}"),
        };
        let reply = commands.send(Actor::Owner("peer".into()), command).await;
        say(&json!({ "reply": format!("{reply:?}") }));
    }
    stop.cancel();
    for owner in owners {
        let ended = tokio::time::timeout(std::time::Duration::from_secs(3), owner).await;
        ended.expect("an owner ends within 3 s").unwrap().unwrap();
    }
    tracker.close();
    let tasks = tokio::time::timeout(std::time::Duration::from_secs(3), tracker.wait()).await;
    tasks.expect("the owners' tasks end within 3 s");
    say(&json!({ "ended": true }));
}
