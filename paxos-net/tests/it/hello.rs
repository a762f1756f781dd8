//! Who is let in, and how the words look on the wire.

use crate::golden::{Golden, Vector};
use paxos_core::{ClusterId, Incarnation, MemberId, NodeId};
use paxos_net::Refusal;
use paxos_net::hello::{Hello, HelloError, Identity, Note, VERSIONS, Versions, Welcome};
use proptest::prelude::*;

const HANDSHAKE: Golden = Golden { file: "handshake.txt", document: "wire-format.md", word: 1 };

fn member(node: u64) -> MemberId {
    MemberId { node: NodeId(node), incarnation: Incarnation(node * 100) }
}

/// Node 2, which knows nothing but its peers.
fn fresh() -> Identity {
    Identity {
        me: member(2),
        life: 22,
        peers: [NodeId(1), NodeId(3)].into(),
        layout: 9,
        cluster: None,
        members: Vec::new(),
    }
}

/// Node 2 after its roster was stored.
fn formed() -> Identity {
    let members = vec![member(1), member(2)];
    Identity { cluster: Some(ClusterId(7)), members, ..fresh() }
}

fn hello(cluster: Option<u64>, from: MemberId, to: u64) -> Hello {
    let cluster = cluster.map(ClusterId);
    Hello { cluster, layout: 9, from, life: 11, to: NodeId(to), nonce: 5 }
}

/// The notes of a handshake, in their order, and every way to refuse.
#[test]
fn golden_handshake() {
    let sent = hello(Some(7), member(1), 2);
    let peer = formed().admit(VERSIONS, &sent).unwrap();
    let welcome = formed().welcome(peer, &sent, 6);
    let known = Incarnation(3);
    let refusals = [
        Refusal::version(),
        Refusal::SameNode,
        Refusal::WrongNode { node: NodeId(2) },
        Refusal::UnknownNode,
        Refusal::WrongCluster { known: ClusterId(7) },
        Refusal::NotAMember { known },
        Refusal::Replayed,
        Refusal::OtherLayout,
    ];
    let mut notes = vec![
        Note::Hello(hello(None, member(1), 2)),
        Note::Hello(sent),
        Note::Welcome(welcome),
        Note::Confirm { echo: 6 },
    ];
    notes.extend(refusals.map(Note::Refuse));
    let vector = |note: &Note| Vector::variant("", 2, format!("{note:?}"), note.encode().unwrap());
    HANDSHAKE.check(notes.iter().map(vector).collect());
    let read = HANDSHAKE.read().into_iter().map(|(_, bytes)| Note::decode(&bytes).unwrap().1);
    assert_eq!(read.collect::<Vec<_>>(), notes);
}

#[test]
fn who_is_admitted() {
    let wiped = MemberId { node: NodeId(1), incarnation: Incarnation(999) };
    let known = Incarnation(100);
    let cluster = ClusterId(7);
    let table = [
        (fresh(), hello(None, member(1), 2), Ok(())),
        (fresh(), hello(Some(7), member(1), 2), Ok(())),
        (fresh(), hello(None, wiped, 2), Ok(())),
        (fresh(), hello(None, member(4), 2), Err(Refusal::UnknownNode)),
        (fresh(), hello(None, member(2), 2), Err(Refusal::SameNode)),
        (fresh(), hello(None, member(2), 1), Err(Refusal::SameNode)),
        (fresh(), hello(None, member(1), 3), Err(Refusal::WrongNode { node: NodeId(2) })),
        (formed(), hello(None, member(1), 2), Ok(())),
        (formed(), hello(Some(7), member(1), 2), Ok(())),
        (formed(), hello(Some(8), member(1), 2), Err(Refusal::WrongCluster { known: cluster })),
        (formed(), hello(None, wiped, 2), Err(Refusal::NotAMember { known })),
        (formed(), hello(Some(7), wiped, 2), Err(Refusal::NotAMember { known })),
        (fresh(), Hello { layout: 8, ..hello(None, member(1), 2) }, Err(Refusal::OtherLayout)),
        (formed(), Hello { layout: 8, ..hello(None, member(1), 2) }, Err(Refusal::OtherLayout)),
        // What it was told first counts no more.
        (formed(), Hello { layout: 8, ..hello(Some(7), member(1), 2) }, Ok(())),
        // Node 3 has no acceptor, so the roster lists no incarnation of it.
        (formed(), hello(Some(7), member(3), 2), Ok(())),
    ];
    for (i, (identity, hello, expected)) in table.into_iter().enumerate() {
        let admitted = identity.admit(VERSIONS, &hello);
        assert_eq!(admitted.map(|_| ()), expected, "row {i}: {hello:?}");
        if let Ok(peer) = admitted {
            assert_eq!((peer.member, peer.life, peer.version), (hello.from, 11, 1), "row {i}");
        }
    }
}

