//! The log's thread, and the log in memory, as an actor sees them.

use crate::wal_support::{open as read_back, options, voted};
use actix::{Actor, Addr, Context, Handler};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use paxos_actors::wal::{
    Disk, DiskError, DiskFile, MemoryDisk, MemoryLog, MountedDisk, Wal, WalOptions,
};
use paxos_actors::{Log, LogEvent};
use paxos_core::Record;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;

/// What takes longer does not happen: a test fails then, and does not hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// Passes on what the log tells it.
struct Listener(mpsc::UnboundedSender<LogEvent<Record>>);

impl Actor for Listener {
    type Context = Context<Listener>;
}

impl Handler<LogEvent<Record>> for Listener {
    type Result = ();

    fn handle(&mut self, event: LogEvent<Record>, _: &mut Context<Listener>) {
        let _ = self.0.send(event);
    }
}

/// What a log has told.
pub struct Events {
    listener: Addr<Listener>,
    told: mpsc::UnboundedReceiver<LogEvent<Record>>,
}

impl Events {
    pub fn new() -> Events {
        let (tell, told) = mpsc::unbounded_channel();
        Events { listener: Listener(tell).start(), told }
    }

    /// Opens an epoch; gives back what was replayed and the lsn.
    pub async fn open(&mut self, log: &mut impl Log<Record>, epoch: u64) -> (Vec<Record>, u64) {
        log.open(epoch, self.listener.clone().recipient());
        let mut replayed = Vec::new();
        loop {
            match self.next().await {
                LogEvent::Replayed { epoch: e, records } if e == epoch => replayed.extend(records),
                LogEvent::Ready { epoch: e, lsn } if e == epoch => return (replayed, lsn),
                LogEvent::Failed { error, .. } => panic!("{error}"),
                _ => {}
            }
        }
    }

