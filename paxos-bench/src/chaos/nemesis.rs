//! Whoever makes the faults: follows a plan, and heals what it did.

use super::fault::Kind;
use super::plan::Plan;
use super::tally::Tally;
use paxos_core::rng::Rng;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A fault of the leader waits so long for one, and looks so often: the fault before it may have
/// left none.
const LEADER_WITHIN: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(50);

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
    /// Who leads; anyone, where the fault is not the leader's.
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
        let leader = match event.kinds.iter().any(|kind| kind.is_of_leader()) {
            true => await_leader(victim).await,
            false => None,
        };
        let (mut struck, mut said) = (Vec::new(), Vec::new());
        for &kind in &event.kinds {
            let came = match leader.or((!kind.is_of_leader()).then_some(anyone)) {
                Some(leader) => victim.strike(Strike { kind, leader, rng: &mut rng }).await,
                None => Struck::No("nobody leads".to_owned()),
            };
            match came {
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

async fn await_leader(victim: &mut impl Victim) -> Option<usize> {
    let until = Instant::now() + LEADER_WITHIN;
    loop {
        let leader = victim.leader().await;
        if leader.is_some() || Instant::now() >= until {
            return leader;
        }
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::Pace;
    use super::*;

    const PACE: Pace = Pace { hold_ms: (100, 200), calm_ms: (10, 20) };

    /// Three nodes, of which the last leads after it was asked so often.
    struct Nodes {
        asked: u64,
        leads_after: u64,
        struck: Vec<(Kind, usize)>,
    }

    impl Victim for Nodes {
        fn nodes(&self) -> usize {
            3
        }

        async fn leader(&mut self) -> Option<usize> {
            self.asked += 1;
            (self.asked > self.leads_after).then_some(2)
        }

        async fn strike(&mut self, strike: Strike<'_>) -> Struck {
            self.struck.push((strike.kind, strike.leader));
            Struck::Yes(String::new())
        }

        async fn heal(&mut self) {}

        async fn problems(&mut self) -> Vec<String> {
            Vec::new()
        }
    }

    async fn deeds(nodes: &mut Nodes, kinds: &[Kind]) -> (Deeds, Vec<String>) {
        let mut said = Vec::new();
        let tally = Rc::new(RefCell::new(Tally::new()));
        let until = Instant::now() + Duration::from_secs(60);
        let plan = Plan::new(1, kinds, PACE);
        let deeds = run(nodes, plan, until, &tally, |what| said.push(what.to_owned())).await;
        (deeds, said)
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_of_the_leader_counts_only_where_one_leads() {
        let kinds = [Kind::KillLeader, Kind::PauseLeader, Kind::IsolateLeader];
        let mut nodes = Nodes { asked: 0, leads_after: u64::MAX, struck: Vec::new() };
        let (none, said) = deeds(&mut nodes, &kinds).await;
        assert_eq!((none.events, none.fired.len(), nodes.struck.len()), (0, 0, 0));
        let is_reason = |said: &String| said.contains("did not strike: nobody leads");
        assert!(!said.is_empty() && said.iter().all(is_reason), "{said:?}");

        let (others, _) = deeds(&mut nodes, &[Kind::KillOne, Kind::Halves]).await;
        assert!(others.fired[&Kind::KillOne] > 50 && others.fired[&Kind::Halves] > 50);

        let mut nodes = Nodes { asked: 0, leads_after: 20, struck: Vec::new() };
        let (all, _) = deeds(&mut nodes, &kinds).await;
        assert!(kinds.iter().all(|kind| all.fired[kind] > 50), "a leader comes: {:?}", all.fired);
        assert!(nodes.struck.iter().all(|(_, leader)| *leader == 2));
    }
}
