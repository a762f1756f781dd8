//! The log as files, without a thread: what writes it.

use crate::codec;
use crate::wal::counters::Counters;
use crate::wal::disk::{Disk, DiskError, DiskFile};
use crate::wal::error::WalError;
use crate::wal::frame::{self, Frame, Place};
use crate::wal::header::{HEADER_BYTES_MAX, Header};
use crate::wal::recover::{Tail, Walked, walk};
use crate::wal::state::{State, cover, slots};
use bytes::BufMut;
use paxos_core::{MemberId, Record, Slot, SlotRange};
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes of records in one frame; a larger record goes alone.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// The next segment is filled with at least so many zeros at a time, and as fast as the current one
/// runs full.
const FILL_BYTES_MIN: usize = 256 << 10;

/// The name of the segment that is being prepared.
pub(crate) const SPARE: &str = "spare.wal";

/// The segments of one data directory. See [`crate::wal`] for the rules.
///
/// [`crate::wal::Wal`] drives it from a thread of its own; a simulator drives it directly. After an
/// error nothing may be asked of it any more: what is durable is not known.
pub struct Segments {
    disk: Box<dyn Disk>,
    member: MemberId,
    segment_bytes: u32,
    counters: Arc<Counters>,
    /// What the log says with all that was appended.
    state: State,
    /// What the last frame mentions.
    slots: SlotRange,
    /// Oldest first; the last is written to.
    held: VecDeque<Held>,
    file: Box<dyn DiskFile>,
    place: Place,
    /// Where the next write goes. All before it is durable.
    end: u32,
    spare: Option<Spare>,
    /// What the next write has: sealed frames, and the draft.
    buffer: Vec<u8>,
    draft: Option<Draft>,
    /// Bytes of the last write.
    written: usize,
}

/// A segment that is part of the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub number: u64,
    pub segment_bytes: u32,
    /// Where its frames end, unless that is still to be found out.
    pub end: Option<u32>,
    /// It mentions no slot from here on.
    pub below: Slot,
}

/// The segment that is being prepared.
struct Spare {
    file: Box<dyn DiskFile>,
    /// Bytes that it has.
    filled: u32,
}

/// The frame that records are being added to.
struct Draft {
    /// Where it begins in the buffer.
    start: usize,
    records: u32,
    slots: SlotRange,
}

/// What segments are made of.
pub(crate) struct Parts {
    pub disk: Box<dyn Disk>,
    pub member: MemberId,
    pub segment_bytes: u32,
    pub counters: Arc<Counters>,
    pub held: VecDeque<Held>,
}

impl Segments {
    /// The recovered log: all through `walked.tail.end` is durable.
    pub(crate) fn new(
        parts: Parts,
        walked: Walked,
        file: Box<dyn DiskFile>,
    ) -> Result<Segments, WalError> {
        let Parts { disk, member, segment_bytes, counters, held } = parts;
        let Walked { state, slots, place, tail: Tail { end, is_clean, .. } } = walked;
        let mut segments = Segments {
            disk,
            member,
            segment_bytes,
            counters,
            state,
            slots,
            held,
            file,
            place,
            end,
            spare: None,
            buffer: Vec::new(),
            draft: None,
            written: 0,
        };
        segments.counters.has_segments(segments.held.len());
        if !is_clean {
            // The next segment's header says where this one ends: that cuts off what is behind.
            segments.roll()?;
        }
        Ok(segments)
    }

    /// How many records the log has, appended ones among them.
    pub fn lsn(&self) -> u64 {
        self.state.lsn
    }

    /// Appends records; [`Segments::commit`] makes them durable, if a full segment did not before.
    pub fn append(&mut self, records: &[Record]) -> Result<(), WalError> {
        records.iter().try_for_each(|record| self.place(record))
    }

    /// Bytes appended since the last commit.
    pub fn pending_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Writes what was appended and makes it durable. Gives back how many records the log has.
    pub fn commit(&mut self) -> Result<u64, WalError> {
        self.seal();
        if !self.buffer.is_empty() {
            if planted!(CompletionOutOfOrder) {
                self.file.sync_data()?;
            }
            self.file.write_at(self.end.into(), &self.buffer)?;
            if !planted!(CompletionOutOfOrder) {
                self.counters.timed(|| sync(self.file.as_mut()))?;
            }
            self.counters.wrote(self.buffer.len());
            self.written = self.buffer.len();
            self.end += self.written as u32;
            self.buffer.clear();
        }
        Ok(self.state.lsn)
    }

