//! A board elsewhere, over HTTPS: its certificate is known by its fingerprint, trusted by a person who compared it once; its
//! user signs in by password. The control protocol then goes over a WebSocket. Never sends anything to a board that is not
//! trusted, and takes no password from a command line.

mod place;
mod socket;
mod trust;

use std::path::PathBuf;

use crate::config::Secret;

use super::connect::Connected;
use super::face::{Face, Failure};
use super::{password, terminal};

use place::Place;

/// A board elsewhere, and who signs in there.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
#[group(skip)]
pub struct Board {
    /// A board elsewhere, over HTTPS: rack7, alice@10.0.0.5:8443, https://rack7
    // A name of its own for clap: nouns have a `host`, too.
    #[arg(
        id = "board",
        long = "host",
        global = true,
        value_name = "BOARD",
        value_hint = clap::ValueHint::Hostname,
        conflicts_with = "socket",
        help_heading = "Everywhere"
    )]
    pub(super) host: Option<String>,
    /// Who signs in there; you unless said. The password is asked for, or in OOBD_PASSWORD
    #[arg(
        long,
        value_name = "USER",
        value_hint = clap::ValueHint::Username,
        id = "as_user",
        requires = "board",
        help_heading = "With --host, before the noun"
    )]
    user: Option<String>,
    /// SHA-256 of its certificate, as `oobctl status` on the board shows it
    #[arg(
        long,
        value_name = "SHA256",
        value_hint = clap::ValueHint::Other,
        requires = "board",
        help_heading = "With --host, before the noun"
    )]
    fingerprint: Option<String>,
    /// A file whose first line is the password
    #[arg(
        long,
        value_name = "FILE",
        value_hint = clap::ValueHint::FilePath,
        requires = "board",
        help_heading = "With --host, before the noun"
    )]
    password_file: Option<PathBuf>,
}

impl Board {
    /// The password is at hand, so that nobody has to be asked for it.
    pub(super) fn is_silent(&self, environment: &Environment) -> bool {
        self.password_file.is_some() || environment.password.is_some()
    }
}

/// What the process's surroundings say of boards elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Folder of settings, e.g. `~/.config`.
    pub config: Option<PathBuf>,
    /// Who runs this.
    pub user: Option<String>,
    /// `OOBD_PASSWORD`.
    pub password: Option<Secret>,
}

/// Signs in on a board and begins a conversation.
pub(super) async fn connect(board: &Board, face: &mut Face) -> Result<Connected, Failure> {
    let place = Place::parse(board.host.as_deref().unwrap_or_default()).map_err(Failure::Usage)?;
    let user = board.user.clone().or_else(|| place.user.clone());
    let user = user.or_else(|| face.environment.user.clone());
    let Some(user) = user else {
        return Err(Failure::Usage(format!(
            "who signs in on {place}? Say --user"
        )));
    };
    let trusted = trust::of(&place, board.fingerprint.as_deref(), face).await?;
    let password = match &board.password_file {
        Some(file) => from_file(file).await?,
        None => match face.environment.password.clone() {
            Some(password) => password,
            None => {
                // Before anybody types a password for it.
                drop(trust::dial(&place, &trusted).await?);
                ask(&user, &place, face).await?
            }
        },
    };
    let stream = trust::dial(&place, &trusted).await?;
    socket::open(stream, &place, &user, &password).await
}

async fn from_file(file: &PathBuf) -> Result<Secret, Failure> {
    let bad = |why: &dyn std::fmt::Display| Failure::Usage(format!("{}: {why}", file.display()));
    let text = tokio::fs::read_to_string(file).await;
    let text = text.map_err(|error| bad(&error))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Secret::new(line)),
        _ => Err(bad(&"the first line is empty; it should be the password")),
    }
}

async fn ask(user: &str, place: &Place, face: &mut Face) -> Result<Secret, Failure> {
    if !terminal::is_terminal().0 {
        let text = format!(
            "nobody is there to type the password of {user} on {place}: OOBD_PASSWORD or --password-file has it"
        );
        return Err(Failure::Usage(text));
    }
    password::ask(face, &format!("Password of {user} on {place}: "), false).await
}
