//! The device calls in (CIRA): TLS as a client that knows the board's root, then APF, and streams to its own ports. It shares no
//! code with the board, and insists on every answer that it has a right to.
//!
//! `"cira"` holds `host`, `port`, `root` (a PEM file), `name` (of the certificate), `user`, `password`, `uuid` (bytes in
//! hex as firmware has them). Orders: `cira dial JSON`, which may replace each of these and say `"split": true` (bytes one by one),
//! `"window": N`, `"vnc": false` (the last port is not named); `cira cut N`, `cira flood N`, `cira raw N HEX`, `cira ping N` to
//! the Nth connection, counted from 0.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::TLS12;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::{Shared, lock, tell};

/// As firmware names them, one after the other.
const PORTS: [u32; 7] = [16993, 16992, 664, 623, 16995, 16994, 5900];

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
static CALLS: Mutex<Vec<Call>> = Mutex::new(Vec::new());

/// A connection that is or was.
struct Call {
    out: mpsc::UnboundedSender<Vec<u8>>,
    cut: Arc<Semaphore>,
    channels: Channels,
}

#[derive(Clone, Default)]
struct Channels(Arc<Mutex<HashMap<u32, Channel>>>);

struct Channel {
    /// The board's number of it.
    theirs: u32,
    /// Bytes that the board lets us send.
    credit: Arc<Semaphore>,
    /// Bytes that we let the board send.
    window: u32,
    inner: mpsc::UnboundedSender<Vec<u8>>,
}

/// Orders about calling in.
pub fn order(machine: &Shared, line: &str) -> bool {
    let words: Vec<&str> = line.splitn(4, ' ').collect();
    let number = |word: &str| word.parse::<usize>().unwrap();
    match words.as_slice() {
        ["cira", "dial", ..] => {
            let more = line.splitn(3, ' ').nth(2).unwrap_or("{}");
            dial(machine, &serde_json::from_str(more).unwrap());
            true
        }
        ["cira", "cut", n] => with(number(n), |call| call.cut.add_permits(1)),
        ["cira", "ping", n] => with(number(n), |call| {
            let _ = call.out.send(number_message(208, &[77]));
        }),
        ["cira", "raw", n, hex] => with(number(n), |call| {
            let _ = call.out.send(bytes(hex));
        }),
        ["cira", "flood", n] => with(number(n), flood),
        _ => false,
    }
}

fn with(n: usize, work: impl FnOnce(&Call)) -> bool {
    CALLS.lock().unwrap().get(n).map(work).is_some()
}

/// Sends without a look at the window, on every channel that is open.
fn flood(call: &Call) {
    for channel in call.channels.0.lock().unwrap().values() {
        for _ in 0..1024 {
            let mut message = number_message(94, &[channel.theirs, 4096]);
            message.resize(message.len() + 4096, b'x');
            let _ = call.out.send(message);
        }
    }
}

fn dial(machine: &Shared, more: &Value) {
    let (mut given, listen) = {
        let machine = lock(machine);
        (
            machine.given["cira"].clone(),
            machine.text("listen").to_owned(),
        )
    };
    for (key, value) in more.as_object().unwrap() {
        given[key] = value.clone();
    }
    let runtime = RUNTIME.get_or_init(|| Runtime::new().unwrap());
    let (out, waiting) = mpsc::unbounded_channel();
    let (cut, channels) = (Arc::new(Semaphore::new(0)), Channels::default());
    let n = {
        let mut calls = CALLS.lock().unwrap();
        calls.push(Call {
            out: out.clone(),
            cut: cut.clone(),
            channels: channels.clone(),
        });
        calls.len() - 1
    };
    runtime.spawn(async move {
        let device = Device {
            n,
            given,
            listen,
            out,
            channels,
        };
        let ended = tokio::select! {
            ended = device.call(waiting) => ended,
            _ = cut.acquire() => Err(io::Error::other("cut")),
        };
        device.channels.0.lock().unwrap().clear();
        let why = ended.map_or_else(|error| error.to_string(), |()| String::new());
        tell(&json!({ "cira": "closed", "n": n, "why": why }));
    });
}

struct Device {
    n: usize,
    given: Value,
    listen: String,
    out: mpsc::UnboundedSender<Vec<u8>>,
    channels: Channels,
}

impl Device {
    fn text(&self, key: &str) -> &str {
        self.given[key].as_str().unwrap_or_default()
    }

