//! A console owner on a pty farm: the real owner, a real journal, a pty master that plays the device.
#![allow(unreachable_pub, dead_code, reason = "shared by the tests beside it")]

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use oobd::bus::Bus;
use oobd::command::{
    Actor, Attach, Attachment, Command, Commands, Input, Output, Refusal, Reply, Start,
};
use oobd::config::{Console, Flow, Line, Parity, PortName, Record, Serial, Sessions, Transport};
use oobd::console::plug::{Plugs, Roots};
use oobd::event::{Event, Kind};
use oobd::fact;
use oobd::journal::Limits;
use oobd::state::{State, Store};
use oobd::supervisor::context::{Context, Dirs, Pulse, Ready};
use oobd::tcp::Tunnels;
use serialport::SerialPort;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_serial::SerialStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Longer than anything here takes on a loaded machine.
pub const LIMIT: Duration = Duration::from_secs(20);

/// The device side of a cable: a pty master. Dropping it is pulling the plug.
pub struct Device(pub SerialStream);

impl Device {
    pub async fn send(&mut self, data: &[u8]) {
        timeout(LIMIT, self.0.write_all(data))
            .await
            .expect("port takes no data")
            .expect("write");
    }

    /// Reads exactly so many bytes that the board typed.
    pub async fn expect(&mut self, count: usize) -> Vec<u8> {
        let mut data = vec![0; count];
        timeout(LIMIT, self.0.read_exact(&mut data))
            .await
            .expect("nothing typed")
            .expect("read");
        data
    }
}

/// One console and everything around it.
pub struct Bench {
    pub dir: TempDir,
    pub commands: Commands,
    pub store: Store,
    pub events: broadcast::Receiver<Arc<Event>>,
    pub stop: CancellationToken,
    pub tracker: TaskTracker,
    pub console: Console,
    pub owner: Option<JoinHandle<Result<(), oobd::console::Error>>>,
    /// Looks at this machine's own ports; nobody wakes the owner.
    pub plugs: Plugs,
    bus: Bus,
    _pulse: watch::Sender<u64>,
}

impl Bench {
    /// A console named `core` whose port is a symbolic link that points nowhere yet.
    pub fn new() -> Self {
        let dir = TempDir::new().expect("temporary directory");
        let store = Store::new(State::default());
        let (bus, intake) = Bus::new(store.clone());
        oobd::journal::spawn(&dir.path().join("journal"), Limits::default(), intake)
            .expect("journal");
        let console = Console {
            name: "core".into(),
            number: 1,
            transport: Transport::Serial(Serial::new(
                PortName::Path(dir.path().join("port")),
                Line {
                    baud: 115_200,
                    parity: Parity::None,
                    data_bits: 8,
                    stop_bits: 1,
                    flow: Flow::None,
                },
            )),
            ring: 64 * 1024,
            transcript: 1024 * 1024,
            sessions: Sessions::default(),
            discover: None,
            outlets: vec![],
            record: Record::default(),
            doors: vec![],
        };
        Self {
            events: bus.subscribe(),
            commands: Commands::default(),
            stop: CancellationToken::new(),
            tracker: TaskTracker::new(),
            owner: None,
            plugs: Plugs::new(Roots::default()),
            _pulse: watch::Sender::new(0),
            dir,
            store,
            bus,
            console,
        }
    }

    /// As [`Bench::new`], with a device plugged in and the owner running.
    pub async fn started() -> (Self, Device) {
        let mut bench = Self::new();
        let device = bench.plug();
        bench.start();
        bench.phase(fact::PortPhase::Open).await;
        (bench, device)
    }

    pub fn start(&mut self) {
        self.stop = CancellationToken::new();
        let context = self.context(&format!("console.{}", self.console.name));
        let (console, plugs) = (self.console.clone(), self.plugs.clone());
        self.owner = Some(tokio::spawn(async move {
            oobd::console::run(context, console, ("eth0", Tunnels::default()), plugs).await
        }));
    }

    /// What an owner of this name gets.
    pub fn context(&self, name: &str) -> Context {
        let pulse = Pulse::new(self._pulse.subscribe(), Arc::default());
        let name = name.to_owned();
        Context {
            asks: self.commands.register(&name),
            name,
            bus: self.bus.clone(),
            commands: self.commands.clone(),
            stop: self.stop.clone(),
            tracker: self.tracker.clone(),
            pulse,
            ready: Ready::new(watch::Sender::new(false), Arc::default()),
            dirs: Arc::new(Dirs {
                state: self.dir.path().join("state"),
                run: self.dir.path().join("run"),
                config: self.dir.path().join("oobd.toml"),
                notes: self.dir.path().into(),
            }),
        }
    }

    /// Stops the owner and waits for every task of its.
    pub async fn finish(&mut self) {
        self.stop.cancel();
        let owner = self.owner.take().expect("owner runs");
        timeout(Duration::from_secs(3), owner)
            .await
            .expect("owner ends in 3 s")
            .expect("no panic")
            .expect("ends well");
        self.tracker.close();
        timeout(LIMIT, self.tracker.wait())
            .await
            .expect("tasks end");
        self.tracker.reopen();
    }

    pub fn link(&self) -> PathBuf {
        self.dir.path().join("port")
    }

