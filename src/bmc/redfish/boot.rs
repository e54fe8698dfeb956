//! The boot override: read, and set where the controller takes it.

use serde_json::{Value, json};

use super::read;
use super::types::{Boot, BootFor, BootTarget};
use super::{Bmc, Error};

impl BootTarget {
    /// Redfish's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Pxe => "Pxe",
            Self::Cd => "Cd",
            Self::Usb => "Usb",
            Self::Hdd => "Hdd",
            Self::BiosSetup => "BiosSetup",
            Self::UefiHttp => "UefiHttp",
        }
    }
}

impl BootFor {
    fn word(self) -> &'static str {
        match self {
            Self::Disabled => "Disabled",
            Self::Once => "Once",
            Self::Continuous => "Continuous",
        }
    }
}

/// The word to use for this target: a CD that the controller shows as a USB drive has another one.
fn word(target: BootTarget, allowed: &[String], usb_cd: bool) -> &'static str {
    let takes = |word: &str| allowed.iter().any(|had| had == word);
    match target {
        BootTarget::Cd if takes("UsbCd") && (usb_cd || !takes("Cd")) => "UsbCd",
        // Says nothing, and is known to.
        BootTarget::Cd if usb_cd && allowed.is_empty() => "UsbCd",
        other => other.word(),
    }
}

impl Bmc {
    /// The boot override. Where the machine itself does not say what it takes, its settings object does.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when it has none; any other [`Error`].
    pub async fn boot(&mut self) -> Result<Boot, Error> {
        let (_, machine) = self.machine().await?;
        let staged = self.staged(&machine).await?;
        let own = read::boot(&machine);
        let staged = staged.and_then(|(_, staged)| read::boot(&staged));
        let Some(mut boot) = own.or_else(|| staged.clone()) else {
            return Err(self.unsupported("boot override"));
        };
        if let Some(staged) = staged.filter(|_| boot.allowed.is_empty()) {
            boot.allowed = staged.allowed;
        }
        Ok(boot)
    }

    /// Sets from what the machine boots next. `mode` (`UEFI`, `Legacy`) is said only to machines that have one.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a target that it does not take; any other [`Error`].
    pub async fn set_boot(
        &mut self,
        target: BootTarget,
        held: BootFor,
        mode: Option<&str>,
    ) -> Result<(), Error> {
        let (uri, machine) = self.machine().await?;
        let staged = self.staged(&machine).await?;
        let mut places = Vec::new();
        if let Some(boot) = read::boot(&machine) {
            places.push((uri, boot));
        }
        if let Some((uri, staged)) = staged
            && let Some(boot) = read::boot(&staged)
        {
            // Lenovo's machine shows the override, and its settings object takes it.
            let at = match places.first() {
                Some((_, own)) if own.allowed.is_empty() && !boot.allowed.is_empty() => 0,
                _ => places.len(),
            };
            places.insert(at, (uri, boot));
        }
        let mut last = None;
        for (uri, boot) in places {
            let word = word(target, &boot.allowed, self.quirks.usb_cd);
            let is_off = held == BootFor::Disabled || target == BootTarget::None;
            if !is_off && !boot.allowed.is_empty() && !boot.allowed.iter().any(|had| had == word) {
                let has = boot.allowed.join(", ");
                last = Some(self.unsupported(&format!("boot target {word}; it has {has}")));
                continue;
            }
            let mut body = if is_off {
                json!({"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None"})
            } else {
                json!({"BootSourceOverrideEnabled": held.word(), "BootSourceOverrideTarget": word})
            };
            if let (Some(mode), Some(_)) = (mode, &boot.mode) {
                body["BootSourceOverrideMode"] = json!(mode);
            }
            match self.patch(&uri, &json!({ "Boot": body })).await {
                Ok(_) => return Ok(()),
                Err(
                    error @ Error::Refused {
                        status: 400 | 403 | 404 | 405,
                        ..
                    },
                ) => {
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| self.unsupported("boot override")))
    }

    /// The settings object of a resource, and where it is.
    pub(super) async fn staged(
        &mut self,
        resource: &Value,
    ) -> Result<Option<(String, Value)>, Error> {
        let Some(uri) = read::settings(resource) else {
            return Ok(None);
        };
        match self.get(&uri).await {
            Ok(value) => Ok(Some((uri, value))),
            // Named, and not there.
            Err(Error::Refused {
                status: 404 | 405 | 501,
                ..
            }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cd_has_the_word_that_the_controller_knows() {
        let all = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (allowed, usb_cd, wanted) in [
            (&["Cd", "Pxe"][..], false, "Cd"),
            (&["UsbCd", "Pxe"], false, "UsbCd"),
            (&["Cd", "UsbCd"], false, "Cd"),
            (&["Cd", "UsbCd"], true, "UsbCd"),
            (&["Cd"], true, "Cd"),
            (&[], true, "UsbCd"),
            (&[], false, "Cd"),
        ] {
            assert_eq!(
                word(BootTarget::Cd, &all(allowed), usb_cd),
                wanted,
                "{allowed:?}"
            );
        }
        assert_eq!(word(BootTarget::Hdd, &all(&["UsbCd"]), true), "Hdd");
    }
}
