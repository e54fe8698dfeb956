//! The sign-in of telnet: user name and password at a prompt. The password is never echoed, never kept.

use std::net::SocketAddr;

use super::house::House;
use super::talk::Talk;
use super::telnet::Keys;
use crate::access::{Refused, first_boot, printable};
use crate::event::Kind;
use crate::session::prompt::{Answer, Line};
use crate::session::{Gone, Heard, Keyboard, Standing};

/// Tries on one connection.
const TRIES: usize = 3;

/// Asks until somebody has signed in; `None` when they have had enough tries, which they are told.
pub(super) async fn run(
    house: &House,
    talk: &Talk<'_>,
    keys: &mut Keys<'_>,
    peer: SocketAddr,
) -> Result<Option<Standing>, Gone> {
    let mut prompt = Prompt { talk, keys };
    let device = house.store.watch().borrow().device.clone();
    talk.data(format!("{device}: console {}\r\n", house.console).as_bytes())
        .await?;
    for _ in 0..TRIES {
        let Answer::Line(user) = prompt.ask("login: ", true).await? else {
            return Ok(None);
        };
        let user = user.trim();
        if user.is_empty() {
            continue;
        }
        let Answer::Line(password) = prompt.ask("Password: ", false).await? else {
            return Ok(None);
        };
        let checked = house
            .access
            .check_password(user, &password, peer.ip())
            .await;
        let refused = match checked {
            Ok(person) => {
                // The random password of first boot must not become one's own over a line that anybody can read.
                if first_boot::has_random_password(&house.dirs, &person.name).await {
                    let text = "sign in over SSH first and choose a password of your own\r\n";
                    talk.data(text.as_bytes()).await?;
                    return Ok(None);
                }
                house
                    .publish(Kind::SignInAccepted {
                        door: "telnet".into(),
                        user: person.name.clone(),
                        from: peer.to_string(),
                        method: "password".into(),
                    })
                    .await;
                return Ok(Some(Standing::new(person)));
            }
            Err(refused) => refused,
        };
        if refused == Refused::Wrong {
            house
                .publish(Kind::SignInRefused {
                    door: "telnet".into(),
                    user: printable(user),
                    from: peer.to_string(),
                    reason: refused.to_string(),
                })
                .await;
        }
        talk.data(format!("{refused}\r\n").as_bytes()).await?;
        if refused != Refused::Wrong {
            return Ok(None);
        }
    }
    Ok(None)
}

struct Prompt<'a, 't, 'k> {
    talk: &'a Talk<'t>,
    keys: &'a mut Keys<'k>,
}

impl Prompt<'_, '_, '_> {
    /// Asks and reads one line.
    async fn ask(&mut self, text: &str, echo: bool) -> Result<Answer, Gone> {
        self.talk.data(text.as_bytes()).await?;
        let mut line = Line::default();
        loop {
            let mut typed = match self.keys.next().await? {
                Heard::Bytes(bytes) => bytes,
                Heard::Eof => return Err(Gone),
                Heard::Break { .. } | Heard::TakeWriter | Heard::Power | Heard::Discard => continue,
            };
            while !typed.is_empty() {
                let byte = typed.split_to(1)[0];
                let (said, done) = line.take(byte, echo);
                self.talk
                    .data(said.replace('\n', "\r\n").as_bytes())
                    .await?;
                if let Some(answer) = done {
                    self.keys.unread(typed, byte == b'\r');
                    return Ok(answer);
                }
            }
        }
    }
}
