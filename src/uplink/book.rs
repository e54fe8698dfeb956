//! What is known of the access points that carry a trigger SSID: which one to join, which were refused and until when. Pure.
//!
//! Reports each fault once per access point until it changes, so that no radio around can fill the journal.

use std::collections::BTreeMap;
use std::time::Duration;

use super::wpa::parse::ssid_text;
use super::wpa::{Bss, Bssid, Method, security};
use crate::clock::Instant;
use crate::config::Wifi;
use crate::event::HotspotFault;

/// An access point heard longer ago than this is not joined: it may be gone.
const FRESH: Duration = Duration::from_secs(2);
/// First and longest pause after a refusal. Short, because somebody stands there with the phone; a wrong passphrase
/// is not tried more often than once a minute, because some phones lock out.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const FIRST_KEY_PAUSE: Duration = Duration::from_secs(5);
/// An access point out of sight this long is forgotten with its faults: phones take a new address at every start.
const FORGET: Duration = Duration::from_secs(120);
/// Refused access points remembered; the longest unseen goes first. Also the most reports per [`FORGET`].
const MOST: usize = 32;

/// An access point chosen for joining.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Index into the configured SSIDs.
    pub ssid: usize,
    /// For people.
    pub name: String,
    pub bssid: Bssid,
    pub frequency_mhz: u32,
    pub signal_dbm: i32,
    pub method: Method,
}

/// A fault to tell about, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub name: String,
    pub bssid: Bssid,
    pub fault: HotspotFault,
}

/// One look at the table of access points.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// The one to join now.
    pub best: Option<Target>,
    /// Any access point with a trigger SSID, joinable or not, for "seen" and "lost".
    pub seen: Option<Target>,
    pub findings: Vec<Finding>,
    /// The fault of what is in sight when nothing is joinable.
    pub trouble: Option<Finding>,
}

#[derive(Clone, Debug)]
struct Page {
    ssid: Vec<u8>,
    last_seen: Instant,
    /// Not in the table at the last look: whatever comes back under this address is somebody new.
    absent: bool,
    /// Faults told, one of each kind.
    told: Vec<HotspotFault>,
    /// Fault of the last try to join.
    failed: Option<HotspotFault>,
    strikes: u32,
    not_before: Option<Instant>,
    /// WPA3 failed here although WPA2 is offered too.
    avoid_sae: bool,
}

impl Page {
    /// Forgets what was held against it.
    fn start_over(&mut self) {
        self.told.clear();
        (self.failed, self.strikes, self.not_before) = (None, 0, None);
        self.avoid_sae = false;
    }
}

#[derive(Clone, Debug)]
pub(super) struct Book {
    wifi: Wifi,
    pages: BTreeMap<Bssid, Page>,
    /// When a report was made, newest last; bounded by [`MOST`].
    reports: Vec<Instant>,
}

impl Book {
    #[must_use]
    pub(super) fn new(wifi: Wifi) -> Self {
        Self {
            wifi,
            pages: BTreeMap::new(),
            reports: vec![],
        }
    }

