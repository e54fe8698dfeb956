//! What happened, in the past tense: the closed vocabulary of the journal. Imports nothing of ours but the clock.
//!
//! The postcard bytes of [`Event`] live on flash. Append variants and never reorder, rename fields only;
//! a field is never added to, removed from or retyped in an existing variant: make a new variant.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::reset::{Outcome, PowerState, Verb};

mod severity;

/// One journaled happening.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// 1, 2, 3 … over the life of the board, reboots included; the order of events.
    pub seq: u64,
    pub at: Timestamp,
    pub severity: Severity,
    /// Name of the owner that says so, e.g. `uplink.hotspot`.
    pub source: String,
    pub kind: Kind,
}

/// RFC 5424 severities, most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Emergency,
    Alert,
    Critical,
    Error,
    Warning,
    Notice,
    Info,
    Debug,
}

/// Why a hotspot with a trigger SSID was not used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HotspotFault {
    /// It has no encryption and the configuration does not say `open = true`.
    Open,
    /// The access point refused our passphrase.
    WrongPassphrase,
    /// Another access point of the same SSID, not secured as configured, is on air beside a good one,
    /// or one that rejects the passphrase which a twin accepts.
    EvilTwin,
    /// Authentication or association failed for another reason (IEEE 802.11 status or reason code in the text).
    Rejected(String),
    /// It only offers what we never use (WEP, TKIP, enterprise).
    Security(String),
}

/// What the guard found that could make this board a gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breach {
    /// A forwarding switch is on; the text is the sysctl.
    Forwarding(String),
    /// A default route outside our tables; the text is the route.
    DefaultRoute(String),
    /// A routing rule of ours is missing or a foreign one shadows it.
    Rules(String),
    /// Our nftables table is not what we loaded.
    Firewall(String),
    /// A masquerade, snat or dnat rule, or a bridge between our links.
    Translation(String),
    /// Another sysctl of the recipe is off its value.
    Setting(String),
}

