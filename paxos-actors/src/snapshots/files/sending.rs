//! What peers are sent.

use super::SnapshotFiles;
use crate::snapshots::error::SnapshotError;
use crate::snapshots::{format, name};
use paxos_core::{NodeId, SnapshotEvent, SnapshotId};
use tracing::error;

impl SnapshotFiles {
    pub(super) fn read(
        &mut self,
        id: SnapshotId,
        offset: u64,
        bytes_max: usize,
        to: NodeId,
    ) -> Result<SnapshotEvent, SnapshotError> {
        let left = match self.is_sendable(id)? {
            true => id.bytes.saturating_sub(offset),
            false => 0,
        };
        let mut data = vec![0; left.min(bytes_max as u64) as usize];
        if !data.is_empty() {
            self.disk.open(&name::complete(id))?.read_at(offset, &mut data)?;
            self.counters.sent(data.len());
        }
        if data.len() as u64 == left {
            // Whoever asks for more of it did not find it sound, or is another.
            self.sendable.remove(&id);
        }
        Ok(SnapshotEvent::Read { to, id, offset, data: data.into() })
    }

    /// Whether a snapshot is kept, and sound. It is read as a whole once for each time that a peer
    /// gets all of it. A damaged one is of use to nobody, so it is set aside.
    fn is_sendable(&mut self, id: SnapshotId) -> Result<bool, SnapshotError> {
        if !self.kept.contains(&id) || self.sendable.contains(&id) {
            return Ok(self.kept.contains(&id));
        }
        let file = self.disk.open(&name::complete(id))?;
        if format::is_whole(file.as_ref(), id)? {
            self.sendable.insert(id);
            return Ok(true);
        }
        if !self.others {
            return Ok(false);
        }
        if let Err(SnapshotError::Damaged { path, offset, what }) =
            self.check(&name::complete(id), id, &mut |_, _| ())
        {
            error!(
                file = %path.display(), offset, what,
                "a snapshot that a peer asked for is damaged: it is set aside, and a new one is \
                 written of what this node has in memory; see to the disk"
            );
        }
        self.rename_damaged(id)?;
        Ok(false)
    }
}
