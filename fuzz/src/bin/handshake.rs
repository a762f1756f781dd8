//! The first bytes of a connection between nodes, and whom they let in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use paxos_core::{ClusterId, Incarnation, MemberId, NodeId};
use paxos_fuzz::{bounded, mend_note};
use paxos_net::hello::{Identity, Note};
use std::collections::BTreeSet;

fn member(node: u64) -> MemberId {
    MemberId { node: NodeId(node), incarnation: Incarnation(100 * node) }
}

fuzz_target!(|data: &[u8]| {
    let [how, data @ ..] = data else { return };
    let mut data = data.to_vec();
    if how & 1 == 1 {
        mend_note(&mut data);
    }
    let decoded = bounded(data.len(), 0, || {
        for end in 0..data.len().min(24) {
            let _ = Note::wanted(&data[..end]);
        }
        Note::decode(&data)
    });
    let Ok((versions, note)) = decoded else { return };
    let members = if how & 2 == 2 { (1..=3).map(member).collect() } else { Vec::new() };
    let cluster = (how & 4 == 4).then_some(ClusterId(7));
    let peers = BTreeSet::from([NodeId(1), NodeId(3)]);
    let me = Identity { me: member(2), life: 3, peers, layout: 9, cluster, members };
    match &note {
        Note::Hello(hello) => {
            if let Ok(peer) = me.admit(versions, hello) {
                assert!(me.peers.contains(&peer.member.node), "a stranger is let in");
                assert_eq!(hello.to, me.me.node, "what was for another is taken");
                me.welcome(peer, hello, 5);
            }
        }
        Note::Welcome(welcome) => {
            let hello = me.hello(NodeId(1), 5);
            if let Ok(peer) = me.accept(&hello, welcome) {
                assert_eq!((peer.member.node, welcome.echo), (NodeId(1), 5), "not who was asked");
            }
        }
        _ => {}
    }
    let bytes = note.encode().expect("what was read can be written");
    assert_eq!(Note::decode(&bytes).expect("and read").1, note);
});