    /// Does a part of what the next segment needs, once the current one is half full: so that no
    /// record has to wait for it.
    pub fn prepare(&mut self) -> Result<(), WalError> {
        if self.end > self.current_bytes() / 2 {
            self.spare = Some(self.filled_spare(FILL_BYTES_MIN.max(4 * self.written))?);
        }
        Ok(())
    }

    /// Gives every record that the log holds to `sink`, in order, and the bytes that it takes.
    pub fn replay(&mut self, sink: &mut dyn FnMut(Record, usize)) -> Result<(), WalError> {
        self.commit()?;
        if let Some(current) = self.held.back_mut() {
            current.end = Some(self.end);
        }
        let walked = walk(self.disk.as_mut(), self.member, self.held.make_contiguous(), sink)?;
        if walked.state != self.state {
            let path = self.disk.path(&segment_name(self.number()));
            let what = "the log does not hold what was written to it";
            return Err(WalError::Corrupt { path, offset: self.end.into(), what });
        }
        Ok(())
    }

    /// Adds one record to the draft, or to a new frame, or to one in a new segment.
    fn place(&mut self, record: &Record) -> Result<(), WalError> {
        self.open_draft();
        let mark = self.buffer.len();
        self.buffer.put_u32_le(0);
        codec::encode(record, &mut self.buffer)?;
        let length = (self.buffer.len() - mark - 4) as u32;
        self.buffer[mark..mark + 4].copy_from_slice(&length.to_le_bytes());
        let is_over = self.draft.as_ref().is_some_and(|draft| {
            let bytes = self.buffer.len() - draft.start - frame::HEADER_BYTES;
            draft.records > 0 && bytes > FRAME_BYTES_MAX
        });
        if is_over || !self.fits() {
            self.move_on(mark)?;
        }
        self.state.apply(record);
        let slots = slots(record);
        if let Some(held) = self.held.back_mut() {
            held.below = held.below.max(slots.below);
        }
        if let Some(draft) = &mut self.draft {
            draft.records += 1;
            draft.slots = cover(draft.slots, slots);
        }
        Ok(())
    }

    /// Moves the record that begins at `mark` from the draft to a new one, in a new segment if it
    /// must be.
    fn move_on(&mut self, mark: usize) -> Result<(), WalError> {
        let encoded = self.buffer.split_off(mark);
        self.seal();
        self.open_draft();
        if !self.fits_with(encoded.len()) {
            self.commit()?;
            self.roll()?;
            self.open_draft();
            if !self.fits_with(encoded.len()) {
                let segment_bytes = self.current_bytes();
                return Err(WalError::RecordTooLarge { bytes: encoded.len(), segment_bytes });
            }
        }
        self.buffer.extend_from_slice(&encoded);
        Ok(())
    }

    /// Begins a draft if there is none.
    fn open_draft(&mut self) {
        if self.draft.is_none() {
            let start = self.buffer.len();
            self.buffer.resize(start + frame::HEADER_BYTES, 0);
            self.draft = Some(Draft { start, records: 0, slots: SlotRange::default() });
        }
    }

    /// Whether the buffer fits the current segment.
    fn fits(&self) -> bool {
        self.fits_with(0)
    }

    /// Whether the buffer and so many bytes more fit the current segment.
    fn fits_with(&self, bytes: usize) -> bool {
        let length = (self.buffer.len() + bytes).next_multiple_of(frame::ALIGNMENT);
        self.end as usize + length <= self.current_bytes() as usize
    }

    /// Ends the draft: from here on it is a frame. A draft without records vanishes.
    fn seal(&mut self) {
        let Some(Draft { start, records, slots }) = self.draft.take() else { return };
        if records == 0 {
            return self.buffer.truncate(start);
        }
        let frame = Frame {
            length: (self.buffer.len() - start - frame::HEADER_BYTES) as u32,
            crc_before: self.state.crc,
            synced: self.end,
            records,
            lsn: self.state.lsn - u64::from(records),
            promised: self.state.promised,
            slots_before: self.slots,
        };
        self.buffer.resize(start + frame.bytes(), 0);
        let offset = self.end + start as u32;
        self.state.crc = frame.seal(&mut self.buffer[start..], self.place, offset);
        self.slots = slots;
        self.counters.sealed(records);
    }

