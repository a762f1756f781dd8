//! A type of your own, replicated: accounts, and transfers that happen once or not at all.
//!
//! `cargo run -p examples --example own_state_machine`

use anyhow::{Result, ensure};
use bytes::Bytes;
use paxos_actors::cluster::Cluster;
use paxos_actors::codec;
use paxos_core::digest::digest;
use paxos_core::{Applied, Outcome, SnapshotParts, StateMachine, Unrestorable};
use std::collections::BTreeMap;

/// What every node holds. A command is (from, to, amount); a query is an account's name.
#[derive(Default)]
struct Bank(BTreeMap<String, u64>);

impl StateMachine for Bank {
    fn apply(&mut self, _: Applied, command: &Bytes) -> Bytes {
        let Ok((from, to, amount)) = codec::decode::<(String, String, u64)>(command) else {
            return "not a transfer".into(); // the same on every node
        };
        let Some(rest) = self.0.get(&from).copied().unwrap_or(100).checked_sub(amount) else {
            return "too little money".into();
        };
        self.0.insert(from, rest);
        *self.0.entry(to).or_insert(100) += amount;
        "done".into()
    }

    fn query(&self, account: &Bytes) -> Bytes {
        let name = String::from_utf8_lossy(account);
        self.0.get(&*name).copied().unwrap_or(100).to_string().into()
    }

    fn digest(&self) -> u64 {
        digest(0, &bytes(&self.0))
    }

    fn snapshot(&self) -> SnapshotParts {
        Box::new(self.0.clone().into_iter().map(|account| bytes(&account)))
    }

    fn restore(&mut self, part: &Bytes) -> Result<(), Unrestorable> {
        self.0.extend([codec::decode::<(String, u64)>(part).map_err(|_| Unrestorable("account"))?]);
        Ok(())
    }
}

fn bytes(value: &impl serde::Serialize) -> Bytes {
    let mut buffer = Vec::new();
    codec::encode(value, &mut buffer).expect("texts and numbers can be encoded");
    buffer.into()
}

#[actix::main]
async fn main() -> Result<()> {
    let mut cluster = Cluster::builder(3, |_| Bank::default())?.start().await?;
    let client = cluster.client().await?;
    for (amount, expected) in [(70u64, "done"), (70, "too little money"), (30, "done")] {
        let outcome = client.write(bytes(&("ada", "bob", amount))).await?;
        ensure!(outcome == Outcome::Done(expected.into()), "{outcome:?}");
        println!("ada pays bob {amount}: {expected}");
    }
    for (account, money) in [("ada", "0"), ("bob", "200")] {
        let outcome = client.read(account).await?;
        ensure!(outcome == Outcome::Done(money.into()), "{outcome:?}");
        println!("{account} has {money}");
    }
    Ok(())
}
