//! What goes wrong, and when.

use super::world::World;
use paxos_core::NodeId;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// A node loses power, and what it had not synced.
    Crash,
    /// All nodes lose power at once.
    CrashAll,
    /// One node cannot reach the others, nor they it.
    Isolate,
    /// The nodes fall into two halves.
    Halves,
    /// One node cannot reach another, which can reach it.
    OneWay,
    /// Some node is out of contact with a random part of the others.
    Mesh,
    /// Messages are lost.
    Loss,
    /// Messages arrive twice.
    Duplication,
    /// Messages arrive out of order.
    Reordering,
    /// A disk takes a hundred times as long.
    SlowDisk,
    /// A process stands still, and its mail waits.
    Pause,
    /// Links carry few bytes, one after the other, and drop what is too much. It does not heal.
    Narrow,
}

impl FaultKind {
    pub const ALL: [FaultKind; 12] = [
        FaultKind::Crash,
        FaultKind::CrashAll,
        FaultKind::Isolate,
        FaultKind::Halves,
        FaultKind::OneWay,
        FaultKind::Mesh,
        FaultKind::Loss,
        FaultKind::Duplication,
        FaultKind::Reordering,
        FaultKind::SlowDisk,
        FaultKind::Pause,
        FaultKind::Narrow,
    ];
}

/// Makes one fault happen; most end with the next change of weather, or by themselves.
pub fn strike(world: &mut World) {
    let n = world.nodes.len() as u64;
    let roll = world.rng.between(0, 100);
    let victim = world.rng.between(0, n) as usize;
    let kind = match roll {
        0..23 => FaultKind::Crash,
        23..25 => FaultKind::Narrow,
        25..29 => FaultKind::CrashAll,
        29..40 => FaultKind::Isolate,
        40..48 => FaultKind::Halves,
        48..56 => FaultKind::OneWay,
        56..64 => FaultKind::Mesh,
        64..72 => FaultKind::Loss,
        72..79 => FaultKind::Duplication,
        79..86 => FaultKind::Reordering,
        86..93 => FaultKind::SlowDisk,
        _ => FaultKind::Pause,
    };
    // Half of the time the last fault of the network is over before the next begins.
    if world.rng.between(0, 2) == 0 {
        world.network.cut.clear();
    }
    match kind {
        FaultKind::Crash => world.crash(victim),
        FaultKind::CrashAll => (0..world.nodes.len()).for_each(|i| world.crash(i)),
        FaultKind::Loss => world.network.loss = world.rng.between(10, 300),
        FaultKind::Duplication => world.network.duplication = world.rng.between(10, 500),
        FaultKind::Reordering => world.network.straggling = world.rng.between(10, 300),
        FaultKind::SlowDisk => {
            world.nodes[victim].disk.slow = true;
            world.nodes[victim].shelf.slow = true;
        }
        FaultKind::Pause => {
            let until = world.now + world.rng.between(50_000, 1_000_000);
            world.nodes[victim].paused_until = until;
        }
        FaultKind::Narrow => {
            world.network.rate = [40, 80, 160, 320].get(world.rng.between(0, 5) as usize).copied();
        }
        FaultKind::Isolate => cut(world, |i, j| (i == victim) != (j == victim)),
        FaultKind::Halves => {
            let half = world.rng.next_u64();
            cut(world, |i, j| half >> i & 1 != half >> j & 1);
        }
        FaultKind::OneWay => {
            let other = world.rng.between(0, n) as usize;
            cut(world, |i, j| i == victim && j == other);
        }
        FaultKind::Mesh => {
            let links = world.rng.next_u64();
            cut(world, |i, j| i != j && links >> ((i * 5 + j) % 64) & 3 == 0);
        }
    }
    *world.faults.entry(kind).or_insert(0) += 1;
    world.note(|| format!("FAULT {kind:?} at n{}", victim + 1));
}

/// Ends all faults, but links that are narrow stay so; who is down starts again.
pub fn heal(world: &mut World) {
    world.network.heal();
    for i in 0..world.nodes.len() {
        world.nodes[i].disk.slow = false;
        world.nodes[i].shelf.slow = false;
        world.nodes[i].paused_until = 0;
        world.start(i);
    }
    world.note(|| "HEAL".into());
}

fn cut(world: &mut World, is_cut: impl Fn(usize, usize) -> bool) {
    let n = world.nodes.len();
    for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
        if is_cut(i, j) {
            world.network.cut.insert((NodeId(i as u64 + 1), NodeId(j as u64 + 1)));
        }
    }
}
