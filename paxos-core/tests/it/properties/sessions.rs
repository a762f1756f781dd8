//! The table of sessions, against one that keeps everything for ever.

use super::cases;
use bytes::Bytes;
use paxos_core::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const RULES: SessionRules = SessionRules { ttl_ms: 100, sessions_max: 3, window: 4 };

#[derive(Clone, Debug)]
enum Event {
    Register,
    /// A command of one of the sessions, counted from the latest.
    Run {
        session: u64,
        sequence: u64,
        acked_below: u64,
    },
    Pass {
        ms: u64,
    },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let run = (0..4u64, 0..12u64, 0..12u64)
        .prop_map(|(session, sequence, acked_below)| Event::Run { session, sequence, acked_below });
    let pass = (0..60u64).prop_map(|ms| Event::Pass { ms });
    let event = prop_oneof![1 => Just(Event::Register), 6 => run, 2 => pass];
    proptest::collection::vec(event, 0..80)
}

fn id(slot: u64) -> SessionId {
    SessionId { slot: Slot(slot), index: 0 }
}

/// What a session has done, all of it.
#[derive(Default)]
struct Account {
    heard_ms: u64,
    acked_below: u64,
    answers: BTreeMap<u64, Bytes>,
}

impl Account {
    fn judge(&mut self, sequence: u64, acked_below: u64) -> Verdict {
        self.acked_below = self.acked_below.max(acked_below.min(sequence));
        match self.answers.get(&sequence) {
            _ if sequence < self.acked_below => Verdict::Acked,
            _ if sequence >= self.acked_below + RULES.window => Verdict::OutOfWindow,
            Some(answer) => Verdict::Answered(answer.clone()),
            None => Verdict::New,
        }
    }
}

/// Runs the events on the table and on the account. Gives back the table, and its log time.
fn run(events: Vec<Event>) -> Result<(Sessions, u64), TestCaseError> {
    let mut table = Sessions::new(RULES);
    let mut open: BTreeMap<SessionId, Account> = BTreeMap::new();
    let (mut now, mut slot) = (0, 0);
    for event in events {
        slot += 1;
        match event {
            Event::Register => {
                let has_room = (open.len() as u64) < RULES.sessions_max;
                prop_assert_eq!(table.register(id(slot), now), has_room);
                if has_room {
                    open.insert(id(slot), Account { heard_ms: now, ..Account::default() });
                }
            }
            Event::Run { session, sequence, acked_below } => {
                let latest = open.keys().rev().nth(session as usize).copied();
                let session = latest.unwrap_or(id(0));
                let verdict = table.judge(session, sequence, acked_below, now);
                let Some(account) = open.get_mut(&session) else {
                    prop_assert_eq!(verdict, Verdict::Expired);
                    continue;
                };
                account.heard_ms = now;
                prop_assert_eq!(&verdict, &account.judge(sequence, acked_below));
                if verdict == Verdict::New {
                    let answer = Bytes::from(format!("{slot}"));
                    table.keep(session, sequence, answer.clone());
                    let before = account.answers.insert(sequence, answer);
                    prop_assert_eq!(before, None, "{} is applied twice", sequence);
                }
            }
            Event::Pass { ms } => {
                now += ms;
                table.expire(now);
                open.retain(|_, account| account.heard_ms + RULES.ttl_ms > now);
            }
        }
        prop_assert_eq!(table.len(), open.len());
        let due = open.values().map(|account| account.heard_ms + RULES.ttl_ms).min();
        // It may be looked at too soon, and never too late.
        prop_assert!(table.next_expiry_ms() <= due || due.is_none());
    }
    Ok((table, now))
}

proptest! {
    #![proptest_config(cases())]

    /// R16: each sequence is new once, and answered alike until it is acknowledged.
    #[test]
    fn each_command_is_new_once(events in events()) {
        run(events)?;
    }

    /// Invariant 10: what a snapshot has of the sessions is all of them.
    #[test]
    fn a_snapshot_restores_the_table(events in events(), later in events()) {
        let (table, now) = run(events)?;
        let mut restored = Sessions::new(RULES);
        table.snapshot().flatten().for_each(|session| restored.restore(session));
        prop_assert_eq!(restored.digest(), table.digest());
        prop_assert_eq!(restored.len(), table.len());
        let mut both = [table, restored];
        for event in later {
            let verdicts = both.each_mut().map(|table| match event {
                Event::Register => None,
                Event::Run { session, sequence, acked_below } => {
                    Some(table.judge(id(session), sequence, acked_below, now))
                }
                Event::Pass { ms } => {
                    table.expire(now + ms);
                    None
                }
            });
            prop_assert_eq!(&verdicts[0], &verdicts[1]);
            prop_assert_eq!(both[0].digest(), both[1].digest());
        }
    }

    /// A snapshot shows the table as it was, whatever happens to the table while it is read out.
    #[test]
    fn a_snapshot_does_not_move(events in events()) {
        let (mut table, now) = run(events)?;
        let before: Vec<SessionState> = table.snapshot().flatten().collect();
        let reader = table.snapshot();
        for session in &before {
            table.judge(session.id, 20, 20, now);
            table.keep(session.id, 20, Bytes::from_static(b"later"));
        }
        table.expire(now + 10 * RULES.ttl_ms);
        prop_assert!(table.is_empty());
        prop_assert_eq!(reader.flatten().collect::<Vec<_>>(), before);
    }
}

/// A snapshot may say anything: what sessions tell of it panics no more than what they do.
#[test]
fn a_session_at_the_end_of_all_sequences_is_no_reason_to_panic() {
    let mut sessions = Sessions::new(SessionRules { window: 4, ttl_ms: 10, sessions_max: 2 });
    let answers = vec![Some(Bytes::from_static(b"a")), Some(Bytes::new())].into();
    let session = SessionState { id: id(1), expires_ms: u64::MAX, acked_below: u64::MAX, answers };
    sessions.restore(session);
    sessions.digest();
    let verdict = sessions.judge(id(1), u64::MAX, u64::MAX, u64::MAX);
    assert_eq!(verdict, Verdict::Answered(Bytes::from_static(b"a")));
    sessions.keep(id(1), u64::MAX, Bytes::new());
    sessions.digest();
}
