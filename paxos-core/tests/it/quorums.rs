//! Invariant 7, exhaustively: every phase-1 quorum meets every phase-2 quorum.

use paxos_core::Quorums;
use paxos_core::quorum::AcceptorSet;

/// Whether the quorums of a small system meet: where any do not, a set that contains a phase-1
/// quorum has a complement that contains a phase-2 quorum.
fn check(quorums: Quorums) {
    let all: AcceptorSet = (1 << quorums.acceptors()) - 1;
    assert!(quorums.phase1(all) && quorums.phase2(all), "{quorums:?}: all are a quorum");
    let mut smallest = quorums.acceptors();
    for set in 0..=all {
        let apart = quorums.phase1(set) && quorums.phase2(all & !set);
        assert!(!apart, "{quorums:?}: {set:b} promises, and the others choose");
        if quorums.phase2(set) {
            smallest = smallest.min(set.count_ones() as usize);
        }
        // Who is no acceptor adds nothing.
        assert_eq!(quorums.phase1(set), quorums.phase1(set | !all));
        assert_eq!(quorums.phase2(set), quorums.phase2(set | !all));
    }
    assert_eq!(quorums.phase2_min(), smallest, "{quorums:?}");
}

#[test]
fn i07_every_row_of_a_grid_meets_every_column() {
    for rows in 1..=4 {
        for columns in 1..=4 {
            check(Quorums::grid(rows, columns).unwrap());
        }
    }
    let grid = Quorums::grid(2, 3).unwrap();
    // Acceptors 0, 1, 2 are the first row, 0 and 3 the first column.
    assert!(grid.phase1(0b000_111) && grid.phase1(0b111_000) && grid.phase2(0b001_001));
    assert!(!grid.phase1(0b001_011) && !grid.phase2(0b100_011));
    assert!(Quorums::grid(0, 3).is_err() && Quorums::grid(4, 8).is_err());
}

#[test]
fn i07_sizes_meet_or_are_refused() {
    for acceptors in 1..=6 {
        for phase1 in 1..=acceptors {
            for phase2 in 1..=acceptors {
                match Quorums::sizes(acceptors, phase1, phase2) {
                    Ok(quorums) => check(quorums),
                    Err(_) => assert!(phase1 + phase2 <= acceptors, "{phase1} {phase2}"),
                }
            }
        }
    }
}
