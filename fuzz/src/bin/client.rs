//! What a client and a node say to each other, commands and queries.
#![no_main]

use libfuzzer_sys::fuzz_target;
use paxos_actors::codec;
use paxos_core::Packet;
use paxos_fuzz::{CLAIMS_BYTES, bounded};
use paxos_kv::op::{OpRef, QueryRef};
use paxos_kv::wire::{Request, Response};
use paxos_net::validate::{commands, validate};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let mut bytes = Vec::new();
    codec::encode(value, &mut bytes).expect("what was read can be written");
    assert_eq!(codec::decode::<T>(&bytes).expect("and read"), *value);
}

fuzz_target!(|data: &[u8]| {
    let [how, data @ ..] = data else { return };
    match how % 4 {
        0 => {
            let request = bounded(data.len(), CLAIMS_BYTES, || codec::decode::<Request>(data));
            if let Ok(request) = request {
                if let Request::Propose(list) = &request {
                    let _ = commands(list);
                }
                same(&request);
            }
        }
        1 => {
            let response = bounded(data.len(), CLAIMS_BYTES, || codec::decode::<Response>(data));
            if let Ok(response) = response {
                if let Response::Client(msg) = &response {
                    let _ = validate(&Packet::Client(msg.clone()));
                }
                same(&response);
            }
        }
        2 => drop(bounded(data.len(), 0, || OpRef::decode(data).is_ok())),
        _ => drop(bounded(data.len(), 0, || QueryRef::decode(data).is_ok())),
    }
});
