//! What a seed decides before anything happens: who takes part, how it is timed and bounded, what
//! clients do, which faults there are, and how it ends.

use super::faults::FaultKind;
use paxos_core::rng::Rng;
use paxos_core::{Feed, Layout, Limits, NodeId, Quorums, SessionRules, Timing};

/// One run, drawn from its seed. Each part is drawn from a few values that lie far apart, so that
/// runs differ in kind (swarm testing: Groce et al., 2012).
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub layout: Layout,
    pub timing: Timing,
    pub limits: Limits,
    /// Bytes of a segment of the log.
    pub segment_bytes: u32,
    /// What reaches a node within such a time, in microseconds, its roles take in one turn; 0: each
    /// message is a turn by itself.
    pub turn_us: u64,
    pub work: Work,
    /// The faults that this run has.
    pub faults: Vec<FaultKind>,
    /// From one fault to the next, in microseconds, at most.
    pub fault_pause_us: u64,
    /// How long faults go on, in microseconds.
    pub storm_us: u64,
    pub ending: Ending,
}

/// What clients do.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub clients: u64,
    /// Calls that one client has open, at most.
    pub open_max: usize,
    pub keys: u64,
    /// From one call to the next, in microseconds, on average.
    pub pause_us: u64,
    /// Bytes that some values have.
    pub bulk: usize,
}

/// What heals in the end, and what stays as it is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Everything.
    All,
    /// A quorum; the other nodes are down.
    QuorumOthersDown,
    /// A quorum; the other nodes run and cannot be reached.
    QuorumOthersCut,
    /// Links, but for those that such a shape has not.
    Partial(Shape),
}

/// A network in which not all pairs of nodes can talk, although some leader could do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// All nodes but one reach only that one: OmniPaxos calls it the loss of a quorum, and a chain
    /// where there are three.
    Star,
    /// As a star, and the last leader is cut off: a constrained election.
    Constrained,
    /// The last leader reaches one of a connected majority only; another node reaches nobody.
    StaleLeader,
}

impl Setup {
    pub fn draw(rng: &mut Rng) -> Setup {
        let layout = draw_layout(rng);
        let pick =
            |rng: &mut Rng, values: &[u64]| values[rng.between(0, values.len() as u64) as usize];
        let (heartbeat_ms, timeout_ms) =
            [(50, 300), (50, 300), (100, 500), (25, 100)][rng.between(0, 4) as usize];
        let timing = Timing::new(heartbeat_ms, timeout_ms).expect("sound timing");
        let limits = Limits {
            part_bytes_max: pick(rng, &[200, 2_000, 2 << 20]) as usize,
            entry_bytes_max: pick(rng, &[100, 1_000, 2_000]) as usize,
            fed_slots_max: pick(rng, &[2, 64, 4096]),
            flight_bytes_max: pick(rng, &[4_000, 64_000]) as usize,
            queue_bytes_max: pick(rng, &[400, 2_000, 64 << 20]) as usize,
            reads_max: pick(rng, &[2, 65_536]) as usize,
            fed_bytes_max: pick(rng, &[100, 64 << 20]) as usize,
            snapshot_log_bytes: pick(rng, &[1_000, 8_000, 64_000, 1 << 20]),
            ..Limits::default()
        };
        let work = Work {
            clients: rng.between(1, 6),
            open_max: pick(rng, &[1, 1, 3, 10]) as usize,
            keys: pick(rng, &[1, 4, 16]),
            pause_us: pick(rng, &[5_000, 20_000, 50_000, 100_000]),
            bulk: pick(rng, &[0, 0, 200, 800]) as usize,
        };
        let ending = draw_ending(&layout, rng);
        Setup {
            timing,
            limits,
            segment_bytes: pick(rng, &[4096, 8192, 65_536]) as u32,
            work,
            faults: draw_faults(rng),
            fault_pause_us: pick(rng, &[100_000, 300_000, 1_000_000]),
            turn_us: pick(rng, &[0, 100, 2_000]),
            storm_us: 60_000_000,
            ending,
            layout,
        }
    }

