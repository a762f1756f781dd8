//! The stream of a connection: frames in pieces of any size, and what is in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use paxos_core::{NodeId, Packet};
use paxos_fuzz::{CLAIMS_BYTES, bounded, mend_wire};
use paxos_net::FrameReader;
use paxos_net::frame::READ_STEP_BYTES;

/// A frame may have so many bytes here.
const FRAME_BYTES_MAX: usize = 4096;

fuzz_target!(|data: &[u8]| {
    let [how, data @ ..] = data else { return };
    let mut data = data.to_vec();
    if how & 1 == 1 {
        mend_wire(&mut data);
    }
    let piece = 1 + usize::from(how >> 1);
    // The reader keeps room for what comes next.
    bounded(data.len(), 2 * READ_STEP_BYTES + CLAIMS_BYTES, || {
        let mut reader = FrameReader::new(FRAME_BYTES_MAX);
        let mut expected = 0;
        for piece in data.chunks(piece) {
            reader.feed(piece);
            loop {
                match reader.next_frame() {
                    Ok(Some(frame)) => {
                        assert_eq!(frame.sequence, expected, "frames come in order");
                        expected += 1;
                        drop(frame.decode::<(NodeId, Packet)>());
                    }
                    Ok(None) => break,
                    Err(_) => {
                        assert!(reader.next_frame().is_err(), "an error stays");
                        return;
                    }
                }
            }
        }
    });
});
