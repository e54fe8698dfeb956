//! mDNS and DNS-SD on the LAN and on hotspots, so that people find the board by its name. Answers and asks nothing; never speaks on
//! another interface. A name that another host of the link has is left to it. docs/design.md §4.

mod answer;
mod claim;
mod socket;

use std::convert::Infallible;
use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::future::select_all;
use rand::TryRngCore;
use rand::rngs::OsRng;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use crate::clock::Instant;
use crate::event::Kind;
use crate::state::State;
use crate::supervisor::context::Context;

use answer::Told;
use claim::{Claim, Say};
use socket::{Ear, PORT};

/// How often links are looked at: the state changes far more often than they do.
const LOOK: Duration = Duration::from_secs(3);
/// Longest packet that is read; a question has some hundred bytes.
const LONGEST: usize = 9000;
/// Probing begins at random within this time: what is switched on together does not speak together.
const JITTER_MS: u32 = 250;
/// Without anything to say.
const LONG: Duration = Duration::from_secs(3600);
/// Answers at once, and per second after that: a link full of phones asks less.
const BURST: u32 = 20;
const PER_SECOND: u32 = 10;

/// An interface where the board tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Face {
    pub interface: String,
    /// Of the uplink, for routing and firewall.
    pub mark: Option<u32>,
    /// What is open there: `_ssh._tcp` and its port.
    pub services: Vec<(&'static str, u16)>,
}

/// Answers until stopped.
///
/// # Errors
/// None: an interface that is not there, or a port that cannot be had, is tried again.
pub async fn run(
    ctx: Context,
    device: String,
    faces: Vec<Face>,
    state: watch::Receiver<State>,
) -> Result<(), Infallible> {
    let mut pulse = ctx.pulse.clone();
    let text = vec![
        format!("device={device}"),
        format!("version={}", env!("CARGO_PKG_VERSION")),
        format!("model={}", model()),
    ];
    let voice = |face| Voice::new(face, &device);
    let mut voices: Vec<Voice> = faces.into_iter().map(voice).collect();
    let mut ours: Vec<IpAddr> = Vec::new();
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let wakes = voices.iter().filter_map(|voice| voice.claim.wake_at());
        let wake = wakes.fold(Instant::now() + LONG, Instant::min);
        let told = tokio::select! {
            // cancel-safe: waits for the token only
            () = ctx.stop.cancelled() => {
                voices.iter().for_each(Voice::say_goodbye);
                return Ok(());
            }
            // cancel-safe: see Pulse::beat
            () = pulse.beat() => None,
            // cancel-safe: a packet that is being looked at is answered without waiting
            told = serve(&mut voices, &ours) => told,
            // cancel-safe: a timer has nothing to lose
            () = sleep_until(wake) => {
                voices.iter_mut().for_each(Voice::step);
                None
            }
            // cancel-safe: a tick that is not taken comes again
            _ = look.tick() => {
                let state = state.borrow();
                let links = state.links.values().flat_map(|link| &link.addresses);
                ours = links.filter_map(|network| address(network)).collect();
                for voice in &mut voices {
                    voice.adopt(&state, &text);
                }
                None
            }
        };
        if let Some(told) = told {
            ctx.publish(told).await;
        }
    }
}

/// Of `10.0.0.5/24`.
fn address(network: &str) -> Option<IpAddr> {
    network.split('/').next()?.parse().ok()
}

/// What the board is, as its device tree says.
fn model() -> String {
    let text = std::fs::read_to_string("/proc/device-tree/model").unwrap_or_default();
    let plain = text.trim_end_matches('\0').trim();
    if plain.is_empty() {
        "generic".into()
    } else {
        plain.chars().take(60).collect()
    }
}

/// Hears on all interfaces at once, until there is something to tell or to wait for.
async fn serve(voices: &mut [Voice], ours: &[IpAddr]) -> Option<Kind> {
    loop {
        let mut buffer = vec![0; LONGEST];
        let mut buffers: Vec<Vec<u8>> = Vec::new();
        let heard = {
            let ears: Vec<(usize, usize, &Ear)> = voices
                .iter()
                .enumerate()
                .flat_map(|(at, voice)| {
                    voice
                        .ears
                        .iter()
                        .enumerate()
                        .map(move |(ear, one)| (at, ear, one))
                })
                .collect();
            if ears.is_empty() {
                return pending().await;
            }
            buffers.resize(ears.len(), std::mem::take(&mut buffer));
            let waits = ears
                .into_iter()
                .zip(&mut buffers)
                .map(|((at, ear, one), buffer)| {
                    Box::pin(async move { (at, ear, one.hear(buffer).await) })
                });
            let (heard, which, _) = select_all(waits).await;
            (heard, which)
        };
        let ((at, ear, heard), which) = heard;
        let (Some(voice), Some(buffer)) = (voices.get_mut(at), buffers.get(which)) else {
            continue;
        };
        match heard {
            Ok((length, from)) => {
                let packet = buffer.get(..length).unwrap_or_default();
                let before = voice.claim.wake_at();
                let told = voice.hear(ear, packet, from, ours);
                if told.is_some() || voice.claim.wake_at() != before {
                    return told;
                }
            }
            Err(error) => {
                tracing::debug!(interface = voice.face.interface, "mDNS: {error}");
                // Opened anew at the next look.
                voice.ears.clear();
                voice.index = None;
                voice.claim.end();
            }
        }
    }
}

