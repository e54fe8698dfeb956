//! How many connections there may be, and who has to go when strangers crowd the door. Opens and reads nothing.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::access::{Directory, Source};

/// Connections at once, signed in or not: about 60 KiB each while nothing flows.
const CONNECTIONS: usize = 192;
/// Of these, from one source. Fifty scripts at once from one machine is a use that was asked for.
const PER_SOURCE: usize = 96;
/// Of these, not signed in yet. Past that the source with most strangers loses its oldest one, so that a flood from a
/// few addresses never keeps an operator at another address out.
const STRANGERS: usize = 128;

/// The connections of one door. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Crowd(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// By age: ids only grow.
    guests: BTreeMap<u64, Guest>,
}

#[derive(Debug)]
struct Guest {
    source: Source,
    stranger: bool,
    cut: CancellationToken,
}

/// One connection's place; given back when it is dropped.
#[derive(Debug)]
pub struct Slot {
    id: u64,
    crowd: Crowd,
}

impl Crowd {
    /// A place for a new connection, and the token that ends it when it has to make room for others. `None`, as the log
    /// says, when its source comes too often (`access` counts those that sign in) or too many are there.
    #[must_use]
    pub fn welcome(
        &self,
        access: Option<&Directory>,
        peer: SocketAddr,
    ) -> Option<(Slot, CancellationToken)> {
        if access.is_some_and(|access| !access.admits(peer.ip())) {
            tracing::debug!(%peer, "too many connections in a short time");
            return None;
        }
        let severed = CancellationToken::new();
        let slot = self.admit(peer.ip(), severed.clone());
        if slot.is_none() {
            tracing::debug!(%peer, "too many connections at once");
        }
        Some((slot?, severed))
    }

    /// Room for one more connection from here; `cut` ends it when it has to make room for others.
    #[must_use]
    fn admit(&self, from: IpAddr, cut: CancellationToken) -> Option<Slot> {
        let source = Source::from(from);
        let mut table = self.table();
        let here = table
            .guests
            .values()
            .filter(|guest| guest.source == source)
            .count();
        if here >= PER_SOURCE || !table.make_room(source) || table.guests.len() >= CONNECTIONS {
            return None;
        }
        let id = table.next;
        table.next += 1;
        let guest = Guest {
            source,
            stranger: true,
            cut,
        };
        table.guests.insert(id, guest);
        drop(table);
        Some(Slot {
            id,
            crowd: self.clone(),
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Sends one stranger away when there are too many; `false` when that would be one of the newcomer's own source.
    fn make_room(&mut self, newcomer: Source) -> bool {
        let strangers = || self.guests.iter().filter(|(_, guest)| guest.stranger);
        if strangers().count() < STRANGERS {
            return true;
        }
        let mut by_source: HashMap<Source, usize> = HashMap::new();
        for (_, guest) in strangers() {
            *by_source.entry(guest.source).or_default() += 1;
        }
        let Some((crowded, _)) = by_source.into_iter().max_by_key(|(_, count)| *count) else {
            return true;
        };
        if crowded == newcomer {
            return false;
        }
        let oldest = strangers()
            .find(|(_, guest)| guest.source == crowded)
            .map(|(id, _)| *id);
        if let Some(guest) = oldest.and_then(|id| self.guests.remove(&id)) {
            guest.cut.cancel();
        }
        true
    }
}

impl Slot {
    /// No stranger any more: never sent away for others.
    pub fn signed_in(&self) {
        if let Some(guest) = self.crowd.table().guests.get_mut(&self.id) {
            guest.stranger = false;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.crowd.table().guests.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn one_source_cannot_take_all() {
        let crowd = Crowd::default();
        let held: Vec<Slot> = (0..500)
            .filter_map(|_| crowd.admit(ip(1), CancellationToken::new()))
            .collect();
        assert_eq!(held.len(), PER_SOURCE);
        assert!(crowd.admit(ip(2), CancellationToken::new()).is_some());
        drop(held);
        assert!(crowd.table().guests.is_empty());
    }

    #[test]
    fn a_flood_of_strangers_makes_room_for_an_operator() {
        let crowd = Crowd::default();
        let cuts: Vec<CancellationToken> = (0..500).map(|_| CancellationToken::new()).collect();
        let flood: Vec<Slot> = cuts
            .iter()
            .enumerate()
            .filter_map(|(at, cut)| crowd.admit(ip(if at % 2 == 0 { 1 } else { 2 }), cut.clone()))
            .collect();
        assert_eq!(crowd.table().guests.len(), STRANGERS);
        let mine = CancellationToken::new();
        let operator = crowd.admit(ip(9), mine.clone()).unwrap();
        assert!(cuts.iter().filter(|cut| cut.is_cancelled()).count() >= 1);
        operator.signed_in();
        for _ in 0..500 {
            let _ = crowd.admit(ip(3), CancellationToken::new());
        }
        assert!(!mine.is_cancelled());
        drop(flood);
        assert_eq!(crowd.table().guests.len(), 1);
    }

    #[test]
    fn those_who_signed_in_have_a_limit_too() {
        let crowd = Crowd::default();
        let mut held = vec![];
        for at in 0..500_u32 {
            let from = IpAddr::from((0x0a00_0000 + at).to_be_bytes());
            if let Some(slot) = crowd.admit(from, CancellationToken::new()) {
                slot.signed_in();
                held.push(slot);
            }
        }
        assert_eq!(held.len(), CONNECTIONS);
    }
}
