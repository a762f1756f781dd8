//! The table of sessions: every place a sequence can have in its session.

use super::*;

/// Keeps three answers, holds two sessions, for a second of silence.
fn sessions() -> Sessions {
    let mut sessions = Sessions::new(SessionRules { ttl_ms: 1000, sessions_max: 2, window: 3 });
    assert!(sessions.register(SESSION, 0));
    sessions
}

/// Sequences 0 to 3 are done, and those below 2 are acknowledged.
fn used() -> Sessions {
    let mut sessions = sessions();
    for (sequence, acked_below) in [(0, 0), (1, 0), (2, 1), (3, 2)] {
        assert_eq!(sessions.judge(SESSION, sequence, acked_below, 0), Verdict::New);
        sessions.keep(SESSION, sequence, bytes(&format!("r{sequence}")));
    }
    sessions
}

#[test]
fn judge_by_the_place_in_the_window() {
    let answered = |result| Verdict::Answered(bytes(result));
    for (sequence, acked_below, verdict) in [
        (0, 0, Verdict::Acked),
        (1, 0, Verdict::Acked),
        (2, 0, answered("r2")),
        (3, 0, answered("r3")),
        (3, 2, answered("r3")),
        (3, 3, answered("r3")),
        (3, 9, answered("r3")), // nobody acknowledges what they ask for
        (4, 0, Verdict::New),
        (5, 0, Verdict::OutOfWindow),
        (5, 2, Verdict::OutOfWindow),
        (5, 3, Verdict::New),
        (9, 9, Verdict::New),
        (u64::MAX, 0, Verdict::OutOfWindow),
        (u64::MAX, u64::MAX, Verdict::New),
    ] {
        let found = used().judge(SESSION, sequence, acked_below, 0);
        assert_eq!(found, verdict, "sequence {sequence}, acked below {acked_below}");
    }
}

#[test]
fn acknowledgement_never_goes_back() {
    let mut sessions = used();
    assert_eq!(sessions.judge(SESSION, 4, 4, 0), Verdict::New);
    assert_eq!(sessions.judge(SESSION, 3, 0, 0), Verdict::Acked, "a late copy");
    assert_eq!(sessions.judge(SESSION, 4, 0, 0), Verdict::New, "not kept yet");
}

#[test]
pub fn absent_session_is_expired_and_never_new() {
    let other = SessionId { slot: Slot(5), index: 0 };
    assert_eq!(sessions().judge(other, 0, 0, 0), Verdict::Expired);
    let mut sessions = sessions();
    sessions.keep(other, 0, bytes("x"));
    assert_eq!(sessions.judge(other, 0, 0, 0), Verdict::Expired);
}

#[test]
fn sessions_expire_by_log_time_and_live_by_being_used() {
    let mut table = sessions();
    table.expire(999);
    assert_eq!((table.len(), table.next_expiry_ms()), (1, Some(1000)));
    table.expire(1000);
    assert!(table.is_empty());
    assert_eq!(table.judge(SESSION, 0, 0, 1000), Verdict::Expired);
    let mut table = sessions();
    table.judge(SESSION, 0, 0, 600);
    table.expire(1599);
    assert_eq!((table.len(), table.next_expiry_ms()), (1, Some(1600)));
    table.expire(1600);
    assert_eq!((table.len(), table.next_expiry_ms()), (0, None));
}

#[test]
fn full_table_refuses_until_one_expires() {
    let id = |slot| SessionId { slot: Slot(slot), index: 0 };
    let mut table = sessions();
    assert!(table.register(id(1), 500));
    assert!(!table.register(id(2), 500));
    table.expire(1000);
    assert!(table.register(id(2), 1000));
}

#[test]
fn digest_tells_tables_apart() {
    assert_eq!(used().digest(), used().digest());
    let mut changed = Vec::from([sessions(), used()]);
    for (sequence, acked_below, answer) in [(4, 2, "r4"), (4, 2, "x"), (4, 4, "r4")] {
        let mut table = used();
        table.judge(SESSION, sequence, acked_below, 0);
        table.keep(SESSION, sequence, bytes(answer));
        changed.push(table);
    }
    let mut later = used();
    later.judge(SESSION, 3, 0, 1);
    changed.push(later);
    let digests: std::collections::BTreeSet<u64> = changed.iter().map(Sessions::digest).collect();
    assert_eq!(digests.len(), changed.len());
}
