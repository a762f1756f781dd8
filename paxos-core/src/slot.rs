//! Slots of the replicated log.

use core::fmt;
use serde::{Deserialize, Serialize};

/// A position of the replicated log; the first is 0. One entry is chosen per slot, for ever.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Slot(pub u64);

impl Slot {
    /// The first slot.
    pub const ZERO: Slot = Slot(0);

    /// The highest slot that is still believed: no log grows that long.
    pub const MAX: Slot = Slot(1 << 60);

    /// The slot after this one.
    pub fn next(self) -> Slot {
        Slot(self.0 + 1)
    }

    /// The slot `n` further on.
    pub fn plus(self, n: u64) -> Slot {
        Slot(self.0 + n)
    }

    /// How many slots lie in `[from, self)`; 0 where `from` is not below.
    pub fn since(self, from: Slot) -> u64 {
        self.0.saturating_sub(from.0)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The slots `[from, below)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SlotRange {
    /// The first slot of the range.
    pub from: Slot,
    /// The first slot behind the range.
    pub below: Slot,
}

impl SlotRange {
    /// The slots `[from, below)`.
    pub fn new(from: Slot, below: Slot) -> SlotRange {
        SlotRange { from, below }
    }

    /// Whether the range has `slot`.
    pub fn contains(&self, slot: Slot) -> bool {
        self.from <= slot && slot < self.below
    }

    /// Whether the range has no slot.
    pub fn is_empty(&self) -> bool {
        self.below <= self.from
    }
}
