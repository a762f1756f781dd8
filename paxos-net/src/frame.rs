//! Frames: how values travel on a byte stream. Pure: bytes in, bytes out, on any runtime.
//!
//! ```text
//!  0        4        8                 16     17
//!  +--------+--------+-----------------+------+------------------ - - -
//!  | length | crc32c | sequence        | kind | payload
//!  +--------+--------+-----------------+------+------------------ - - -
//! ```
//! All numbers are little endian. `length` counts the bytes behind the checksum, which covers
//! `length` and all of those. `sequence` numbers the frames of one connection in one direction,
//! from 0. `kind` tells the receiver what to make of the payload, which is one value in the
//! encoding of [`paxos_actors::codec`]. Real bytes are in `docs/wire-format.md`, with what may be
//! changed and how.

use paxos_actors::codec::{self, CodecError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// Bytes in front of a frame's payload.
pub const HEADER_BYTES: usize = PREFIX_BYTES + COVERED_BYTES;

/// The reader's buffer grows by no more than this ahead of what has arrived.
pub const READ_STEP_BYTES: usize = 64 << 10;

/// `length` and `crc32c`.
const PREFIX_BYTES: usize = 8;

/// `sequence` and `kind`: the least that `length` can be.
const COVERED_BYTES: usize = 9;

/// Why a frame was not made or not taken. After any of these a stream of frames is at its end.
#[derive(Debug, Error)]
pub enum FrameError {
    /// Longer than the receiver takes. Nothing was allocated for it.
    #[error("a frame of {bytes} bytes is above the limit of {max} bytes")]
    TooLong {
        /// Bytes of the whole frame.
        bytes: u64,
        /// The limit.
        max: usize,
    },
    /// Too short to be a frame.
    #[error("a frame claims a length of {0}: it cannot be below {COVERED_BYTES}")]
    TooShort(u32),
    /// The bytes are not those that were sent.
    #[error("the checksum of frame {expected} does not match: the bytes were damaged or made up")]
    Checksum {
        /// The number of the frame that was expected here.
        expected: u64,
    },
    /// Frames are missing, which cannot happen on one intact connection.
    #[error("frame {found} came where frame {expected} was expected")]
    Gap {
        /// The number expected.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// The payload is not a value of the expected type, or the value cannot be written.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Encodes values into a buffer of frames, many of which leave in one write.
#[derive(Debug)]
pub struct FrameWriter {
    buffer: Vec<u8>,
    written: usize,
    sequence: u64,
    frame_bytes_max: usize,
}

/// Cuts a byte stream into frames.
#[derive(Debug)]
pub struct FrameReader {
    buffer: Vec<u8>,
    taken: usize,
    sequence: u64,
    repeated: u64,
    frame_bytes_max: usize,
}

/// One frame, still encoded, in the reader's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its number on the connection.
    pub sequence: u64,
    /// What the payload is.
    pub kind: u8,
    /// One encoded value.
    pub payload: &'a [u8],
}

impl FrameWriter {
    /// A writer for a new connection. No frame will have more than `frame_bytes_max` bytes.
    pub fn new(frame_bytes_max: usize) -> FrameWriter {
        FrameWriter { buffer: Vec::new(), written: 0, sequence: 0, frame_bytes_max }
    }

    /// Adds a frame. A value that cannot be sent leaves no trace.
    pub fn push<T: Serialize>(&mut self, kind: u8, value: &T) -> Result<(), FrameError> {
        self.compact();
        let start = self.buffer.len();
        let pushed = self.append(start, kind, value);
        match pushed {
            Ok(()) => self.sequence += 1,
            Err(_) => self.buffer.truncate(start),
        }
        pushed
    }

    /// The bytes that are to be written next.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.written..]
    }

    /// The first `count` of [`FrameWriter::bytes`] have been written.
    pub fn advance(&mut self, count: usize) {
        self.written = (self.written + count).min(self.buffer.len());
        if self.written == self.buffer.len() {
            self.buffer.clear();
            self.written = 0;
        }
    }

    /// How many bytes wait to be written.
    pub fn len(&self) -> usize {
        self.buffer.len() - self.written
    }

    /// Whether all was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that it holds.
    pub fn held(&self) -> usize {
        self.buffer.capacity()
    }

    /// Gives memory back, if nothing waits in it.
    pub fn shrink(&mut self) {
        if self.is_empty() {
            (self.buffer, self.written) = (Vec::new(), 0);
        }
    }

    /// How many frames were pushed: the number of the next one.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Forgets what waits and starts anew, for the next connection.
    pub fn reset(&mut self) {
        self.buffer.clear();
        self.written = 0;
        self.sequence = 0;
    }

    fn append<T: Serialize>(
        &mut self,
        start: usize,
        kind: u8,
        value: &T,
    ) -> Result<(), FrameError> {
        self.buffer.extend_from_slice(&[0; PREFIX_BYTES]);
        self.buffer.extend_from_slice(&self.sequence.to_le_bytes());
        self.buffer.push(kind);
        codec::encode(value, &mut self.buffer)?;
        let bytes = self.buffer.len() - start;
        let too_long = FrameError::TooLong { bytes: bytes as u64, max: self.frame_bytes_max };
        if bytes > self.frame_bytes_max {
            return Err(too_long);
        }
        let length = u32::try_from(bytes - PREFIX_BYTES).map_err(|_| too_long)?.to_le_bytes();
        let crc = checksum(length, &self.buffer[start + PREFIX_BYTES..]).to_le_bytes();
        self.buffer[start..start + 4].copy_from_slice(&length);
        self.buffer[start + 4..start + PREFIX_BYTES].copy_from_slice(&crc);
        Ok(())
    }

    /// A slow receiver must not make the written part pile up; moving at half keeps it cheap.
    fn compact(&mut self) {
        if self.written > self.buffer.len() / 2 {
            self.buffer.drain(..self.written);
            self.written = 0;
        }
    }
}

impl FrameReader {
    /// A reader for a new connection. Frames above `frame_bytes_max` bytes are refused by their
    /// first four bytes.
    pub fn new(frame_bytes_max: usize) -> FrameReader {
        FrameReader { buffer: Vec::new(), taken: 0, sequence: 0, repeated: 0, frame_bytes_max }
    }

    /// Adds bytes that arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.room().extend_from_slice(bytes);
    }

    /// The buffer, with room for [`READ_STEP_BYTES`] more: append what arrives, change nothing
    /// else. A socket can read into it without another copy. Call it when
    /// [`FrameReader::next_frame`] has no more; memory then stays within twice the frame limit.
    pub fn room(&mut self) -> &mut Vec<u8> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.reserve(READ_STEP_BYTES);
        &mut self.buffer
    }

    /// Whether a part of a frame has arrived, and not all of it.
    pub fn is_within_frame(&self) -> bool {
        self.taken < self.buffer.len()
    }

    /// The next frame that has arrived whole. Frames that were seen before are skipped and
    /// counted. An error stays: the stream is at its end.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        while let Some(end) = self.whole()? {
            let start = self.taken + PREFIX_BYTES;
            let sequence = sequence_at(&self.buffer[start..end]);
            if sequence > self.sequence {
                return Err(FrameError::Gap { expected: self.sequence, found: sequence });
            }
            self.taken = end;
            if sequence < self.sequence {
                self.repeated += 1;
                continue;
            }
            self.sequence += 1;
            let kind = self.buffer[start + COVERED_BYTES - 1];
            let payload = &self.buffer[start + COVERED_BYTES..end];
            return Ok(Some(Frame { sequence, kind, payload }));
        }
        Ok(None)
    }

    /// Bytes of memory that it holds.
    pub fn held(&self) -> usize {
        self.buffer.capacity()
    }

    /// Gives memory back, if no part of a frame is in it.
    pub fn shrink(&mut self) {
        if !self.is_within_frame() {
            (self.buffer, self.taken) = (Vec::new(), 0);
        }
    }

    /// How many frames were skipped because they had been seen before.
    pub fn repeated(&self) -> u64 {
        self.repeated
    }

    /// Where the next frame ends, once it is there and intact.
    fn whole(&self) -> Result<Option<usize>, FrameError> {
        let unread = &self.buffer[self.taken..];
        let Some(prefix) = unread.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*prefix);
        let bytes = u64::from(length) + PREFIX_BYTES as u64;
        if bytes > self.frame_bytes_max as u64 {
            return Err(FrameError::TooLong { bytes, max: self.frame_bytes_max });
        }
        if (length as usize) < COVERED_BYTES {
            return Err(FrameError::TooShort(length));
        }
        let Some(frame) = unread.get(..bytes as usize) else { return Ok(None) };
        let stated = &frame[4..PREFIX_BYTES];
        if stated != checksum(*prefix, &frame[PREFIX_BYTES..]).to_le_bytes() {
            return Err(FrameError::Checksum { expected: self.sequence });
        }
        Ok(Some(self.taken + frame.len()))
    }
}

impl Frame<'_> {
    /// The value in the payload.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, FrameError> {
        Ok(codec::decode(self.payload)?)
    }
}

fn checksum(length: [u8; 4], covered: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&length), covered)
}

fn sequence_at(covered: &[u8]) -> u64 {
    covered.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_receiver_does_not_make_the_buffer_pile_up() {
        let mut writer = FrameWriter::new(4096);
        let mut stream = Vec::new();
        for _ in 0..1000 {
            writer.push(7, &"x".repeat(100)).unwrap();
            let step = writer.len().min(118);
            stream.extend_from_slice(&writer.bytes()[..step]);
            writer.advance(step);
            assert!(writer.buffer.len() < 1000);
        }
        writer.reset();
        assert_eq!((writer.len(), writer.sequence()), (0, 0));
        let mut reader = FrameReader::new(4096);
        reader.feed(&stream);
        let mut frames = 0;
        while reader.next_frame().unwrap().is_some() {
            frames += 1;
        }
        assert_eq!(frames, 1000);
    }
}
