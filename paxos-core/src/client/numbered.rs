//! The open writes that have a number.

use super::CallId;
use crate::entry::SessionId;
use alloc::collections::{BTreeMap, VecDeque};

/// The calls of writes, by number: a session, and a sequence in it.
#[derive(Debug, Default)]
pub(super) struct Numbered {
    /// The session that numbers are given in.
    session: Option<SessionId>,
    /// No call of it below this sequence is open, or will be.
    lowest: u64,
    /// What is open from there on. The first one is, if any: calls end in about the order in which
    /// they were numbered.
    row: VecDeque<Option<CallId>>,
    /// Calls of former sessions.
    former: BTreeMap<(SessionId, u64), CallId>,
}

impl Numbered {
    /// From now on numbers are given in this session, from sequence zero on.
    pub(super) fn begin(&mut self, session: SessionId) {
        if let Some(former) = self.session.replace(session) {
            let open = (self.lowest..).zip(self.row.drain(..));
            let open = open.filter_map(|(sequence, id)| Some(((former, sequence), id?)));
            self.former.extend(open);
        }
        (self.lowest, self.row) = (0, VecDeque::new());
    }

    /// Gives a call the next number, if the lowest open sequence is less than `window` behind.
    pub(super) fn give(&mut self, window: u64, id: CallId) -> Option<(SessionId, u64)> {
        let session = self.session?;
        let ahead = self.row.len() as u64;
        if ahead >= window {
            return None;
        }
        self.row.push_back(Some(id));
        Some((session, self.lowest + ahead))
    }

    /// The call with this number, if it is open.
    pub(super) fn get(&self, number: (SessionId, u64)) -> Option<CallId> {
        match self.at(number) {
            Some(at) => *self.row.get(at)?,
            None => self.former.get(&number).copied(),
        }
    }

    /// A call is open no more.
    pub(super) fn end(&mut self, number: (SessionId, u64)) {
        match self.at(number) {
            Some(at) => {
                if let Some(id) = self.row.get_mut(at) {
                    *id = None;
                }
                while self.row.front().is_some_and(Option::is_none) {
                    self.row.pop_front();
                    self.lowest += 1;
                }
            }
            None => _ = self.former.remove(&number),
        }
    }

    /// The lowest open sequence of the session of `number`, which is open itself: all below are
    /// answered.
    pub(super) fn acked_below(&self, number: (SessionId, u64)) -> u64 {
        match self.at(number) {
            Some(_) => self.lowest,
            None => {
                let first = self.former.range((number.0, 0)..).next();
                first.map_or(number.1, |(&(_, lowest), _)| lowest)
            }
        }
    }

    /// The place of a number in the row, if it is of this session.
    fn at(&self, (session, sequence): (SessionId, u64)) -> Option<usize> {
        // What is below the row is nowhere in it.
        let ahead = || sequence.checked_sub(self.lowest).map_or(usize::MAX, |ahead| ahead as usize);
        (self.session == Some(session)).then(ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use crate::slot::Slot;
    use alloc::vec::Vec;

    #[test]
    fn it_holds_what_a_map_would() {
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let (mut numbered, mut map) = (Numbered::default(), BTreeMap::new());
            let (mut session, mut next, window) = (SessionId::default(), 0, 5);
            assert_eq!(numbered.give(window, CallId(0)), None, "there is no session");
            numbered.begin(session);
            for call in (0..100).map(CallId) {
                let open: Vec<(SessionId, u64)> = map.keys().copied().collect();
                let first = |of| open.iter().find(|(session, _)| *session == of);
                match rng.between(0, 8) {
                    0 => {
                        session = SessionId { slot: Slot(call.0), index: 1 };
                        next = 0;
                        numbered.begin(session);
                    }
                    1..4 if !open.is_empty() => {
                        let number = open[rng.between(0, open.len() as u64) as usize];
                        map.remove(&number);
                        numbered.end(number);
                        numbered.end(number);
                    }
                    _ => {
                        let lowest = first(session).map_or(next, |&(_, lowest)| lowest);
                        let expected = (next - lowest < window).then_some((session, next));
                        assert_eq!(numbered.give(window, call), expected, "seed {seed}");
                        if let Some(number) = expected {
                            next += 1;
                            map.insert(number, call);
                        }
                    }
                }
                for (&number, &call) in &map {
                    let lowest = map.keys().find(|(session, _)| *session == number.0);
                    assert_eq!(numbered.get(number), Some(call), "seed {seed}");
                    assert_eq!(Some(&(number.0, numbered.acked_below(number))), lowest);
                }
                assert_eq!(numbered.get((session, next)), None, "seed {seed}");
            }
        }
    }
}
