//! Pieces as bytes, and back. See [`crate::snapshots`] for the layout.

use crate::codec::{self, CodecError};
use crate::wal::{DiskError, DiskFile};
use bytes::{Buf, BufMut};
use crc32c::{crc32c, crc32c_append};
use paxos_core::{SnapshotId, SnapshotPiece};
use thiserror::Error;

/// The format version.
pub(super) const VERSION: u32 = 1;

/// Bytes of one piece, at most: what a file claims beyond that is damage, and is not allocated.
const PIECE_BYTES_MAX: usize = 8 << 20;

/// Bytes that are read at a time to check a whole file.
const CHECK_BYTES: usize = 256 << 10;

const MAGIC: &[u8; 8] = b"PAXOSNAP";
const HEADER_BYTES: u64 = 12;
const FRAME_BYTES: usize = 8;

/// A piece cannot be written.
#[derive(Debug, Error)]
pub(super) enum BadPiece {
    /// Nobody could read it.
    #[error("a piece of a snapshot has {0} bytes, and may have {PIECE_BYTES_MAX}")]
    TooLarge(usize),
    /// It does not fit its format.
    #[error("a piece of a snapshot does not fit its format: {0}; this is a bug, please report it")]
    Codec(#[from] CodecError),
}

/// Why a file is no snapshot, or not the one that it should be.
#[derive(Debug, Error)]
pub(super) enum Bad {
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Another format version.
    #[error("format version {0}")]
    Version(u32),
    /// Damaged at an offset.
    #[error("damaged at offset {0} ({1})")]
    Damaged(u64, &'static str),
}

/// Makes bytes of pieces; they are taken away as they come.
pub(super) struct Encoder {
    /// Not taken yet.
    pub(super) buffer: Vec<u8>,
    /// Taken already.
    taken: u64,
    crc: u32,
}

impl Encoder {
    pub(super) fn new() -> Encoder {
        let mut buffer = Vec::new();
        buffer.put_slice(MAGIC);
        buffer.put_u32_le(VERSION);
        Encoder { buffer, taken: 0, crc: 0 }
    }

    /// Adds the frame of a piece.
    pub(super) fn push(&mut self, piece: &SnapshotPiece) -> Result<(), BadPiece> {
        let start = self.open();
        codec::encode(piece, &mut self.buffer)?;
        let length = self.buffer.len() - start - FRAME_BYTES;
        if length > PIECE_BYTES_MAX {
            return Err(BadPiece::TooLarge(length));
        }
        self.close(start);
        Ok(())
    }

    /// Adds the last frame.
    pub(super) fn finish(&mut self) {
        let start = self.open();
        self.close(start);
    }

    /// Bytes that were taken, and the crc over them.
    pub(super) fn taken(&self) -> (u64, u32) {
        (self.taken, self.crc)
    }

    /// What is in the buffer is in the file.
    pub(super) fn take(&mut self) {
        self.taken += self.buffer.len() as u64;
        self.crc = crc32c_append(self.crc, &self.buffer);
        self.buffer.clear();
    }

    fn open(&mut self) -> usize {
        let start = self.buffer.len();
        self.buffer.put_bytes(0, FRAME_BYTES);
        start
    }

