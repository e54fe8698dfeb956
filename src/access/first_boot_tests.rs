//! First boot on a real directory: what is made, kept, shown, changed and forgotten.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::*;
use crate::config::{
    Device, DoorName, Https, Lan, LanAddress, Mode, Oob, Probe, Sae, Ssh, Transcripts, Uplink,
};

fn house() -> (tempfile::TempDir, Dirs, Config) {
    let root = tempfile::tempdir().unwrap();
    let [state, run, boot] = ["state", "run", "boot"].map(|name| {
        let path = root.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    });
    let dirs = Dirs {
        state,
        run,
        config: boot.join("oobd.toml"),
        notes: boot,
    };
    let config = Config {
        mdns: crate::config::Mdns::default(),
        device: Device {
            name: "rack7".into(),
        },
        lan: Lan {
            interface: "eth0".into(),
            address: LanAddress::Dhcp,
        },
        oob: Oob {
            mode: Mode::Trigger,
            led: None,
            scan_fast: Duration::from_secs(1),
            fast_for: Duration::from_secs(1),
            scan_slow: Duration::from_secs(1),
        },
        uplinks: vec![Uplink {
            name: "hotspot".into(),
            slot: 0,
            accept: vec![DoorName::Ssh],
            kind: UplinkKind::Wifi(Wifi {
                interface: "wlan0".into(),
                ssids: vec![b"remote.it".to_vec()],
                passphrase: None,
                country: None,
                open: false,
                hidden: false,
                sae: Sae::Auto,
            }),
        }],
        probe: Probe {
            targets: vec![],
            every: Duration::from_secs(5),
            fail_after: 3,
            clear_after: 3,
        },
        ssh: Ssh { port: 22 },
        https: Https::default(),
        consoles: vec![],
        transcripts: Transcripts::default(),
        syslog: None,
        pdus: vec![],
        upses: vec![],
        machines: vec![],
        cira: None,
        users: vec![],
    };
    (root, dirs, config)
}

fn passphrase(config: &Config) -> Option<String> {
    let UplinkKind::Wifi(wifi) = &config.uplinks[0].kind;
    wifi.passphrase
        .as_ref()
        .map(|secret| secret.expose().to_owned())
}

/// The value behind a label of first-boot.txt.
fn shown(dirs: &Dirs, label: &str) -> Option<String> {
    let text = std::fs::read_to_string(dirs.config.with_file_name("first-boot.txt")).ok()?;
    let line = text.lines().find(|line| line.starts_with(label))?;
    Some(line[label.len()..].trim().to_owned())
}

#[test]
fn made_once_and_kept_over_reboots() {
    let (_root, dirs, config) = house();
    let mut first = config.clone();
    let outcome = ensure(&mut first, &dirs).unwrap();
    assert!(outcome.administrator && outcome.passphrase && outcome.fresh);
    let password = shown(&dirs, "Password:").unwrap();
    assert_eq!(password.len(), 23);
    let hash = first.users[0].password.clone().unwrap();
    assert!(credential::verify(Some(hash.expose()), &password));
    assert_eq!(shown(&dirs, "Hotspot passphrase:"), passphrase(&first));

    let issue = std::fs::read_to_string(dirs.run.join("issue")).unwrap();
    assert!(issue.contains(&password));
    for path in [store_path(&dirs), dirs.run.join("issue")] {
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    // The next boot: run is empty again, the card may have been cleaned by hand.
    std::fs::remove_file(dirs.run.join("issue")).unwrap();
    std::fs::remove_file(dirs.config.with_file_name("first-boot.txt")).unwrap();
    let mut second = config.clone();
    assert!(!ensure(&mut second, &dirs).unwrap().fresh);
    assert_eq!(second, first);
    assert_eq!(shown(&dirs, "Password:").unwrap(), password);
    assert!(dirs.run.join("issue").exists());
}

#[test]
fn two_boards_differ() {
    let passwords: std::collections::BTreeSet<String> =
        (0..64).map(|_| random(PASSWORD).unwrap()).collect();
    assert_eq!(passwords.len(), 64);
}

#[test]
fn the_change_is_asked_for_until_it_is_made() {
    let (_root, dirs, config) = house();
    assert!(!must_change(&dirs));
    let mut first = config.clone();
    ensure(&mut first, &dirs).unwrap();
    assert!(must_change(&dirs));
    let old = shown(&dirs, "Password:").unwrap();
    assert!(matches!(
        change_password(&dirs, "rack7", "short"),
        Err(Error::TooShort)
    ));
    assert!(matches!(
        change_password(&dirs, "rack7", &old),
        Err(Error::Same)
    ));
    let hash = change_password(&dirs, "rack7", "my own password").unwrap();
    assert!(!must_change(&dirs));
    assert!(
        !std::fs::read_to_string(store_path(&dirs))
            .unwrap()
            .contains(&old)
    );
    assert_eq!(shown(&dirs, "Password:").unwrap(), "the one you chose");

    let mut second = config.clone();
    ensure(&mut second, &dirs).unwrap();
    assert_eq!(second.users[0].password.as_ref().unwrap().expose(), hash);
    assert!(credential::verify(Some(&hash), "my own password"));
    assert_eq!(passphrase(&second), passphrase(&first));
}

#[test]
fn a_configuration_that_names_all_leaves_nothing_behind() {
    let (_root, dirs, config) = house();
    let mut first = config.clone();
    ensure(&mut first, &dirs).unwrap();

    let mut named = config.clone();
    named.users = first.users.clone();
    named.users[0].name = "alice".into();
    ensure(&mut named, &dirs).unwrap();
    assert_eq!(named.users.len(), 1);
    assert_eq!(shown(&dirs, "Password:"), None);
    assert_eq!(passphrase(&named), passphrase(&first));
    assert!(matches!(
        change_password(&dirs, "rack7", "my own password"),
        Err(Error::Over)
    ));

    let UplinkKind::Wifi(wifi) = &mut named.uplinks[0].kind;
    wifi.passphrase = Some(Secret::new("of my own"));
    let outcome = ensure(&mut named, &dirs).unwrap();
    assert_eq!(outcome, Outcome::default());
    assert_eq!(passphrase(&named).unwrap(), "of my own");
    for path in [
        store_path(&dirs),
        dirs.run.join("issue"),
        dirs.config.with_file_name("first-boot.txt"),
    ] {
        assert!(!path.exists(), "{}", path.display());
    }
}

#[test]
fn an_open_hotspot_gets_no_passphrase() {
    let (_root, dirs, mut config) = house();
    let UplinkKind::Wifi(wifi) = &mut config.uplinks[0].kind;
    wifi.open = true;
    assert!(!ensure(&mut config, &dirs).unwrap().passphrase);
    assert_eq!(passphrase(&config), None);
}

#[test]
fn damage_and_missing_directories_do_not_lock_us_out() {
    let (root, mut dirs, config) = house();
    std::fs::write(store_path(&dirs), "{\"password\": \"torn").unwrap();
    let mut first = config.clone();
    assert!(ensure(&mut first, &dirs).unwrap().fresh);
    assert_eq!(first.users.len(), 1);
    assert!(dirs.state.join("first-boot.json.damaged").exists());

    dirs.state = root.path().join("missing");
    dirs.config = root.path().join("read-only/oobd.toml");
    let mut second = config.clone();
    assert!(ensure(&mut second, &dirs).unwrap().fresh);
    assert_eq!(second.users.len(), 1);
}
