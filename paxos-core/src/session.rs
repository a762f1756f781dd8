//! Sessions: each command is applied once, however often it was chosen (rule R16).

use crate::config::SessionRules;
use crate::digest::digest;
use crate::entry::SessionId;
use crate::rng::mix;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Bytes of sessions in one piece of a snapshot, about.
const PIECE_BYTES: usize = 64 << 10;

/// The open sessions with the answers that they keep. Part of the replicated state: only what is
/// in the log changes it, so that it is equal everywhere.
#[derive(Debug)]
pub struct Sessions {
    rules: SessionRules,
    /// Shared with a snapshot that is being written; copied when it changes meanwhile.
    open: BTreeMap<SessionId, Arc<SessionState>>,
    /// When to look at which session; no later than it expires.
    due: BTreeSet<(u64, SessionId)>,
    /// When to look first; none where no session is open.
    due_ms: Option<u64>,
}

/// One open session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionState {
    /// Its id.
    pub id: SessionId,
    /// It ends at this log time, in milliseconds, unless its client is heard from.
    pub expires_ms: u64,
    /// Its client has the answers of all sequences below.
    pub acked_below: u64,
    /// The answers of the sequences from `acked_below` on; none where nothing was applied yet.
    pub answers: VecDeque<Option<Bytes>>,
}

/// What is to be done with a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is new: apply it, and keep its answer.
    New,
    /// It was applied before, with this answer.
    Answered(Bytes),
    /// It was applied before, and its client has said that it has the answer.
    Acked,
    /// Its session is not open (any more): an absent session is expired, never new.
    Expired,
    /// It is further ahead than a session keeps answers.
    OutOfWindow,
}

impl Sessions {
    /// No sessions.
    pub fn new(rules: SessionRules) -> Sessions {
        Sessions { rules, open: BTreeMap::new(), due: BTreeSet::new(), due_ms: None }
    }

    /// What is in force.
    pub fn rules(&self) -> SessionRules {
        self.rules
    }

    /// From now on these rules are in force: those of the configuration, before anything is applied
    /// under it.
    pub fn obey(&mut self, rules: SessionRules) {
        self.rules = rules;
    }

    /// Opens a session; `false` where there are as many as there may be.
    pub fn register(&mut self, id: SessionId, log_time_ms: u64) -> bool {
        if self.open.len() as u64 >= self.rules.sessions_max {
            return false;
        }
        let expires_ms = log_time_ms.saturating_add(self.rules.ttl_ms);
        self.restore(SessionState { id, expires_ms, acked_below: 0, answers: VecDeque::new() });
        true
    }

    /// Takes an open session from a snapshot.
    pub fn restore(&mut self, session: SessionState) {
        self.due.insert((session.expires_ms, session.id));
        self.due_ms = self.due.first().map(|&(at, _)| at);
        self.open.insert(session.id, Arc::new(session));
    }

    /// The open sessions as they are now, in batches, to be read out while the table goes on.
    pub fn snapshot(&self) -> impl Iterator<Item = Vec<SessionState>> + Send + use<> {
        let mut sessions = self.open.clone().into_values();
        core::iter::from_fn(move || {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while bytes < PIECE_BYTES
                && let Some(session) = sessions.next()
            {
                bytes += session.weight();
                batch.push(Arc::unwrap_or_clone(session));
            }
            (!batch.is_empty()).then_some(batch)
        })
    }

    /// Has `apply` run a command, if it is new, and keeps its answer: the verdict is then as if it
    /// had been applied before. It is [`Sessions::judge`] and [`Sessions::keep`] at once.
    #[inline]
    pub fn run(
        &mut self,
        id: SessionId,
        sequence: u64,
        acked_below: u64,
        log_time_ms: u64,
        apply: impl FnOnce() -> Bytes,
    ) -> Verdict {
        let session = self.open.get_mut(&id).map(Arc::make_mut);
        let Some(session) = session else { return Self::unknown() };
        match session.judge(sequence, acked_below, log_time_ms, self.rules) {
            Verdict::New => {
                let answer = apply();
                session.keep(sequence, answer.clone());
                Verdict::Answered(answer)
            }
            verdict => verdict,
        }
    }

