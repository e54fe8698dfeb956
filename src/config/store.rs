//! Which configuration is in force: the file of the boot partition when it is good, else the last good one.
//! A power cut at any byte leaves the old or the new copy. Never changes the person's file.

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use crate::file::write_atomically;

use super::revision::Place;
use super::secret::{Folders, Resolver, Secret};
use super::{Config, Problem, load, read, render};

/// Far more than any board has consoles for.
const LONGEST_FILE: u64 = 1 << 20;
/// Name of the file that tells the reasons of a refused oobd.toml.
const ERRORS_FILE: &str = "oobd-errors.txt";

/// Where the configuration in force comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// oobd.toml as it stands.
    File,
    /// The copy of the last oobd.toml that was good.
    LastGood,
    /// Nothing usable was ever seen.
    BuiltIn,
}

/// What an import gave.
#[derive(Clone, Debug)]
pub struct Imported {
    pub config: Config,
    /// Why the file was refused; empty when it is in force.
    pub problems: Vec<Problem>,
    pub source: Source,
}

/// Reads oobd.toml. Good: copied to `state_dir/config/last-good.toml`, secrets resolved, and a stale
/// `oobd-errors.txt` is removed. Bad or missing: the last good one stays in force, and `notes_dir/oobd-errors.txt`
/// says why. Blocking. Failures to write are logged and change nothing of the answer.
#[must_use]
pub fn import(path: &Path, state_dir: &Path, notes_dir: &Path) -> Imported {
    let folders = Folders::of(path, state_dir);
    let resolver = Resolver::new(&folders);
    let file_name = path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    );
    let last_good = state_dir.join("config").join("last-good.toml");
    let errors_path = notes_dir.join(ERRORS_FILE);
    let place = Place {
        file: path.to_owned(),
        state_dir: state_dir.to_owned(),
        notes_dir: notes_dir.to_owned(),
    };
    let text = place.instead().map_or_else(|| read_text(path), Ok);
    let outcome = text.and_then(|text| read(&text, &resolver).map(|config| (text, config)));
    let problems = match outcome {
        Ok((text, config)) => {
            let whole = inline(&text, &resolver.finish());
            note(&last_good, replace(&last_good, whole.as_bytes()));
            match fs::remove_file(&errors_path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    note(&errors_path, Err(error));
                }
                _ => {}
            }
            return Imported {
                config,
                problems: Vec::new(),
                source: Source::File,
            };
        }
        Err(problems) => problems,
    };
    let (config, source) = match load_copy(&last_good, &folders) {
        Some(config) => (config, Source::LastGood),
        None => (Config::built_in(), Source::BuiltIn),
    };
    let running = match source {
        Source::LastGood => "The board runs the last file that was good.",
        _ => "The board runs its built-in settings: DHCP on eth0, hotspot remote.it on wlan0.",
    };
    let told = format!(
        "oobd did not take {file_name}. {running}\nCorrect it and put the card back, or run `oobctl config reload`.\n\n{}",
        render(&problems, &file_name)
    );
    note(&errors_path, replace(&errors_path, told.as_bytes()));
    Imported {
        config,
        problems,
        source,
    }
}

/// The text of a configuration file, as UTF-8 without a byte order mark.
///
/// # Errors
/// One problem that says why it cannot be read.
pub fn read_text(path: &Path) -> Result<String, Vec<Problem>> {
    let failed = |message: String, hint| vec![Problem::of_file(message, hint)];
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => failed(
            format!("there is no file {}", path.display()),
            Some("a file that says `schema = 1` is enough to begin with"),
        ),
        _ => failed(format!("cannot open {}: {error}", path.display()), None),
    })?;
    let mut bytes = Vec::new();
    file.take(LONGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(format!("cannot read {}: {error}", path.display()), None))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LONGEST_FILE {
        return Err(failed(format!("longer than {LONGEST_FILE} bytes"), None));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(failed(
            "saved as UTF-16".to_owned(),
            Some("save it as UTF-8 (in Notepad: Save as, Encoding: UTF-8)"),
        ));
    }
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let good = &bytes[..error.valid_up_to()];
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            Err(failed(
                format!("line {line} is not UTF-8 text"),
                Some("save the file as UTF-8"),
            ))
        }
    }
}

/// The last good copy, if it is still one: an older oobd may have written it.
fn load_copy(path: &Path, folders: &Folders) -> Option<Config> {
    let text = match read_text(path) {
        Ok(text) => text,
        Err(_) if !path.exists() => return None,
        Err(problems) => {
            tracing::error!(path = %path.display(), problem = %problems[0], "cannot read the last good configuration");
            return None;
        }
    };
    match load(&text, folders) {
        Ok(config) => Some(config),
        Err(problems) => {
            for problem in problems {
                tracing::error!(path = %path.display(), %problem, "the last good configuration is not good any more");
            }
            None
        }
    }
}

/// Puts secrets in the place of their references, so that the copy stays whole when the card changes.
fn inline(text: &str, resolved: &[(Range<usize>, Secret)]) -> String {
    let mut sorted: Vec<_> = resolved.iter().collect();
    sorted.sort_by_key(|(span, _)| span.start);
    let mut whole = String::with_capacity(text.len());
    let mut from = 0;
    for (span, secret) in sorted {
        let Some(before) = text.get(from..span.start) else {
            continue;
        };
        whole.push_str(before);
        // A JSON string is a TOML one, but for DEL, which no secret passes its check with.
        whole.push_str(&serde_json::Value::from(secret.expose()).to_string());
        from = span.end;
    }
    whole + text.get(from..).unwrap_or_default()
}

