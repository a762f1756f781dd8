//! Bytes that all client connections of a node hold together: a bound for each of them is not
//! enough where there are many.

use std::cell::Cell;

/// Bytes that client connections hold together: of requests that have not arrived whole, and of
/// responses that wait to be written.
const BYTES_MAX: usize = 256 << 20;

/// What a connection may hold in any case: those who want much must not shut out those who do not.
const BYTES_FREE: usize = 128 << 10;

/// What the connections of a node hold, and may hold.
#[derive(Debug)]
pub(super) struct Budget {
    bytes_max: Cell<usize>,
    held: Cell<usize>,
}

/// One connection's share, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share<'a> {
    budget: &'a Budget,
    held: usize,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { bytes_max: Cell::new(BYTES_MAX), held: Cell::new(0) }
    }
}

impl Budget {
    /// The share of a new connection.
    pub(super) fn share(&self) -> Share<'_> {
        Share { budget: self, held: 0 }
    }

    /// Bytes held by all connections at this moment.
    pub(super) fn held(&self) -> usize {
        self.held.get()
    }

    /// Bytes that may be held.
    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max.get()
    }

    /// Another bound than the usual one.
    #[cfg(test)]
    pub(super) fn set_bytes_max(&self, bytes_max: usize) {
        self.bytes_max.set(bytes_max);
    }

    /// Half of it is used: buffers that are empty must be given back.
    pub(super) fn is_tight(&self) -> bool {
        self.held() > self.bytes_max() / 2
    }
}

impl Share<'_> {
    /// The connection holds so many bytes now. Gives back whether it may.
    #[must_use]
    pub(super) fn holds(&mut self, bytes: usize) -> bool {
        let grows = bytes > self.held;
        let all = self.budget.held() - self.held + bytes;
        self.budget.held.set(all);
        self.held = bytes;
        !grows || bytes <= BYTES_FREE || all <= self.budget.bytes_max()
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.budget.held.set(self.budget.held() - self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_takes_another_cannot_have_and_gets_when_it_is_given_back() {
        let budget = Budget::default();
        budget.set_bytes_max(1 << 20);
        let (mut a, mut b) = (budget.share(), budget.share());
        assert!(a.holds(600 << 10) && budget.is_tight());
        assert!(!b.holds(600 << 10), "more than all may have");
        drop(b);
        assert_eq!(budget.held(), 600 << 10);
        let mut b = budget.share();
        assert!(b.holds(300 << 10) && !a.holds(800 << 10));
        assert!(a.holds(700 << 10), "less than before");
        drop(a);
        assert!(b.holds(1 << 20) && !b.holds((1 << 20) + 1));
        drop(b);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn a_little_is_always_granted() {
        let budget = Budget::default();
        budget.set_bytes_max(1 << 20);
        let (mut large, mut small) = (budget.share(), budget.share());
        assert!(large.holds(1 << 20) && small.holds(BYTES_FREE) && !small.holds(BYTES_FREE + 1));
    }
}
