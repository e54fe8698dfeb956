//! `oobctl status`: the screen of the person at the rack with a phone. Everything that matters, on 24 lines.

use crate::clock::Timestamp;
use crate::control::wire::Request;
use crate::fact::{
    Console, Internet, Link, LinkRole, OwnerPhase, PortPhase, Session, Uplink, UplinkPhase,
};
use crate::state::State;

use super::client::Client;
use super::face::{Face, Failure};
use super::table::{Cell, Tone, cut, flow};
use super::time::ago;
use super::{Form, terminal};

/// Column of the facts, behind the labels.
const INDENT: usize = 10;
/// Consoles that have room on the screen; `console list` has all.
const CONSOLES_SHOWN: usize = 6;
/// Problems that have room on the screen.
const PROBLEMS_SHOWN: usize = 4;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Show it anew after each change, until interrupted
    #[arg(long, short)]
    watch: bool,
}

pub(super) async fn run(
    args: &Args,
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    if !args.watch {
        let state = client.state().await?;
        return match form {
            Form::Text => {
                face.print(&show(&state, Timestamp::now(), face.wrap(), face.color))
                    .await
            }
            Form::Json | Form::Lines => face.json(&state).await,
        };
    }
    client.send(&Request::WatchState).await?;
    loop {
        let state = client.next_state().await?;
        if form != Form::Text {
            face.json(&state).await?;
            continue;
        }
        if face.local && face.terminal {
            (face.width, face.height) = terminal::size();
        }
        let screen = show(&state, Timestamp::now(), face.wrap(), face.color);
        let screen = if face.terminal {
            // Home, then each line over the old one, then the rest of the old screen away: no flicker.
            let lines: Vec<&str> = screen.lines().take(face.height.saturating_sub(1)).collect();
            format!("\x1b[H{}\x1b[K\n\x1b[J", lines.join("\x1b[K\n"))
        } else {
            screen + "\n"
        };
        face.print(&screen).await?;
    }
}

/// The screen, `width` columns wide; what matters least stands last, where a small terminal cuts it off.
pub(super) fn show(state: &State, now: Timestamp, width: usize, color: bool) -> String {
    let mut screen = Screen {
        text: String::new(),
        width,
        color,
    };
    head(&mut screen, state, now);
    problems(&mut screen, state);
    alarms(&mut screen, state);
    let mut lans = state
        .links
        .values()
        .filter(|link| link.role == LinkRole::Lan)
        .peekable();
    if lans.peek().is_none() {
        screen.line("LAN", &[Cell::new("no such interface", Tone::Bad)]);
    }
    for link in lans {
        screen.line("LAN", &lan(link));
    }
    for uplink in state.uplinks.values() {
        screen.line("Uplink", &uplink_line(uplink, now));
    }
    screen.line("Guard", &guard(state, now));
    consoles(&mut screen, state, now);
    for door in state.doors.values() {
        let mut cells = vec![Cell::plain(&door.name), Cell::plain(&door.address)];
        if let Some(fingerprint) = &door.fingerprint {
            cells.push(Cell::new(fingerprint, Tone::Faint));
        }
        screen.line("Door", &cells);
    }
    screen.text
}

struct Screen {
    text: String,
    width: usize,
    color: bool,
}

impl Screen {
    fn line(&mut self, label: &str, cells: &[Cell]) {
        self.text.push_str(&format!("{label:<INDENT$}"));
        let body = flow(cells, INDENT, INDENT, self.width, self.color);
        self.text.push_str(&body);
    }
}

