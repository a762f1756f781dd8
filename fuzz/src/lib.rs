//! What the fuzz targets share: how much a decoder may allocate, and how the checksums of made-up
//! bytes are put right, so that the fuzzer comes to what is behind them.
//!
//! Each target is a program in `src/bin`; `fuzz/run` runs them all.

use crc32c::{crc32c, crc32c_append};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What a claim of many items may make a decoder allocate before it finds that they are not there:
/// serde makes room for up to 1 MiB of a sequence in advance, and three of them are nested.
pub const CLAIMS_BYTES: usize = 3 << 20;

/// Runs a decoder, which may have at no time more than four times its input allocated, and 4 KiB
/// more (and `extra`, where a type says so).
///
/// # Panics
/// If it has.
pub fn bounded<T>(input: usize, extra: usize, decode: impl FnOnce() -> T) -> T {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let decoded = decode();
    let most = ALLOCATOR.peak_usage().saturating_sub(before);
    let room = 4 * input + 4096 + extra;
    assert!(most <= room, "{input} bytes made {most} bytes allocated, {room} are allowed");
    decoded
}

/// Puts right the checksums of frames on the wire, as far as their lengths can be followed.
pub fn mend_wire(bytes: &mut [u8]) {
    let mut rest = bytes;
    while rest.len() >= 8 {
        let (header, behind) = rest.split_at_mut(8);
        let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        if length > behind.len() {
            return;
        }
        let (covered, next) = behind.split_at_mut(length);
        let crc = crc32c_append(crc32c(&header[..4]), covered);
        header[4..].copy_from_slice(&crc.to_le_bytes());
        rest = next;
    }
}

/// Puts right the checksum of a note of the handshake.
pub fn mend_note(bytes: &mut [u8]) {
    if let Some((header, body)) = bytes.split_at_mut_checked(18) {
        let crc = crc32c_append(crc32c(&header[..14]), body);
        header[14..].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Puts right the checksums of a segment: of its header, and of frames as far as they can be
/// followed. See `docs/wal-format.md`.
pub fn mend_segment(bytes: &mut [u8]) {
    if bytes.len() < 136 {
        return;
    }
    let header = (129 + word(bytes, 68) as usize).next_multiple_of(8);
    if header > bytes.len() {
        return;
    }
    let crc = crc32c_append(crc32c(&bytes[..12]), &bytes[16..header]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    let place = crc32c_append(crc32c(&bytes[16..40]), &bytes[40..48]);
    let (mut at, mut before) = (header, word(bytes, 64));
    while at + 80 <= bytes.len() && bytes[at + 4..].starts_with(b"PXFR") {
        let end = at + 80 + (word(bytes, at + 8) as usize).next_multiple_of(8);
        if end > bytes.len() {
            return;
        }
        let records = crc32c(&bytes[at + 80..end]);
        bytes[at + 12..at + 16].copy_from_slice(&records.to_le_bytes());
        bytes[at + 16..at + 20].copy_from_slice(&before.to_le_bytes());
        let offset = (at as u32).to_le_bytes();
        before = crc32c_append(crc32c_append(place, &offset), &bytes[at + 4..at + 80]);
        bytes[at..at + 4].copy_from_slice(&before.to_le_bytes());
        at = end;
    }
}

/// Puts right the checksums of the frames of a snapshot.
pub fn mend_snapshot(bytes: &mut [u8]) {
    let mut at = 12;
    while at + 8 <= bytes.len() {
        let length = word(bytes, at);
        let end = at + 8 + length as usize;
        if end > bytes.len() {
            return;
        }
        let crc = crc32c_append(crc32c(&(at as u64).to_le_bytes()), &length.to_le_bytes());
        let crc = crc32c_append(crc, &bytes[at + 8..end]);
        bytes[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
        at = end;
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
