//! The thread that keeps snapshots, and its handle.

use crate::log::{Log, LogEvent};
use crate::replay::{Parts, Reader};
use crate::snapshots::{Counters, SnapshotError, SnapshotFiles, SnapshotStore, SnapshotTold};
use crate::wal::{Disk, MemoryDisk};
use actix::Recipient;
use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};
use paxos_core::{NodeId, SnapshotPiece, SnapshotTask};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Tasks that may be queued. A learner has one or two of its own at a time, and one for each peer.
const QUEUE_MAX: usize = 4096;

/// Snapshots on a disk: the handle of the thread that keeps them. Dropped, it waits for the task
/// that is under way; a snapshot that is being written is given up.
pub struct DiskSnapshots {
    counters: Arc<Counters>,
    closing: Arc<AtomicBool>,
    /// The way to the thread, or why there is none any more.
    requests: Result<Sender<Request>, Arc<SnapshotError>>,
    /// The epoch, and where its failure is told.
    reader: Option<(u64, Recipient<LogEvent<SnapshotPiece>>)>,
    told: Option<Recipient<SnapshotTold>>,
    thread: Option<JoinHandle<()>>,
}

/// What the handle asks of the thread.
enum Request {
    Open { reader: Reader<SnapshotPiece>, told: Recipient<SnapshotTold> },
    Task { epoch: u64, task: SnapshotTask },
}

impl DiskSnapshots {
    /// Takes a directory of snapshots for the learner at `node`, and starts the thread. `others`
    /// says whether there are other learners, who can send their snapshot if the one here is
    /// damaged. Damage is reported when an epoch begins.
    pub fn open(
        disk: impl Disk + 'static,
        node: NodeId,
        others: bool,
    ) -> Result<DiskSnapshots, SnapshotError> {
        let files = SnapshotFiles::open(disk, others)?;
        let counters = files.counters();
        let closing = Arc::new(AtomicBool::new(false));
        let (requests, queue) = bounded(QUEUE_MAX);
        let worker = Worker { files: Some(files), queue, closing: closing.clone(), reader: None };
        let thread = std::thread::Builder::new()
            .name(format!("snapshots-{node}"))
            .spawn(|| worker.run())
            .map_err(SnapshotError::Thread)?;
        let (requests, thread) = (Ok(requests), Some(thread));
        Ok(DiskSnapshots { counters, closing, requests, reader: None, told: None, thread })
    }

    /// Snapshots in memory, for nodes that may forget everything. Those of one disk find what the
    /// others left: that lets a node that starts again go on.
    pub fn memory(
        disk: &MemoryDisk,
        node: NodeId,
        others: bool,
    ) -> Result<DiskSnapshots, SnapshotError> {
        DiskSnapshots::open(disk.mount(), node, others)
    }

    /// What the store counts.
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// Hands a request to the thread. One that does not fit may not be followed by others: the
    /// learner would wait for its event for ever.
    fn request(&mut self, request: Request) {
        let error = match &self.requests {
            Err(error) => error.clone(),
            Ok(requests) => match requests.try_send(request) {
                Ok(()) => return,
                Err(TrySendError::Full(_)) => Arc::new(SnapshotError::Overrun(QUEUE_MAX)),
                Err(TrySendError::Disconnected(_)) => Arc::new(SnapshotError::Stopped),
            },
        };
        self.requests = Err(error.clone());
        if let Some((epoch, events)) = &self.reader {
            events.do_send(LogEvent::Failed { epoch: *epoch, error });
        }
    }
}

impl Log<SnapshotPiece> for DiskSnapshots {
    /// # Panics
    /// If nobody said before where to tell what is found: the learner would wait for it for ever.
    fn open(&mut self, epoch: u64, events: Recipient<LogEvent<SnapshotPiece>>) {
        let told = self.told.clone().expect("`report_to` comes before `open`");
        self.reader = Some((epoch, events.clone()));
        self.request(Request::Open { reader: Reader { epoch, events }, told });
    }

    /// A learner has no records: what it keeps changes by tasks.
    fn append(&mut self, _: u64, _: &mut Vec<SnapshotPiece>) -> Option<u64> {
        None
    }
}

impl SnapshotStore for DiskSnapshots {
    fn report_to(&mut self, events: Recipient<SnapshotTold>) {
        self.told = Some(events);
    }

    fn submit(&mut self, epoch: u64, task: SnapshotTask) {
        self.request(Request::Task { epoch, task });
    }
}

impl Drop for DiskSnapshots {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
        self.requests = Err(Arc::new(SnapshotError::Stopped));
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic in the thread has been reported as such, and the store as stopped.
            let _ = thread.join();
        }
    }
}

/// The thread's own state.
struct Worker {
    /// None after a failure.
    files: Option<SnapshotFiles>,
    queue: Receiver<Request>,
    /// Set when the handle waits for the end of the thread.
    closing: Arc<AtomicBool>,
    reader: Option<(Reader<SnapshotPiece>, Recipient<SnapshotTold>)>,
}

impl Worker {
    /// Runs until the handle is gone. A snapshot is written piece by piece, with a task in between.
    fn run(mut self) {
        while !self.closing.load(Ordering::Acquire) {
            let is_writing = self.files.as_ref().is_some_and(SnapshotFiles::is_writing);
            let request = match is_writing {
                true => self.queue.try_recv(),
                false => self.queue.recv().map_err(|_| TryRecvError::Disconnected),
            };
            let done = match request {
                Ok(Request::Open { reader, told }) => self.open(reader, told),
                Ok(Request::Task { epoch, task }) => self.submit(epoch, task),
                Err(TryRecvError::Empty) => Ok(()),
                Err(TryRecvError::Disconnected) => return,
            };
            if let Err(error) = done.and_then(|()| self.write_on()) {
                self.fail(error);
            }
        }
    }

    /// Begins an epoch.
    fn open(
        &mut self,
        reader: Reader<SnapshotPiece>,
        told: Recipient<SnapshotTold>,
    ) -> Result<(), SnapshotError> {
        let (reader, told) = self.reader.insert((reader, told));
        let files = self.files.as_mut().ok_or(SnapshotError::Stopped)?;
        let mut parts = Parts::new(reader, &self.closing);
        let found = files.replay(&mut |piece, bytes| parts.push(piece, bytes))?;
        parts.flush();
        let epoch = reader.epoch;
        told.do_send(SnapshotTold { epoch, event: found });
        reader.events.do_send(LogEvent::Ready { epoch, lsn: 0 });
        Ok(())
    }

    fn submit(&mut self, epoch: u64, task: SnapshotTask) -> Result<(), SnapshotError> {
        let (Some(files), Some((reader, told))) = (&mut self.files, &self.reader) else {
            return Ok(());
        };
        if epoch == reader.epoch {
            for event in files.submit(task)? {
                told.do_send(SnapshotTold { epoch, event });
            }
        }
        Ok(())
    }

    fn write_on(&mut self) -> Result<(), SnapshotError> {
        if let (Some(files), Some((reader, told))) = (&mut self.files, &self.reader)
            && let Some(event) = files.write_on()?
        {
            told.do_send(SnapshotTold { epoch: reader.epoch, event });
        }
        Ok(())
    }

    /// Nothing more is done, whatever comes: after a failure no one knows what is durable.
    fn fail(&mut self, error: SnapshotError) {
        self.files = None;
        if let Some((Reader { epoch, events }, _)) = &self.reader {
            events.do_send(LogEvent::Failed { epoch: *epoch, error: Arc::new(error) });
        }
    }
}
