//! Reads a password and makes its argon2id hash; `oobctl password` prints it. Never shows, keeps or sends the password.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::task::spawn_blocking;

use crate::access::credential;
use crate::config::Secret;

use super::Form;
use super::face::{Face, Failure};
use super::terminal;

pub(super) const QUESTION: &str = "Password: ";

pub(super) async fn run(form: Form, face: &mut Face) -> Result<(), Failure> {
    let hash = ask_hash(face).await?;
    if form != Form::Text {
        return face.json(&serde_json::json!({ "password": hash })).await;
    }
    face.print(&format!("{hash}\n")).await?;
    if face.terminal {
        face.say("Put it into oobd.toml: password = \"…\"\n").await;
    }
    Ok(())
}

/// Asks for a new password, twice at a terminal, and gives its hash.
pub(super) async fn ask_hash(face: &mut Face) -> Result<String, Failure> {
    let password = ask(face, QUESTION, true).await?;
    spawn_blocking(move || credential::make(password.expose()))
        .await
        .map_err(|_| Failure::Other("hashing failed".into()))?
        .map_err(|error| Failure::Other(error.to_string()))
}

/// Asks for a password, by this question and unseen at a terminal; a new one `twice` there.
pub(super) async fn ask(face: &mut Face, question: &str, twice: bool) -> Result<Secret, Failure> {
    let typed = face.local && terminal::is_terminal().0;
    if typed {
        tokio::select! {
            // Signals first: they are caught before the terminal is changed and a person sees that it waits.
            biased;
            // cancel-safe: signals stay noted in their streams
            () = terminal::ended(true) => Err(Failure::Silent),
            // cancel-safe: the typing is over, the terminal is restored
            password = type_it(face, question, twice) => password,
        }
    } else {
        read_line(face).await
    }
}

async fn type_it(face: &mut Face, question: &str, twice: bool) -> Result<Secret, Failure> {
    let no_terminal =
        |error: std::io::Error| Failure::Other(format!("cannot use the terminal: {error}"));
    let _restore = terminal::unechoed().map_err(no_terminal)?;
    face.say(question).await;
    let first = read_line(face).await?;
    if !twice {
        return Ok(first);
    }
    face.say("Once more: ").await;
    let second = read_line(face).await?;
    if first != second {
        return Err(Failure::Other("the two do not match".into()));
    }
    Ok(first)
}

async fn read_line(face: &mut Face) -> Result<Secret, Failure> {
    // One more than the longest password and its line end, so that a longer one is seen to be too long.
    let limit = u64::try_from(credential::LONGEST)
        .unwrap_or(u64::MAX)
        .saturating_add(3);
    let mut line = Vec::new();
    // A buffer of one byte: what follows the line is the next line's.
    let mut input = BufReader::with_capacity(1, (&mut face.input).take(limit));
    input
        .read_until(b'\n', &mut line)
        .await
        .map_err(|error| Failure::Other(format!("cannot read the password: {error}")))?;
    let line = String::from_utf8(line)
        .map_err(|_| Failure::Other("the password is not UTF-8 text".into()))?;
    let line = line.strip_suffix('\n').unwrap_or(&line);
    Ok(Secret::new(line.strip_suffix('\r').unwrap_or(line)))
}
