//! The support bundle: what a helper elsewhere needs to know of this board, as a gzipped tar archive, without a secret in it.
//! Reads and asks the kernel's own tools; changes nothing.

mod tar;

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::clock::Timestamp;
use crate::config::{self, Folders, Secret};
use crate::event::Event;
use crate::fact::LinkRole;
use crate::state::State;

/// Longest one tool may take; none waits for anybody.
const TOOL: Duration = Duration::from_secs(5);
/// Bytes that are kept of one tool, and of the kernel's log.
const MOST: usize = 512 * 1024;
/// A shorter text than this is no secret worth hiding, and stands everywhere.
const SHORTEST: usize = 4;

/// Tools and what they are asked; those that a board lacks say so in their file.
const TOOLS: [(&str, &[&str]); 10] = [
    ("ip-link", &["ip", "-s", "-d", "link"]),
    ("ip-address", &["ip", "address"]),
    ("ip-rule", &["ip", "rule"]),
    ("ip-rule-6", &["ip", "-6", "rule"]),
    ("ip-route", &["ip", "route", "show", "table", "all"]),
    ("ip-route-6", &["ip", "-6", "route", "show", "table", "all"]),
    ("ip-neighbour", &["ip", "neighbour"]),
    ("sockets", &["ss", "-tulpn"]),
    ("nft", &["nft", "list", "ruleset"]),
    ("iw", &["iw", "dev"]),
];
/// What the kernel says of itself.
const KERNEL: [&str; 6] = [
    "cmdline", "loadavg", "meminfo", "mounts", "uptime", "version",
];

/// What the bundle is made of besides.
#[derive(Debug)]
pub struct Board {
    /// oobd.toml.
    pub config: PathBuf,
    /// What survives reboots.
    pub state_dir: PathBuf,
    pub state: State,
    /// The newest.
    pub events: Vec<Event>,
}

/// Makes the archive.
///
/// # Errors
/// When the work is cut off because the board stops.
pub async fn bundle(board: Board) -> Result<Vec<u8>, String> {
    let mut files = Vec::new();
    for (name, words) in TOOLS {
        files.push((format!("{name}.txt"), ask(words).await));
    }
    for link in board.state.links.values() {
        if matches!(link.role, LinkRole::Uplink(_)) {
            for what in ["status", "scan_results", "list_networks"] {
                let words = ["wpa_cli", "-i", &link.interface, what];
                let name = format!("wpa-{}-{what}.txt", link.interface);
                files.push((name, ask(&words).await));
            }
        }
    }
    let work = move || pack(board, files);
    spawn_blocking(work)
        .await
        .map_err(|error| error.to_string())
}

fn pack(board: Board, mut files: Vec<(String, String)>) -> Vec<u8> {
    let now = Timestamp::now();
    for name in KERNEL {
        let text = read(&Path::new("/proc").join(name), 0);
        files.push((format!("proc-{name}.txt"), text));
    }
    // Without waiting for the next line of it.
    files.push((
        "kernel-log.txt".into(),
        read(Path::new("/dev/kmsg"), libc::O_NONBLOCK),
    ));
    let (file, secrets) = configuration(&board.config, &board.state_dir);
    files.extend(file);
    files.push(("state.json".into(), json(&board.state)));
    let events = board.events.iter().map(|event| {
        let text = serde_json::json!({ "text": event.kind.to_string() });
        let (mut event, text) = (serde_json::json!(event), text);
        if let (Some(event), Some(text)) = (event.as_object_mut(), text.as_object()) {
            event.extend(text.clone());
        }
        format!("{event}\n")
    });
    files.push(("events.jsonl".into(), events.collect()));
    let about = format!(
        "{} of oobd {}, made at {now}\nSecrets are left out: *** stands in their place.\n",
        board.state.device, board.state.version
    );
    files.push(("about.txt".into(), about));
    let folder = format!("oobd-{}", board.state.device);
    let files: Vec<(String, Vec<u8>)> = files
        .into_iter()
        .map(|(name, text)| {
            (
                format!("{folder}/{name}"),
                scrub(text, &secrets).into_bytes(),
            )
        })
        .collect();
    tar::pack(&files, now.0 / 1000)
}

