//! Asks before something is done that a person may not mean. A program cannot be asked: it says `--yes`.

use tokio::io::AsyncReadExt;

use super::face::{Face, Failure};
use super::terminal;

/// Longest answer that is read.
const LONGEST: usize = 64;

/// Goes on if the person says yes, or said so already. Without a terminal nobody can be asked.
pub(super) async fn confirm(face: &mut Face, yes: bool, question: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let asks = face.terminal && (!face.local || terminal::is_terminal().0);
    if !asks {
        let text = format!("{question} Nobody is there to answer: say --yes");
        return Err(Failure::Usage(text));
    }
    face.say(&format!("{question} [y/N] ")).await;
    let answer = read_answer(face).await?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::Other("nothing was done".into())),
    }
}

/// One line, or as much of it as there is; shown as it is typed where the terminal does not do that.
async fn read_answer(face: &mut Face) -> Result<String, Failure> {
    let mut answer = String::new();
    loop {
        let mut byte = [0];
        let count = face.input.read(&mut byte).await;
        let count = count.map_err(|e| Failure::Other(format!("cannot read the answer: {e}")))?;
        match byte[0] {
            _ if count == 0 => break,
            b'\r' | b'\n' => break,
            3 | 4 => {
                answer.clear();
                break;
            }
            8 | 127 => {
                let erased = answer.pop().is_some();
                if erased && face.raw {
                    face.say("\u{8} \u{8}").await;
                }
            }
            typed if (typed.is_ascii_graphic() || typed == b' ') && answer.len() < LONGEST => {
                answer.push(char::from(typed));
                if face.raw {
                    face.say(&char::from(typed).to_string()).await;
                }
            }
            _ => {}
        }
    }
    if face.raw {
        face.say("\n").await;
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::sink;

    fn face(typed: &'static [u8]) -> Face {
        let mut face = Face::new(Box::new(typed), Box::new(sink()), Box::new(sink()));
        (face.terminal, face.raw) = (true, true);
        face
    }

    #[tokio::test]
    async fn only_yes_is_yes() {
        for (typed, goes) in [
            (&b"y\r"[..], true),
            (b"YES\n", true),
            (b"nay\x7f\x7f\x7fyes\r", true),
            (b"\r", false),
            (b"n\r", false),
            (b"yy\r", false),
            (b"y\x03", false),
            (b"", false),
        ] {
            let answer = confirm(&mut face(typed), false, "Really?").await;
            assert_eq!(answer.is_ok(), goes, "{typed:?}");
        }
    }

    #[tokio::test]
    async fn a_program_must_say_so() {
        let mut face = face(b"y\r");
        face.terminal = false;
        let answer = confirm(&mut face, false, "Really?").await;
        assert_eq!(answer.unwrap_err().code(), 2);
        assert!(confirm(&mut face, true, "Really?").await.is_ok());
    }
}
