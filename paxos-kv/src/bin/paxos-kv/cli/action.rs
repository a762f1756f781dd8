//! What clients do: the same on the command line and at the prompt.

use super::failure::Failure;
use super::print::{Format, Printed};
use super::scan;
use clap::{ArgGroup, Args, Subcommand};
use paxos_kv::op::VALUE_BYTES_MAX;
use paxos_kv::{Expect, KvClient, Meta, Swap};
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;

/// One action.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Give a key a value.
    Put(PutArgs),
    /// Print the value of a key.
    Get(KeyArgs),
    /// Remove a key.
    Del(KeyArgs),
    /// Give a key a value, if it is as expected.
    Cas(CasArgs),
    /// Print all keys that begin with a prefix, and their values.
    Scan(ScanArgs),
    /// Tell how each node is.
    Status,
}

#[derive(Debug, Args)]
pub(super) struct PutArgs {
    /// The key: 1 byte to 8 KiB.
    key: OsString,
    /// Its new value: up to 1 MiB; `-` reads it from standard input.
    value: OsString,
}

#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    /// The key: 1 byte to 8 KiB.
    key: OsString,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("expected").required(true))]
pub(super) struct CasArgs {
    /// The key: 1 byte to 8 KiB.
    key: OsString,
    /// It must have this value.
    #[arg(long, value_name = "VALUE", group = "expected")]
    expect: Option<OsString>,
    /// It must have no value.
    #[arg(long, group = "expected")]
    absent: bool,
    /// It must have this version: how often it was given a value since it was made.
    #[arg(long, value_name = "N", group = "expected")]
    version: Option<u64>,
    /// Its new value: up to 1 MiB; `-` reads it from standard input.
    #[arg(value_name = "NEW")]
    value: OsString,
}

#[derive(Debug, Args)]
pub(super) struct ScanArgs {
    /// What the keys begin with; "" is every key.
    pub(super) prefix: OsString,
    /// Keys, at most.
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<u64>,
    /// Leave the values out.
    #[arg(long)]
    pub(super) keys_only: bool,
}

/// Nothing more to say.
#[derive(Debug, Args)]
pub(super) struct NoArgs {}

impl Action {
    /// Does it, and prints what comes of it.
    pub(super) async fn run(self, client: &KvClient, format: Format) -> Result<(), Failure> {
        let printed = match self {
            Action::Put(PutArgs { key, value }) => {
                let key = key.into_vec();
                let meta = client.put(key.clone(), read(value)?).await?;
                Printed::Done { key, meta }
            }
            Action::Get(KeyArgs { key }) => {
                let key = key.into_vec();
                match client.get(key.clone()).await? {
                    Some(found) => Printed::Found(found),
                    None => return Err(absent(&key)),
                }
            }
            Action::Del(KeyArgs { key }) => {
                let key = key.into_vec();
                let existed = client.delete(key.clone()).await?;
                Printed::Deleted { key, existed }
            }
            Action::Cas(args) => {
                let key = args.key.clone().into_vec();
                match client.cas(key.clone(), args.expected(), read(args.value)?).await? {
                    Swap::Swapped(meta) => Printed::Done { key, meta },
                    Swap::NotSwapped(found) => return Err(not_swapped(&key, found)),
                }
            }
            Action::Scan(args) => return scan::run(args, client, format).await,
            Action::Status => Printed::Status(client.status().await?),
        };
        printed.print(format)
    }
}

impl CasArgs {
    fn expected(&self) -> Expect {
        match (&self.expect, self.version) {
            (Some(value), _) => Expect::Value(value.clone().into_vec().into()),
            (None, Some(version)) => Expect::Version(version),
            // Exactly one of the three was given.
            (None, None) => Expect::Absent,
        }
    }
}

/// A value, or all of standard input. More than a value may have is not read.
fn read(value: OsString) -> Result<Vec<u8>, Failure> {
    if value != "-" {
        return Ok(value.into_vec());
    }
    let mut read = Vec::new();
    io::stdin().lock().take(VALUE_BYTES_MAX as u64 + 1).read_to_end(&mut read)?;
    Ok(read)
}

fn absent(key: &[u8]) -> Failure {
    Failure::Failed(format!("\"{}\" has no value", key.escape_ascii()))
}

fn not_swapped(key: &[u8], found: Option<Meta>) -> Failure {
    let found = match found {
        Some(meta) => format!("it has version {}, of revision {}", meta.version, meta.mod_revision),
        None => "it has no value".to_owned(),
    };
    let key = key.escape_ascii();
    Failure::Failed(format!("\"{key}\" is not as expected: {found}; nothing was changed"))
}
