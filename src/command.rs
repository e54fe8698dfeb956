//! What is asked, in the imperative: the only way back up to an owner. Knows no device.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use bytes::Bytes;
use futures::stream::{BoxStream, Fuse, Stream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use crate::keymap::Keymap;
use crate::line::{LineState, Order};
use crate::machine::amt::{AmtAsk, AmtDevice, AmtTold, IderStart};
use crate::machine::{BiosAttribute, Boot, LogEntry, Medium, Part, Sensor};
use crate::reset::Verb;

mod config;
mod owner;
mod switchboard;
mod text;
mod told;
mod view;

pub use config::{CertificateShown, Hidden, Trial, UserShown, UserWords};
pub use switchboard::{Asks, Commands};
pub use told::{Network, Past, Series};
pub use view::{Asked, Control, Screens, View, Viewing};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Actor {
    /// An owner of ours, by name.
    Owner(String),
    /// A person or program that signed in.
    User { name: String, from: String },
}

/// An imperative to one owner. Append variants only: postcard carries them over the control socket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Journal a person's remark.
    WriteNote {
        text: String,
    },
    /// Read oobd.toml again.
    ReloadConfig,
    /// Look for the trigger SSID at once.
    RescanUplink {
        uplink: String,
    },
    /// Dial even in mode `trigger` with the hotspot not yet seen; stays so until released.
    TakeUplinkUp {
        uplink: String,
    },
    /// Hang up and stay down until released.
    TakeUplinkDown {
        uplink: String,
    },
    /// Give the uplink back to its mode.
    ReleaseUplink {
        uplink: String,
    },
    /// The link layer under this interface is connected: get addresses (DHCPv4, RA) and write its tables.
    AddressLink {
        interface: String,
    },
    /// The link layer is gone: drop addresses, routes and lease of this interface.
    UnaddressLink {
        interface: String,
    },
    /// Check now that the board is no gateway.
    CheckGuard,
    /// Disconnect one session.
    KickSession {
        console: String,
        session: u64,
    },
    /// Hold the line in break for this long.
    SendBreak {
        console: String,
        millis: u64,
    },
    /// Set the line of a console while it runs. Answered by [`Reply::Line`].
    SetLine {
        console: String,
        order: Order,
    },
    /// Give the keyboard to this session.
    GiveWriter {
        console: String,
        session: u64,
    },
    /// Try line settings until the device speaks plainly; the outcome is an event. Nobody may be attached.
    FindLine {
        console: String,
    },
    /// Find out what the device calls itself; the outcome is an event. Nobody may be attached.
    FindName {
        console: String,
    },
    /// Begin counting anew.
    ResetCounters {
        console: String,
    },
    /// Trust the key that the console's host showed last, in place of the one that was trusted.
    TrustHost {
        console: String,
    },
    /// Switch outlets of one PDU, one after the other with its pause between. Answered by [`Reply::Started`]; the outcome
    /// is in the state and an event. Refused where an outlet feeds the board itself, its switch or its uplink, unless the
    /// device cycles by itself and `cut_myself` is set.
    SwitchOutlets {
        pdu: String,
        outlets: Vec<String>,
        verb: Verb,
        cut_myself: bool,
    },
    /// Read all of a PDU now.
    ReadPdu {
        pdu: String,
    },
    /// Ask something of a machine's power, by the first of its ways that can. Answered and refused as `SwitchOutlets`.
    SwitchMachine {
        machine: String,
        verb: Verb,
        cut_myself: bool,
    },
    /// Read the power of a machine now.
    ReadMachine {
        machine: String,
    },
    /// Let its lamp blink for so long; 0 ends it.
    IdentifyMachine {
        machine: String,
        seconds: u8,
    },
    ReadSensors {
        machine: String,
    },
    /// The newest entries of its own log.
    ReadMachineLog {
        machine: String,
        limit: u32,
    },
    ClearMachineLog {
        machine: String,
    },
    ReadBoot {
        machine: String,
    },
    SetBoot {
        machine: String,
        boot: Boot,
    },
    ReadMedia {
        machine: String,
    },
    /// Play an image to a machine: a URL its BMC can fetch, or a file of this board, which the board then serves to that BMC.
    InsertMedium {
        machine: String,
        slot: Option<String>,
        image: String,
    },
    EjectMedium {
        machine: String,
        slot: Option<String>,
    },
    ReadBios {
        machine: String,
    },
    /// Settings that wait for the next start.
    StageBios {
        machine: String,
        settings: BTreeMap<String, String>,
    },
    /// Controllers, drives, volumes.
    ReadParts {
        machine: String,
    },
    /// Trust the certificate that the device showed last, in place of the one that was trusted. The owner's name, e.g.
    /// `machine.db2`.
    TrustDevice {
        owner: String,
    },
    /// What only machines with Intel AMT have. Answered by [`Reply::Amt`].
    AskAmt {
        machine: String,
        ask: AmtAsk,
    },
    /// Find Intel AMT on a network of at most 1024 addresses. Answered by [`Reply::AmtFound`].
    ScanAmt {
        network: Ipv4Addr,
        prefix: u8,
    },
    /// Give a machine with Intel AMT a CD or a floppy or both: files of this board. Answered when it has them; they come back
    /// by themselves after a lost session, until they are ejected.
    InsertIder {
        machine: String,
        cd: Option<String>,
        floppy: Option<String>,
        /// It may write to the floppy.
        writable: bool,
        start: IderStart,
    },
    EjectIder {
        machine: String,
    },
    /// The text of oobd.toml and its hash. Answered by [`Reply::Config`].
    GetConfig,
    /// Put this text in the place of oobd.toml and in force. Refused when anything is wrong with it, when the file is no
    /// longer the one that was edited, or while another change waits to be confirmed. Answered by [`Reply::ConfigApplied`].
    ApplyConfig {
        text: Hidden,
        /// Hash of the text that was edited.
        base: String,
        #[serde(default)]
        trial: Trial,
    },
    /// The change that waits stays.
    ConfirmConfig,
    /// Back to the text before: undoes the change that waits, or else the last one. Answered by [`Reply::ConfigApplied`].
    RollbackConfig,
    /// Answered by [`Reply::Users`].
    ListUsers,
    /// A section `[user.NAME]` more. This and the next three change oobd.toml as `ApplyConfig` does, and leave the rest of it,
    /// comments too, as it stands.
    AddUser {
        user: UserWords,
        #[serde(default)]
        trial: Trial,
    },
    ChangeUser {
        user: UserWords,
        #[serde(default)]
        trial: Trial,
    },
    RemoveUser {
        name: String,
        #[serde(default)]
        trial: Trial,
    },
    /// A section `[machine.NAME]` more: the lines below its header.
    AddMachine {
        name: String,
        text: Hidden,
        #[serde(default)]
        trial: Trial,
    },
    /// Start a machine once from what a web server gives (`https://…`); it fetches that itself.
    BootFrom {
        machine: String,
        url: String,
    },
    /// The certificate of the HTTPS door. Answered by [`Reply::Certificate`].
    ShowCertificate,
    /// Show this one (PEM, the server's own first, then those that vouch for it) from the next handshake on. Without a key it
    /// is in the same text, or is the one of the request made last. Answered by [`Reply::Certificate`].
    InstallCertificate {
        certificate: String,
        #[serde(default)]
        key: Option<Hidden>,
    },
    /// Back to the one that the board made itself.
    RemoveCertificate,
    /// A request for a certificate (PKCS #10) for these names, with a new key that never leaves the board. Answered by
    /// [`Reply::CertificateRequest`].
    RequestCertificate {
        names: Vec<String>,
    },
    /// The networks that the radio of an uplink hears, after a look at all channels when `scan` is set, which takes some ten
    /// seconds and slows what runs over it meanwhile. Answered by [`Reply::Networks`].
    ListNetworks {
        uplink: String,
        #[serde(default)]
        scan: bool,
    },
    /// Signal and traffic of the last 24 hours. Answered by [`Reply::Past`].
    ReadUplinkHistory {
        uplink: String,
    },
    /// Sensors of the last 6 hours. Answered by [`Reply::Past`].
    ReadSensorHistory {
        machine: String,
    },
    /// Tell the others that an event was seen, with a note that may be empty. Answered by [`Reply::Journaled`].
    AcknowledgeEvent {
        seq: u64,
        #[serde(default)]
        note: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    Done,
    /// The sequence number of the durable event this made.
    Journaled {
        seq: u64,
    },
    /// Done, and this is what a person should know.
    Said(String),
    /// How the line stands now that it was done.
    Line(LineState),
    /// Under way; the outcome comes to the state under this number.
    Started {
        action: u64,
    },
    Sensors(Vec<Sensor>),
    MachineLog(Vec<LogEntry>),
    Boot(Boot),
    Media(Vec<Medium>),
    Bios(Vec<BiosAttribute>),
    Parts(Vec<Part>),
    Amt(AmtTold),
    AmtFound(Vec<AmtDevice>),
    Config {
        text: Hidden,
        hash: String,
    },
    /// The text of oobd.toml with this hash is in force.
    ConfigApplied {
        hash: String,
        /// Owners that had to restart.
        restarted: Vec<String>,
        /// Seconds until it comes undone, unless it is confirmed.
        confirm_within: Option<u32>,
    },
    Users(Vec<UserShown>),
    Certificate(Box<CertificateShown>),
    CertificateRequest {
        pem: String,
    },
    /// Known ones first, then the strongest.
    Networks(Vec<Network>),
    Past(Past),
}

/// Why a command was not carried out. The text is for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    #[error("there is no {what}")]
    Unknown { what: String },
    #[error("{who} may not {what}")]
    NotPermitted { who: String, what: String },
    #[error("{what} is busy: {why}")]
    Busy { what: String, why: String },
    #[error("{owner} did not answer in time")]
    NoAnswer { owner: String },
    #[error("{0}")]
    Failed(String),
}

