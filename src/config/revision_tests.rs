//! On real files: each step cut off, and what the next start makes of it.

use super::*;

const OLD: &str = "schema = 1\n[device]\nname = \"old\"\n";
const NEW: &str = "schema = 1\n[device]\nname = \"new\"\n";

struct Card {
    root: tempfile::TempDir,
    place: Place,
}

impl Card {
    fn new(direct: bool) -> Self {
        let root = tempfile::tempdir().unwrap();
        let dir = |name: &str| {
            let path = root.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let (boot, state_dir, run) = (dir("boot"), dir("data"), dir("run"));
        fs::write(boot.join("oobd.toml"), OLD).unwrap();
        let place = Place {
            file: boot.join("oobd.toml"),
            state_dir,
            notes_dir: if direct { boot } else { run },
        };
        Self { root, place }
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.place.file).unwrap()
    }

    /// The name in force after an import.
    fn in_force(&self) -> String {
        let Place {
            file,
            state_dir,
            notes_dir,
        } = &self.place;
        store::import(file, state_dir, notes_dir).config.device.name
    }

    /// What the unit does that writes to the boot partition.
    fn take(&self) {
        let asked = self.root.path().join("run/oobd.toml");
        if asked.exists() {
            fs::copy(asked, &self.place.file).unwrap();
        }
    }

    fn is_clean(&self) -> bool {
        !self.root.path().join("run/oobd.toml").exists()
            && !self.root.path().join("data/config/trial.json").exists()
    }
}

fn trial() -> OnTrial {
    OnTrial {
        by: "alice".into(),
        since: 1000,
        until: 5000,
    }
}

fn pair() -> (Revision, Revision) {
    (Revision::new(OLD.into()), Revision::new(NEW.into()))
}

#[test]
fn a_text_is_replaced_and_the_one_before_kept() {
    let card = Card::new(true);
    assert_eq!(card.in_force(), "old");
    let (old, new) = pair();
    assert_eq!(card.place.current().unwrap(), old);
    assert!(card.place.previous().is_err());
    card.place.replace(&old, &new, None).unwrap();
    assert!(card.place.holds(&new));
    assert_eq!((card.text().as_str(), card.in_force()), (NEW, "new".into()));
    assert_eq!(card.place.previous().unwrap(), old);
    let beside = card.root.path().join("boot/oobd.previous.toml");
    assert_eq!(fs::read_to_string(beside).unwrap(), OLD);
    assert_eq!(card.place.resume("b", 0), Found::Nothing);
}

#[test]
fn without_the_file_there_is_something_to_edit() {
    let card = Card::new(true);
    fs::remove_file(&card.place.file).unwrap();
    assert_eq!(card.place.current().unwrap().text, "schema = 1\n");
    fs::write(&card.place.file, b"\xff\xfe").unwrap();
    assert!(card.place.current().is_err());
}

#[test]
fn a_trial_waits_over_a_restart_and_ends_with_a_reboot_or_its_time() {
    for (boot, uptime, waits) in [("b", 4999, true), ("b", 5000, false), ("other", 100, false)] {
        let card = Card::new(true);
        let (old, new) = pair();
        card.place
            .replace(&old, &new, Some((&trial(), "b")))
            .unwrap();
        let found = card.place.resume(boot, uptime);
        if waits {
            assert_eq!(found, Found::Waits(trial()));
            assert_eq!(card.in_force(), "new");
            card.place.confirm();
            assert_eq!(card.place.resume("other", 0), Found::Nothing);
            assert_eq!(card.in_force(), "new");
        } else {
            assert_eq!(found, Found::Undone(trial()));
            assert_eq!((card.text().as_str(), card.in_force()), (OLD, "old".into()));
        }
        assert!(card.is_clean());
    }
}

#[test]
fn where_a_unit_writes_what_came_undone_is_out_of_force_before_it_does() {
    let card = Card::new(false);
    let (old, new) = pair();
    card.place
        .replace(&old, &new, Some((&trial(), "b")))
        .unwrap();
    assert!(!card.place.holds(&new));
    card.take();
    assert!(card.place.holds(&new));
    assert_eq!(card.in_force(), "new");
    card.place.undo();
    assert_eq!((card.text().as_str(), card.in_force()), (NEW, "old".into()));
    card.place.settle();
    // The power fails before the unit runs: /run is empty.
    fs::remove_file(card.root.path().join("run/oobd.toml")).unwrap();
    assert_eq!(
        card.place.resume("other", 0),
        Found::Nothing,
        "told already"
    );
    assert_eq!(card.in_force(), "old");
    card.take();
    card.place.settle();
    assert_eq!((card.text().as_str(), card.in_force()), (OLD, "old".into()));
    assert!(card.is_clean());
}

#[test]
fn a_card_that_a_person_edited_meanwhile_is_theirs() {
    let theirs = "schema = 1\n[device]\nname = \"theirs\"\n";
    for undone in [false, true] {
        let card = Card::new(false);
        let (old, new) = pair();
        card.place
            .replace(&old, &new, Some((&trial(), "b")))
            .unwrap();
        card.take();
        if undone {
            card.place.undo();
        }
        fs::write(&card.place.file, theirs).unwrap();
        assert_eq!(card.in_force(), "theirs");
        assert_eq!(card.place.resume("b", 1001), Found::Nothing);
        assert!(card.is_clean());
        assert_eq!(card.in_force(), "theirs");
    }
}

#[test]
fn what_was_never_written_leaves_nothing_behind() {
    // As after a power cut between the record and the file.
    let card = Card::new(false);
    let (old, new) = pair();
    card.place
        .replace(&old, &new, Some((&trial(), "b")))
        .unwrap();
    assert_eq!(card.place.resume("b", 1001), Found::Nothing);
    assert!(card.is_clean());
    assert_eq!(card.in_force(), "old");
    card.place
        .replace(&old, &new, Some((&trial(), "b")))
        .unwrap();
    card.place.abandon();
    assert!(card.is_clean());
}

#[test]
fn a_bad_file_is_not_what_a_trial_goes_back_to() {
    let card = Card::new(true);
    assert_eq!(card.in_force(), "old");
    fs::write(&card.place.file, "schema = 1\nnonsense = 1\n").unwrap();
    let (_, new) = pair();
    let bad = card.place.current().unwrap();
    card.place
        .replace(&bad, &new, Some((&trial(), "b")))
        .unwrap();
    assert_eq!(card.in_force(), "new");
    card.place.undo();
    assert_eq!((card.text().as_str(), card.in_force()), (OLD, "old".into()));
}

#[test]
fn what_cannot_be_written_changes_nothing() {
    let card = Card::new(true);
    let (old, new) = pair();
    let place = Place {
        file: card.root.path().join("none/oobd.toml"),
        notes_dir: card.root.path().join("none"),
        ..card.place.clone()
    };
    assert!(place.replace(&old, &new, Some((&trial(), "b"))).is_err());
    assert!(card.is_clean());
    let place = Place {
        state_dir: "/proc/none".into(),
        ..card.place.clone()
    };
    assert!(place.replace(&old, &new, None).is_err());
    assert_eq!(card.text(), OLD);
}
