//! How files of snapshots are called.

use paxos_core::{Slot, SnapshotId};

/// The snapshot that is being written.
pub(super) const WRITING: &str = "writing.tmp";

const COMPLETE: &str = ".snapshot";
const DAMAGED: &str = ".damaged";
const INCOMING: &str = "incoming-";

/// What a file is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Complete(SnapshotId),
    Incoming(SnapshotId),
    Damaged,
    Writing,
}

pub(super) fn complete(id: SnapshotId) -> String {
    stem(id) + COMPLETE
}

pub(super) fn damaged(id: SnapshotId) -> String {
    stem(id) + DAMAGED
}

pub(super) fn incoming(id: SnapshotId) -> String {
    INCOMING.to_owned() + &stem(id)
}

/// None for what is none of ours.
pub(super) fn kind(name: &str) -> Option<Kind> {
    if name == WRITING {
        return Some(Kind::Writing);
    }
    if let Some(stem) = name.strip_prefix(INCOMING) {
        return parse(stem).map(Kind::Incoming);
    }
    if let Some(stem) = name.strip_suffix(DAMAGED) {
        return parse(stem).map(|_| Kind::Damaged);
    }
    parse(name.strip_suffix(COMPLETE)?).map(Kind::Complete)
}

fn stem(id: SnapshotId) -> String {
    let SnapshotId { below, log_time_ms, bytes, crc } = id;
    format!("{:016x}-{log_time_ms:016x}-{bytes:016x}-{crc:08x}", below.0)
}

fn parse(name: &str) -> Option<SnapshotId> {
    let mut words = name.split('-');
    let mut word = || u64::from_str_radix(words.next()?, 16).ok();
    let (below, log_time_ms, bytes, crc) = (Slot(word()?), word()?, word()?, word()?);
    let id = SnapshotId { below, log_time_ms, bytes, crc: u32::try_from(crc).ok()? };
    (stem(id) == name).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_all_and_what_is_not_written_so_is_none_of_ours() {
        let id = SnapshotId { below: Slot(0xab), log_time_ms: 7, bytes: 1 << 40, crc: 0xfe };
        let stem = "00000000000000ab-0000000000000007-0000010000000000-000000fe";
        assert_eq!(complete(id), format!("{stem}.snapshot"));
        assert_eq!(kind(&complete(id)), Some(Kind::Complete(id)));
        assert_eq!(kind(&incoming(id)), Some(Kind::Incoming(id)));
        assert_eq!(kind(&damaged(id)), Some(Kind::Damaged));
        assert_eq!(kind(WRITING), Some(Kind::Writing));
        let upper = complete(id).to_uppercase();
        for other in ["lock", "1-2-3-4.snapshot", ".snapshot", "incoming-", &upper, &stem[1..]] {
            assert_eq!(kind(other), None, "{other}");
        }
    }
}
