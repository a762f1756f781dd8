//! The state that nodes replicate here: a map, whose values are shared with the log.

use bytes::Bytes;
use paxos_core::rng::mix;
use paxos_core::{Applied, SnapshotParts, StateMachine, Unrestorable};
use std::collections::HashMap;

/// Bytes of a key in front of a value.
const KEY_BYTES: usize = size_of::<u64>();

/// The last value of each key, and how many commands there were.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    by_key: HashMap<u64, Bytes>,
    applied: u64,
}

/// A command: what is to be written to which key.
pub(super) fn write(key: u64, value: &[u8]) -> Bytes {
    [&key.to_le_bytes()[..], value].concat().into()
}

impl Values {
    pub(super) fn applied(&self) -> u64 {
        self.applied
    }

    pub(super) fn bytes(&self) -> usize {
        self.by_key.values().map(Bytes::len).sum()
    }
}

impl StateMachine for Values {
    fn apply(&mut self, _: Applied, command: &Bytes) -> Bytes {
        self.applied += 1;
        if let Some(key) = command.first_chunk::<KEY_BYTES>() {
            self.by_key.insert(u64::from_le_bytes(*key), command.slice(KEY_BYTES..));
        }
        Bytes::new()
    }

    fn query(&self, _: &Bytes) -> Bytes {
        Bytes::copy_from_slice(&self.applied.to_le_bytes())
    }

    fn digest(&self) -> u64 {
        let sum = |sum: u64, (key, value): (&u64, &Bytes)| {
            sum.wrapping_add(mix(mix(*key) ^ value.len() as u64))
        };
        self.by_key.iter().fold(mix(self.applied), sum)
    }

    /// A copy of the map, whose values are shared. The first part is the number of commands.
    fn snapshot(&self) -> SnapshotParts {
        let mut values: Vec<_> = self.by_key.iter().map(|(&key, v)| (key, v.clone())).collect();
        let first = Bytes::copy_from_slice(&self.applied.to_le_bytes());
        // Equal states give equal parts.
        let rest = std::iter::once(()).flat_map(move |()| {
            values.sort_unstable_by_key(|&(key, _)| key);
            std::mem::take(&mut values).into_iter().map(|(key, value)| write(key, &value))
        });
        Box::new(std::iter::once(first).chain(rest))
    }

    fn restore(&mut self, part: &Bytes) -> Result<(), Unrestorable> {
        let Some(number) = part.first_chunk::<KEY_BYTES>() else {
            return Err(Unrestorable("a part without a number"));
        };
        let number = u64::from_le_bytes(*number);
        match part.len() {
            KEY_BYTES => self.applied = number,
            _ => _ = self.by_key.insert(number, part.slice(KEY_BYTES..)),
        }
        Ok(())
    }
}