    fn say(&self, message: Vec<u8>) {
        let _ = self.out.send(message);
    }

    async fn call(&self, mut waiting: mpsc::UnboundedReceiver<Vec<u8>>) -> io::Result<()> {
        let port = u16::try_from(self.given["port"].as_u64().unwrap_or(4433)).unwrap();
        let stream = TcpStream::connect((self.text("host"), port)).await?;
        stream.set_nodelay(true)?;
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_file(Path::new(self.text("root"))).unwrap();
        roots.add(root).unwrap();
        let config = ClientConfig::builder_with_provider(oobd::tls::provider())
            .with_protocol_versions(&[&TLS12])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(self.text("name").to_owned()).unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await?;
        let (mut from, mut to) = tokio::io::split(stream);
        let split = self.given["split"] == true;
        let writing = async move {
            while let Some(message) = waiting.recv().await {
                if split {
                    for byte in message {
                        to.write_all(&[byte]).await?;
                        to.flush().await?;
                    }
                } else {
                    to.write_all(&message).await?;
                    to.flush().await?;
                }
            }
            Ok(())
        };
        tokio::select! {
            ended = writing => ended,
            ended = self.talk(&mut from) => ended,
        }
    }

    async fn talk(&self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        let mut hello = number_message(192, &[1, 0, 1]);
        hello.extend(bytes(self.text("uuid")));
        hello.extend([0; 64]);
        self.say(hello);
        self.service("auth@amt.intel.com", from).await?;
        let mut sign_in = vec![50];
        for text in [self.text("user"), "pfwd@amt.intel.com", "password"] {
            push(&mut sign_in, text.as_bytes());
        }
        sign_in.push(0);
        push(&mut sign_in, self.text("password").as_bytes());
        self.say(sign_in);
        match from.read_u8().await? {
            52 => {}
            51 => {
                let method = text(from).await?;
                assert_eq!(
                    (method.as_slice(), from.read_u8().await?),
                    (&b"password"[..], 0)
                );
                tell(&json!({ "cira": "refused", "n": self.n }));
                return Err(io::Error::other("refused"));
            }
            other => panic!("{other} to a sign-in"),
        }
        self.service("pfwd@amt.intel.com", from).await?;
        let count = if self.given["vnc"] == false { 6 } else { 7 };
        for port in &PORTS[..count] {
            let mut message = vec![80];
            push(&mut message, b"tcpip-forward");
            message.push(1);
            push(&mut message, b"");
            message.extend(port.to_be_bytes());
            self.say(message);
            assert_eq!((from.read_u8().await?, from.read_u32().await?), (81, *port));
        }
        tell(&json!({ "cira": "forwards", "n": self.n }));
        loop {
            self.hear(from).await?;
        }
    }

    async fn service(&self, name: &str, from: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        let mut message = vec![5];
        push(&mut message, name.as_bytes());
        self.say(message);
        let kind = from.read_u8().await?;
        assert_eq!((kind, text(from).await?.as_slice()), (6, name.as_bytes()));
        Ok(())
    }

    async fn hear(&self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        match from.read_u8().await? {
            1 => {
                let reason = from.read_u32().await?;
                from.read_u16().await?;
                tell(&json!({ "cira": "disconnect", "n": self.n, "reason": reason }));
                return Err(io::Error::other("disconnected"));
            }
            90 => self.open(from).await?,
            93 => {
                let (id, more) = (from.read_u32().await?, from.read_u32().await?);
                if let Some(channel) = self.channels.0.lock().unwrap().get(&id) {
                    channel.credit.add_permits(usize::try_from(more).unwrap());
                }
            }
            94 => {
                let id = from.read_u32().await?;
                let data = text(from).await?;
                let mut channels = self.channels.0.lock().unwrap();
                if let Some(channel) = channels.get_mut(&id) {
                    let length = u32::try_from(data.len()).unwrap();
                    assert!(
                        length <= channel.window,
                        "{length} bytes in {}",
                        channel.window
                    );
                    channel.window -= length;
                    let _ = channel.inner.send(data);
                }
            }
            97 => {
                let id = from.read_u32().await?;
                // It is answered once, whoever closed it first.
                if let Some(channel) = self.channels.0.lock().unwrap().remove(&id) {
                    self.say(number_message(97, &[channel.theirs]));
                }
                tell(&json!({ "cira": "channel closed", "n": self.n }));
            }
            208 => {
                let cookie = from.read_u32().await?;
                self.say(number_message(209, &[cookie]));
            }
            209 => {
                let cookie = from.read_u32().await?;
                tell(&json!({ "cira": "pong", "n": self.n, "cookie": cookie }));
            }
            210 => {
                let (interval, limit) = (from.read_u32().await?, from.read_u32().await?);
                self.say(number_message(211, &[interval, limit]));
                tell(&json!({ "cira": "up", "n": self.n, "interval": interval }));
            }
            other => panic!("a message {other} of the board"),
        }
        Ok(())
    }

