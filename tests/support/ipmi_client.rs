//! The IPMI client alone, for `tests/net`: commands as lines on stdin, one line of JSON for each on stdout. In mode `sol`
//! stdin and stdout are the console's bytes, SIGUSR1 sends a break, and stderr tells why it ended.
//!
//! ```text
//! OOBD_IPMI='{"bmc":"127.0.0.1:623","interface":"lo","user":"admin","password":"secret","tries":4,"first_ms":1000}' ipmi_client
//! stdin: ping | connect | device | status | power VERB | identify off|on|SECONDS | boot | setboot DEVICE [persistent] [efi]
//!        inventory | sensors | log | entries | follow | clear | close
//! OOBD_IPMI='{…,"mode":"sol","take_over":false}' ipmi_client
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test program: what fails shall end it"
)]

use std::time::Duration;

use oobd::bmc::ipmi::{Boot, BootDevice, Client, Entry, Identify, Mark, Verb};
use oobd::fault::chain;
use oobd::ipmi::sol::Sol;
use oobd::ipmi::{Agreed, Error, Limits, Login, ping};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::signal::unix::{SignalKind, signal};

struct Given {
    interface: String,
    bmc: std::net::SocketAddr,
    login: Login,
    limits: Limits,
    known: Option<Agreed>,
}

fn failure(error: &Error) -> Value {
    let debug = format!("{error:?}");
    let name = debug.split([' ', '{', '(']).next().unwrap_or_default();
    json!({
        "error": name, "text": chain(error), "lost": error.is_lost(), "login": error.is_login(),
        "code": error.completion_code(),
    })
}

fn agreed(agreed: Agreed) -> Value {
    json!({"suite": agreed.suite.number(), "privilege": agreed.privilege.number()})
}

fn verb(name: &str) -> Verb {
    match name {
        "down" => Verb::PowerDown,
        "up" => Verb::PowerUp,
        "cycle" => Verb::PowerCycle,
        "reset" => Verb::HardReset,
        "diag" => Verb::DiagnosticInterrupt,
        "soft" => Verb::SoftShutdown,
        other => panic!("no verb {other}"),
    }
}

fn device(name: &str) -> BootDevice {
    match name {
        "none" => BootDevice::None,
        "pxe" => BootDevice::Pxe,
        "disk" => BootDevice::Disk,
        "safe" => BootDevice::DiskSafe,
        "diag" => BootDevice::Diagnostic,
        "cd" => BootDevice::Cd,
        "bios" => BootDevice::BiosSetup,
        "floppy" => BootDevice::Floppy,
        other => panic!("no device {other}"),
    }
}

async fn connect(given: &Given) -> Result<Client, Error> {
    let limits = given.limits;
    Client::connect(
        &given.interface,
        given.bmc,
        &given.login,
        limits,
        given.known,
    )
    .await
}

async fn carry_out(
    client: &mut Client,
    mark: &mut Option<Mark>,
    words: &[&str],
) -> Result<Value, Error> {
    Ok(match words {
        ["connect"] => agreed(client.agreed()),
        ["device"] => {
            let device = client.device_id().await?;
            json!({
                "firmware": [device.firmware.0, device.firmware.1], "ipmi": [device.ipmi.0, device.ipmi.1],
                "manufacturer": device.manufacturer, "product": device.product, "log": device.has_log,
            })
        }
        ["status"] => {
            let status = client.chassis_status().await?;
            json!({
                "on": status.power_on, "fault": status.power_fault, "restore": format!("{:?}", status.restore),
                "identify": format!("{:?}", status.identify), "intrusion": status.intrusion,
                "commanded_on": status.last_event.commanded_on,
            })
        }
        ["power", name] => {
            client.chassis_control(verb(name)).await?;
            json!({})
        }
        ["identify", how] => {
            let wanted = match *how {
                "off" => Identify::Off,
                "on" => Identify::On,
                seconds => Identify::For(seconds.parse().unwrap()),
            };
            client.identify(wanted).await?;
            json!({})
        }
        ["boot"] => {
            let (boot, valid) = client.boot().await?;
            json!({
                "device": format!("{:?}", boot.device), "persistent": boot.is_persistent, "efi": boot.is_efi,
                "valid": valid,
            })
        }
        ["setboot", name, rest @ ..] => {
            let boot = Boot {
                device: device(name),
                is_persistent: rest.contains(&"persistent"),
                is_efi: rest.contains(&"efi"),
            };
            client.set_boot(boot).await?;
            json!({})
        }
        ["inventory"] => {
            let inventory = client.inventory().await?;
            json!({
                "sensors": inventory.sensors.len(), "event_only": inventory.event_only.len(),
                "locators": inventory.locators.iter().map(|locator| &locator.name).collect::<Vec<_>>(),
                "unread": inventory.unread,
            })
        }
        ["sensors"] => serde_json::to_value(client.sensors().await?).unwrap(),
        ["log"] => serde_json::to_value(client.log().await?).unwrap(),
        ["entries"] => serde_json::to_value(client.entries().await?).unwrap(),
        ["follow"] => {
            let news = client.follow_log(mark.as_ref()).await?;
            *mark = Some(news.mark);
            let inventory = client.inventory().await?;
            let entries: Vec<Entry> = news
                .entries
                .iter()
                .map(|raw| Entry::parse(raw, inventory))
                .collect();
            json!({"erased": news.erased, "entries": entries})
        }
        ["clear"] => {
            client.clear_log().await?;
            json!({})
        }
        other => panic!("no command {other:?}"),
    })
}

