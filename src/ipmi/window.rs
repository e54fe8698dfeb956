//! Which session sequence numbers have been seen. §13.26 and §6.12.13: a packet counts once, and one from long ago never.

/// How far behind the newest a packet may come and still count. The standard asks for 16.
const BEHIND: u32 = 32;

/// The newest number, and a bit for each of those right behind it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    newest: u32,
    seen: u32,
}

impl Window {
    /// Takes a number: `false` for 0, for one that came before, and for one too far behind. Ask only once the packet is
    /// known to be genuine. Any number ahead is taken: after a burst of losses the session goes on.
    pub fn take(&mut self, number: u32) -> bool {
        if number == 0 {
            return false;
        }
        let ahead = number.wrapping_sub(self.newest);
        if self.newest == 0 || (ahead != 0 && ahead <= u32::MAX / 2) {
            let shifted = self.seen.checked_shl(ahead).unwrap_or(0);
            self.seen = if self.newest == 0 { 1 } else { shifted | 1 };
            self.newest = number;
            return true;
        }
        let behind = self.newest.wrapping_sub(number);
        let bit = if behind < BEHIND { 1 << behind } else { 0 };
        let fresh = bit != 0 && self.seen & bit == 0;
        self.seen |= bit;
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::Window;

    #[test]
    fn each_number_counts_once_and_old_ones_never() {
        let mut window = Window::default();
        let taken: Vec<bool> = [0, 1, 1, 3, 2, 2, 100, 68, 69, 69, 99, 3]
            .map(|number| window.take(number))
            .to_vec();
        let (yes, no) = (true, false);
        assert_eq!(
            taken,
            [no, yes, no, yes, yes, no, yes, no, yes, no, yes, no]
        );
    }

    #[test]
    fn the_counter_may_go_round() {
        let mut window = Window::default();
        assert!(window.take(u32::MAX));
        assert!(!window.take(0), "0 is of no session");
        assert!(window.take(2));
        assert!(!window.take(u32::MAX));
        assert!(window.take(1));
    }
}
