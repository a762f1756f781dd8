//! Any sequence of messages that a link would let through, to the roles of one node.
//!
//! What members are trusted with: they are who they say they are (the handshake sees to that), and
//! are not more than the layout has. Whatever they say otherwise, in any order, no role panics, no
//! promise falls, and what is chosen below only grows.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use paxos_actors::codec;
use paxos_core::*;
use paxos_net::validate::validate;

struct Values(Vec<Bytes>);

impl StateMachine for Values {
    fn apply(&mut self, _: Applied, command: &Bytes) -> Bytes {
        self.0.push(command.clone());
        command.clone()
    }
    fn query(&self, query: &Bytes) -> Bytes {
        query.clone()
    }
    fn digest(&self) -> u64 {
        self.0.len() as u64
    }
    fn snapshot(&self) -> SnapshotParts {
        Box::new(self.0.clone().into_iter())
    }
    fn restore(&mut self, part: &Bytes) -> Result<(), Unrestorable> {
        self.0.push(part.clone());
        Ok(())
    }
}

struct Node {
    now: Now,
    acceptor: Acceptor,
    proposer: Proposer,
    learner: Learner<Values>,
    /// Mail of this node to itself.
    own: Vec<Packet>,
}

fn member(node: u64) -> MemberId {
    MemberId { node: NodeId(node), incarnation: Incarnation(100 * node) }
}

impl Node {
    fn new(is_formed: bool) -> Node {
        let layout = Layout::full(&[1, 2, 3].map(NodeId)).expect("three nodes");
        let (me, timing, limits) = (member(1), Timing::default(), Limits::default());
        let (life, seed) = (9, 5);
        let (learner, proposer) = (me.node, me.node);
        let options = AcceptorOptions { me, layout: layout.clone(), timing, limits };
        let mut acceptor = Acceptor::new(options);
        let roster = layout.roster(|node| Some(member(node.0).incarnation)).expect("all known");
        let mut own = Vec::new();
        if is_formed {
            acceptor.replay(Record::Roster(Box::new(roster.clone())));
            acceptor.replay(Record::Formed);
            own.push(ProposerMsg::Roster(Box::new(roster.clone())).into());
            own.push(LearnerMsg::Roster(Box::new(roster)).into());
        }
        let options =
            ProposerOptions { me, life, seed, learner, layout: layout.clone(), timing, limits };
        let proposer_role = Proposer::new(options);
        let options = LearnerOptions { me, life, proposer, layout, timing, limits };
        let learner = Learner::new(options, Values(Vec::new()));
        Node { now: Now(1), acceptor, proposer: proposer_role, learner, own }
    }

    fn receive(&mut self, from: MemberId, packet: Packet) {
        let promised = self.acceptor.status().promised;
        let chosen = self.acceptor.status().chosen_below;
        match packet {
            Packet::Acceptor(msg) => {
                let mut out = Output::new();
                self.acceptor.receive(self.now, from, msg, &mut out);
                self.keep(out);
            }
            Packet::Proposer(msg) => {
                let mut out = Output::new();
                self.proposer.receive(self.now, from, msg, &mut out);
                self.proposer.flush(self.now, &mut out);
                self.keep(out);
            }
            Packet::Learner(msg) => {
                let mut out = Output::new();
                self.learner.receive(self.now, from, msg, &mut out);
                self.keep(out);
            }
            Packet::Client(_) => {}
        }
        assert!(self.acceptor.status().promised >= promised, "a promise fell");
        assert!(self.acceptor.status().chosen_below >= chosen, "less is chosen");
    }

    fn tick(&mut self, after_ms: u64) {
        self.now = Now(self.now.0 + 1000 * after_ms);
        let mut out = Output::new();
        self.acceptor.tick(self.now, &mut out);
        self.keep(out);
        let mut out = Output::new();
        self.proposer.tick(self.now, &mut out);
        self.keep(out);
        let mut out = Output::new();
        self.learner.tick(self.now, &mut out);
        self.keep(out);
    }

    fn keep<R>(&mut self, out: Output<R>) {
        let own = out.mail.into_iter().chain(out.feed).filter(|mail| mail.to == NodeId(1));
        let room = 64usize.saturating_sub(self.own.len());
        self.own.extend(own.map(|mail| mail.packet).take(room));
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((how, mut data)) = data.split_first() else { return };
    let mut node = Node::new(how & 1 == 1);
    for _ in 0..200 {
        let [step, length, rest @ ..] = data else { return };
        match step % 6 {
            0 => {
                node.tick(u64::from(*length) * 4);
                data = rest;
            }
            1 => {
                for packet in std::mem::take(&mut node.own) {
                    node.receive(member(1), packet);
                }
                data = rest;
            }
            from => {
                let (bytes, rest) = rest.split_at(rest.len().min(usize::from(*length)));
                data = rest;
                let Ok((_, packet)) = codec::decode::<(NodeId, Packet)>(bytes) else { continue };
                if validate(&packet).is_ok() {
                    node.receive(member(u64::from(from) % 3 + 1), packet);
                }
            }
        }
    }
});
