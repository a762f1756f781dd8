//! The replicated state of the simulation: a few lists that are appended to.
//!
//! Appending unique numbers makes histories easy to judge: a list shows every write that took
//! effect, once or more often, and in which order.

use bytes::Bytes;
use paxos_core::digest::digest;
use paxos_core::{Applied, Slot, SnapshotParts, StateMachine, Unrestorable};

pub const KEYS: usize = 3;

#[derive(Debug, Default)]
pub struct Lists {
    pub lists: [Vec<u64>; KEYS],
    last: Option<Applied>,
}

/// Appends `number` to the list `key`; the result is the length before. One in four has so many
/// words that say nothing.
pub fn append(key: usize, number: u64, bulk: usize) -> Bytes {
    let mut bytes = vec![key as u8];
    bytes.extend(number.to_le_bytes());
    if number.is_multiple_of(4) {
        bytes.resize(bytes.len() + 8 * bulk, 0);
    }
    bytes.into()
}

/// Asks for the list `key`.
pub fn list(key: usize) -> Bytes {
    vec![key as u8].into()
}

pub fn numbers(bytes: &Bytes) -> Vec<u64> {
    bytes.chunks(8).map(|chunk| u64::from_le_bytes(chunk.try_into().expect("8 bytes"))).collect()
}

impl StateMachine for Lists {
    fn apply(&mut self, at: Applied, command: &Bytes) -> Bytes {
        let place = |at: Applied| (at.slot, at.index);
        let before = self.last.map_or((Slot::ZERO, 0), place);
        let first = self.last.is_none();
        assert!(first || place(at) > before, "invariant 8: applied {at:?} after {before:?}");
        let time = self.last.map_or(0, |last| last.log_time_ms);
        assert!(at.log_time_ms >= time, "R18: log time goes back at {at:?}");
        self.last = Some(at);
        let list = &mut self.lists[usize::from(command[0])];
        let number = numbers(&command.slice(1..))[0];
        assert!(!list.contains(&number), "invariant 8: {number} is applied twice");
        list.push(number);
        Bytes::copy_from_slice(&(list.len() as u64 - 1).to_le_bytes())
    }

    fn query(&self, query: &Bytes) -> Bytes {
        let list = &self.lists[usize::from(query[0])];
        list.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>().into()
    }

    fn digest(&self) -> u64 {
        let hash = |seed, number: &u64| digest(seed, &number.to_le_bytes());
        self.lists.iter().fold(0, |seed, list| list.iter().fold(seed + 1, hash))
    }

    /// The place of the last command, then each list in parts of a few numbers.
    fn snapshot(&self) -> SnapshotParts {
        let Applied { slot, index, log_time_ms } = self.last.unwrap_or_default();
        let first = words(&[u64::MAX, slot.0, index.into(), log_time_ms]);
        let lists = self.lists.clone().into_iter().zip(0u64..);
        let parts = lists.flat_map(|(list, key)| {
            let part = |numbers: &[u64]| words(&[&[key], numbers].concat());
            list.chunks(5).map(part).collect::<Vec<_>>()
        });
        Box::new(std::iter::once(first).chain(parts))
    }

    fn restore(&mut self, part: &Bytes) -> Result<(), Unrestorable> {
        match numbers(part)[..] {
            [u64::MAX, slot, index, log_time_ms] => {
                self.last = Some(Applied { slot: Slot(slot), index: index as u32, log_time_ms });
            }
            [key, ref numbers @ ..] => self.lists[key as usize].extend(numbers),
            [] => return Err(Unrestorable("an empty part")),
        }
        Ok(())
    }
}

fn words(words: &[u64]) -> Bytes {
    words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>().into()
}