    /// Takes a table in. `joined` is the access point in use, which stands for a good one of its SSID.
    pub(super) fn look(&mut self, rows: &[Bss], joined: Option<Bssid>, now: Instant) -> Look {
        let ours: Vec<(usize, &Bss)> = rows
            .iter()
            .filter_map(|bss| {
                let ssid = self.wifi.ssids.iter().position(|s| *s == bss.ssid)?;
                Some((ssid, bss))
            })
            .collect();
        for (bssid, page) in &mut self.pages {
            let present = ours.iter().any(|(_, bss)| bss.bssid == *bssid);
            if present {
                page.last_seen = now;
                if page.absent {
                    page.start_over();
                }
            }
            page.absent = !present;
        }
        self.pages
            .retain(|_, page| now.duration_since(page.last_seen) < FORGET);
        let mut look = Look::default();
        let mut faults = vec![];
        let mut ranked = vec![];
        for (ssid, bss) in ours {
            let verdict = security::judge(&bss.flags, &self.wifi);
            let target = self.target(ssid, bss, verdict.as_ref().ok().copied());
            if look.seen.is_none() || (verdict.is_ok() && look.best.is_none()) {
                look.seen = Some(target.clone());
            }
            match verdict {
                Err(fault) => faults.push((target, fault)),
                Ok(_) if self.paused(bss.bssid, now) || bss.age > FRESH => {}
                // Configured order first, then protected before open, then the strongest.
                Ok(method) => ranked.push((
                    (ssid, method == Method::Open, -i64::from(bss.level_dbm)),
                    target,
                )),
            }
        }
        ranked.sort_by_key(|(rank, _)| *rank);
        look.best = ranked.into_iter().next().map(|(_, target)| target);
        for (target, fault) in faults {
            let good = joined.is_some_and(|b| b != target.bssid)
                || look.best.as_ref().is_some_and(|b| b.ssid == target.ssid);
            let fault = if good { HotspotFault::EvilTwin } else { fault };
            let finding = Finding {
                name: target.name,
                bssid: target.bssid,
                fault,
            };
            let ssid = self.wifi.ssids.get(target.ssid).cloned();
            if self.tell(&finding, &ssid.unwrap_or_default(), now) {
                look.findings.push(finding.clone());
            }
            look.trouble = look.trouble.or(Some(finding));
        }
        if let Some(seen) = &look.seen
            && let Some(page) = self.pages.get(&seen.bssid)
            && let Some(fault) = &page.failed
        {
            look.trouble = Some(Finding {
                name: seen.name.clone(),
                bssid: seen.bssid,
                fault: fault.clone(),
            });
        }
        look
    }

    /// A try to join failed. Tells whether that is news, and when the next try may be.
    pub(super) fn refused(
        &mut self,
        target: &Target,
        fault: HotspotFault,
        now: Instant,
    ) -> (Option<Finding>, Instant) {
        let finding = Finding {
            name: target.name.clone(),
            bssid: target.bssid,
            fault: fault.clone(),
        };
        let ssid = self
            .wifi
            .ssids
            .get(target.ssid)
            .cloned()
            .unwrap_or_default();
        // A radio that fails once is no news: the next try mostly succeeds, or the hotspot is gone.
        let before = self.pages.get(&target.bssid).map_or(0, |page| page.strikes);
        let news = match finding.fault {
            HotspotFault::Rejected(_) if before == 0 => {
                self.page(&finding, &ssid, now);
                false
            }
            _ => self.tell(&finding, &ssid, now),
        };
        let Some(page) = self.pages.get_mut(&target.bssid) else {
            return (None, now + FIRST_PAUSE);
        };
        let wrong = fault == HotspotFault::WrongPassphrase;
        let first = if wrong { FIRST_KEY_PAUSE } else { FIRST_PAUSE };
        let pause = first
            .saturating_mul(1 << page.strikes.min(6))
            .min(LONGEST_PAUSE);
        // The same access point may do better without WPA3: at once, unless it was the passphrase.
        let fall_back = target.method == Method::Either && !page.avoid_sae;
        page.avoid_sae |= fall_back;
        page.failed = Some(fault);
        let until = if fall_back && !wrong {
            now
        } else {
            now + pause
        };
        page.strikes = page.strikes.saturating_add(1);
        page.not_before = Some(until);
        (news.then_some(finding), until)
    }

    /// This one accepted us. Others of its SSID that refused the same passphrase are twins.
    pub(super) fn accepted(&mut self, target: &Target, now: Instant) -> Vec<Finding> {
        if let Some(page) = self.pages.get_mut(&target.bssid) {
            let avoid_sae = page.avoid_sae;
            page.start_over();
            page.avoid_sae = avoid_sae;
        }
        let ssid = self
            .wifi
            .ssids
            .get(target.ssid)
            .cloned()
            .unwrap_or_default();
        let twins: Vec<Finding> = self
            .pages
            .iter()
            .filter(|(bssid, page)| {
                **bssid != target.bssid
                    && page.ssid == ssid
                    && page.failed == Some(HotspotFault::WrongPassphrase)
            })
            .map(|(bssid, _)| Finding {
                name: target.name.clone(),
                bssid: *bssid,
                fault: HotspotFault::EvilTwin,
            })
            .collect();
        twins
            .into_iter()
            .filter(|twin| self.tell(twin, &ssid, now))
            .collect()
    }

    /// Why the last try to join this one failed.
    pub(super) fn failure(&self, bssid: Bssid) -> Option<HotspotFault> {
        self.pages.get(&bssid)?.failed.clone()
    }

