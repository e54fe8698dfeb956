//! A picture of a screen, and which parts of it changed when. Shared by who draws it and by who looks at it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Bad;

/// Edge of the squares that changes are told by.
pub const TILE: usize = 64;
/// Largest edge, and most pixels: 8 MiB of them are 32 MiB here.
const EDGE: usize = 8192;
const MOST: usize = 3840 * 2400;

/// Pixels as 0x00RRGGBB, row by row.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    width: usize,
    height: usize,
    pixels: Vec<u32>,
    /// When each tile changed last: the number of that change.
    changed: Vec<u64>,
    now: u64,
}

impl Frame {
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Another screen, black. All of it has changed.
    ///
    /// # Errors
    /// [`Bad::Size`] for one without pixels, or with too many.
    pub fn resize(&mut self, width: usize, height: usize) -> Result<(), Bad> {
        if width == 0 || height == 0 || width > EDGE || height > EDGE || width * height > MOST {
            return Err(Bad::Size(width, height));
        }
        self.now += 1;
        (self.width, self.height) = (width, height);
        self.pixels = vec![0; width * height];
        self.changed = vec![self.now; width.div_ceil(TILE) * height.div_ceil(TILE)];
        Ok(())
    }

    /// Draws a piece of a row; what lies beyond the edge is nothing.
    pub(super) fn put(&mut self, x: usize, y: usize, pixels: &[u32]) {
        let across = self.width.div_ceil(TILE);
        let mut x = x;
        let mut rest = pixels;
        // Tile by tile, so that only those that change are marked.
        while !rest.is_empty() && x < self.width && y < self.height {
            let count = rest.len().min(TILE - x % TILE).min(self.width - x);
            let (piece, after) = rest.split_at(count);
            let from = y * self.width + x;
            if let Some(old) = self.pixels.get_mut(from..from + count)
                && old != piece
            {
                old.copy_from_slice(piece);
                self.now += 1;
                if let Some(mark) = self.changed.get_mut(y / TILE * across + x / TILE) {
                    *mark = self.now;
                }
            }
            rest = after;
            x += count;
        }
    }

    /// When the tiles changed, row by row.
    #[must_use]
    pub fn changes(&self) -> &[u64] {
        &self.changed
    }

    /// A piece of a row.
    #[must_use]
    pub fn row(&self, x: usize, y: usize, count: usize) -> &[u32] {
        let from = y * self.width + x;
        self.pixels.get(from..from + count).unwrap_or_default()
    }
}

/// A frame that one draws and others look at.
#[derive(Debug)]
pub struct Picture {
    frame: Mutex<Frame>,
    /// Whole updates so far; 0 before there is a picture.
    updates: watch::Sender<u64>,
}

impl Default for Picture {
    fn default() -> Self {
        Self {
            frame: Mutex::default(),
            updates: watch::Sender::new(0),
        }
    }
}

impl Picture {
    /// Look at it, or draw; briefly.
    pub fn lock(&self) -> MutexGuard<'_, Frame> {
        self.frame.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who look that there is something new.
    pub fn tell(&self) {
        self.updates.send_modify(|updates| *updates += 1);
    }

    /// How many updates there were, now and later.
    #[must_use]
    pub fn updates(&self) -> watch::Receiver<u64> {
        self.updates.subscribe()
    }
}
