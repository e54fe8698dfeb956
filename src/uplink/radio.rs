//! Two handgrips on the radio that wpa_supplicant has no word for: power saving off, and a link reset for wedged firmware. Never decides when.

use std::time::Duration;

use futures::TryStreamExt as _;
use rtnetlink::LinkUnspec;
use tokio::process::Command;
use tokio::time::timeout;

/// Each handgrip ends by then; the radio is no worse off without it.
const LIMIT: Duration = Duration::from_secs(5);
/// Firmware is loaded again between down and up on some chips.
const DOWN_FOR: Duration = Duration::from_millis(500);

/// Switches power saving off. brcmfmac turns it on at every association and then answers 100 ms late, at times 3 s.
pub(super) async fn power_save_off(interface: String) {
    let mut command = Command::new("iw");
    command
        .args(["dev", &interface, "set", "power_save", "off"])
        .kill_on_drop(true);
    match timeout(LIMIT, command.output()).await {
        Ok(Ok(output)) if output.status.success() => {}
        Ok(Ok(output)) => {
            let text = String::from_utf8_lossy(&output.stderr);
            tracing::debug!(interface, text = text.trim(), "power saving stays as it is");
        }
        Ok(Err(error)) => tracing::info!(interface, %error, "iw cannot be run"),
        Err(_) => tracing::warn!(interface, "iw does not end"),
    }
}

/// Takes the link down and up again.
pub(super) async fn reset(interface: String) {
    match timeout(LIMIT, try_reset(&interface)).await {
        Ok(Ok(())) => tracing::warn!(interface, "the radio's link was reset"),
        Ok(Err(error)) => tracing::error!(interface, %error, "the radio's link was not reset"),
        Err(_) => tracing::error!(interface, "the radio's link does not obey"),
    }
}

async fn try_reset(interface: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    // Ends when the handle is dropped.
    #[allow(clippy::disallowed_methods, reason = "ends with its handle")]
    tokio::spawn(connection);
    let mut links = handle
        .link()
        .get()
        .match_name(interface.to_owned())
        .execute();
    let Some(link) = links.try_next().await? else {
        return Err(format!("there is no {interface}").into());
    };
    let index = link.header.index;
    let set = |message| handle.link().set(message).execute();
    set(LinkUnspec::new_with_index(index).down().build()).await?;
    tokio::time::sleep(DOWN_FOR).await;
    set(LinkUnspec::new_with_index(index).up().build()).await?;
    Ok(())
}