    /// Every pause is over: an operator asks for a try, or the world changed.
    pub(super) fn forgive(&mut self) {
        for page in self.pages.values_mut() {
            (page.strikes, page.not_before) = (0, None);
        }
    }

    /// Notes the fault; true when it is news.
    fn tell(&mut self, finding: &Finding, ssid: &[u8], now: Instant) -> bool {
        let page = self.page(finding, ssid, now);
        let kind = std::mem::discriminant(&finding.fault);
        if page
            .told
            .iter()
            .any(|told| std::mem::discriminant(told) == kind)
        {
            return false;
        }
        page.told.push(finding.fault.clone());
        self.reports.retain(|at| now.duration_since(*at) < FORGET);
        if self.reports.len() >= MOST {
            return false;
        }
        self.reports.push(now);
        true
    }

    /// The page of this access point, a new one when there is none.
    fn page(&mut self, finding: &Finding, ssid: &[u8], now: Instant) -> &mut Page {
        if self.pages.len() >= MOST
            && !self.pages.contains_key(&finding.bssid)
            && let Some(oldest) = self
                .pages
                .iter()
                .min_by_key(|(_, page)| page.last_seen)
                .map(|(bssid, _)| *bssid)
        {
            self.pages.remove(&oldest);
        }
        let page = self.pages.entry(finding.bssid).or_insert_with(|| Page {
            ssid: ssid.to_vec(),
            last_seen: now,
            absent: false,
            told: vec![],
            failed: None,
            strikes: 0,
            not_before: None,
            avoid_sae: false,
        });
        page.last_seen = now;
        page
    }

    fn paused(&self, bssid: Bssid, now: Instant) -> bool {
        self.pages
            .get(&bssid)
            .and_then(|page| page.not_before)
            .is_some_and(|until| now < until)
    }