/// Takes what came of a command.
pub type Answer = oneshot::Sender<Result<Reply, Refusal>>;

/// One thing asked of an owner.
#[derive(Debug)]
pub enum Ask {
    Command {
        actor: Actor,
        command: Command,
        reply: Answer,
    },
    Attach {
        request: Attach,
        reply: oneshot::Sender<Result<Attachment, Refusal>>,
    },
}

impl Ask {
    /// The command, for an owner without a console: who wants to join one of this name is told that there is none.
    #[must_use]
    pub fn command(self, console: &str) -> Option<(Actor, Command, Answer)> {
        match self {
            Self::Command {
                actor,
                command,
                reply,
            } => Some((actor, command, reply)),
            Self::Attach { reply, .. } => {
                let what = format!("console {console}");
                // The asker may have gone.
                let _ = reply.send(Err(Refusal::Unknown { what }));
                None
            }
        }
    }
}

/// Asks to join a console. Rights are checked by the door before it asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    pub console: String,
    pub user: String,
    /// Where the user comes from, e.g. `ssh 172.20.10.1:50122`.
    pub from: String,
    /// Wants to type. Granted when nobody else types; otherwise the session watches, and may take over later.
    /// A session that attached without it can never become the writer.
    pub write: bool,
    pub start: Start,
    /// Every byte as the device sent it, even to a watcher: for programs. Otherwise terminal queries are taken out of
    /// replays and of what watchers see.
    pub verbatim: bool,
    /// Wants [`Output::Reached`] first and after each piece.
    pub offsets: bool,
}

