//! One viewer of a machine's screen, whatever door it came by: what it is to be sent, and what it does. Knows no socket.

use super::Gone;
use crate::command::Viewing;
use crate::rfb::Server;

/// A viewer and the picture that it looks at.
#[derive(Debug)]
pub struct Viewer {
    server: Server,
    viewing: Viewing,
}

impl Viewer {
    #[must_use]
    pub fn new(server: Server, viewing: Viewing) -> Self {
        Self { server, viewing }
    }

    /// What is to be sent, if anything.
    pub fn due(&mut self) -> Option<Vec<u8>> {
        let said = self.server.said();
        if said.is_empty() {
            return self.server.update(&self.viewing.picture.lock());
        }
        Some(said)
    }

    /// Bytes of it came in.
    ///
    /// # Errors
    /// It speaks no RFB, or the screen is gone.
    pub async fn hear(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        let did = self.server.feed(bytes, &self.viewing.picture.lock());
        for input in did.map_err(|_| Gone)? {
            let input = (self.viewing.id, input);
            self.viewing.input.send(input).await.map_err(|_| Gone)?;
        }
        Ok(())
    }
}
