//! Snapshots as files, without a thread.

mod sending;

use crate::snapshots::counters::Counters;
use crate::snapshots::error::SnapshotError;
use crate::snapshots::format::{self, Bad, BadPiece, Encoder, VERSION};
use crate::snapshots::incoming::Incoming;
use crate::snapshots::name::{self, Kind, WRITING};
use crate::wal::{Disk, DiskError, DiskFile};
use bytes::Bytes;
use paxos_core::{Slot, SnapshotEvent, SnapshotId, SnapshotPiece, SnapshotSource, SnapshotTask};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use tracing::{error, info, warn};

/// Bytes of one write.
const WRITE_BYTES: usize = 256 << 10;

/// Bytes that are synced at a time, so that the last sync is not a long one.
const SYNC_BYTES: usize = 8 << 20;

/// The snapshots of one directory. See [`crate::snapshots`] for the rules.
///
/// [`crate::snapshots::DiskSnapshots`] drives it from a thread of its own; a simulator drives it
/// directly. After an error nothing may be asked of it any more.
pub struct SnapshotFiles {
    disk: Box<dyn Disk>,
    /// Another learner can send its snapshot, where this node has lost its own.
    others: bool,
    counters: Arc<Counters>,
    /// Complete ones, oldest first.
    kept: BTreeSet<SnapshotId>,
    /// The one that was checked from end to end.
    checked: Option<SnapshotId>,
    /// Those that were checked since a peer was last sent the end of them.
    sendable: BTreeSet<SnapshotId>,
    incoming: Option<Incoming>,
    writing: Option<Writing>,
    /// Transfers that came damaged.
    damaged_here: u64,
}

/// A snapshot that is being written.
struct Writing {
    below: Slot,
    log_time_ms: u64,
    pieces: Box<dyn Iterator<Item = SnapshotPiece> + Send>,
    encoder: Encoder,
    file: Box<dyn DiskFile>,
    unsynced: usize,
}

/// Why a snapshot is not written.
enum NotWritten {
    Disk(DiskError),
    Piece(BadPiece),
}

impl SnapshotFiles {
    /// Takes a directory of snapshots, which may be empty. `others` says whether there are other
    /// learners, who can send their snapshot if this node's is damaged.
    pub fn open(disk: impl Disk + 'static, others: bool) -> Result<SnapshotFiles, SnapshotError> {
        let mut files = SnapshotFiles {
            disk: Box::new(disk),
            others,
            counters: Arc::default(),
            kept: BTreeSet::new(),
            checked: None,
            sendable: BTreeSet::new(),
            incoming: None,
            writing: None,
            damaged_here: 0,
        };
        let mut incoming = BTreeSet::new();
        for name in files.disk.list()? {
            match name::kind(&name) {
                Some(Kind::Complete(id)) => drop(files.kept.insert(id)),
                Some(Kind::Incoming(id)) => drop(incoming.insert(id)),
                Some(Kind::Writing) => files.disk.remove(WRITING)?,
                Some(Kind::Damaged) | None => {}
            }
        }
        // Only one transfer goes on: that of the newest snapshot.
        if let Some(id) = incoming.pop_last() {
            let file = files.disk.open(&name::incoming(id))?;
            let held = file.size()?;
            files.incoming = Some(Incoming { id, file, held, inherited: held });
            if held == 0 || held > id.bytes {
                files.abandon()?;
            }
        }
        incoming.into_iter().try_for_each(|id| files.disk.remove(&name::incoming(id)))?;
        // The last process may have ended before it synced what is seen now.
        files.disk.sync_directory()?;
        Ok(files)
    }

    /// What the store will count.
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// Begins an epoch: gives the pieces of the newest sound snapshot to `sink`, each with the
    /// bytes that it takes, and drops older ones and what was being written. Gives back what is
    /// kept.
    pub fn replay(
        &mut self,
        sink: &mut dyn FnMut(SnapshotPiece, usize),
    ) -> Result<SnapshotEvent, SnapshotError> {
        self.stop_writing()?;
        while let Some(&id) = self.kept.last()
            && self.checked != Some(id)
        {
            match self.check(&name::complete(id), id, &mut |_, _| ()) {
                Ok(()) => self.checked = Some(id),
                Err(damaged @ SnapshotError::Damaged { .. }) => self.set_aside(id, damaged)?,
                Err(error) => return Err(error),
            }
        }
        let newest = self.kept.last().copied();
        if let Some(id) = newest {
            self.check(&name::complete(id), id, sink)?;
            for older in self.kept.range(..id).copied().collect::<Vec<_>>() {
                self.remove(older)?;
            }
            if self.incoming.as_ref().is_some_and(|incoming| incoming.id.below <= id.below) {
                self.abandon()?;
            }
        }
        let partial = self.incoming.as_ref().map(|incoming| (incoming.id, incoming.held));
        Ok(SnapshotEvent::Found { newest, partial })
    }

