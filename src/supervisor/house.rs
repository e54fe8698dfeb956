//! Which owners there are and in which order they start. A new kind of owner is one variant here.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use futures::TryFutureExt;
use tokio::sync::watch;

use super::context::{Context, Dirs};
use super::owner::{Fault, Run, Spec};
use crate::access::Directory;
use crate::cira::{self, Caller};
use crate::config::{
    Amt, AmtAt, Cira, Config, Console, DoorName, DoorPorts, Https, Lan, Machine, Oob, Pdu,
    PlainDoor, Probe, Ssh, Uplink, UplinkKind, Ups, Vnc,
};
use crate::console::export::Keeping;
use crate::console::plug::{self, Plugs, Roots};
use crate::journal::Reader;
use crate::state::Store;
use crate::tcp::Tunnels;
use crate::tls::Identity;
use crate::{
    alarm, api, bmc, console, control, history, ider, link, mdns, plain, power, screen, ssh,
    uplink, vnc,
};

/// One owner with all of its configuration: two equal parts need no restart at a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Link {
        lan: Lan,
        uplinks: Vec<Uplink>,
        ports: DoorPorts,
    },
    Guard {
        lan: Lan,
        uplinks: Vec<Uplink>,
        ports: DoorPorts,
    },
    /// What serial ports are plugged in.
    Ports,
    Console {
        console: Console,
        /// The LAN's interface, for a console that is reached over it.
        lan: Option<String>,
    },
    Pdu {
        pdu: Pdu,
        /// The LAN's interface.
        lan: String,
    },
    Ups {
        ups: Ups,
        lan: String,
    },
    Machine {
        machine: Machine,
        lan: String,
    },
    /// The screen of a machine with AMT.
    Screen {
        machine: String,
        amt: Amt,
        lan: String,
    },
    /// Drives of this board for a machine with AMT.
    Ider {
        machine: String,
        amt: Amt,
        lan: String,
    },
    /// Looks for Intel AMT when it is asked.
    Scan {
        lan: String,
        /// Addresses that machines of the configuration have, and their names.
        known: Vec<(SocketAddr, String)>,
    },
    /// Where machines with AMT call in; who may is followed without a restart.
    Cira {
        cira: Cira,
        /// Its name, for the certificate.
        device: String,
    },
    /// A plain door of one console.
    Plain {
        console: String,
        door: PlainDoor,
    },
    /// A port for viewers of a machine's screen.
    Vnc {
        machine: String,
        door: Vnc,
    },
    Uplink {
        uplink: Uplink,
        oob: Oob,
        probe: Probe,
    },
    Indicator {
        led: Option<String>,
    },
    /// What was measured lately.
    History,
    /// What somebody should look at.
    Alarm,
    Ssh {
        ssh: Ssh,
        lan_interface: String,
        landings: Vec<ssh::Landing>,
    },
    /// What else is configured of it is followed without a restart: [`Doors::adopt`].
    Https {
        port: u16,
    },
    Control,
    /// Where the board tells its name.
    Mdns {
        device: String,
        faces: Vec<mdns::Face>,
    },
    /// All transcripts together, and the syslog server.
    Record(Keeping),
}

