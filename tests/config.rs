//! Every file under `tests/config`: good ones load, bad ones give exactly the text beside them.
//! `OOBD_BLESS=1 cargo test --test config` writes the texts anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use oobd::config::{self, Folders, LanAddress, Mode, UplinkKind};
use proptest::prelude::*;

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config")
}

/// As on the board, but with relative paths so that the texts are the same everywhere.
fn folders() -> Folders {
    Folders {
        beside: "tests/config".into(),
        secrets: Some("tests/config/secrets".into()),
    }
}

fn files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(here().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn good_files_load() {
    for path in files("good") {
        let text = fs::read_to_string(&path).unwrap();
        if let Err(problems) = config::load(&text, &folders()) {
            panic!(
                "{}:\n{}",
                path.display(),
                config::render(&problems, "oobd.toml")
            );
        }
    }
}

#[test]
fn bad_files_give_the_text_beside_them() {
    let mut wrong = String::new();
    for path in files("bad") {
        let text = fs::read_to_string(&path).unwrap();
        let problems = config::load(&text, &folders()).expect_err(&path.display().to_string());
        let told = config::render(&problems, "oobd.toml");
        let told = told.replace(env!("CARGO_PKG_VERSION"), "VERSION");
        let golden = path.with_extension("txt");
        if std::env::var_os("OOBD_BLESS").is_some() {
            fs::write(&golden, &told).unwrap();
        }
        if fs::read_to_string(&golden).unwrap_or_default() != told {
            wrong += &format!("{}:\n{told}\n", path.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What this thread has had of a processor: a machine that is busy with something else does not count.
fn on_cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanos = text.split(' ').next().unwrap();
    Duration::from_nanos(nanos.parse().unwrap())
}

/// Files that are made to be slow: each ends soon, and is told in a few lines.
#[test]
fn monstrous_files_are_refused_in_time() {
    let size = 1 << 20;
    let key = "k".repeat(size);
    let many: String = (0..size / 12)
        .map(|number| format!("k{number} = 1\n"))
        .collect();
    let consoles: String = (0..size / 40)
        .map(|number| format!("[console.c{number}]\nserial = {{}}\n"))
        .collect();
    for (name, text) in [
        ("keys", many),
        ("sections", consoles),
        ("one key", format!("{key} = 1")),
        ("one secret key", format!("{key}passphrase = 1")),
        ("one value", format!("schema = \"{key}\"")),
        ("one name", format!("[console.{key}]")),
        ("one device", format!("[device]\nname = \"{key}\"")),
        ("bad lines", "=\n".repeat(size / 2)),
        ("equals", "=".repeat(size)),
        ("quotes", "\"".repeat(size)),
        ("brackets", "[".repeat(size)),
        ("braces", format!("a = {}", "{a=".repeat(size / 3))),
        ("arrays", format!("a = {}", "[".repeat(size))),
        ("headers", "[a]\n".repeat(size / 4)),
        ("dots", format!("a{} = 1", ".a".repeat(size / 2))),
        (
            "a list",
            format!("[user.u]\nkeys = [{}]", "1,".repeat(size / 2)),
        ),
    ] {
        let start = on_cpu();
        let problems = config::load(&text, &folders()).expect_err(name);
        assert!(problems.len() <= 101, "{name}: {} problems", problems.len());
        let told = config::render(&problems, "oobd.toml");
        let took = on_cpu() - start;
        println!(
            "{name}: {took:?}, {} problems, {} bytes told",
            problems.len(),
            told.len()
        );
        assert!(took.as_secs() < 20, "{name} took {took:?}");
        assert!(told.len() < 200_000, "{name}: {} bytes told", told.len());
    }
}

/// What the card of every board is made with.
#[test]
fn the_file_of_the_image_is_good() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("board/common/oobd.toml");
    let text = fs::read_to_string(path).unwrap();
    // A new board holds no secrets.
    let bare = Folders {
        beside: "nowhere".into(),
        secrets: Some("nowhere".into()),
    };
    if let Err(problems) = config::load(&text, &bare) {
        panic!("{}", config::render(&problems, "board/common/oobd.toml"));
    }
}

/// The example of docs/config.md is good, and its table has every key there is.
#[test]
fn the_page_about_the_file_is_right() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.md");
    let page = fs::read_to_string(page).unwrap();
    let example = page.split("```toml\n").nth(1).unwrap();
    let example = example.split("```").next().unwrap();
    if let Err(problems) = config::load(example, &folders()) {
        panic!("{}", config::render(&problems, "docs/config.md"));
    }
    let whole = fs::read_to_string(here().join("good/whole.toml")).unwrap();
    let keys = whole
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| line.split([',', '{']))
        .filter_map(|part| part.split_once(" = "))
        .map(|(key, _)| key.trim());
    for key in keys {
        let named = page.contains(&format!("`{key}`")) || page.contains(&format!(".{key}`"));
        assert!(
            named || key == "hex",
            "docs/config.md does not tell of {key}"
        );
    }
}

#[test]
fn the_minimal_file_is_the_built_in_configuration() {
    let config = config::load("schema = 1", &folders()).unwrap();
    assert_eq!(config, config::Config::built_in());
    assert_eq!(config.oob.mode, Mode::Trigger);
    assert_eq!(config.lan.address, LanAddress::Dhcp);
    let UplinkKind::Wifi(wifi) = &config.uplinks[0].kind;
    assert_eq!(wifi.ssids, [b"remote.it"]);
    assert!(config.users.is_empty());
}

#[test]
fn the_whole_file_says_what_it_says() {
    let text = fs::read_to_string(here().join("good/whole.toml")).unwrap();
    let config = config::load(&text, &folders()).unwrap();
    let names: Vec<_> = config
        .uplinks
        .iter()
        .map(|uplink| uplink.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["hotspot", "spare", "open"],
        "the order of the file counts"
    );
    let UplinkKind::Wifi(wifi) = &config.uplinks[0].kind;
    let wanted: [&[u8]; 3] = [b"remote.it", "café".as_bytes(), &[0, 0xff, 0x20]];
    assert_eq!(wifi.ssids, wanted);
    assert_eq!(
        wifi.passphrase.as_ref().unwrap().expose(),
        "correct horse battery"
    );
    let UplinkKind::Wifi(spare) = &config.uplinks[1].kind;
    assert_eq!(
        spare.ssids,
        [b"remote.it "],
        "a trailing blank is part of an SSID"
    );
    assert_eq!(
        spare.passphrase.as_ref().unwrap().expose(),
        "another passphrase"
    );
    assert!(
        !format!("{config:?}").contains("passphrase\":")
            && !format!("{config:?}").contains("horse")
    );
    assert_eq!(config.users[0].keys.len(), 2);
    assert!(config.users[0].forward && !config.users[1].forward && !config.users[2].forward);
    assert_eq!(config.consoles[0].ring, 1 << 20);
}

/// Pieces of configuration files; joined at random they reach deep into reader and parser.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "schema = 1\n",
        "[lan]\n",
        "[uplink.a]\n",
        "[uplink.b]\n",
        "[[uplink]]\n",
        "[uplink]\n",
        "[console.x]\n",
        "[user.u]\n",
        "[oob]\n",
        "[probe]\n",
        "[ssh]\n",
        "[device]\n",
        "wifi = {",
        "serial = {",
        "}\n",
        "[",
        "]",
        "\"",
        "'''",
        "\"\"\"",
        "\n",
        "=",
        ",",
        ".",
        "#",
        "\\u",
        "interface = ",
        "\"wlan0\"",
        "ssid = [",
        "{ hex = ",
        "passphrase = ",
        "\"@secret:\"",
        "\"@file:../x\"",
        "address = \"10.0.0.1/33\"\n",
        "address = \"::1/0\"",
        "gateway = \"fe80::1\"\n",
        "scan_fast = \"9999999999999999999h\"\n",
        "port = 0x\n",
        "role = ",
        "keys = [",
        "1",
        "-1",
        "1e999",
        "nan",
        "true",
        "1979-05-27",
        "é",
        "\u{feff}",
        "\0",
        "\r",
        "\t",
        "uplink.a.wifi = 1\n",
        "\"\".\"\" = 1\n",
        "ring = \"1KiB\"",
        "consoles = [\"*\"]\n",
        "password = \"$argon2id$v=19$m=1$\"\n",
    ];
    prop_oneof![
        8 => prop::sample::select(words.to_vec()).prop_map(ToOwned::to_owned),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_input_panics(pieces in prop::collection::vec(piece(), 0..40)) {
        let text = pieces.concat();
        if let Err(problems) = config::load(&text, &folders()) {
            prop_assert!(!problems.is_empty());
            let told = config::render(&problems, "oobd.toml");
            for problem in problems {
                if let Some(place) = problem.place {
                    prop_assert!(place.line >= 1 && place.column >= 1 && place.width >= 1);
                    prop_assert!(place.line <= text.matches('\n').count() + 1, "{told}");
                }
            }
        }
    }

    #[test]
    fn a_good_file_with_one_byte_changed_never_panics(at in any::<prop::sample::Index>(), letter in any::<char>()) {
        let mut text: Vec<char> = fs::read_to_string(here().join("good/whole.toml")).unwrap().chars().collect();
        let at = at.index(text.len());
        text[at] = letter;
        let text: String = text.into_iter().collect();
        if let Err(problems) = config::load(&text, &folders()) {
            prop_assert!(!config::render(&problems, "oobd.toml").contains("horse"));
        }
    }
}
