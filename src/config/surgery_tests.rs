//! Texts before and after.

use super::*;

const FILE: &str = "\
schema = 1 # first

# the boss
[user.alice] # here
role = \"administrator\" # all of it
keys = [
  # her laptop
  \"k1\",
]

# somebody else
[user.\"b.ob\"]
role = 'operator'
password = \"x\"

[user.alice.escape]
key = \"^A\"

# behind it
[machine.db1]
wol = { mac = \"00:1b:21:3c:4d:5e\" }

[user]
carl = { role = \"readonly\", password = \"y\" } # inline
dora.role = \"operator\"
";

#[test]
fn adds_at_the_end() {
    let text = add(
        "schema = 1",
        "user",
        "bob",
        "role = \"operator\"\nkeys = []",
    )
    .unwrap();
    assert_eq!(
        text,
        "schema = 1\n\n[user.bob]\nrole = \"operator\"\nkeys = []\n"
    );
    let text = add("a = 1\r\n", "machine", "d.b", "x = 1").unwrap();
    assert_eq!(text, "a = 1\r\n\r\n[machine.\"d.b\"]\r\nx = 1\r\n");
    assert_eq!(
        add(FILE, "user", "b.ob", ""),
        Err(Error::Known("user.b.ob".into()))
    );
    assert_eq!(add("[x", "user", "bob", ""), Err(Error::Broken));
}

#[test]
fn changes_values_and_keeps_the_rest() {
    let words = [
        ("role", Some(quoted("operator"))),
        ("keys", Some(list(&["k2".into(), "k\"3".into()]))),
        ("password", Some(quoted("z"))),
        ("outlets", None),
    ];
    let text = change(FILE, "user", "alice", &words).unwrap();
    let want = FILE
        .replace("\"administrator\" # all", "\"operator\" # all")
        .replace(
            "[\n  # her laptop\n  \"k1\",\n]\n",
            "[\"k2\", \"k\\\"3\"]\npassword = \"z\"\n",
        );
    assert_eq!(text, want);
}

#[test]
fn takes_keys_away() {
    let text = change(FILE, "user", "alice", &[("keys", None)]).unwrap();
    assert_eq!(
        text,
        FILE.replace("keys = [\n  # her laptop\n  \"k1\",\n]\n", "")
    );
    let words = [("keys", None), ("forward", Some("false".into()))];
    let text = change(FILE, "user", "alice", &words).unwrap();
    assert!(text.contains("# all of it\nforward = false\n"), "{text}");
    assert!(!text.contains("k1"));
}

#[test]
fn changes_what_stands_in_one_line() {
    for (words, want) in [
        (
            vec![("role", Some(quoted("operator")))],
            "{ role = \"operator\", password = \"y\" }",
        ),
        (vec![("role", None)], "{ password = \"y\" }"),
        (vec![("password", None)], "{ role = \"readonly\" }"),
        (
            vec![("forward", Some("true".into()))],
            "{ role = \"readonly\", password = \"y\", forward = true }",
        ),
    ] {
        let text = change(FILE, "user", "carl", &words).unwrap();
        let old = "{ role = \"readonly\", password = \"y\" }";
        assert_eq!(text, FILE.replace(old, want));
    }
}

#[test]
fn removes_all_of_a_section() {
    let text = remove(FILE, "user", "alice").unwrap();
    let parts = [
        "schema = 1 # first\n\n# the boss\n",
        "# somebody else\n[user.\"b.ob\"]\nrole = 'operator'\npassword = \"x\"\n\n",
        &FILE[FILE.find("# behind it").unwrap()..],
    ];
    assert_eq!(text, parts.concat());
    let text = remove(FILE, "user", "carl").unwrap();
    let line = "carl = { role = \"readonly\", password = \"y\" } # inline\n";
    assert_eq!(text, FILE.replace(line, ""));
    let last = "schema = 1\n[user.bob]\nrole = \"operator\"";
    assert_eq!(remove(last, "user", "bob").unwrap(), "schema = 1\n");
}

#[test]
fn what_it_does_not_know_it_leaves_to_a_person() {
    for (name, error) in [
        ("eve", Error::Unknown("user.eve".into())),
        ("dora", Error::Form("[user.dora]".into())),
    ] {
        assert_eq!(remove(FILE, "user", name), Err(error.clone()));
        let words = [("role", Some(quoted("operator")))];
        assert_eq!(change(FILE, "user", name, &words), Err(error));
    }
    let words = [("escape", Some("{}".into()))];
    let form = Err(Error::Form("[user.alice]".into()));
    assert_eq!(change(FILE, "user", "alice", &words), form);
    let one = "user = { a = { role = \"x\" }, b = { role = \"y\" } }\n";
    assert!(matches!(remove(one, "user", "a"), Err(Error::Form(_))));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_text_is_changed_or_refused(text in "[\\[\\]a-z.={}\"\n# ,]{0,80}") {
        let words = [("a", Some("1".to_owned())), ("b", None)];
        for name in ["a", "b"] {
            let _ = change(&text, "a", name, &words);
            let _ = remove(&text, "a", name);
            let _ = add(&text, "a", name, "x = 1");
        }
    }
}
