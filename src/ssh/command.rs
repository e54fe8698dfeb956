//! `ssh board COMMAND`: the words of `oobctl`, run in this process with the rights of the person who signed in.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::time::timeout;

use crate::cli::{self, Connect, Connected, Face, Failure, Target};
use crate::control::{self, Caller, Identity};
use crate::label::{self, NoConsole};

use super::house::House;
use super::login::Login;
use super::session;
use super::terminal::{Gone, Heard, Reader, Terminal};

/// Bytes on the way between the command line and the board, and from the client's standard input.
const PIPE: usize = 64 * 1024;
/// A command that takes none of its input for this long gets no more of it.
const UNREAD_LIMIT: Duration = Duration::from_secs(60);
/// Words of one command; more is no command.
const WORDS: usize = 256;

pub(super) async fn run(
    house: &House,
    login: &Arc<Login>,
    terminal: &mut Terminal,
    line: &[u8],
) -> Result<u32, Gone> {
    if let Some(status) = session::change_first_password(house, login, terminal).await? {
        return Ok(status);
    }
    let words = std::str::from_utf8(line).map_err(|_| "the command is not UTF-8 text");
    let mut words = match words.and_then(split) {
        Ok(words) => words,
        Err(why) => {
            terminal.writer.remark(&format!("{why}\n")).await?;
            return Ok(session::USAGE);
        }
    };
    // Who writes `ssh board oobctl status` means the same.
    if words.first().is_some_and(|word| word == "oobctl") {
        words.remove(0);
    }
    let is_console = |word: &str| {
        let state = house.store.now();
        let found = label::find_seen(&state.consoles, |name| login.person.sees(name), word);
        !matches!(found, Err(NoConsole::Unknown(_)))
    };
    match habit(words, is_console) {
        Meant::Console(name) => session::console(house, login, terminal, &name).await,
        Meant::Chooser => session::choose(house, login, terminal).await,
        Meant::Words(words) => carry_out(house, login, terminal, words).await,
    }
}

/// What a command line means.
#[derive(Debug, PartialEq, Eq)]
enum Meant {
    /// A session on a console.
    Console(String),
    Chooser,
    /// Words of `oobctl`.
    Words(Vec<String>),
}

/// Knows the words that hands from other console servers type: `pmshell [-l LABEL]`, `pmusers [--disconnect …]`, and the
/// bare name of a console.
fn habit(words: Vec<String>, is_console: impl Fn(&str) -> bool) -> Meant {
    let plain: Vec<&str> = words.iter().map(String::as_str).collect();
    match plain[..] {
        ["pmshell"] => Meant::Chooser,
        ["pmshell", "-l" | "-n" | "--label" | "--name", name] | ["console", "attach", name]
            if !name.starts_with('-') =>
        {
            Meant::Console(name.to_owned())
        }
        ["pmusers"] => Meant::Words(["console", "users"].map(str::to_owned).into()),
        ["pmusers", "--disconnect" | "-d", ref rest @ ..] => Meant::Words(disconnect(rest)),
        [word] if !cli::knows(word) && is_console(word) => Meant::Console(word.to_owned()),
        _ => Meant::Words(words),
    }
}

/// `pmusers --disconnect [-u user] [-l label] [-n name] [--no-prompt]`; nobody is asked anything here.
fn disconnect(rest: &[&str]) -> Vec<String> {
    let mut words = vec!["console".to_owned(), "kick".to_owned()];
    let (mut console, mut user) = (None, None);
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        match *word {
            "-u" | "--username" => user = rest.next(),
            "-l" | "--label" | "-n" | "--name" => console = rest.next(),
            "--no-prompt" => {}
            // Told by the parser behind this.
            other => words.push(other.to_owned()),
        }
    }
    words.extend(console.map(|name| (*name).to_owned()));
    match user {
        Some(user) => words.extend(["--user".to_owned(), (*user).to_owned()]),
        None => words.push("--all".to_owned()),
    }
    words
}

