//! The section `[https]`: the web door and its certificate.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::reader::{Field, Table};
use super::secret::{Found, Resolver, Secret};
use crate::tls;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Https {
    pub port: u16,
    /// A session that nobody used for this long ends.
    pub idle: Duration,
    /// `None`: the board makes a certificate itself.
    pub pair: Option<Pair>,
    /// Directory of the web page's files.
    pub ui: PathBuf,
}

/// A certificate chain and its key as PEM text; they belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub certificate: String,
    pub key: Secret,
}

impl Default for Https {
    fn default() -> Self {
        Self {
            port: 443,
            idle: Duration::from_secs(30 * 60),
            pair: None,
            ui: PathBuf::from("/usr/share/oobd/ui"),
        }
    }
}

impl Https {
    pub(super) fn read(mut table: Table<'_>, resolver: &Resolver<'_>) -> Self {
        let mut https = Self::default();
        let port = table.take("port");
        let idle = table.take("idle");
        let ui = table.take("ui");
        let pair = take_pair(&mut table);
        table.finish();
        if let Some(port) = port.and_then(|field| field.number(1..=u16::MAX)) {
            https.port = port;
        }
        let day = Duration::from_secs(86_400);
        if let Some(idle) = idle.and_then(|field| field.duration(Duration::from_secs(10)..=day)) {
            https.idle = idle;
        }
        if let Some(ui) = ui.and_then(|field| field.parsed(directory)) {
            https.ui = ui;
        }
        https.pair = pair.and_then(|pair| read_pair(&pair, resolver));
        https
    }
}

fn directory(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    let plain = !path.components().any(|part| part == Component::ParentDir);
    if !path.is_absolute() || !plain || text.len() > 255 || text.contains(char::is_control) {
        return Err("write the whole path of a directory, as in \"/usr/share/oobd/ui\"".to_owned());
    }
    Ok(path.to_owned())
}

/// Takes `certificate` and `key`, which go together, from a section that has them.
pub(super) fn take_pair<'a>(table: &mut Table<'a>) -> Option<(Field<'a>, Field<'a>)> {
    match (table.take("certificate"), table.take("key")) {
        (Some(certificate), Some(key)) => return Some((certificate, key)),
        (Some(_), None) => table.missing(
            "`certificate` needs its private key".to_owned(),
            "add key = \"@file:…\"",
        ),
        (None, Some(_)) => table.missing(
            "`key` needs its certificate".to_owned(),
            "add certificate = \"@file:…\"",
        ),
        (None, None) => {}
    }
    None
}

/// Reads what [`take_pair`] took.
pub(super) fn read_pair(
    (certificate, key): &(Field<'_>, Field<'_>),
    resolver: &Resolver<'_>,
) -> Option<Pair> {
    // Both, so that faults of both are told.
    let (chain, secret) = (resolver.text(certificate), resolver.text(key));
    // A secret of the board that is not here counts as good.
    let (Found::Text(chain), Found::Text(secret)) = (chain?, secret?) else {
        return None;
    };
    let pair = Pair {
        certificate: chain.expose().to_owned(),
        key: secret,
    };
    match tls::Identity::from_pem(&pair.certificate, pair.key.expose()) {
        Ok(_) => return Some(pair),
        Err(tls::Bad::Certificate(fault)) => certificate.wrong(fault),
        Err(tls::Bad::Key(fault)) => key.wrong(fault),
    }
    None
}
