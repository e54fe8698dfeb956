//! One conversation over any byte stream: the control socket's, or the SSH door's for commands it runs in-process.
//! Looks rights up at each step; knows no device.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::access::{Directory, Person, Right};
use crate::bus::Bus;
use crate::clock::Instant;
use crate::command::{Attach, Command, Commands, Input, Output, Refusal, Start};
use crate::event::{Event, Kind};
use crate::journal;
use crate::session::Panel;
use crate::state::{State, Store};
use crate::supervisor::context::{Context, Dirs};

use super::act::Outcome;
use super::follow::Follow;
use super::log;
use super::outlets;
use super::power::PersonsPower;
use super::view;
use super::wire::{self, Error, Query, Request, Response, Wire};

/// A watcher of the state gets no more than five pictures a second; a screen shows no more. After a time without changes the
/// next [`PICTURES_AHEAD`] come at once, for somebody may be waiting for what one of them shows.
const PICTURE_PAUSE: Duration = Duration::from_millis(200);
const PICTURES_AHEAD: u32 = 10;
/// Bytes of events per frame; the longest event still fits behind it.
const EVENTS_FRAME: usize = wire::LONGEST_FRAME / 4;
/// Bytes of a picture per frame.
const PICTURE_FRAME: usize = wire::LONGEST_FRAME / 4;
/// Bytes of an archive per frame.
const PIECE: usize = 64 * 1024;

/// The rooms a conversation may ask. Cheap to clone.
#[derive(Clone, Debug)]
pub struct House {
    owner: String,
    bus: Bus,
    commands: Commands,
    access: Arc<Directory>,
    store: Store,
    journal: journal::Reader,
    dirs: Arc<Dirs>,
    stop: CancellationToken,
}

impl House {
    /// The rooms as the door with this context reaches them; its name is the source of events.
    #[must_use]
    pub fn of(
        ctx: &Context,
        access: Arc<Directory>,
        store: Store,
        journal: journal::Reader,
    ) -> Self {
        Self {
            owner: ctx.name.clone(),
            bus: ctx.bus.clone(),
            commands: ctx.commands.clone(),
            access,
            store,
            journal,
            dirs: ctx.dirs.clone(),
            stop: ctx.stop.clone(),
        }
    }

    /// Journals an event of the door.
    pub(super) async fn publish(&self, kind: Kind) {
        // An error means that the board stops.
        let _ = self.bus.publish(&self.owner, kind).await;
    }

    /// As [`House::publish`], without waiting for flash.
    pub(super) async fn begin(&self, kind: Kind) {
        let _ = self.bus.begin(&self.owner, kind).await.map(drop);
    }

    pub(super) fn access(&self) -> &Directory {
        &self.access
    }

    /// Where oobd keeps things.
    pub(super) fn dirs(&self) -> Arc<Dirs> {
        self.dirs.clone()
    }

    /// The folder of what survives a reboot.
    pub(super) fn state_dir(&self) -> &Path {
        &self.dirs.state
    }

    /// oobd.toml.
    pub(super) fn config(&self) -> &Path {
        &self.dirs.config
    }

    pub(super) fn commands(&self) -> &Commands {
        &self.commands
    }

    pub(super) fn journal(&self) -> journal::Reader {
        self.journal.clone()
    }

    pub(super) fn bus(&self) -> Bus {
        self.bus.clone()
    }

    /// Durable events from now on.
    pub(super) fn subscribe(&self) -> tokio::sync::broadcast::Receiver<Arc<Event>> {
        self.bus.subscribe()
    }

    pub(super) fn state(&self) -> State {
        self.store.now()
    }

    /// The state, as it changes.
    pub(super) fn watch(&self) -> tokio::sync::watch::Receiver<State> {
        self.store.watch()
    }

    /// What this person may see of the state now.
    #[must_use]
    pub fn state_for(&self, person: &Person) -> State {
        view::state(self.store.now(), person)
    }
}

/// Who is at the other end; the door has made sure of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Who runs the board: needs no entry in oobd.toml, and no reload takes the rights away.
    Root,
    /// A user of oobd.toml, by name.
    User(String),
}

/// One conversation's other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub identity: Identity,
    /// For the journal and for others on a console, e.g. `ssh 172.20.10.1:50122`.
    pub from: String,
}

