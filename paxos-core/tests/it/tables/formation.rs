//! First start, as the acceptor at node 1 lives it: meeting, stored, formed (R23).

use super::acceptor::{
    accept, entries, fetch, formed, heartbeat, prepare, records, stored, unformed,
};
use super::*;

fn introduce(stored: Option<ClusterId>, formed: bool) -> AcceptorMsg {
    AcceptorMsg::Introduce { stored, formed }
}

/// Every message but introductions: none is answered before the cluster has formed (R23).
fn before_it_formed() -> Vec<Row<Acceptor>> {
    let of_2 = ballot(2, 2);
    vec![
        row("asked", member(2), AcceptorMsg::AskRoster { role: RoleName::Learner }, nothing()),
        row("polled", member(2), AcceptorMsg::Poll { attempt: 7 }, nothing()),
        row("phase 1", member(2), prepare(of_2), nothing()),
        row("phase 2", member(2), accept(of_2, 0, "a", slots(0, 0)), nothing()),
        row("led", member(2), heartbeat(of_2, 1, slots(0, 0)), nothing()),
        row("asked", member(2), fetch(0, RoleName::Learner), nothing()),
        row("told", member(2), AcceptorMsg::Entries(entries(0, &["a"], 1)), nothing()),
    ]
}

#[test]
fn unformed_knows_its_first_members_one_by_one() {
    check("unformed", unformed, before_it_formed());
    let alone = introduce(None, false);
    check(
        "unformed",
        unformed,
        [
            row("itself", member(1), alone.clone(), nothing()),
            row("another", member(2), alone.clone(), nothing()),
            row("from no first member", member(8), alone.clone(), nothing()),
        ],
    );
    let mut acceptor = unformed();
    assert_whole("tick", &tick(&mut acceptor, T0), &to_all(alone.clone()));
    assert_whole("tick at once again", &tick(&mut acceptor, T0), &nothing());
    tell(&mut acceptor, member(2), alone.clone());
    let id = Some(roster().cluster_id());
    let says = and(records([Record::Roster(Box::new(roster()))]), to_all(introduce(id, false)));
    assert_whole("the last one", &tell(&mut acceptor, member(3), alone), &says);
}

#[test]
fn stored_forms_when_all_have_stored_the_same_roster() {
    check("stored", stored, before_it_formed());
    let id = Some(roster().cluster_id());
    let forms = || and(records([Record::Formed]), to_all(introduce(id, true)));
    check(
        "stored",
        stored,
        [
            row("the first to say so", member(2), introduce(id, false), nothing()),
            row("one that knows of all", member(2), introduce(id, true), forms()),
            row("nothing stored yet", member(2), introduce(None, false), nothing()),
            row("another roster", member(2), introduce(Some(ClusterId(1)), true), nothing()),
            row("no member", STRANGER, introduce(id, true), nothing()),
        ],
    );
    let mut acceptor = stored();
    for (from, says) in [(1, nothing()), (1, nothing()), (2, nothing()), (3, forms())] {
        let out = tell(&mut acceptor, member(from), introduce(id, false));
        assert_whole(&format!("{from} says so"), &out, &says);
    }
}

#[test]
fn formed_tells_others_of_the_roster() {
    let id = Some(roster().cluster_id());
    let ask = |role| AcceptorMsg::AskRoster { role };
    check(
        "formed",
        formed,
        [
            row("a late member", member(3), introduce(id, false), mail([(3, introduce(id, true))])),
            row("a formed member", member(3), introduce(id, true), nothing()),
            row("a proposer", member(2), ask(RoleName::Proposer), {
                mail([(2, ProposerMsg::Roster(Box::new(roster())))])
            }),
            row("a learner", member(2), ask(RoleName::Learner), {
                mail([(2, LearnerMsg::Roster(Box::new(roster())))])
            }),
            row("an acceptor", member(2), ask(RoleName::Acceptor), nothing()),
            row("a client", CLIENT, ask(RoleName::Client), nothing()),
        ],
    );
    assert_whole("tick", &tick(&mut formed(), T0), &nothing());
}
