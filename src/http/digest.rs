//! Digest access authentication (RFC 7616): reads challenges, answers them. Keeps no password and sends nothing.

use std::fmt::Write as _;

use ring::digest::{SHA256, digest as sha};

/// Longest part of a challenge that is looked at, and how many parts.
const LONGEST: usize = 8 * 1024;
const MOST: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    fn hash(self, text: &str) -> String {
        let mut hex = String::with_capacity(64);
        match self {
            Self::Md5 => {
                let _ = write!(hex, "{:x}", md5::compute(text));
            }
            Self::Sha256 => {
                for byte in sha(&SHA256, text.as_bytes()).as_ref() {
                    let _ = write!(hex, "{byte:02x}");
                }
            }
        }
        hex
    }
}

/// A challenge, and how often its nonce was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// As the server spelled it; it wants to see the same.
    spelled: Option<String>,
    /// With `qop=auth`; without, as before RFC 2617.
    qop: bool,
    /// The server says that only the nonce was too old.
    pub(super) stale: bool,
    used: u32,
}

impl Challenge {
    /// The strongest digest challenge that we can answer, of all `WWW-Authenticate` headers. SHA-256 before MD5; without
    /// `auth` among its qualities of protection none at all.
    pub(super) fn strongest<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        headers
            .flat_map(|text| challenges(text).into_iter())
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("digest"))
            .filter_map(|(_, parameters)| Self::read(&parameters))
            .reduce(|best, next| {
                if next.algorithm > best.algorithm {
                    next
                } else {
                    best
                }
            })
    }

    fn read(parameters: &[(String, String)]) -> Option<Self> {
        let get = |name: &str| {
            let mut all = parameters.iter();
            all.find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.clone())
        };
        let spelled = get("algorithm");
        let algorithm = match spelled.as_deref() {
            None => Algorithm::Md5,
            Some(name) if name.eq_ignore_ascii_case("MD5") => Algorithm::Md5,
            Some(name) if name.eq_ignore_ascii_case("SHA-256") => Algorithm::Sha256,
            Some(_) => return None,
        };
        let qop = match get("qop") {
            None => false,
            Some(list) => {
                let mut words = list.split([',', ' ']);
                if !words.any(|word| word.eq_ignore_ascii_case("auth")) {
                    return None;
                }
                true
            }
        };
        Some(Self {
            realm: get("realm")?,
            nonce: get("nonce")?,
            opaque: get("opaque"),
            algorithm,
            spelled,
            qop,
            stale: get("stale").is_some_and(|word| word.eq_ignore_ascii_case("true")),
            used: 0,
        })
    }

    /// The `Authorization` of the next request with this nonce. `cnonce` is random text of ours.
    pub(super) fn answer(
        &mut self,
        user: &str,
        password: &str,
        method: &str,
        target: &str,
        cnonce: &str,
    ) -> String {
        self.used = self.used.saturating_add(1);
        let hash = |text: &str| self.algorithm.hash(text);
        let secret = hash(&format!("{user}:{}:{password}", self.realm));
        let request = hash(&format!("{method}:{target}"));
        let nonce = &self.nonce;
        let count = format!("{:08x}", self.used);
        let response = if self.qop {
            hash(&format!("{secret}:{nonce}:{count}:{cnonce}:auth:{request}"))
        } else {
            hash(&format!("{secret}:{nonce}:{request}"))
        };
        let mut out = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{target}\", response=\"{response}\"",
            quoted(user),
            quoted(&self.realm),
            quoted(nonce)
        );
        if let Some(spelled) = &self.spelled {
            let _ = write!(out, ", algorithm={spelled}");
        }
        if self.qop {
            let _ = write!(out, ", qop=auth, nc={count}, cnonce=\"{cnonce}\"");
        }
        if let Some(opaque) = &self.opaque {
            let _ = write!(out, ", opaque=\"{}\"", quoted(opaque));
        }
        out
    }
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

type Parameters = Vec<(String, String)>;

