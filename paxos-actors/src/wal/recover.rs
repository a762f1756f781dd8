//! Opening a data directory, and reading its log.

use crate::codec;
use crate::wal::counters::Counters;
use crate::wal::disk::Disk;
use crate::wal::error::WalError;
use crate::wal::frame::{Frame, Place};
use crate::wal::header::{BadHeader, HEADER_BYTES_MAX, Header, VERSION};
use crate::wal::identity::{self, IDENTITY, IDENTITY_NEW, Identity};
use crate::wal::segments::{Held, Parts, SPARE, Segments, make_first, segment_name};
use crate::wal::state::{State, cover, slots};
use crate::wal::{SEGMENT_BYTES, WalOptions};
use bytes::Buf;
use paxos_core::{MemberId, Record, Slot, SlotRange};
use std::collections::VecDeque;
use std::sync::Arc;

/// No log comes to have more records, and those of one segment may be added without overflow.
const LSN_MAX: u64 = 1 << 60;

/// A data directory whose identity and segment headers were found sound, and whose frames were not
/// read yet.
pub struct Found {
    identity: Identity,
    parts: Parts,
}

/// What reading a log has shown.
pub(crate) struct Walked {
    pub state: State,
    /// What the last frame mentions.
    pub slots: SlotRange,
    /// The last segment.
    pub place: Place,
    pub tail: Tail,
}

/// How the last segment ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail {
    /// Where its last frame ends.
    pub end: u32,
    /// Below this, its frames say of each other that they are durable.
    pub proved: u32,
    /// Nothing but zeros stands behind the last frame.
    pub is_clean: bool,
}

impl Found {
    /// Takes the data directory; makes it first if it is empty.
    pub fn open(disk: impl Disk + 'static, options: WalOptions) -> Result<Found, WalError> {
        let mut disk: Box<dyn Disk> = Box::new(disk);
        let segment_bytes = options.segment_bytes;
        if !SEGMENT_BYTES.contains(&segment_bytes)
            || !segment_bytes.is_multiple_of(*SEGMENT_BYTES.start())
        {
            return Err(WalError::SegmentSize(segment_bytes));
        }
        let names = disk.list()?;
        let mut numbers = names.iter().filter_map(|name| segment_number(name)).collect::<Vec<_>>();
        numbers.sort_unstable();
        let identity = if names.iter().any(|name| name == IDENTITY) {
            let member = identity::read(disk.as_mut(), options.node)?;
            Identity { member, is_new: false }
        } else {
            refuse_orphans(disk.as_mut(), &numbers)?;
            let member = MemberId { node: options.node, incarnation: options.incarnation };
            make_first(disk.as_mut(), member, segment_bytes)?;
            identity::write(disk.as_mut(), member)?;
            numbers = vec![1];
            Identity { member, is_new: true }
        };
        // The last start may have ended before it synced what is seen now. Nothing may go for the
        // sake of a segment whose name could still be lost.
        disk.sync_directory()?;
        for leftover in [SPARE, IDENTITY_NEW] {
            if disk.list()?.iter().any(|name| name == leftover) {
                disk.remove(leftover)?;
            }
        }
        let held = read_headers(disk.as_mut(), identity.member, &numbers)?;
        let member = identity.member;
        let counters = Arc::default();
        Ok(Found { identity, parts: Parts { disk, member, segment_bytes, counters, held } })
    }

    /// Whose directory it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// What the log will count.
    pub fn counters(&self) -> Arc<Counters> {
        self.parts.counters.clone()
    }

    /// Gives every record of the log to `sink`, in order, and the bytes that it takes. Then the log
    /// is ready to be written, and all that was given is durable.
    pub fn replay(mut self, sink: &mut dyn FnMut(Record, usize)) -> Result<Segments, WalError> {
        let Parts { disk, member, held, .. } = &mut self.parts;
        let walked = walk(disk.as_mut(), *member, held.make_contiguous(), sink)?;
        let number = held.back().map_or(0, |held| held.number);
        let mut file = disk.open(&segment_name(number))?;
        let Tail { proved, end, .. } = walked.tail;
        if proved < end {
            // These may have been read from a cache whose sync once failed: such pages count as
            // clean and would never reach the disk unless they are written again.
            let mut unproved = vec![0; (end - proved) as usize];
            file.read_at(proved.into(), &mut unproved)?;
            file.write_at(proved.into(), &unproved)?;
        }
        self.parts.counters.timed(|| file.sync_data())?;
        Segments::new(self.parts, walked, file)
    }
}

fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".wal").filter(|digits| digits.len() == 16)?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (segment_name(number) == name).then_some(number)
}

