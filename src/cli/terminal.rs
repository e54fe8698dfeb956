//! The modes of the process's own terminal; every change is undone when its guard is dropped. Never used behind SSH.

use std::io::{self, IsTerminal};

use tokio::signal::unix::{SignalKind, signal};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// Standard input and standard output are terminals?
#[must_use]
pub fn is_terminal() -> (bool, bool) {
    (io::stdin().is_terminal(), io::stdout().is_terminal())
}

/// Columns and lines of the terminal at standard output; 80 × 24 when it does not say.
#[must_use]
pub fn size() -> (usize, usize) {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => (80, 24),
    }
}

/// Puts the terminal back as it was when dropped, in a panic, too.
pub(super) struct Restore(Termios);

impl Drop for Restore {
    fn drop(&mut self) {
        // The terminal may be gone; then there is nothing to restore.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}

/// Every key goes to the program at once and unechoed, those of job control included.
pub(super) fn raw() -> io::Result<Restore> {
    let before = tcgetattr(io::stdin())?;
    let mut modes = before.clone();
    modes.make_raw();
    tcsetattr(io::stdin(), OptionalActions::Flush, &modes)?;
    Ok(Restore(before))
}

/// Lines as always, but nothing typed is shown.
pub(super) fn unechoed() -> io::Result<Restore> {
    let before = tcgetattr(io::stdin())?;
    let mut modes = before.clone();
    modes.local_modes.remove(LocalModes::ECHO);
    modes.local_modes.insert(LocalModes::ECHONL);
    tcsetattr(io::stdin(), OptionalActions::Flush, &modes)?;
    Ok(Restore(before))
}

/// When our own process is told to end; in-process behind SSH the channel's end does that.
pub(super) async fn ended(local: bool) {
    if !local {
        return std::future::pending().await;
    }
    let kinds = [
        SignalKind::terminate(),
        SignalKind::hangup(),
        SignalKind::interrupt(),
    ];
    let streams = kinds.map(|kind| async move {
        match signal(kind) {
            Ok(mut stream) => {
                stream.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    });
    let [first, second, third] = streams;
    tokio::select! {
        // cancel-safe: whichever comes first ends the session
        () = first => {}
        // cancel-safe: as above
        () = second => {}
        // cancel-safe: as above
        () = third => {}
    }
}
