//! Small values whose order and bounds everything else rests on.

use super::cases;
use bincode::config::standard;
use bincode::serde::{decode_from_slice, encode_to_vec};
use paxos_core::rng::Rng;
use paxos_core::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn ballots() -> impl Strategy<Value = Ballot> {
    let part = || prop_oneof![0..3u64, any::<u64>()];
    (part(), part(), part()).prop_map(|(round, node, life)| Ballot {
        round,
        node: NodeId(node),
        life,
    })
}

proptest! {
    #![proptest_config(cases())]

    /// Invariant 4: ballots are ordered by round, then node, then life, and by nothing else.
    #[test]
    fn ballots_are_ordered_by_round_node_and_life(one in ballots(), other in ballots()) {
        let parts = |b: Ballot| (b.round, b.node.0, b.life);
        prop_assert_eq!(one.cmp(&other), parts(one).cmp(&parts(other)));
        prop_assert_eq!(one == other, parts(one) == parts(other));
        prop_assert!(!one.is_sound() || one > Ballot::ZERO);
    }

    /// R9: what follows a round can be followed: a member that is at the limit of belief takes the
    /// next round of whoever is not above it.
    #[test]
    fn a_believable_ballot_is_no_dead_end(round in 1..=Ballot::ROUND_MAX, seen in any::<u64>()) {
        let ballot = Ballot { round, node: NodeId(1), life: 1 };
        let is_near = round <= seen || round - seen <= Ballot::JUMP_MAX;
        prop_assert_eq!(ballot.follows(seen), is_near);
        let next = Ballot { round: round + 1, ..ballot };
        prop_assert!(next.follows(round));
    }

    /// A range has the slots that it says, and as many as it says.
    #[test]
    fn ranges_have_their_slots(from in 0..20u64, below in 0..20u64) {
        let range = SlotRange::new(Slot(from), Slot(below));
        let slots: BTreeSet<u64> = (0..30).filter(|&slot| range.contains(Slot(slot))).collect();
        prop_assert_eq!(range.is_empty(), slots.is_empty());
        prop_assert_eq!(slots.len() as u64, range.below.since(range.from));
        prop_assert!(slots.iter().all(|slot| (from..below).contains(slot)));
    }

    /// Seconds are not lost and clocks do not run over, whatever they show.
    #[test]
    fn time_neither_goes_back_nor_overflows(at in any::<u64>(), us in any::<u64>()) {
        let later = Now(at).plus(us);
        prop_assert!(later >= Now(at));
        prop_assert_eq!(later.since(Now(at)), us.min(u64::MAX - at));
        prop_assert_eq!(Now(at).since(later), 0);
    }

    /// Timing that exists lets a leader lose two heartbeats, and is refused by name otherwise.
    #[test]
    fn timing_is_sound_or_refused(heartbeat_ms in 0..2000u64, timeout_ms in 0..700_000u64) {
        let is_sound = heartbeat_ms > 0 && timeout_ms <= 600_000 && timeout_ms >= 3 * heartbeat_ms;
        match Timing::new(heartbeat_ms, timeout_ms) {
            Ok(timing) => {
                prop_assert!(is_sound);
                prop_assert_eq!(timing.heartbeat_us(), 1000 * heartbeat_ms);
                prop_assert_eq!(timing.election_timeout_us(), 1000 * timeout_ms);
                prop_assert!(timing.tick_us() >= 1000);
            }
            Err(error) => {
                prop_assert!(!is_sound, "{}", error);
                prop_assert!(error.to_string().contains("ms"), "{}", error);
            }
        }
    }

    /// Drawn numbers lie where they should, and one seed draws the same ones again.
    #[test]
    fn drawn_numbers_lie_in_between(
        seed in any::<u64>(),
        low in any::<u64>(),
        high in any::<u64>(),
    ) {
        let mut rng = Rng::new(seed);
        let drawn: Vec<u64> = (0..20).map(|_| rng.between(low, high)).collect();
        let lies = |&n: &u64| if low < high { (low..high).contains(&n) } else { n == low };
        prop_assert!(drawn.iter().all(lies), "{:?}", drawn);
        let mut again = Rng::new(seed);
        prop_assert!(drawn.iter().all(|&n| n == again.between(low, high)));
    }

    /// Rules of sessions at their bounds are sound, and one beyond any of them is not.
    #[test]
    fn session_rules_have_bounds(
        ttl_ms in 1..=SessionRules::TTL_MS_MAX,
        sessions_max in 1..=SessionRules::SESSIONS_MAX,
        window in 1..=SessionRules::WINDOW_MAX,
    ) {
        let rules = SessionRules { ttl_ms, sessions_max, window };
        prop_assert!(rules.are_sound());
        for wrong in [
            SessionRules { ttl_ms: 0, ..rules },
            SessionRules { ttl_ms: SessionRules::TTL_MS_MAX + 1, ..rules },
            SessionRules { sessions_max: 0, ..rules },
            SessionRules { sessions_max: SessionRules::SESSIONS_MAX + 1, ..rules },
            SessionRules { window: 0, ..rules },
            SessionRules { window: SessionRules::WINDOW_MAX + 1, ..rules },
        ] {
            prop_assert!(!wrong.are_sound(), "{:?}", wrong);
        }
    }
}

/// Invariant 7: nobody can send a quorum system that could not have been made.
#[test]
fn quorums_that_need_not_meet_cannot_be_decoded() {
    #[derive(serde::Serialize)]
    enum Shape {
        Sizes(u8, u8, u8),
        Grid(u8, u8),
    }
    let decoded = |shape: Shape| {
        let bytes = encode_to_vec(shape, standard()).unwrap();
        decode_from_slice::<Quorums, _>(&bytes, standard()).ok().map(|(quorums, _)| quorums)
    };
    for acceptors in 0..40 {
        for phase1 in 0..40 {
            for phase2 in 0..40 {
                let made = Quorums::sizes(acceptors.into(), phase1.into(), phase2.into()).ok();
                assert_eq!(decoded(Shape::Sizes(acceptors, phase1, phase2)), made);
            }
        }
        for columns in 0..40 {
            let made = Quorums::grid(acceptors.into(), columns.into()).ok();
            assert_eq!(decoded(Shape::Grid(acceptors, columns)), made);
        }
    }
}