#[test]
fn whom_the_dialler_accepts() {
    let sent =
        Hello { cluster: None, layout: 9, from: member(2), life: 22, to: NodeId(1), nonce: 5 };
    let good = Welcome {
        version: 1,
        cluster: Some(ClusterId(7)),
        layout: 9,
        from: member(1),
        life: 11,
        echo: 5,
        nonce: 6,
    };
    let wiped = MemberId { node: NodeId(1), incarnation: Incarnation(999) };
    let known = ClusterId(7);
    let table = [
        (good.clone(), Ok(())),
        (Welcome { cluster: None, ..good.clone() }, Ok(())),
        (Welcome { version: 2, ..good.clone() }, Err(Refusal::version())),
        (Welcome { echo: 4, ..good.clone() }, Err(Refusal::Replayed)),
        (Welcome { from: member(2), ..good.clone() }, Err(Refusal::SameNode)),
        (Welcome { from: member(3), ..good.clone() }, Err(Refusal::WrongNode { node: NodeId(2) })),
        (
            Welcome { cluster: Some(ClusterId(8)), ..good.clone() },
            Err(Refusal::WrongCluster { known }),
        ),
        (Welcome { cluster: None, layout: 8, ..good.clone() }, Err(Refusal::OtherLayout)),
        (Welcome { from: wiped, ..good }, Err(Refusal::NotAMember { known: Incarnation(100) })),
    ];
    for (i, (welcome, expected)) in table.into_iter().enumerate() {
        assert_eq!(formed().accept(&sent, &welcome).map(|_| ()), expected, "row {i}");
    }
}

#[test]
fn versions_must_overlap() {
    let range = |oldest, newest| Versions { oldest, newest };
    let table = [
        (range(1, 1), range(1, 1), Some(1)),
        (range(1, 3), range(2, 5), Some(3)),
        (range(2, 5), range(1, 3), Some(3)),
        (range(1, 2), range(3, 4), None),
        (range(3, 4), range(1, 2), None),
        (range(5, 4), range(1, 9), None),
    ];
    for (ours, theirs, common) in table {
        assert_eq!(ours.common(theirs), common, "{ours:?} {theirs:?}");
    }
    let refused = fresh().admit(range(2, 9), &hello(None, member(1), 2));
    assert_eq!(refused, Err(Refusal::version()));
}

#[test]
fn what_is_no_note_is_refused_by_its_first_bytes() {
    assert!(matches!(Note::wanted(&[0xff; 4]), Err(HelloError::Magic)));
    assert!(matches!(Note::wanted(b"GET / HTTP/1.1\r\n"), Err(HelloError::Magic)));
    let mut note = Note::Confirm { echo: 1 }.encode().unwrap();
    note[12..14].copy_from_slice(&[0xff, 0xff]);
    assert!(matches!(Note::wanted(&note), Err(HelloError::TooLong(0xffff))));
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    let bytes = Note::Hello(hello(Some(7), member(1), 2)).encode().unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(Note::decode(&damaged).is_err(), "flipping bit {bit} went unnoticed");
    }
    for cut in 0..bytes.len() {
        assert!(Note::decode(&bytes[..cut]).is_err(), "cutting at {cut} went unnoticed");
        assert!(Note::wanted(&bytes[..cut]).unwrap() > cut);
    }
}

proptest! {
    #[test]
    fn round_trip(cluster: Option<u64>, node: u64, incarnation: u64, life: u64, nonce: u64) {
        let from = MemberId { node: NodeId(node), incarnation: Incarnation(incarnation) };
        let cluster = cluster.map(ClusterId);
        let notes = [
            Note::Hello(Hello { cluster, layout: life, from, life, to: NodeId(nonce), nonce }),
            Note::Welcome(Welcome {
                version: 1,
                cluster,
                layout: node,
                from,
                life,
                echo: nonce,
                nonce: life,
            }),
            Note::Confirm { echo: nonce },
            Note::Refuse(Refusal::WrongNode { node: NodeId(node) }),
        ];
        for note in notes {
            let bytes = note.encode().unwrap();
            prop_assert_eq!(Note::wanted(&bytes).unwrap(), bytes.len());
            prop_assert_eq!(Note::decode(&bytes).unwrap(), (VERSIONS, note));
        }
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(Note::decode(&bytes).is_err());
        let mut masked = paxos_net::hello::MAGIC.to_vec();
        masked.extend(bytes);
        prop_assert!(Note::decode(&masked).is_err());
    }
}
