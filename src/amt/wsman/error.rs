//! Why AMT did not do what was asked.

use crate::http;

/// What went wrong. Every one names the device by its address.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer that could be used: see what it says about what was done.
    #[error(transparent)]
    Http(#[from] http::Error),
    #[error("{host} does not take the password of {user}")]
    WrongPassword { host: String, user: String },
    /// It answered that this cannot be done; nothing was done.
    #[error("{host}: {what}: {code}{}", said(reason))]
    Faulted {
        host: String,
        what: String,
        /// The code of the fault, e.g. `DestinationUnreachable`.
        code: String,
        reason: String,
    },
    /// The method ran and said no.
    #[error("{host}: {what}: {} ({value})", status(*value))]
    Returned {
        host: String,
        what: String,
        value: u32,
    },
    /// It cannot, for a reason of its own; nothing was done.
    #[error("{host}: {why}")]
    Told { host: String, why: String },
    /// Somebody at the machine must agree first.
    #[error(
        "{host}: {what} needs the consent of somebody at the machine: `oobctl amt consent NAME` asks for it"
    )]
    ConsentNeeded { host: String, what: String },
    /// The answer is no WS-Management. What was asked may have been done.
    #[error("{host}: {what}: {why}")]
    Garbled {
        host: String,
        what: String,
        why: String,
    },
}

impl Error {
    /// May it have been done, although nobody said so?
    #[must_use]
    pub fn maybe_done(&self) -> bool {
        match self {
            Self::Http(error) => error.maybe_done(),
            Self::Garbled { .. } => true,
            _ => false,
        }
    }

    /// Does this firmware not have the class, the instance or the method?
    #[must_use]
    pub fn is_absent(&self) -> bool {
        let codes = [
            "DestinationUnreachable",
            "InvalidSelectors",
            "InvalidResourceURI",
            "ActionNotSupported",
        ];
        matches!(self, Self::Faulted { code, .. } if codes.contains(&code.as_str()))
    }
}

fn said(reason: &str) -> String {
    let words: Vec<&str> = reason
        .split(|c: char| c.is_whitespace() || c.is_control())
        .collect();
    match words.join(" ").trim() {
        "" => String::new(),
        text => format!(", {}", text.chars().take(200).collect::<String>()),
    }
}

/// What a `ReturnValue` means (PT_STATUS; go-wsman-messages `pkg/wsman/common`).
#[must_use]
pub fn status(value: u32) -> &'static str {
    match value {
        0 => "done",
        1 => "internal error",
        2 => "not ready",
        3 => "invalid mode",
        4 => "invalid message length",
        9 => "not provisioned",
        16 => "not permitted",
        17 => "not the owner",
        22 => "end of data",
        23 => "the limit is reached",
        24 => "invalid type of authentication",
        26 => "DHCP is off",
        30 => "unexpected now",
        32 => "invalid provisioning state",
        34 => "unsupported object",
        35 => "invalid index",
        36 => "invalid parameter",
        37 => "invalid netmask",
        38 => "the limit of writes to flash is reached",
        2048 => "network error",
        2049 => "unsupported OEM number",
        2050 => "unsupported boot option",
        2051 => "invalid command",
        2052 => "invalid special command",
        2053 => "invalid handle",
        2054 => "invalid password",
        2055 => "invalid realm",
        2056 => "the storage ACL entry is in use",
        2057 => "data is missing",
        2058 => "it is there already",
        2059 => "the event log is frozen",
        2060 => "PKI keys are missing",
        2061 => "keys are being made",
        2062 => "invalid key",
        2063 => "invalid certificate",
        2064 => "the certificate and the key differ",
        2065 => "Kerberos needs a domain",
        2066 => "unsupported",
        2067 => "invalid priority",
        2068 => "not found",
        2069 => "invalid credentials",
        2070 => "invalid passphrase",
        2072 => "no association",
        2075 => "the audit log failed",
        2076 => "something blocks it",
        2081 => "consent of the user is required",
        2082 => "another operation is under way",
        _ => "refused with a code that nobody knows",
    }
}