    /// Judges a command, notes that its session lives, and forgets the answers it acknowledges.
    #[inline]
    pub fn judge(
        &mut self,
        id: SessionId,
        sequence: u64,
        acked_below: u64,
        log_time_ms: u64,
    ) -> Verdict {
        match self.open.get_mut(&id).map(Arc::make_mut) {
            Some(session) => session.judge(sequence, acked_below, log_time_ms, self.rules),
            None => Self::unknown(),
        }
    }

    /// Keeps the answer of a command that has just been judged new, and been applied.
    #[inline]
    pub fn keep(&mut self, id: SessionId, sequence: u64, answer: Bytes) {
        if let Some(session) = self.open.get_mut(&id).map(Arc::make_mut) {
            session.keep(sequence, answer);
        }
    }

    /// An absent session is expired, never new.
    fn unknown() -> Verdict {
        if planted!(ExpiredTakenAsNew) { Verdict::New } else { Verdict::Expired }
    }

    /// Closes the sessions that have been silent for too long, by log time (rule R18).
    #[inline]
    pub fn expire(&mut self, log_time_ms: u64) {
        if self.due_ms.is_some_and(|at| at <= log_time_ms) {
            self.expire_due(log_time_ms);
        }
    }

    #[cold]
    fn expire_due(&mut self, log_time_ms: u64) {
        while let Some(&(at, id)) = self.due.first() {
            if at > log_time_ms {
                break;
            }
            self.due.pop_first();
            let Some(session) = self.open.get(&id) else { continue };
            if session.expires_ms > log_time_ms {
                self.due.insert((session.expires_ms, id));
                continue;
            }
            self.open.remove(&id);
        }
        self.due_ms = self.due.first().map(|&(at, _)| at);
    }

    /// Log time at which a session may expire next.
    #[inline]
    pub fn next_expiry_ms(&self) -> Option<u64> {
        self.due_ms
    }

    /// How many sessions are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether no session is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Equal for equal tables. Looks at every answer that is kept.
    pub fn digest(&self) -> u64 {
        let mut sum = 0;
        for (&id, session) in &self.open {
            let seed = mix(mix(id.slot.0) ^ u64::from(id.index));
            sum = mix(sum ^ seed ^ session.expires_ms).wrapping_add(session.acked_below);
            for (ahead, answer) in session.answers.iter().enumerate() {
                if let Some(answer) = answer {
                    // A snapshot may say anything.
                    let sequence = session.acked_below.wrapping_add(ahead as u64);
                    sum = sum.wrapping_add(digest(seed ^ mix(sequence), answer));
                }
            }
        }
        sum
    }
}

impl SessionState {
    fn judge(
        &mut self,
        sequence: u64,
        acked_below: u64,
        log_time_ms: u64,
        rules: SessionRules,
    ) -> Verdict {
        self.expires_ms = log_time_ms.saturating_add(rules.ttl_ms);
        // A client acknowledges nothing at or above the command that it sends.
        let acked_below = acked_below.min(sequence);
        if acked_below > self.acked_below {
            // As a rule it is one.
            for _ in 0..(acked_below - self.acked_below).min(self.answers.len() as u64) {
                self.answers.pop_front();
            }
            self.acked_below = acked_below;
        }
        let Some(ahead) = sequence.checked_sub(self.acked_below) else { return Verdict::Acked };
        if ahead >= rules.window {
            return Verdict::OutOfWindow;
        }
        match self.answers.get(ahead as usize) {
            Some(Some(answer)) if !planted!(RetryApplied) => Verdict::Answered(answer.clone()),
            _ => Verdict::New,
        }
    }

    fn keep(&mut self, sequence: u64, answer: Bytes) {
        let Some(ahead) = sequence.checked_sub(self.acked_below) else { return };
        let ahead = ahead as usize;
        if ahead > self.answers.len() {
            self.answers.resize(ahead, None);
        }
        // As a rule it is the next one.
        match self.answers.get_mut(ahead) {
            Some(kept) => *kept = Some(answer),
            None => self.answers.push_back(Some(answer)),
        }
    }

    /// Bytes that it takes in a snapshot, about.
    fn weight(&self) -> usize {
        let answers = self.answers.iter().flatten();
        32 + self.answers.len() + answers.map(|answer| answer.len()).sum::<usize>()
    }
}
