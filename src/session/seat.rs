//! A seat at a console: who may have one, and the session from attach to end. Looks rights up once, at the start.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::power::{Panel, Power};
use super::show::show;
use super::typing::Typing;
use super::{Ended, Gone, Keyboard, Manner, Screen};
use crate::access::{Person, Right};
use crate::command::{Attach, Commands, Input, Outputs};
use crate::escape::{Action, Escape};
use crate::keymap::Keymap;
use crate::line::LineState;

/// Who wants to sit down, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    pub console: String,
    pub user: String,
    /// As others on the console see it, e.g. `telnet 10.0.0.7:50122`.
    pub from: String,
    /// May this client ever type here?
    pub types: bool,
    /// Keys of the menu that this person has on every console.
    pub keys: Option<Keymap>,
}

impl Guest {
    /// A person who signed in, with the rights of this moment.
    ///
    /// # Errors
    /// The refusal, for the person.
    pub fn of(person: &Person, console: &str, from: String) -> Result<Self, String> {
        person.may(Right::WatchConsole(console))?;
        Ok(Self {
            console: console.to_owned(),
            user: person.name.clone(),
            from,
            types: person.may(Right::TypeOnConsole(console)).is_ok(),
            keys: person.keys_inside.clone(),
        })
    }

    /// Attaches.
    ///
    /// # Errors
    /// Why the console refused, for the person.
    pub async fn sit(self, commands: &Commands, mut manner: Manner) -> Result<Seat, String> {
        let request = Attach {
            console: self.console.clone(),
            user: self.user,
            from: self.from,
            write: self.types,
            start: manner.start,
            verbatim: manner.verbatim,
            offsets: manner.offsets,
        };
        let attached = commands.attach(request).await.map_err(|e| e.to_string())?;
        if let Some(keys) = self.keys.or(attached.keys)
            && manner.escape.is_some()
        {
            manner.escape = Some(Escape::new(keys));
        }
        Ok(Seat {
            console: self.console,
            session: attached.session,
            types: self.types,
            writer: attached.writer,
            line: attached.line,
            manner,
            power: None,
            output: attached.output,
            input: attached.input,
        })
    }
}

/// A place at a console. Dropping it detaches.
#[derive(Debug)]
pub struct Seat {
    pub console: String,
    /// The console's number of this session.
    pub session: u64,
    /// May ever type here.
    pub types: bool,
    /// Had the keyboard at the start.
    pub writer: bool,
    /// How the line stands, live.
    pub line: watch::Receiver<LineState>,
    manner: Manner,
    power: Option<Arc<dyn Power>>,
    output: Outputs,
    input: mpsc::Sender<Input>,
}

impl Seat {
    /// With outlets to switch from inside.
    #[must_use]
    pub fn with_power(mut self, power: Arc<dyn Power>) -> Self {
        self.power = Some(power);
        self
    }

    /// Stays until one side has had enough, or until `over` says why not to; then tells the client how it ended.
    ///
    /// # Errors
    /// [`Gone`]: there is nobody to tell.
    pub async fn run(
        mut self,
        screen: &impl Screen,
        keyboard: &mut impl Keyboard,
        over: impl Future<Output = String>,
    ) -> Result<Ended, Gone> {
        if self.manner.person {
            screen.say(&self.greeting()).await?;
        }
        let heard = Mutex::new(Instant::now());
        let showing = show(&mut self.output, screen, &heard);
        let typing = Typing {
            keyboard,
            screen,
            input: &self.input,
            types: self.types,
            // A person may take the keyboard later; a program cannot.
            unheard: (!self.manner.person && !self.writer)
                .then(|| unheard(&self.console, self.types)),
            escape: self.manner.escape.take(),
            doubled: self.manner.doubled,
            chooser: self.manner.chooser,
            console: &self.console,
            answer: self.manner.answer,
            queue: VecDeque::new(),
            waiting: 0,
            told: false,
            panel: Panel::new(&self.console, self.power.take()),
        };
        let ended = tokio::select! {
            // None is polled again after another has ended, so nothing needs to be cancel-safe here.
            ended = showing => ended?,
            ended = typing.run(&heard) => ended?,
            why = over => Ended::Port(why),
        };
        screen
            .ended(&crate::access::printable(&self.console), &ended)
            .await?;
        Ok(ended)
    }

    fn greeting(&self) -> String {
        let seat = match (self.types, self.writer) {
            (true, true) => "you type",
            (true, false) => "somebody else types, you watch",
            (false, _) => "you watch",
        };
        let console = &self.console;
        let Some(escape) = &self.manner.escape else {
            return format!("[-- {console}: {seat} --]\n");
        };
        let key = |action| escape.keymap().shown(action);
        let take = if self.types && !self.writer {
            format!(" {} take the keyboard,", key(Action::TakeWriter))
        } else {
            String::new()
        };
        let (quit, help) = (key(Action::Quit), key(Action::Help));
        let doubled = if self.manner.doubled && escape.keymap().is_openssh() {
            format!("; OpenSSH keeps the first ~: type ~{quit} and ~{help}")
        } else {
            String::new()
        };
        format!("[-- {console}: {seat}.{take} {quit} leave, {help} help{doubled} --]\n")
    }
}

/// What a program is told that sends where nobody listens.
fn unheard(console: &str, types: bool) -> String {
    let why = if types {
        "somebody else types here"
    } else {
        "your role only watches"
    };
    format!("{console}: {why}; nothing was sent")
}