/// Replaces a file so that a power cut leaves the old or the new one; spares the flash when nothing changes.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // Secrets stand in it.
    write_atomically(path, content, 0o600)
}

fn note(path: &Path, outcome: io::Result<()>) {
    match outcome {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            tracing::warn!(path = %path.display(), "not written: the medium is read-only");
        }
        Err(error) => {
            tracing::error!(path = %path.display(), error = &error as &dyn std::error::Error, "cannot write");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Card {
        root: tempfile::TempDir,
    }

    impl Card {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir(root.path().join("boot")).unwrap();
            fs::create_dir_all(root.path().join("data/secrets")).unwrap();
            Self { root }
        }

        fn path(&self, name: &str) -> std::path::PathBuf {
            self.root.path().join(name)
        }

        fn import(&self, text: Option<&[u8]>) -> Imported {
            if let Some(text) = text {
                fs::write(self.path("boot/oobd.toml"), text).unwrap();
            }
            import(
                &self.path("boot/oobd.toml"),
                &self.path("data"),
                &self.path("boot"),
            )
        }

        fn errors(&self) -> Option<String> {
            fs::read_to_string(self.path("boot/oobd-errors.txt")).ok()
        }
    }

    const GOOD: &[u8] = b"schema = 1\n[device]\nname = \"rack7\"\n";

    #[test]
    fn a_bad_file_never_replaces_a_good_one_and_says_why_beside_itself() {
        let card = Card::new();
        let good = card.import(Some(GOOD));
        assert_eq!(
            (good.source, good.config.device.name.as_str()),
            (Source::File, "rack7")
        );
        assert_eq!(card.errors(), None);

        let bad = card.import(Some(b"schema = 1\nnonsense = 1\n"));
        assert_eq!((bad.source, bad.config), (Source::LastGood, good.config));
        assert_eq!(bad.problems.len(), 1);
        let told = card.errors().unwrap();
        assert!(
            told.contains("nonsense: unknown key") && told.contains("oobd.toml:2:1"),
            "{told}"
        );
        assert_eq!(
            fs::read(card.path("boot/oobd.toml")).unwrap(),
            b"schema = 1\nnonsense = 1\n"
        );

        let again = card.import(Some(b"schema = 1\n"));
        assert_eq!(again.source, Source::File);
        assert_eq!(card.errors(), None, "a stale reason is removed");
    }

    #[test]
    fn without_any_good_file_the_board_runs_the_built_in_one() {
        let card = Card::new();
        let imported = card.import(None);
        assert_eq!(
            (imported.source, imported.config),
            (Source::BuiltIn, Config::built_in())
        );
        assert!(
            imported.problems[0]
                .to_string()
                .contains("there is no file")
        );
        assert!(card.errors().unwrap().contains("built-in settings"));
    }

    #[test]
    fn the_last_good_one_holds_its_secrets_though_the_card_lost_them() {
        let card = Card::new();
        fs::write(card.path("data/secrets/hotspot"), "quote \" and \\ slash\n").unwrap();
        fs::write(card.path("boot/wifi.txt"), "from the card\r\n").unwrap();
        let good = card.import(Some(
            b"schema = 1\n[uplink.a.wifi]\npassphrase = '@secret:hotspot'\n[uplink.b]\nwifi = { interface = \"wlan1\", passphrase = \"@file:wifi.txt\" } # kept\n",
        ));
        assert_eq!(good.source, Source::File, "{:?}", good.problems);
        fs::remove_file(card.path("data/secrets/hotspot")).unwrap();
        fs::remove_file(card.path("boot/wifi.txt")).unwrap();
        let bad = card.import(None);
        assert_eq!((bad.source, bad.config), (Source::LastGood, good.config));
        assert_eq!(bad.problems.len(), 2);
    }

    #[test]
    fn a_card_that_cannot_be_written_changes_nothing_of_the_answer() {
        let nowhere = import(
            Path::new("/proc/none/oobd.toml"),
            Path::new("/proc/none"),
            Path::new("/proc/none"),
        );
        assert_eq!(
            (nowhere.source, nowhere.problems.len()),
            (Source::BuiltIn, 1)
        );
    }

    #[test]
    fn a_torn_copy_counts_as_none() {
        let card = Card::new();
        fs::create_dir(card.path("data/config")).unwrap();
        fs::write(card.path("data/config/last-good.toml"), b"schema = 1\n[dev").unwrap();
        assert_eq!(card.import(Some(b"\xff\xfes\0")).source, Source::BuiltIn);
    }

    #[test]
    fn files_of_windows_are_read_or_explained() {
        let card = Card::new();
        let text = [
            b"\xef\xbb\xbf".as_slice(),
            b"schema = 1\r\n[device]\r\nname = \"rack7\"\r\n",
        ]
        .concat();
        assert_eq!(card.import(Some(&text)).source, Source::File);
        let utf16: Vec<u8> = "\u{feff}schema = 1"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert!(
            card.import(Some(&utf16)).problems[0]
                .message
                .contains("UTF-16")
        );
        assert!(
            card.import(Some(b"schema = 1\nx = \"\xe9\"")).problems[0]
                .message
                .contains("line 2")
        );
        assert!(
            card.import(Some(&vec![b'#'; 2 << 20])).problems[0]
                .message
                .contains("longer")
        );
    }
}
