//! A learner that only notes what it applies.

use super::proposer::session;
use super::{Event, FAR_US, Machine, View, letters};
use crate::bounds::Bounds;
use crate::letter::Letter;
use bytes::Bytes;
use paxos_core::*;

/// What a learner applied, in order.
#[derive(Debug, Default)]
struct Journal(Vec<(Slot, Bytes)>);

impl StateMachine for Journal {
    fn apply(&mut self, at: Applied, command: &Bytes) -> Bytes {
        self.0.push((at.slot, command.clone()));
        command.clone()
    }

    fn query(&self, query: &Bytes) -> Bytes {
        query.clone()
    }

    fn digest(&self) -> u64 {
        self.0.len() as u64
    }

    fn snapshot(&self) -> SnapshotParts {
        Box::new(std::iter::empty())
    }

    fn restore(&mut self, _: &Bytes) -> Result<(), Unrestorable> {
        Ok(())
    }
}

/// A learner, with a session open for each proposer's clients.
pub(super) struct LearnerMachine {
    learner: Learner<Journal>,
    clock: Now,
    view: View,
}

impl LearnerMachine {
    pub(super) fn new(bounds: &Bounds, node: NodeId) -> LearnerMachine {
        let options = LearnerOptions {
            me: bounds.member(node),
            life: 1,
            proposer: bounds.layout().proposer_of(node).unwrap_or_default(),
            layout: bounds.layout(),
            timing: Timing::default(),
            limits: bounds.limits(),
        };
        let mut learner = Learner::new(options, Journal::default());
        let (below, log_time_ms) = (Slot::ZERO, 0);
        let configuration = bounds.roster();
        let open = |&node: &NodeId| SessionState {
            id: session(node),
            expires_ms: SessionRules::default().ttl_ms,
            acked_below: 0,
            answers: Default::default(),
        };
        let sessions = configuration.proposers.iter().map(open).collect();
        learner.replay(SnapshotPiece::Header { below, log_time_ms, configuration });
        learner.replay(SnapshotPiece::Sessions(sessions));
        LearnerMachine { learner, clock: Now(0), view: View::default() }
    }
}

impl Machine for LearnerMachine {
    fn happen(&mut self, event: &Event) -> Vec<Letter> {
        let mut out = Output::new();
        match event {
            Event::Letter(Letter { from, packet: Packet::Learner(msg), .. }) => {
                self.learner.receive(self.clock, *from, msg.clone(), &mut out);
            }
            Event::Fetch => {
                self.clock = self.clock.plus(FAR_US);
                self.view.fetches += 1;
                self.learner.tick(self.clock, &mut out);
            }
            other => unreachable!("no learner hears of {other:?}"),
        }
        letters(self.learner.me(), out.mail)
    }

    fn view(&self) -> View {
        View {
            chosen_below: self.learner.applied_below().0,
            applied: self.learner.state().0.clone(),
            ..self.view.clone()
        }
    }

    fn text(&mut self) -> String {
        format!("{:#?}{:?}{:?}", self.learner, self.view, self.clock)
    }
}
