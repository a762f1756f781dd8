//! Where one learner's snapshots are kept: a disk that takes its time, and forgets what was not
//! synced.

use bincode::config::standard;
use bytes::Bytes;
use paxos_core::digest::digest;
use paxos_core::rng::Rng;
use paxos_core::*;
use std::collections::{BTreeMap, VecDeque};

#[derive(Debug, Default)]
pub struct Shelf {
    /// Durable.
    kept: BTreeMap<SnapshotId, Bytes>,
    /// Of a transfer; what is not synced may be lost.
    incoming: Option<(SnapshotId, Vec<u8>)>,
    queue: VecDeque<SnapshotTask>,
    pub slow: bool,
    /// Bits of transfers that flipped.
    pub rotten: u64,
}

impl Shelf {
    /// Takes tasks. Gives back how long the first one takes, if none was being done.
    pub fn take(&mut self, tasks: Vec<SnapshotTask>, rng: &mut Rng) -> Option<u64> {
        let is_idle = self.queue.is_empty();
        self.queue.extend(tasks);
        if is_idle { self.next_takes(rng) } else { None }
    }

    /// How long the next task takes, if there is one.
    pub fn next_takes(&self, rng: &mut Rng) -> Option<u64> {
        let most = match self.queue.front()? {
            SnapshotTask::Write(_) => 100_000,
            _ => 3_000,
        };
        Some(rng.between(50, if self.slow { 100 * most } else { most }))
    }

    /// The first task is done. Only now is the state read out that it was begun with.
    pub fn done(&mut self, rng: &mut Rng) -> Option<SnapshotEvent> {
        match self.queue.pop_front()? {
            SnapshotTask::Write(source) => {
                let (below, log_time_ms) = (source.below, source.log_time_ms);
                let bytes = encode(source.pieces);
                let id = SnapshotId { below, log_time_ms, ..named(&bytes) };
                self.kept.insert(id, bytes);
                Some(SnapshotEvent::Written(id))
            }
            SnapshotTask::Read { id, offset, bytes_max, to } => {
                let part = |bytes: &Bytes| {
                    let end = bytes.len().min(offset as usize + bytes_max.min(60));
                    bytes.slice(offset as usize..end)
                };
                let data = self.kept.get(&id).map(part).unwrap_or_default();
                Some(SnapshotEvent::Read { to, id, offset, data })
            }
            SnapshotTask::Store { id, offset, data } => {
                if offset == 0 {
                    self.incoming = Some((id, Vec::new()));
                }
                let (_, bytes) = self.incoming.as_mut().filter(|(of, _)| *of == id)?;
                assert_eq!(bytes.len() as u64, offset, "a transfer goes on where it was");
                bytes.extend(data);
                if rng.between(0, 50) == 0 {
                    let at = rng.between(0, bytes.len() as u64) as usize;
                    bytes[at] ^= 1 << rng.between(0, 8);
                    self.rotten += 1;
                }
                Some(SnapshotEvent::Stored { id, held: bytes.len() as u64 })
            }
            SnapshotTask::Install { id } => {
                let (_, bytes) = self.incoming.take().filter(|(of, _)| *of == id)?;
                let SnapshotId { bytes: length, crc, .. } = named(&bytes);
                if (length, crc) != (id.bytes, id.crc) {
                    return Some(SnapshotEvent::Unsound(id));
                }
                self.kept.insert(id, bytes.into());
                Some(SnapshotEvent::Installed(id))
            }
            SnapshotTask::Abandon => {
                self.incoming = None;
                None
            }
            SnapshotTask::Remove { id } => {
                let newest = *self.kept.last_key_value().expect("something is kept").0;
                assert!(id < newest, "the newest snapshot is kept");
                self.kept.remove(&id);
                None
            }
        }
    }

    /// The machine loses power: of a transfer some bytes are lost.
    pub fn crash(&mut self, rng: &mut Rng) {
        self.queue.clear();
        if let Some((_, bytes)) = &mut self.incoming {
            let left = rng.between(0, bytes.len() as u64 + 1) as usize;
            bytes.truncate(if rng.between(0, 2) == 0 { bytes.len() } else { left });
        }
    }

    /// What a learner finds when it starts: the pieces of the newest snapshot, and what there is.
    pub fn open(&mut self) -> (Vec<SnapshotPiece>, SnapshotEvent) {
        let newest = self.kept.last_key_value().map(|(id, bytes)| (*id, bytes.clone()));
        self.kept.retain(|id, _| newest.as_ref().is_some_and(|(newest, _)| newest == id));
        let pieces = newest.as_ref().map(|(_, bytes)| decode(bytes)).unwrap_or_default();
        let partial = self.incoming.as_ref().map(|(id, bytes)| (*id, bytes.len() as u64));
        let newest = newest.map(|(id, _)| id);
        (pieces, SnapshotEvent::Found { newest, partial })
    }

    /// Every slot below is on the disk, durably.
    pub fn durable_below(&self) -> Slot {
        self.kept.last_key_value().map_or(Slot::ZERO, |(id, _)| id.below)
    }
}

fn named(bytes: &[u8]) -> SnapshotId {
    let crc = digest(0, bytes) as u32;
    SnapshotId { bytes: bytes.len() as u64, crc, ..SnapshotId::default() }
}

fn encode(pieces: impl Iterator<Item = SnapshotPiece>) -> Bytes {
    let mut bytes = Vec::new();
    for piece in pieces {
        bincode::serde::encode_into_std_write(&piece, &mut bytes, standard()).expect("a piece");
    }
    bytes.into()
}

fn decode(mut bytes: &[u8]) -> Vec<SnapshotPiece> {
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let decoded = bincode::serde::decode_from_slice(bytes, standard());
        let (piece, used) = decoded.expect("what was written can be read");
        pieces.push(piece);
        bytes = &bytes[used..];
    }
    pieces
}
