//! One decree: two proposers duel for one value, over a network that loses and reorders messages.
//!
//! `cargo run -p examples --example basic_paxos`

use paxos_core::rng::Rng;
use paxos_core::synod::{Msg, Output, Synod};
use paxos_core::{Incarnation, MemberId, NodeId, Quorums};

/// A message under way.
struct Letter {
    from: MemberId,
    to: NodeId,
    msg: Msg<&'static str>,
}

fn main() {
    let members: Vec<MemberId> =
        (1..=3).map(|n| MemberId { node: NodeId(n), incarnation: Incarnation(n) }).collect();
    let majority = Quorums::majority(members.len()).expect("three acceptors");
    let mut nodes: Vec<Synod<&str>> =
        members.iter().map(|&me| Synod::new(me, members.clone(), majority, 1)).collect();
    let mut network: Vec<Letter> = Vec::new();
    let mut rng = Rng::new(2026);

    // Any node can become the proposer of a value; here two do at the same time.
    let wishes = [(0, "red"), (2, "blue")];
    for (node, wish) in wishes {
        println!("node {} proposes {wish:?}", node + 1);
        let mut out = Output::new();
        nodes[node].propose(wish, &mut out);
        post(members[node], out, &mut network);
    }
    let mut steps = 0;
    while nodes.iter().any(|node| node.chosen().is_none()) {
        steps += 1;
        assert!(steps < 10_000, "random waits end every duel");
        if !network.is_empty() {
            let Letter { from, to, msg } = take_any(&mut network, &mut rng);
            if rng.between(0, 10) == 0 {
                println!("   {} -> {to}  {} is lost", from.node, describe(&msg));
                continue;
            }
            println!("   {} -> {to}  {}", from.node, describe(&msg));
            let mut out = Output::new();
            let receiver = to.0 as usize - 1;
            nodes[receiver].receive(from, msg, &mut out);
            // A real node makes `out.records` durable here, before its mail leaves.
            post(members[receiver], out, &mut network);
        }
        for (node, wish) in wishes {
            // Preempted, or unanswered because messages were lost: try again after a random while.
            let stuck = nodes[node].preempted().is_some() || network.is_empty();
            if stuck && nodes[node].chosen().is_none() && rng.between(0, 12) == 0 {
                println!("node {} tries again in a higher ballot", node + 1);
                let mut out = Output::new();
                nodes[node].propose(wish, &mut out);
                post(members[node], out, &mut network);
            }
        }
        // A node that missed the decree proposes, and so learns what was chosen.
        if network.is_empty() && nodes[1].chosen().is_none() && rng.between(0, 12) == 0 {
            println!("node 2 asks by proposing");
            let mut out = Output::new();
            nodes[1].propose("green", &mut out);
            post(members[1], out, &mut network);
        }
    }
    let chosen: Vec<&str> = nodes.iter().filter_map(|node| node.chosen().copied()).collect();
    println!("chosen: {chosen:?}");
    assert_eq!(chosen.len(), 3);
    assert!(chosen.iter().all(|&value| value == chosen[0]), "one value is chosen");
    assert!(["red", "blue", "green"].contains(&chosen[0]), "and somebody proposed it");
}

fn post(from: MemberId, out: Output<&'static str>, network: &mut Vec<Letter>) {
    network.extend(out.mail.into_iter().map(|(to, msg)| Letter { from, to, msg }));
}

fn take_any(network: &mut Vec<Letter>, rng: &mut Rng) -> Letter {
    let any = rng.between(0, network.len() as u64) as usize;
    network.swap_remove(any)
}

fn describe(msg: &Msg<&str>) -> String {
    match msg {
        Msg::Prepare { ballot } => format!("prepare {ballot}"),
        Msg::Promise { ballot, vote: None } => format!("promise {ballot}, no vote yet"),
        Msg::Promise { ballot, vote: Some(vote) } => {
            format!("promise {ballot}, voted {:?} in {}", vote.value, vote.ballot)
        }
        Msg::Accept { vote } => format!("accept {} = {:?}", vote.ballot, vote.value),
        Msg::Accepted { ballot } => format!("accepted {ballot}"),
        Msg::Reject { ballot, promised } => format!("reject {ballot}, promised {promised}"),
        Msg::Chosen { value } => format!("chosen {value:?}"),
    }
}