/// What happened. See the module comment before touching this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Kind {
    SupervisorStarted {
        version: String,
        boot_id: String,
    },
    SupervisorReady {
        after_ms: u64,
    },
    SupervisorStopped {
        reason: String,
    },
    OwnerFailed {
        owner: String,
        reason: String,
        restart_in_ms: u64,
    },
    ConfigApplied {
        restarted: Vec<String>,
    },
    ConfigRefused {
        file: String,
        problems: Vec<String>,
    },
    JournalRecovered {
        segment: String,
        lost_bytes: u64,
    },
    LinkUp {
        interface: String,
    },
    LinkDown {
        interface: String,
    },
    LinkAdded {
        interface: String,
    },
    LinkRemoved {
        interface: String,
    },
    LeaseAcquired {
        interface: String,
        address: String,
        gateway: Option<IpAddr>,
        dns: Vec<IpAddr>,
    },
    LeaseLost {
        interface: String,
        reason: String,
    },
    /// A router advertisement gave the link an IPv6 way out.
    RouterFound {
        interface: String,
        router: IpAddr,
        prefixes: Vec<String>,
    },
    RouterLost {
        interface: String,
        router: IpAddr,
    },
    GuardBreached {
        breach: Breach,
        undone: bool,
    },
    GuardRestored,
    SupplicantLost {
        interface: String,
        reason: String,
    },
    SupplicantFound {
        interface: String,
    },
    HotspotSeen {
        uplink: String,
        ssid: String,
        bssid: String,
        signal_dbm: i32,
        frequency_mhz: u32,
    },
    HotspotLost {
        uplink: String,
        ssid: String,
    },
    HotspotRefused {
        uplink: String,
        ssid: String,
        bssid: String,
        fault: HotspotFault,
    },
    UplinkAssociated {
        uplink: String,
        ssid: String,
        bssid: String,
        security: String,
    },
    UplinkUp {
        uplink: String,
        address: String,
        after_ms: u64,
    },
    UplinkDown {
        uplink: String,
        reason: String,
    },
    UplinkFailed {
        uplink: String,
        reason: String,
        retry_in_ms: u64,
    },
    InternetFound {
        uplink: String,
        target: String,
    },
    InternetLost {
        uplink: String,
        reason: String,
    },
    OobEntered {
        uplink: String,
    },
    OobLeft {
        uplink: String,
    },
    ConsoleOpened {
        console: String,
        port: String,
    },
    ConsoleLost {
        console: String,
        reason: String,
    },
    SessionOpened {
        console: String,
        session: u64,
        user: String,
        from: String,
        writer: bool,
    },
    SessionClosed {
        console: String,
        session: u64,
        user: String,
        reason: String,
    },
    WriterChanged {
        console: String,
        session: u64,
        user: String,
    },
    BreakSent {
        console: String,
        user: String,
        millis: u64,
    },
    SignInAccepted {
        door: String,
        user: String,
        from: String,
        method: String,
    },
    SignInRefused {
        door: String,
        user: String,
        from: String,
        reason: String,
    },
    ForwardOpened {
        user: String,
        from: String,
        to: String,
    },
    ForwardRefused {
        user: String,
        from: String,
        to: String,
        reason: String,
    },
    ForwardClosed {
        user: String,
        to: String,
        sent: u64,
        received: u64,
    },
    CommandGiven {
        actor: String,
        command: String,
        outcome: String,
    },
    NoteWritten {
        actor: String,
        text: String,
    },
    /// An SSH host key could not be used and was replaced: clients warn from now on.
    HostKeyReplaced {
        file: String,
        reason: String,
    },
    /// What this console receives is no longer stored; it works on without.
    TranscriptFailed {
        console: String,
        reason: String,
    },
    TranscriptResumed {
        console: String,
        lost_bytes: u64,
    },
    /// A person set the line; the text is what was asked, as in `set 9600 baud`.
    LineSet {
        console: String,
        user: String,
        order: String,
    },
    /// A modem line that the device drives has changed.
    SignalChanged {
        console: String,
        signal: String,
        on: bool,
    },
    /// Nothing is plugged in any more at the device's end of the cable, or it has no power.
    CableUnplugged {
        console: String,
        signal: String,
    },
    CableBack {
        console: String,
        signal: String,
    },
    /// A pattern of oobd.toml was found in a line of the device.
    PatternSeen {
        console: String,
        pattern: String,
        line: String,
        severity: Severity,
    },
    /// The device has said nothing for this long.
    ConsoleSilent {
        console: String,
        seconds: u64,
    },
    /// The device speaks again.
    ConsoleHeard {
        console: String,
        seconds: u64,
    },
    /// Somebody signed in on the device itself, as its own lines tell.
    DeviceLogin {
        console: String,
        user: String,
    },
    DeviceLogout {
        console: String,
        user: String,
    },
    /// The line settings at which the device speaks plainly.
    LineFound {
        console: String,
        line: String,
    },
    LineNotFound {
        console: String,
        reason: String,
    },
    /// What the device calls itself.
    NameFound {
        console: String,
        name: String,
    },
    NameNotFound {
        console: String,
        reason: String,
    },
    /// What a console receives no longer reaches the syslog server; it waits on flash.
    ExportFailed {
        console: String,
        to: String,
        reason: String,
    },
    ExportResumed {
        console: String,
        to: String,
        lost_bytes: u64,
    },
    /// A device's host key or certificate is not the one that was pinned.
    PinMismatch {
        what: String,
        pinned: String,
        found: String,
    },
    /// A device's host key or certificate was seen for the first time and is trusted from now on.
    Pinned {
        what: String,
        fingerprint: String,
    },
    /// The last session left a console, and the board typed what `on_last_detach` says.
    DetachStringTyped {
        console: String,
        bytes: u64,
    },
    /// The certificate that the board made itself could not be used and was replaced: browsers warn from now on.
    CertificateReplaced {
        file: String,
        reason: String,
    },
    /// The certificate of oobd.toml is over, as far as the board's clock tells. It stays in use.
    CertificateExpired {
        fingerprint: String,
    },
    /// The device gave cause for so many more events than one console may make.
    EventsLeftOut {
        console: String,
        count: u64,
    },
    /// The intent, before anything is asked of the device; [`Kind::OutletSwitched`] follows it.
    OutletSwitching {
        pdu: String,
        outlet: String,
        verb: Verb,
        by: String,
        action: u64,
    },
    OutletSwitched {
        pdu: String,
        outlet: String,
        verb: Verb,
        by: String,
        action: u64,
        outcome: Outcome,
        millis: u64,
        why: String,
    },
    /// The power of an outlet has changed, and we did not ask for it.
    OutletChanged {
        pdu: String,
        outlet: String,
        state: PowerState,
    },
    PduLost {
        pdu: String,
        reason: String,
    },
    PduFound {
        pdu: String,
    },
    /// The tokens of a UPS's status, as NUT spells them.
    UpsChanged {
        ups: String,
        status: Vec<String>,
        severity: Severity,
    },
    UpsLost {
        ups: String,
        reason: String,
    },
    UpsFound {
        ups: String,
    },
    /// The intent, before anything is asked; [`Kind::MachineSwitched`] follows it.
    MachineSwitching {
        machine: String,
        verb: Verb,
        by: String,
        action: u64,
    },
    MachineSwitched {
        machine: String,
        verb: Verb,
        by: String,
        action: u64,
        outcome: Outcome,
        millis: u64,
        /// What was tried, in order, one sentence each.
        trail: Vec<String>,
    },
    MachineChanged {
        machine: String,
        state: PowerState,
    },
    MachineLost {
        machine: String,
        reason: String,
    },
    MachineFound {
        machine: String,
    },
    /// A new entry of the machine's own log.
    MachineLogged {
        machine: String,
        part: String,
        text: String,
        severity: Severity,
    },
    /// Somebody looks at its screen, or types there, too.
    ScreenOpened {
        machine: String,
        user: String,
        from: String,
        control: bool,
    },
    ScreenClosed {
        machine: String,
        user: String,
    },
    /// The machine has drives of this board, by IDE redirection; anew after it had lost them.
    IderOpened {
        machine: String,
        /// Files of this board.
        cd: Option<String>,
        floppy: Option<String>,
        /// The machine may write to the floppy.
        writable: bool,
        by: String,
    },
    /// The session broke; it is tried again.
    IderLost {
        machine: String,
        reason: String,
    },
    /// Taken out.
    IderClosed {
        machine: String,
        by: String,
        /// Bytes that the machine read and wrote.
        read: u64,
        written: u64,
    },
    /// The management engine of a machine called in (CIRA) and is reached through its tunnel from now on.
    CiraOpened {
        machine: String,
        from: String,
    },
    CiraClosed {
        machine: String,
        reason: String,
    },
    /// oobd.toml was changed from inside.
    ConfigChanged {
        by: String,
        /// As in `user bob added`.
        what: String,
        /// Comes undone after so many seconds, unless it is confirmed.
        confirm_within: Option<u32>,
    },
    ConfigConfirmed {
        by: String,
    },
    /// The configuration before is in force again.
    ConfigReverted {
        by: String,
        reason: String,
    },
    /// The HTTPS door shows another certificate from now on: clients that pinned the one before warn.
    CertificateChanged {
        by: String,
        fingerprint: String,
        /// Where it is from, as in `installed`.
        origin: String,
    },
    /// Another host of a link has the name that the board tells there; it tells this one now.
    NameTaken {
        interface: String,
        name: String,
        by: String,
        now: String,
    },
    /// A management engine called in (CIRA) with one UUID, and tells another of its machine: mixed up, or an impostor.
    AmtMistaken {
        machine: String,
        called: String,
        told: String,
    },
    /// A person has seen an event, and says so to the others.
    EventAcknowledged {
        /// Its sequence number.
        event: u64,
        by: String,
        /// May be empty.
        note: String,
    },
}
