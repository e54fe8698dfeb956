//! Who may import whom. Data flows one way and device rooms do not know each other, because this test says so.
//!
//! Read from the source as text: `crate::ROOM` in code (`use`, groups and paths alike), and `super::` chains that
//! climb out of their room. Comments may name anybody.

use std::collections::BTreeMap;
use std::path::Path;

/// What a device room may know. Never another device room, never a door.
const DEVICE: &[&str] = &[
    "file",
    "event",
    "fact",
    "command",
    "bus",
    "clock",
    "config",
    "fault",
    "line",
    "machine",
    "reset",
    "telnet",
    "supervisor::context",
];
/// What a door may know besides. Never a device room: the way to a device is a command.
const DOOR: &[&str] = &[
    "state",
    "journal",
    "access",
    "escape",
    "keymap",
    "label",
    "session",
    "tcp",
    "pattern",
    "transcript",
];

/// Every room, and what it may import beside itself. A new room gets a line here.
const ROOMS: &[(&str, &[&[&str]])] = &[
    // The inner language.
    ("clock", &[]),
    ("fault", &[]),
    ("pattern", &[]),
    ("file", &[]),
    ("event", &[&["clock", "reset"]]),
    ("event_text", &[&["event", "reset"]]),
    ("line", &[]),
    ("pin", &[&["file"]]),
    // Bytes of a protocol that doors speak as servers and consoles as clients.
    ("telnet", &[&["line"]]),
    ("reset", &[&["clock"]]),
    ("machine", &[&["clock"]]),
    ("fact", &[&["clock", "event", "line", "machine", "reset"]]),
    ("ipmi", &[&["clock", "fault", "tcp"]]),
    // WS-Man and redirection of Intel AMT.
    (
        "amt",
        &[&["clock", "fault", "http", "pin", "rfb", "tcp", "tls"]],
    ),
    ("keymap", &[]),
    (
        "command",
        &[&["clock", "keymap", "line", "machine", "reset", "rfb"]],
    ),
    // Bytes of a protocol that screens speak as clients and doors as servers, and the picture between them.
    ("rfb", &[]),
    ("state", &[&["clock", "fact"]]),
    ("bus", &[&["event", "fact", "state"]]),
    ("escape", &[&["clock", "keymap"]]),
    ("label", &[&["clock", "fact", "line"]]),
    // What everybody stands on.
    (
        "config",
        &[&[
            "access", "event", "file", "http", "keymap", "line", "pattern", "reset", "tls", "wol",
        ]],
    ),
    ("journal", &[&["bus", "clock", "event", "fault"]]),
    ("transcript", &[&["clock", "event", "pattern"]]),
    (
        "access",
        &[&[
            "clock",
            "command",
            "config",
            "fault",
            "file",
            "keymap",
            "supervisor::context",
        ]],
    ),
    ("tcp", &[&["access"]]),
    // What every door's sessions on a console have in common.
    (
        "session",
        &[&[
            "access", "clock", "command", "config", "escape", "keymap", "line", "reset", "rfb",
        ]],
    ),
    ("tls", &[]),
    // A packet for sleeping cards: machines send it, and nobody answers.
    ("wol", &[]),
    // A client for devices of the LAN that speak HTTP.
    ("http", &[&["clock", "fault", "pin", "tcp", "tls"]]),
    // Devices.
    ("link", &[DEVICE]),
    ("uplink", &[DEVICE]),
    // The lamp shows what the whole board knows.
    ("uplink/indicator", &[DEVICE, &["state"]]),
    // Tells where links have what addresses.
    ("mdns", &[DEVICE, &["state"]]),
    // Keeps what the whole board knows for a while.
    ("history", &[DEVICE, &["state"]]),
    ("alarm", &[DEVICE, &["journal"]]),
    // BMCs of machines.
    // Outlets are read from what the whole board knows.
    (
        "bmc",
        &[
            DEVICE,
            &["amt", "http", "ipmi", "pin", "state", "tcp", "tls", "wol"],
        ],
    ),
    ("ider", &[DEVICE, &["amt", "http", "pin", "tcp"]]),
    // Machines that call in instead of being called: their tunnels, and who may have one.
    ("cira", &[DEVICE, &["access", "amt", "tcp", "tls"]]),
    ("screen", &[DEVICE, &["amt", "http", "pin", "rfb", "tcp"]]),
    // Writes what `transcript` reads.
    (
        "console",
        &[
            DEVICE,
            &[
                "amt",
                "http",
                "ipmi",
                "pattern",
                "pin",
                "tcp",
                "telnet",
                "tls",
                "transcript",
            ],
        ],
    ),
    ("power", &[DEVICE, &["file", "http", "pin", "tcp", "tls"]]),
    // Doors.
    // Carries out over SSH what `oobctl` does, in its words and with its tables.
    ("ssh", &[DEVICE, DOOR, &["cli", "control"]]),
    // Carries out what the control door does, in JSON.
    (
        "api",
        &[DEVICE, DOOR, &["control", "redfish", "rfb", "tls"]],
    ),
    // Served behind the door of `api`, whose sign-in and sessions it has.
    (
        "redfish",
        &[DEVICE, DOOR, &["api", "control", "http", "pin"]],
    ),
    ("plain", &[DEVICE, DOOR, &["control"]]),
    // Shows the certificate of the HTTPS door.
    ("vnc", &[DEVICE, DOOR, &["rfb", "tls"]]),
    ("control", &[DEVICE, DOOR, &["rfb", "support"]]),
    // What a helper elsewhere needs to know, for doors to give away.
    ("support", &[&["clock", "config", "event", "fact", "state"]]),
    // The client's side of the control socket, and of HTTPS for boards elsewhere.
    ("cli", &[DEVICE, DOOR, &["control", "pin", "tls"]]),
    // Puts the rooms together; the context it hands out knows none of them.
    (
        "supervisor",
        &[
            DEVICE,
            DOOR,
            &[
                "alarm", "api", "bmc", "cira", "console", "control", "history", "ider", "link",
                "mdns", "plain", "power", "screen", "ssh", "tls", "uplink", "vnc",
            ],
        ],
    ),
    (
        "supervisor/context",
        &[&["bus", "command", "event", "fact"]],
    ),
];