/// Without an identity there may be at most what a first start leaves that was cut short: a first
/// segment without frames. It is removed.
fn refuse_orphans(disk: &mut dyn Disk, numbers: &[u64]) -> Result<(), WalError> {
    let missing = WalError::IdentityMissing { path: disk.path(IDENTITY) };
    match numbers {
        [] => return Ok(()),
        [1] => {}
        _ => return Err(missing),
    }
    let bytes = read(disk, 1, None)?;
    let Ok((header, start)) = Header::decode(&bytes) else { return Err(missing) };
    let has_frame = Frame::read(&bytes, start, header.place()).is_ok();
    if has_frame || Frame::synced_behind(&bytes, start, header.place()) > 0 {
        return Err(missing);
    }
    disk.remove(&segment_name(1))?;
    Ok(disk.sync_directory()?)
}

/// Checks that all segments are there that the last one needs, and all are this member's. Removes
/// those that are needed no more: the last trimming was cut short.
fn read_headers(
    disk: &mut dyn Disk,
    member: MemberId,
    numbers: &[u64],
) -> Result<VecDeque<Held>, WalError> {
    let segment_missing = |number, disk: &mut dyn Disk| {
        Err(WalError::SegmentMissing { path: disk.path(&segment_name(number)) })
    };
    let Some(&last) = numbers.last() else { return segment_missing(1, disk) };
    let first = read_header(disk, member, last)?.0.first;
    let mut held = VecDeque::<Held>::new();
    for &number in numbers {
        if number < first {
            disk.remove(&segment_name(number))?;
            continue;
        }
        let expected = held.back().map_or(first, |before| before.number + 1);
        if number != expected {
            return segment_missing(expected, disk);
        }
        let (Header { segment_bytes, end_before, .. }, _) = read_header(disk, member, number)?;
        if let Some(before) = held.back_mut() {
            before.end = Some(end_before);
        }
        held.push_back(Held { number, segment_bytes, end: None, below: Slot::ZERO });
    }
    Ok(held)
}

/// The header of a segment and where it ends.
fn read_header(
    disk: &mut dyn Disk,
    member: MemberId,
    number: u64,
) -> Result<(Header, u32), WalError> {
    let bytes = read(disk, number, Some(HEADER_BYTES_MAX as u32))?;
    check_header(disk, member, number, &bytes)
}

fn check_header(
    disk: &mut dyn Disk,
    member: MemberId,
    number: u64,
    bytes: &[u8],
) -> Result<(Header, u32), WalError> {
    let path = disk.path(&segment_name(number));
    let corrupt = |path, what| Err::<(Header, u32), _>(WalError::Corrupt { path, offset: 0, what });
    let (header, end) = match Header::decode(bytes) {
        Ok(found) => found,
        Err(BadHeader::Damaged) => return corrupt(path, "no valid segment header"),
        Err(BadHeader::Version(found)) => {
            return Err(WalError::Version { path, found, known: VERSION });
        }
    };
    if header.member != member {
        return Err(WalError::Foreign { path, what: "member" });
    }
    if header.cluster != header.state.cluster() {
        return Err(WalError::Foreign { path, what: "cluster" });
    }
    if header.number != number {
        return corrupt(path, "the header is another segment's");
    }
    let has_place = (1..=number).contains(&header.first) && header.state.lsn <= LSN_MAX;
    if !has_place || !SEGMENT_BYTES.contains(&header.segment_bytes) {
        return corrupt(path, "the header contradicts itself");
    }
    Ok((header, end))
}

/// The first bytes of a segment: at most so many, or all.
fn read(disk: &mut dyn Disk, number: u64, limit: Option<u32>) -> Result<Vec<u8>, WalError> {
    let mut bytes = Vec::new();
    read_into(&mut bytes, disk, number, limit)?;
    Ok(bytes)
}

/// The same, in place of what the buffer has.
fn read_into(
    bytes: &mut Vec<u8>,
    disk: &mut dyn Disk,
    number: u64,
    limit: Option<u32>,
) -> Result<(), WalError> {
    let file = disk.open(&segment_name(number))?;
    let limit = limit.unwrap_or(*SEGMENT_BYTES.end()).into();
    bytes.resize(file.size()?.min(limit) as usize, 0);
    Ok(file.read_at(0, bytes)?)
}

