//! A message of a peer: what is sound can be written again, and is the same then.
#![no_main]

use libfuzzer_sys::fuzz_target;
use paxos_actors::codec;
use paxos_core::{NodeId, Packet};
use paxos_fuzz::{CLAIMS_BYTES, bounded};
use paxos_net::validate::validate;

fuzz_target!(|data: &[u8]| {
    let decoded = bounded(data.len(), CLAIMS_BYTES, || {
        let decoded = codec::decode::<(NodeId, Packet)>(data);
        decoded.ok().filter(|(_, packet)| validate(packet).is_ok())
    });
    if let Some(mail) = decoded {
        let mut bytes = Vec::new();
        codec::encode(&mail, &mut bytes).expect("what was read can be written");
        assert_eq!(codec::decode::<(NodeId, Packet)>(&bytes).expect("and read"), mail);
    }
});
