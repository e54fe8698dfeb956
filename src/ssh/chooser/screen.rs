//! The chooser over the whole terminal: keys in, differences of pictures out. Restores the terminal on its ways out; when
//! the connection is cut, [`RESTORE`] is sent for it (see [`Login::screens`]).

use std::time::Duration;

use bytes::Bytes;
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::TableState;
use tokio::time::{Instant, sleep_until};

use super::keys::{Key, Keys};
use super::list::List;
use super::{Choice, draw, rows};
use crate::session::Heard;
use crate::ssh::house::House;
use crate::ssh::login::Login;
use crate::ssh::terminal::{Change, Gone, Size, Terminal};

/// The other screen, no cursor, plain letters, an empty screen.
const BEGIN: &str = "\x1b[?1049h\x1b[?25l\x1b[0m\x1b[2J";
/// Plain letters, the cursor, the person's own screen.
pub(in crate::ssh) const RESTORE: &str = "\x1b[0m\x1b[?25h\x1b[?1049l";
/// The state is drawn at most this often: a phone's link has better things to carry.
const PAUSE: Duration = Duration::from_millis(250);
/// An Escape that nothing follows for this long is the key and not the start of a sequence.
const ESCAPE_WAIT: Duration = Duration::from_millis(120);

/// Shows the list until the person has chosen.
pub(super) async fn run(
    house: &House,
    login: &Login,
    terminal: &mut Terminal,
) -> Result<Choice, Gone> {
    let channel = terminal.writer.id();
    login.screens(|open| open.push(channel));
    terminal.writer.bytes(BEGIN.into()).await?;
    let choice = choose(house, login, terminal).await;
    let restored = terminal.writer.bytes(RESTORE.into()).await;
    login.screens(|open| open.retain(|other| *other != channel));
    restored.and(choice)
}

async fn choose(house: &House, login: &Login, terminal: &mut Terminal) -> Result<Choice, Gone> {
    let mut state = house.store.watch();
    let (mut list, mut keys, mut scroll) = (List::default(), Keys::default(), TableState::new());
    let mut painter = Painter::default();
    let mut drawn = Instant::now();
    // When the newest state is to be looked at.
    let mut due = Some(drawn);
    let mut escape: Option<Instant> = None;
    loop {
        if due.is_some_and(|due| due <= Instant::now()) {
            state.borrow_and_update();
            list.update(rows(house, login));
            due = None;
        }
        let area = area(terminal.reader.size());
        let device = house.store.now().device;
        let picture = draw::draw(&device, &list, &mut scroll, area);
        if let Some(bytes) = painter.paint(picture) {
            terminal.writer.bytes(bytes).await?;
            drawn = Instant::now();
        }
        tokio::select! {
            // cancel-safe: see Reader::change
            change = terminal.reader.change() => match change? {
                Change::Heard(Heard::Bytes(bytes)) => {
                    for byte in bytes {
                        if let Some(choice) = press(&mut list, &mut painter, keys.take(byte), area) {
                            return Ok(choice);
                        }
                    }
                    escape = keys.waits().then(|| Instant::now() + ESCAPE_WAIT);
                }
                Change::Heard(Heard::Eof) => return Ok(Choice::Quit),
                Change::Heard(_) => {}
                Change::Resized => painter = Painter::default(),
            },
            // cancel-safe per docs on watch::Receiver::changed(); an error means that the board stops
            changed = state.changed(), if due.is_none() => {
                if changed.is_err() {
                    return Ok(Choice::Quit);
                }
                due = Some((drawn + PAUSE).max(Instant::now()));
            }
            // cancel-safe: a timer has nothing to lose
            () = sleep_until(due.unwrap_or(drawn)), if due.is_some() => {}
            // cancel-safe: a timer has nothing to lose
            () = sleep_until(escape.unwrap_or(drawn)), if escape.is_some() => {
                escape = None;
                if let Some(choice) = press(&mut list, &mut painter, keys.flush(), area) {
                    return Ok(choice);
                }
            }
        }
    }
}

fn press(list: &mut List, painter: &mut Painter, key: Option<Key>, area: Rect) -> Option<Choice> {
    if key == Some(Key::Redraw) {
        *painter = Painter::default();
    }
    list.key(key?, draw::page(area))
}

fn area(size: Option<Size>) -> Rect {
    let (columns, rows) = size.map_or((80, 24), |size| (size.columns, size.rows));
    let fit = |length: usize| u16::try_from(length).unwrap_or(u16::MAX);
    Rect::new(0, 0, fit(columns), fit(rows))
}

/// What the terminal shows, so that only differences are sent.
#[derive(Default)]
struct Painter(Option<Buffer>);

impl Painter {
    /// The bytes that make the terminal show the picture; `None` when it does already.
    fn paint(&mut self, picture: Buffer) -> Option<Bytes> {
        let mut out = Vec::new();
        let blank = Buffer::empty(picture.area);
        let shown = match &self.0 {
            Some(shown) if shown.area == picture.area => shown,
            _ => {
                out.extend_from_slice(b"\x1b[0m\x1b[2J");
                &blank
            }
        };
        let changes = shown.diff(&picture);
        if !changes.is_empty() {
            // Into memory: it cannot fail.
            let drawn = CrosstermBackend::new(&mut out).draw(changes.into_iter());
            debug_assert!(drawn.is_ok(), "{drawn:?}");
        }
        self.0 = Some(picture);
        (!out.is_empty()).then(|| out.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(text: &str) -> Buffer {
        Buffer::with_lines(text.lines())
    }

    #[test]
    fn only_differences_are_sent() {
        let mut painter = Painter::default();
        let first = painter.paint(picture("one\ntwo")).unwrap();
        let first = String::from_utf8(first.to_vec()).unwrap();
        assert!(
            first.starts_with("\x1b[0m\x1b[2J") && first.contains("one"),
            "{first:?}"
        );
        assert_eq!(painter.paint(picture("one\ntwo")), None);
        let second = painter.paint(picture("one\ntoo")).unwrap();
        let second = String::from_utf8(second.to_vec()).unwrap();
        assert!(
            second.contains("\x1b[2;2Ho") && !second.contains("one"),
            "{second:?}"
        );
        // Another size begins anew.
        let third = painter.paint(picture("one\ntoo\nsix")).unwrap();
        assert!(third.starts_with(b"\x1b[0m\x1b[2J"));
    }
}