/// Reads the log from its oldest segment to its end, one segment in memory at a time.
pub(crate) fn walk(
    disk: &mut dyn Disk,
    member: MemberId,
    segments: &mut [Held],
    sink: &mut dyn FnMut(Record, usize),
) -> Result<Walked, WalError> {
    let Some(last) = segments.last() else {
        return Err(WalError::SegmentMissing { path: disk.path(&segment_name(1)) });
    };
    let newest = read_header(disk, member, last.number)?.0.state;
    let mut walked: Option<Walked> = None;
    // One for all: to have memory of this size cleared costs as much as to read it.
    let mut bytes = Vec::new();
    for held in segments {
        read_into(&mut bytes, disk, held.number, held.end)?;
        let (header, start) = check_header(disk, member, held.number, &bytes)?;
        let mut state = match walked.take() {
            Some(before) => before.state,
            None => {
                header.state.restated(&newest).for_each(|record| sink(record, 0));
                header.state.clone()
            }
        };
        let path = disk.path(&segment_name(held.number));
        if header.cluster != state.cluster() {
            return Err(WalError::Foreign { path, what: "cluster" });
        }
        let mut walk = Walk { bytes: &bytes, state: &mut state, place: header.place(), held };
        let found = match header.state == *walk.state {
            true => walk.frames(header.segment_bytes, start, sink),
            false => Err((0, "the header does not continue the segment before")),
        };
        let (slots, tail) = found.map_err(|(offset, what)| WalError::Corrupt {
            path,
            offset: offset.into(),
            what,
        })?;
        walked = Some(Walked { state, slots, place: header.place(), tail });
    }
    walked.ok_or_else(|| WalError::SegmentMissing { path: disk.path(&segment_name(1)) })
}

/// Reading one segment.
struct Walk<'a> {
    bytes: &'a [u8],
    state: &'a mut State,
    place: Place,
    held: &'a mut Held,
}

/// Where a segment is damaged, and how.
type Damage = (u32, &'static str);

impl<'a> Walk<'a> {
    fn frames(
        &mut self,
        segment_bytes: u32,
        start: u32,
        sink: &mut dyn FnMut(Record, usize),
    ) -> Result<(SlotRange, Tail), Damage> {
        let length = self.held.end.unwrap_or(segment_bytes);
        if (self.bytes.len() as u64) < length.into() || length < start {
            return Err((self.bytes.len() as u32, "the segment is too short"));
        }
        let mut slots = SlotRange::default();
        let mut tail = Tail { end: start, proved: start, is_clean: true };
        while self.held.end != Some(tail.end) {
            let at = tail.end;
            let (frame, records, crc) = match self.next_frame(at) {
                Ok(found) => found,
                // All before the next segment was durable, and so was all that a frame behind
                // calls durable.
                Err(what) if self.held.end.is_some() => return Err((at, what)),
                Err(_) if is_zero(&self.bytes[at as usize..]) => return Ok((slots, tail)),
                Err(what) if self.synced_behind(at) > at => {
                    return Err((at, what));
                }
                Err(_) => {
                    tail.is_clean = false;
                    return Ok((slots, tail));
                }
            };
            slots = self.records(&frame, records, sink).map_err(|what| (at, what))?;
            self.state.crc = crc;
            tail.end += frame.bytes() as u32;
            tail.proved = tail.proved.max(frame.synced);
        }
        Ok((slots, tail))
    }

    fn synced_behind(&self, at: u32) -> u32 {
        match planted!(CorruptionTruncated) {
            true => 0,
            false => Frame::synced_behind(self.bytes, at, self.place),
        }
    }

    fn next_frame(&self, at: u32) -> Result<(Frame, &'a [u8], u32), &'static str> {
        let found = Frame::read(self.bytes, at, self.place)?;
        match self.state.leads_to(&found.0) && found.0.synced <= at {
            true => Ok(found),
            false => Err("the frame does not continue the one before"),
        }
    }

    /// Gives a frame's records away; finds what they mention.
    fn records(
        &mut self,
        frame: &Frame,
        mut bytes: &[u8],
        sink: &mut dyn FnMut(Record, usize),
    ) -> Result<SlotRange, &'static str> {
        let mut mentioned = SlotRange::default();
        for _ in 0..frame.records {
            let length = bytes.try_get_u32_le().map_err(|_| "a record is cut short")? as usize;
            let (encoded, rest) = bytes.split_at_checked(length).ok_or("a record is cut short")?;
            let record = codec::decode(encoded).map_err(|_| "a record cannot be decoded")?;
            bytes = rest;
            self.state.apply(&record);
            mentioned = cover(mentioned, slots(&record));
            sink(record, length);
        }
        if !bytes.is_empty() || self.state.promised != frame.promised {
            return Err("the frame's header does not match its records");
        }
        self.held.below = self.held.below.max(mentioned.below);
        Ok(mentioned)
    }
}

/// Whether there are only zeros; compared in blocks, since most of a segment often is just that.
fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|block| *block == ZEROS[..block.len()])
}