    async fn open(&self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        assert_eq!(text(from).await?, b"forwarded-tcpip");
        let (theirs, credit) = (from.read_u32().await?, from.read_u32().await?);
        assert_eq!(from.read_u32().await?, u32::MAX);
        text(from).await?;
        let port = from.read_u32().await?;
        text(from).await?;
        from.read_u32().await?;
        tell(&json!({ "cira": "channel", "n": self.n, "port": port }));
        let port = u16::try_from(port).unwrap();
        let Ok(stream) = TcpStream::connect((self.listen.as_str(), port)).await else {
            self.say(number_message(92, &[theirs, 2, 0, 0]));
            return Ok(());
        };
        stream.set_nodelay(true)?;
        let window = u32::try_from(self.given["window"].as_u64().unwrap_or(4096)).unwrap();
        let credit = Arc::new(Semaphore::new(usize::try_from(credit).unwrap()));
        let (inner, waiting) = mpsc::unbounded_channel();
        let id = theirs + 100;
        let channel = Channel {
            theirs,
            credit: credit.clone(),
            window,
            inner,
        };
        self.channels.0.lock().unwrap().insert(id, channel);
        self.say(number_message(91, &[theirs, id, window, u32::MAX]));
        let (read, write) = stream.into_split();
        let (out, channels) = (self.out.clone(), self.channels.clone());
        tokio::spawn(inward(
            id,
            theirs,
            write,
            waiting,
            window,
            self.out.clone(),
            channels.clone(),
        ));
        tokio::spawn(async move {
            outward(theirs, read, &credit, &out).await;
            // What was closed by the board is not closed again.
            let open = channels.0.lock().unwrap().contains_key(&id);
            if open {
                let _ = out.send(number_message(97, &[theirs]));
            }
        });
        Ok(())
    }
}

/// From the board to a port of the device.
async fn inward(
    id: u32,
    theirs: u32,
    mut to: impl AsyncWrite + Unpin,
    mut waiting: mpsc::UnboundedReceiver<Vec<u8>>,
    window: u32,
    out: mpsc::UnboundedSender<Vec<u8>>,
    channels: Channels,
) {
    let mut owed = 0;
    while let Some(data) = waiting.recv().await {
        if to.write_all(&data).await.is_err() {
            return;
        }
        owed += u32::try_from(data.len()).unwrap();
        if owed >= window / 2 {
            if let Some(channel) = channels.0.lock().unwrap().get_mut(&id) {
                channel.window += owed;
            }
            let _ = out.send(number_message(93, &[theirs, owed]));
            owed = 0;
        }
    }
    let _ = to.shutdown().await;
}

/// From a port of the device to the board, as its window allows.
async fn outward(
    theirs: u32,
    mut from: impl AsyncRead + Unpin,
    credit: &Semaphore,
    out: &mpsc::UnboundedSender<Vec<u8>>,
) {
    let mut piece = [0; 2048];
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        let count = u32::try_from(count).unwrap();
        let Ok(taken) = credit.acquire_many(count).await else {
            return;
        };
        taken.forget();
        let mut message = number_message(94, &[theirs, count]);
        message.extend(&piece[..usize::try_from(count).unwrap()]);
        if out.send(message).is_err() {
            return;
        }
        // Memory of the queue to the board is not endless, nor does it have to be.
        tokio::time::sleep(Duration::ZERO).await;
    }
}

fn number_message(kind: u8, numbers: &[u32]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    out
}

fn push(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
    out.extend(text);
}

async fn text(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    assert!(length <= 1 << 20, "a text of {length} bytes");
    let mut text = vec![0; usize::try_from(length).unwrap()];
    from.read_exact(&mut text).await?;
    Ok(text)
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}
