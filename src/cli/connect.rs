//! The way to a board: its control socket here, or HTTPS to a board elsewhere. Verbs speak the control protocol over either
//! and know neither.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use std::path::{Path, PathBuf};

use futures::future::{BoxFuture, FutureExt};
use tokio::net::UnixStream;

use super::client::Link;
use super::face::{Face, Failure};
use super::remote::{self, Board};

/// Which board is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The one whose control socket this is.
    Socket(PathBuf),
    /// One elsewhere.
    Board(Board),
}

/// A connection that is open.
pub struct Connected {
    pub(super) link: Link,
    /// Moves its bytes, where that needs somebody.
    pub(super) pump: BoxFuture<'static, Infallible>,
}

impl Connected {
    /// A connection that moves its bytes by itself.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self::pumped(link, pending())
    }

    /// One whose bytes are moved while `pump` is polled.
    pub(super) fn pumped(
        link: Link,
        pump: impl Future<Output = Infallible> + Send + 'static,
    ) -> Self {
        let pump = pump.boxed();
        Self { link, pump }
    }
}

/// Opens the way to a board; at most once, and only for commands that need it.
pub trait Connect {
    /// Is this a program that a shell calls? Completions are for such a one; a board's own sessions have no part of them.
    const OF_A_SHELL: bool;

    /// # Errors
    /// Why there is none; it decides the exit status.
    fn connect(
        self,
        target: Target,
        face: &mut Face,
    ) -> impl Future<Output = Result<Connected, Failure>> + Send;
}

/// From a process of its own.
#[derive(Clone, Copy, Debug)]
pub struct Outside;

impl Connect for Outside {
    const OF_A_SHELL: bool = true;

    async fn connect(self, target: Target, face: &mut Face) -> Result<Connected, Failure> {
        match target {
            Target::Socket(path) => {
                let stream = UnixStream::connect(&path).await;
                let stream = stream.map_err(|error| unreachable(&path, &error))?;
                Ok(Connected::new(Box::new(stream)))
            }
            Target::Board(board) => Box::pin(remote::connect(&board, face)).await,
        }
    }
}

fn unreachable(socket: &Path, error: &io::Error) -> Failure {
    let path = socket.display();
    Failure::Unreachable(match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            format!("oobd does not run here (nobody listens on {path})")
        }
        io::ErrorKind::PermissionDenied => {
            format!(
                "you may not open {path}: become root, or sign in by SSH as a user of oobd.toml"
            )
        }
        _ => format!("cannot reach oobd at {path}: {error}"),
    })
}