    /// Does a task. What it leads to is told at once, except that a snapshot to be written is only
    /// begun: [`SnapshotFiles::write_on`] goes on.
    pub fn submit(&mut self, task: SnapshotTask) -> Result<Vec<SnapshotEvent>, SnapshotError> {
        Ok(match task {
            SnapshotTask::Write(source) => Vec::from_iter(self.begin(source)?),
            SnapshotTask::Read { id, offset, bytes_max, to } => {
                vec![self.read(id, offset, bytes_max, to)?]
            }
            SnapshotTask::Store { id, offset, data } => vec![self.store(id, offset, &data)?],
            SnapshotTask::Install { id } => self.install(id)?,
            SnapshotTask::Abandon => {
                self.abandon()?;
                Vec::new()
            }
            SnapshotTask::Remove { id } => {
                self.remove(id)?;
                Vec::new()
            }
        })
    }

    /// Whether a snapshot is being written.
    pub fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Writes the next piece of the snapshot that is being written.
    pub fn write_on(&mut self) -> Result<Option<SnapshotEvent>, SnapshotError> {
        let Some(writing) = &mut self.writing else { return Ok(None) };
        match writing.write_on() {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            Err(error) => return self.not_written(error).map(Some),
        }
        let (bytes, crc) = writing.encoder.taken();
        let id = SnapshotId { below: writing.below, log_time_ms: writing.log_time_ms, bytes, crc };
        if let Err(error) = writing.file.sync_data() {
            return self.not_written(NotWritten::Disk(error)).map(Some);
        }
        self.writing = None;
        self.name(WRITING, id)?;
        self.counters.wrote(bytes);
        info!(snapshot = %id, "a snapshot is written");
        Ok(Some(SnapshotEvent::Written(id)))
    }

    /// Forgets the snapshot that is being written.
    fn stop_writing(&mut self) -> Result<(), SnapshotError> {
        if self.writing.take().is_some() {
            self.counters.gave_up();
            self.disk.remove(WRITING)?;
        }
        Ok(())
    }

    fn begin(&mut self, source: SnapshotSource) -> Result<Option<SnapshotEvent>, SnapshotError> {
        self.stop_writing()?;
        let file = match self.disk.create(WRITING) {
            Ok(file) => file,
            Err(DiskError::Full { path }) => {
                no_room(&path);
                self.counters.gave_up();
                return Ok(Some(SnapshotEvent::NotWritten));
            }
            Err(error) => return Err(error.into()),
        };
        let SnapshotSource { below, log_time_ms, pieces } = source;
        let encoder = Encoder::new();
        self.writing = Some(Writing { below, log_time_ms, pieces, encoder, file, unsynced: 0 });
        Ok(None)
    }

    fn not_written(&mut self, error: NotWritten) -> Result<SnapshotEvent, SnapshotError> {
        match error {
            NotWritten::Disk(DiskError::Full { path }) => no_room(&path),
            NotWritten::Disk(error) => return Err(error.into()),
            NotWritten::Piece(error) => {
                error!(%error, "no snapshot is written, and the log is not trimmed");
            }
        }
        self.stop_writing()?;
        Ok(SnapshotEvent::NotWritten)
    }

    fn store(
        &mut self,
        id: SnapshotId,
        offset: u64,
        data: &Bytes,
    ) -> Result<SnapshotEvent, SnapshotError> {
        match self.keep(id, offset, data) {
            Ok(Some(held)) => {
                self.counters.received(data.len());
                return Ok(SnapshotEvent::Stored { id, held });
            }
            Ok(None) => warn!(snapshot = %id, offset, "bytes that do not fit: they are dropped"),
            Err(DiskError::Full { path }) => no_room_for_a_peers(&path),
            Err(error) => return Err(error.into()),
        }
        self.unsound(id)
    }

    /// Keeps bytes of a transfer. Gives back how many are there now; none if these do not fit.
    fn keep(
        &mut self,
        id: SnapshotId,
        offset: u64,
        data: &Bytes,
    ) -> Result<Option<u64>, DiskError> {
        let end = offset.checked_add(data.len() as u64).filter(|&end| end <= id.bytes);
        let Some(end) = end else { return Ok(None) };
        if offset == 0 {
            self.abandon()?;
            let file = self.disk.create(&name::incoming(id))?;
            self.incoming = Some(Incoming { id, file, held: 0, inherited: 0 });
        }
        match &mut self.incoming {
            Some(incoming) if incoming.id == id && incoming.held == offset => {
                incoming.file.write_at(offset, data)?;
                incoming.held = end;
                Ok(Some(end))
            }
            _ => Ok(None),
        }
    }