    /// Goes on in a new segment. Nothing may be pending: its header says that all before it is
    /// durable, and where that ends.
    fn roll(&mut self) -> Result<(), WalError> {
        let mut spare = self.filled_spare(self.segment_bytes as usize)?;
        let number = self.number() + 1;
        let needless = self.held.iter().take_while(|held| held.below <= self.state.trimmed);
        let header = Header {
            cluster: self.state.cluster(),
            member: self.member,
            number,
            first: needless.last().map_or(self.first(), |held| held.number + 1),
            segment_bytes: self.segment_bytes,
            end_before: self.end,
            state: self.state.clone(),
        };
        let begin = || begin(self.disk.as_mut(), spare.file.as_mut(), &header);
        let end = self.counters.timed(begin)?;
        if let Some(current) = self.held.back_mut() {
            current.end = Some(self.end);
        }
        let segment_bytes = self.segment_bytes;
        self.held.push_back(Held { number, segment_bytes, end: None, below: Slot::ZERO });
        self.file = spare.file;
        self.place = header.place();
        self.end = end;
        self.forget(header.first)?;
        self.counters.has_segments(self.held.len());
        Ok(())
    }

    /// Takes the segments before `first` out of the log. One of them becomes the spare: what it
    /// holds is valid in no other segment.
    fn forget(&mut self, first: u64) -> Result<(), WalError> {
        if self.first() == first {
            return Ok(());
        }
        let kept = self.held.partition_point(|held| held.number < first);
        for held in self.held.drain(..kept) {
            let name = segment_name(held.number);
            if self.spare.is_none() && held.segment_bytes == self.segment_bytes {
                self.disk.rename(&name, SPARE)?;
                let file = self.disk.open(SPARE)?;
                self.spare = Some(Spare { file, filled: held.segment_bytes });
            } else {
                self.disk.remove(&name)?;
            }
        }
        Ok(self.disk.sync_directory()?)
    }

    /// The spare, with up to `bytes` more zeros in it, durably.
    fn filled_spare(&mut self, bytes: usize) -> Result<Spare, WalError> {
        let mut spare = match self.spare.take() {
            Some(spare) => spare,
            None => Spare { file: self.disk.create(SPARE)?, filled: 0 },
        };
        let upto = self.segment_bytes.min(spare.filled.saturating_add(bytes as u32));
        if spare.filled < upto {
            self.counters.timed(|| fill(spare.file.as_mut(), spare.filled, upto))?;
            spare.filled = upto;
        }
        Ok(spare)
    }

    fn number(&self) -> u64 {
        self.held.back().map_or(0, |held| held.number)
    }

    fn first(&self) -> u64 {
        self.held.front().map_or(0, |held| held.number)
    }

    fn current_bytes(&self) -> u32 {
        self.held.back().map_or(0, |held| held.segment_bytes)
    }
}

/// The name of a segment's file.
pub(crate) fn segment_name(number: u64) -> String {
    format!("{number:016x}.wal")
}

/// Makes the first segment of a log.
pub(crate) fn make_first(
    disk: &mut dyn Disk,
    member: MemberId,
    segment_bytes: u32,
) -> Result<(), WalError> {
    let state = State::default();
    let cluster = state.cluster();
    let header =
        Header { cluster, member, number: 1, first: 1, segment_bytes, end_before: 0, state };
    let mut file = disk.create(SPARE)?;
    fill(file.as_mut(), 0, segment_bytes)?;
    begin(disk, file.as_mut(), &header).map(|_| ())
}

/// Makes the prepared file the segment that `header` says. It has its name only when the header is
/// durable, and frames only when the name is. Gives back where the frames begin.
fn begin(disk: &mut dyn Disk, file: &mut dyn DiskFile, header: &Header) -> Result<u32, WalError> {
    let bytes = header.encode()?;
    if bytes.len() > HEADER_BYTES_MAX.min(header.segment_bytes as usize) {
        let segment_bytes = header.segment_bytes;
        return Err(WalError::RecordTooLarge { bytes: bytes.len(), segment_bytes });
    }
    file.write_at(0, &bytes)?;
    file.sync_data()?;
    disk.rename(SPARE, &segment_name(header.number))?;
    if !planted!(DirectoryNotSynced) {
        disk.sync_directory()?;
    }
    Ok(bytes.len() as u32)
}

/// Makes a write durable. What fails is not tried again: the system may have dropped it, and would
/// say that all is well.
fn sync(file: &mut dyn DiskFile) -> Result<(), DiskError> {
    let synced = file.sync_data();
    if planted!(SyncFailureIgnored) && synced.is_err() { file.sync_data() } else { synced }
}

/// Writes zeros to `[from, upto)`, durably.
fn fill(file: &mut dyn DiskFile, from: u32, upto: u32) -> Result<(), WalError> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let mut at = from;
    while at < upto {
        let piece = &ZEROS[..ZEROS.len().min((upto - at) as usize)];
        file.write_at(at.into(), piece)?;
        at += piece.len() as u32;
    }
    Ok(file.sync_data()?)
}
