//! Which entries of a machine's own log are new. Pure.

use crate::machine::LogEntry;

/// Most that are told at once; a log that is full of one fault tells no more the hundredth time.
const MOST: usize = 16;

/// The entries that came after the one that `last` stands for, and what stands for the newest now. Without a `last`,
/// nothing is new: what a machine wrote before it was ours is no event. Entries come oldest first.
#[must_use]
pub(super) fn news<'a>(last: Option<&str>, entries: &'a [LogEntry]) -> (&'a [LogEntry], String) {
    let Some(newest) = entries.last() else {
        return (&[], String::new());
    };
    let end = mark(newest);
    let Some(last) = last else {
        return (&[], end);
    };
    let known = entries.iter().rposition(|entry| mark(entry) == last);
    let fresh = match known {
        Some(at) => entries.get(at + 1..).unwrap_or_default(),
        // It was cleared, or so much came that the known end is out of sight.
        None => entries,
    };
    let from = fresh.len().saturating_sub(MOST);
    (fresh.get(from..).unwrap_or_default(), end)
}

/// Numbers begin anew when a log is cleared; with time and text they do not meet again.
fn mark(entry: &LogEntry) -> String {
    let at = entry.at.map(|at| at.0).unwrap_or_default();
    let text: String = entry.text.chars().take(80).collect();
    format!("{}|{at}|{text}", entry.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Health;

    fn entries(ids: &[u32]) -> Vec<LogEntry> {
        let entry = |id: &u32| LogEntry {
            id: id.to_string(),
            at: None,
            health: Health::Ok,
            part: String::new(),
            text: format!("entry {id}"),
        };
        ids.iter().map(entry).collect()
    }

    fn ids(entries: &[LogEntry]) -> Vec<&str> {
        entries.iter().map(|entry| entry.id.as_str()).collect()
    }

    #[test]
    fn what_stood_there_before_is_no_news_and_what_comes_is_told_once() {
        let old = entries(&[1, 2]);
        let (fresh, last) = news(None, &old);
        assert!(fresh.is_empty());
        let more = entries(&[1, 2, 3, 4]);
        let (fresh, next) = news(Some(&last), &more);
        assert_eq!(ids(fresh), ["3", "4"]);
        let (fresh, _) = news(Some(&next), &more);
        assert!(fresh.is_empty());
        // Cleared, and written anew.
        let (fresh, last) = news(Some(&next), &[]);
        assert!(fresh.is_empty());
        let again = entries(&[1]);
        assert_eq!(ids(news(Some(&last), &again).0), ["1"]);
        let flood: Vec<u32> = (100..164).collect();
        assert_eq!(news(Some(&next), &entries(&flood)).0.len(), MOST);
    }
}
