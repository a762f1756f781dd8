//! Whoever makes the faults: follows a plan, and heals what it did.

use super::fault::Kind;
use super::plan::Plan;
use super::tally::Tally;
use paxos_core::rng::Rng;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use tokio::time::{Instant, sleep};

/// A cluster that faults can be made in. Nodes are numbered from 0.
pub(super) trait Victim {
    /// So many nodes it has.
    fn nodes(&self) -> usize;

    /// The node that leads, where one says so.
    async fn leader(&mut self) -> Option<usize>;

    /// Makes a fault. It stays until the heal, if it is not over by itself.
    async fn strike(&mut self, strike: Strike<'_>) -> Struck;

    /// Undoes all faults: every node runs, every link passes, every disk works.
    async fn heal(&mut self);

    /// What happened since this was asked, and must never happen.
    async fn problems(&mut self) -> Vec<String>;
}

/// A fault that is to be made.
#[derive(Debug)]
pub(super) struct Strike<'a> {
    pub(super) kind: Kind,
    /// Who leads; if nobody is known to, anyone.
    pub(super) leader: usize,
    pub(super) rng: &'a mut Rng,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Struck {
    /// It is there, and this is what there is to say of it.
    Yes(String),
    /// It could not be made this time.
    No(String),
}

/// What the nemesis did.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    pub(super) events: u64,
    /// Faults that struck, by kind.
    pub(super) fired: BTreeMap<Kind, u64>,
    pub(super) problems: Vec<String>,
}

/// Follows the plan until the time is up, and tells each event as it is healed.
pub(super) async fn run(
    victim: &mut impl Victim,
    plan: Plan,
    until: Instant,
    tally: &Rc<RefCell<Tally>>,
    mut tell: impl FnMut(&str),
) -> Deeds {
    let mut deeds = Deeds::default();
    for event in plan {
        if Instant::now() >= until {
            break;
        }
        let mut rng = Rng::new(event.seed);
        let anyone = rng.between(0, victim.nodes() as u64) as usize;
        let leader = victim.leader().await.unwrap_or(anyone);
        let (mut struck, mut said) = (Vec::new(), Vec::new());
        for &kind in &event.kinds {
            match victim.strike(Strike { kind, leader, rng: &mut rng }).await {
                Struck::Yes(what) => {
                    *deeds.fired.entry(kind).or_default() += 1;
                    struck.push(kind);
                    said.push(format!("{kind}: {what}"));
                }
                Struck::No(reason) => said.push(format!("{kind} did not strike: {reason}")),
            }
        }
        if !struck.is_empty() {
            deeds.events += 1;
            sleep(event.hold).await;
        }
        victim.heal().await;
        tally.borrow_mut().healed(struck);
        tell(&said.join("; "));
        sleep(event.calm).await;
        for problem in victim.problems().await {
            let problem = format!("{problem} (after {})", said.join("; "));
            tell(&problem);
            deeds.problems.push(problem);
        }
    }
    deeds
}