/// The parts of a configuration in start order; they stop in reverse. Links come before what runs over them,
/// consoles before the doors that lead to them.
#[must_use]
pub fn parts(config: &Config) -> Vec<Part> {
    let (lan, uplinks) = (config.lan.clone(), config.uplinks.clone());
    let ports = config.door_ports();
    let mut parts = vec![
        Part::Link {
            lan: lan.clone(),
            uplinks: uplinks.clone(),
            ports,
        },
        Part::Guard {
            lan,
            uplinks,
            ports,
        },
    ];
    let lan_interface = config.lan.interface.clone();
    parts.push(Part::Ports);
    parts.extend(config.consoles.iter().cloned().map(|console| {
        let lan = console.transport.is_remote().then(|| lan_interface.clone());
        // Another door is no reason to close the port.
        let console = Console {
            doors: Vec::new(),
            ..console
        };
        Part::Console { console, lan }
    }));
    parts.extend(config.pdus.iter().cloned().map(|pdu| Part::Pdu {
        pdu,
        lan: lan_interface.clone(),
    }));
    parts.extend(config.upses.iter().cloned().map(|ups| Part::Ups {
        ups,
        lan: lan_interface.clone(),
    }));
    parts.extend(
        config
            .machines
            .iter()
            .cloned()
            // Another door is no reason to forget what is under way.
            .map(|machine| Part::Machine {
                machine: Machine {
                    vnc: None,
                    ..machine
                },
                lan: lan_interface.clone(),
            }),
    );
    parts.extend(config.machines.iter().filter_map(|machine| {
        Some(Part::Screen {
            machine: machine.name.clone(),
            amt: machine.amt.clone()?,
            lan: lan_interface.clone(),
        })
    }));
    parts.extend(config.machines.iter().filter_map(|machine| {
        Some(Part::Ider {
            machine: machine.name.clone(),
            amt: machine.amt.clone()?,
            lan: lan_interface.clone(),
        })
    }));
    parts.extend(config.cira.clone().map(|cira| Part::Cira {
        cira,
        device: config.device.name.clone(),
    }));
    parts.push(Part::Scan {
        lan: lan_interface.clone(),
        known: known(config),
    });
    parts.push(Part::Record(keeping(config)));
    parts.push(Part::Control);
    parts.push(Part::Ssh {
        ssh: config.ssh.clone(),
        lan_interface,
        landings: landings(config),
    });
    parts.push(Part::Https {
        port: config.https.port,
    });
    for console in &config.consoles {
        parts.extend(console.doors.iter().cloned().map(|door| Part::Plain {
            console: console.name.clone(),
            door,
        }));
    }
    parts.extend(config.machines.iter().filter_map(|machine| {
        Some(Part::Vnc {
            machine: machine.name.clone(),
            door: machine.vnc.clone()?,
        })
    }));
    parts.extend(config.mdns.enabled.then(|| Part::Mdns {
        device: config.device.name.clone(),
        faces: faces(config),
    }));
    parts.push(Part::Indicator {
        led: config.oob.led.clone(),
    });
    parts.push(Part::History);
    parts.push(Part::Alarm);
    parts.extend(config.uplinks.iter().cloned().map(|uplink| Part::Uplink {
        uplink,
        oob: config.oob.clone(),
        probe: config.probe.clone(),
    }));
    parts
}

/// The interfaces where people look for the board: the LAN with all doors, hotspots with those that are open there.
fn faces(config: &Config) -> Vec<mdns::Face> {
    let (ssh, https) = (config.ssh.port, config.https.port);
    let mut faces = vec![mdns::Face {
        interface: config.lan.interface.clone(),
        mark: None,
        services: mdns::services(Some(ssh), Some(https)),
    }];
    for uplink in &config.uplinks {
        if !matches!(uplink.kind, UplinkKind::Wifi(_)) {
            continue;
        }
        let open = |door| uplink.accept.contains(&door);
        let ssh = open(DoorName::Ssh).then_some(ssh);
        let https = open(DoorName::Https).then_some(https);
        if ssh.is_some() || https.is_some() {
            faces.push(mdns::Face {
                interface: uplink.interface().to_owned(),
                mark: Some(uplink.mark()),
                services: mdns::services(ssh, https),
            });
        }
    }
    faces
}

/// The machines that Intel AMT is configured of.
fn known(config: &Config) -> Vec<(SocketAddr, String)> {
    let one = |machine: &Machine| match machine.amt.as_ref()?.at {
        AmtAt::Lan(address) => Some((address, machine.name.clone())),
        AmtAt::Cira(_) => None,
    };
    config.machines.iter().filter_map(one).collect()
}

/// The machines that call in.
fn callers(config: &Config) -> Vec<Caller> {
    let one = |machine: &Machine| {
        let AmtAt::Cira(login) = &machine.amt.as_ref()?.at else {
            return None;
        };
        Some(Caller {
            machine: machine.name.clone(),
            login: login.clone(),
        })
    };
    config.machines.iter().filter_map(one).collect()
}

