//! What the clients saw, and whether one list after another could have shown it to them.

use super::machine::{KEYS, Lists, numbers};
use paxos_core::Outcome;

/// One call of a client, as the client saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub key: usize,
    /// The number appended; none: the list was read.
    pub number: Option<u64>,
    pub called_at: u64,
    pub ended: Option<(u64, Outcome)>,
}

#[derive(Debug, Default)]
pub struct History {
    pub calls: Vec<Seen>,
}

impl History {
    pub fn is_over(&self) -> bool {
        self.calls.iter().all(|call| call.ended.is_some())
    }

    /// Invariant 11, exactly once, and linearizability: with unique numbers in lists that only
    /// grow, a history is linearizable iff each list shows the acknowledged appends where they were
    /// told to be, in an order that agrees with real time, and each read shows a beginning of its
    /// list that is neither too old nor too new.
    pub fn judge(&self, lists: &Lists) {
        for key in 0..KEYS {
            let calls: Vec<&Seen> = self.calls.iter().filter(|call| call.key == key).collect();
            judge_list(&lists.lists[key], &calls);
        }
    }
}

fn judge_list(list: &[u64], calls: &[&Seen]) {
    // The length of the list that each call proves: after it ended, the list is at least so long.
    let mut proofs: Vec<(u64, usize)> = Vec::new();
    for call in calls {
        let Some((ended_at, outcome)) = &call.ended else { continue };
        match (call.number, outcome) {
            (Some(number), Outcome::Done(result)) => {
                let at = numbers(result)[0] as usize;
                assert_eq!(list.get(at), Some(&number), "invariant 11: {call:?} is lost or moved");
                proofs.push((*ended_at, at + 1));
            }
            (Some(number), Outcome::NotApplied(_)) => {
                assert!(!list.contains(&number), "{call:?} was applied nevertheless");
            }
            (None, Outcome::Done(result)) => {
                let seen = numbers(result);
                assert!(list.starts_with(&seen), "{call:?} saw {seen:?} of {list:?}");
                proofs.push((*ended_at, seen.len()));
            }
            _ => {}
        }
    }
    proofs.sort_unstable();
    for call in calls {
        // Whatever had ended before this call began is in its past.
        let past = proofs.iter().take_while(|(ended_at, _)| *ended_at < call.called_at);
        let past = past.map(|(_, length)| *length).max().unwrap_or(0);
        match (call.number, &call.ended) {
            (Some(number), _) => {
                let at = list.iter().position(|&other| other == number);
                assert!(at.is_none_or(|at| at >= past), "{call:?} took effect before it began");
            }
            (None, Some((ended_at, Outcome::Done(result)))) => {
                let seen = numbers(result);
                assert!(seen.len() >= past, "{call:?} is stale: it had to see {past} numbers");
                let begun = |number: &u64| {
                    calls.iter().any(|c| c.number == Some(*number) && c.called_at <= *ended_at)
                };
                assert!(seen.iter().all(begun), "{call:?} saw the future");
            }
            _ => {}
        }
    }
}