    /// A run without faults, for figures: a hundred calls a second.
    pub fn calm(nodes: u64) -> Setup {
        let ids: Vec<NodeId> = (1..=nodes).map(NodeId).collect();
        Setup {
            layout: Layout::full(&ids).expect("a sound layout"),
            timing: Timing::default(),
            limits: Limits::default(),
            segment_bytes: 65_536,
            turn_us: 0,
            work: Work { clients: 4, open_max: 10, keys: 16, pause_us: 10_000, bulk: 0 },
            faults: Vec::new(),
            fault_pause_us: u64::MAX / 4,
            storm_us: 60_000_000,
            ending: Ending::All,
        }
    }
}

fn draw_faults(rng: &mut Rng) -> Vec<FaultKind> {
    let density = [1, 2, 4][rng.between(0, 3) as usize];
    let mut faults = FaultKind::ALL.to_vec();
    faults.retain(|_| rng.between(0, 4) < density);
    if faults.is_empty() {
        faults.push(FaultKind::ALL[rng.between(0, FaultKind::ALL.len() as u64) as usize]);
    }
    faults
}

fn draw_ending(layout: &Layout, rng: &mut Rng) -> Ending {
    let n = layout.acceptors.len();
    let is_full = layout.nodes().len() == n;
    let is_majority = Quorums::majority(n).is_ok_and(|majority| majority == layout.quorums);
    let shapes: &[Shape] = match (is_full && is_majority, n) {
        (true, 3) => &[Shape::Star],
        (true, 5) => &[Shape::Star, Shape::Constrained, Shape::StaleLeader],
        _ => &[],
    };
    match rng.between(0, 8) {
        0..4 => Ending::All,
        4 => Ending::QuorumOthersDown,
        5 => Ending::QuorumOthersCut,
        _ if shapes.is_empty() => Ending::All,
        _ => Ending::Partial(shapes[rng.between(0, shapes.len() as u64) as usize]),
    }
}

fn draw_layout(rng: &mut Rng) -> Layout {
    let mut layout = match rng.between(0, 20) {
        0 | 1 => apart(),
        2 | 3 => mixed(),
        4 => grid(),
        roll => full([1, 2, 3, 3, 3, 3, 3, 3, 4, 5, 5, 5, 5, 5, 7][roll as usize - 5]),
    };
    layout.window = [1, 2, 4, 16][rng.between(0, 4) as usize];
    if layout.acceptors.len() == 5 && rng.between(0, 4) == 0 {
        layout.quorums = Quorums::sizes(5, 4, 2).expect("they meet");
    }
    layout.sessions = SessionRules {
        ttl_ms: [2_000, 60_000][rng.between(0, 2) as usize],
        sessions_max: [6, 100_000][rng.between(0, 2) as usize],
        window: [2, 1024][rng.between(0, 2) as usize],
    };
    layout.check().expect("a sound layout");
    layout
}

fn full(n: u64) -> Layout {
    Layout::full(&(1..=n).map(NodeId).collect::<Vec<_>>()).expect("a sound layout")
}

/// Two rows of three: a row promises, a column chooses.
fn grid() -> Layout {
    Layout { quorums: Quorums::grid(2, 3).expect("they meet"), ..full(6) }
}

/// Three acceptors, two proposers, two learners: seven processes.
fn apart() -> Layout {
    let ids = |ids: &[u64]| ids.iter().copied().map(NodeId).collect::<Vec<_>>();
    Layout {
        acceptors: ids(&[1, 2, 3]),
        proposers: ids(&[4, 5]),
        learners: vec![feed(6, 1), feed(7, 2)],
        ..full(3)
    }
}

/// Three nodes with all roles, two that only vote, one that only learns.
fn mixed() -> Layout {
    let mut layout = full(3);
    layout.acceptors.extend([NodeId(4), NodeId(5)]);
    layout.learners.push(feed(6, 4));
    layout.quorums = Quorums::majority(5).expect("they meet");
    layout
}

fn feed(learner: u64, acceptor: u64) -> Feed {
    Feed { learner: NodeId(learner), acceptor: NodeId(acceptor) }
}