/// The consoles that have an SSH port of their own.
fn landings(config: &Config) -> Vec<ssh::Landing> {
    let landing = |console: &Console| {
        Some(ssh::Landing {
            port: console.sessions.ssh_port?,
            console: console.name.clone(),
        })
    };
    config.consoles.iter().filter_map(landing).collect()
}

/// Loads firewall, switches and rules before any link comes up. A failure is logged and left to the guard, which
/// tries again: a board that cannot be reached helps nobody, and forwarding is off in the kernel's defaults.
pub async fn seal(config: &Config) {
    if let Err(error) = link::seal(config).await {
        tracing::error!("the board is not sealed: {}", crate::fault::chain(&error));
    }
}

impl Part {
    /// The owner's name.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Link { .. } => "link".into(),
            Self::Guard { .. } => "guard".into(),
            Self::Ports => "ports".into(),
            Self::Console { console, .. } => format!("console.{}", console.name),
            Self::Pdu { pdu, .. } => format!("pdu.{}", pdu.name),
            Self::Ups { ups, .. } => format!("ups.{}", ups.name),
            Self::Machine { machine, .. } => format!("machine.{}", machine.name),
            Self::Screen { machine, .. } => format!("screen.{machine}"),
            Self::Ider { machine, .. } => format!("ider.{machine}"),
            Self::Cira { .. } => "cira".into(),
            Self::Scan { .. } => "scan".into(),
            Self::Plain { console, door } => format!("{}.{console}", door.kind),
            Self::Vnc { machine, .. } => format!("vnc.{machine}"),
            Self::Uplink { uplink, .. } => format!("uplink.{}", uplink.name),
            Self::Indicator { .. } => "indicator".into(),
            Self::History => "history".into(),
            Self::Alarm => "alarm".into(),
            Self::Ssh { .. } => "ssh".into(),
            Self::Https { .. } => "api".into(),
            Self::Control => "control".into(),
            Self::Mdns { .. } => "mdns".into(),
            Self::Record(_) => "record".into(),
        }
    }

    /// Does a change of it ask for the firewall to be loaded again first?
    #[must_use]
    pub fn is_link(&self) -> bool {
        matches!(self, Self::Link { .. } | Self::Guard { .. })
    }

    /// READY waits for doors.
    #[must_use]
    pub fn is_door(&self) -> bool {
        matches!(self, Self::Ssh { .. } | Self::Https { .. } | Self::Control)
    }

    /// How to run it.
    #[must_use]
    pub fn spec(&self, doors: &Doors) -> Spec {
        let (part, doors) = (self.clone(), doors.clone());
        Spec {
            name: self.name(),
            door: self.is_door(),
            start: Arc::new(move |ctx| part.clone().run(ctx, doors.clone())),
        }
    }

    fn run(self, ctx: Context, doors: Doors) -> Run {
        let Doors {
            access,
            store,
            journal,
            plugs,
            https,
            shown,
            tunnels,
            callers,
        } = doors;
        match self {
            Self::Ports => boxed(plug::run(ctx, plugs)),
            Self::Console { console, lan } => boxed(async move {
                let lan = lan.unwrap_or_default();
                console::run(ctx, console, (&lan, tunnels), plugs).await
            }),
            Self::Pdu { pdu, lan } => boxed(power::run(ctx, pdu, lan)),
            Self::Ups { ups, lan } => boxed(power::run_ups(ctx, ups, lan)),
            Self::Machine { machine, lan } => {
                boxed(bmc::run(ctx, machine, (lan, tunnels), store.watch()))
            }
            Self::Screen { machine, amt, lan } => {
                let route = tunnels.route(&lan, amt.caller());
                boxed(screen::run(ctx, machine, amt, route))
            }
            Self::Ider { machine, amt, lan } => {
                let route = tunnels.route(&lan, amt.caller());
                boxed(ider::run(ctx, machine, amt, route))
            }
            Self::Cira { cira, device } => {
                boxed(cira::run(ctx, cira, device, callers.subscribe(), tunnels))
            }
            Self::Scan { lan, known } => boxed(bmc::scan::run(ctx, lan, known, store.watch())),
            Self::Plain { console, door } => {
                boxed(plain::run(ctx, console, door, access, store, journal))
            }
            Self::Uplink { uplink, oob, probe } => boxed(uplink::run(ctx, uplink, oob, probe)),
            Self::Indicator { led } => boxed(uplink::indicator::run(ctx, led, store.watch())),
            Self::History => boxed(history::run(ctx, store.watch())),
            Self::Alarm => boxed(alarm::run(ctx, journal)),
            Self::Ssh {
                ssh,
                lan_interface,
                landings,
            } => boxed(ssh::run(
                ctx,
                ssh,
                access,
                store,
                journal,
                lan_interface,
                landings,
            )),
            Self::Https { port } => boxed(api::run(
                ctx,
                port,
                access,
                store,
                journal,
                (https.subscribe(), shown),
            )),
            Self::Vnc { machine, door } => {
                boxed(vnc::run(ctx, machine, door, access, shown.subscribe()))
            }
            Self::Record(keeping) => boxed(console::export::run(ctx, keeping)),
            Self::Mdns { device, faces } => boxed(mdns::run(ctx, device, faces, store.watch())),
            Self::Control => boxed(control::run(ctx, access, store, journal)),
            Self::Link {
                lan,
                uplinks,
                ports,
            } => boxed(link::run(ctx, lan, uplinks, ports)),
            Self::Guard {
                lan,
                uplinks,
                ports,
            } => boxed(link::guard::run(ctx, lan, uplinks, ports)),
        }
    }
}

