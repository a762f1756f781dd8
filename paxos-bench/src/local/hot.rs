//! Hot paths, each by itself and for so many commands: what they cost is counted, not timed.

use super::bare_core;
use bytes::Bytes;
use paxos_actors::wal::{Found, MemoryDisk, WalError, WalOptions};
use paxos_core::*;
use paxos_kv::Store;
use paxos_kv::op::{Limit, Op};
use paxos_net::frame::{FrameError, FrameReader, FrameWriter};
use paxos_net::wire::MAIL;
use std::hint::black_box;
use std::sync::Arc;
use thiserror::Error;

/// Bytes of each value.
const PAYLOAD: usize = 256;

/// Commands in each entry.
const ENTRY: u64 = 16;

/// Keys that are written.
const KEYS: u64 = 1000;

/// A path that every command goes, or a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hot {
    /// All rules of three nodes, one command at a time.
    RulesOne,
    /// All rules of three nodes, 128 commands at a time.
    RulesMany,
    /// An entry of 16 commands becomes a frame, and an entry again.
    Frames,
    /// An entry of 16 commands becomes a record of the log, in memory.
    Log,
    /// The store applies writes.
    Store,
}

/// What goes wrong only where the path is broken.
#[derive(Debug, Error)]
pub enum HotError {
    /// A value is refused.
    #[error(transparent)]
    Limit(#[from] Limit),
    /// A frame does not come back.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A log cannot be written.
    #[error(transparent)]
    Log(#[from] WalError),
}

impl Hot {
    /// Every path, by the name that the command knows it by.
    pub const ALL: [(&str, Hot); 5] = [
        ("rules-1", Hot::RulesOne),
        ("rules-128", Hot::RulesMany),
        ("frames", Hot::Frames),
        ("log", Hot::Log),
        ("store", Hot::Store),
    ];

    /// Takes so many commands along the path, in whole entries.
    pub fn run(self, commands: u64) -> Result<(), HotError> {
        match self {
            Hot::RulesOne => bare_core::drive(1, PAYLOAD, commands),
            Hot::RulesMany => bare_core::drive(128, PAYLOAD, commands),
            Hot::Frames => frames(commands)?,
            Hot::Log => log(commands)?,
            Hot::Store => store(commands)?,
        }
        Ok(())
    }
}

fn put(sequence: u64) -> Result<Bytes, Limit> {
    let key = format!("key-{sequence}");
    Op::Put { key: key.into(), value: vec![7; PAYLOAD].into() }.encode()
}

fn entry() -> Result<Entry, Limit> {
    let session = SessionId { slot: Slot(9), index: 0 };
    let command = |sequence| {
        let body = Body::Run { session, sequence, acked_below: 0, value: put(sequence)? };
        Ok(Command { client: NodeId(1), learner: NodeId(1), body })
    };
    let commands: Result<Arc<[Command]>, Limit> = (0..ENTRY).map(command).collect();
    Ok(Entry { log_time_ms: 1, commands: commands? })
}

fn frames(commands: u64) -> Result<(), HotError> {
    let frame_bytes_max = Limits::default().peer_frame_bytes_max;
    let (mut writer, mut reader) =
        (FrameWriter::new(frame_bytes_max), FrameReader::new(frame_bytes_max));
    let (ballot, entry) = (Ballot { round: 1, node: NodeId(1), life: 1 }, entry()?);
    for slot in (0..commands / ENTRY).map(Slot) {
        let chosen = SlotRange::new(Slot::ZERO, slot);
        let accept = AcceptorMsg::Accept { ballot, slot, entry: entry.clone(), chosen };
        writer.push(MAIL, &(NodeId(2), Packet::from(accept)))?;
        reader.feed(writer.bytes());
        writer.advance(writer.len());
        while let Some(frame) = reader.next_frame()? {
            black_box(frame.decode::<(NodeId, Packet)>()?);
        }
    }
    Ok(())
}

fn log(commands: u64) -> Result<(), HotError> {
    let (node, incarnation) = (NodeId(1), Incarnation(1));
    let options = WalOptions { node, incarnation, segment_bytes: 16 << 20, queue_max: 1 };
    let found = Found::open(MemoryDisk::new().mount(), options)?;
    let mut segments = found.replay(&mut |_, _| ())?;
    let (ballot, entry) = (Ballot { round: 1, node, life: 1 }, entry()?);
    for slot in (0..commands / ENTRY).map(Slot) {
        let vote = Vote { ballot, entry: entry.clone() };
        segments.append(&[Record::Voted { slot, vote }])?;
        segments.commit()?;
    }
    Ok(())
}

fn store(commands: u64) -> Result<(), HotError> {
    let puts = (0..KEYS).map(put).collect::<Result<Vec<_>, _>>()?;
    let mut store = Store::new();
    for (slot, put) in (0..commands).map(Slot).zip(puts.iter().cycle()) {
        let applied = Applied { slot, index: 0, log_time_ms: 1 };
        black_box(store.apply(applied, put));
    }
    Ok(())
}