impl Caller {
    /// Rights as they are now.
    pub(super) fn person(&self, house: &House) -> Result<Arc<Person>, Response> {
        match &self.identity {
            Identity::Root => Ok(Arc::new(Person::root("root@console"))),
            Identity::User(name) => house.access.person(name).ok_or_else(|| {
                let name = crate::access::printable(name);
                Response::Denied(format!("there is no user {name} (any more)"))
            }),
        }
    }
}

/// Serves one client until it hangs up or the board stops. Dropping it is safe at any moment: an attachment detaches.
///
/// # Errors
/// Why the conversation broke off; nobody else is concerned.
pub async fn serve<S>(caller: Caller, stream: S, house: House) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let stop = house.stop.clone();
    let mut conversation = Conversation {
        caller,
        wire: Wire::new(stream),
        house,
    };
    tokio::select! {
        // cancel-safe: the conversation is over
        () = stop.cancelled() => Ok(()),
        // cancel-safe: polled to its end or dropped for good
        outcome = conversation.talk() => match outcome {
            Err(Error::Closed) => Ok(()),
            other => other,
        },
    }
}

/// A session on a console that a client asks for.
struct Wanted {
    console: String,
    write: bool,
    history: u32,
    /// The client finds the escape sequences itself and wants to know the keys.
    keys: bool,
}

