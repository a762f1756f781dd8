//! A frame: records under one checksum. One write adds one or more of them to a segment.
//!
//! ```text
//! offset bytes
//!   0    4   crc of the header: over cluster, node, incarnation, segment (8 bytes each), the
//!            frame's offset in the segment (4 bytes) and the 76 bytes from 4 on
//!   4    4   magic "PXFR"
//!   8    4   length of the records, in bytes
//!  12    4   crc of the records and their padding
//!  16    4   crc of the header of the frame before, in this segment or the one before; 0 for none
//!  20    4   synced: all below this offset of this segment was durable when the frame was written
//!  24    4   number of records
//!  28    4   zero
//!  32    8   lsn before the first record: how many records the log had
//!  40   24   the ballot promised, with this frame: round, node, life
//!  64   16   the slots that the frame before mentions: from, below
//!  80    *   the records; for each its length (4 bytes) and its encoding ([`crate::codec`])
//!   *  0–7   zeros up to a multiple of 8
//! ```
//! All numbers are little endian; every crc is CRC32C. Since the crc of the header covers that of
//! the records, it speaks for the whole frame, and the chain of them for the whole log. Since it
//! has its own, a header can be trusted where the records behind it are damaged.

use bytes::{Buf, BufMut};
use crc32c::{crc32c, crc32c_append};
use paxos_core::{Ballot, ClusterId, MemberId, NodeId, Slot, SlotRange};

/// Bytes before a frame's records.
pub(crate) const HEADER_BYTES: usize = 80;

/// Frames begin at multiples of this.
pub(crate) const ALIGNMENT: usize = 8;

const _: () = assert!(HEADER_BYTES.is_multiple_of(ALIGNMENT));

const MAGIC: u32 = u32::from_le_bytes(*b"PXFR");

/// The segment that a frame stands in, as far as its crc goes: a frame that was written to another
/// one, or for another member or cluster, is none here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u32);

/// What a frame says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub length: u32,
    pub crc_before: u32,
    pub synced: u32,
    pub records: u32,
    pub lsn: u64,
    pub promised: Ballot,
    pub slots_before: SlotRange,
}

impl Place {
    pub fn new(cluster: ClusterId, member: MemberId, segment: u64) -> Place {
        let mut crc = crc32c(&cluster.0.to_le_bytes());
        let segment = if planted!(StaleSegmentReused) { 0 } else { segment };
        for word in [member.node.0, member.incarnation.0, segment] {
            crc = crc32c_append(crc, &word.to_le_bytes());
        }
        Place(crc)
    }

    /// The crc of a header at `offset`.
    fn crc(self, offset: u32, header: &[u8]) -> u32 {
        crc32c_append(crc32c_append(self.0, &offset.to_le_bytes()), &header[4..HEADER_BYTES])
    }
}

impl Frame {
    /// Bytes of the whole frame.
    pub fn bytes(&self) -> usize {
        HEADER_BYTES + (self.length as usize).next_multiple_of(ALIGNMENT)
    }

    /// Writes the header of the frame that will stand at `offset` of `place`: `frame` has the
    /// padded records behind the header's room. Gives back the header's crc.
    pub fn seal(&self, frame: &mut [u8], place: Place, offset: u32) -> u32 {
        let (header, records) = frame.split_at_mut(HEADER_BYTES);
        let mut fields = &mut header[4..];
        fields.put_u32_le(MAGIC);
        fields.put_u32_le(self.length);
        fields.put_u32_le(crc32c(records));
        fields.put_u32_le(self.crc_before);
        fields.put_u32_le(self.synced);
        fields.put_u32_le(self.records);
        fields.put_u32_le(0);
        fields.put_u64_le(self.lsn);
        put_ballot(&mut fields, self.promised);
        fields.put_u64_le(self.slots_before.from.0);
        fields.put_u64_le(self.slots_before.below.0);
        let crc = place.crc(offset, header);
        header[..4].copy_from_slice(&crc.to_le_bytes());
        crc
    }

    /// The frame at `offset` of a segment's bytes, its records and its header's crc; or what is
    /// wrong with it.
    pub fn read(
        segment: &[u8],
        offset: u32,
        place: Place,
    ) -> Result<(Frame, &[u8], u32), &'static str> {
        let (frame, crc_records, crc) =
            Frame::read_header(segment, offset, place).ok_or("no valid frame header")?;
        let start = offset as usize + HEADER_BYTES;
        let padded = segment
            .get(start..start + frame.bytes() - HEADER_BYTES)
            .ok_or("the frame is longer than its segment")?;
        if crc32c(padded) != crc_records {
            return Err("the records do not match their checksum");
        }
        Ok((frame, &padded[..frame.length as usize], crc))
    }

    /// The highest `synced` that a valid frame header behind `offset` states; 0 if there is none.
    pub fn synced_behind(segment: &[u8], offset: u32, place: Place) -> u32 {
        let behind = (offset as usize + ALIGNMENT..segment.len()).step_by(ALIGNMENT);
        behind
            .filter(|at| segment.get(at + 4..at + 8) == Some(&MAGIC.to_le_bytes()))
            .filter_map(|at| Frame::read_header(segment, u32::try_from(at).ok()?, place))
            .map(|(frame, ..)| frame.synced)
            .max()
            .unwrap_or(0)
    }

    /// The header at `offset`, the crc of its records and its own.
    fn read_header(segment: &[u8], offset: u32, place: Place) -> Option<(Frame, u32, u32)> {
        let header = segment.get(offset as usize..offset as usize + HEADER_BYTES)?;
        let mut fields = header;
        let crc = fields.get_u32_le();
        if fields.get_u32_le() != MAGIC || crc != place.crc(offset, header) {
            return None;
        }
        let length = fields.get_u32_le();
        let crc_records = fields.get_u32_le();
        let crc_before = fields.get_u32_le();
        let synced = fields.get_u32_le();
        let records = fields.get_u32_le();
        fields.advance(4);
        let lsn = fields.get_u64_le();
        let promised = read_ballot(&mut fields);
        let slots_before = SlotRange::new(Slot(fields.get_u64_le()), Slot(fields.get_u64_le()));
        let frame = Frame { length, crc_before, synced, records, lsn, promised, slots_before };
        Some((frame, crc_records, crc))
    }
}

/// Writes a ballot: round, node, life.
pub(crate) fn put_ballot(buffer: &mut impl BufMut, ballot: Ballot) {
    buffer.put_u64_le(ballot.round);
    buffer.put_u64_le(ballot.node.0);
    buffer.put_u64_le(ballot.life);
}

/// Reads a ballot from at least 24 bytes.
pub(crate) fn read_ballot(buffer: &mut impl Buf) -> Ballot {
    let round = buffer.get_u64_le();
    Ballot { round, node: NodeId(buffer.get_u64_le()), life: buffer.get_u64_le() }
}
