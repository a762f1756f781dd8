//! The gate, against a list of what each letter waits for.

use super::cases;
use paxos_core::*;
use proptest::prelude::*;

/// A step of a role, or what the log says.
#[derive(Clone, Debug)]
enum Event {
    Step {
        records: u64,
        mail: u64,
        feed: u64,
        /// The log says at once how much in a hundred is durable, or says nothing.
        durable: Option<u64>,
    },
    /// So much in a hundred of what is not durable becomes durable.
    Durable(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let at_once = prop_oneof![2 => Just(None), 1 => (0..=100u64).prop_map(Some)];
    let step = (0..3u64, 0..3u64, 0..2u64, at_once);
    let step = step.prop_map(|(records, mail, feed, durable)| Event::Step {
        records,
        mail,
        feed,
        durable,
    });
    let event = prop_oneof![3 => step, 1 => (0..=100u64).prop_map(Event::Durable)];
    proptest::collection::vec(event, 0..60)
}

/// Letters are told apart by their attempt.
fn letter(number: u64) -> Outgoing {
    Outgoing { to: NodeId(1), packet: AcceptorMsg::Poll { attempt: number }.into() }
}

/// What a gate did, and what it should have done: numbers of letters, and the lsn each waits for.
#[derive(Default)]
struct Account {
    number: u64,
    appended: u64,
    durable: u64,
    waiting: Vec<(u64, Outgoing)>,
}

impl Account {
    fn next(&mut self) -> Outgoing {
        self.number += 1;
        letter(self.number)
    }

    fn step(
        &mut self,
        (records, mail, feed): (u64, u64, u64),
        percent: Option<u64>,
    ) -> (Output<u64>, Vec<Outgoing>) {
        let records: Vec<u64> = (self.appended..self.appended + records).collect();
        self.appended += records.len() as u64;
        if let Some(percent) = percent.filter(|_| !records.is_empty()) {
            self.syncs(percent);
        }
        let mail: Vec<Outgoing> = (0..mail).map(|_| self.next()).collect();
        let feed: Vec<Outgoing> = (0..feed).map(|_| self.next()).collect();
        self.waiting.extend(mail.iter().map(|letter| (self.appended, letter.clone())));
        let free = self.due().into_iter().chain(feed.iter().cloned()).collect();
        (Output { records, mail, feed }, free)
    }

    fn syncs(&mut self, percent: u64) {
        self.durable += (self.appended - self.durable) * percent / 100;
    }

    /// What waits for nothing any more, in the order in which it was sent.
    fn due(&mut self) -> Vec<Outgoing> {
        let durable = self.durable;
        self.waiting.extract_if(.., |(lsn, _)| *lsn <= durable).map(|(_, letter)| letter).collect()
    }
}

proptest! {
    #![proptest_config(cases())]

    /// No letter leaves before its records and all before them are durable, none later, none twice,
    /// and all in the order in which they were sent; the feed never waits.
    #[test]
    fn mail_leaves_with_its_records_and_in_order(begin in 0..1000u64, events in events()) {
        let mut gate = Gate::new(begin);
        let mut account = Account { appended: begin, durable: begin, ..Account::default() };
        for event in events {
            match event {
                Event::Step { records, mail, feed, durable } => {
                    let (mut output, expected) = account.step((records, mail, feed), durable);
                    let (batch, mut appended, mut free) = (output.records.clone(), vec![], vec![]);
                    let append = |records: &mut Vec<u64>| {
                        appended.append(records);
                        durable.map(|_| account.durable)
                    };
                    gate.submit(&mut output, append, &mut free);
                    prop_assert_eq!((appended, free), (batch, expected));
                    prop_assert!(output.is_empty());
                }
                Event::Durable(percent) => {
                    account.syncs(percent);
                    let mut free = Vec::new();
                    gate.release(account.durable, &mut free);
                    prop_assert_eq!(free, account.due());
                }
            }
            prop_assert_eq!(gate.backlog(), account.appended - account.durable);
            prop_assert_eq!(gate.held(), account.waiting.len());
        }
    }

    /// A log that says less than it has said already is late, and takes nothing back.
    #[test]
    fn an_old_lsn_is_no_news(records in 1..9u64, old in 0..9u64) {
        let (mut gate, mut free) = (Gate::new(0), Vec::new());
        let mut output = Output { records: (0..records).collect(), ..Output::new() };
        output.mail.push(letter(1));
        gate.submit(&mut output, |_| None, &mut free);
        prop_assert!(free.is_empty());
        gate.release(records, &mut free);
        gate.release(old.min(records), &mut free);
        prop_assert_eq!(gate.durable(), records);
        output.mail.push(letter(2));
        gate.submit(&mut output, |_| None, &mut free);
        prop_assert_eq!(free, [letter(1), letter(2)]);
    }
}

#[test]
#[should_panic(expected = "log claims lsn 2, appended 1")]
fn a_log_cannot_have_more_than_it_was_given() {
    let mut gate = Gate::new(0);
    let mut output = Output { records: vec![0], ..Output::new() };
    gate.submit(&mut output, |_| Some(2), &mut Vec::new());
}