fn keeping(config: &Config) -> Keeping {
    let consoles = &config.consoles;
    let sent = consoles.iter().filter(|console| console.record.syslog);
    let quota = |console: &Console| (console.name.clone(), console.transcript);
    Keeping {
        syslog: config.syslog.clone(),
        host: config.device.name.clone(),
        lan_interface: config.lan.interface.clone(),
        consoles: sent.map(|console| console.name.clone()).collect(),
        quotas: consoles.iter().map(quota).collect(),
        total: config.transcripts.total,
    }
}

fn boxed<E>(run: impl Future<Output = Result<(), E>> + Send + 'static) -> Run
where
    E: Into<Fault>,
{
    // No `async` block, which would hold the future twice over.
    Box::pin(run.err_into())
}

/// What doors share beyond a [`Context`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Doors {
    /// Users in force; replaced at a reload while doors stay open.
    pub access: Arc<Directory>,
    pub store: Store,
    pub journal: Reader,
    /// Wakes consoles whose port is plugged in.
    pub plugs: Plugs,
    /// In force; followed by the HTTPS door, so that another certificate drops no connection.
    https: Arc<watch::Sender<Https>>,
    /// The certificate that the HTTPS door shows, for other doors with TLS.
    shown: Arc<watch::Sender<Option<Identity>>>,
    /// Those that machines have opened to this board.
    tunnels: Tunnels,
    /// Machines that may; followed by the listener, so that another one drops no tunnel.
    callers: Arc<watch::Sender<Vec<Caller>>>,
}

impl Doors {
    #[must_use]
    pub fn new(config: &Config, store: Store, dirs: &Dirs) -> Self {
        let journal = Reader::new(dirs.state.join("journal"));
        Self {
            access: Arc::new(Directory::new(&config.users)),
            store,
            journal,
            plugs: Plugs::new(Roots::default()),
            https: Arc::new(watch::Sender::new(config.https.clone())),
            shown: Arc::default(),
            tunnels: Tunnels::default(),
            callers: Arc::new(watch::Sender::new(callers(config))),
        }
    }

    /// Puts what doors follow while they are open in force.
    pub fn adopt(&self, config: &Config) {
        self.access.replace(&config.users);
        self.https.send_if_modified(|https| {
            let changed = *https != config.https;
            https.clone_from(&config.https);
            changed
        });
        let fresh = callers(config);
        self.callers.send_if_modified(|callers| {
            let changed = *callers != fresh;
            *callers = fresh;
            changed
        });
    }
}
