//! The map of the house.
//!
//! Data flows one way: an owner task per device publishes [`event`]s and [`fact`]s on the [`bus`]; the
//! [`journal`] keeps the events, [`state`] keeps the facts; doors read both. The only way back up is a
//! [`command`] to an owner. `tests/layers.rs` checks who may import whom.

// Tests wait, spawn and write files as the code they test must not.
#![cfg_attr(test, allow(clippy::disallowed_methods, clippy::disallowed_types))]

pub mod access;
pub mod alarm;
pub mod amt;
pub mod api;
pub mod bmc;
pub mod bus;
pub mod cira;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod console;
pub mod control;
pub mod escape;
pub mod event;
mod event_text;
pub mod fact;
pub mod fault;
pub mod file;
pub mod history;
pub mod http;
pub mod ider;
pub mod ipmi;
pub mod journal;
pub mod keymap;
pub mod label;
pub mod line;
pub mod link;
pub mod machine;
pub mod mdns;
pub mod pattern;
pub mod pin;
pub mod plain;
pub mod power;
mod redfish;
pub mod reset;
pub mod rfb;
pub mod screen;
pub mod session;
pub mod ssh;
pub mod state;
pub mod supervisor;
pub mod support;
pub mod tcp;
pub mod telnet;
pub mod tls;
pub mod transcript;
pub mod uplink;
pub mod vnc;
pub mod wol;