/// The file and the copy of the last good one as others may read them, or what is wrong; and the secrets of all.
fn configuration(path: &Path, state_dir: &Path) -> (Vec<(String, String)>, Vec<Secret>) {
    let folders = Folders::of(path, state_dir);
    let (mut files, mut secrets) = (Vec::new(), Vec::new());
    for (name, path) in [
        ("oobd.toml", path.to_owned()),
        ("last-good.toml", state_dir.join("config/last-good.toml")),
    ] {
        let redacted = std::fs::read_to_string(&path)
            .ok()
            .and_then(|text| config::redact(&text, &folders));
        match redacted {
            Some(redacted) => {
                files.push((name.to_owned(), redacted.text));
                secrets.extend(redacted.secrets);
            }
            None => {
                // Nobody knows what in it is a secret.
                let problems = config::check_file(&path, state_dir)
                    .err()
                    .unwrap_or_default();
                let text = config::render(&problems, name);
                files.push((format!("{name}.problems.txt"), text));
            }
        }
    }
    let kept = std::fs::read_dir(state_dir.join("secrets"));
    for entry in kept.into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        secrets.push(Secret::new(text.trim()));
    }
    (files, secrets)
}

/// Whatever a device or a person repeated of a secret, each line of it for those of several lines.
fn scrub(mut text: String, secrets: &[Secret]) -> String {
    for secret in secrets {
        let lines = secret.expose().lines().map(str::trim);
        for line in lines.filter(|line| line.len() >= SHORTEST) {
            let quoted = serde_json::json!(line).to_string();
            let quoted = quoted.trim_matches('"');
            for form in [line, quoted] {
                if text.contains(form) {
                    text = text.replace(form, "***");
                }
            }
        }
    }
    text
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn read(path: &Path, flags: i32) -> String {
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let mut file = match file {
        Ok(file) => file,
        Err(error) => return format!("{}: {error}\n", path.display()),
    };
    let (mut bytes, mut piece) = (Vec::new(), [0; 8192]);
    // A record of the kernel's log that was overwritten is an error, and the next one comes.
    let mut faults = 0;
    while bytes.len() < MOST && faults < 8 {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => bytes.extend(piece.iter().take(count)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            Err(_) => faults += 1,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What a tool says, and how it ended if that was not well.
async fn ask(words: &[&str]) -> String {
    let asked = words.join(" ");
    let Some((program, arguments)) = words.split_first() else {
        return String::new();
    };
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return format!("$ {asked}\n{error}\n"),
    };
    let mut said = Vec::new();
    let heard = timeout(TOOL, async {
        if let Some(out) = child.stdout.take() {
            let most = u64::try_from(MOST).unwrap_or(u64::MAX);
            let _ = out.take(most).read_to_end(&mut said).await;
        }
        child.wait().await
    });
    let ended = match heard.await {
        Ok(Ok(status)) if status.success() => String::new(),
        Ok(Ok(status)) => format!("({status})\n"),
        Ok(Err(error)) => format!("({error})\n"),
        Err(_) => format!("(not done within {} s)\n", TOOL.as_secs()),
    };
    format!("$ {asked}\n{}{ended}", String::from_utf8_lossy(&said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_a_secret_is_scrubbed() {
        let secrets = [
            Secret::new("hunter\"2"),
            Secret::new("-----BEGIN KEY-----\nAAAAbbbb\n-----END KEY-----\n"),
            Secret::new("abc"),
        ];
        let text = "a hunter\"2 and hunter\\\"2, AAAAbbbb, abc".to_owned();
        assert_eq!(scrub(text, &secrets), "a *** and ***, ***, abc");
    }

    #[tokio::test]
    async fn a_tool_that_is_not_there_says_so() {
        let said = ask(&["no-such-tool", "-x"]).await;
        assert!(said.starts_with("$ no-such-tool -x\n"), "{said}");
        assert!(ask(&["false"]).await.contains("exit status: 1"));
    }
}
