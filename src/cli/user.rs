//! `oobctl user`: who may sign in, and to what. Passwords are hashed here; none crosses the socket.

use clap::Subcommand;

use crate::access;
use crate::command::{Command, Hidden, Reply, UserShown, UserWords};

use super::client::Client;
use super::config::Wait;
use super::face::{Face, Failure};
use super::table::{Cell, Tone, columns};
use super::{Form, give, password};

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum Verb {
    /// All users, their roles and grants
    List,
    /// Name a new user in oobd.toml
    Add(Settings),
    /// Change what oobd.toml says of a user; what is not named stays
    Set(Settings),
    /// Take a user out of oobd.toml
    Remove {
        /// As oobd.toml names them
        name: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Give a user another password
    Password {
        /// As oobd.toml names them
        name: String,
        #[command(flatten)]
        wait: Wait,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Settings {
    /// What they sign in as, and their name in oobd.toml
    name: String,
    /// administrator, operator or readonly
    #[arg(long)]
    role: Option<String>,
    /// A line of an OpenSSH public key; may be given more than once and replaces the keys there are
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// Ask for a password; from a pipe its first line is read
    #[arg(long)]
    password: bool,
    /// Take the password away
    #[arg(long, conflicts_with = "password")]
    no_password: bool,
    /// Consoles, as in `core-*` or `lab:read`; may be given more than once. An empty one grants none
    #[arg(long, value_name = "GLOB")]
    console: Vec<String>,
    /// Outlets, as in `rack/*`; as --console
    #[arg(long, value_name = "GLOB")]
    outlet: Vec<String>,
    /// Machines; as --console
    #[arg(long, value_name = "GLOB")]
    machine: Vec<String>,
    /// May open connections to LAN hosts
    #[arg(long)]
    forward: Option<bool>,
    #[command(flatten)]
    wait: Wait,
}

impl Settings {
    async fn words(self, face: &mut Face) -> Result<UserWords, Failure> {
        let password = match (self.password, self.no_password) {
            (true, _) => Some(Hidden(password::ask_hash(face).await?)),
            (_, true) => Some(Hidden(String::new())),
            _ => None,
        };
        Ok(UserWords {
            name: self.name,
            role: self.role,
            keys: given(self.key),
            password,
            consoles: given(self.console),
            outlets: given(self.outlet),
            machines: given(self.machine),
            forward: self.forward,
        })
    }
}

/// `None` when nothing was said; an empty word makes the list empty.
fn given(words: Vec<String>) -> Option<Vec<String>> {
    if words.is_empty() {
        return None;
    }
    Some(words.into_iter().filter(|word| !word.is_empty()).collect())
}

pub(super) async fn run(
    verb: Verb,
    form: Form,
    mut client: Client,
    face: &mut Face,
) -> Result<(), Failure> {
    let command = match verb {
        Verb::List => return list(form, client, face).await,
        Verb::Add(settings) => {
            let trial = settings.wait.trial();
            let user = settings.words(face).await?;
            Command::AddUser { user, trial }
        }
        Verb::Set(settings) => {
            let trial = settings.wait.trial();
            let user = settings.words(face).await?;
            Command::ChangeUser { user, trial }
        }
        Verb::Remove { name, wait } => {
            let trial = wait.trial();
            Command::RemoveUser { name, trial }
        }
        Verb::Password { name, wait } => {
            let user = UserWords {
                name,
                password: Some(Hidden(password::ask_hash(face).await?)),
                ..UserWords::default()
            };
            let trial = wait.trial();
            Command::ChangeUser { user, trial }
        }
    };
    give(&mut client, command, form, face).await
}

async fn list(form: Form, mut client: Client, face: &mut Face) -> Result<(), Failure> {
    let Reply::Users(users) = client.command(Command::ListUsers).await? else {
        return Err(Failure::Other("the board answered something else".into()));
    };
    match form {
        Form::Json => face.json(&serde_json::json!({ "users": users })).await,
        Form::Lines => {
            for user in &users {
                face.json(user).await?;
            }
            Ok(())
        }
        Form::Text => {
            let text = show(&users, face.color);
            face.table(&text, "no users").await
        }
    }
}

/// The fingerprint is cut: it tells keys of one person apart.
const FINGERPRINT: usize = 15;

pub(super) fn show(users: &[UserShown], color: bool) -> String {
    let grants = |list: &[String]| match list {
        [] => Cell::new("none", Tone::Faint),
        list => Cell::plain(list.join(" ")),
    };
    let row = |user: &UserShown| {
        let mut ways: Vec<String> = Vec::new();
        if user.has_password {
            ways.push("password".into());
        }
        for line in &user.keys {
            let print = access::parse_key(line).map_or_else(
                |_| "unusable key".to_owned(),
                |key| {
                    access::fingerprint(&key)
                        .chars()
                        .take(FINGERPRINT)
                        .collect()
                },
            );
            ways.push(print);
        }
        let name = match user.in_file {
            true => user.name.clone(),
            false => format!("{} (first boot)", user.name),
        };
        vec![
            Cell::plain(name),
            Cell::plain(&user.role),
            Cell::plain(ways.join(" ")),
            grants(&user.consoles),
            grants(&user.outlets),
            grants(&user.machines),
            Cell::plain(if user.forward { "yes" } else { "no" }),
        ]
    };
    let rows: Vec<_> = users.iter().map(row).collect();
    let head = [
        "NAME",
        "ROLE",
        "SIGNS IN BY",
        "CONSOLES",
        "OUTLETS",
        "MACHINES",
        "FORWARD",
    ];
    columns(&head, &rows, color)
}
