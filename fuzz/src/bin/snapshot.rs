//! A snapshot of any bytes: it is read whole, or set aside.
#![no_main]

use libfuzzer_sys::fuzz_target;
use paxos_actors::snapshots::SnapshotFiles;
use paxos_actors::wal::MemoryDisk;
use paxos_core::{Slot, SnapshotEvent, SnapshotId, SnapshotTask};
use paxos_fuzz::{CLAIMS_BYTES, bounded, mend_snapshot};

fuzz_target!(|data: &[u8]| {
    let [how, data @ ..] = data else { return };
    let mut data = data.to_vec();
    if how & 1 == 1 {
        mend_snapshot(&mut data);
    }
    let crc = crc32c::crc32c(&data);
    let id = SnapshotId { below: Slot(3), log_time_ms: 30, bytes: data.len() as u64, crc };
    let SnapshotId { below, log_time_ms, bytes, crc } = id;
    let name = format!("{:016x}-{log_time_ms:016x}-{bytes:016x}-{crc:08x}.snapshot", below.0);
    let disk = MemoryDisk::new();
    if how & 2 == 2 {
        // From a peer.
        let mut files = SnapshotFiles::open(disk.mount(), true).expect("an empty disk");
        let store = SnapshotTask::Store { id, offset: 0, data: data.clone().into() };
        files.submit(store).expect("the disk works");
        let told = files.submit(SnapshotTask::Install { id }).expect("the disk works");
        let is_sound = matches!(told[..], [SnapshotEvent::Installed(_)]);
        assert_eq!(is_sound, disk.contents(&name).is_some());
    } else {
        disk.put(&name, data.clone());
    }
    let mut pieces = 0;
    bounded(data.len(), CLAIMS_BYTES, || {
        let mut files = SnapshotFiles::open(disk.mount(), how & 4 == 4).expect("names are sound");
        if let Ok(SnapshotEvent::Found { newest, .. }) = files.replay(&mut |_, _| pieces += 1) {
            assert!(newest.is_none() || pieces > 0, "a snapshot without a header");
        }
    });
});