/// One interface.
#[derive(Debug)]
struct Voice {
    face: Face,
    ears: Vec<Ear>,
    /// Of the interface that the ears are on.
    index: Option<u32>,
    networks: Vec<String>,
    told: Told,
    claim: Claim,
    /// Answers that are left, and when that was counted.
    left: u32,
    counted: Instant,
}

impl Voice {
    fn new(face: Face, device: &str) -> Self {
        Self {
            face,
            ears: Vec::new(),
            index: None,
            networks: Vec::new(),
            told: Told::default(),
            claim: Claim::new(device.to_owned()),
            left: BURST,
            counted: Instant::now(),
        }
    }

    /// Takes over what the link is now.
    fn adopt(&mut self, state: &State, text: &[String]) {
        let link = state.links.get(&self.face.interface);
        let link = link.filter(|link| link.carrier && !link.addresses.is_empty());
        self.networks = link.map_or_else(Vec::new, |link| link.addresses.clone());
        let networks = self.networks.iter();
        let addresses: Vec<IpAddr> = networks.filter_map(|network| address(network)).collect();
        let moved = self.told.addresses != addresses;
        self.told = Told {
            device: self.claim.name(),
            services: self.face.services.clone(),
            text: text.to_vec(),
            addresses,
        };
        let index = link.map(|link| link.index);
        if self.index == index {
            if moved {
                self.claim.renew(Instant::now());
            }
            return;
        }
        self.ears.clear();
        self.index = None;
        self.claim.end();
        let Some(index) = index else {
            return;
        };
        let name = &self.face.interface;
        let mut complete = true;
        for v6 in [false, true] {
            match Ear::open(name, index, self.face.mark, v6) {
                Ok(ear) => self.ears.push(ear),
                Err(error) => {
                    complete = false;
                    tracing::debug!(interface = name, v6, "no mDNS: {error}");
                }
            }
        }
        // One family is better than none; both are tried again while there is none.
        if complete || !self.ears.is_empty() {
            self.index = Some(index);
            let random = OsRng.try_next_u32().unwrap_or_default() % JITTER_MS;
            let jitter = Duration::from_millis(random.into());
            self.claim.begin(Instant::now(), jitter);
            self.told.device = self.claim.name();
        }
    }

    /// Probes or announces when it is time.
    fn step(&mut self) {
        match self.claim.step(Instant::now()) {
            Some(Say::Probe) => self.say(answer::probe(&self.told)),
            Some(Say::Announce) => self.say(answer::announcement(&self.told, false)),
            None => {}
        }
    }

    /// What others have kept of us, they may forget.
    fn say_goodbye(&self) {
        if self.claim.holds() {
            self.say(answer::announcement(&self.told, true));
        }
    }

    /// To everybody on the link.
    fn say(&self, bytes: Option<Vec<u8>>) {
        let Some(bytes) = bytes else { return };
        for ear in &self.ears {
            if let Err(error) = ear.say(&bytes, None) {
                tracing::debug!(interface = self.face.interface, "mDNS: {error}");
            }
        }
    }

    /// Takes a packet in; what is told of it is an event.
    fn hear(
        &mut self,
        ear: usize,
        packet: &[u8],
        from: SocketAddr,
        ours: &[IpAddr],
    ) -> Option<Kind> {
        if !socket::is_near(from.ip(), &self.networks) {
            return None;
        }
        // What speaks from another port is no responder and has no name.
        if from.port() == PORT
            && let Some(by) = answer::contest(packet, &self.told, ours)
        {
            let name = self.claim.name();
            if self.claim.contested(by, Instant::now()) {
                self.told.device = self.claim.name();
                return Some(Kind::NameTaken {
                    interface: self.face.interface.clone(),
                    name,
                    by: from.ip().to_string(),
                    now: self.told.device.clone(),
                });
            }
        }
        if self.claim.holds() {
            self.answer(ear, packet, from);
        }
        None
    }

    fn answer(&mut self, ear: usize, packet: &[u8], from: SocketAddr) {
        if !self.may_speak() {
            return;
        }
        let legacy = from.port() != PORT;
        let Some(answer) = answer::answer(packet, &self.told, legacy) else {
            return;
        };
        self.left = self.left.saturating_sub(1);
        let to = answer.alone.then_some(from);
        if let Some(Err(error)) = self.ears.get(ear).map(|ear| ear.say(&answer.bytes, to)) {
            tracing::debug!(interface = self.face.interface, "mDNS: {error}");
        }
    }

    fn may_speak(&mut self) -> bool {
        let now = Instant::now();
        let seconds = now.duration_since(self.counted).as_secs();
        if seconds > 0 {
            self.counted = now;
            let more = u32::try_from(seconds).unwrap_or(u32::MAX);
            let more = more.saturating_mul(PER_SECOND);
            self.left = self.left.saturating_add(more).min(BURST);
        }
        self.left > 0
    }
}

/// Only to say who may be told what, for the configuration.
#[must_use]
pub fn services(ssh: Option<u16>, https: Option<u16>) -> Vec<(&'static str, u16)> {
    let ssh = ssh.map(|port| ("_ssh._tcp", port));
    let https = https.into_iter();
    let https = https.flat_map(|port| [("_https._tcp", port), ("_oobd._tcp", port)]);
    ssh.into_iter().chain(https).collect()
}
