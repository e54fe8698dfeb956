//! One TCP connection: reads that lose nothing, whole writes in order, and a bound on what a stalled client costs. Knows no
//! protocol.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;

use crate::session::Gone;
use crate::tcp;

/// Bytes read at once.
const CHUNK: usize = 4096;
/// Bytes that the kernel keeps for us beyond what the client has room for.
const UNSENT: u32 = 32 * 1024;
/// Answers that may wait; a client that asks this much without reading is dropped.
const POSTED: usize = 16 * 1024;
/// A client that takes nothing for this long while bytes wait for it is gone.
const STALL_LIMIT: Duration = Duration::from_secs(60);
/// After our last word: how long the client may take to hang up, and how much more it may say.
const HANG_UP: Duration = Duration::from_millis(500);
const LAST_WORDS: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    /// Held while a piece is written: no other gets into the middle of it.
    turn: Semaphore,
    /// Answers of the protocol that wait for their turn.
    posted: Mutex<Vec<u8>>,
    wake: Notify,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        tcp::prepare(&stream)?;
        let socket = SockRef::from(&stream);
        socket.set_tcp_notsent_lowat(UNSENT)?;
        // Telnet's SYNCH sends its data mark as urgent data; it must not be missing from the stream.
        socket.set_out_of_band_inline(true)?;
        Ok(Self {
            stream,
            turn: Semaphore::new(1),
            posted: Mutex::default(),
            wake: Notify::new(),
        })
    }

    /// The next bytes; `None` at the end. Cancel-safe: it waits for readiness only.
    pub(super) async fn read(&self) -> Result<Option<Bytes>, Gone> {
        loop {
            self.stream.readable().await.map_err(|_| Gone)?;
            // On the stack: a session that waits holds no buffer.
            let mut chunk = [0; CHUNK];
            match self.stream.try_read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(count) => return Ok(Some(Bytes::copy_from_slice(&chunk[..count]))),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(Gone),
            }
        }
    }

    /// Writes all of it, after what was posted before.
    pub(super) async fn send(&self, bytes: &[u8]) -> Result<(), Gone> {
        let _turn = self.turn.acquire().await.map_err(|_| Gone)?;
        let posted = std::mem::take(&mut *self.posted());
        self.write(&posted).await?;
        self.write(bytes).await
    }

    /// Has this sent soon, between two pieces. Never waits.
    pub(super) fn post(&self, bytes: &[u8]) -> Result<(), Gone> {
        let mut posted = self.posted();
        if posted.len() + bytes.len() > POSTED {
            return Err(Gone);
        }
        posted.extend_from_slice(bytes);
        drop(posted);
        self.wake.notify_one();
        Ok(())
    }

    /// Sends what is posted, until the client is gone.
    pub(super) async fn serve(&self) -> Gone {
        loop {
            self.wake.notified().await;
            if let Err(gone) = self.send(&[]).await {
                return gone;
            }
        }
    }

    /// Ends the connection so that the client gets our last words: bytes of its own that nobody read would have the kernel
    /// throw them away.
    pub(super) async fn hang_up(mut self) {
        let farewell = async {
            self.send(&[]).await.ok()?;
            self.stream.shutdown().await.ok()?;
            let mut heard = 0;
            while let Ok(Some(bytes)) = self.read().await {
                heard += bytes.len();
                if heard > LAST_WORDS {
                    break;
                }
            }
            Some(())
        };
        // A client that does not hang up by itself is cut off.
        let _ = timeout(HANG_UP, farewell).await;
    }

    async fn write(&self, mut bytes: &[u8]) -> Result<(), Gone> {
        while !bytes.is_empty() {
            match self.stream.try_write(bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    let writable = timeout(STALL_LIMIT, self.stream.writable());
                    // Boxed: few clients ever let us wait.
                    let writable = Box::pin(writable).await;
                    writable.map_err(|_| Gone)?.map_err(|_| Gone)?;
                }
                Err(_) => return Err(Gone),
            }
        }
        Ok(())
    }

    fn posted(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.posted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Wire, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (ours, _) = listener.accept().await.unwrap();
        (Wire::new(ours).unwrap(), client.unwrap())
    }

    #[tokio::test]
    async fn pieces_are_never_mixed() {
        let (wire, mut client) = pair().await;
        let wire = Arc::new(wire);
        let server = wire.clone();
        tokio::spawn(async move { server.serve().await });
        let (data, answer) = (vec![b'd'; 100_000], [b'a'; 100]);
        let posting = wire.clone();
        tokio::spawn(async move {
            for _ in 0..50 {
                let _ = posting.post(&answer);
                tokio::task::yield_now().await;
            }
        });
        let sending = wire.clone();
        tokio::spawn(async move {
            for _ in 0..20 {
                sending.send(&data).await.unwrap();
            }
        });
        let mut got = vec![0; 20 * 100_000 + 50 * 100];
        client.read_exact(&mut got).await.unwrap();
        let mut rest = &got[..];
        while let Some(&kind) = rest.first() {
            let piece = if kind == b'd' { 100_000 } else { 100 };
            assert!(rest[..piece].iter().all(|&byte| byte == kind));
            rest = &rest[piece..];
        }
    }

    #[tokio::test]
    async fn answers_that_nobody_reads_are_bounded() {
        let (wire, _client) = pair().await;
        let mut posted = 0;
        while wire.post(&[0; 100]).is_ok() {
            posted += 100;
        }
        assert!((POSTED - 100..=POSTED).contains(&posted), "{posted}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_gone_after_a_minute() {
        let (wire, _client) = pair().await;
        let began = tokio::time::Instant::now();
        let huge = vec![0; 64 << 20];
        assert_eq!(wire.send(&huge).await, Err(Gone));
        assert!(began.elapsed() >= STALL_LIMIT && began.elapsed() < STALL_LIMIT * 2);
    }

    #[tokio::test]
    async fn last_words_arrive_although_the_client_still_talks() {
        let (wire, mut client) = pair().await;
        client.try_write(b"typed and never read").unwrap();
        wire.send(b"goodbye").await.unwrap();
        let reading = tokio::spawn(async move {
            let mut got = Vec::new();
            client.read_to_end(&mut got).await.map(|_| got)
        });
        wire.hang_up().await;
        assert_eq!(reading.await.unwrap().unwrap(), b"goodbye");
    }
}
