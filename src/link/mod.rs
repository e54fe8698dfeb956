//! Layer 3 of every link: addresses, routes, rules, firewall; and the proof that the board is no gateway.
//! Owns the kernel's network configuration. Never associates a radio and never decides which uplink is used.
//!
//! ```text
//! seal      nft → sysctls → rules, once before any link comes up; static from then on, so that a crash is safe
//! run       owner `link`: brings links up, leases, advertisements → addresses and the tables' routes
//! guard::run owner `guard`: reads everything back and undoes what would make us a gateway
//! ```

use std::io;
use std::net::Ipv6Addr;

use crate::config::Config;

mod advert;
mod dhcp;
mod firewall;
pub mod guard;
mod lease;
mod netlink;
mod owner;
mod plan;
mod port;
mod reconcile;
mod resolv;
mod router;
mod routers;
mod rules;
mod settings;
mod wake;
mod wanted;

pub use owner::run;
use plan::Plan;

/// What a client of one link has to say to the owner.
#[derive(Debug)]
struct Report {
    interface: String,
    /// The association it belongs to.
    generation: u64,
    word: Word,
}

#[derive(Debug)]
enum Word {
    /// A lease, new or prolonged.
    Leased(lease::Lease),
    LeaseLost(String),
    /// Nothing to lose, but nothing came either for longer than a server needs.
    Silent(String),
    Advertised {
        router: Ipv6Addr,
        advert: advert::Advert,
    },
}

/// What can go wrong in this room.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{interface}` cannot be the name of an interface")]
    Name { interface: String },
    #[error("interface `{interface}` has two roles; LAN and uplinks each need their own")]
    Shared { interface: String },
    #[error("uplink `{uplink}` is one too many; 100 uplinks have routing tables")]
    TooMany { uplink: String },
    #[error("nft {what}: {said}")]
    Nft { what: String, said: String },
    #[error("cannot {verb} {name}")]
    Setting {
        verb: &'static str,
        name: String,
        #[source]
        source: io::Error,
    },
    #[error("netlink: cannot {what}")]
    Netlink {
        what: String,
        #[source]
        source: rtnetlink::Error,
    },
    #[error("netlink: no answer when asked to {what}")]
    NetlinkSilent { what: String },
    #[error("cannot open {what}")]
    Socket {
        what: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot write {path}")]
    File {
        path: String,
        #[source]
        source: io::Error,
    },
}

/// Closes the board: firewall, then kernel switches, then routing rules. Idempotent; call it before any link is
/// brought up and again after a reload. What already stands is replaced in one step and never taken down first.
///
/// # Errors
/// The first step that failed; the later ones are tried all the same, because each one closes something.
pub async fn seal(config: &Config) -> Result<(), Error> {
    let plan = Plan::new(&config.lan, &config.uplinks, config.door_ports())?;
    seal_plan(&plan).await
}

async fn seal_plan(plan: &Plan) -> Result<(), Error> {
    let firewall = firewall::load(plan).await;
    let settings = settings::apply_all(&settings::wanted(plan))
        .and(settings::apply_all(&settings::forwarding()));
    let rules = seal_rules(plan).await;
    firewall.and(settings).and(rules)
}

/// Adds what is missing first and only then deletes rules of ours that no longer belong (an uplink taken out of the
/// configuration): at no moment is the list open. Foreign rules are the guard's business.
async fn seal_rules(plan: &Plan) -> Result<(), Error> {
    let kernel = netlink::Netlink::open()?;
    let wanted = plan.rules();
    let actual = kernel.rules().await?;
    for rule in &wanted {
        if !actual.iter().any(|(there, _)| there == rule) {
            kernel.add_rule(rule).await?;
        }
    }
    for (rule, message) in actual {
        let ours = (plan::PRIORITY_MARK..plan::PRIORITY_FROM).contains(&rule.priority);
        if ours && !wanted.contains(&rule) {
            kernel.delete_rule(message).await?;
        }
    }
    Ok(())
}