async fn carry_out(
    house: &House,
    login: &Login,
    terminal: &mut Terminal,
    words: Vec<String>,
) -> Result<u32, Gone> {
    let Terminal { reader, writer } = terminal;
    let (ours, boards) = duplex(PIPE);
    let (stdin, typed) = duplex(PIPE);
    let mut face = Face::new(Box::new(stdin), writer.pipe(false), writer.pipe(true));
    if let Some(size) = reader.size() {
        (face.terminal, face.raw, face.color) = (true, true, size.color);
        (face.width, face.height) = (size.columns, size.rows);
    }
    let caller = Caller {
        identity: Identity::User(login.person.name.clone()),
        from: login.from(),
    };
    let conversation = async {
        if let Err(e) = control::serve(caller, boards, house.control.clone()).await {
            tracing::debug!("a command's conversation broke off: {e}");
        }
        pending().await
    };
    tokio::select! {
        // What is not the first to end is dropped, and that is safe for all three: an attachment detaches by itself.
        code = cli::run(words, Inside(ours), &mut face) => Ok(u32::from(code)),
        gone = feed(reader, typed) => Err(gone),
        () = conversation => Ok(session::FAILED),
    }
}

/// The board itself, whatever socket is named.
struct Inside(DuplexStream);

impl Connect for Inside {
    const OF_A_SHELL: bool = false;

    async fn connect(self, _: Target, _: &mut Face) -> Result<Connected, Failure> {
        Ok(Connected::new(Box::new(self.0)))
    }
}

/// Carries the client's input to the command; ends when the client is gone.
async fn feed(reader: &mut Reader, typed: DuplexStream) -> Gone {
    let mut typed = Some(typed);
    loop {
        match (reader.next().await, &mut typed) {
            (Ok(Heard::Bytes(bytes)), Some(pipe)) => {
                let taken = timeout(UNREAD_LIMIT, pipe.write_all(&bytes)).await;
                if !matches!(taken, Ok(Ok(()))) {
                    // This command reads no input; waiting on would hide from us that the client is gone.
                    typed = None;
                }
            }
            (Ok(Heard::Bytes(_)), None)
            | (Ok(Heard::Break { .. } | Heard::TakeWriter | Heard::Power | Heard::Discard), _) => {}
            (Ok(Heard::Eof), _) => typed = None,
            (Err(gone), _) => return gone,
        }
    }
}

/// The words of a command line: blanks part them, quotes and backslashes keep them together as in a shell. Nothing else
/// is special, for there is no shell.
fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = vec![];
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some('"') | None, '\\') => {
                let kept = letters.next().ok_or("the command ends with a backslash")?;
                word.get_or_insert_default().push(kept);
            }
            (Some(_), letter) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (None, letter) => word.get_or_insert_default().push(letter),
        }
        if words.len() > WORDS {
            return Err("the command has too many words");
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed");
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Meant, habit, split};

    proptest! {
        /// Whatever a client sends, it becomes words or a refusal; quoted as a shell quotes, words come back whole.
        #[test]
        fn quoted_words_come_back(words in prop::collection::vec("[ -&(-~é]{0,12}", 0..20), noise in ".{0,200}") {
            let _ = split(&noise);
            let line: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
            prop_assert_eq!(split(&line.join(" ")).unwrap(), words);
        }
    }

    #[test]
    fn hands_of_other_console_servers_are_understood() {
        let meant =
            |line: &str| habit(split(line).unwrap(), |word| word == "sw" || word == "event");
        let console = |name: &str| Meant::Console(name.into());
        let words = |line: &str| Meant::Words(split(line).unwrap());
        for (line, expected) in [
            ("pmshell", Meant::Chooser),
            ("pmshell -l port02", console("port02")),
            ("console attach sw", console("sw")),
            (
                "console attach --watch sw",
                words("console attach --watch sw"),
            ),
            ("sw", console("sw")),
            // A noun is a noun, whatever a console is called.
            ("event", words("event")),
            ("nowhere", words("nowhere")),
            ("pmusers", words("console users")),
            (
                "pmusers --disconnect -u bob --no-prompt",
                words("console kick --user bob"),
            ),
            ("pmusers --disconnect -l sw", words("console kick sw --all")),
            (
                "pmusers --disconnect -l sw -u bob",
                words("console kick sw --user bob"),
            ),
            ("status --json", words("status --json")),
        ] {
            assert_eq!(meant(line), expected, "{line}");
        }
    }

    #[test]
    fn words_are_parted_as_a_shell_would() {
        for (line, words) in [
            ("console list", vec!["console", "list"]),
            ("  a\t b\n", vec!["a", "b"]),
            (
                "note 'two words' \"and \\\" 'more'\"",
                vec!["note", "two words", "and \" 'more'"],
            ),
            ("a\\ b ''", vec!["a b", ""]),
            ("$(reboot); `x` | y", vec!["$(reboot);", "`x`", "|", "y"]),
            ("", vec![]),
        ] {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
        for line in ["'open", "\"open", "end\\", &"x ".repeat(1000)] {
            assert!(split(line).is_err(), "{line}");
        }
    }
}
