//! What each escape sequence does. A new [`Action`] gets its arm here; the keys stand in [`crate::keymap`].

use super::typing::Typing;
use super::{BREAK_MILLIS, Ended, Gone, Keyboard, Screen};
use crate::command::Input;
use crate::escape::{Action, Escape};
use crate::keymap::Keymap;

/// Bytes of history that are shown once more; a few screens.
pub const REPLAY: u32 = 8 * 1024;

impl<S: Screen, K: Keyboard> Typing<'_, S, K> {
    /// `Some` when that ends the session.
    pub(super) async fn act(&mut self, action: Action) -> Result<Option<Ended>, Gone> {
        match action {
            Action::Quit => return Ok(Some(Ended::Left)),
            Action::Help => {
                let keymap = self.escape.as_ref().map(Escape::keymap);
                let help = keymap.map(Keymap::help).unwrap_or_default();
                let note = if self.doubled && keymap.is_some_and(Keymap::is_openssh) {
                    "(with OpenSSH type ~~ where ~ is written)\n"
                } else {
                    ""
                };
                self.screen.say(&format!("\n{help}{note}")).await?;
            }
            Action::Break => self.send_break(BREAK_MILLIS).await?,
            Action::TakeWriter => self.take_writer().await?,
            Action::History => self.queue.push_back(Input::Replay { bytes: REPLAY }),
            Action::Users => self.queue.push_back(Input::Who),
            Action::Log => self.say_line(&log_hint(self.console)).await?,
            Action::Power => self.open_menu().await?,
            Action::Chooser if self.chooser => return Ok(Some(Ended::Chooser)),
            Action::Chooser => self.say_line("this door leads to one console only").await?,
        }
        Ok(None)
    }

    /// The power of what hangs on this console.
    pub(super) async fn open_menu(&mut self) -> Result<(), Gone> {
        for line in self.panel.open() {
            self.say_line(&line).await?;
        }
        Ok(())
    }

    /// Keys while the menu is open. What follows its end is the device's again: the rest of `keys` comes back.
    pub(super) async fn menu_keys<'k>(&mut self, keys: &'k [u8]) -> Result<&'k [u8], Gone> {
        let (lines, rest) = self.panel.take(keys);
        for line in lines {
            self.say_line(&line).await?;
        }
        Ok(rest)
    }

    pub(super) async fn say_line(&mut self, text: &str) -> Result<(), Gone> {
        self.screen.notice(&format!("[-- {text} --]")).await
    }

    pub(super) async fn send_break(&mut self, millis: u64) -> Result<(), Gone> {
        if !self.types {
            return self.tell().await;
        }
        // What was typed before and is still waiting is not wanted any more.
        self.queue.clear();
        self.waiting = 0;
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

/// Where all of what a console said is to be had.
#[must_use]
pub fn log_hint(console: &str) -> String {
    format!(
        "all of it is kept: console log {console} --since 2h, --grep REGEX, --raw; to a file: ssh BOARD console log {console} --raw > FILE"
    )
}

/// Where outlets are switched instead.
pub(super) fn power_hint(console: &str) -> String {
    format!(
        "{console}: nothing is switched from this session; ssh BOARD outlet list, and outlet cycle PDU/OUTLET"
    )
}