fn head(screen: &mut Screen, state: &State, now: Timestamp) {
    let oob = match (state.oob, state.working_networks()) {
        (true, _) => Cell::new("OOB ON", Tone::Good),
        (false, 0) => Cell::new("OOB off: NO network works", Tone::Bad),
        (false, _) => Cell::new("OOB off", Tone::Strong),
    };
    let mut cells = vec![oob, Cell::plain(format!("mode {}", state.mode))];
    let up = ago(state.started_at, now);
    cells.push(Cell::plain(format!("oobd {} up {up}", state.version)));
    if !state.ready {
        cells.push(Cell::new("not ready yet", Tone::Busy));
    }
    let name = cut(&super::table::harmless(&state.device), 24);
    let start = name.chars().count() + 2;
    let name = Cell::new(name, Tone::Strong);
    let line = flow(&[name], 0, 0, screen.width, screen.color);
    screen.text.push_str(line.trim_end());
    screen.text.push_str("  ");
    screen
        .text
        .push_str(&flow(&cells, start, INDENT, screen.width, screen.color));
}

fn lan(link: &Link) -> Vec<Cell> {
    let mut cells = vec![Cell::plain(&link.interface)];
    if !link.carrier {
        cells.push(Cell::new("no cable", Tone::Bad));
        return cells;
    }
    match link.addresses.as_slice() {
        [] => cells.push(Cell::new("no address yet", Tone::Busy)),
        addresses => cells.push(Cell::new(addresses.join(", "), Tone::Good)),
    }
    let routers: Vec<_> = link.gateways.iter().map(ToString::to_string).collect();
    if !routers.is_empty() {
        cells.push(Cell::plain(format!("router {}", routers.join(", "))));
    }
    cells
}

/// The word for a phase, and how it looks.
pub(super) fn phase(phase: &UplinkPhase) -> Cell {
    let (word, tone) = match phase {
        UplinkPhase::Off => ("off", Tone::Faint),
        UplinkPhase::Absent => ("absent", Tone::Bad),
        UplinkPhase::Searching => ("searching", Tone::Busy),
        UplinkPhase::Associating => ("joining", Tone::Busy),
        UplinkPhase::Leasing => ("addressing", Tone::Busy),
        UplinkPhase::Up => ("UP", Tone::Good),
        UplinkPhase::Failed => ("FAILED", Tone::Bad),
    };
    Cell::new(word, tone)
}

pub(super) fn internet(internet: Internet) -> Cell {
    match internet {
        Internet::Unknown => Cell::new("unknown", Tone::Faint),
        Internet::Yes => Cell::new("yes", Tone::Good),
        Internet::No => Cell::new("NO", Tone::Bad),
    }
}

fn uplink_line(uplink: &Uplink, now: Timestamp) -> Vec<Cell> {
    let mut cells = vec![Cell::plain(&uplink.name), phase(&uplink.phase)];
    if let Some(ssid) = &uplink.ssid {
        cells.push(Cell::new(format!("\"{ssid}\""), Tone::Strong));
    }
    if let Some(signal) = uplink.signal_dbm {
        cells.push(Cell::plain(format!("{signal} dBm")));
    }
    if let Some(address) = &uplink.address {
        cells.push(Cell::plain(address));
    }
    if uplink.phase == UplinkPhase::Up {
        cells.push(match uplink.internet {
            Internet::Unknown => Cell::new("internet unknown", Tone::Faint),
            Internet::Yes => Cell::new("internet", Tone::Good),
            Internet::No => Cell::new("NO internet", Tone::Bad),
        });
    }
    let since = ago(uplink.since, now);
    if !since.is_empty() {
        cells.push(Cell::plain(format!("for {since}")));
    }
    if !uplink.why.is_empty() {
        cells.push(Cell::plain(&uplink.why));
    }
    cells
}

/// The word for a port, and how it looks.
pub(super) fn port(phase: PortPhase) -> Cell {
    match phase {
        PortPhase::Open => Cell::new("open", Tone::Good),
        PortPhase::Gone => Cell::new("GONE", Tone::Bad),
        PortPhase::Failed => Cell::new("FAILED", Tone::Bad),
    }
}

