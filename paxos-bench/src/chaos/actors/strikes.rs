//! The faults of actors.

use super::super::fault::Kind;
use super::super::nemesis::{Strike, Struck, Victim};
use super::super::plan::shuffle;
use super::super::shape::shape;
use super::cluster::Cluster;
use actix::Addr;
use paxos_actors::control::{Inspect, Restart};
use paxos_actors::role_actor::{Hosted, RoleActor};
use paxos_core::StanceName;
use paxos_core::rng::Rng;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// An actor tells how it fares within this time, or it does not.
const STATUS_WITHIN: Duration = Duration::from_millis(300);

/// A fault shows within this time, or it has not struck.
const SHOWS_WITHIN: Duration = Duration::from_secs(2);

/// How often things are looked at that cannot be awaited.
pub(super) const LOOK: Duration = Duration::from_millis(5);

/// How long a slow actor takes for one thing, and one whose mailbox is to run full.
const SLOW: Duration = Duration::from_millis(20);
const VERY_SLOW: Duration = Duration::from_millis(100);

/// Each letter to a node whose mailboxes are to run full comes so many times more.
const FLOOD: u64 = 60;

/// A cluster of actors as a nemesis sees it.
pub(super) struct Actors {
    pub(super) cluster: Cluster,
    pub(super) problems: Vec<String>,
    /// What keeps actors busy; ended at the heal.
    pub(super) burdens: Vec<JoinHandle<()>>,
}

impl Victim for Actors {
    fn nodes(&self) -> usize {
        self.cluster.homes.len()
    }

    async fn leader(&mut self) -> Option<usize> {
        for at in 0..self.nodes() {
            let Some(proposer) = self.cluster.node(at).and_then(|node| node.proposer()) else {
                continue;
            };
            let stance = proposer
                .send(Inspect::new(|proposer: &paxos_core::Proposer| proposer.status().stance));
            if let Ok(Ok(StanceName::Lead)) = timeout(STATUS_WITHIN, stance).await {
                return Some(at);
            }
        }
        None
    }

    async fn strike(&mut self, strike: Strike<'_>) -> Struck {
        let Strike { kind, leader, rng } = strike;
        let nodes = self.nodes();
        let mut order: Vec<usize> = (0..nodes).collect();
        shuffle(&mut order, rng);
        let killed = match kind {
            Kind::KillOne => &order[..1],
            Kind::KillLeader => &[leader],
            Kind::KillMajority => &order[..nodes / 2 + 1],
            Kind::KillAll => &order[..],
            Kind::RestartRole => return self.restart_roles(&order[..2], rng),
            Kind::SlowActor => return self.slow_down(order[0], rng),
            Kind::FullMailboxes => return self.fill_mailboxes(order[0]).await,
            Kind::FullDisk => {
                self.cluster.fill_disks(order[0], true);
                return self.await_end(order[0]).await;
            }
            Kind::FailedSync => {
                self.cluster.fail_syncs(order[0], true);
                return match self.await_end(order[0]).await {
                    Struck::No(_) => {
                        let goes_on = format!("{} goes on after failed syncs", name(order[0]));
                        self.problems.push(goes_on);
                        Struck::Yes(name(order[0]))
                    }
                    struck => struck,
                };
            }
            kind => {
                let shape = shape(kind, nodes, leader, rng);
                self.cluster.bend(&shape);
                return Struck::Yes(format!("{} of {} ways", shape.len(), nodes * (nodes - 1)));
            }
        };
        self.cluster.crash(killed, rng).await;
        Struck::Yes(killed.iter().map(|&at| name(at)).collect::<Vec<_>>().join(", "))
    }

    async fn heal(&mut self) {
        self.cluster.straighten();
        self.burdens.drain(..).for_each(|burden| burden.abort());
        for at in 0..self.nodes() {
            self.cluster.fail_syncs(at, false);
            self.cluster.fill_disks(at, false);
        }
        self.revive().await;
    }

