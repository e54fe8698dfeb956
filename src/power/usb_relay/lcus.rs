//! LCUS boards: a CH340 serial port at 9600 baud, behind it a small controller.
//!
//! `A0 n s sum` sets relay n (1 on, 0 off; the sum of the three); `FF` asks, and boards that can answer `CH1: ON` or `CH1:OFF` for each
//! relay, a line each. Boards of one relay often cannot: their state stays unknown.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::libc;
use rustix::termios::{OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr};
use tokio::io::unix::AsyncFd;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use crate::power::driver::Fault;
use crate::reset::PowerState;

const BAUD: u32 = 9600;
/// What a board of eight relays needs for its eight lines at 9600 baud, several times over.
const PATIENCE: Duration = Duration::from_millis(700);
/// An answer is eight lines.
const LONGEST: usize = 256;
const ASK: [u8; 1] = [0xff];

/// What sets one relay.
pub(super) fn order(relay: u8, on: bool) -> [u8; 4] {
    let state = u8::from(on);
    [
        0xa0,
        relay,
        state,
        0xa0_u8.wrapping_add(relay).wrapping_add(state),
    ]
}

/// The states that an answer tells of the first so many relays.
pub(super) fn states(answer: &[u8], relays: u8) -> Vec<PowerState> {
    let text = String::from_utf8_lossy(answer).to_ascii_uppercase();
    let mut states = vec![PowerState::Unknown; usize::from(relays)];
    for line in text.lines() {
        let told = line.trim().strip_prefix("CH").and_then(|rest| {
            let (number, state) = rest.split_once(':')?;
            let place = number.trim().parse::<usize>().ok()?.checked_sub(1)?;
            let state = match state.trim() {
                "ON" => PowerState::On,
                "OFF" => PowerState::Off,
                _ => return None,
            };
            Some((place, state))
        });
        if let Some((place, state)) = told
            && let Some(slot) = states.get_mut(place)
        {
            *slot = state;
        }
    }
    states
}

/// Asks the board.
///
/// # Errors
/// [`Fault::Silent`] when there is no such port. A board that does not answer is no fault: its relays are unknown.
pub(super) async fn read(device: &Path, relays: u8) -> Result<Vec<PowerState>, Fault> {
    let port = open(device).await?;
    let silent = |error: io::Error| fault(device, &error);
    let deadline = Instant::now() + PATIENCE;
    write(&port, &ASK, deadline).await.map_err(silent)?;
    let mut answer = Vec::new();
    loop {
        let known = states(&answer, relays);
        if !known.contains(&PowerState::Unknown) && answer.ends_with(b"\n") {
            return Ok(known);
        }
        let mut buffer = [0; 64];
        let heard = timeout_at(deadline, receive(&port, &mut buffer)).await;
        match heard {
            Ok(Ok(length @ 1..)) if answer.len() < LONGEST => {
                answer.extend_from_slice(buffer.get(..length).unwrap_or_default());
            }
            Ok(Err(error)) => return Err(silent(error)),
            // Silence, the end, or chatter without end.
            _ => return Ok(known),
        }
    }
}

/// Sets one relay. Nothing answers.
///
/// # Errors
/// [`Fault::Silent`] when there is no such port or it takes nothing.
pub(super) async fn switch(device: &Path, relay: u8, on: bool) -> Result<(), Fault> {
    let port = open(device).await?;
    let deadline = Instant::now() + PATIENCE;
    let sent = write(&port, &order(relay, on), deadline).await;
    sent.map_err(|error| fault(device, &error))
}

fn fault(device: &Path, error: &io::Error) -> Fault {
    Fault::Silent(format!("{}: {error}", device.display()))
}

async fn open(device: &Path) -> Result<AsyncFd<OwnedFd>, Fault> {
    let path = device.to_owned();
    let opened = spawn_blocking(move || prepare(&path)).await;
    let opened = opened.unwrap_or_else(|error| Err(io::Error::other(error.to_string())));
    let opened = opened.and_then(watch);
    opened.map_err(|error| fault(device, &error))
}