/// All challenges of one header (RFC 9110 §11.6.1): several may stand in it, and the same comma parts them and their
/// parameters.
fn challenges(text: &str) -> Vec<(String, Parameters)> {
    let mut rest = text.get(..LONGEST).unwrap_or(text).trim_start();
    let mut found: Vec<(String, Parameters)> = Vec::new();
    let mut count = 0;
    while !rest.is_empty() && count < MOST {
        count += 1;
        let end = rest
            .find(|c: char| c == '=' || c == ',' || c == '"' || c.is_whitespace())
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let after = after.trim_start();
        if word.is_empty() {
            // A comma, or something that has no business here.
            let mut letters = rest.chars();
            letters.next();
            rest = letters.as_str().trim_start();
        } else if let Some(after) = after.strip_prefix('=') {
            let (value, after) = value(after.trim_start());
            if let Some((_, parameters)) = found.last_mut() {
                parameters.push((word.to_owned(), value));
            }
            rest = after.trim_start();
        } else {
            found.push((word.to_owned(), Vec::new()));
            rest = after;
        }
    }
    found
}

/// A token or a quoted string, and what follows it.
fn value(text: &str) -> (String, &str) {
    let Some(inner) = text.strip_prefix('"') else {
        let end = text
            .find(|c: char| c == ',' || c.is_whitespace())
            .unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        return (word.to_owned(), rest);
    };
    let mut out = String::new();
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => out.extend(letters.next()),
            other => out.push(other),
        }
    }
    (out, letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

    fn of(headers: &[&str]) -> Option<Challenge> {
        Challenge::strongest(headers.iter().copied())
    }

    fn has(answer: &str, part: &str) -> bool {
        let words = answer.strip_prefix("Digest ").unwrap();
        words.split(", ").any(|word| word == part)
    }

    #[test]
    fn the_examples_of_rfc_7616_come_out() {
        // §3.9.1
        let sha = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, \
            nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
            opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
        let md5 = sha.replace("SHA-256", "MD5");
        for (challenge, response) in [
            (
                sha,
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
            (&*md5, "8ca523f5e9506fed4657c9700eebdbec"),
        ] {
            let mut challenge = of(&[challenge]).unwrap();
            let answer =
                challenge.answer("Mufasa", "Circle of Life", "GET", "/dir/index.html", CNONCE);
            assert!(
                has(&answer, &format!("response=\"{response}\"")),
                "{answer}"
            );
            assert!(has(&answer, "nc=00000001") && has(&answer, "qop=auth"));
            assert!(has(&answer, "username=\"Mufasa\""));
            let again =
                challenge.answer("Mufasa", "Circle of Life", "GET", "/dir/index.html", CNONCE);
            assert!(has(&again, "nc=00000002") && !again.contains(response));
        }
        let both = [md5.as_str(), sha];
        assert_eq!(of(&both).unwrap().algorithm, Algorithm::Sha256);
        let joined = format!("Basic realm=\"x, y\", {md5}, {sha}");
        assert_eq!(of(&[&joined]).unwrap().algorithm, Algorithm::Sha256);
    }

    #[test]
    fn old_servers_without_quality_are_answered() {
        // RFC 2069 §2.4 with its erratum 749.
        let challenge = "Digest realm=\"testrealm@host.com\", \
            nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let answer = of(&[challenge]).unwrap().answer(
            "Mufasa",
            "CircleOfLife",
            "GET",
            "/dir/index.html",
            CNONCE,
        );
        assert!(
            has(&answer, "response=\"1949323746fe6a43ef61f9606e7febea\""),
            "{answer}"
        );
        assert!(!answer.contains("nc="), "{answer}");
    }

    #[test]
    fn names_and_realms_are_quoted() {
        let mut challenge = of(&["Digest realm=\"a \\\"b\\\" \\\\c\", nonce=n"]).unwrap();
        assert_eq!(challenge.realm, "a \"b\" \\c");
        let answer = challenge.answer("u\"v", "p", "GET", "/", "c");
        assert!(answer.contains("username=\"u\\\"v\", realm=\"a \\\"b\\\" \\\\c\""));
    }

    #[test]
    fn what_we_cannot_answer_is_no_challenge() {
        for header in [
            "",
            ",,,=\"",
            "Digest",
            "Digest realm=\"x\"",
            "Digest nonce=\"x\"",
            "Basic realm=\"x\"",
            "Digest realm=\"x\", nonce=\"y\", qop=\"auth-int\"",
            "Digest realm=\"x\", nonce=\"y\", algorithm=SHA-512-256",
            "Digest realm=\"x",
        ] {
            assert_eq!(of(&[header]), None, "{header}");
        }
        proptest::proptest!(|(header in "(Digest |[a-z]{1,4}|=|,|\\\\|\"| ){0,30}")| {
            let _ = of(&[&header]);
        });
        let stale = of(&["digest STALE=True,nonce=\"y\",realm=\"\""]).unwrap();
        assert!(stale.stale && stale.realm.is_empty());
    }
}
