//! Holds mail back until the log has caught up: the one place that connects replies and fsync.

use crate::message::{Packet, ProposerMsg};
use crate::role::{Outgoing, Output};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Mail that waits for records, by log sequence number (lsn: how many records were appended in
/// all, over every epoch of the log).
#[derive(Debug)]
pub struct Gate {
    appended: u64,
    durable: u64,
    held: VecDeque<(u64, Vec<Outgoing>)>,
    held_count: usize,
}

impl Gate {
    /// A gate over a log that holds `lsn` durable records.
    pub fn new(lsn: u64) -> Gate {
        Gate { appended: lsn, durable: lsn, held: VecDeque::new(), held_count: 0 }
    }

    /// Takes the output of a step, or of a turn. Gives back the batch to append, and the mail that
    /// may go: the feed, and the rest if nothing that came before is still on its way to the disk.
    pub fn submit<R>(&mut self, output: Output<R>) -> (Vec<R>, Vec<Outgoing>) {
        let Output { records, mail, feed } = output;
        self.appended += records.len() as u64;
        let mut free = feed;
        if planted!(VoteToldBeforeDurable) {
            let is_vote =
                |packet: &Packet| matches!(packet, Packet::Proposer(ProposerMsg::Accepted { .. }));
            let votes = mail.iter().filter(|mail| is_vote(&mail.packet));
            free.extend(votes.cloned());
        }
        if self.appended == self.durable || planted!(ToldBeforeDurable) {
            // As a rule there is no feed where there is mail, and nothing is moved.
            match free.is_empty() {
                true => free = mail,
                false => free.extend(mail),
            }
        } else if !mail.is_empty() {
            self.held_count += mail.len();
            match self.held.back_mut() {
                Some((lsn, held)) if *lsn == self.appended => held.extend(mail),
                _ => self.held.push_back((self.appended, mail)),
            }
        }
        (records, free)
    }

    /// Everything up to `lsn` is durable. Gives back the mail that waited for it.
    ///
    /// # Panics
    /// If the log claims more than was appended.
    pub fn release(&mut self, lsn: u64) -> Vec<Outgoing> {
        assert!(lsn <= self.appended, "log claims lsn {lsn}, appended {}", self.appended);
        self.durable = self.durable.max(lsn);
        let mut free = Vec::new();
        while self.held.front().is_some_and(|(at, _)| *at <= self.durable) {
            free.extend(self.held.pop_front().into_iter().flat_map(|(_, mail)| mail));
        }
        self.held_count -= free.len();
        free
    }

    /// The lsn of the last record appended.
    pub fn appended(&self) -> u64 {
        self.appended
    }

    /// The lsn of the last record known to be durable.
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// Records appended and not yet durable.
    pub fn backlog(&self) -> u64 {
        self.appended - self.durable
    }

    /// Messages held back.
    pub fn held(&self) -> usize {
        self.held_count
    }
}