/// Where the output of a session begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Start {
    /// At most this many bytes before the end, at the start of a line.
    History(u32),
    /// At this offset of the stream; what the ring no longer has is a gap. One that lies ahead means now.
    Offset(u64),
}

impl Default for Start {
    fn default() -> Self {
        Self::History(0)
    }
}

/// A session on a console. Dropping it detaches, and drops what was typed and is not sent yet.
/// Dropping `input` alone ends typing: what was typed is still sent, and output goes on.
#[derive(Debug)]
pub struct Attachment {
    pub session: u64,
    pub writer: bool,
    pub output: Outputs,
    pub input: mpsc::Sender<Input>,
    /// How the line stands, now and later.
    pub line: watch::Receiver<LineState>,
    /// The keys that this console has for everybody, where the configuration says.
    pub keys: Option<Keymap>,
}

/// What a session is shown, piece by piece. A session that does not ask for more lags in the ring, nobody waits for it.
pub struct Outputs(Fuse<BoxStream<'static, Output>>);

impl Outputs {
    /// Whatever comes out of this stream; [`Output::Ended`] should be the last of it.
    #[must_use]
    pub fn new(pieces: impl Stream<Item = Output> + Send + 'static) -> Self {
        Self(pieces.boxed().fuse())
    }

    /// The next piece; `None` when the console is gone, and after the last one. Cancel-safe: a piece is given or kept.
    pub async fn recv(&mut self) -> Option<Output> {
        self.0.next().await
    }
}

impl fmt::Debug for Outputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outputs")
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    Bytes(Bytes),
    /// This many bytes were overwritten before the session read them.
    Gap {
        bytes: u64,
    },
    /// A line about the session or the port, not from the device, as in `[-- port gone --]`: show it as it is,
    /// on a line of its own.
    Notice(String),
    /// The last output: why the session ended.
    Ended(String),
    /// The stream up to this offset has been given; only for who asked for offsets.
    Reached {
        offset: u64,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    Bytes(Bytes),
    Break {
        millis: u64,
    },
    /// Become the writer; the writer so far watches from now on.
    TakeWriter,
    /// Show at most this many bytes of what the device said last once more. Watchers may, too.
    Replay {
        bytes: u32,
    },
    /// Tell in notices who is here. Watchers may, too.
    Who,
}
