//! A learner that hears everything late, often and out of order.

use super::cases;
use crate::rules::alone::*;
use paxos_core::*;
use proptest::prelude::*;
use proptest::sample::Index;

/// The entry that is chosen at a slot; and what was voted for there in vain.
fn chosen_at(slot: u64) -> Entry {
    entry(slot)
}

fn in_vain(slot: u64) -> Entry {
    entry(500 + slot)
}

/// Says that these slots were counted in the ballot.
fn counted(ballot: Ballot, slots: SlotRange) -> (u64, LearnerMsg) {
    (ballot.node.0, LearnerMsg::Chosen { ballot, slots })
}

fn fed(ballot: Ballot, slot: u64, entry: Entry) -> (u64, LearnerMsg) {
    (1, LearnerMsg::Voted { slot: Slot(slot), vote: Vote { ballot, entry } })
}

/// The sessions that the learner says it opened: each names the slot in which it was registered.
fn opened(out: &Output<SnapshotPiece>) -> Vec<u64> {
    let session = |mail: &Outgoing| match &mail.packet {
        Packet::Client(ClientMsg::Registered { nonce, session, .. }) => {
            assert_eq!(*nonce, session.slot.0, "the entry of another slot was applied");
            Some(session.slot.0)
        }
        _ => None,
    };
    out.mail.iter().filter_map(session).collect()
}

/// All that can be said of `n` slots: in 1.2 some votes that came to nothing, in 2.3 the others.
fn all(n: u64, lost: &[bool]) -> Vec<(u64, LearnerMsg)> {
    let (old, new) = (ballot(1, 2), ballot(2, 3));
    let mut all = Vec::new();
    for slot in 0..n {
        if lost[slot as usize] {
            all.push(fed(old, slot, in_vain(slot)));
        }
        all.push(fed(new, slot, chosen_at(slot)));
        all.push(counted(new, slots(0, slot + 1)));
    }
    all
}

proptest! {
    #![proptest_config(cases())]

    /// Invariant 8, R4: in whatever order and however often votes and counts come, slots are
    /// applied in a row, once each, and never what was voted for in vain.
    #[test]
    fn slots_are_applied_once_and_in_order(
        lost in proptest::collection::vec(any::<bool>(), 8),
        order in proptest::collection::vec(any::<Index>(), 0..60),
    ) {
        let all = all(8, &lost);
        let mut learner = learner(Limits::default());
        let mut applied = Vec::new();
        for (from, msg) in order.iter().map(|index| index.get(&all)).chain(&all) {
            applied.extend(opened(&learner.hear(*from, msg.clone())));
            prop_assert_eq!(learner.role.applied_below(), Slot(applied.len() as u64));
        }
        prop_assert_eq!(applied, (0..8).collect::<Vec<_>>());
    }

    /// R4: without a count in the ballot of the vote nothing is applied, whatever else is counted.
    #[test]
    fn votes_alone_are_no_choice(
        order in proptest::collection::vec((1..4u64, 0..5u64, any::<bool>()), 0..60),
    ) {
        let mut learner = learner(Limits::default());
        for (round, slot, is_vote) in order {
            // Votes are of odd rounds, counts of even ones.
            let (from, msg) = match is_vote {
                true => fed(ballot(2 * round + 1, 2), slot, in_vain(slot)),
                false => counted(ballot(2 * round, 2), slots(0, slot + 1)),
            };
            learner.hear(from, msg);
            prop_assert_eq!(learner.role.applied_below(), Slot(0));
        }
    }

    /// Fetched and fed, late and twice: both ways lead to the same state.
    #[test]
    fn what_is_fetched_and_what_is_fed_make_one_state(
        steps in proptest::collection::vec((any::<bool>(), 0..8u64, 1..8u64), 0..40),
    ) {
        let all = all(8, &[false; 8]);
        let entries = |from: u64, count: u64| LearnerMsg::Entries(Entries {
            from: Slot(from),
            entries: (from..(from + count).min(8)).map(chosen_at).collect(),
            chosen_below: Slot(8),
            trimmed: Slot(0),
        });
        let mut mixed = learner(Limits::default());
        for (is_fetched, at, count) in steps {
            let (from, msg) = match is_fetched {
                true => (2, entries(at, count)),
                false => all[(at * count) as usize % all.len()].clone(),
            };
            mixed.hear(from, msg);
        }
        mixed.hear(2, entries(0, 8));
        let mut straight = learner(Limits::default());
        for (from, msg) in all {
            straight.hear(from, msg);
        }
        let status = mixed.role.status();
        prop_assert_eq!(status.applied_below, Slot(8));
        prop_assert_eq!(status.digest, straight.role.status().digest);
    }

    /// Who is no member is not heard, whatever it says.
    #[test]
    fn strangers_choose_nothing(order in proptest::collection::vec(any::<Index>(), 1..40)) {
        let all = all(8, &[false; 8]);
        let mut learner = learner(Limits::default());
        let before = format!("{:#?}", learner.role);
        for (from, msg) in order.iter().map(|index| index.get(&all)) {
            let stranger = MemberId { incarnation: Incarnation(666), ..member(*from) };
            prop_assert_eq!(learner.hear_from(stranger, msg.clone()), silence());
        }
        prop_assert_eq!(format!("{:#?}", learner.role), before);
    }
}
