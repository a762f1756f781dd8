//! The identity file: whose data directory this is.
//!
//! ```text
//! offset bytes
//!   0    8   magic "PAXOS-ID"
//!   8    4   format version, 1
//!  12    4   crc32c over the 12 bytes before and the 16 behind
//!  16   16   member: node, incarnation (random, made with the directory)
//! ```

use crate::wal::disk::{Disk, DiskError};
use crate::wal::error::WalError;
use crate::wal::header::VERSION;
use bytes::{Buf, BufMut};
use crc32c::{crc32c, crc32c_append};
use paxos_core::{Incarnation, MemberId, NodeId};

/// The file's name.
pub(crate) const IDENTITY: &str = "identity";
/// Its name until it is complete.
pub(crate) const IDENTITY_NEW: &str = "identity.new";

const MAGIC: &[u8; 8] = b"PAXOS-ID";
const BYTES: usize = 32;

/// Who a data directory speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The member.
    pub member: MemberId,
    /// Whether the directory was made just now: nothing was ever promised or voted here.
    pub is_new: bool,
}

impl Identity {
    /// Whether the data directory has an identity.
    pub fn is_in(disk: &dyn Disk) -> Result<bool, DiskError> {
        Ok(disk.list()?.iter().any(|name| name == IDENTITY))
    }

    /// Takes the data directory of a node without an acceptor; it gets an identity, and no log. One
    /// that has none yet is a new incarnation, which must be random. Whatever it is, it is durable.
    pub fn open(
        disk: &mut dyn Disk,
        node: NodeId,
        incarnation: Incarnation,
    ) -> Result<Identity, WalError> {
        let names = disk.list()?;
        if names.iter().any(|name| name == IDENTITY) {
            let member = read(disk, node)?;
            // The last start may have ended before its name was durable, and a copy that was put
            // back may be in the cache only. A node that acts as this member and then loses it
            // would come back as another.
            disk.open(IDENTITY)?.sync_data()?;
            disk.sync_directory()?;
            return Ok(Identity { member, is_new: false });
        }
        if names.iter().any(|name| name.ends_with(".wal")) {
            return Err(WalError::IdentityMissing { path: disk.path(IDENTITY) });
        }
        let member = MemberId { node, incarnation };
        write(disk, member)?;
        Ok(Identity { member, is_new: true })
    }
}

/// Reads the identity of `node`'s directory, which has such a file.
pub(crate) fn read(disk: &mut dyn Disk, node: NodeId) -> Result<MemberId, WalError> {
    let path = disk.path(IDENTITY);
    let damaged = |what| WalError::Corrupt { path: path.clone(), offset: 0, what };
    let file = disk.open(IDENTITY)?;
    if file.size()? != BYTES as u64 {
        return Err(damaged("the file does not have 32 bytes"));
    }
    let mut bytes = [0; BYTES];
    file.read_at(0, &mut bytes)?;
    let mut fields = &bytes[MAGIC.len()..];
    let version = fields.get_u32_le();
    if bytes[..MAGIC.len()] != MAGIC[..] {
        return Err(damaged("this is no identity file"));
    }
    // First the checksum: a bit of the version may have flipped.
    if fields.get_u32_le() != checksum(&bytes) {
        return Err(damaged("the file does not match its checksum"));
    }
    if version != VERSION {
        return Err(WalError::Version { path, found: version, known: VERSION });
    }
    let found = NodeId(fields.get_u64_le());
    if found != node {
        return Err(WalError::OtherNode { path, found, expected: node });
    }
    Ok(MemberId { node, incarnation: Incarnation(fields.get_u64_le()) })
}

/// Writes the identity, durably and all at once.
pub(crate) fn write(disk: &mut dyn Disk, member: MemberId) -> Result<(), DiskError> {
    let mut bytes = Vec::with_capacity(BYTES);
    bytes.put_slice(MAGIC);
    bytes.put_u32_le(VERSION);
    bytes.put_u32_le(0);
    bytes.put_u64_le(member.node.0);
    bytes.put_u64_le(member.incarnation.0);
    let crc = checksum(&bytes);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    let mut file = disk.create(IDENTITY_NEW)?;
    file.write_at(0, &bytes)?;
    file.sync_data()?;
    disk.rename(IDENTITY_NEW, IDENTITY)?;
    disk.sync_directory()
}

fn checksum(bytes: &[u8]) -> u32 {
    crc32c_append(crc32c(&bytes[..12]), &bytes[16..])
}
