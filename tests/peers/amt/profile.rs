//! What generations of firmware have and refuse: `"profile": "7"`, `"11.8"`, `"15"` (unless said), `"16.1"`. What a test gives
//! besides goes before it.

use crate::Machine;

/// How a device encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// 1.0, key exchange by RSA, CBC.
    Old10,
    /// 1.2, key exchange by RSA, CBC.
    Old12,
    Modern,
}

/// One generation.
#[derive(Debug)]
pub struct Profile {
    pub name: &'static str,
    /// As the `Server` header has it.
    pub version: &'static str,
    pub tls: Tls,
    /// Ports without TLS are open.
    pub plain: bool,
    /// In the first reply of redirection: major, minor.
    pub redirection: [u8; 2],
    /// Ways to sign in to redirection.
    pub auth: &'static [u8],
    pub banner: &'static [u8; 12],
    /// Power states that it takes.
    pub states: &'static [u32],
    /// The schema has the start from a URL, erasing by parts and what came with them.
    pub uefi: bool,
    /// Says yes to a switching of the power while its screen is open, and does nothing (MeshCentral#4768).
    pub swallows: bool,
    /// Gives instances of `AMT_…` by Get only (AMT 10, JC protocol-notes §2.7).
    pub get_only: bool,
}

const ALL: [Profile; 4] = [
    Profile {
        name: "7",
        version: "7.1.91",
        tls: Tls::Old10,
        plain: true,
        redirection: [1, 7],
        auth: &[1, 4],
        banner: b"RFB 003.008\n",
        states: &[2, 5, 8, 10, 11],
        uefi: false,
        swallows: false,
        get_only: true,
    },
    Profile {
        name: "11.8",
        version: "11.8.92",
        tls: Tls::Old12,
        plain: true,
        redirection: [8, 11],
        auth: &[1, 4],
        banner: b"RFB 003.008\n",
        states: &[2, 5, 8, 10, 11, 12, 14],
        uefi: false,
        swallows: true,
        get_only: true,
    },
    Profile {
        name: "15",
        version: "15.0.23",
        tls: Tls::Modern,
        plain: true,
        redirection: [0, 15],
        auth: &[4],
        banner: b"RFB 004.000\n",
        states: &[2, 5, 8, 10, 11, 12, 14],
        uefi: false,
        swallows: false,
        get_only: false,
    },
    Profile {
        name: "16.1",
        version: "16.1.30",
        tls: Tls::Modern,
        plain: false,
        redirection: [0, 16],
        auth: &[4],
        banner: b"RFB 004.000\n",
        states: &[2, 5, 8, 10, 11, 12, 14],
        uefi: true,
        swallows: false,
        get_only: false,
    },
];

impl Profile {
    pub fn of(given: &serde_json::Value) -> &'static Self {
        let name = given["profile"].as_str().unwrap_or("15");
        ALL.iter().find(|one| one.name == name).expect(name)
    }
}

impl Machine {
    pub fn version(&self) -> &str {
        match self.text("version") {
            "" => self.profile.version,
            version => version,
        }
    }

    pub fn swallows(&self) -> bool {
        self.given["swallows"]
            .as_bool()
            .unwrap_or(self.profile.swallows)
    }
}
