//! Whether a board is the one that is meant: by the fingerprint of its certificate, which a person compared once. Known ones
//! lie in `known-boards` in the folder of settings, a file for each.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::cli::confirm::confirm;
use crate::cli::face::{Face, Failure};
use crate::cli::terminal;
use crate::fault::chain;
use crate::pin::Pins;
use crate::tls;

use super::place::Place;

/// For the connection and the handshake; the slowest phone link takes two.
const DIAL: Duration = Duration::from_secs(15);
/// How a fingerprint is written, everywhere.
const SCHEME: &str = "SHA256:";

/// The fingerprint that this board has to show.
pub(super) async fn of(
    place: &Place,
    given: Option<&str>,
    face: &mut Face,
) -> Result<String, Failure> {
    if let Some(given) = given {
        return fingerprint(given).map_err(Failure::Usage);
    }
    let name = place.to_string();
    let folder = face.environment.config.clone();
    let folder = folder.map(|config: PathBuf| config.join("oobd").join("known-boards"));
    if let Some(folder) = folder.clone() {
        let asked = name.clone();
        if let Some(known) = kept(move || Pins::at(folder).get(&asked)).await? {
            return fingerprint(&known).map_err(Failure::Other);
        }
    }
    let found = shown(place).await?;
    if !terminal::is_terminal().0 || !face.terminal {
        return Err(Failure::Denied(format!(
            "{place} is not known here. It shows {found}; if that is what `oobctl status` on the board says, pass it as --fingerprint"
        )));
    }
    face.say(&format!(
        "{place} is not known here. It shows\n  {found}\nCompare that with what the board itself says: its screen, or `oobctl status` on it.\n"
    ))
    .await;
    confirm(face, false, "Is it the same?").await?;
    if let Some(folder) = folder {
        let trusted = found.clone();
        kept(move || Pins::at(folder).set(&name, &trusted)).await?;
    }
    Ok(found)
}

/// As `SHA256:AB:CD:…`, from any of the ways people write it.
fn fingerprint(text: &str) -> Result<String, String> {
    let text = text.trim();
    let digits = match text.split_at_checked(SCHEME.len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => rest,
        _ => text,
    };
    let hex: Vec<char> = digits.chars().filter(|c| *c != ':').collect();
    if hex.len() != 64 || !hex.iter().all(char::is_ascii_hexdigit) {
        return Err(format!(
            "{text} is no SHA-256 fingerprint: 32 bytes in hexadecimal, as in SHA256:AB:CD:…"
        ));
    }
    let bytes = hex.chunks(2).map(|pair| pair.iter().collect::<String>());
    let bytes: Vec<String> = bytes.map(|byte| byte.to_uppercase()).collect();
    Ok(format!("{SCHEME}{}", bytes.join(":")))
}

/// What it shows, without trusting it: the handshake ends there.
async fn shown(place: &Place) -> Result<String, Failure> {
    match shake(place, None).await {
        Err(Shake::Untrusted(found)) => Ok(found),
        Err(Shake::Unreachable(why)) => Err(Failure::Unreachable(why)),
        Ok(_) => Err(Failure::Other(format!("{place} shows no certificate"))),
    }
}

/// A connection to the board, if it is the one.
pub(super) async fn dial(place: &Place, trusted: &str) -> Result<TlsStream<TcpStream>, Failure> {
    shake(place, Some(trusted)).await.map_err(|shake| match shake {
        Shake::Unreachable(why) => Failure::Unreachable(why),
        Shake::Untrusted(found) => Failure::Denied(format!(
            "{place} shows another certificate than the one that is trusted, and nothing was said to it.\n  trusted {trusted}\n  shown   {found}\nIf the board has a new one, compare with `oobctl status` on it and pass --fingerprint, or remove it from known-boards"
        )),
    })
}

enum Shake {
    Unreachable(String),
    Untrusted(String),
}

async fn shake(place: &Place, trusted: Option<&str>) -> Result<TlsStream<TcpStream>, Shake> {
    let unreachable = |why: String| Shake::Unreachable(format!("cannot reach {place}: {why}"));
    let seen: Arc<Mutex<Option<String>>> = Arc::default();
    let (keep, wanted) = (seen.clone(), trusted.map(str::to_owned));
    let config = tls::judged(move |certificate| {
        let found = format!("{SCHEME}{}", tls::fingerprint(certificate));
        let good = wanted.as_ref() == Some(&found);
        *keep.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        good
    });
    let config = config.map_err(|error| unreachable(chain(&error)))?;
    // A zone belongs to the address, not to the name.
    let name = place.host.split('%').next().unwrap_or_default().to_owned();
    let name = ServerName::try_from(name).map_err(|error| unreachable(error.to_string()))?;
    let shaken = timeout(DIAL, async {
        let stream = open(place).await?;
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    });
    let failed = match shaken.await {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(error)) => chain(&error),
        Err(_) => format!("no answer within {} s", DIAL.as_secs()),
    };
    let found = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    match found {
        Some(found) if Some(found.as_str()) != trusted => Err(Shake::Untrusted(found)),
        _ => Err(unreachable(failed)),
    }
}

/// The first of its addresses that answers.
async fn open(place: &Place) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::other("the name has no address");
    for address in lookup_host((place.host.as_str(), place.port)).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Asks or writes the known boards.
async fn kept<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let done = spawn_blocking(work).await.map_err(std::io::Error::other);
    let done = done.and_then(|done| done);
    done.map_err(|error| Failure::Other(format!("the known boards cannot be used: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_in_any_spelling() {
        let wanted = format!("SHA256:{}", ["AB"; 32].join(":"));
        for text in [
            wanted.clone(),
            "ab".repeat(32),
            format!("sha256:{}", "aB".repeat(32)),
            format!(" {}\n", ["ab"; 32].join(":")),
        ] {
            assert_eq!(fingerprint(&text), Ok(wanted.clone()), "{text}");
        }
        for bad in ["", "SHA256:", "ab", "xy", &"g".repeat(64), &"ä".repeat(32)] {
            assert!(fingerprint(bad).is_err(), "{bad}");
        }
    }
}