async fn commands(given: &Given) {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let (mut client, mut mark) = (None, None);
    while let Some(line) = lines.next_line().await.unwrap() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let said = match &words[..] {
            ["ping"] => ping(&given.interface, given.bmc, given.limits)
                .await
                .map(|()| json!({})),
            ["close"] => {
                if let Some(client) = client.take() {
                    Client::close(client).await;
                }
                Ok(json!({}))
            }
            words => {
                let connected = match client.take() {
                    Some(client) if words != ["connect"] => Ok(client),
                    _ => connect(given).await,
                };
                match connected {
                    Ok(connected) => carry_out(client.insert(connected), &mut mark, words).await,
                    Err(error) => Err(error),
                }
            }
        };
        let said = said.map_or_else(|error| failure(&error), |ok| json!({"ok": ok}));
        use std::io::Write as _;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{said}").unwrap();
        out.flush().unwrap();
    }
    if let Some(client) = client {
        client.close().await;
    }
}

/// Ends with stdin, once everything typed is acknowledged.
async fn console(given: &Given, take_over: bool) -> Result<(), Error> {
    let Given {
        interface,
        bmc,
        login,
        limits,
        known,
    } = given;
    let mut sol = Sol::open(interface, *bmc, login, *limits, *known, take_over).await?;
    eprintln!("{}", json!({"ok": agreed(sol.agreed())}));
    let mut breaks = signal(SignalKind::user_defined1()).unwrap();
    let (mut stdin, mut stdout) = (tokio::io::stdin(), tokio::io::stdout());
    let (mut typed, mut seen) = (vec![0; 1024], vec![0; 4096]);
    let mut waiting = Vec::new();
    let mut open = true;
    while open || !waiting.is_empty() || !sol.is_idle() {
        tokio::select! {
            // Cancel-safe: a turn that is cancelled has moved nothing.
            moved = std::future::poll_fn(|cx| sol.poll_turn(cx, &mut seen, &waiting, true)) => match moved {
                oobd::ipmi::sol::Moved::Read(count) => {
                    stdout.write_all(&seen[..count]).await.unwrap();
                    stdout.flush().await.unwrap();
                }
                oobd::ipmi::sol::Moved::Wrote(count) => {
                    waiting.drain(..count);
                }
                oobd::ipmi::sol::Moved::Lost(error) => return Err(error),
            },
            // Cancel-safe: nothing is taken before it is ready.
            count = stdin.read(&mut typed), if open && waiting.is_empty() => {
                let count = count.unwrap();
                open = count > 0;
                waiting.extend_from_slice(&typed[..count]);
            }
            Some(()) = breaks.recv() => sol.send_break(),
            () = tokio::time::sleep(Duration::from_millis(100)), if !open => {}
        }
    }
    sol.close().await;
    Ok(())
}

#[tokio::main]
async fn main() {
    let given = std::env::var("OOBD_IPMI").expect("OOBD_IPMI");
    let given: Value = serde_json::from_str(&given).unwrap();
    let text = |key: &str, unless: &str| given[key].as_str().unwrap_or(unless).to_owned();
    let number = |key: &str, unless: u64| given[key].as_u64().unwrap_or(unless);
    let bmc = text("bmc", "127.0.0.1:623").parse().unwrap();
    let login = Login::new(bmc, &text("user", "admin"), text("password", "").as_bytes());
    let login = match login {
        Ok(login) => login,
        Err(error) => {
            println!("{}", failure(&error));
            return;
        }
    };
    let suite = oobd::ipmi::crypto::Suite::ALL
        .into_iter()
        .find(|suite| u64::from(suite.number()) == number("suite", 0));
    let asked = Given {
        interface: text("interface", "lo"),
        bmc,
        login,
        limits: Limits {
            tries: u32::try_from(number("tries", 4)).unwrap(),
            first: Duration::from_millis(number("first_ms", 1000)),
            pause: Duration::from_millis(number("pause_ms", 500)),
        },
        known: suite.map(|suite| Agreed {
            suite,
            privilege: oobd::ipmi::Privilege::Administrator,
        }),
    };
    if given["mode"] == "sol" {
        if let Err(error) = console(&asked, given["take_over"] == true).await {
            eprintln!("{}", failure(&error));
        }
        // Tokio's thread that reads stdin would wait for it for ever.
        std::process::exit(0);
    }
    commands(&asked).await;
}