/// Who is on it: `alice types, 2 watch`.
pub(super) fn people(sessions: &[Session]) -> String {
    let (writers, watchers): (Vec<_>, Vec<_>) = sessions.iter().partition(|one| one.writer);
    let types = match writers[..] {
        [] => None,
        [one] => Some(format!("{} types", one.user)),
        // Everybody types there; names would fill the line.
        ref many => Some(format!("{} type", many.len())),
    };
    let watch = (!watchers.is_empty()).then(|| format!("{} watch", watchers.len()));
    match (types, watch) {
        (None, None) => "free".to_owned(),
        (types, watch) => {
            let both: Vec<String> = types.into_iter().chain(watch).collect();
            both.join(", ")
        }
    }
}

fn consoles(screen: &mut Screen, state: &State, now: Timestamp) {
    if state.consoles.is_empty() {
        screen.line("Console", &[Cell::new("none configured", Tone::Faint)]);
    }
    // What is broken must not fall off the end.
    let mut all: Vec<&Console> = state.consoles.values().collect();
    all.sort_by_key(|console| console.phase == PortPhase::Open);
    for console in all.iter().take(CONSOLES_SHOWN) {
        let mut cells = vec![Cell::plain(&console.name), port(console.phase)];
        if console.phase == PortPhase::Open {
            cells.push(Cell::plain(&console.line));
            cells.push(Cell::plain(people(&console.sessions)));
        } else {
            cells.push(Cell::plain(format!("for {}", ago(console.since, now))));
            cells.push(Cell::plain(&console.why));
        }
        screen.line("Console", &cells);
    }
    if all.len() > CONSOLES_SHOWN {
        let more = format!("and {} more: console list", all.len() - CONSOLES_SHOWN);
        screen.line("", &[Cell::new(more, Tone::Faint)]);
    }
}

fn guard(state: &State, now: Timestamp) -> Vec<Cell> {
    let guard = &state.guard;
    let mut cells = match guard.sealed {
        None => vec![Cell::new("not checked yet", Tone::Busy)],
        Some(true) => vec![Cell::new("no gateway", Tone::Good)],
        Some(false) => vec![
            Cell::new("OPEN:", Tone::Bad),
            Cell::plain(guard.open.join(", ")),
        ],
    };
    if let Some(checked) = guard.checked_at {
        cells.push(Cell::plain(format!("checked {} ago", ago(checked, now))));
    }
    if guard.breaches > 0 {
        let word = if guard.breaches == 1 {
            "breach"
        } else {
            "breaches"
        };
        cells.push(Cell::new(
            format!("{} {word} since start", guard.breaches),
            Tone::Bad,
        ));
    }
    cells
}

fn alarms(screen: &mut Screen, state: &State) {
    let open = state.alarms.values();
    let count = open.filter(|one| one.acknowledged.is_none()).count();
    if count > 0 {
        let cells = [
            Cell::new(format!("{count} not acknowledged:"), Tone::Bad),
            Cell::plain("event list --severity error, event ack"),
        ];
        screen.line("Alarms", &cells);
    }
}

fn problems(screen: &mut Screen, state: &State) {
    let mut told: Vec<Vec<Cell>> = Vec::new();
    for owner in state
        .owners
        .values()
        .filter(|owner| owner.phase == OwnerPhase::Restarting)
    {
        let fault = owner.last_fault.as_deref().unwrap_or("no reason known");
        told.push(vec![
            Cell::new(format!("{} restarts", owner.name), Tone::Bad),
            Cell::plain(format!("({} times so far): {fault}", owner.restarts)),
        ]);
    }
    if !state.config_problems.is_empty() {
        told.push(vec![Cell::new("oobd.toml was not taken:", Tone::Bad)]);
    }
    told.extend(
        state
            .config_problems
            .iter()
            .map(|problem| vec![Cell::plain(problem)]),
    );
    for cells in told.iter().take(PROBLEMS_SHOWN) {
        screen.line("Problem", cells);
    }
    if told.len() > PROBLEMS_SHOWN {
        let more = format!("and {} more: config check", told.len() - PROBLEMS_SHOWN);
        screen.line("", &[Cell::new(more, Tone::Faint)]);
    }
}
