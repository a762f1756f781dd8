//! What a bridge counts.

use crate::hello::Refusal;
use paxos_actors::latency::Latency;
use paxos_core::NodeId;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counts {
    ($($(#[$doc:meta])* $variant:ident $name:literal)*) => {
        /// The things counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Count {
            $($(#[$doc])* $variant,)*
        }

        const NAMES: &[&str] = &[$($name),*];
    };
}

counts! {
    /// Frames of mail put into an outbound queue.
    FramesOut "frames_out"
    /// Bytes written to peers.
    BytesOut "bytes_out"
    /// Writes, of many frames each.
    WritesOut "writes_out"
    /// Frames of mail that arrived intact and in order.
    FramesIn "frames_in"
    /// Bytes read from peers.
    BytesIn "bytes_in"
    /// Mail dropped because the outbound queue was full.
    DroppedFull "dropped_full"
    /// Mail dropped because its peer was not connected.
    DroppedNotConnected "dropped_not_connected"
    /// Mail dropped because it does not fit a frame.
    DroppedTooLong "dropped_too_long"
    /// Frames skipped because they had been received before.
    FramesRepeated "frames_repeated"
    /// Connections cut because a frame was missing or out of order.
    FramesReordered "frames_reordered"
    /// Connections replaced by a newer one of the same node, or let in after it: what they still
    /// carried is stale.
    ConnectionsStale "connections_stale"
    /// Times that two processes were seen, and said, to run with one identity.
    Twins "twins"
    /// Mail dropped because it was for another node.
    FramesMisdirected "frames_misdirected"
    /// Connections cut because of bytes that are no frame.
    FramesGarbage "frames_garbage"
    /// Connections cut because of a message that no sound node sends.
    FramesUnsound "frames_unsound"
    /// Connections made to peers.
    Connects "connects"
    /// Connections made to peers after the first to the same one.
    Reconnects "reconnects"
    /// Connections, either way, cut because the other end fell silent or took no bytes.
    TimedOut "timed_out"
    /// Handshakes that were no handshake.
    HandshakeGarbage "handshake_garbage"
    /// Handshakes that took too long.
    HandshakeTimedOut "handshake_timed_out"
    /// Connections closed at once, or before their handshake ended, because there were too many.
    ConnectionsExcess "connections_excess"
    /// Peers refused: no common version.
    RefusedVersion "refused_version"
    /// Peers refused: this node's own id.
    RefusedSameNode "refused_same_node"
    /// Peers refused: they wanted another node.
    RefusedWrongNode "refused_wrong_node"
    /// Peers refused: not in the list of peers.
    RefusedUnknownNode "refused_unknown_node"
    /// Peers refused: another cluster.
    RefusedWrongCluster "refused_wrong_cluster"
    /// Peers refused: another incarnation is the member.
    RefusedNotAMember "refused_not_a_member"
    /// Peers refused: a handshake made for another connection.
    RefusedReplayed "refused_replayed"
    /// Peers refused: they were told another layout.
    RefusedOtherLayout "refused_other_layout"
    /// Refusals that peers gave to this node.
    RefusedByPeer "refused_by_peer"
}

/// Counters that only grow.
#[derive(Debug)]
pub struct Counters([AtomicU64; NAMES.len()]);

impl Counters {
    /// All at 0.
    pub fn new() -> Counters {
        Counters([const { AtomicU64::new(0) }; NAMES.len()])
    }

    /// Adds to one and gives its new value.
    pub fn add(&self, what: Count, n: u64) -> u64 {
        self.0[what as usize].fetch_add(n, Ordering::Relaxed) + n
    }

    /// One of them.
    pub fn get(&self, what: Count) -> u64 {
        self.0[what as usize].load(Ordering::Relaxed)
    }

    /// All of them, by name.
    pub fn read(&self) -> BTreeMap<&'static str, u64> {
        let values = self.0.iter().map(|counter| counter.load(Ordering::Relaxed));
        NAMES.iter().copied().zip(values).collect()
    }
}

impl Default for Counters {
    fn default() -> Counters {
        Counters::new()
    }
}

/// How long it takes until each peer answers a ping. A ping waits behind mail, as mail does.
#[derive(Debug)]
pub struct RoundTrips(BTreeMap<NodeId, Latency>);

impl RoundTrips {
    pub(crate) fn new(peers: impl Iterator<Item = NodeId>) -> RoundTrips {
        RoundTrips(peers.map(|node| (node, Latency::default())).collect())
    }

    /// Of one peer.
    pub fn of(&self, node: NodeId) -> Option<&Latency> {
        self.0.get(&node)
    }

    /// Of every peer.
    pub fn each(&self) -> impl Iterator<Item = (NodeId, &Latency)> {
        self.0.iter().map(|(&node, latency)| (node, latency))
    }
}

impl From<Refusal> for Count {
    fn from(refusal: Refusal) -> Count {
        match refusal {
            Refusal::Version { .. } => Count::RefusedVersion,
            Refusal::SameNode => Count::RefusedSameNode,
            Refusal::WrongNode { .. } => Count::RefusedWrongNode,
            Refusal::UnknownNode => Count::RefusedUnknownNode,
            Refusal::WrongCluster { .. } => Count::RefusedWrongCluster,
            Refusal::NotAMember { .. } => Count::RefusedNotAMember,
            Refusal::Replayed => Count::RefusedReplayed,
            Refusal::OtherLayout => Count::RefusedOtherLayout,
        }
    }
}
