//! Mail in frames: how it looks, and that it comes out as it went in.

use crate::golden::{Golden, Vector};
use crate::support::{samples, snapshot};
use bytes::Bytes;
use paxos_actors::codec;
use paxos_core::{
    AcceptorMsg, Ballot, Body, Command, Entry, LearnerMsg, Limits, NodeId, Packet, PromisePart,
    ProposerMsg, SessionId, Slot, SlotRange, Vote,
};
use paxos_net::wire::MAIL;
use paxos_net::{FrameReader, FrameWriter};
use proptest::prelude::*;

const MESSAGES: Golden = Golden { file: "messages.txt", document: "wire-format.md", word: 1 };

fn read(bytes: &[u8]) -> Vec<(NodeId, Packet)> {
    let mut reader = FrameReader::new(4 << 20);
    reader.feed(bytes);
    let mut mail = Vec::new();
    while let Ok(Some(frame)) = reader.next_frame() {
        mail.extend(frame.decode::<(NodeId, Packet)>());
    }
    mail
}

/// The payload of a frame with mail, for each kind of message.
#[test]
fn golden_messages() {
    let mail: Vec<_> = samples().into_iter().map(|packet| (NodeId(2), packet)).collect();
    let vector = |mail: &(NodeId, Packet)| {
        let mut bytes = Vec::new();
        codec::encode(mail, &mut bytes).unwrap();
        Vector::variant("", 2, format!("{:?}", mail.1), bytes)
    };
    MESSAGES.check(mail.iter().map(vector).collect());
    let read = MESSAGES.read().into_iter().map(|(name, bytes)| {
        codec::decode::<(NodeId, Packet)>(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"))
    });
    assert_eq!(read.collect::<Vec<_>>(), mail);
}

#[test]
fn every_kind_of_message_round_trips() {
    let mut writer = FrameWriter::new(4 << 20);
    let mail: Vec<_> = samples().into_iter().map(|packet| (NodeId(2), packet)).collect();
    for mail in &mail {
        writer.push(MAIL, mail).unwrap();
    }
    assert_eq!(read(writer.bytes()), mail);
}

/// A checksum can be made to match: the payload itself must not be trusted either.
#[test]
fn damaged_payloads_behind_good_checksums_never_panic() {
    for packet in samples() {
        let mut payload = Vec::new();
        codec::encode(&(NodeId(2), packet), &mut payload).unwrap();
        for cut in 0..payload.len() {
            assert!(codec::decode::<(NodeId, Packet)>(&payload[..cut]).is_err());
        }
        for bit in 0..payload.len() * 8 {
            let mut damaged = payload.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if let Ok((_, packet)) = codec::decode::<(NodeId, Packet)>(&damaged) {
                let _ = paxos_net::validate::validate(&packet);
            }
        }
    }
}

prop_compose! {
    fn ballots()(round: u64, node: u64, life: u64) -> Ballot {
        Ballot { round, node: NodeId(node), life }
    }
}

prop_compose! {
    fn commands()(
        client: u64,
        learner: u64,
        slot: u64,
        index: u32,
        sequence: u64,
        acked_below: u64,
        value in proptest::collection::vec(any::<u8>(), 0..200),
    ) -> Command {
        let session = SessionId { slot: Slot(slot), index };
        let body = Body::Run { session, sequence, acked_below, value: value.into() };
        Command { client: NodeId(client), learner: NodeId(learner), body }
    }
}

prop_compose! {
    fn entries()(
        log_time_ms: u64,
        commands in proptest::collection::vec(commands(), 0..5),
    ) -> Entry {
        Entry { log_time_ms, commands: commands.into() }
    }
}

fn packets() -> impl Strategy<Value = Packet> {
    let accept = (ballots(), any::<u64>(), entries(), any::<(u64, u64)>());
    let accept = accept.prop_map(|(ballot, slot, entry, (from, below))| {
        let chosen = SlotRange::new(Slot(from), Slot(below));
        AcceptorMsg::Accept { ballot, slot: Slot(slot), entry, chosen }.into()
    });
    let propose = (proptest::collection::vec(commands(), 0..9), any::<u8>());
    let propose =
        propose.prop_map(|(commands, hops)| ProposerMsg::Propose { commands, hops }.into());
    let votes = proptest::collection::vec((any::<u64>(), ballots(), entries()), 0..5);
    let promise = (ballots(), any::<[u64; 4]>(), any::<Option<u64>>(), votes);
    let promise = promise.prop_map(|(ballot, [trimmed, chosen, time, from], below, votes)| {
        let vote = |(slot, ballot, entry)| (Slot(slot), Vote { ballot, entry });
        let part = PromisePart {
            trimmed: Slot(trimmed),
            chosen_below: Slot(chosen),
            log_time_ms: time,
            from: Slot(from),
            below: below.map(Slot),
            votes: votes.into_iter().map(vote).collect(),
        };
        ProposerMsg::Promise { ballot, part: Box::new(part) }.into()
    });
    prop_oneof![accept, propose, promise, proptest::sample::select(samples())]
}

proptest! {
    #[test]
    fn any_mail_round_trips(packets in proptest::collection::vec((any::<u64>(), packets()), 0..8)) {
        let mut writer = FrameWriter::new(4 << 20);
        let mail: Vec<_> = packets.into_iter().map(|(to, packet)| (NodeId(to), packet)).collect();
        for mail in &mail {
            writer.push(MAIL, mail).unwrap();
        }
        prop_assert_eq!(read(writer.bytes()), mail);
    }

    #[test]
    fn any_mail_is_judged_without_overflow(packet in packets()) {
        let _ = paxos_net::validate::validate(&packet);
    }

    #[test]
    fn garbage_payloads_never_panic(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = codec::decode::<(NodeId, Packet)>(&payload);
    }
}

#[test]
fn the_largest_part_of_a_snapshot_fits_a_frame() {
    let limits = Limits::default();
    let data = Bytes::from(vec![7; limits.part_bytes_max]);
    let part = LearnerMsg::SnapshotPart { id: snapshot(), offset: u64::MAX / 2, data };
    let mail = (NodeId(u64::MAX), Packet::from(part));
    let mut writer = FrameWriter::new(limits.peer_frame_bytes_max);
    writer.push(MAIL, &mail).unwrap();
    assert_eq!(read(writer.bytes()), [mail]);
}
