//! An Intel AMT device as a server, for `tests/net`: WS-Man over HTTP on 16992 and HTTPS on 16993, redirection on 16994 and 16995.
//! `main.rs` owns the machine's state; every half is a file of its own. One thread per connection.
//!
//! ```text
//! OOBD_AMT='{"listen":"127.0.0.1","user":"admin","password":"P@ssw0rd"}' amt_device
//! stdout: {"up":true}, then a line of JSON for everything that happens
//! stdin:  lines, each answered by {"heard":LINE} once it is in effect; `end` ends it
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a test program: what fails shall end it"
)]

use std::collections::HashMap;
use std::io::BufRead as _;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

mod boot;
mod cira;
mod classes;
mod http;
mod identity;
mod ider;
mod kvm;
mod logs;
mod profile;
mod redirection;
mod rmcp;
mod soap;
mod sol;
mod wsman;

/// Tells the test.
pub fn tell(value: &Value) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}").unwrap();
    out.flush().unwrap();
}

/// What the machine and its management engine are now.
#[derive(Debug)]
pub struct Machine {
    /// As the test gave it.
    pub given: Value,
    pub profile: &'static profile::Profile,
    /// DMTF power state as `CIM_AssociatedPowerManagementService` tells it: 2 on, 8 off.
    pub power: u32,
    /// `AMT_RedirectionService.EnabledState` minus 32768: 1 IDER, 2 SOL.
    pub redirection: u32,
    pub listener: bool,
    /// `CIM_KVMRedirectionSAP` is enabled.
    pub kvm: bool,
    /// `CIM_BootService.EnabledState` minus 32768: 1 One-Click Recovery.
    pub recovery: u32,
    pub consent: Consent,
    pub boot: boot::Boot,
    pub logs: logs::Logs,
    pub web: http::Web,
    pub lists: wsman::Lists,
    /// What the next call of a method returns.
    pub returns: HashMap<String, u32>,
    pub absent: Vec<String>,
    /// Instances that were written.
    pub puts: u32,
    pub me: boot::Me,
}

/// `IPS_OptInService`.
#[derive(Debug)]
pub struct Consent {
    /// 0 none, 1 KVM, 0xFFFFFFFF all.
    pub required: u32,
    /// 0 not started, 1 requested, 2 displayed, 3 received, 4 in session.
    pub state: u32,
    /// Shown on the local screen.
    pub code: u32,
    pub wrong: u32,
}

impl Machine {
    fn new(given: Value) -> Self {
        let required = match given["mode"].as_str() {
            Some("ccm") => u32::MAX,
            _ => 0,
        };
        let profile = profile::Profile::of(&given);
        Self {
            power: 2,
            redirection: 3,
            listener: true,
            kvm: true,
            recovery: 0,
            consent: Consent {
                required,
                state: 0,
                code: 0,
                wrong: 0,
            },
            boot: boot::Boot::new(profile.uefi),
            profile,
            logs: logs::Logs::new(),
            web: http::Web::default(),
            lists: wsman::Lists::default(),
            returns: HashMap::new(),
            absent: Vec::new(),
            puts: 0,
            me: boot::Me::new(),
            given,
        }
    }

    /// Would a boot option be refused now?
    pub fn needs_consent(&self) -> bool {
        self.consent.required == u32::MAX && !matches!(self.consent.state, 3 | 4)
    }

    pub fn text(&self, key: &str) -> &str {
        self.given[key].as_str().unwrap_or_default()
    }
}

/// The machine, for every thread.
pub type Shared = Arc<Mutex<Machine>>;

pub fn lock(machine: &Shared) -> MutexGuard<'_, Machine> {
    machine.lock().unwrap()
}

fn main() {
    let given: Value = serde_json::from_str(&std::env::var("OOBD_AMT").unwrap()).unwrap();
    let machine: Shared = Arc::new(Mutex::new(Machine::new(given)));
    lock(&machine).me = boot::weak(&machine);
    wsman::start(&machine);
    redirection::start(&machine);
    rmcp::start(&machine);
    tell(&json!({ "up": true }));
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        if line == "end" {
            break;
        }
        let known = cira::order(&machine, &line)
            || wsman::order(&machine, &line)
            || redirection::order(&line);
        tell(&json!({ "heard": line, "known": known }));
    }
}