    fn target(&self, ssid: usize, bss: &Bss, method: Option<Method>) -> Target {
        let avoid = self.pages.get(&bss.bssid).is_some_and(|p| p.avoid_sae);
        Target {
            ssid,
            name: ssid_text(&bss.ssid),
            bssid: bss.bssid,
            frequency_mhz: bss.frequency_mhz,
            signal_dbm: bss.level_dbm,
            method: match method {
                Some(Method::Either) if avoid => Method::Psk,
                Some(method) => method,
                None => Method::Psk,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sae, Secret};

    fn wifi() -> Wifi {
        Wifi {
            interface: "wlan0".into(),
            ssids: vec![b"remote.it".to_vec(), b"remote.itPi".to_vec()],
            passphrase: Some(Secret::new("remote.it1234")),
            country: None,
            open: false,
            hidden: false,
            sae: Sae::Auto,
        }
    }

    fn bss(n: u8, ssid: &[u8], flags: &str, level: i32) -> Bss {
        Bss {
            id: n.into(),
            bssid: Bssid([2, 0, 0, 0, 0, n]),
            frequency_mhz: 2437,
            level_dbm: level,
            age: Duration::ZERO,
            flags: flags.into(),
            ssid: ssid.to_vec(),
        }
    }

    const WPA2: &str = "[WPA2-PSK-CCMP][ESS]";

    #[tokio::test(start_paused = true)]
    async fn near_misses_are_not_seen() {
        let mut book = Book::new(wifi());
        for ssid in [
            &b"remote.it "[..],
            b"Remote.it",
            b"remote.it\0",
            b" remote.it",
            b"remote.i",
            b"",
        ] {
            let look = book.look(&[bss(1, ssid, WPA2, -30)], None, Instant::now());
            assert_eq!(look, Look::default(), "{ssid:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_ssid_wins_then_the_strongest_and_stale_rows_are_left() {
        let mut book = Book::new(wifi());
        let mut stale = bss(4, b"remote.it", WPA2, -10);
        stale.age = Duration::from_secs(7);
        let rows = [
            bss(1, b"remote.itPi", WPA2, -20),
            bss(2, b"remote.it", WPA2, -70),
            bss(3, b"remote.it", WPA2, -50),
            stale,
        ];
        let best = book.look(&rows, None, Instant::now()).best.unwrap();
        assert_eq!(best.bssid, rows[2].bssid);
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_twin_is_told_once_and_becomes_evil_beside_a_good_one() {
        let mut book = Book::new(wifi());
        let (open, good) = (
            bss(1, b"remote.it", "[ESS]", -10),
            bss(2, b"remote.it", WPA2, -60),
        );
        let look = book.look(std::slice::from_ref(&open), None, Instant::now());
        assert_eq!(look.best, None);
        assert_eq!(look.findings[0].fault, HotspotFault::Open);
        assert!(look.seen.is_some());
        let again = book.look(std::slice::from_ref(&open), None, Instant::now());
        assert_eq!(
            (again.findings.len(), again.trouble.unwrap().fault),
            (0, HotspotFault::Open)
        );
        let both = book.look(&[open, good.clone()], None, Instant::now());
        assert_eq!(both.findings[0].fault, HotspotFault::EvilTwin);
        assert_eq!(both.best.unwrap().bssid, good.bssid);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_refuses_the_passphrase_which_its_twin_accepts_is_evil() {
        let mut book = Book::new(wifi());
        let rows = [
            bss(1, b"remote.it", WPA2, -10),
            bss(2, b"remote.it", WPA2, -60),
        ];
        let first = book.look(&rows, None, Instant::now()).best.unwrap();
        let (news, _) = book.refused(&first, HotspotFault::WrongPassphrase, Instant::now());
        assert_eq!(news.unwrap().fault, HotspotFault::WrongPassphrase);
        let second = book.look(&rows, None, Instant::now()).best.unwrap();
        assert_ne!(second.bssid, first.bssid);
        let twins = book.accepted(&second, Instant::now());
        assert_eq!((twins.len(), twins[0].bssid), (1, first.bssid));
        assert_eq!(twins[0].fault, HotspotFault::EvilTwin);
        assert_eq!(book.accepted(&second, Instant::now()), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_passphrase_is_tried_again_with_growing_pauses_and_told_once() {
        let mut book = Book::new(wifi());
        let rows = [bss(1, b"remote.it", WPA2, -10)];
        let mut waits = vec![];
        for turn in 0..6 {
            let start = Instant::now();
            let target = book.look(&rows, None, start).best.unwrap();
            let (news, until) = book.refused(&target, HotspotFault::WrongPassphrase, start);
            assert_eq!(news.is_some(), turn == 0);
            assert_eq!(book.look(&rows, None, start).best, None);
            waits.push(until.duration_since(start).as_secs());
            tokio::time::advance(until.duration_since(start)).await;
        }
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        let target = book.look(&rows, None, Instant::now()).best.unwrap();
        let fault = HotspotFault::WrongPassphrase;
        let (_, until) = book.refused(&target, fault, Instant::now());
        assert!(until > Instant::now());
        book.forgive();
        assert!(book.look(&rows, None, Instant::now()).best.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_switched_off_and_on_starts_over() {
        let mut book = Book::new(wifi());
        let rows = [bss(1, b"remote.it", WPA2, -10)];
        for _ in 0..2 {
            let target = book.look(&rows, None, Instant::now()).best.unwrap();
            let wrong = HotspotFault::WrongPassphrase;
            assert!(book.refused(&target, wrong, Instant::now()).0.is_some());
            assert_eq!(book.look(&rows, None, Instant::now()).best, None);
            book.look(&[], None, Instant::now());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_wpa3_falls_back_to_wpa2_at_once_where_both_are_offered() {
        let mut book = Book::new(wifi());
        let rows = [bss(1, b"remote.it", "[WPA2-PSK+SAE-CCMP][ESS]", -10)];
        let target = book.look(&rows, None, Instant::now()).best.unwrap();
        assert_eq!(target.method, Method::Either);
        book.refused(
            &target,
            HotspotFault::Rejected("no answer".into()),
            Instant::now(),
        );
        let next = book.look(&rows, None, Instant::now()).best.unwrap();
        assert_eq!(next.method, Method::Psk);
    }

    #[tokio::test(start_paused = true)]
    async fn a_storm_of_twins_cannot_fill_the_journal() {
        let mut book = Book::new(wifi());
        let mut told = 0;
        for round in 0..20u8 {
            let rows: Vec<Bss> = (0..50)
                .map(|n| {
                    let mut row = bss(n, b"remote.it", "[ESS]", -10);
                    row.bssid.0[1] = round;
                    row
                })
                .collect();
            told += book.look(&rows, None, Instant::now()).findings.len();
        }
        assert!(told <= MOST, "{told}");
        assert!(book.pages.len() <= MOST);
    }
}