    fn install(&mut self, id: SnapshotId) -> Result<Vec<SnapshotEvent>, SnapshotError> {
        let name = name::incoming(id);
        let checked = match &mut self.incoming {
            Some(incoming) if incoming.id == id => match incoming.sync() {
                Ok(()) => self.check(&name, id, &mut |_, _| ()),
                Err(error) => Err(error.into()),
            },
            _ => return Ok(vec![self.unsound(id)?]),
        };
        match checked {
            Ok(()) => {}
            Err(SnapshotError::Disk(DiskError::Full { path })) => {
                no_room_for_a_peers(&path);
                return Ok(vec![self.unsound(id)?]);
            }
            Err(error @ SnapshotError::Disk(_)) => return Err(error),
            Err(error) => {
                self.damaged_here += 1;
                // It can happen again and again, and is then not worth a line each time.
                if self.damaged_here.is_power_of_two() {
                    let times = self.damaged_here;
                    warn!(
                        snapshot = %id, %error, times,
                        "a snapshot of a peer came damaged: it is dropped, and asked for again"
                    );
                }
                return Ok(vec![self.unsound(id)?]);
            }
        }
        self.incoming = None;
        self.name(&name, id)?;
        self.checked = Some(id);
        self.counters.installed();
        info!(snapshot = %id, "a snapshot of a peer is installed");
        let mut events = vec![SnapshotEvent::Installed(id)];
        // One that was begun before must not be called the newest when it is done.
        if self.writing.as_ref().is_some_and(|writing| writing.below <= id.below) {
            self.stop_writing()?;
            events.insert(0, SnapshotEvent::NotWritten);
        }
        Ok(events)
    }

    fn unsound(&mut self, id: SnapshotId) -> Result<SnapshotEvent, SnapshotError> {
        self.counters.unsound();
        if self.incoming.as_ref().is_some_and(|incoming| incoming.id == id) {
            self.abandon()?;
        }
        Ok(SnapshotEvent::Unsound(id))
    }

    fn abandon(&mut self) -> Result<(), DiskError> {
        match self.incoming.take() {
            Some(Incoming { id, .. }) => self.disk.remove(&name::incoming(id)),
            None => Ok(()),
        }
    }

    fn remove(&mut self, id: SnapshotId) -> Result<(), DiskError> {
        self.sendable.remove(&id);
        if self.kept.remove(&id) {
            self.disk.remove(&name::complete(id))?;
            self.disk.sync_directory()?;
        }
        Ok(())
    }

    /// The file, whose bytes are durable, is the newest snapshot from now on.
    fn name(&mut self, file: &str, id: SnapshotId) -> Result<(), DiskError> {
        self.disk.rename(file, &name::complete(id))?;
        if !planted!(SnapshotToldBeforeSynced) {
            self.disk.sync_directory()?;
        }
        self.kept.insert(id);
        Ok(())
    }

    /// Reads a snapshot from end to end.
    fn check(
        &mut self,
        name: &str,
        id: SnapshotId,
        sink: &mut dyn FnMut(SnapshotPiece, usize),
    ) -> Result<(), SnapshotError> {
        let file = self.disk.open(name)?;
        let path = self.disk.path(name);
        format::read(file.as_ref(), id, sink).map_err(|bad| match bad {
            Bad::Disk(error) => error.into(),
            Bad::Version(found) => SnapshotError::Version { path, found, known: VERSION },
            Bad::Damaged(offset, what) => SnapshotError::Damaged { path, offset, what },
        })
    }

    /// Takes a damaged snapshot out of the way, if there is another, here or elsewhere.
    fn set_aside(&mut self, id: SnapshotId, damaged: SnapshotError) -> Result<(), SnapshotError> {
        if self.kept.len() == 1 && !self.others {
            return Err(damaged);
        }
        if let SnapshotError::Damaged { path, offset, what } = &damaged {
            error!(
                file = %path.display(), offset, what,
                "a snapshot is damaged: it is set aside, and an older one or a peer's is used"
            );
        }
        self.rename_damaged(id)
    }

    /// Only the last damaged one is kept.
    fn rename_damaged(&mut self, id: SnapshotId) -> Result<(), SnapshotError> {
        for name in self.disk.list()? {
            if name::kind(&name) == Some(Kind::Damaged) {
                self.disk.remove(&name)?;
            }
        }
        self.disk.rename(&name::complete(id), &name::damaged(id))?;
        self.disk.sync_directory()?;
        self.kept.remove(&id);
        self.sendable.remove(&id);
        Ok(())
    }
}

fn no_room(path: &Path) {
    warn!(
        file = %path.display(),
        "no space left on the disk: no snapshot is written, and the log is not trimmed; the node \
         goes on, and tries again when more was logged: make room until then"
    );
}

fn no_room_for_a_peers(path: &Path) {
    warn!(
        file = %path.display(),
        "no space left on the disk for the snapshot of a peer: the node goes on without it, and \
         tries again: make room"
    );
}

impl Writing {
    /// Writes the next piece, or what is behind the last one. Gives back whether that was all.
    fn write_on(&mut self) -> Result<bool, NotWritten> {
        let piece = self.pieces.next();
        match &piece {
            Some(piece) => self.encoder.push(piece).map_err(NotWritten::Piece)?,
            None => self.encoder.finish(),
        }
        if piece.is_none() || self.encoder.buffer.len() >= WRITE_BYTES {
            self.flush().map_err(NotWritten::Disk)?;
        }
        Ok(piece.is_none())
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        self.file.write_at(self.encoder.taken().0, &self.encoder.buffer)?;
        self.unsynced += self.encoder.buffer.len();
        self.encoder.take();
        if self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            self.file.sync_data()?;
        }
        Ok(())
    }
}