    fn close(&mut self, start: usize) {
        let (header, piece) = self.buffer[start..].split_at_mut(FRAME_BYTES);
        let length = piece.len() as u32;
        let crc = checksum(self.taken + start as u64, length, piece);
        header[..4].copy_from_slice(&length.to_le_bytes());
        header[4..].copy_from_slice(&crc.to_le_bytes());
    }
}

fn checksum(offset: u64, length: u32, piece: &[u8]) -> u32 {
    let crc = crc32c(&offset.to_le_bytes());
    crc32c_append(crc32c_append(crc, &length.to_le_bytes()), piece)
}

/// Gives the pieces of a snapshot to `sink`, each with the bytes that it takes, and checks that it
/// is the one that `id` names, to the last byte. Nothing that was given counts if the end is bad.
pub(super) fn read(
    file: &dyn DiskFile,
    id: SnapshotId,
    sink: &mut dyn FnMut(SnapshotPiece, usize),
) -> Result<(), Bad> {
    let size = file.size()?;
    if size != id.bytes {
        return Err(Bad::Damaged(size.min(id.bytes), "the file has another length"));
    }
    let mut reading = Reading { file, size, at: 0, crc: 0 };
    let mut header = reading.take(HEADER_BYTES as usize)?;
    let mut magic = [0; MAGIC.len()];
    header.copy_to_slice(&mut magic);
    if magic != *MAGIC {
        return Err(Bad::Damaged(0, "no snapshot"));
    }
    match header.get_u32_le() {
        VERSION => {}
        // Of a file whose bytes are those that were written, the version can be believed.
        version => {
            return Err(match checksum_of(file, size)? == id.crc {
                true => Bad::Version(version),
                false => Bad::Damaged(MAGIC.len() as u64, "the format version was not written so"),
            });
        }
    }
    let mut is_first = true;
    while let Some((offset, piece, length)) = reading.frame()? {
        let is_header = match &piece {
            SnapshotPiece::Header { below, log_time_ms, .. } => {
                if (*below, *log_time_ms) != (id.below, id.log_time_ms) {
                    return Err(Bad::Damaged(offset, "the header of another snapshot"));
                }
                true
            }
            SnapshotPiece::Sessions(_) | SnapshotPiece::State(_) => false,
        };
        if is_header != is_first {
            return Err(Bad::Damaged(offset, "a header in the wrong place, or none"));
        }
        is_first = false;
        sink(piece, length);
    }
    let Reading { at, crc, .. } = reading;
    match (is_first, at == size, crc == id.crc) {
        (true, ..) => Err(Bad::Damaged(HEADER_BYTES, "no header")),
        (_, false, _) => Err(Bad::Damaged(at, "bytes behind the last frame")),
        (.., false) => Err(Bad::Damaged(0, "the whole does not match its checksum")),
        (false, true, true) => Ok(()),
    }
}

/// Whether the bytes of the file are those that `id` names, to the last one. Nothing is decoded.
pub(super) fn is_whole(file: &dyn DiskFile, id: SnapshotId) -> Result<bool, DiskError> {
    let size = file.size()?;
    Ok(size == id.bytes && checksum_of(file, size)? == id.crc)
}

/// The checksum over the whole file.
fn checksum_of(file: &dyn DiskFile, size: u64) -> Result<u32, DiskError> {
    let mut bytes = vec![0; CHECK_BYTES];
    let (mut at, mut crc) = (0, 0);
    while at < size {
        let chunk = &mut bytes[..(size - at).min(CHECK_BYTES as u64) as usize];
        file.read_at(at, chunk)?;
        crc = crc32c_append(crc, chunk);
        at += chunk.len() as u64;
    }
    Ok(crc)
}

/// A file that is read from front to back.
struct Reading<'a> {
    file: &'a dyn DiskFile,
    size: u64,
    at: u64,
    crc: u32,
}

impl Reading<'_> {
    /// The next frame: its offset, its piece and its length. None: it is the last.
    fn frame(&mut self) -> Result<Option<(u64, SnapshotPiece, usize)>, Bad> {
        let offset = self.at;
        let mut header = self.take(FRAME_BYTES)?;
        let (length, crc) = (header.get_u32_le(), header.get_u32_le());
        if length as usize > PIECE_BYTES_MAX {
            return Err(Bad::Damaged(offset, "a piece of absurd length"));
        }
        if u64::from(length) > self.size - self.at {
            return Err(Bad::Damaged(offset, "a piece that is longer than its file"));
        }
        let piece = self.take(length as usize)?;
        if checksum(offset, length, &piece) != crc {
            return Err(Bad::Damaged(offset, "a piece does not match its checksum"));
        }
        if length == 0 {
            return Ok(None);
        }
        let piece =
            codec::decode(&piece).map_err(|_| Bad::Damaged(offset, "a piece cannot be decoded"))?;
        Ok(Some((offset, piece, length as usize)))
    }

    /// The next bytes. None are allocated that the file does not have.
    fn take(&mut self, count: usize) -> Result<bytes::Bytes, Bad> {
        if count as u64 > self.size - self.at {
            return Err(Bad::Damaged(self.at, "the file is cut short"));
        }
        let mut bytes = vec![0; count];
        self.file.read_at(self.at, &mut bytes)?;
        self.at += count as u64;
        self.crc = crc32c_append(self.crc, &bytes);
        Ok(bytes.into())
    }
}
