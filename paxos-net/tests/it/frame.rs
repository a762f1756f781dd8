//! Frames: their bytes, and what becomes of damaged, repeated and missing ones.

use crate::golden::{Golden, Vector};
use crate::support::ballot;
use paxos_core::{AcceptorMsg, NodeId, Packet, Slot};
use paxos_net::frame::{HEADER_BYTES, READ_STEP_BYTES};
use paxos_net::wire::{MAIL, PING, PONG};
use paxos_net::{FrameError, FrameReader, FrameWriter};
use proptest::prelude::*;
use serde::Serialize;

const MAX: usize = 4096;
const FRAMES: Golden = Golden { file: "frames.txt", document: "wire-format.md", word: 1 };

fn frames<T: Serialize>(values: &[T]) -> Vec<u8> {
    let mut writer = FrameWriter::new(MAX);
    for value in values {
        writer.push(7, value).unwrap();
    }
    writer.bytes().to_vec()
}

fn read(reader: &mut FrameReader) -> Result<Vec<(u64, String)>, FrameError> {
    let mut read = Vec::new();
    while let Some(frame) = reader.next_frame()? {
        assert_eq!(frame.kind, 7);
        read.push((frame.sequence, frame.decode()?));
    }
    Ok(read)
}

/// Frames in the order in which one end of a connection sends them.
#[test]
fn golden_frames() {
    let mail =
        (NodeId(2), Packet::from(AcceptorMsg::Prepare { ballot: ballot(), from: Slot::ZERO }));
    let mut dialler = FrameWriter::new(MAX);
    dialler.push(MAIL, &mail).unwrap();
    let first = dialler.len();
    dialler.push(PING, &()).unwrap();
    let mut acceptor = FrameWriter::new(MAX);
    acceptor.push(PONG, &()).unwrap();
    let (mail_frame, ping) = dialler.bytes().split_at(first);
    FRAMES.check(vec![
        Vector::new("Mail", format!("frame 0, for node 2: {:?}", mail.1), mail_frame.to_vec()),
        Vector::new("Ping", "frame 1 of the same connection", ping.to_vec()),
        Vector::new("Pong", "frame 0, the other way", acceptor.bytes().to_vec()),
    ]);
    let mut reader = FrameReader::new(MAX);
    let kinds = FRAMES.read().into_iter().take(2).map(|(_, frame)| {
        reader.feed(&frame);
        reader.next_frame().unwrap().expect("a whole frame").kind
    });
    assert_eq!(kinds.collect::<Vec<_>>(), [MAIL, PING]);
}

#[test]
fn a_claim_of_4_gib_is_refused_by_its_first_bytes() {
    let mut reader = FrameReader::new(MAX);
    reader.feed(&[0xff; 4]);
    let error = reader.next_frame().unwrap_err();
    assert!(matches!(error, FrameError::TooLong { bytes: 0x1_0000_0007, max: MAX }));
    assert!(reader.room().capacity() <= 2 * READ_STEP_BYTES + 4);
    assert!(reader.next_frame().is_err(), "an error stays");
}

#[test]
fn a_length_below_the_header_is_refused() {
    let mut reader = FrameReader::new(MAX);
    reader.feed(&8u32.to_le_bytes());
    assert!(matches!(reader.next_frame(), Err(FrameError::TooShort(8))));
}

#[test]
fn the_limit_is_the_whole_frame() {
    let exact = "x".repeat(MAX - HEADER_BYTES - 3);
    let stream = frames(&[&exact]);
    assert_eq!(stream.len(), MAX);
    let mut reader = FrameReader::new(MAX);
    reader.feed(&stream);
    assert_eq!(read(&mut reader).unwrap(), [(0, exact.clone())]);

    let mut writer = FrameWriter::new(MAX);
    writer.push(7, &"first").unwrap();
    let before = writer.bytes().to_vec();
    let error = writer.push(7, &(exact + "y")).unwrap_err();
    assert!(matches!(error, FrameError::TooLong { bytes, max: MAX } if bytes == 4097));
    assert_eq!(writer.bytes(), before, "a frame that cannot be sent leaves no trace");
    writer.push(7, &"second").unwrap();
    assert_eq!(writer.bytes(), frames(&["first", "second"]));
}

#[test]
fn repeated_frames_are_skipped_and_counted() {
    let stream = frames(&["a", "b", "c"]);
    let size = stream.len() / 3;
    let mut reader = FrameReader::new(MAX);
    reader.feed(&stream[..2 * size]);
    reader.feed(&stream[..2 * size]);
    reader.feed(&stream[2 * size..]);
    let expected = [(0, "a".to_owned()), (1, "b".to_owned()), (2, "c".to_owned())];
    assert_eq!(read(&mut reader).unwrap(), expected);
    assert_eq!(reader.repeated(), 2);
}

#[test]
fn a_gap_ends_the_stream() {
    let stream = frames(&["a", "b", "c"]);
    let size = stream.len() / 3;
    let mut reader = FrameReader::new(MAX);
    reader.feed(&stream[..size]);
    reader.feed(&stream[2 * size..]);
    reader.feed(&stream[size..2 * size]);
    assert_eq!(reader.next_frame().unwrap().map(|frame| frame.sequence), Some(0));
    for _ in 0..2 {
        let error = reader.next_frame().unwrap_err();
        assert!(matches!(error, FrameError::Gap { expected: 1, found: 2 }));
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let stream = frames(&["some value", "another"]);
    for bit in 0..stream.len() * 8 {
        let mut damaged = stream.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let mut reader = FrameReader::new(MAX);
        reader.feed(&damaged);
        let first = reader.next_frame().ok().flatten().is_some();
        let both = first && reader.next_frame().ok().flatten().is_some();
        assert!(!both, "flipping bit {bit} went unnoticed");
    }
}

proptest! {
    #[test]
    fn any_cut_of_the_stream_gives_the_same_frames(
        values in proptest::collection::vec(".{0,300}", 0..20),
        cuts in proptest::collection::vec(1usize..200, 1..20),
    ) {
        let stream = frames(&values);
        let mut reader = FrameReader::new(MAX);
        let mut found = Vec::new();
        let mut rest = &stream[..];
        let mut cuts = cuts.iter().cycle();
        while let Some(&cut) = cuts.next().filter(|_| !rest.is_empty()) {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            reader.feed(now);
            found.extend(read(&mut reader).unwrap());
            rest = later;
        }
        let expected: Vec<_> = (0..).zip(values).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(reader.repeated(), 0);
    }

    #[test]
    fn a_truncated_stream_gives_only_whole_frames(
        values in proptest::collection::vec(".{0,50}", 1..10),
        keep in 0.0f64..1.0,
    ) {
        let stream = frames(&values);
        let mut reader = FrameReader::new(MAX);
        reader.feed(&stream[..(stream.len() as f64 * keep) as usize]);
        let found = read(&mut reader).unwrap();
        prop_assert!(found.len() < values.len());
        for ((sequence, value), expected) in found.iter().zip(&values) {
            prop_assert_eq!(value, expected, "frame {}", sequence);
        }
    }

    #[test]
    fn garbage_is_refused_or_waited_for(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut reader = FrameReader::new(MAX);
        reader.feed(&bytes);
        prop_assert!(!matches!(reader.next_frame(), Ok(Some(_))));
    }
}