    /// Plugs a new device in under the console's stable name.
    pub fn plug(&self) -> Device {
        let (master, slave) = SerialStream::pair().expect("pty");
        let name = slave.name().expect("pty has a name");
        let fresh = self.dir.path().join("port.new");
        symlink(name, &fresh).expect("link");
        std::fs::rename(fresh, self.link()).expect("link");
        Device(master)
    }

    pub fn unplug(&self, device: Device) {
        drop(device);
        std::fs::remove_file(self.link()).expect("unlink");
    }

    pub async fn attach(&self, user: &str, write: bool, history: u32) -> Session {
        let request = Attach {
            console: self.console.name.clone(),
            user: user.into(),
            from: "test".into(),
            write,
            start: Start::History(history),
            ..Attach::default()
        };
        let attached = self.commands.attach(request).await.expect("attach");
        // The state follows the answer; who asks it next must not see the desk as it was before.
        let seated = |now: &fact::Console| now.sessions.iter().any(|s| s.id == attached.session);
        self.until("seated", seated).await;
        Session(attached)
    }

    pub async fn command(&self, command: Command) -> Result<Reply, Refusal> {
        let actor = Actor::User {
            name: "root".into(),
            from: "test".into(),
        };
        self.commands.send(actor, command).await
    }

    pub fn fact(&self) -> Option<fact::Console> {
        self.store.now().consoles.get(&self.console.name).cloned()
    }

    /// Waits until the state shows this of the console.
    pub async fn until(&self, what: &str, holds: impl Fn(&fact::Console) -> bool) -> fact::Console {
        let mut state = self.store.watch();
        let name = self.console.name.clone();
        let found = state.wait_for(|state| state.consoles.get(&name).is_some_and(&holds));
        let Ok(found) = timeout(LIMIT, found).await else {
            panic!("never {what}: {:?}", self.fact());
        };
        found.expect("store lives").consoles[&name].clone()
    }

    pub async fn phase(&self, phase: fact::PortPhase) -> fact::Console {
        self.until(&format!("{phase:?}"), |console| console.phase == phase)
            .await
    }

    /// The next durable event that `pick` likes.
    pub async fn event<T>(&mut self, what: &str, pick: impl Fn(&Kind) -> Option<T>) -> T {
        let search = async {
            loop {
                let event = self.events.recv().await.expect("bus lives");
                if let Some(found) = pick(&event.kind) {
                    return found;
                }
            }
        };
        timeout(LIMIT, search)
            .await
            .unwrap_or_else(|_| panic!("no event: {what}"))
    }
}

/// An attached session.
pub struct Session(pub Attachment);

impl Session {
    pub async fn type_in(&self, data: &[u8]) {
        let input = self.0.input.send(Input::Bytes(data.to_vec().into()));
        timeout(LIMIT, input)
            .await
            .expect("session takes input")
            .expect("session lives");
    }

    pub async fn give(&self, input: Input) {
        timeout(LIMIT, self.0.input.send(input))
            .await
            .expect("taken")
            .expect("session lives");
    }

    pub async fn next(&mut self) -> Output {
        timeout(LIMIT, self.0.output.recv())
            .await
            .expect("output in time")
            .expect("session lives")
    }

    /// Reads until so many bytes have come; notices in between are left out, a gap fails.
    pub async fn expect(&mut self, count: usize) -> Vec<u8> {
        let mut data = Vec::new();
        while data.len() < count {
            match self.next().await {
                Output::Bytes(bytes) => data.extend_from_slice(&bytes),
                Output::Notice(_) => {}
                other => panic!("{other:?} after {} bytes", data.len()),
            }
        }
        assert_eq!(data.len(), count);
        data
    }

    /// Skips to the next notice with this in it.
    pub async fn notice(&mut self, part: &str) -> String {
        loop {
            match self.next().await {
                Output::Notice(text) if text.contains(part) => return text,
                Output::Ended(reason) => panic!("ended ({reason}) before a notice with {part:?}"),
                _ => {}
            }
        }
    }

    /// Skips to the end and says why it came.
    pub async fn ended(&mut self) -> String {
        loop {
            if let Output::Ended(reason) = self.next().await {
                assert!(
                    timeout(LIMIT, self.0.output.recv())
                        .await
                        .expect("closes")
                        .is_none()
                );
                return reason;
            }
        }
    }
}

/// Names of the threads of this process.
pub fn threads() -> Vec<String> {
    std::fs::read_dir("/proc/self/task")
        .expect("proc")
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("comm")).ok())
        .map(|name| name.trim().to_owned())
        .collect()
}

/// Files of this process that are open and have this in their path.
pub fn open_files(part: &str) -> Vec<PathBuf> {
    std::fs::read_dir("/proc/self/fd")
        .expect("proc")
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|path| path.to_string_lossy().contains(part))
        .collect()
}

/// Polls until `holds`.
pub async fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LIMIT, "never {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// `count` bytes in which every value occurs and every position is told from its neighbours.
pub fn sample(count: usize) -> Vec<u8> {
    (0..count)
        .map(|at| u8::try_from((at / 256 * 7 + at) % 256).expect("byte"))
        .collect()
}

/// As [`sample`], without what a watcher's terminal would react to.
pub fn text(count: usize) -> Vec<u8> {
    // Neither control characters nor C1 introducers, which watchers do not see.
    let plain = |byte: u8| match byte {
        0..0x20 | 0x80..0xa0 => b'_',
        _ => byte,
    };
    sample(count).into_iter().map(plain).collect()
}
