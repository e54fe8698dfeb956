//! The boundary to the DHCPv4 library (mozim): everything that knows it is here and in [`crate::link::lease`].
//!
//! What mozim 0.3.3 does not do, read in its source: it ignores DHCPNAK, sends neither DECLINE nor an ARP probe,
//! repeats an error for ever until `clean_up`, puts server identifier and requested address into its renewals
//! (RFC 2131 says it must not; dnsmasq and busybox accept it), and renews only with one server at a time.

use mozim::{DhcpV4Client, DhcpV4Config, DhcpV4Lease, DhcpV4State};

use super::Subject;

/// Options we ask for: netmask, router, name servers, MTU, lease time, server, T1, T2. Never 108 (an iPhone then
/// gives no IPv4 at all) and none that carries routes, names or files.
const WANTED_OPTIONS: [u8; 8] = [1, 3, 6, 26, 51, 54, 58, 59];

/// Where a client stands.
#[derive(Debug)]
pub(super) enum Stage {
    Seeking,
    Bound(Box<DhcpV4Lease>),
    /// Asks for the lease to be prolonged; it still holds.
    Refreshing,
}

/// One run of the protocol. Dropped and made anew after any failure.
#[derive(Debug)]
pub(super) struct DhcpClient(DhcpV4Client);

impl DhcpClient {
    /// # Errors
    /// The library's words.
    pub(super) async fn open(subject: &Subject) -> Result<Self, String> {
        let mut config = DhcpV4Config::new(&subject.interface);
        config.set_iface_index(subject.index);
        config
            .set_iface_mac_raw(&subject.mac)
            .map_err(|error| error.to_string())?;
        config.use_mac_as_client_id();
        config.override_request_dhcp_opts(&WANTED_OPTIONS);
        DhcpV4Client::init(config, None)
            .await
            .map(Self)
            .map_err(|error| error.to_string())
    }

    /// Waits for the next stage. Not cancel-safe: cancelled, it asks its question again.
    ///
    /// # Errors
    /// The library's words; the client is of no more use.
    pub(super) async fn next(&mut self) -> Result<Stage, String> {
        match self.0.run().await {
            Ok(DhcpV4State::Done(lease)) => Ok(Stage::Bound(lease)),
            Ok(DhcpV4State::Renewing | DhcpV4State::Rebinding) => Ok(Stage::Refreshing),
            Ok(DhcpV4State::InitReboot | DhcpV4State::Selecting) => Ok(Stage::Seeking),
            Err(error) => Err(error.msg().to_owned()),
        }
    }
}