/// The text without comments. A `//` inside a string ends the line too, which hides nothing that imports.
fn code(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("/*") {
        out.push_str(&rest[..start]);
        rest = rest[start..]
            .find("*/")
            .map_or("", |end| &rest[start + end + 2..]);
    }
    out.push_str(rest);
    let lines = out
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The first two words of every path in a use tree such as `bus::Bus` or `{bus, link::{plan, Plan}}`.
fn heads(tree: &str) -> Vec<String> {
    let Some(group) = tree.strip_prefix('{') else {
        let word = |text: &str| -> String {
            text.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        };
        let first = word(tree);
        let rest = tree[first.len()..]
            .strip_prefix("::")
            .map(word)
            .unwrap_or_default();
        return vec![format!("{first}::{rest}")];
    };
    let (mut depth, mut from, mut found) = (0_usize, 0, Vec::new());
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                let part = group[from..at].trim();
                if !part.is_empty() {
                    found.extend(heads(part));
                }
                from = at + 1;
                if letter == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found
}

/// How deep under the crate root the module of this file stands.
fn depth(file: &str) -> usize {
    let module = file.trim_end_matches(".rs").trim_end_matches("/mod");
    module.split('/').count()
}

/// Where the first module inside the file begins.
fn inline_module(code: &str) -> Option<usize> {
    let mut modules = code.match_indices("mod ");
    let open = |at: usize| {
        code[at..]
            .find(['{', ';'])
            .is_some_and(|end| code[at + end..].starts_with('{'))
    };
    modules.find_map(|(at, _)| open(at).then_some(at))
}

/// Paths that begin at the crate root, as `ROOM::NEXT`.
fn imports(file: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let out = "super::".repeat(depth(file));
    let mut found = Vec::new();
    for root in ["crate::", out.as_str()] {
        // `super` in a module inside the file goes no further than the file.
        let inner = inline_module(&code).filter(|_| root == out);
        let code = &code[..inner.unwrap_or(code.len())];
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
                continue;
            }
            let tree = &code[at + root.len()..];
            if !tree.starts_with("super::") {
                found.extend(heads(tree));
            }
        }
    }
    found
}

