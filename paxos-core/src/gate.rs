//! Holds mail back until the log has caught up: the one place that connects replies and fsync.

use crate::message::{Packet, ProposerMsg};
use crate::role::{Outgoing, Output};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;

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

    /// Takes the output of a step, or of a turn, and leaves it empty. The records go to `append`,
    /// which gives back how many are durable in all, if it knows that at once. What may leave goes
    /// to `free`: the mail, if nothing that came before is still on its way to the disk, and the
    /// feed.
    ///
    /// # Panics
    /// If the log claims more than was appended.
    #[inline]
    pub fn submit<R>(
        &mut self,
        output: &mut Output<R>,
        append: impl FnOnce(&mut Vec<R>) -> Option<u64>,
        free: &mut Vec<Outgoing>,
    ) {
        let Output { records, mail, feed } = output;
        if !records.is_empty() {
            self.appended += records.len() as u64;
            let durable = append(records);
            // What the log did not take is not for the next turn.
            records.clear();
            if let Some(lsn) = durable {
                self.release(lsn, free);
            }
        }
        if planted!(VoteToldBeforeDurable) {
            let is_vote =
                |packet: &Packet| matches!(packet, Packet::Proposer(ProposerMsg::Accepted { .. }));
            let votes = mail.iter().filter(|mail| is_vote(&mail.packet));
            free.extend(votes.cloned());
        }
        if self.appended == self.durable || planted!(ToldBeforeDurable) {
            free.append(mail);
        } else if !mail.is_empty() {
            self.held_count += mail.len();
            match self.held.back_mut() {
                Some((lsn, held)) if *lsn == self.appended => held.append(mail),
                _ => self.held.push_back((self.appended, mem::take(mail))),
            }
        }
        free.append(feed);
    }

    /// Everything up to `lsn` is durable. The mail that waited for it goes to `free`.
    ///
    /// # Panics
    /// If the log claims more than was appended.
    pub fn release(&mut self, lsn: u64, free: &mut Vec<Outgoing>) {
        assert!(lsn <= self.appended, "log claims lsn {lsn}, appended {}", self.appended);
        self.durable = self.durable.max(lsn);
        while let Some((at, mail)) = self.held.front_mut()
            && *at <= self.durable
        {
            self.held_count -= mail.len();
            free.append(mail);
            self.held.pop_front();
        }
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