    async fn problems(&mut self) -> Vec<String> {
        // Later than the heal a node whose disk was full may end, too.
        self.revive().await;
        std::mem::take(&mut self.problems)
    }
}

impl Actors {
    /// Starts all nodes that have ended, and notes those that had no excuse.
    async fn revive(&mut self) {
        for at in 0..self.nodes() {
            let ended = self.cluster.has_ended(at).await;
            self.problems.extend(ended.err());
            if let Err(error) = self.cluster.start_node(at).await {
                self.problems.push(format!("{} cannot be started: {error:#}", name(at)));
            }
        }
    }

    fn restart_roles(&mut self, nodes: &[usize], rng: &mut Rng) -> Struck {
        let mut said = Vec::new();
        for &at in nodes {
            let Some(node) = self.cluster.node(at) else { continue };
            // Mailboxes take what owners send however full they are.
            let role = match rng.between(0, 3) {
                0 => node.acceptor().map(|role| role.do_send(Restart)).map(|()| "acceptor"),
                1 => node.proposer().map(|role| role.do_send(Restart)).map(|()| "proposer"),
                _ => node.learner().map(|role| role.do_send(Restart)).map(|()| "learner"),
            };
            said.push(format!("{} of {}", role.unwrap_or("nothing"), name(at)));
        }
        Struck::Yes(said.join(", "))
    }

    fn slow_down(&mut self, at: usize, rng: &mut Rng) -> Struck {
        let Some(node) = self.cluster.node(at) else {
            return Struck::No(format!("{} does not run", name(at)));
        };
        let (burden, role) = match rng.between(0, 3) {
            0 => (node.acceptor().map(|role| burden(role, SLOW)), "acceptor"),
            1 => (node.proposer().map(|role| burden(role, SLOW)), "proposer"),
            _ => (node.learner().map(|role| burden(role, SLOW)), "learner"),
        };
        self.burdens.extend(burden);
        Struck::Yes(format!("{role} of {}", name(at)))
    }

    /// Sends a node more than it can take, until that shows.
    async fn fill_mailboxes(&mut self, at: usize) -> Struck {
        let Some(node) = self.cluster.node(at) else {
            return Struck::No(format!("{} does not run", name(at)));
        };
        self.burdens.extend(node.acceptor().map(|role| burden(role, VERY_SLOW)));
        let before = self.cluster.full(at);
        self.cluster.flood(at, FLOOD);
        let until = Instant::now() + SHOWS_WITHIN;
        while self.cluster.full(at) == before {
            if Instant::now() >= until {
                return Struck::No(format!("no mailbox of {} was full", name(at)));
            }
            sleep(LOOK).await;
        }
        Struck::Yes(name(at))
    }

    /// Waits until a node has ended for its disk.
    async fn await_end(&mut self, at: usize) -> Struck {
        let until = Instant::now() + SHOWS_WITHIN;
        while Instant::now() < until {
            match self.cluster.has_ended(at).await {
                Ok(true) => return Struck::Yes(format!("{} has ended", name(at))),
                Ok(false) => sleep(LOOK).await,
                Err(problem) => {
                    self.problems.push(problem);
                    return Struck::Yes(name(at));
                }
            }
        }
        Struck::No(format!("{} needed nothing of its disk within {SHOWS_WITHIN:?}", name(at)))
    }
}

/// Keeps an actor, and those that share its thread, busy most of the time.
fn burden<R: Hosted>(actor: &Addr<RoleActor<R>>, each: Duration) -> JoinHandle<()> {
    let actor = actor.clone();
    actix_rt::spawn(async move {
        // It ends with the actor.
        while actor.send(Inspect::new(move |_: &R| std::thread::sleep(each))).await.is_ok() {
            sleep(LOOK).await;
        }
    })
}

fn name(at: usize) -> String {
    format!("node {}", at + 1)
}