struct Conversation<S> {
    caller: Caller,
    wire: Wire<S>,
    house: House,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Conversation<S> {
    async fn talk(&mut self) -> Result<(), Error> {
        loop {
            let request = self.wire.receive().await?;
            let person = match self.caller.person(&self.house) {
                Ok(person) => person,
                Err(denied) => {
                    self.wire.send(&denied).await?;
                    continue;
                }
            };
            let keys = matches!(request, Request::Join { .. });
            match request {
                Request::State => {
                    let state = self.house.state_for(&person);
                    self.wire.send(&Response::State(Box::new(state))).await?;
                }
                Request::WatchState => return self.watch_state().await,
                Request::Events(query) if query.follow => return self.follow(query).await,
                Request::Events(query) => {
                    self.history(query, &person).await?;
                    self.wire.send(&Response::End).await?;
                }
                Request::Command(command) => {
                    let response = self.carry_out(command, &person).await;
                    self.wire.send(&response).await?;
                }
                Request::SwitchOutlets {
                    words,
                    verb,
                    cut_myself,
                } => {
                    let wanted = (words.as_slice(), verb, cut_myself);
                    let begun = outlets::begin_all(&self.house, &person, &self.caller, wanted);
                    let response = match Box::pin(begun).await {
                        Ok(begun) => tokio::select! {
                            // cancel-safe: it only looks
                            answer = outlets::answer(&self.house, begun) => answer,
                            // cancel-safe as Wire::receive() says; anything but a hang-up is against the rules
                            ended = self.wire.receive::<Request>() => return ended.map(drop),
                        },
                        Err(refused) => refused,
                    };
                    self.wire.send(&response).await?;
                }
                Request::Attach {
                    console,
                    write,
                    history,
                }
                | Request::Join {
                    console,
                    write,
                    history,
                } => {
                    let wanted = Wanted {
                        console,
                        write,
                        history,
                        keys,
                    };
                    return self.attach(wanted, &person).await;
                }
                Request::CheckConfig { text } => {
                    let response = self.check_config(text, &person).await;
                    self.wire.send(&response).await?;
                }
                Request::Log { console, query } => {
                    let done =
                        log::answer(&mut self.wire, &self.house, &self.caller, &console, query);
                    done.await?;
                }
                Request::Snapshot { machine } => self.snapshot(&machine, &person).await?,
                Request::SupportBundle => self.support_bundle(&person).await?,
                Request::Input(_) | Request::OpenMenu | Request::MenuKeys(_) => {
                    let fault = Refusal::Failed("no console is attached".into());
                    self.wire.send(&Response::Refused(fault)).await?;
                }
            }
        }
    }

    async fn support_bundle(&mut self, person: &Person) -> Result<(), Error> {
        let made = self.house.support_bundle(person, &self.caller.from);
        let last = match Box::pin(made).await {
            Ok(archive) => {
                let archive = bytes::Bytes::from(archive);
                for at in (0..archive.len()).step_by(PIECE) {
                    let piece = archive.slice(at..archive.len().min(at + PIECE));
                    self.wire.send(&Response::Piece(piece)).await?;
                }
                Response::End
            }
            Err(Outcome::Denied(sentence)) => Response::Denied(sentence),
            Err(Outcome::Refused(refusal)) => Response::Refused(refusal),
            Err(Outcome::Done(reply)) => Response::Done(reply),
        };
        self.wire.send(&last).await
    }

    async fn watch_state(&mut self) -> Result<(), Error> {
        let mut states = self.house.store.watch();
        let mut changes = self.house.access.changes();
        // When the picture would have been due that is sent next, had they come evenly.
        let mut due = Instant::now();
        loop {
            let person = match self.caller.person(&self.house) {
                Ok(person) => person,
                Err(denied) => return self.wire.send(&denied).await,
            };
            let state = view::state(states.borrow_and_update().clone(), &person);
            self.wire.send(&Response::State(Box::new(state))).await?;
            tokio::select! {
                // cancel-safe per docs on watch::Receiver::changed(); an error means the board stops
                changed = states.changed() => if changed.is_err() { return Ok(()) },
                // cancel-safe as Changes::next() says
                () = changes.next() => {}
                // cancel-safe as Wire::receive() says; anything but a hang-up is against the rules
                ended = self.wire.receive::<Request>() => return ended.map(drop),
            }
            let now = Instant::now();
            due = due.max(now) + PICTURE_PAUSE;
            sleep((due - now).saturating_sub(PICTURE_PAUSE * PICTURES_AHEAD)).await;
        }
    }

    /// Sends what the journal has.
    async fn history(&mut self, query: Query, person: &Person) -> Result<(), Error> {
        let mut events = Follow::new(&self.house, query);
        loop {
            match events.past(person).await {
                Ok(Some(some)) => self.send_events(some).await?,
                Ok(None) => return Ok(()),
                Err(refusal) => {
                    self.wire.send(&Response::Refused(refusal)).await?;
                    return Err(Error::Closed);
                }
            }
        }
    }

    async fn send_events(&mut self, events: Vec<Event>) -> Result<(), Error> {
        let mut frame = Vec::new();
        let mut size = 0;
        for event in events {
            let length = postcard::to_stdvec(&event).map_err(Error::Frame)?.len();
            if size + length > EVENTS_FRAME && !frame.is_empty() {
                let full = std::mem::take(&mut frame);
                self.wire.send(&Response::Events(full)).await?;
                size = 0;
            }
            size += length;
            frame.push(event);
        }
        if frame.is_empty() {
            return Ok(());
        }
        self.wire.send(&Response::Events(frame)).await
    }

    async fn follow(&mut self, query: Query) -> Result<(), Error> {
        let mut events = Follow::new(&self.house, query);
        let mut changes = self.house.access.changes();
        loop {
            let person = match self.caller.person(&self.house) {
                Ok(person) => person,
                Err(denied) => return self.wire.send(&denied).await,
            };
            tokio::select! {
                // cancel-safe as Follow::next() says
                some = events.next(&person) => match some {
                    Ok(Some(some)) => self.send_events(some).await?,
                    Ok(None) => return Ok(()),
                    Err(refusal) => {
                        self.wire.send(&Response::Refused(refusal)).await?;
                        return Err(Error::Closed);
                    }
                },
                // cancel-safe as Changes::next() says
                () = changes.next() => {}
                // cancel-safe as Wire::receive() says; anything but a hang-up is against the rules
                ended = self.wire.receive::<Request>() => return ended.map(drop),
            }
        }
    }

    async fn carry_out(&self, command: Command, person: &Person) -> Response {
        let from = &self.caller.from;
        match self.house.carry_out(command, person, from).await {
            Outcome::Done(reply) => Response::Done(reply),
            Outcome::Refused(refusal) => Response::Refused(refusal),
            Outcome::Denied(sentence) => Response::Denied(sentence),
        }
    }

    async fn snapshot(&mut self, machine: &str, person: &Person) -> Result<(), Error> {
        let from = self.caller.from.clone();
        let shown = Box::pin(self.house.snapshot(machine, person, &from)).await;
        match shown {
            Err(refusal) => self.wire.send(&Response::Refused(refusal)).await,
            Ok(png) => {
                for piece in png.chunks(PICTURE_FRAME) {
                    self.wire.send(&Response::Picture(piece.to_vec())).await?;
                }
                self.wire.send(&Response::End).await
            }
        }
    }

    async fn attach(&mut self, wanted: Wanted, person: &Person) -> Result<(), Error> {
        let Wanted {
            console,
            write,
            history,
            keys,
        } = wanted;
        if let Err(sentence) = person.may(Right::WatchConsole(&console)) {
            return self.wire.send(&Response::Denied(sentence)).await;
        }
        let may_type = |person: &Person| person.may(Right::TypeOnConsole(&console)).is_ok();
        let request = Attach {
            console: console.clone(),
            user: person.name.clone(),
            from: self.caller.from.clone(),
            write: write && may_type(person),
            start: Start::History(history),
            ..Attach::default()
        };
        let mut attachment = match self.house.commands.attach(request).await {
            Ok(attachment) => attachment,
            Err(refusal) => return self.wire.send(&Response::Refused(refusal)).await,
        };
        let (session, writer) = (attachment.session, attachment.writer);
        let attached = if keys {
            let own = person.keys_inside.clone().or(attachment.keys.take());
            let keys = own.unwrap_or_default();
            Response::Joined {
                session,
                writer,
                keys,
            }
        } else {
            Response::Attached { session, writer }
        };
        self.wire.send(&attached).await?;
        let power = PersonsPower::new(self.house.clone(), self.caller.clone());
        let mut panel = Panel::new(&console, Some(Arc::new(power)));
        let mut changes = self.house.access.changes();
        // One input that the port has no room for yet; the client waits with the next.
        let mut waiting: Option<Input> = None;
        loop {
            tokio::select! {
                // cancel-safe as Outputs::recv() says
                output = attachment.output.recv() => {
                    let ended = matches!(output, None | Some(Output::Ended(_)));
                    let output = output.unwrap_or_else(|| Output::Ended("the console ended".into()));
                    self.wire.send(&Response::Output(output)).await?;
                    if ended {
                        return Ok(());
                    }
                }
                // cancel-safe per docs on Sender::reserve(): only a place in the queue is lost
                permit = attachment.input.reserve(), if waiting.is_some() => {
                    let Ok(permit) = permit else {
                        let ended = Output::Ended("the console ended".into());
                        return self.wire.send(&Response::Output(ended)).await;
                    };
                    if let Some(input) = waiting.take() {
                        permit.send(input);
                    }
                }
                // cancel-safe as Wire::receive() says
                request = self.wire.receive(), if waiting.is_none() => {
                    let input = match request? {
                        // What comes as input is no answer to the menu's question.
                        Request::Input(input) => {
                            panel.close();
                            input
                        }
                        Request::OpenMenu => {
                            let lines = panel.open();
                            self.say_menu(lines, Some(panel.is_open())).await?;
                            continue;
                        }
                        Request::MenuKeys(keys) => {
                            let (lines, rest) = panel.take(&keys);
                            self.say_menu(lines, Some(panel.is_open())).await?;
                            if rest.is_empty() {
                                continue;
                            }
                            Input::Bytes(rest.to_vec().into())
                        }
                        _ => {
                            let why = "only input can be sent to a console";
                            let fault = Refusal::Failed(why.into());
                            return self.wire.send(&Response::Refused(fault)).await;
                        }
                    };
                    let allowed = self.caller.person(&self.house).is_ok_and(|now| may_type(&now));
                    // Who watches may ask what was said and who is there.
                    if allowed || matches!(input, Input::Replay { .. } | Input::Who) {
                        waiting = Some(input);
                    } else {
                        let notice = Output::Notice("[-- you may watch this console only --]".into());
                        self.wire.send(&Response::Output(notice)).await?;
                    }
                }
                // cancel-safe: see Panel::over
                lines = panel.over() => self.say_menu(lines, None).await?,
                // cancel-safe as Changes::next() says
                () = changes.next() => {
                    let still = self.caller.person(&self.house);
                    if !still.is_ok_and(|now| now.may(Right::WatchConsole(&console)).is_ok()) {
                        let ended = Output::Ended("your rights on this console were taken away".into());
                        return self.wire.send(&Response::Output(ended)).await;
                    }
                }
            }
        }
    }

    /// What the power menu says, and whether it has the keys from now on.
    async fn say_menu(&mut self, lines: Vec<String>, open: Option<bool>) -> Result<(), Error> {
        for line in lines {
            let notice = Output::Notice(format!("[-- {line} --]"));
            self.wire.send(&Response::Output(notice)).await?;
        }
        match open {
            Some(open) => self.wire.send(&Response::Menu { open }).await,
            None => Ok(()),
        }
    }

    async fn check_config(&self, text: Option<String>, person: &Person) -> Response {
        match self.house.check_config(text, person).await {
            Ok((file, problems)) => Response::Checked { file, problems },
            Err(Outcome::Denied(sentence)) => Response::Denied(sentence),
            Err(Outcome::Refused(refusal)) => Response::Refused(refusal),
            Err(Outcome::Done(reply)) => Response::Done(reply),
        }
    }
}
