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
//! encoding of [`paxos_actors::codec`].

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
    use proptest::prelude::*;

    const MAX: usize = 4096;

    fn frames<T: Serialize>(values: &[T]) -> Vec<u8> {
        let mut writer = FrameWriter::new(MAX);
        for value in values {
            writer.push(7, value).unwrap();
        }
        writer.bytes().to_vec()
    }

    fn read(reader: &mut FrameReader) -> Result<Vec<(u64, String)>, FrameError> {
        let mut read = Vec::new();
        while let Some(frame) = reader.next_frame()? {
            assert_eq!(frame.kind, 7);
            read.push((frame.sequence, frame.decode()?));
        }
        Ok(read)
    }

    #[test]
    fn golden() {
        let mut writer = FrameWriter::new(MAX);
        writer.push(1, &(5u64, "abc")).unwrap();
        writer.push(2, &()).unwrap();
        #[rustfmt::skip]
        let golden: &[u8] = &[
            14, 0, 0, 0, 0x77, 0x7f, 0x72, 0x92, 0, 0, 0, 0, 0, 0, 0, 0, 1, 5, 3, b'a', b'b', b'c',
            9, 0, 0, 0, 0xe7, 0x8e, 0xf1, 0x1a, 1, 0, 0, 0, 0, 0, 0, 0, 2,
        ];
        assert_eq!(writer.bytes(), golden);
    }

    #[test]
    fn a_claim_of_4_gib_is_refused_by_its_first_bytes() {
        let mut reader = FrameReader::new(MAX);
        reader.feed(&[0xff; 4]);
        let error = reader.next_frame().unwrap_err();
        assert!(matches!(error, FrameError::TooLong { bytes: 0x1_0000_0007, max: MAX }));
        assert!(reader.room().capacity() <= 2 * READ_STEP_BYTES + 4);
        assert!(reader.next_frame().is_err(), "an error stays");
    }

    #[test]
    fn a_length_below_the_header_is_refused() {
        let mut reader = FrameReader::new(MAX);
        reader.feed(&8u32.to_le_bytes());
        assert!(matches!(reader.next_frame(), Err(FrameError::TooShort(8))));
    }

    #[test]
    fn the_limit_is_the_whole_frame() {
        let exact = "x".repeat(MAX - HEADER_BYTES - 3);
        let stream = frames(&[&exact]);
        assert_eq!(stream.len(), MAX);
        let mut reader = FrameReader::new(MAX);
        reader.feed(&stream);
        assert_eq!(read(&mut reader).unwrap(), [(0, exact.clone())]);

        let mut writer = FrameWriter::new(MAX);
        writer.push(7, &"first").unwrap();
        let before = writer.bytes().to_vec();
        let error = writer.push(7, &(exact + "y")).unwrap_err();
        assert!(matches!(error, FrameError::TooLong { bytes, max: MAX } if bytes == 4097));
        assert_eq!(writer.bytes(), before, "a frame that cannot be sent leaves no trace");
        writer.push(7, &"second").unwrap();
        assert_eq!(writer.bytes(), frames(&["first", "second"]));
    }

    #[test]
    fn repeated_frames_are_skipped_and_counted() {
        let stream = frames(&["a", "b", "c"]);
        let size = stream.len() / 3;
        let mut reader = FrameReader::new(MAX);
        reader.feed(&stream[..2 * size]);
        reader.feed(&stream[..2 * size]);
        reader.feed(&stream[2 * size..]);
        let expected = [(0, "a".to_owned()), (1, "b".to_owned()), (2, "c".to_owned())];
        assert_eq!(read(&mut reader).unwrap(), expected);
        assert_eq!(reader.repeated(), 2);
    }

    #[test]
    fn a_gap_ends_the_stream() {
        let stream = frames(&["a", "b", "c"]);
        let size = stream.len() / 3;
        let mut reader = FrameReader::new(MAX);
        reader.feed(&stream[..size]);
        reader.feed(&stream[2 * size..]);
        reader.feed(&stream[size..2 * size]);
        assert_eq!(reader.next_frame().unwrap().map(|frame| frame.sequence), Some(0));
        for _ in 0..2 {
            let error = reader.next_frame().unwrap_err();
            assert!(matches!(error, FrameError::Gap { expected: 1, found: 2 }));
        }
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let stream = frames(&["some value", "another"]);
        for bit in 0..stream.len() * 8 {
            let mut damaged = stream.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let mut reader = FrameReader::new(MAX);
            reader.feed(&damaged);
            let first = reader.next_frame().ok().flatten().is_some();
            let both = first && reader.next_frame().ok().flatten().is_some();
            assert!(!both, "flipping bit {bit} went unnoticed");
        }
    }

    #[test]
    fn a_slow_receiver_does_not_make_the_buffer_pile_up() {
        let mut writer = FrameWriter::new(MAX);
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
        let mut reader = FrameReader::new(MAX);
        reader.feed(&stream);
        assert_eq!(read(&mut reader).unwrap().len(), 1000);
    }

    proptest! {
        #[test]
        fn any_cut_of_the_stream_gives_the_same_frames(
            values in proptest::collection::vec(".{0,300}", 0..20),
            cuts in proptest::collection::vec(1usize..200, 1..20),
        ) {
            let stream = frames(&values);
            let mut reader = FrameReader::new(MAX);
            let mut found = Vec::new();
            let mut rest = &stream[..];
            let mut cuts = cuts.iter().cycle();
            while let Some(&cut) = cuts.next().filter(|_| !rest.is_empty()) {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                reader.feed(now);
                found.extend(read(&mut reader).unwrap());
                rest = later;
            }
            let expected: Vec<_> = (0..).zip(values).collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(reader.repeated(), 0);
        }

        #[test]
        fn a_truncated_stream_gives_only_whole_frames(
            values in proptest::collection::vec(".{0,50}", 1..10),
            keep in 0.0f64..1.0,
        ) {
            let stream = frames(&values);
            let mut reader = FrameReader::new(MAX);
            reader.feed(&stream[..(stream.len() as f64 * keep) as usize]);
            let found = read(&mut reader).unwrap();
            prop_assert!(found.len() < values.len());
            for ((sequence, value), expected) in found.iter().zip(&values) {
                prop_assert_eq!(value, expected, "frame {}", sequence);
            }
        }

        #[test]
        fn garbage_is_refused_or_waited_for(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut reader = FrameReader::new(MAX);
            reader.feed(&bytes);
            prop_assert!(!matches!(reader.next_frame(), Ok(Some(_))));
        }
    }
}
