//! The header of a segment.
//!
//! ```text
//! offset bytes
//!   0    8   magic "PAXOSWAL"
//!   8    4   format version, 1
//!  12    4   crc: over the 12 bytes before and all from 16 to the first frame
//!  16    8   cluster; 0 while the roster is not stored
//!  24   16   member: node, incarnation
//!  40    8   number of the segment; the first is 1
//!  48    8   number of the oldest segment that is still needed
//!  56    4   bytes of the segment
//!  60    4   where the frames of the segment before end; what stands behind is cut off for ever
//!  64    4   crc of the header of the last frame before; 0 for none
//!  68    4   length of the roster's encoding, 0 for no roster
//!  72    8   lsn: how many records the log had
//!  80   24   the ballot promised: round, node, life
//! 104    8   trimmed: slots below are forgotten
//! 112    8   log time at the last slot that is forgotten, in milliseconds
//! 120    8   chosen: every slot below was stated as chosen
//! 128    1   1 if the cluster is formed, else 0
//! 129    *   the roster, encoded by [`crate::codec`]
//!   *  0–7   zeros up to a multiple of 8; then the first frame
//! ```

use crate::codec;
use crate::wal::frame::{ALIGNMENT, Place, put_ballot, read_ballot};
use crate::wal::state::State;
use bytes::{Buf, BufMut};
use crc32c::{crc32c, crc32c_append};
use paxos_core::{ClusterId, Incarnation, MemberId, NodeId, Slot};

/// The format version of segments and of the identity file.
pub(crate) const VERSION: u32 = 1;

/// No header is longer, so that it is read at once.
pub(crate) const HEADER_BYTES_MAX: usize = 64 << 10;

const MAGIC: &[u8; 8] = b"PAXOSWAL";
const FIXED_BYTES: usize = 129;

/// What a segment says of itself and of all before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub cluster: ClusterId,
    pub member: MemberId,
    pub number: u64,
    /// The oldest segment that is still needed.
    pub first: u64,
    pub segment_bytes: u32,
    /// Where the frames of the segment before end.
    pub end_before: u32,
    /// What the log says before this segment.
    pub state: State,
}

/// Why a header is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadHeader {
    /// The bytes are damaged.
    Damaged,
    /// Another format version.
    Version(u32),
}

impl Header {
    pub fn place(&self) -> Place {
        Place::new(self.cluster, self.member, self.number)
    }

    /// The bytes up to the first frame.
    pub fn encode(&self) -> Result<Vec<u8>, codec::CodecError> {
        let mut bytes = Vec::with_capacity(512);
        bytes.put_slice(MAGIC);
        bytes.put_u32_le(VERSION);
        bytes.put_u32_le(0);
        for word in [self.cluster.0, self.member.node.0, self.member.incarnation.0] {
            bytes.put_u64_le(word);
        }
        bytes.put_u64_le(self.number);
        bytes.put_u64_le(self.first);
        bytes.put_u32_le(self.segment_bytes);
        bytes.put_u32_le(self.end_before);
        bytes.put_u32_le(self.state.crc);
        bytes.put_u32_le(0);
        bytes.put_u64_le(self.state.lsn);
        put_ballot(&mut bytes, self.state.promised);
        bytes.put_u64_le(self.state.trimmed.0);
        bytes.put_u64_le(self.state.trimmed_ms);
        bytes.put_u64_le(self.state.chosen_below.0);
        bytes.put_u8(self.state.formed.into());
        if let Some(roster) = &self.state.roster {
            codec::encode(roster, &mut bytes)?;
        }
        let roster_bytes = (bytes.len() - FIXED_BYTES) as u32;
        bytes[68..72].copy_from_slice(&roster_bytes.to_le_bytes());
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        let crc = checksum(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        Ok(bytes)
    }

    /// The header that `bytes` begin with, and how many of them it takes.
    pub fn decode(bytes: &[u8]) -> Result<(Header, u32), BadHeader> {
        let fixed = bytes.get(..FIXED_BYTES).ok_or(BadHeader::Damaged)?;
        let mut fields = fixed;
        let magic = fields.copy_to_bytes(MAGIC.len());
        let version = fields.get_u32_le();
        let crc = fields.get_u32_le();
        if magic[..] != MAGIC[..] {
            return Err(BadHeader::Damaged);
        }
        let cluster = ClusterId(fields.get_u64_le());
        let node = NodeId(fields.get_u64_le());
        let member = MemberId { node, incarnation: Incarnation(fields.get_u64_le()) };
        let number = fields.get_u64_le();
        let first = fields.get_u64_le();
        let segment_bytes = fields.get_u32_le();
        let end_before = fields.get_u32_le();
        let crc_before = fields.get_u32_le();
        let roster_bytes = fields.get_u32_le() as usize;
        let end = FIXED_BYTES.saturating_add(roster_bytes);
        if end > HEADER_BYTES_MAX {
            return Err(BadHeader::Damaged);
        }
        let header = bytes.get(..end.next_multiple_of(ALIGNMENT)).ok_or(BadHeader::Damaged)?;
        // First the checksum: a bit of the version may have flipped.
        if checksum(header) != crc {
            return Err(BadHeader::Damaged);
        }
        if version != VERSION {
            return Err(BadHeader::Version(version));
        }
        let mut state = State { crc: crc_before, lsn: fields.get_u64_le(), ..State::default() };
        state.promised = read_ballot(&mut fields);
        state.trimmed = Slot(fields.get_u64_le());
        state.trimmed_ms = fields.get_u64_le();
        state.chosen_below = Slot(fields.get_u64_le());
        state.formed = fields.get_u8() != 0;
        if roster_bytes > 0 {
            let roster = codec::decode(&header[FIXED_BYTES..end]);
            state.roster = Some(roster.map_err(|_| BadHeader::Damaged)?);
        }
        let found = Header { cluster, member, number, first, segment_bytes, end_before, state };
        Ok((found, header.len() as u32))
    }
}

/// The crc of a header: over all but the crc itself.
fn checksum(header: &[u8]) -> u32 {
    crc32c_append(crc32c(&header[..12]), &header[16..])
}
