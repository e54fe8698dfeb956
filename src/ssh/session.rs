//! A session without a command: the first-boot password change, then the console that was named, or the chooser.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::access::first_boot;

use super::attach::{self, Ended};
use super::chooser::{self, Choice};
use super::house::House;
use super::login::{Login, Target};
use super::terminal::{Answer, Gone, Terminal};

/// Exit statuses as `oobctl` has them.
pub(super) const OK: u32 = 0;
pub(super) const FAILED: u32 = 1;
pub(super) const USAGE: u32 = 2;
pub(super) const REFUSED: u32 = 4;

/// Longest wait for the state to show that a session has left; another session of the same connection may be there too.
const SETTLE: Duration = Duration::from_millis(300);
/// Tries to choose a new password before the session ends.
const CHANGES: usize = 5;

pub(super) async fn run(
    house: &House,
    login: &Arc<Login>,
    terminal: &mut Terminal,
) -> Result<u32, Gone> {
    if let Some(status) = change_first_password(house, login, terminal).await? {
        return Ok(status);
    }
    match &login.target {
        Target::Console(name) => console(house, login, terminal, name).await,
        Target::Any | Target::Chooser => choose(house, login, terminal).await,
    }
}

/// A session on one console, by whatever the person calls it.
pub(super) async fn console(
    house: &House,
    login: &Arc<Login>,
    terminal: &mut Terminal,
    name: &str,
) -> Result<u32, Gone> {
    let ended = attach::run(house, login, terminal, name).await?;
    if ended == Ended::Chooser {
        return roam(house, login, terminal).await;
    }
    Ok(attach::status(&ended))
}

/// The only console there is to see, or the chooser.
pub(super) async fn choose(
    house: &House,
    login: &Arc<Login>,
    terminal: &mut Terminal,
) -> Result<u32, Gone> {
    let rows = chooser::rows(house, login);
    if let [only] = rows.as_slice() {
        return console(house, login, terminal, &only.name).await;
    }
    if !terminal.writer.is_terminal {
        let user = &login.person.name;
        let mut text = format!("name a console: ssh {user}:NAME@board\n");
        for row in &rows {
            text.push_str(&format!("  {}\n", row.name));
        }
        terminal.writer.remark(&text).await?;
        return Ok(USAGE);
    }
    roam(house, login, terminal).await
}

/// From the chooser to a console and back, until the person has had enough.
async fn roam(house: &House, login: &Arc<Login>, terminal: &mut Terminal) -> Result<u32, Gone> {
    loop {
        match chooser::run(house, login, terminal).await? {
            Choice::Quit => return Ok(OK),
            Choice::Console(name) => {
                if attach::run(house, login, terminal, &name).await? == Ended::Eof {
                    return Ok(OK);
                }
                settle(house, login, &name).await;
            }
        }
    }
}

/// Waits a moment until the list no longer shows this session on the console it left.
async fn settle(house: &House, login: &Login, console: &str) {
    let mut state = house.store.watch();
    let from = login.from();
    let left = state.wait_for(|state| {
        let sessions = state.consoles.get(console).map(|console| &console.sessions);
        !sessions.is_some_and(|sessions| sessions.iter().any(|session| session.from == from))
    });
    let _ = timeout(SETTLE, left).await;
}

/// Has the random password of first boot replaced before anything else. `Some` ends the session with that status.
pub(super) async fn change_first_password(
    house: &House,
    login: &Login,
    terminal: &mut Terminal,
) -> Result<Option<u32>, Gone> {
    if !must_change(house, login).await {
        return Ok(None);
    }
    if !terminal.writer.is_terminal {
        let text = "sign in with a terminal first (ssh -t) and choose a password of your own\n";
        terminal.writer.remark(text).await?;
        return Ok(Some(REFUSED));
    }
    let text = "This is the password of first boot. Choose one of your own.\n";
    terminal.writer.say(text).await?;
    for _ in 0..CHANGES {
        let Answer::Line(new) = terminal.ask("New password: ", false).await? else {
            return Ok(Some(FAILED));
        };
        let Answer::Line(again) = terminal.ask("Once more: ", false).await? else {
            return Ok(Some(FAILED));
        };
        if new != again {
            terminal.writer.say("These two differ.\n").await?;
            continue;
        }
        let (dirs, device) = (house.dirs.clone(), house.store.now().device);
        let changed =
            spawn_blocking(move || first_boot::change_password(&dirs, &device, &new)).await;
        let outcome = changed
            .map_err(|e| e.to_string())
            .and_then(|changed| changed.map_err(|e| e.to_string()));
        match outcome {
            Ok(hash) => {
                // This session first, or the new table would end it.
                login.password_changed(&hash);
                house.access.set_password(&login.person.name, &hash);
                terminal.writer.say("The password is changed.\n\n").await?;
                return Ok(None);
            }
            Err(reason) => {
                terminal
                    .writer
                    .say(&format!("Not changed: {reason}.\n"))
                    .await?
            }
        }
    }
    Ok(Some(REFUSED))
}

/// Did the random password of first boot open this connection?
pub(super) async fn must_change(house: &House, login: &Login) -> bool {
    login.by_password() && first_boot::has_random_password(&house.dirs, &login.person.name).await
}
