//! What a node keeps, all in memory: its log, and a table of values.

use super::{KEYS, Types};
use bytes::Bytes;
use openraft::storage::{LogFlushed, RaftLogStorage, RaftStateMachine};
use openraft::{
    EmptyNode, Entry, EntryPayload, LogId, LogState, OptionalSend, RaftLogReader,
    RaftSnapshotBuilder, Snapshot, SnapshotMeta, StorageError, StoredMembership, Vote,
};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

type Failed = StorageError<u64>;

/// The log. Clones share it.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    vote: Option<Vote<u64>>,
    purged: Option<LogId<u64>>,
    /// The first entry has the index behind `purged`.
    entries: VecDeque<Entry<Types>>,
}

impl Inner {
    fn first(&self) -> u64 {
        self.purged.map_or(0, |id| id.index + 1)
    }

    /// How many entries have a lower index.
    fn count_below(&self, index: u64) -> usize {
        (index.saturating_sub(self.first()) as usize).min(self.entries.len())
    }
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry<Types>>, Failed> {
        let log = self.0.lock();
        let from = match range.start_bound() {
            Bound::Included(&index) => index,
            Bound::Excluded(&index) => index + 1,
            Bound::Unbounded => 0,
        };
        let below = match range.end_bound() {
            Bound::Included(&index) => index + 1,
            Bound::Excluded(&index) => index,
            Bound::Unbounded => u64::MAX,
        };
        let (from, below) = (log.count_below(from), log.count_below(below));
        Ok(log.entries.range(from..below.max(from)).cloned().collect())
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Log;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, Failed> {
        let log = self.0.lock();
        let last_log_id = log.entries.back().map(|entry| entry.log_id).or(log.purged);
        Ok(LogState { last_purged_log_id: log.purged, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Log {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), Failed> {
        self.0.lock().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, Failed> {
        Ok(self.0.lock().vote)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), Failed>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.0.lock().entries.extend(entries);
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId<u64>) -> Result<(), Failed> {
        let mut log = self.0.lock();
        let kept = log.count_below(log_id.index);
        log.entries.truncate(kept);
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId<u64>) -> Result<(), Failed> {
        let mut log = self.0.lock();
        let gone = log.count_below(log_id.index + 1);
        log.entries.drain(..gone);
        log.purged = Some(log_id);
        Ok(())
    }
}

/// The table. Clones share it.
#[derive(Clone, Default)]
pub struct Kv(Arc<Mutex<State>>);

struct State {
    applied: Option<LogId<u64>>,
    membership: StoredMembership<u64, EmptyNode>,
    /// The last value of each key.
    values: Vec<Bytes>,
    snapshot: Option<Snapshot<Types>>,
}

impl Default for State {
    fn default() -> State {
        State {
            applied: None,
            membership: StoredMembership::default(),
            values: vec![Bytes::new(); KEYS as usize],
            snapshot: None,
        }
    }
}

impl RaftSnapshotBuilder<Types> for Kv {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, Failed> {
        let mut state = self.0.lock();
        let meta = SnapshotMeta {
            last_log_id: state.applied,
            last_membership: state.membership.clone(),
            snapshot_id: state.applied.map_or(String::new(), |id| id.to_string()),
        };
        let snapshot = Snapshot { meta, snapshot: Box::new(state.values.clone()) };
        state.snapshot = Some(snapshot.clone());
        Ok(snapshot)
    }
}

impl RaftStateMachine<Types> for Kv {
    type SnapshotBuilder = Kv;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId<u64>>, StoredMembership<u64, EmptyNode>), Failed> {
        let state = self.0.lock();
        Ok((state.applied, state.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<()>, Failed>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut state = self.0.lock();
        let mut answers = Vec::new();
        for entry in entries {
            state.applied = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(put) => {
                    if let Some(kept) = state.values.get_mut(put.key as usize) {
                        *kept = put.value;
                    }
                }
                EntryPayload::Membership(members) => {
                    state.membership = StoredMembership::new(Some(entry.log_id), members);
                }
            }
            answers.push(());
        }
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Kv {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Vec<Bytes>>, Failed> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<u64, EmptyNode>,
        snapshot: Box<Vec<Bytes>>,
    ) -> Result<(), Failed> {
        let mut state = self.0.lock();
        state.applied = meta.last_log_id;
        state.membership = meta.last_membership.clone();
        state.values = (*snapshot).clone();
        state.snapshot = Some(Snapshot { meta: meta.clone(), snapshot });
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, Failed> {
        Ok(self.0.lock().snapshot.clone())
    }
}
