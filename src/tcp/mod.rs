//! TCP under every door that listens on the network: the listener, dead peers found, streams that can be cut, and how many
//! connections there may be; and the connections and datagram sockets we open to the LAN, or through the tunnel of
//! a device. Never reads a byte and signs nobody in.

mod crowd;
mod lan;
mod socket;
mod tunnel;

pub use crowd::{Crowd, Slot};
pub use lan::{addresses, connect, connect_udp, reason, udp};
pub use socket::{Cuttable, accept, address, keep_unsent_short, listen, prepare};
pub use tunnel::{Route, Tunnels, Wire, Wish, Wishes};