fn violations(files: &BTreeMap<String, String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (file, text) in files {
        if file == "lib.rs" || file.starts_with("bin/") {
            continue;
        }
        let module = file.trim_end_matches(".rs");
        let room = module.split('/').next().unwrap_or_default();
        let rule = |name: &str| ROOMS.iter().find(|(room, _)| *room == name);
        let Some((_, allowed)) = rule(module).or_else(|| rule(room)) else {
            wrong.push(format!("src/{file}: there is no rule for the room {room}"));
            continue;
        };
        for import in imports(file, text) {
            let (head, _) = import.split_once("::").unwrap_or((&import, ""));
            let known = allowed.iter().copied().flatten();
            let known = known.copied().any(|may| may == head || may == import);
            if head != room && !known {
                wrong.push(format!("src/{file}: {room} may not know {import}"));
            }
        }
    }
    wrong
}

fn read(dir: &Path, prefix: &str, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            read(&path, &format!("{name}/"), files);
        } else if name.ends_with(".rs") {
            files.insert(name, std::fs::read_to_string(path).unwrap());
        }
    }
}

fn house() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    read(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        "",
        &mut files,
    );
    files
}

#[test]
fn rooms_import_only_what_the_design_allows() {
    let files = house();
    assert!(files.len() > 50, "{}", files.len());
    let wrong = violations(&files);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_is_of_a_room_that_exists() {
    let files = house();
    for (room, _) in ROOMS {
        let there = files.contains_key(&format!("{room}.rs"))
            || files.contains_key(&format!("{room}/mod.rs"));
        assert!(there, "there is no room {room}");
    }
}

#[test]
fn openssl_is_for_old_firmware_alone() {
    for (file, text) in house() {
        let knows = code(&text).contains("openssl::") || code(&text).contains("tokio_openssl");
        assert_eq!(knows, file == "tls/legacy.rs", "src/{file}");
    }
}

#[test]
fn planted_violations_are_found() {
    for (file, text, room) in [
        (
            "ssh/plant.rs",
            "use crate::console::transcript;",
            "console::transcript",
        ),
        (
            "ssh/plant.rs",
            "use crate::{\n    bus::Bus,\n    link::{plan, Plan},\n};",
            "link::",
        ),
        (
            "ssh/plant.rs",
            "fn f() { crate::uplink::run() }",
            "uplink::run",
        ),
        ("control/mod.rs", "pub(in crate::link) struct A;", "link::"),
        (
            "link/dhcp/plant.rs",
            "use crate::uplink::state::State;",
            "uplink::state",
        ),
        (
            "link/dhcp/plant.rs",
            "use super::super::super::uplink::x;",
            "uplink::x",
        ),
        ("console/mod.rs", "use super::link::run;", "link::run"),
        (
            "console/plant.rs",
            "use crate::journal::Reader;",
            "journal::Reader",
        ),
        (
            "console/plant.rs",
            "use crate::supervisor::owner::Kept;",
            "supervisor::owner",
        ),
        ("event.rs", "use crate::config::Config;", "config::Config"),
        ("command.rs", "use crate::event::Kind;", "event::Kind"),
        ("supervisor/context.rs", "use crate::link;", "link::"),
    ] {
        let mut files = house();
        files.insert(file.into(), text.into());
        let wrong = violations(&files);
        let hit = wrong
            .iter()
            .any(|line| line.contains(file) && line.ends_with(&format!("may not know {room}")));
        assert!(hit, "{file}: {text}: {wrong:?}");
    }
    let files = BTreeMap::from([("plant/mod.rs".to_owned(), String::new())]);
    assert_eq!(
        violations(&files),
        ["src/plant/mod.rs: there is no rule for the room plant"]
    );
}

#[test]
fn comments_and_neighbours_in_the_room_are_free() {
    for (file, text) in [
        (
            "ssh/plant.rs",
            "//! see [`crate::console`]\n/* crate::link */ use crate::ssh::x; use super::y; // crate::uplink",
        ),
        (
            "console/transcript/plant.rs",
            "use super::super::ring::length; use crate::console::stream::Stream;",
        ),
        ("uplink/indicator.rs", "use crate::state::State;"),
        (
            "console/plant.rs",
            "use crate::supervisor::context::{Context, Dirs}; mycrate::link();",
        ),
    ] {
        let files = BTreeMap::from([(file.to_owned(), text.to_owned())]);
        assert_eq!(violations(&files), Vec::<String>::new(), "{text}");
    }
}
