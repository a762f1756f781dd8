//! An acceptor, its gate and its log.

use super::{Event, FAR_US, Machine, View, letters};
use crate::bounds::Bounds;
use crate::letter::Letter;
use crate::text;
use paxos_core::*;

/// An acceptor behind its gate, with a log whose end is not durable yet.
pub(super) struct AcceptorMachine {
    options: AcceptorOptions,
    acceptor: Acceptor,
    gate: Gate,
    log: Vec<Record>,
    durable: usize,
    /// What the gate holds back, each letter once.
    waiting: Vec<Outgoing>,
    clock: Now,
    crashes_max: u64,
    view: View,
}

impl AcceptorMachine {
    /// The cluster has formed, and nothing has been promised.
    pub(super) fn new(bounds: &Bounds, node: NodeId) -> AcceptorMachine {
        let options = AcceptorOptions {
            me: bounds.member(node),
            layout: bounds.layout(),
            timing: Timing::default(),
            limits: bounds.limits(),
        };
        let log = vec![Record::Roster(Box::new(bounds.roster())), Record::Formed];
        let mut machine = AcceptorMachine {
            acceptor: Acceptor::new(options.clone()),
            options,
            gate: Gate::new(0),
            durable: log.len(),
            waiting: Vec::new(),
            log,
            clock: Now(0),
            crashes_max: u64::from(node.0 <= bounds.crashes),
            view: View::default(),
        };
        machine.boot();
        machine
    }

    /// What a process finds that starts with so many records.
    fn restored(&self, lsn: usize) -> Acceptor {
        let mut acceptor = Acceptor::new(self.options.clone());
        self.log[..lsn].iter().for_each(|record| acceptor.replay(record.clone()));
        acceptor
    }

    fn boot(&mut self) {
        self.log.truncate(self.durable);
        self.acceptor = self.restored(self.durable);
        self.quiet();
    }

    /// Where nothing waits, the gate is as good as new: it counts from here.
    fn quiet(&mut self) {
        self.gate = Gate::new(0);
        self.waiting.clear();
    }

    fn submit(&mut self, mut out: Output<Record>) -> Vec<Letter> {
        let mail = out.mail.clone();
        let (log, mut free) = (&mut self.log, Vec::new());
        let append = |records: &mut Vec<Record>| {
            log.append(records);
            None
        };
        self.gate.submit(&mut out, append, &mut free);
        for letter in mail {
            // The network repeats letters. An answer that waits already is no news.
            if !self.waiting.contains(&letter) {
                self.waiting.push(letter);
            }
        }
        let mut letters = self.told(free);
        if self.view.crashes == self.crashes_max {
            letters.extend(self.sync());
        }
        letters
    }

    /// All records are durable, and the gate hears of it.
    fn sync(&mut self) -> Vec<Letter> {
        self.durable = self.log.len();
        let mut free = Vec::new();
        self.gate.release(self.gate.appended(), &mut free);
        self.told(free)
    }

    /// Mail leaves. Invariant 3: every vote that it tells is in the log, durably.
    fn told(&mut self, mail: Vec<Outgoing>) -> Vec<Letter> {
        for Outgoing { packet, .. } in &mail {
            let is_durable = match packet {
                Packet::Proposer(ProposerMsg::Promise { part, .. }) => {
                    part.votes.iter().all(|(slot, vote)| self.voted(*slot, vote.ballot))
                }
                Packet::Proposer(ProposerMsg::Accepted { ballot, slots }) => {
                    let held = self.acceptor.status().chosen_below;
                    let told = (slots.from.0..slots.below.0).map(Slot);
                    // R5: where a chosen entry is held, no vote need be stored.
                    told.into_iter().all(|slot| self.voted(slot, *ballot) || slot < held)
                }
                _ => true,
            };
            if !is_durable {
                self.view.broken = Some("invariant 3: a vote is told that is not durable");
            }
        }
        letters(self.options.me, mail)
    }

    fn voted(&self, at: Slot, ballot: Ballot) -> bool {
        self.log[..self.durable].iter().any(|record| match record {
            Record::Voted { slot, vote } => *slot == at && vote.ballot == ballot,
            _ => false,
        })
    }
}

impl Machine for AcceptorMachine {
    fn happen(&mut self, event: &Event) -> Vec<Letter> {
        let before = self.acceptor.status().promised;
        let mut out = Output::new();
        let letters = match event {
            Event::Letter(Letter { from, packet: Packet::Acceptor(msg), .. }) => {
                self.acceptor.receive(self.clock, *from, msg.clone(), &mut out);
                self.submit(out)
            }
            Event::Poll(Letter { from, packet: Packet::Acceptor(msg), .. }) => {
                let mut asked = self.restored(self.durable);
                let text = format!("{asked:?}");
                asked.receive(self.clock.plus(FAR_US), *from, msg.clone(), &mut out);
                assert_eq!(format!("{asked:?}"), text, "R9: a poll changes nothing");
                assert!(out.records.is_empty(), "R9: a poll changes nothing");
                return letters(self.options.me, out.mail);
            }
            Event::Sync => self.sync(),
            Event::Fetch => {
                self.clock = self.clock.plus(FAR_US);
                self.view.fetches += 1;
                self.acceptor.tick(self.clock, &mut out);
                self.submit(out)
            }
            Event::Crash => {
                self.view.forgot |= self.log.len() > self.durable;
                self.view.crashes += 1;
                self.boot();
                return Vec::new();
            }
            other => unreachable!("no acceptor hears of {other:?}"),
        };
        if self.acceptor.status().promised < before {
            self.view.broken = Some("invariant 2: a promise fell");
        }
        if self.gate.backlog() == 0 {
            assert_eq!(self.gate.held(), 0, "mail waits for nothing");
            self.quiet();
        }
        letters
    }

    fn view(&self) -> View {
        let status = self.acceptor.status();
        View {
            promised: status.promised,
            promised_durably: self.restored(self.durable).status().promised,
            chosen_below: status.chosen_below.0,
            pending: self.log.len() - self.durable,
            may_crash: self.view.crashes < self.crashes_max,
            ..self.view.clone()
        }
    }

    fn text(&mut self) -> String {
        let mut text = shown(&mut self.restored(self.durable));
        if self.durable < self.log.len() {
            text += &shown(&mut self.restored(self.log.len()));
            text += &text::sorted(&self.waiting);
        }
        text += &format!("{:?}{:?}", self.view, self.clock);
        text + &shown(&mut self.acceptor)
    }
}

/// The state of an acceptor, and the entries that it has, as it tells them a candidate and another
/// acceptor. When a leader was last heard is not a part, since each poll comes long after it.
fn shown(acceptor: &mut Acceptor) -> String {
    let mut text = text::without(format!("{acceptor:?}"), &["heard"]);
    let mut out = Output::new();
    let node = acceptor.configuration().expect("the cluster has formed").proposers[0];
    let from = MemberId { node, incarnation: Incarnation(0) };
    let (ballot, first) = (Ballot { round: 1 << 30, node, life: 0 }, Slot::ZERO);
    acceptor.receive(Now(0), from, AcceptorMsg::Prepare { ballot, from: first }, &mut out);
    let fetch = AcceptorMsg::Fetch { from: first, role: RoleName::Acceptor };
    acceptor.receive(Now(0), from, fetch, &mut out);
    assert_eq!(out.mail.len(), 2, "it tells all");
    text::add(&mut text, &out.mail);
    text
}
