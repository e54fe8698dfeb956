//! Which options are on at which end, by the Q method of RFC 1143: whatever the peer does, it never loops. Sends nothing
//! itself.

use super::{TIMING_MARK, Verb};

/// RFC 1143 §7, with the queue bit as a flag: the opposite was asked for before the answer came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Q {
    #[default]
    No,
    Yes,
    WantNo {
        opposite: bool,
    },
    WantYes {
        opposite: bool,
    },
}

/// An option that went on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// At our end.
    Ours(u8, bool),
    /// At the peer's end.
    Theirs(u8, bool),
}

/// What follows from one word of the peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// To be sent.
    pub answer: Option<(Verb, u8)>,
    pub change: Option<Change>,
}

#[derive(Clone, Debug)]
struct Side {
    state: [Q; 256],
    /// Taken when the peer asks for it.
    welcome: [bool; 256],
    /// Our word for on and off.
    on: Verb,
    off: Verb,
}

impl Side {
    fn new(welcome: &[u8], on: Verb, off: Verb) -> Self {
        let mut side = Self {
            state: [Q::No; 256],
            welcome: [false; 256],
            on,
            off,
        };
        for &option in welcome {
            side.welcome[usize::from(option)] = true;
        }
        side
    }

    fn is_on(&self, option: u8) -> bool {
        // While we wait for the end it is still on.
        matches!(self.state[usize::from(option)], Q::Yes | Q::WantNo { .. })
    }

    /// The peer says it does, or asks us to do.
    fn yes(&mut self, option: u8) -> (Option<Verb>, Option<bool>) {
        let welcome = self.welcome[usize::from(option)];
        let state = &mut self.state[usize::from(option)];
        let was_on = matches!(state, Q::Yes | Q::WantNo { .. });
        let (next, said) = match *state {
            Q::No if welcome => (Q::Yes, Some(self.on)),
            Q::No => (Q::No, Some(self.off)),
            Q::Yes => (Q::Yes, None),
            // An answer to our "off" with "on": RFC 1143 calls it an error of the peer.
            Q::WantNo { opposite: false } => (Q::No, None),
            Q::WantNo { opposite: true } => (Q::Yes, None),
            Q::WantYes { opposite: false } => (Q::Yes, None),
            Q::WantYes { opposite: true } => (Q::WantNo { opposite: false }, Some(self.off)),
        };
        *state = next;
        let is_on = matches!(next, Q::Yes | Q::WantNo { .. });
        (said, (is_on != was_on).then_some(is_on))
    }

    /// The peer does not, or asks us not to.
    fn no(&mut self, option: u8) -> (Option<Verb>, Option<bool>) {
        let state = &mut self.state[usize::from(option)];
        let was_on = matches!(state, Q::Yes | Q::WantNo { .. });
        let (next, said) = match *state {
            Q::No => (Q::No, None),
            Q::Yes => (Q::No, Some(self.off)),
            Q::WantNo { opposite: false } => (Q::No, None),
            Q::WantNo { opposite: true } => (Q::WantYes { opposite: false }, Some(self.on)),
            Q::WantYes { .. } => (Q::No, None),
        };
        *state = next;
        (said, was_on.then_some(false))
    }

    fn want(&mut self, option: u8, on: bool) -> Option<Verb> {
        let state = &mut self.state[usize::from(option)];
        let (next, said) = match (*state, on) {
            (Q::No, true) => (Q::WantYes { opposite: false }, Some(self.on)),
            (Q::Yes, false) => (Q::WantNo { opposite: false }, Some(self.off)),
            (Q::WantNo { .. }, on) => (Q::WantNo { opposite: on }, None),
            (Q::WantYes { .. }, on) => (Q::WantYes { opposite: !on }, None),
            (Q::No, false) | (Q::Yes, true) => (*state, None),
        };
        *state = next;
        said
    }
}

/// The options of one connection.
#[derive(Clone, Debug)]
pub struct Options {
    ours: Side,
    theirs: Side,
}

impl Options {
    /// All off. `ours` are the options that we do when asked, `theirs` those that the peer may do.
    #[must_use]
    pub fn new(ours: &[u8], theirs: &[u8]) -> Self {
        Self {
            ours: Side::new(ours, Verb::Will, Verb::Wont),
            theirs: Side::new(theirs, Verb::Do, Verb::Dont),
        }
    }

    /// Takes a word of the peer.
    pub fn hear(&mut self, verb: Verb, option: u8) -> Heard {
        // RFC 860: each DO TIMING-MARK gets its own WILL; there is no state to it.
        if option == TIMING_MARK && verb == Verb::Do {
            return Heard {
                answer: Some((Verb::Will, option)),
                change: None,
            };
        }
        let (side, yes, ours) = match verb {
            Verb::Will => (&mut self.theirs, true, false),
            Verb::Wont => (&mut self.theirs, false, false),
            Verb::Do => (&mut self.ours, true, true),
            Verb::Dont => (&mut self.ours, false, true),
        };
        let (said, change) = if yes {
            side.yes(option)
        } else {
            side.no(option)
        };
        let named = |on| match ours {
            true => Change::Ours(option, on),
            false => Change::Theirs(option, on),
        };
        Heard {
            answer: said.map(|verb| (verb, option)),
            change: change.map(named),
        }
    }

    /// We would like to do this at our end, or no longer. What to send, if anything.
    pub fn offer(&mut self, option: u8, on: bool) -> Option<(Verb, u8)> {
        self.ours.want(option, on).map(|verb| (verb, option))
    }

    /// We would like the peer to do this, or no longer. What to send, if anything.
    pub fn ask(&mut self, option: u8, on: bool) -> Option<(Verb, u8)> {
        self.theirs.want(option, on).map(|verb| (verb, option))
    }

    /// Is it on at our end?
    #[must_use]
    pub fn ours(&self, option: u8) -> bool {
        self.ours.is_on(option)
    }

    /// Is it on at the peer's end?
    #[must_use]
    pub fn theirs(&self, option: u8) -> bool {
        self.theirs.is_on(option)
    }
}
