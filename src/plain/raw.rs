//! Raw TCP: the device's bytes and nothing else, both ways. Who may connect was decided by address.

use std::net::SocketAddr;

use bytes::Bytes;

use super::house::House;
use super::wire::Wire;
use crate::session::{Gone, Heard, Keyboard, Screen};

pub(super) async fn serve(house: &House, wire: &Wire, peer: SocketAddr) {
    let Some(seat) = house.sit(peer).await else {
        return;
    };
    let mut keys = Keys {
        wire,
        house,
        session: seat.session,
        writer: seat.writer,
    };
    // How it ended is in the console's own event.
    let _ = seat.run(&Paper(wire), &mut keys, house.closing()).await;
}

struct Paper<'a>(&'a Wire);

impl Screen for Paper<'_> {
    async fn bytes(&self, bytes: Bytes) -> Result<(), Gone> {
        self.0.send(&bytes).await
    }

    async fn say(&self, _text: &str) -> Result<(), Gone> {
        Ok(())
    }

    async fn remark(&self, _text: &str) -> Result<(), Gone> {
        Ok(())
    }
}

struct Keys<'a> {
    wire: &'a Wire,
    house: &'a House,
    session: u64,
    /// Had the keyboard at the start.
    writer: bool,
}

impl Keyboard for Keys<'_> {
    async fn next(&mut self) -> Result<Heard, Gone> {
        loop {
            match self.wire.read().await? {
                None => return Ok(Heard::Eof),
                Some(bytes) if self.house.door.write => {
                    self.house.still_types(self.session, self.writer)?;
                    return Ok(Heard::Bytes(bytes));
                }
                // A door to watch by: what is typed at it is lost, as the manual says.
                Some(_) => {}
            }
        }
    }
}
