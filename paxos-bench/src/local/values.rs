//! The state that nodes replicate here: a table, whose values are shared with the log. It is as
//! simple as can be, since what is measured is how nodes agree.

use super::KEYS;
use bytes::Bytes;
use paxos_core::rng::mix;
use paxos_core::{Applied, SnapshotParts, StateMachine, Unrestorable};

/// Bytes of a key in front of a value.
const KEY_BYTES: usize = size_of::<u64>();

/// The last value of each key, and how many commands there were.
#[derive(Clone, Debug)]
pub(super) struct Values {
    by_key: Vec<Bytes>,
    applied: u64,
}

impl Default for Values {
    fn default() -> Values {
        Values { by_key: vec![Bytes::new(); KEYS as usize], applied: 0 }
    }
}

/// A command: what is to be written to which key.
pub(super) fn write(key: u64, value: &[u8]) -> Bytes {
    [&key.to_le_bytes()[..], value].concat().into()
}

impl Values {
    fn put(&mut self, key: u64, value: Bytes) {
        if let Some(kept) = self.by_key.get_mut(key as usize) {
            *kept = value;
        }
    }

    pub(super) fn applied(&self) -> u64 {
        self.applied
    }

    pub(super) fn bytes(&self) -> usize {
        self.by_key.iter().map(Bytes::len).sum()
    }
}

impl StateMachine for Values {
    fn apply(&mut self, _: Applied, command: &Bytes) -> Bytes {
        self.applied += 1;
        if let Some(key) = command.first_chunk::<KEY_BYTES>() {
            self.put(u64::from_le_bytes(*key), command.slice(KEY_BYTES..));
        }
        Bytes::new()
    }

    fn query(&self, _: &Bytes) -> Bytes {
        Bytes::copy_from_slice(&self.applied.to_le_bytes())
    }

    fn digest(&self) -> u64 {
        let sum = |sum, value: &Bytes| mix(sum ^ value.len() as u64);
        self.by_key.iter().fold(mix(self.applied), sum)
    }

    /// A copy of the table, whose values are shared. The first part is the number of commands.
    fn snapshot(&self) -> SnapshotParts {
        let first = Bytes::copy_from_slice(&self.applied.to_le_bytes());
        let values = (0..).zip(self.by_key.clone()).filter(|(_, value)| !value.is_empty());
        let rest = values.map(|(key, value)| write(key, &value));
        Box::new(std::iter::once(first).chain(rest))
    }

    fn restore(&mut self, part: &Bytes) -> Result<(), Unrestorable> {
        let Some(number) = part.first_chunk::<KEY_BYTES>() else {
            return Err(Unrestorable("a part without a number"));
        };
        let number = u64::from_le_bytes(*number);
        match part.len() {
            KEY_BYTES => self.applied = number,
            _ => self.put(number, part.slice(KEY_BYTES..)),
        }
        Ok(())
    }
}
