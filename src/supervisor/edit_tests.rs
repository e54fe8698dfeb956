//! What becomes of a text before it is written.

use super::*;

const FILE: &str = "\
schema = 1
[user.alice] # the boss
role = \"administrator\"
keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti\"]
[user.bob]
role = \"operator\"
keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti\"]
";

struct Card {
    _root: tempfile::TempDir,
    place: Place,
}

fn card(text: &str) -> Card {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("oobd.toml"), text).unwrap();
    let place = Place {
        file: root.path().join("oobd.toml"),
        state_dir: root.path().join("data"),
        notes_dir: root.path().into(),
    };
    Card { _root: root, place }
}

fn draft_of(text: &str, wish: Wish) -> Result<Drafted, String> {
    let card = card(text);
    draft(&card.place, wish, &Config::built_in(), false).map_err(|refusal| refusal.to_string())
}

fn user(name: &str) -> UserWords {
    UserWords {
        name: name.into(),
        ..UserWords::default()
    }
}

fn role(name: &str, role: &str) -> UserWords {
    UserWords {
        role: Some(role.into()),
        ..user(name)
    }
}

#[test]
fn a_user_comes_changes_and_goes() {
    let carol = UserWords {
        password: Some(Hidden("correct horse".into())),
        consoles: Some(vec!["core-*".into(), "lab-*:read".into()]),
        machines: Some(vec![]),
        forward: Some(false),
        ..role("carol", "operator")
    };
    let drafted = draft_of(FILE, Wish::AddUser(carol)).unwrap();
    assert!(!drafted.risky, "nobody loses anything by it");
    let text = drafted.new.text;
    assert!(
        text.starts_with(FILE) && text.contains("$argon2id$"),
        "{text}"
    );
    assert!(!text.contains("correct horse"));
    let lines = "consoles = [\"core-*\", \"lab-*:read\"]\nmachines = []\nforward = false\n";
    assert!(text.ends_with(lines), "{text}");

    let drafted = draft_of(&text, Wish::ChangeUser(role("carol", "readonly"))).unwrap();
    assert!(drafted.risky);
    assert_eq!(drafted.what, "user carol changed");
    let drafted = draft_of(&drafted.new.text, Wish::RemoveUser("carol".into())).unwrap();
    assert_eq!(drafted.new.text.trim_end(), FILE.trim_end());
}

#[test]
fn the_last_administrator_stays() {
    let says = "no administrator would be left; name another one first";
    for wish in [
        Wish::RemoveUser("alice".into()),
        Wish::ChangeUser(role("alice", "operator")),
        Wish::Whole {
            text: "schema = 1\n".into(),
            base: Revision::new(FILE.into()).hash,
        },
    ] {
        assert_eq!(draft_of(FILE, wish).err().unwrap(), says);
    }
    let first = UserWords {
        password: Some(Hidden("correct horse".into())),
        ..role("carol", "operator")
    };
    let error = draft_of("schema = 1\n", Wish::AddUser(first.clone()));
    assert_eq!(error.err().unwrap(), says);
    let boss = UserWords {
        role: Some("administrator".into()),
        ..first
    };
    assert!(draft_of("schema = 1\n", Wish::AddUser(boss)).unwrap().risky);
    let base = Revision::new("schema = 1\n".into()).hash;
    let text = "schema = 1\n[device]\nname = \"x\"\n".to_owned();
    let drafted = draft_of("schema = 1\n", Wish::Whole { text, base }).unwrap();
    assert!(!drafted.risky, "the administrator of first boot stays");
}

#[test]
fn what_is_wrong_is_told_and_never_written() {
    for (wish, says) in [
        (
            Wish::AddUser(role("bob", "operator")),
            "oobd.toml has [user.bob] already",
        ),
        (Wish::AddUser(role("eve", "boss")), "unknown value \"boss\""),
        (Wish::AddUser(user("no good")), "user.\"no good\""),
        (
            Wish::ChangeUser(UserWords {
                keys: Some(vec!["ssh-dss AAAA".into()]),
                ..user("bob")
            }),
            "user.bob.keys[0]",
        ),
        (
            Wish::ChangeUser(UserWords {
                keys: Some(vec![]),
                ..user("bob")
            }),
            "could never sign in",
        ),
        (
            Wish::ChangeUser(UserWords {
                password: Some(Hidden("short".into())),
                ..user("bob")
            }),
            "at least 10 characters",
        ),
        (
            Wish::RemoveUser("eve".into()),
            "oobd.toml has no [user.eve]",
        ),
        (
            Wish::AddMachine("m".into(), "amt = 1".into()),
            "machine.m.amt",
        ),
        (
            Wish::AddMachine("m".into(), "[user.bob]\nrole = 1".into()),
            "`bob` stands here for the second time",
        ),
        (
            Wish::Whole {
                text: "schema = 1\n".into(),
                base: "0".into(),
            },
            "it was changed since it was read",
        ),
        (Wish::Rollback, "there is no configuration before this one"),
    ] {
        let error = draft_of(FILE, wish).err().unwrap();
        assert!(error.contains(says), "{says}: {error}");
    }
}

#[test]
fn a_machine_brings_nothing_else_with_it() {
    let lines = "wol = { mac = \"00:1b:21:3c:4d:5e\" }\n";
    let drafted = draft_of(FILE, Wish::AddMachine("m1".into(), lines.into())).unwrap();
    assert!(!drafted.risky);
    assert!(
        drafted
            .new
            .text
            .ends_with(&format!("[machine.m1]\n{lines}"))
    );
    let lines = format!("{lines}[device]\nname = \"other\"\n");
    let error = draft_of(FILE, Wish::AddMachine("m1".into(), lines));
    assert!(error.err().unwrap().contains("more than was asked for"));
}

#[test]
fn what_people_come_in_by_is_risky() {
    let base = Revision::new(FILE.into()).hash;
    for (more, risky) in [
        ("[device]\nname = \"x\"\n", false),
        ("[lan]\ninterface = \"eth1\"\n", true),
        ("[oob]\nmode = \"off\"\n", true),
        ("[uplink.a.wifi]\nopen = true\n", true),
        ("[https]\nidle = \"10m\"\n", true),
        ("[ssh]\nport = 2222\n", true),
        ("[machine.m.wol]\nmac = \"00:1b:21:3c:4d:5e\"\n", false),
    ] {
        let (text, base) = (format!("{FILE}{more}"), base.clone());
        let drafted = draft_of(FILE, Wish::Whole { text, base }).unwrap();
        assert_eq!(drafted.risky, risky, "{more}");
    }
}
