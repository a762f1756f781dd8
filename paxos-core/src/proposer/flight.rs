//! How much may be under way: as many bytes as come back in time.

/// Bytes of the entries that are proposed and not chosen yet.
///
/// They stand before the heartbeats in every link, and a leader that is answered too late steps
/// down (R10). What a link carries in time is not known, so it is tried out: an entry that comes
/// back soon makes room for as much again, one that comes back late takes as much away. At least
/// one entry is always under way; if even that one takes an election timeout, the timeout is too
/// short for such links. The window bounds slots beside it, and is never exceeded (R20).
#[derive(Debug)]
pub(super) struct Flight {
    bytes: usize,
    room: usize,
    max: usize,
}

impl Flight {
    /// Nothing is under way, and room is for a sixteenth of the most.
    pub(super) fn new(max: usize) -> Flight {
        Flight { bytes: 0, room: max / 16, max }
    }

    /// How many bytes the next entry may have; none where it must wait. Without any other under way
    /// there is no bound for the first command, which goes whatever it has.
    #[inline]
    pub(super) fn room(&self) -> Option<usize> {
        if planted!(FlightUnbounded) {
            return Some(usize::MAX);
        }
        let left = self.room.saturating_sub(self.bytes);
        (left > 0 || self.bytes == 0).then_some(left)
    }

    /// Whether so many bytes may go now.
    pub(super) fn takes(&self, bytes: usize) -> bool {
        planted!(FlightUnbounded) || self.bytes == 0 || self.bytes + bytes <= self.room
    }

    #[inline]
    pub(super) fn sent(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// An entry was chosen, so long after it was first sent. Only what fills a good part of the
    /// room shows that there might be more.
    #[inline]
    pub(super) fn landed(&mut self, bytes: usize, took_us: u64, timeout_us: u64) {
        if took_us > timeout_us / 4 {
            self.room = self.room.saturating_sub(bytes).max(self.max / 64);
        } else if took_us <= timeout_us / 8 && 2 * self.bytes >= self.room {
            self.room = (self.room + bytes).min(self.max);
        }
        self.bytes -= bytes;
    }
}