    async fn durable(&mut self, upto: u64) -> u64 {
        loop {
            match self.next().await {
                LogEvent::Durable { lsn, epoch } if lsn >= upto => return epoch,
                LogEvent::Durable { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn failure(&mut self) -> String {
        loop {
            match self.next().await {
                LogEvent::Failed { error, .. } => return error.to_string(),
                LogEvent::Replayed { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn next(&mut self) -> LogEvent<Record> {
        let told = tokio::time::timeout(PATIENCE, self.told.recv()).await;
        told.expect("the log says something").expect("the listener lives")
    }
}

/// A disk whose syncs announce themselves and wait for leave.
struct SlowDisk {
    disk: MountedDisk,
    door: Door,
}

#[derive(Clone)]
struct Door {
    knock: Sender<()>,
    leave: Receiver<()>,
}

struct SlowFile {
    file: Box<dyn DiskFile>,
    door: Door,
}

impl SlowDisk {
    fn slow(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(SlowFile { file, door: self.door.clone() })
    }
}

impl Disk for SlowDisk {
    fn list(&self) -> Result<Vec<String>, DiskError> {
        self.disk.list()
    }
    fn open(&mut self, name: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        let file = self.disk.open(name)?;
        Ok(self.slow(file))
    }
    fn create(&mut self, name: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        self.disk.create(name)
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.disk.rename(from, to)
    }
    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        self.disk.remove(name)
    }
    fn sync_directory(&mut self) -> Result<(), DiskError> {
        self.disk.sync_directory()
    }
    fn path(&self, name: &str) -> PathBuf {
        self.disk.path(name)
    }
}

impl DiskFile for SlowFile {
    fn size(&self) -> Result<u64, DiskError> {
        self.file.size()
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        self.file.read_at(offset, buffer)
    }
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.file.write_at(offset, bytes)
    }
    fn sync_data(&mut self) -> Result<(), DiskError> {
        // Once nobody is at the door any more, everyone may pass.
        if self.door.knock.send(()).is_ok() {
            let _ = self.door.leave.recv();
        }
        self.file.sync_data()
    }
}

fn large() -> WalOptions {
    WalOptions { segment_bytes: 4 << 20, ..options() }
}

/// A log whose syncs after its opening wait for `leave` to be given.
async fn slow_log(
    disk: &MemoryDisk,
    queue_max: usize,
    events: &mut Events,
) -> (Wal, Receiver<()>, Sender<()>) {
    let (knock, knocks) = unbounded();
    let (leave, wait) = bounded(1);
    leave.send_timeout((), PATIENCE).expect("the sync of the opening passes");
    let disk = SlowDisk { disk: disk.mount(), door: Door { knock, leave: wait } };
    let mut log = Wal::open(disk, WalOptions { queue_max, ..large() }).expect("a new log");
    events.open(&mut log, 1).await;
    knocks.recv_timeout(PATIENCE).expect("the sync of the opening");
    (log, knocks, leave)
}

#[actix::test]
async fn epochs_replay_what_was_written_and_drop_what_is_stale() {
    let disk = MemoryDisk::new();
    let mut events = Events::new();
    let mut log = Wal::open(disk.mount(), large()).expect("a new log");
    assert!(log.identity().is_new);
    assert_eq!(events.open(&mut log, 1).await, (vec![], 0));
    log.append(1, &mut vec![voted(0, 10), voted(1, 10)]);
    assert_eq!(events.durable(2).await, 1);
    assert_eq!(events.open(&mut log, 2).await, (vec![voted(0, 10), voted(1, 10)], 2));
    log.append(1, &mut vec![voted(8, 10)]);
    log.append(2, &mut vec![]);
    log.append(2, &mut vec![voted(2, 10)]);
    assert_eq!(events.durable(3).await, 2);
    assert_eq!(log.counters().read().records, 3);
    log.close();

    disk.kill();
    let mut log = Wal::open(disk.mount(), large()).expect("a sound log");
    assert!(!log.identity().is_new);
    let expected = vec![voted(0, 10), voted(1, 10), voted(2, 10)];
    assert_eq!(events.open(&mut log, 1).await, (expected, 3));
}

#[actix::test]
async fn what_queues_behind_a_sync_is_written_and_synced_at_once() {
    let disk = MemoryDisk::new();
    let mut events = Events::new();
    let (mut log, knocks, leave) = slow_log(&disk, 4096, &mut events).await;
    let before = log.counters().read();
    log.append(1, &mut vec![voted(0, 10)]);
    knocks.recv_timeout(PATIENCE).expect("the first sync");
    for slot in 1..1000 {
        log.append(1, &mut vec![voted(slot, 10)]);
    }
    leave.send_timeout((), PATIENCE).expect("the first sync");
    knocks.recv_timeout(PATIENCE).expect("the second sync");
    leave.send_timeout((), PATIENCE).expect("the second sync");
    events.durable(1000).await;
    let after = log.counters().read();
    assert_eq!(after.fsyncs - before.fsyncs, 2, "1000 appends");
    assert!(after.fsync_us_max >= after.fsync_us_avg && after.fsync_us_max > 0, "{after:?}");
    assert_eq!((after.frames, after.records), (2, 1000));
}

#[actix::test]
async fn nothing_is_called_durable_before_its_sync() {
    let disk = MemoryDisk::new();
    let mut events = Events::new();
    let (mut log, knocks, leave) = slow_log(&disk, 4096, &mut events).await;
    log.append(1, &mut vec![voted(0, 10)]);
    knocks.recv_timeout(PATIENCE).expect("the sync");
    // The power fails while the sync is under way.
    disk.crash(None);
    leave.send_timeout((), PATIENCE).expect("the sync");
    assert!(events.failure().await.contains("the process has ended"));
    assert_eq!(read_back(&disk).expect("a sound log").0, []);
}

#[actix::test]
async fn the_first_failure_is_the_last_word() {
    for sync in [true, false] {
        let disk = MemoryDisk::new();
        let mut events = Events::new();
        let mut log = Wal::open(disk.mount(), large()).expect("a new log");
        events.open(&mut log, 1).await;
        log.append(1, &mut vec![voted(0, 10)]);
        events.durable(1).await;
        disk.fail_syncs(sync);
        disk.fail_writes(!sync);
        log.append(1, &mut vec![voted(1, 10)]);
        let text = events.failure().await;
        assert!(text.contains("0000000000000001.wal"), "{text}");
        disk.fail_syncs(false);
        disk.fail_writes(false);
        let operations = disk.operations();
        log.append(1, &mut vec![voted(2, 10)]);
        log.open(2, events.listener.clone().recipient());
        assert_eq!(events.failure().await, text, "a new epoch hears the same");
        log.append(2, &mut vec![voted(3, 10)]);
        log.close();
        assert_eq!(disk.operations(), operations, "nothing was tried again");
    }
}

#[actix::test]
async fn damage_is_told_when_the_log_is_opened() {
    let disk = MemoryDisk::new();
    let mut events = Events::new();
    let mut log = Wal::open(disk.mount(), options()).expect("a new log");
    events.open(&mut log, 1).await;
    log.append(1, &mut (0..20).map(|slot| voted(slot, 700)).collect());
    events.durable(20).await;
    log.close();
    crate::wal_support::flip(&disk, "0000000000000002.wal", 1000, 1);
    let mut log = Wal::open(disk.mount(), options()).expect("the headers are sound");
    log.open(1, events.listener.clone().recipient());
    let text = events.failure().await;
    assert!(text.contains("0000000000000002.wal is damaged at offset"), "{text}");
}

#[actix::test]
async fn an_orderly_close_makes_everything_durable() {
    let disk = MemoryDisk::new();
    let mut events = Events::new();
    let mut log = Wal::open(disk.mount(), options()).expect("a new log");
    events.open(&mut log, 1).await;
    let records: Vec<_> = (0..200).map(|slot| voted(slot, 300)).collect();
    for record in &records {
        log.append(1, &mut vec![record.clone()]);
    }
    log.close();
    disk.crash(None);
    assert_eq!(read_back(&disk).expect("a sound log").0, records);
}

#[actix::test]
async fn a_full_queue_fails_the_node_instead_of_leaving_a_hole() {
    let disk = MemoryDisk::new();
    let mut events = Events::new();
    let (mut log, knocks, leave) = slow_log(&disk, 2, &mut events).await;
    log.append(1, &mut vec![voted(0, 10)]);
    knocks.recv_timeout(PATIENCE).expect("the sync");
    for slot in 1..4 {
        log.append(1, &mut vec![voted(slot, 10)]);
    }
    assert!(events.failure().await.contains("queue is full at 2 requests"));
    drop((knocks, leave));
    log.append(1, &mut vec![voted(9, 10)]);
    log.close();
    let found = read_back(&disk).expect("a sound log").0;
    assert_eq!(found, [voted(0, 10), voted(1, 10), voted(2, 10)]);
}

#[actix::test]
async fn a_log_can_be_dropped_while_it_replays_to_an_actor_of_the_same_thread() {
    let disk = MemoryDisk::new();
    let mut events = Events::new();
    let mut log = Wal::open(disk.mount(), large()).expect("a new log");
    events.open(&mut log, 1).await;
    log.append(1, &mut (0..8).map(|slot| voted(slot, 900 << 10)).collect());
    events.durable(8).await;
    log.open(2, events.listener.clone().recipient());
    drop(log);
    let mut log = Wal::open(disk.mount(), large()).expect("a sound log");
    assert_eq!(events.open(&mut log, 3).await.1, 8);
}

#[actix::test]
async fn a_log_in_memory_is_durable_at_once_and_outlives_its_handles() {
    let mut events = Events::new();
    let mut log = MemoryLog::new();
    assert_eq!(events.open(&mut log, 1).await, (vec![], 0));
    assert_eq!(log.append(1, &mut vec![voted(0, 10), voted(1, 10)]), Some(2));
    let mut again = log.clone();
    assert_eq!(events.open(&mut again, 2).await, (vec![voted(0, 10), voted(1, 10)], 2));
    assert_eq!(again.append(1, &mut vec![voted(5, 10)]), None, "its epoch is over");
    assert_eq!(again.append(2, &mut vec![voted(2, 10)]), Some(3));
}
