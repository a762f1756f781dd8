//! What goes wrong, and when.

use super::disk::Damage;
use super::node::Node;
use super::setup::{Ending, Shape};
use super::world::World;
use paxos_core::NodeId;
use std::collections::BTreeSet;

macro_rules! faults {
    ($($(#[$doc:meta])* $kind:ident,)*) => {
        /// What can go wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FaultKind {
            $($(#[$doc])* $kind,)*
        }

        impl FaultKind {
            /// All of them.
            pub const ALL: &[FaultKind] = &[$(FaultKind::$kind,)*];
        }
    };
}

faults! {
    /// A process is killed; what its machine has in its cache stays.
    Kill,
    /// A machine loses power, and what it had not synced.
    Crash,
    /// A machine loses power between two operations on its disk, or in the middle of one.
    MidWrite,
    /// All machines lose power at once.
    CrashAll,
    /// Processes start and are killed again, one after the other, many times.
    Storm,
    /// A process stands still, and its mail waits.
    Pause,
    /// A clock runs up to a tenth too slow or too fast.
    ClockDrift,
    /// A clock jumps ahead.
    ClockJump,
    /// A client is gone with what it had open, and another comes.
    ClientLost,
    /// One node cannot reach the others, nor they it.
    Isolate,
    /// The nodes fall into two halves.
    Halves,
    /// Two halves, and one node that reaches both.
    Bridge,
    /// One node cannot reach another, which can reach it.
    OneWay,
    /// One node hears nobody, and all hear it; or the other way round.
    HalfDeaf,
    /// Some pairs of nodes do not reach each other.
    Mesh,
    /// All nodes reach one node only.
    Star,
    /// All nodes reach one node only, and the leader nobody.
    Constrained,
    /// Nodes in a row, each of which reaches its neighbours.
    Chain,
    /// The leader reaches one of a connected majority only.
    StaleLeader,
    /// Some nodes go away, and come back one by one.
    Swizzle,
    /// Messages are lost.
    Loss,
    /// Messages arrive twice.
    Duplication,
    /// Messages arrive out of order.
    Reordering,
    /// All messages take long.
    Delay,
    /// Some links keep what they are given for a while.
    Clog,
    /// Links carry few bytes, one after the other, and drop what is too much. It does not heal.
    Narrow,
    /// A disk takes a hundred times as long.
    SlowDisk,
    /// A write fails.
    FailedWrite,
    /// A sync fails, and what it should have made durable may be lost.
    FailedSync,
    /// There is no room on a disk.
    FullDisk,
    /// One bit of what is durable in a log is another.
    BitFlip,
    /// A write to a log never arrived.
    LostWrite,
    /// A write to a log went elsewhere.
    Misdirected,
    /// One bit of a snapshot, complete or on its way, is another.
    SnapshotRot,
}

/// Makes one fault happen, of those that this run has; most end with the next change of weather, or
/// by themselves.
pub(super) fn strike(world: &mut World) {
    let kinds = world.setup.faults.len() as u64;
    let kind = world.setup.faults[world.rng.between(0, kinds) as usize];
    let n = world.nodes.len() as u64;
    let victim = world.rng.between(0, n) as usize;
    // Half of the time what was wrong with the network is over before the next fault begins.
    if world.rng.between(0, 2) == 0 {
        world.network.heal();
    }
    if world.rng.between(0, 4) == 0 {
        world.nodes.iter_mut().for_each(Node::heal_disks);
    }
    let fired = match kind {
        FaultKind::Kill | FaultKind::Crash | FaultKind::CrashAll => {
            strike_processes(world, kind, victim);
            true
        }
        // It counts when it comes to pass.
        FaultKind::MidWrite => {
            world.nodes[victim].crashes_in_write = true;
            false
        }
        FaultKind::Storm => {
            for _ in 0..world.rng.between(3, 12) {
                let after = world.rng.between(0, 1_500_000);
                let victim = world.rng.between(0, n) as usize;
                world.kill_later(victim, after);
            }
            true
        }
        FaultKind::Pause | FaultKind::ClockDrift | FaultKind::ClockJump => {
            strike_time(world, kind, victim);
            true
        }
        FaultKind::ClientLost => {
            world.lose_client();
            true
        }
        FaultKind::SlowDisk
        | FaultKind::FailedWrite
        | FaultKind::FailedSync
        | FaultKind::FullDisk
        | FaultKind::BitFlip
        | FaultKind::LostWrite
        | FaultKind::Misdirected
        | FaultKind::SnapshotRot => strike_disk(world, kind, victim),
        _ => strike_network(world, kind, victim),
    };
    if fired {
        *world.faults.entry(kind).or_insert(0) += 1;
        world.note(|| format!("FAULT {kind:?} at n{}", victim + 1));
    }
}

fn strike_processes(world: &mut World, kind: FaultKind, victim: usize) {
    match kind {
        FaultKind::Kill => world.kill(victim),
        FaultKind::Crash => world.crash(victim),
        _ => (0..world.nodes.len()).for_each(|i| world.crash(i)),
    }
}

fn strike_time(world: &mut World, kind: FaultKind, victim: usize) {
    let now = world.now;
    let timeout = world.setup.timing.election_timeout_us();
    match kind {
        FaultKind::Pause => {
            world.nodes[victim].paused_until = now + world.rng.between(50_000, 4 * timeout);
        }
        FaultKind::ClockDrift => {
            let rate = world.rng.between(900, 1101);
            world.nodes[victim].set_clock(now, rate, 0);
        }
        _ => {
            let jump = world.rng.between(0, 10 * timeout);
            let rate = world.nodes[victim].clock_rate;
            world.nodes[victim].set_clock(now, rate, jump);
        }
    }
}

fn strike_disk(world: &mut World, kind: FaultKind, victim: usize) -> bool {
    let on_log = world.rng.between(0, 2) == 0;
    let node = &world.nodes[victim];
    let roles = world.setup.layout.roles(node.me.node);
    let disk = match (on_log, roles.acceptor, roles.learner) {
        (true, true, _) => node.log_disk.clone(),
        (false, _, true) => node.snapshot_disk.clone(),
        // Nothing is kept there.
        _ => return false,
    };
    let damage = match kind {
        FaultKind::BitFlip => Damage::Flip,
        FaultKind::LostWrite => Damage::Lost,
        FaultKind::Misdirected => Damage::Misdirected,
        FaultKind::SlowDisk => {
            world.nodes[victim].is_slow = true;
            return true;
        }
        FaultKind::FailedWrite => {
            disk.memory.fail_writes(true);
            return true;
        }
        FaultKind::FailedSync => {
            disk.memory.fail_syncs(true);
            return true;
        }
        FaultKind::FullDisk => {
            disk.memory.limit(Some(disk.used()));
            return true;
        }
        _ => return world.rot_snapshot(victim),
    };
    world.spoil_log(victim, damage)
}

/// Says whether something is now wrong that was not before.
fn strike_network(world: &mut World, kind: FaultKind, victim: usize) -> bool {
    let n = world.nodes.len();
    let half = world.rng.next_u64();
    let other = world.rng.between(0, n as u64) as usize;
    let timeout = world.setup.timing.election_timeout_us();
    let now = world.now;
    match kind {
        FaultKind::Loss => world.network.loss = world.rng.between(10, 301),
        FaultKind::Duplication => world.network.duplication = world.rng.between(10, 501),
        FaultKind::Reordering => world.network.straggling = world.rng.between(10, 300),
        FaultKind::Delay => world.network.delay_us = world.rng.between(0, timeout / 3),
        FaultKind::Narrow => {
            // A promise must pass a link in an election timeout, whatever that is.
            let rate = [40, 80, 160, 320][world.rng.between(0, 4) as usize];
            world.network.rate = Some(rate * 300_000 / timeout);
        }
        FaultKind::Clog => {
            let until = now + world.rng.between(10_000, 4 * timeout);
            let links = pairs(n).filter(|&(i, j)| half >> ((i * 7 + j) % 64) & 1 == 0);
            world.network.clogged_until = links.map(|(i, j)| ((id(i), id(j)), until)).collect();
            return !world.network.clogged_until.is_empty();
        }
        FaultKind::Swizzle => {
            for i in (0..n).filter(|i| half >> i & 1 == 0) {
                let until = now + world.rng.between(10_000, 6 * timeout);
                world.network.away_until.insert(id(i), until);
            }
            return !world.network.away_until.is_empty();
        }
        FaultKind::Isolate => return cut(world, |i, j| (i == victim) != (j == victim)),
        FaultKind::Halves => return cut(world, |i, j| half >> i & 1 != half >> j & 1),
        FaultKind::Bridge => {
            let differ = |i: usize, j: usize| half >> i & 1 != half >> j & 1;
            return cut(world, |i, j| i != victim && j != victim && differ(i, j));
        }
        FaultKind::OneWay => return cut(world, |i, j| i == victim && j == other),
        FaultKind::HalfDeaf if half & 1 == 0 => return cut(world, |i, _| i == victim),
        FaultKind::HalfDeaf => return cut(world, |_, j| j == victim),
        FaultKind::Mesh => return cut(world, |i, j| half >> ((i * 5 + j) % 64) & 3 == 0),
        FaultKind::Chain => return cut(world, |i, j| i.abs_diff(j) > 1),
        FaultKind::Star => return shape(world, Shape::Star, victim),
        FaultKind::Constrained => return shape(world, Shape::Constrained, victim),
        _ => return shape(world, Shape::StaleLeader, victim),
    }
    true
}

/// Says whether there are enough nodes for it to cut anything.
fn shape(world: &mut World, shape: Shape, middle: usize) -> bool {
    let nodes: BTreeSet<NodeId> = world.nodes.iter().map(|node| node.me.node).collect();
    let leader = world.leader().unwrap_or(nodes.len() - 1 - middle);
    let middle = if leader == middle { (middle + 1) % nodes.len() } else { middle };
    let before = world.network.cut.len();
    world.network.shape(shape, &nodes, id(leader), id(middle));
    world.network.cut.len() > before
}

/// Ends all faults, but those that the ending keeps and links that are narrow; who is down, and not
/// for ever, starts again. Gives back the nodes that must go on.
pub(super) fn heal(world: &mut World) -> BTreeSet<NodeId> {
    let leader = world.leader();
    world.network.heal();
    let now = world.now;
    for node in &mut world.nodes {
        node.heal_disks();
        node.paused_until = 0;
        node.is_down = false;
        let rate = node.clock_rate.clamp(990, 1010);
        node.set_clock(now, rate, 0);
    }
    // Only a start shows whose log is damaged.
    for i in 0..world.nodes.len() {
        world.start(i);
    }
    let all: BTreeSet<NodeId> = world.nodes.iter().map(|node| node.me.node).collect();
    let unhurt = all.iter().copied().filter(|node| !world.nodes[at(*node)].is_halted).collect();
    let whole = unhurt == all && world.is_formed();
    let able = match world.setup.ending {
        Ending::QuorumOthersDown | Ending::QuorumOthersCut if world.is_formed() => {
            let able = world.some_quorum(unhurt);
            for node in all.difference(&able) {
                match world.setup.ending {
                    Ending::QuorumOthersDown => {
                        world.kill(at(*node));
                        world.nodes[at(*node)].is_down = true;
                    }
                    _ => drop(world.network.away_until.insert(*node, u64::MAX)),
                }
            }
            able
        }
        Ending::Partial(shape) if whole => {
            let leader = leader.unwrap_or(0);
            let middle =
                (leader + 1 + world.rng.between(0, all.len() as u64 - 1) as usize) % all.len();
            world.network.shape(shape, &all, id(leader), id(middle))
        }
        _ => {
            world.setup.ending = Ending::All;
            unhurt
        }
    };
    world.note(|| format!("HEAL: {able:?} can go on"));
    able
}

fn id(i: usize) -> NodeId {
    NodeId(i as u64 + 1)
}

fn at(node: NodeId) -> usize {
    node.0 as usize - 1
}

fn pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |i| (0..n).map(move |j| (i, j)))
}

fn cut(world: &mut World, is_cut: impl Fn(usize, usize) -> bool) -> bool {
    let before = world.network.cut.len();
    let links = pairs(world.nodes.len()).filter(|&(i, j)| i != j && is_cut(i, j));
    world.network.cut.extend(links.map(|(i, j)| (id(i), id(j))));
    world.network.cut.len() > before
}
