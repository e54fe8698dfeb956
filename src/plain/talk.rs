//! The telnet side of a connection: what was negotiated, and the encoding of what is sent. Interprets no option's payload.

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::wire::Wire;
use crate::session::Gone;
use crate::telnet::{BINARY, Change, Options, Unfold, Verb, escape};

#[derive(Debug)]
pub(super) struct Talk<'a> {
    pub(super) wire: &'a Wire,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    options: Options,
    unfold: Unfold,
    /// Data goes out as it is whatever was negotiated, as RFC 2217 clients want it.
    transparent: bool,
}

impl<'a> Talk<'a> {
    pub(super) fn new(wire: &'a Wire, ours: &[u8], theirs: &[u8], transparent: bool) -> Self {
        let state = State {
            options: Options::new(ours, theirs),
            unfold: Unfold::default(),
            transparent,
        };
        Self {
            wire,
            state: Mutex::new(state),
        }
    }

    /// Offers (WILL) or asks for (DO) these options, in this order.
    pub(super) fn open(&self, words: &[(Verb, u8)]) -> Result<(), Gone> {
        let mut out = Vec::new();
        for &(verb, option) in words {
            let mut state = self.state();
            let said = match verb {
                Verb::Will => state.options.offer(option, true),
                Verb::Wont => state.options.offer(option, false),
                Verb::Do => state.options.ask(option, true),
                Verb::Dont => state.options.ask(option, false),
            };
            if let Some((verb, option)) = said {
                out.extend(verb.message(option));
            }
        }
        self.wire.post(&out)
    }

    /// Takes a word of the client and answers it.
    pub(super) fn hear(&self, verb: Verb, option: u8) -> Result<Option<Change>, Gone> {
        let mut state = self.state();
        let heard = state.options.hear(verb, option);
        if matches!(heard.change, Some(Change::Ours(BINARY, _))) {
            state.unfold.reset();
        }
        drop(state);
        if let Some((verb, option)) = heard.answer {
            self.wire.post(&verb.message(option))?;
        }
        Ok(heard.change)
    }

    /// Does the client send data as it is?
    pub(super) fn client_is_binary(&self) -> bool {
        self.state().options.theirs(BINARY)
    }

    /// The device's bytes as they go on the wire.
    pub(super) fn encode<'b>(&self, data: &'b [u8]) -> Cow<'b, [u8]> {
        let mut state = self.state();
        let as_it_is = state.transparent || state.options.ours(BINARY);
        if as_it_is && !data.contains(&crate::telnet::IAC) {
            return Cow::Borrowed(data);
        }
        let mut out = Vec::with_capacity(data.len() + data.len() / 8 + 8);
        if as_it_is {
            escape(data, &mut out);
        } else {
            let mut lines = Vec::with_capacity(data.len() + 8);
            state.unfold.unfold(data, &mut lines);
            escape(&lines, &mut out);
        }
        Cow::Owned(out)
    }

    /// Sends data.
    pub(super) async fn data(&self, data: &[u8]) -> Result<(), Gone> {
        self.wire.send(&self.encode(data)).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
