//! Bugs on demand: the test that is named for each must fail when it is there.
//!
//! ```text
//! RUSTFLAGS="--cfg paxos_planted" CARGO_TARGET_DIR=target/planted \
//!     cargo test -p paxos-core --test it planted
//! ```

use crate::{rules, tables};
use paxos_core::planted::{Planted, plant};
use std::panic::catch_unwind;

macro_rules! directed {
    ($($bug:ident: $test:path,)*) => {
        /// Each bug with the name of its test, and the test.
        const DIRECTED: &[(Planted, &str, fn())] =
            &[$((Planted::$bug, stringify!($test), $test),)*];
    };
}

directed! {
    ToldBeforeDurable: rules::votes::r02_a_vote_is_told_when_it_is_durable,
    VoteToldBeforeDurable: rules::votes::r02_a_vote_is_told_when_it_is_durable,
    BallotReuse: rules::votes::r01_a_restarted_proposer_has_other_ballots,
    VoteCountedTwice: tables::proposer::votes_count_once_per_member_ballot_and_slot,
    BallotsMixed: tables::proposer::votes_count_once_per_member_ballot_and_slot,
    OwnValue: tables::proposer::new_leader_proposes_the_highest_votes_and_fills_holes,
    StalePromise: rules::promises::r06_parts_of_two_ballots_do_not_mix,
    GapNotFilled: tables::proposer::new_leader_proposes_the_highest_votes_and_fills_holes,
    AdoptedUnread: rules::reads::r12_the_index_is_not_below_what_was_adopted,
    ExpiredTakenAsNew: tables::session::absent_session_is_expired_and_never_new,
    ReadUnconfirmed: rules::reads::r12_a_deposed_leader_answers_no_read,
    ReadJoinsSentRound: rules::reads::r12_a_read_does_not_join_a_round_under_way,
    SnapshotOverNewer: rules::snapshots::invariant_10_a_snapshot_never_replaces_newer_state,
    SnapshotWithoutSessions:
        rules::snapshots::invariant_10_a_snapshot_carries_sessions_and_configuration,
    TrimmedUncovered: rules::snapshots::r26_an_acceptor_waits_for_the_learner_beside_it,
    KeepsLeading: rules::leadership::r10_a_leader_without_a_quorum_steps_down_in_silence,
    PollIgnoresLeader: rules::elections::r09_an_acceptor_that_hears_a_leader_welcomes_nobody_else,
    FlightUnbounded: rules::large::bytes_under_way_are_bounded_by_what_comes_back_in_time,
    UnknownCalledNotApplied: tables::client::write_is_sent_again_elsewhere_until_its_time_is_up,
    FedOfAnotherBallot: rules::chosen::r04_a_vote_of_another_ballot_is_not_applied,
    ForgetfulCounted: rules::promises::r06_a_quorum_without_who_has_forgotten_is_waited_for,
    PartTakenForPromise: rules::promises::r06_a_promise_counts_when_all_its_parts_are_there,
    ChosenOfAnotherBallot: rules::chosen::r08_chosen_reaches_as_far_as_the_votes_of_its_ballot,
    CoveredByTooFew: rules::separate::r26_an_acceptor_that_only_votes_waits_for_a_quorum_of_disks,
    VoteBelowPromise: tables::acceptor::accept_is_voted_for_at_or_above_the_promise,
}

/// What clusters hardly ever show would be found by nothing else.
#[test]
fn planted_bugs_that_are_rare_have_a_test_of_their_own() {
    for rare in Planted::RARE {
        let is_named = DIRECTED.iter().any(|&(bug, ..)| bug == rare);
        assert!(is_named, "{rare:?} is rare, and no test is named for it");
        assert!(Planted::RULES.contains(&rare), "{rare:?} is none of the rules");
    }
}

#[test]
fn planted_bugs_fail_the_tests_that_are_named_for_them() {
    for &(bug, name, test) in DIRECTED {
        plant(Some(bug));
        let found = catch_unwind(test).is_err();
        plant(None);
        assert!(found, "{bug:?} is not found by {name}");
        println!("{:>3} {bug:?}: found by {name}", bug as u32);
    }
}
