//! `ssh board COMMAND`: the words of `oobctl`, run in this process with the rights of the person who signed in.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::time::timeout;

use crate::cli::{self, Face, Link};
use crate::control::{self, Caller, Identity};

use super::attach;
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
    if let [noun, verb, name] = words.as_slice()
        && noun == "console"
        && verb == "attach"
        && !name.starts_with('-')
    {
        let name = name.clone();
        let ended = attach::run(house, login, terminal, &name).await?;
        return Ok(attach::status(&ended));
    }
    carry_out(house, login, terminal, words).await
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
    let connect = |_socket| async move {
        let link: Link = Box::new(ours);
        Ok(link)
    };
    tokio::select! {
        // What is not the first to end is dropped, and that is safe for all three: an attachment detaches by itself.
        code = cli::run(words, connect, &mut face) => Ok(u32::from(code)),
        gone = feed(reader, typed) => Err(gone),
        () = conversation => Ok(session::FAILED),
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
            | (Ok(Heard::Break { .. } | Heard::TakeWriter | Heard::Discard), _) => {}
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

    use super::split;

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
