//! What each escape sequence does. A new [`Action`] gets its arm here; the keys stand in [`crate::escape`].

use super::typing::Typing;
use super::{BREAK_MILLIS, Ended, Gone, Keyboard, Screen};
use crate::command::Input;
use crate::escape::{Action, Escape};

impl<S: Screen, K: Keyboard> Typing<'_, S, K> {
    /// `Some` when that ends the session.
    pub(super) async fn act(&mut self, action: Action) -> Result<Option<Ended>, Gone> {
        match action {
            Action::Quit => return Ok(Some(Ended::Left)),
            Action::Help => {
                let help = self.escape.as_ref().map(Escape::help).unwrap_or_default();
                let help = help.replace("\r\n", "\n");
                let note = if self.doubled {
                    "(with OpenSSH type ~~ where ~ is written)\n"
                } else {
                    ""
                };
                self.screen.say(&format!("\n{help}{note}")).await?;
            }
            Action::Break => self.send_break(BREAK_MILLIS).await?,
            Action::TakeWriter => self.take_writer().await?,
        }
        Ok(None)
    }

    pub(super) async fn send_break(&mut self, millis: u64) -> Result<(), Gone> {
        if !self.types {
            return self.tell().await;
        }
        self.discard();
        self.queue.push_back(Input::Break { millis });
        Ok(())
    }

    pub(super) async fn take_writer(&mut self) -> Result<(), Gone> {
        if !self.types {
            return self.tell().await;
        }
        self.queue.push_back(Input::TakeWriter);
        Ok(())
    }
}