/// Raw, 9600n8, no modem lines. Opening a USB adapter that hangs takes seconds.
fn prepare(path: &Path) -> io::Result<OwnedFd> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK)
        .open(path)?;
    let fd = OwnedFd::from(file);
    let mut termios = tcgetattr(&fd)?;
    termios.make_raw();
    termios.control_modes |= rustix::termios::ControlModes::CLOCAL;
    // With it the close would drop DTR, which resets some of these boards.
    termios.control_modes -= rustix::termios::ControlModes::HUPCL;
    termios.set_speed(BAUD)?;
    tcsetattr(&fd, OptionalActions::Now, &termios)?;
    // Old answers. An order that is still on its way to the board stays.
    tcflush(&fd, QueueSelector::IFlush)?;
    Ok(fd)
}

#[allow(
    unsafe_code,
    reason = "the runtime wants a promise that nobody closes the descriptor meanwhile"
)]
fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned by what is given back, which never lets it out.
    Ok(unsafe { AsyncFd::register(fd) }?)
}

async fn write(port: &AsyncFd<OwnedFd>, bytes: &[u8], deadline: Instant) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let sent = port.async_io(tokio::io::Interest::WRITABLE, |fd| {
            Ok(nix::unistd::write(fd, rest)?)
        });
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let length = timeout_at(deadline, sent).await.map_err(late)??;
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(())
}

async fn receive(port: &AsyncFd<OwnedFd>, buffer: &mut [u8]) -> io::Result<usize> {
    port.async_io(tokio::io::Interest::READABLE, |fd| {
        Ok(nix::unistd::read(fd, buffer)?)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use nix::pty::openpty;

    use super::*;

    #[test]
    fn orders_are_as_the_boards_take_them() {
        assert_eq!(order(1, true), [0xa0, 0x01, 0x01, 0xa2]);
        assert_eq!(order(1, false), [0xa0, 0x01, 0x00, 0xa1]);
        assert_eq!(order(4, true), [0xa0, 0x04, 0x01, 0xa5]);
    }

    #[test]
    fn what_is_not_said_is_unknown() {
        let (on, off, unknown) = (PowerState::On, PowerState::Off, PowerState::Unknown);
        assert_eq!(states(b"CH1: ON\r\nCH2:OFF\r\n", 2), [on, off]);
        assert_eq!(
            states(b"CH2: ON\r\nCH3: maybe\r\nCH0: ON\r\nCH9: ON", 3),
            [unknown, on, unknown]
        );
        assert_eq!(states(b"\xff\xff", 1), [unknown]);
    }

    #[tokio::test]
    async fn a_board_is_asked_and_set_over_a_tty() {
        let pty = openpty(None, None).unwrap();
        let path = nix::unistd::ttyname(&pty.slave).unwrap();
        let mut board = std::fs::File::from(pty.master);
        let played = spawn_blocking(move || {
            let mut heard = [0; 5];
            board.read_exact(&mut heard[..1]).unwrap();
            board.write_all(b"CH1: OFF\r\nCH2: ON\r\n").unwrap();
            board.read_exact(&mut heard[1..]).unwrap();
            heard
        });
        let known = read(&path, 2).await.unwrap();
        assert_eq!(known, [PowerState::Off, PowerState::On]);
        switch(&path, 2, false).await.unwrap();
        assert_eq!(played.await.unwrap(), [0xff, 0xa0, 2, 0, 0xa2]);
        let gone = read(Path::new("/dev/nothere"), 1).await.unwrap_err();
        assert!(matches!(gone, Fault::Silent(_)));
    }
    #[tokio::test]
    async fn an_order_on_its_way_is_not_lost_to_the_next_question() {
        let pty = openpty(None, None).unwrap();
        let path = nix::unistd::ttyname(&pty.slave).unwrap();
        switch(&path, 1, true).await.unwrap();
        assert_eq!(read(&path, 1).await.unwrap(), [PowerState::Unknown]);
        let mut heard = [0; 5];
        std::fs::File::from(pty.master)
            .read_exact(&mut heard)
            .unwrap();
        assert_eq!(heard, [0xa0, 1, 1, 0xa2, 0xff]);
    }
}
